// @ts-check
/** Logging in: in two steps where there is a second factor; also over the page, when a session has ended meanwhile. */
import { html, useEffect, useId, useRef, useState } from "../kit/html.js";
import { t } from "../i18n/i18n.js";
import { useApp } from "./context.js";

/** @param {{ended?: boolean}} props */
export function Login({ ended }) {
	const app = useApp();
	const [user, setUser] = useState(ended ? app.state.user : "");
	const [password, setPassword] = useState("");
	const [code, setCode] = useState("");
	const [second, setSecond] = useState(false);
	const [wrong, setWrong] = useState("");
	const [busy, setBusy] = useState(false);
	const field = useRef(/** @type {any} */ (null));
	const id = useId();
	useEffect(() => second && field.current && field.current.focus(), [second]);
	const submit = async e => {
		e.preventDefault();
		if (busy)
			return;
		setBusy(true);
		setWrong("");
		const said = await app.login(user.trim(), password, second ? code.trim() : "");
		setBusy(false);
		setSecond(!!said.second);
		setWrong(said.wrong || "");
		setCode("");
	};
	const described = wrong ? id + "w" : undefined;
	const form = html`<form class="login" onSubmit=${submit}>
		<div class="brand"><img src="/icon.svg" alt="" width="22" height="22" /><span>${location.hostname}</span></div>
		<h1>${second ? t("login.second") : t("login.title")}</h1>
		${ended && html`<p>${t("login.ended")}</p>`}
		<label class="field" hidden=${second}><span>${t("login.user")}</span><input id=${id + "u"} name="username" autocomplete="username" autocapitalize="none" spellcheck=${false}
			required autofocus=${!ended} value=${user} onInput=${e => setUser(e.target.value)} /></label>
		<label class="field" hidden=${second}><span>${t("login.password")}</span><input id=${id + "p"} name="password" type="password" autocomplete="current-password"
			required data-first value=${password} onInput=${e => setPassword(e.target.value)} aria-describedby=${described} /></label>
		${second && html`<label class="field"><span>${t("login.code")}</span><input ref=${field} name="code" autocomplete="one-time-code" spellcheck=${false}
			required value=${code} onInput=${e => setCode(e.target.value)} aria-describedby=${described} /></label><p class="hint">${t("login.code.says")}</p>`}
		${wrong && html`<p class="wrong" role="alert" id=${id + "w"}>${wrong}</p>`}
		<button class="button primary" type="submit" aria-busy=${busy}>${t("login.submit")}</button>
		${second && html`<button class="button" type="button" onClick=${() => { setSecond(false); setPassword(""); }}>${t("login.other")}</button>`}</form>`;
	return ended ? form : html`<main class="login-page">${form}</main>`;
}
