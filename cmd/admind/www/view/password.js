// @ts-check
/** Another password for somebody: a given one, or one that the directory makes, which is shown once. */
import { html, useId, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";

/** @param {{app: import("../model/app.js").App, kind: any, name: string, over: () => Promise<void>, close: () => void}} props */
export function NewPassword({ app, kind, name, over, close }) {
	const [text, setText] = useState("");
	const [made, setMade] = useState("");
	const [wrong, setWrong] = useState("");
	const id = useId();
	const submit = async e => {
		e.preventDefault();
		try {
			const said = await app.api.call("POST", [kind.list, name, "password"], { body: text ? { password: text } : {} });
			const password = said.records.map(r => r.password).find(Boolean);
			app.said(t("done.password", { who: name }));
			password ? setMade(password) : close();
			await over();
		} catch (error) {
			setWrong(why(error));
		}
	};
	if (made)
		return html`<h2>${t("password.made", { who: name })}</h2><p>${t("password.once")}</p><p><output class="secret">${made}</output></p>
			<div class="buttons"><${Button} label=${t("act.copy")} onClick=${() => void navigator.clipboard.writeText(made)} /><${Button} primary data-first label=${t("act.close")} onClick=${close} /></div>`;
	return html`<form onSubmit=${submit} novalidate><h2>${t("do.password")}</h2><p>${t("password.says", { who: name })}</p>
		<label class="field" for=${id}><span>${t("form.password")}</span><input id=${id} data-first type="password" autocomplete="new-password" value=${text} onInput=${e => setText(e.target.value)} />
			<small class="hint">${t("hint.made")}</small></label>
		${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
		<div class="buttons"><${Button} label=${t("act.cancel")} onClick=${close} /><button type="submit" class="button primary">${t("do.password")}</button></div></form>`;
}
