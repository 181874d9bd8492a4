// @ts-check
/** A person as initials on a colour that an address always has: nothing is asked of anybody. */
import { cls, html } from "../kit/html.js";
import { initials, shade } from "../model/address.js";

const SHADES = 8;

/** @param {{of: any, small?: boolean}} props */
export function Avatar({ of, small }) {
	return html`<span class=${cls("avatar", small && "small")} style=${{ background: `var(--a${shade(of, SHADES)})` }} aria-hidden="true">${initials(of)}</span>`;
}
