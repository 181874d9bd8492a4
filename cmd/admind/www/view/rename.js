// @ts-check
/** Another name for a user or a list; the old address stays an alias, and what has to be done besides is said. */
import { html, useId, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";

/** @param {{app: import("../model/app.js").App, kind: any, name: string, close: () => void}} props */
export function Rename({ app, kind, name, close }) {
	const [local, domain] = [name.slice(0, name.lastIndexOf("@")), name.slice(name.lastIndexOf("@") + 1)];
	const [text, setText] = useState(local);
	const [wrong, setWrong] = useState("");
	const [notes, setNotes] = useState(/** @type {string[] | null} */ (null));
	const id = useId();
	const submit = async e => {
		e.preventDefault();
		try {
			const said = await app.api.call("POST", [kind.list, name, "rename"], { body: { names: [text.trim()] } });
			app.table.again();
			app.turn({ open: `${text.trim().toLowerCase()}@${domain}` }, true);
			const words = said.records.filter(r => r.text).map(r => r.text);
			words.length ? setNotes(words) : close();
			app.said(t("done.rename", { who: name, to: text.trim() }));
		} catch (error) {
			setWrong(why(error));
		}
	};
	if (notes)
		return html`<h2>${t("rename.notes")}</h2>${notes.map(n => html`<p key=${n}>${n}</p>`)}<div class="buttons"><${Button} primary data-first label=${t("act.close")} onClick=${close} /></div>`;
	return html`<form onSubmit=${submit} novalidate><h2>${t("do.rename")}</h2><p>${t("rename.says", { who: name })}</p>
		<label class="field" for=${id}><span id=${id + "l"}>${t(`name.${kind.object}`)}</span><span class="with"><input id=${id} aria-labelledby=${id + "l"} data-first value=${text} spellcheck=${false} onInput=${e => setText(e.target.value)} /><span>@${domain}</span></span></label>
		${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
		<div class="buttons"><${Button} label=${t("act.cancel")} onClick=${close} /><button type="submit" class="button primary" disabled=${!text.trim() || text.trim() === local}>${t("do.rename")}</button></div></form>`;
}
