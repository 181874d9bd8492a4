// @ts-check
/** Messages that are to be sent later: when, to whom, and each can be taken back; and the question for a time of one's own. */
import { html, useEffect, useId, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { Menu } from "../kit/menu.js";
import { useWatch } from "../kit/store.js";
import { t, words } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { fullDate, whenDate } from "../model/format.js";
import { badTime, localTime, presets } from "../model/scheduled.js";
import { useMail } from "./context.js";

/** @param {Date | string} at */
export const whenWords = at => whenDate(at, new Date(), words.intl);

/** Times to choose from. @param {any} app @param {any} at the button @param {(at: Date) => void} onChoose */
export function openTimes(app, at, onChoose) {
	const hour = new Intl.DateTimeFormat(words.intl, { hour: "2-digit", minute: "2-digit" });
	const items = presets(new Date()).filter(p => !badTime(p.at, new Date(), app.outbox.delay()))
	    .map(p => ({ label: `${t(p.key)}, ${hour.format(p.at)}`, icon: "clock", do: () => onChoose(p.at) }));
	const own = () => app.layers.open(AskTime, { most: app.outbox.delay(), onYes: onChoose }, { kind: "dialog", label: t("later.title") });
	app.layers.open(Menu, { items: [...items, { label: t("later.own"), icon: "pen", line: true, do: own }] }, { kind: "menu", at, label: t("later.title") });
}

/** @param {{most: number, onYes: (at: Date) => void, close: () => void}} p */
function AskTime({ most, onYes, close }) {
	const first = presets(new Date())[0].at;
	const [text, setText] = useState(localTime(first));
	const [wrong, setWrong] = useState(/** @type {string | null} */ (null));
	const id = useId();
	const done = e => {
		e.preventDefault();
		const at = new Date(text), bad = badTime(at, new Date(), most);
		setWrong(bad);
		if (bad)
			return;
		close();
		onYes(at);
	};
	return html`<form onSubmit=${done} novalidate><h2>${t("later.title")}</h2>
		<label class="field" for=${id}><span>${t("later.when")}</span>
		<input id=${id} type="datetime-local" data-first value=${text} onInput=${e => setText(e.target.value)} aria-invalid=${!!wrong} aria-describedby=${wrong ? id + "w" : undefined} /></label>
		${wrong && html`<p class="wrong" id=${id + "w"} role="alert">${t(wrong, { n: Math.floor(most / 86400) })}</p>`}
		<div class="buttons"><${Button} label=${t("act.cancel")} onClick=${close} /><button class="button primary" type="submit">${t("later.do")}</button></div></form>`;
}

export function ScheduledView() {
	const app = useMail();
	const title = useRef(/** @type {any} */ (null));
	const { scheduled } = app;
	useWatch(scheduled);
	useEffect(() => void scheduled.load(), []);
	const take = async (one, open) => {
		try {
			const back = await scheduled.takeBack(one);
			await app.sync();
			if (back && open)
				await app.editAgain(one.emailId);
			else
				app.toasts.say(t(back ? "later.back" : "compose.tooLate"), { stay: 4000 });
		} catch (error) {
			app.toasts.say(t("done.failed", { why: why(error) }), { failed: true });
		}
		title.current?.focus();	/* the button is gone */
	};
	const to = one => one.to.map(a => a.name || a.email).join(", ");
	return html`<main class="settings"><div class="settings-head"><${Button} bare class="folders-button" icon="menu" label=${t("nav.menu")} onClick=${() => app.ui.set({ folders: !app.state.folders })} />
		<h1 tabindex="-1" ref=${title}>${t("later.list")}</h1></div>
		${scheduled.error && html`<p class="wrong" role="alert">${t("list.failed", { why: why(scheduled.error) })}</p>`}
		${!scheduled.error && !scheduled.list.length && html`<p role="status">${t("later.empty")}</p>`}
		${scheduled.list.length > 0 && html`<section><ul class="sessions scheduled">${scheduled.list.map(one => html`<li key=${one.id} class="card"><div>
			<h3>${one.gone ? t("later.gone") : one.subject || t("list.noSubject")}</h3><p>${t("later.to", { to: to(one) })}<br />
			<time datetime=${one.at} title=${fullDate(one.at, words.intl)}><${Icon} name="clock" />${whenWords(one.at)}</time></p></div>
			<div class="two-buttons">${!one.gone && html`<${Button} class="line" label=${t("later.edit")} onClick=${() => void take(one, true)} />`}
			<${Button} class="line" label=${t("later.cancel")} onClick=${() => void take(one, false)} /></div></li>`)}</ul></section>`}</main>`;
}
