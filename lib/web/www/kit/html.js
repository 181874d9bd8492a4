// @ts-check
/** The one door to preact and htm: components write html`...` and use these hooks. */
import htm from "./vendor/htm.mjs";
import { h } from "./vendor/preact.mjs";

export { Fragment, createContext, createPortal, h, render } from "./vendor/preact.mjs";
export {
	useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo, useReducer, useRef, useState,
} from "./vendor/hooks.mjs";
export const html = htm.bind(h);

/** Class names that hold: cls("row", unread && "unread"). */
export const cls = (...names) => names.filter(Boolean).join(" ");
