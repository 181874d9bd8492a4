// @ts-check
/** How many things at once went: how far, and a line for each that is not simply done; what would be done, when tried. */
import { html } from "../kit/html.js";
import { useWatch } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";

const MOST = 200;	/* lines that are shown */

/** @param {{bulk: import("../model/bulk.js").Bulk, dry: boolean}} props */
export function Report({ bulk, dry }) {
	useWatch(bulk);
	const done = bulk.results.filter(r => r.state !== "waits").length;
	const told = bulk.results.filter(r => r.state !== "waits" && (dry || r.state !== "done"));
	const counts = ["done", "same", "failed", "unknown"].filter(s => bulk.count(s)).map(s => t(dry && s === "done" ? "report.would" : `report.${s}`, { n: bulk.count(s) }));
	return html`<div class="report"><progress value=${done} max=${Math.max(1, bulk.results.length)} aria-label=${t("report.progress")}></progress>
		<p role="status">${t("report.of", { n: bulk.results.length, done })}${counts.length ? " · " + counts.join(" · ") : ""}</p>
		${told.length > 0 && html`<ul class="results" tabindex="0" aria-label=${t("report.lines")}>${told.slice(0, MOST).map(r => html`<li key=${`${r.line} ${r.name}`} class=${r.state}><b>${r.line ? t("report.line", { line: r.line, who: r.name }) : r.name}</b>
			<span>${r.state === "failed" || r.state === "unknown" ? why(r.why) : r.state === "same" ? t("report.was") : (r.what || []).join(", ")}</span></li>`)}
			${told.length > MOST && html`<li>${t("detail.more", { n: told.length - MOST })}</li>`}</ul>`}</div>`;
}
