// @ts-check
/** Another name for a user or a list, or another organisation for a user; what has to be done besides is said. */
import { html, useId, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";

/** @param {{app: import("../model/app.js").App, kind: any, name: string, verb: "rename" | "move", close: () => void}} props */
export function Rename({ app, kind, name, verb, close }) {
	const [local, domain] = [name.slice(0, name.lastIndexOf("@")), name.slice(name.lastIndexOf("@") + 1)];
	const moves = verb === "move", was = moves ? domain : local;
	const [text, setText] = useState(was);
	const [wrong, setWrong] = useState("");
	const [notes, setNotes] = useState(/** @type {string[] | null} */ (null));
	const id = useId();
	const to = text.trim().toLowerCase();
	const submit = async e => {
		e.preventDefault();
		try {
			const said = await app.api.call("POST", [kind.list, name, verb], { body: { names: [text.trim()] } });
			const now = moves ? `${local}@${to}` : `${to}@${domain}`;
			app.table.again();
			app.go({ ...app.state.route, org: moves ? to : domain, q: "", open: now }, true);
			const words = said.records.filter(r => r.text).map(r => r.text);
			words.length ? setNotes(words) : close();
			app.said(t(`done.${verb}`, { who: name, to: now }));
		} catch (error) {
			setWrong(why(error));
		}
	};
	if (notes)
		return html`<h2>${t("rename.notes")}</h2>${notes.map(n => html`<p key=${n}>${n}</p>`)}<div class="buttons"><${Button} primary data-first label=${t("act.close")} onClick=${close} /></div>`;
	return html`<form onSubmit=${submit} novalidate><h2>${t(`do.${verb}`)}</h2><p>${t(`says.${verb}`, { who: name })}</p>
		<label class="field" for=${id}><span id=${id + "l"}>${moves ? t("nav.org") : t(`name.${kind.object}`)}</span><span class="with"><input id=${id} aria-labelledby=${id + "l"} data-first value=${text} spellcheck=${false} autocapitalize="none" onInput=${e => setText(e.target.value)} />${!moves && html`<span>@${domain}</span>`}</span></label>
		${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
		<div class="buttons"><${Button} label=${t("act.cancel")} onClick=${close} /><button type="submit" class="button primary" disabled=${!to || to === was}>${t(`do.${verb}`)}</button></div></form>`;
}
