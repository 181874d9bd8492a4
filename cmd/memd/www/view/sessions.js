// @ts-check
/** Settings: where one is logged in, and an end to it from here. */
import { html, useEffect, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { t, words } from "../i18n/i18n.js";
import { browserOf, longDate } from "../model/format.js";

/** GET and POST /sessions of memd(8). @returns {Promise<any[] | null>} null: it is not to be had now */
async function sessions(app, body) {
	const answer = await app.fetch("/sessions", { credentials: "same-origin", ...(body && {
		method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
	}) }).catch(() => null);
	if (answer && answer.status === 401)
		app.signedOut();
	if (!answer || !answer.ok)
		return null;
	return body ? [] : (await answer.json()).sessions;
}

/** The one in use first, then by when they were used. */
const inOrder = (a, b) => Number(b.current) - Number(a.current) || b.seen.localeCompare(a.seen);

export function Sessions({ app }) {
	const [list, setList] = useState(/** @type {any[] | null} */ (null));
	const [away, setAway] = useState(false);
	const title = useRef(/** @type {any} */ (null));
	const look = async () => {
		const got = await sessions(app, null);
		setAway(!got);
		if (got)
			setList(got.sort(inOrder));
	};
	useEffect(() => void look(), []);
	const end = async which => {
		if (await sessions(app, { end: which }))
			app.toasts.say(t("sessions.ended"), { stay: 3000 });
		else
			app.toasts.say(t("sessions.failed"), { failed: true });
		await look();
		title.current?.focus();	/* the button may be gone */
	};
	const when = at => longDate(at, new Date(), words.locale);
	return html`<section><h2 tabindex="-1" ref=${title}>${t("sessions.title")}</h2>
		${away && html`<p class="wrong" role="alert">${t("sessions.away")}</p>`}
		${list && html`<ul class="sessions">${list.map(s => html`<li key=${s.id} class="card"><div>
			<h3>${browserOf(s.client) || t("sessions.unknown")}${s.current && html` <span class="chip">${t("sessions.current")}</span>`}</h3>
			<p>${t("sessions.from", { address: s.address, began: when(s.began) })}<br />${t("sessions.seen", { seen: when(s.seen) })}</p></div>
			${!s.current && html`<${Button} class="line" label=${t("sessions.end")} onClick=${() => void end(s.id)} />`}</li>`)}</ul>`}
		${list && list.length > 1 && html`<div><${Button} class="line" label=${t("sessions.endOthers")} onClick=${() => void end("others")} /></div>`}</section>`;
}
