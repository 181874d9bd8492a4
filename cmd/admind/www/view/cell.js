// @ts-check
/** What stands in a column of a list, and beside a setting where an entry is shown.  Always as text. */
import { html } from "../kit/html.js";
import { t } from "../i18n/i18n.js";
import { bytes, initials, state, when } from "../model/format.js";

/** @param {{of: any}} props */
export function State({ of }) {
	const s = state(of);
	return html`<span class=${"state " + s}><i aria-hidden="true"></i>${t(`state.${s}`)}</span>`;
}

/** @param {{name: string, small?: boolean}} props */
export function Avatar({ name, small }) {
	const { text, colour } = initials(name);
	return html`<span class=${small ? "avatar small" : "avatar"} aria-hidden="true" style=${{ background: colour }}>${text}</span>`;
}

/** @param {any} r @param {{name: string, kind?: string}} column */
export function cell(r, { name, kind }) {
	const v = r[name];
	switch (kind) {
	case "state": return html`<${State} of=${r} />`;
	case "person": return html`<span class="person"><${Avatar} small name=${r.name || r.user} /><b>${v || r.user}</b></span>`;
	case "bytes": return bytes(v);
	case "count": return String((r.member || []).length + (r.external || []).length);
	case "first": return Array.isArray(v) ? v[0] : v;
	case "host": return (v || "").split(".")[0];
	case "all": return Array.isArray(v) ? v.join(" ") : v;
	case "time": return when(v);
	default: return Array.isArray(v) ? v.join(", ") : v === undefined ? "" : String(v);
	}
}

/** Of a setting, where an entry is shown. @param {import("../model/objects.js").Field} field @param {any} v */
export function shown(field, v) {
	if (Array.isArray(v))
		return html`<ul class="values">${v.slice(0, 50).map(x => html`<li key=${x}>${x}</li>`)}${v.length > 50 && html`<li>${t("detail.more", { n: v.length - 50 })}</li>`}</ul>`;
	if (field.kind === "bytes")
		return bytes(v);
	if (field.kind === "date")
		return when(v);
	return field.kind === "area" ? html`<span class="area">${v}</span>` : String(v);
}
