// @ts-check
/** Settings: another password.  The old one is asked for, so that a page left open is not enough. */
import { html, useId, useState } from "../kit/html.js";
import { t } from "../i18n/i18n.js";

/** What POST /password of memd(8) says, in words. @param {number} status @param {string} code */
function refusal(status, code) {
	if (status === 422)
		return t("password.weak");
	if (status === 429)
		return t("login.wait");
	if (code === "wrong")
		return t("password.wrong");
	if (code === "unknown")
		return t("password.unknown");
	return status === 403 ? t("password.denied") : t("login.away");
}

export function Password({ app }) {
	const [v, setV] = useState({ old: "", first: "", second: "" });
	const [wrong, setWrong] = useState("");
	const [busy, setBusy] = useState(false);
	const id = useId();
	const ask = async () => {
		if (v.first !== v.second)
			return t("password.differ");
		try {
			const answer = await app.fetch("/password", { method: "POST", headers: { "Content-Type": "application/json" }, credentials: "same-origin",
				body: JSON.stringify({ old: v.old, new: v.first }) });
			const said = await answer.json().catch(() => ({}));
			if (answer.status === 401)
				app.signedOut();
			return answer.ok ? "" : refusal(answer.status, said.code);
		} catch {
			return t("password.unknown");		/* the question may have come there */
		}
	};
	const save = async e => {
		e.preventDefault();
		if (busy)
			return;
		setBusy(true);
		const words = await ask();
		setBusy(false);
		setWrong(words);
		if (words)
			return;
		setV({ old: "", first: "", second: "" });
		app.toasts.say(t("password.changed"));
	};
	const field = (key, label, auto) => html`<label class="field" for=${id + key}><span>${label}</span><input id=${id + key} type="password" autocomplete=${auto} required
		value=${v[key]} onInput=${e => setV({ ...v, [key]: e.target.value })} aria-describedby=${wrong ? id + "w" : undefined} /></label>`;
	return html`<section><h2>${t("password.title")}</h2><form class="card" onSubmit=${save}>
		<input type="text" name="username" autocomplete="username" value=${app.state.user} hidden readonly />
		${field("old", t("password.old"), "current-password")}
		<div class="two">${field("first", t("password.new"), "new-password")}${field("second", t("password.again"), "new-password")}</div>
		${wrong && html`<p class="wrong" id=${id + "w"} role="alert">${wrong}</p>`}
		<div><button type="submit" class="button line" aria-busy=${busy}>${t("password.change")}</button></div></form></section>`;
}
