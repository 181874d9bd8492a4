// @ts-check
/** Hosts: which daemons run there, in which version, until when their certificates are good, how full the disks are. */
import { cls, html, useEffect, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { bytes, span, when } from "../model/format.js";
import { hosts, trouble } from "../model/queue.js";
import { Head, Nothing } from "./head.js";

/** @param {{app: import("../model/app.js").App}} props */
export function Hosts({ app }) {
	const [rows, setRows] = useState(/** @type {any[] | null} */ (null));
	const [error, setError] = useState(/** @type {any} */ (null));
	const [busy, setBusy] = useState(true);
	const load = () => {
		setBusy(true);
		app.api.call("GET", ["hosts"]).then(({ records }) => { setRows(records); setError(null); }, setError).finally(() => setBusy(false));
	};
	useEffect(load, []);
	return html`<main class="view wide" id="main" tabindex="-1" aria-busy=${busy}><${Head} app=${app} title=${t("nav.hosts")}><${Button} class="line" label=${t("check.again")} aria-busy=${busy} onClick=${load} /><//>
		${error && html`<${Nothing} icon="warn" alert text=${why(error)} />`}
		${rows && !rows.length && html`<${Nothing} icon="provider" text=${t("host.none")} />`}
		${rows && rows.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${t("nav.hosts")}>${hosts(rows).map(([host, all]) => html`<${Host} key=${host} host=${host} rows=${all} />`)}</div>`}</main>`;
}

function Host({ host, rows }) {
	const now = Date.now(), there = rows.filter(r => r.daemon);
	if (!there.length)
		return html`<section class="host"><h2>${host}</h2><p class="wrong"><${Icon} name="warn" /> ${t("host.away", { why: rows[0].error })}</p></section>`;
	const bad = there.filter(r => trouble(r, now)).length;
	return html`<section class="host"><h2>${host} <small class=${bad ? "wrong" : "hint"}>${bad ? t("host.bad", { n: bad }) : t("host.good")}</small></h2>
		<table><thead><tr><th scope="col">${t("host.daemon")}</th><th scope="col">${t("host.state")}</th><th scope="col">${t("host.version")}</th><th scope="col">${t("host.certificate")}</th><th scope="col">${t("host.disk")}</th><th scope="col" class="num">${t("host.memory")}</th><th scope="col" class="num">${t("host.connections")}</th></tr></thead>
		<tbody>${there.map(r => html`<tr key=${r.daemon}><th scope="row"><code>${r.daemon}</code></th>${r.error ? html`<td colspan="6" class="wrong">${r.error}</td>` : html`
			<td class=${cls(r.state !== "running" && "wrong")}>${t(`host.is.${r.state}`)}${r.uptime !== undefined && html`<br /><small class="hint">${t("host.since", { time: span(r.uptime) })}${r.restarts > 0 && ` · ${t("host.restarts", { n: r.restarts })}`}</small>`}</td>
			<td>${r.version}</td><td class=${cls(trouble(r, now) === "certificate" && "wrong")}>${when(r.certificate)}</td><td><${Disk} r=${r} /></td><td class="num">${bytes(r.memory)}</td><td class="num">${r.connections ?? ""}</td>`}</tr>`)}</tbody></table></section>`;
}

function Disk({ r }) {
	if (r["disk-size"]) {
		const used = Math.round((1 - r["disk-free"] / r["disk-size"]) * 100);
		return html`<meter min="0" max="100" high="90" value=${used} aria-label=${t("host.used", { n: used })}></meter> <small class="hint">${t("host.free", { size: bytes(r["disk-free"]) })}</small>`;
	}
	return r["queue-free"] ? html`<small class="hint">${t("host.free", { size: bytes(r["queue-free"]) })}</small>` : null;
}
