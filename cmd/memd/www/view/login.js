// @ts-check
/** Logging in: also over the page, when a session has ended while somebody was working. */
import { cls, html, useId, useState } from "../kit/html.js";
import { useStore } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { useApp } from "./context.js";

/** @param {{ended?: boolean}} props */
export function Login({ ended }) {
	const app = useApp();
	const { signon, said, asksCode } = useStore(app.ui);
	const [user, setUser] = useState(ended ? app.state.user : "");
	const [password, setPassword] = useState("");
	const [code, setCode] = useState("");
	const [wrong, setWrong] = useState(/** @type {string | null} */ (null));
	const [busy, setBusy] = useState(false);
	const id = useId();
	const submit = async e => {
		e.preventDefault();
		if (busy)
			return;
		setBusy(true);
		setWrong(null);
		const words = await app.door.login(user.trim(), password, code.replace(/\s/g, ""));
		setBusy(false);
		if (words)
			setWrong(words);
	};
	const typed = !signon || signon.form;
	const form = html`<form class="login" onSubmit=${submit}>
		<div class="brand"><${Brand} /></div>
		<h1>${t("login.title")}</h1>
		${ended && html`<p>${t("login.ended")}</p>`}
		${said && !ended && html`<p role="status">${said}</p>`}
		${typed && html`<label class="field" for=${id + "u"}><span>${t("login.user")}</span><input id=${id + "u"} name="username" autocomplete="username" autocapitalize="none" spellcheck=${false}
			required autofocus=${!ended} value=${user} onInput=${e => setUser(e.target.value)} /></label>
		<label class="field" for=${id + "p"}><span>${t("login.password")}</span><input id=${id + "p"} name="password" type="password" autocomplete="current-password"
			required data-first value=${password} onInput=${e => setPassword(e.target.value)} aria-describedby=${wrong ? id + "w" : undefined} /></label>`}
		${typed && asksCode && html`<label class="field" for=${id + "c"}><span>${t("login.codeField")}</span><input id=${id + "c"} name="code" autocomplete="one-time-code" inputmode="text"
			autocapitalize="none" spellcheck=${false} required autofocus value=${code} onInput=${e => setCode(e.target.value)} aria-describedby=${wrong ? id + "w" : undefined} /></label>`}
		${wrong && html`<p class="wrong" role="alert" id=${id + "w"}>${wrong}</p>`}
		${typed && html`<button class="button primary" type="submit" aria-busy=${busy}>${t("login.submit")}</button>`}
		${signon && html`<${Provider} app=${app} signon=${signon} ended=${ended} />`}</form>`;
	return ended ? form : html`<main class="login-page">${form}</main>`;
}

/** To the site's provider; over a page that somebody works in, in another tab, which tells this one (model/door.js). */
function Provider({ app, signon, ended }) {
	return html`${signon.form && html`<p class="or" aria-hidden="true"><span>${t("signon.or")}</span></p>`}
		<a class=${cls("button", signon.form ? "line" : "primary")} href=${ended ? "/signon?to=%2F" : app.door.signonAddress()} data-first=${!signon.form}
			target=${ended ? "_blank" : undefined} rel=${ended ? "noopener" : undefined}>${signon.name || t("signon.submit")}</a>
		${ended && html`<p>${t("signon.elsewhere")}</p>`}`;
}

/** The organisation's name and logo, when the server says them. */
export function Brand() {
	const app = useApp();
	const brand = app.state.brand || {};
	return html`${brand.logo ? html`<img src=${brand.logo} alt="" />` : html`<img src="/icon.svg" alt="" width="22" height="22" />`}<span>${brand.name || (app.state.user.split("@")[1] || location.hostname)}</span>`;
}
