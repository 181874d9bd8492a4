// @ts-check
/** The console for every view: useApp() gives it, and draws again when its state changes. */
import { createContext, useContext } from "../kit/html.js";
import { useWatch } from "../kit/store.js";

export const AppContext = createContext(/** @type {any} */ (null));

/** @returns {import("../model/app.js").App} */
export function useApp() {
	const app = /** @type {import("../model/app.js").App} */ (useContext(AppContext));
	useWatch(app.ui);
	return app;
}
