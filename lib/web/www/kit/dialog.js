// @ts-check
/** Dialogs that ask: a title, a sentence, perhaps one field, what can be done. */
import { html, useId, useState } from "./html.js";
import { Button } from "./button.js";

/** @param {{title: string, text?: string, yes: string, no: string, danger?: boolean, onYes: () => void, close: () => void}} p */
export function Confirm({ title, text, yes, no, danger, onYes, close }) {
	return html`<h2>${title}</h2>${text && html`<p>${text}</p>`}
		<div class="buttons"><${Button} label=${no} onClick=${close} />
		<${Button} primary class=${danger ? "danger" : ""} label=${yes} data-first onClick=${() => { close(); onYes(); }} /></div>`;
}

/** @param {{title: string, label: string, value?: string, yes: string, no: string, check?: (v: string) => string | null,
 *	onYes: (v: string) => void, close: () => void}} p  check: what is wrong, in words */
export function Ask({ title, label, value = "", yes, no, check, onYes, close }) {
	const [text, setText] = useState(value);
	const [wrong, setWrong] = useState(/** @type {string | null} */ (null));
	const id = useId();
	const done = e => {
		e.preventDefault();
		const bad = check ? check(text) : null;
		setWrong(bad);
		if (bad)
			return;
		close();
		onYes(text.trim());
	};
	return html`<form onSubmit=${done} novalidate><h2>${title}</h2>
		<label class="field" for=${id}><span>${label}</span>
		<input id=${id} data-first value=${text} onInput=${e => setText(e.target.value)} aria-invalid=${!!wrong} aria-describedby=${wrong ? id + "w" : undefined} /></label>
		${wrong && html`<p class="wrong" id=${id + "w"} role="alert">${wrong}</p>`}
		<div class="buttons"><${Button} label=${no} onClick=${close} /><button class="button primary" type="submit">${yes}</button></div></form>`;
}
