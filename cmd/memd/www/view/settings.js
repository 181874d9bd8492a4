// @ts-check
/** Settings: one page, what is changed is kept at once; signatures and the vacation reply have a button since they are texts. */
import { html, useEffect, useId, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { useStore } from "../kit/store.js";
import { t, words } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { useMail } from "./context.js";
import { CAPABILITY as SIEVE } from "../model/filters.js";
import { Filters } from "./filters.js";
import { Password } from "./password.js";
import { Sessions } from "./sessions.js";

export function Settings() {
	const app = useMail();
	return html`<main class="settings" aria-label=${t("settings.title")}><div class="settings-head">
		<${Button} bare icon="back" label=${t("act.back")} onClick=${() => app.go({ kind: "box", value: app.role("inbox")?.id })} /><h1>${t("settings.title")}</h1></div>
		<${Look} app=${app} /><${Writing} app=${app} /><${Reading} app=${app} /><${Identities} app=${app} />
		${app.transport.can("urn:ietf:params:jmap:vacationresponse") && html`<${Vacation} app=${app} />`}
		${app.transport.can(SIEVE) && html`<${Filters} app=${app} />`}<${Password} app=${app} /><${Sessions} app=${app} /></main>`;
}

function change(app, part) {
	app.settings.change(part).catch(error => app.toasts.say(t("settings.failed", { why: why(error) }), { failed: true }));
}

/** A few choices as radio buttons. */
function Choice({ label, value, options, onChange }) {
	const name = useId();
	return html`<fieldset class="choice"><legend>${label}</legend><div>${options.map(([v, text]) => html`<label key=${v}><input type="radio" name=${name} checked=${v === value} onChange=${() => onChange(v)} /><span>${text}</span></label>`)}</div></fieldset>`;
}

function Look({ app }) {
	const s = useStore(app.settings);
	const id = useId();
	const language = async v => {
		change(app, { language: v });
		await words.use(words.choose(app.settings.languages(navigator.languages)));
	};
	return html`<section><h2>${t("settings.look")}</h2>
		<${Choice} label=${t("settings.theme")} value=${s.theme} onChange=${theme => change(app, { theme })} options=${["auto", "light", "dark"].map(v => [v, t(`settings.theme.${v}`)])} />
		<${Choice} label=${t("settings.density")} value=${s.density} onChange=${density => change(app, { density })} options=${["comfortable", "compact"].map(v => [v, t(`settings.density.${v}`)])} />
		<label class="field" for=${id}><span>${t("settings.language")}</span><select id=${id} value=${s.language} onChange=${e => void language(e.target.value)}>
			<option value="auto">${t("settings.language.auto")}</option>${words.languages.map(([code, name]) => html`<option key=${code} value=${code} lang=${code}>${name}</option>`)}</select></label></section>`;
}

const UNDO = [0, 5, 10, 20, 30];	/* s */

function Writing({ app }) {
	const s = useStore(app.settings);
	const id = useId();
	return html`<section><h2>${t("settings.writing")}</h2>
		<${Choice} label=${t("settings.format")} value=${s.rich ? "rich" : "plain"} onChange=${v => change(app, { rich: v === "rich" })} options=${[["rich", t("compose.rich")], ["plain", t("compose.plain")]]} />
		<label class="field" for=${id}><span>${t("settings.undoTime")}</span><select id=${id} value=${String(s.undoSeconds)} onChange=${e => change(app, { undoSeconds: Number(e.target.value) })}>
			${UNDO.map(n => html`<option key=${n} value=${n}>${n ? t("settings.seconds", { n }) : t("settings.noUndo")}</option>`)}</select></label>
		${"registerProtocolHandler" in navigator && html`<div class="field"><span>${t("settings.mailto")}</span><div><${Button} class="line" label=${t("settings.mailtoUse")}
			onClick=${() => navigator.registerProtocolHandler("mailto", `${location.origin}/?mailto=%s`)} /></div></div>`}</section>`;
}

function Reading({ app }) {
	const s = useStore(app.settings);
	return html`<section><h2>${t("settings.reading")}</h2>
		<${Choice} label=${t("settings.pictures")} value=${s.pictures} onChange=${pictures => change(app, { pictures })} options=${["ask", "always"].map(v => [v, t(`settings.pictures.${v}`)])} />
		${s.pictureSenders.length > 0 && html`<div class="field"><span>${t("settings.senders")}</span><div class="chips">${s.pictureSenders.map(a => html`<span class="chip" key=${a}><span>${a}</span>
			<button type="button" aria-label=${t("compose.removeRecipient", { who: a })} onClick=${() => change(app, { pictureSenders: s.pictureSenders.filter(x => x !== a) })}><${Icon} name="clear" /></button></span>`)}</div></div>`}</section>`;
}

function Identities({ app }) {
	const all = app.cache.all("Identity");
	if (!all.length)
		return null;
	return html`<section><h2>${t("settings.identities")}</h2>${all.map(i => html`<${Identity} key=${i.id} app=${app} of=${i} />`)}</section>`;
}

function Identity({ app, of }) {
	const [name, setName] = useState(of.name || "");
	const [signature, setSignature] = useState(of.textSignature || "");
	const id = useId();
	const save = async e => {
		e.preventDefault();
		try {
			const part = { name, textSignature: signature };
			const answer = await app.transport.call("Identity/set", { update: { [of.id]: part } });
			if (answer.notUpdated && answer.notUpdated[of.id])
				throw answer.notUpdated[of.id];
			app.cache.settle("Identity", of.id, part);
			app.toasts.say(t("settings.saved"), { stay: 3000 });
		} catch (error) {
			app.toasts.say(t("settings.failed", { why: why(error) }), { failed: true });
		}
	};
	return html`<form class="card" onSubmit=${save}><h3>${of.email}</h3>
		<label class="field" for=${id + "n"}><span>${t("settings.name")}</span><input id=${id + "n"} type="text" value=${name} onInput=${e => setName(e.target.value)} /></label>
		<label class="field" for=${id + "s"}><span>${t("settings.signature")}</span><textarea id=${id + "s"} value=${signature} onInput=${e => setSignature(e.target.value)}></textarea></label>
		<div><button type="submit" class="button line">${t("settings.save")}</button></div></form>`;
}

const dayOf = iso => (iso ? iso.slice(0, 10) : "");

function Vacation({ app }) {
	const [v, setV] = useState(/** @type {any} */ (null));
	const [wrong, setWrong] = useState("");
	const id = useId();
	useEffect(() => {
		app.transport.call("VacationResponse/get", { ids: ["singleton"] }).then(got => setV(got.list[0]))
		    .catch(error => app.toasts.say(t("settings.failed", { why: why(error) }), { failed: true }));
	}, []);
	if (!v)
		return null;
	const set = part => setV({ ...v, ...part });
	const save = async e => {
		e.preventDefault();
		if (v.fromDate && v.toDate && v.toDate < v.fromDate)
			return setWrong(t("settings.vacation.order"));
		setWrong("");
		try {
			const { isEnabled, fromDate, toDate, subject, textBody } = v;
			const answer = await app.transport.call("VacationResponse/set", { update: { singleton: { isEnabled, fromDate, toDate, subject: subject || null, textBody: textBody || null } } });
			if (answer.notUpdated && answer.notUpdated.singleton)
				throw answer.notUpdated.singleton;
			app.toasts.say(t("settings.saved"), { stay: 3000 });
		} catch (error) {
			app.toasts.say(t("settings.failed", { why: why(error) }), { failed: true });
		}
		return undefined;
	};
	const date = (key, label, time) => html`<label class="field" for=${id + key}><span>${label}</span><input id=${id + key} type="date" value=${dayOf(v[key])} onInput=${e => set({ [key]: e.target.value ? `${e.target.value}T${time}Z` : null })} /></label>`;
	return html`<section><h2>${t("settings.vacation")}</h2><form class="card" onSubmit=${save} novalidate>
		<label class="check"><input type="checkbox" checked=${v.isEnabled} onChange=${e => set({ isEnabled: e.target.checked })} /><span>${t("settings.vacation.on")}</span></label>
		<div class="two">${date("fromDate", t("settings.vacation.from"), "00:00:00")}${date("toDate", t("settings.vacation.until"), "23:59:59")}</div>
		<label class="field" for=${id + "s"}><span>${t("settings.vacation.subject")}</span><input id=${id + "s"} type="text" value=${v.subject || ""} onInput=${e => set({ subject: e.target.value })} /></label>
		<label class="field" for=${id + "t"}><span>${t("settings.vacation.text")}</span><textarea id=${id + "t"} value=${v.textBody || ""} onInput=${e => set({ textBody: e.target.value })}></textarea></label>
		${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
		<div><button type="submit" class="button line">${t("settings.save")}</button></div></form></section>`;
}
