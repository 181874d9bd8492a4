// @ts-check
/**
 * What is many changes and is done by admind: how far each is, and what became of its rows.  Looked at again while one
 * goes on and somebody may be watching; not for ever, since each look keeps the session open.
 */
import { html, useEffect, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Confirm } from "../kit/dialog.js";
import { useLayers } from "../kit/layers.js";
import { useStore } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { when } from "../model/format.js";
import { goes, may } from "../model/jobs.js";
import { Head, Nothing } from "./head.js";

const PAUSE = 2000, LOOKS = 150;	/* ms; looks that nobody has asked for */

/** @param {{app: import("../model/app.js").App}} props */
export function Jobs({ app }) {
	const layers = useLayers();
	const { user } = useStore(app.ui);
	const [rows, setRows] = useState(/** @type {any[] | null} */ (null));
	const [error, setError] = useState(/** @type {any} */ (null));
	const timer = useRef(/** @type {any} */ (0));
	const left = useRef(LOOKS);
	const gone = useRef(false);
	const load = async () => {
		clearTimeout(timer.current);
		try {
			const { records } = await app.api.call("GET", ["jobs"]);
			if (gone.current)
				return;
			setRows(records.filter(r => r.kind === "job").toSorted((a, b) => (b.created || "").localeCompare(a.created || "")));
			setError(null);
			if (records.some(goes) && left.current-- > 0)
				timer.current = setTimeout(() => void (document.hidden || load()), PAUSE);
		} catch (e) {
			if (!gone.current)
				setError(e);
		}
	};
	const again = () => {
		left.current = LOOKS;
		return load();
	};
	useEffect(() => {
		const seen = () => void (document.hidden || again());
		document.addEventListener("visibilitychange", seen);
		void again();
		return () => { gone.current = true; clearTimeout(timer.current); document.removeEventListener("visibilitychange", seen); };
	}, []);
	const act = async (job, verb) => {
		try {
			await (verb === "delete" ? app.api.call("DELETE", ["jobs", job.job]) : app.api.call("POST", ["jobs", job.job, verb]));
		} catch (e) {
			app.failed(e);
		}
		await again();
	};
	const cancel = job => layers.open(Confirm, { title: t("job.cancel.ask", { what: job.verb }), text: t("job.cancel.says"), yes: t("job.cancel"), no: t("act.cancel"), danger: true, onYes: () => act(job, "cancel") }, { kind: "dialog", label: t("job.cancel") });
	const report = job => layers.open(Lines, { app, job }, { kind: "dialog", label: t("job.report") });
	const of = (/** @type {any} */ job, /** @type {string} */ label) => `${label}: ${job.verb} ${(job.name || []).join(" ")}`;
	return html`<main class="view wide" id="main" tabindex="-1" aria-busy=${!rows && !error}><${Head} app=${app} title=${t("nav.jobs")}><${Button} class="line" label=${t("check.again")} onClick=${() => void again()} /><//>
		${error && html`<${Nothing} icon="warn" alert text=${why(error)} />`}
		${rows && !rows.length && html`<${Nothing} icon="check" text=${t("job.none")} />`}
		${rows && rows.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${t("nav.jobs")}><table><thead><tr><th scope="col">${t("job.what")}</th><th scope="col">${t("job.state")}</th><th scope="col">${t("job.who")}</th><th><span class="hidden-text">${t("act.more")}</span></th></tr></thead>
			<tbody>${rows.map(r => html`<tr key=${r.job}><td><code>${r.verb}</code> ${(r.name || []).join(" ")}<br /><small class="hint">${when(r.created)}</small></td>
			<td>${t(`job.is.${r.wish && goes(r) ? r.wish : r.state}`)}${goes(r) && r.total > 0 && html` <progress max=${r.total} value=${r.done} aria-label=${of(r, t("job.state"))} />`}<br /><small class="hint">${[r.total && t("job.far", { done: r.done, total: r.total }), r.text].filter(Boolean).join(" · ")}</small></td><td>${r.who}</td>
			<td class="num"><${Button} label=${t("job.report")} aria-label=${of(r, t("job.report"))} onClick=${() => report(r)} />
			${["pause", "resume", "delete"].filter(v => may(r, v, user)).map(v => html`<${Button} key=${v} label=${t(`job.${v}`)} aria-label=${of(r, t(`job.${v}`))} onClick=${() => void act(r, v)} />`)}
			${may(r, "cancel", user) && html`<${Button} label=${t("job.cancel")} aria-label=${of(r, t("job.cancel"))} onClick=${() => cancel(r)} />`}</td></tr>`)}</tbody></table></div>`}</main>`;
}

const MOST = 500;	/* lines that are shown */

function Lines({ app, job, close }) {
	const [rows, setRows] = useState(/** @type {any[] | null} */ (null));
	const [error, setError] = useState(/** @type {any} */ (null));
	const [failed, setFailed] = useState(false);
	useEffect(() => {
		let mine = true;
		setRows(null);
		app.api.call("POST", ["jobs", job.job, "report"], { body: { names: failed ? ["failed"] : [] } }).then(({ records }) => mine && setRows(records), e => mine && setError(e));
		return () => { mine = false; };
	}, [failed]);
	return html`<h2>${t("job.report")}</h2><label class="check"><input type="checkbox" checked=${failed} onChange=${e => setFailed(e.target.checked)} /><span>${t("job.failed")}</span></label>
		${error && html`<p class="wrong" role="alert">${why(error)}</p>`}
		${rows && !rows.length && html`<p>${t("job.nothing")}</p>`}
		${rows && rows.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${t("job.report")}><table><tbody>${rows.slice(0, MOST).map((r, n) => html`<tr key=${n}><td class="num">${r.line || ""}</td><td>${r.name}</td><td>${t(`job.row.${r.result}`)}</td><td>${r.text || ""}</td></tr>`)}</tbody></table></div>`}
		${rows && rows.length > MOST && html`<p>${t("job.first", { n: MOST, all: rows.length })}</p>`}
		<div class="buttons"><${Button} label=${t("act.close")} onClick=${close} /></div>`;
}
