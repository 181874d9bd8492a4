// @ts-check
/** Buttons: words, words with an icon, or an icon whose words are its name and tooltip. */
import { cls, html } from "./html.js";
import { Icon } from "./icon.js";

/** @param {{icon?: string, label: string, bare?: boolean, primary?: boolean, key_?: string, pressed?: boolean, onClick: (e: any) => void, [x: string]: any}} p */
export function Button({ icon, label, bare, primary, key_, pressed, onClick, class: extra, ...rest }) {
	const title = key_ ? `${label} (${key_})` : bare ? label : undefined;
	return html`<button type="button" class=${cls("button", bare && "bare", primary && "primary", extra)} title=${title}
		aria-label=${bare ? label : undefined} aria-pressed=${pressed} aria-keyshortcuts=${key_} onClick=${onClick} ...${rest}>
		${icon && html`<${Icon} name=${icon} />`}${!bare && html`<span>${label}</span>`}</button>`;
}
