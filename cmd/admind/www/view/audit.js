// @ts-check
/** Who has changed what, the newest first: looked for by words, page by page, and saved as JSON lines. */
import { html, useEffect, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { useStore } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { when } from "../model/format.js";
import { save } from "./export.js";
import { Head, Nothing } from "./head.js";

const PAGE = 100, PAUSE = 300;	/* records; ms */

/** @param {{app: import("../model/app.js").App}} props */
export function Audit({ app }) {
	const { route } = useStore(app.ui);
	const org = route.org || app.rights.own[0] || "";
	const [rows, setRows] = useState(/** @type {any[]} */ ([]));
	const [more, setMore] = useState("");
	const [error, setError] = useState(/** @type {any} */ (null));
	const [busy, setBusy] = useState(true);
	const [text, setText] = useState(route.q);
	const timer = useRef(/** @type {any} */ (0));
	const turn = useRef(0);
	const load = async (before, shown) => {
		const mine = ++turn.current;
		setBusy(true);
		try {
			const { records } = await app.api.call("GET", ["audit"], { args: { org, q: route.q, limit: PAGE, before } });
			if (mine !== turn.current)
				return;
			const told = records.filter(r => r.kind === "audit");
			setRows([...shown, ...told]);
			setMore(records.find(r => r.kind === "more")?.before || "");
			setError(null);
		} catch (e) {
			if (mine === turn.current)
				setError(e);
		}
		if (mine === turn.current)
			setBusy(false);
	};
	useEffect(() => void load(undefined, []), [org, route.q]);
	useEffect(() => () => { clearTimeout(timer.current); turn.current++; }, []);
	const typed = e => {
		setText(e.target.value);
		clearTimeout(timer.current);
		timer.current = setTimeout(() => app.turn({ q: e.target.value.trim() }, true), PAUSE);
	};
	return html`<main class="view wide" id="main" tabindex="-1" aria-busy=${busy}><${Head} app=${app} title=${t("nav.audit")} sub=${org}>
		<${Button} class="line" icon="download" label=${t("audit.save")} onClick=${() => save(`audit${org ? "-" + org : ""}.jsonl`, rows.map(r => r.line + "\n").join(""), "application/jsonl")} /><//>
		<div class="search"><${Icon} name="search" /><input type="search" aria-label=${t("list.search")} placeholder=${t("find.audit")} value=${text} onInput=${typed} spellcheck=${false} /></div>
		${error && html`<${Nothing} icon="warn" alert text=${why(error)} />`}
		${!error && !busy && !rows.length && !more && html`<${Nothing} icon="clock" text=${route.q ? t("list.none", { q: route.q }) : t("audit.none")} />`}
		${(rows.length > 0 || more) && html`<div class="scroll" tabindex="0" role="region" aria-label=${t("nav.audit")}><table><thead><tr><th scope="col">${t("audit.when")}</th><th scope="col">${t("audit.who")}</th><th scope="col">${t("audit.did")}</th><th scope="col">${t("audit.what")}</th></tr></thead>
			<tbody>${rows.map(r => html`<${Line} key=${r.at} line=${r.line} />`)}</tbody></table>
			${more && html`<p><${Button} class="line" label=${t("audit.more")} aria-busy=${busy} onClick=${() => void load(more, rows)} /></p>`}</div>`}</main>`;
}

/** A line of the log: what was there before, and what is there since. */
function Line({ line }) {
	let e;
	try {
		e = JSON.parse(line);
	} catch {
		return html`<tr><td colspan="4"><code>${line}</code></td></tr>`;
	}
	return html`<tr><td>${when(e.at)}</td><td>${e.who}<br /><small class="hint">${e.from}</small></td><td><code>${e.verb}</code>${e.result !== "done" && html`<br /><small class="wrong">${e.result}</small>`}</td>
		<td class="change"><b>${name(e.dn)}</b><ul>${(e.changes || []).map((c, n) => html`<li key=${n}>${c.attribute} ${c.how === "replace" && e.before && e.before[c.attribute] && html`<del>${told(e.before[c.attribute])}</del> `}
			${c.how === "delete" ? html`<del>${told(c.values, c.count)}</del>` : html`<ins>${told(c.values, c.count)}</ins>`}</li>`)}</ul></td></tr>`;
}

/** Values; of a large change the log has their number. @param {any} values @param {number} [count] */
const told = (values, count) => (Array.isArray(values) ? values.join(", ") : t("audit.count", { n: Number(count) || 0 }));

/** uid=ann,ou=People,o=example.org,...: ann@example.org. @param {string} dn */
export function name(dn) {
	const m = /^(?:uid|cn)=([^,\\]+),ou=(?:People|Groups),o=([^,\\]+),/.exec(dn) || /^o=([^,\\]+),/.exec(dn);
	return m ? (m[2] ? `${m[1]}@${m[2]}` : m[1]) : dn;
}
