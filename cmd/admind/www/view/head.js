// @ts-check
/** The head of a view: its name, and what can be done there; and what a view says that has nothing to show. */
import { html } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { t } from "../i18n/i18n.js";

/** @param {{app: import("../model/app.js").App, title: string, sub?: string, children?: any}} props */
export function Head({ app, title, sub, children }) {
	return html`<div class="head"><${Button} bare icon="menu" class="menu-button" label=${t("nav.menu")} onClick=${() => app.ui.set({ menu: true })} />
		<h1>${title}</h1>${sub && html`<span class="sub">${sub}</span>`}<span class="space"></span>${children}</div>`;
}

/** @param {{icon: string, text: string, alert?: boolean, children?: any}} props */
export function Nothing({ icon, text, alert, children }) {
	return html`<div class="nothing" role=${alert ? "alert" : undefined}><${Icon} name=${icon} /><p>${text}</p>${children}</div>`;
}
