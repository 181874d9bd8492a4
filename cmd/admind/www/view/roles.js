// @ts-check
/** Who has which role, over what; giving and taking them, as far as one's own reaches. */
import { html, useEffect, useId, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Confirm } from "../kit/dialog.js";
import { useLayers } from "../kit/layers.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { ROLES } from "../model/rights.js";
import { Head, Nothing } from "./head.js";

/** The roles that somebody with this one may give. */
const GIVES = { top: ROLES, provider: ["provider", "organisation", "helpdesk"], organisation: ["helpdesk"] };

/** @param {{app: import("../model/app.js").App}} props */
export function Roles({ app }) {
	const layers = useLayers();
	const [rows, setRows] = useState(/** @type {any[] | null} */ (null));
	const [error, setError] = useState(/** @type {any} */ (null));
	const load = () => app.api.call("GET", ["roles"]).then(({ records }) => { setRows(records); setError(null); }, setError);
	useEffect(() => void load(), []);
	const mine = app.rights.role();
	const gives = GIVES[mine] || [];
	const take = r => layers.open(Confirm, { title: t("role.take", { who: r.user }), text: t(`role.${r.role}.says`), yes: t("role.revoke"), no: t("act.cancel"), danger: true, onYes: async () => {
		try {
			await app.api.call("POST", ["roles", r.role, "revoke"], { body: { names: [r.user, ...(r.over ? [r.over] : [])] } });
			app.said(t("role.taken", { who: r.user }));
		} catch (e) {
			app.failed(e);
		}
		await load();
	} }, { kind: "dialog", label: t("role.revoke") });
	const give = () => layers.open(Grant, { app, gives, over: load }, { kind: "dialog", label: t("role.grant") });
	const sorted = rows && rows.toSorted((a, b) => ROLES.indexOf(a.role) - ROLES.indexOf(b.role) || (a.over || "").localeCompare(b.over || "") || a.user.localeCompare(b.user));
	return html`<main class="view wide" id="main" tabindex="-1"><${Head} app=${app} title=${t("nav.roles")}>${gives.length > 0 && html`<${Button} primary icon="plus" label=${t("role.grant")} onClick=${give} />`}<//>
		${error && html`<${Nothing} icon="warn" alert text=${why(error)} />`}
		${sorted && (sorted.length ? html`<div class="scroll" tabindex="0" role="region" aria-label=${t("nav.roles")}><table><thead><tr><th scope="col">${t("role.who")}</th><th scope="col">${t("role.role")}</th><th scope="col">${t("role.over")}</th><th><span class="hidden-text">${t("act.more")}</span></th></tr></thead>
			<tbody>${sorted.map(r => html`<tr key=${`${r.role} ${r.over} ${r.user}`}><td>${r.user}</td><td>${t(`role.${r.role}`)}</td><td>${r.over || t("role.all")}</td>
			<td class="num">${gives.includes(r.role) && html`<${Button} label=${t("role.revoke")} aria-label=${`${t("role.revoke")}: ${r.user}`} onClick=${() => take(r)} />`}</td></tr>`)}</tbody></table></div>` : html`<${Nothing} icon="shield" text=${t("role.none")} />`)}</main>`;
}

function Grant({ app, gives, over, close }) {
	const [role, setRole] = useState(gives[gives.length - 1]);
	const [who, setWho] = useState("");
	const [what, setWhat] = useState("");
	const [wrong, setWrong] = useState("");
	const id = useId();
	const submit = async e => {
		e.preventDefault();
		try {
			await app.api.call("POST", ["roles", role, "grant"], { body: { names: [who.trim(), ...(role !== "top" && what.trim() ? [what.trim()] : [])] } });
			app.said(t("role.given", { who: who.trim() }));
			close();
			await over();
		} catch (error) {
			setWrong(why(error));
		}
	};
	return html`<form onSubmit=${submit} class="form" novalidate><h2>${t("role.grant")}</h2>
		<label class="field" for=${id + "r"}><span>${t("role.role")}</span><select id=${id + "r"} value=${role} onChange=${e => setRole(e.target.value)}>${gives.map(r => html`<option key=${r} value=${r}>${t(`role.${r}`)}</option>`)}</select><small class="hint">${t(`role.${role}.says`)}</small></label>
		<label class="field" for=${id + "w"}><span>${t("role.who")}</span><input id=${id + "w"} data-first type="text" spellcheck=${false} autocapitalize="none" value=${who} onInput=${e => setWho(e.target.value)} /></label>
		${role === "provider" && html`<label class="field" for=${id + "o"}><span>${t("form.provider")}</span><input id=${id + "o"} type="text" spellcheck=${false} value=${what} onInput=${e => setWhat(e.target.value)} /></label>`}
		${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
		<div class="buttons"><${Button} label=${t("act.cancel")} onClick=${close} /><button type="submit" class="button primary" disabled=${!who.trim()}>${t("role.grant")}</button></div></form>`;
}
