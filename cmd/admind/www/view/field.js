// @ts-check
/** One setting as a field of a form: the words, what is to be typed, and what is wrong with it. */
import { html, useId } from "../kit/html.js";
import { t } from "../i18n/i18n.js";

const HINTS = new Set(["alias", "quota", "maxsize", "services", "package", "member", "external", "dynamic", "allow", "vacation-internal", "description", "policy"]);

/** @param {{field: import("../model/objects.js").Field, object: string, value: string, wrong?: string, packages?: string[], onInput: (v: string) => void, first?: boolean}} props */
export function Field({ field, object, value, wrong, packages = [], onInput, first }) {
	const id = useId();
	const { name, kind, choices } = field;
	const hint = HINTS.has(name) && object !== "package" ? t(`hint.${name === "package" && object !== "user" ? "packages" : name}`) : kind === "bytes" ? t("hint.quota") : "";
	const rest = { id, value, "aria-labelledby": id + "l", "aria-invalid": !!wrong, "aria-describedby": [hint && id + "h", wrong && id + "w"].filter(Boolean).join(" ") || undefined, onInput: e => onInput(e.target.value), ...(first ? { "data-first": true } : {}) };
	let input;
	if (kind === "area")
		input = html`<textarea ...${rest}></textarea>`;
	else if (kind === "list")
		input = choices && name === "delivery" ? html`<${Choices} choices=${choices} value=${value} onInput=${onInput} />` : html`<textarea class="lines" rows=${Math.min(8, value.split("\n").length + 1)} spellcheck=${false} ...${rest}></textarea>`;
	else if (kind === "choice" || kind === "package") {
		const options = kind === "package" ? packages : choices || [];
		input = html`<select ...${rest} onChange=${e => onInput(e.target.value)}><option value="">${t("form.none")}</option>
			${[...new Set([...options, ...(value ? [value] : [])])].map(c => html`<option key=${c} value=${c}>${kind === "choice" ? t(`choice.${c}`) : c}</option>`)}</select>`;
	} else {
		input = html`<input type=${kind === "date" ? "date" : "text"} inputmode=${kind === "number" ? "numeric" : undefined} spellcheck=${false} autocomplete="off" ...${rest} />`;
	}
	const label = t(`f.${name}`);
	if (kind === "list" && choices && name === "delivery")
		return html`<fieldset class="choice"><legend>${label}</legend>${input}${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}</fieldset>`;
	return html`<label class="field" for=${id}><span id=${id + "l"}>${label}</span>${input}${hint && html`<small class="hint" id=${id + "h"}>${hint}</small>`}
		${wrong && html`<span class="wrong" role="alert" id=${id + "w"}>${wrong}</span>`}</label>`;
}

/** Several of a few, as boxes; what is not among them stays. */
function Choices({ choices, value, onInput }) {
	const on = new Set(value.split("\n").filter(Boolean));
	const turn = (c, yes) => onInput([...choices.filter(x => (x === c ? yes : on.has(x))), ...[...on].filter(x => !choices.includes(x))].join("\n"));
	return html`<div>${choices.map(c => html`<label key=${c}><input type="checkbox" checked=${on.has(c)} onChange=${e => turn(c, e.target.checked)} /><span>${t(`choice.${c}`)}</span></label>`)}</div>`;
}
