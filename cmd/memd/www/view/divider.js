// @ts-check
/** The edge between list and reading pane, to be drawn by pointer or arrows; twice pressed it is where it was at first. */
import { html, useRef } from "../kit/html.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { DEFAULTS } from "../model/settings.js";

const LEAST = 300, MOST = 720, STEP = 16;	/* px */

/** @param {number} width */
export const within = width => Math.round(Math.max(LEAST, Math.min(MOST, Number(width) || DEFAULTS.listWidth)));

/** @param {{app: import("../model/app.js").App}} props */
export function Divider({ app }) {
	const from = useRef(/** @type {{x: number, width: number} | null} */ (null));
	const width = within(app.settings.state.listWidth);
	const sign = document.documentElement.dir === "rtl" ? -1 : 1;
	const keep = w => void app.settings.change({ listWidth: within(w) }).catch(error => app.toasts.say(t("settings.failed", { why: why(error) }), { failed: true }));
	const at = e => (from.current ? within(from.current.width + sign * (e.clientX - from.current.x)) : width);
	const down = e => {
		from.current = { x: e.clientX, width };
		e.currentTarget.setPointerCapture(e.pointerId);
		e.preventDefault();
	};
	const move = e => from.current && app.settings.set({ listWidth: at(e) });	/* kept when it is let go */
	const up = e => {
		const now = at(e), was = from.current;
		from.current = null;
		if (was && now !== was.width)
			keep(now);
	};
	const key = e => {
		const by = { ArrowLeft: -STEP, ArrowRight: STEP }[e.key];
		if (!by)
			return;
		e.preventDefault();
		e.stopPropagation();
		keep(width + sign * by);
	};
	return html`<div class="divider" role="separator" tabindex="0" aria-orientation="vertical" aria-label=${t("list.width")} title=${t("list.width")}
		aria-valuemin=${LEAST} aria-valuemax=${MOST} aria-valuenow=${width} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up}
		onPointerCancel=${up} onDblClick=${() => keep(DEFAULTS.listWidth)} onKeyDown=${key}></div>`;
}
