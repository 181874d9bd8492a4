// @ts-check
/** One's own account: what it has, the answer while away, forwarding, the password.  Everybody has this, with a role or without. */
import { html, useEffect, useId, useState } from "../kit/html.js";
import { useStore } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { bytes } from "../model/format.js";
import { KINDS, changes, fields } from "../model/objects.js";
import { Button } from "../kit/button.js";
import { exportPerson } from "./export.js";
import { Factor } from "./factor.js";
import { Field } from "./field.js";
import { days, texts } from "./form.js";
import { Head, Nothing } from "./head.js";

const of = names => names.map(n => fields(KINDS.users).find(f => f.name === n));
const AWAY = of(["vacation-start", "vacation-end", "vacation-subject", "vacation", "vacation-internal"]);
const FORWARD = of(["forward"]);

/** What delivery does, with one thing on or off; mail that goes nowhere stays in the mailbox. @param {string[]} now @param {string} what @param {boolean} on */
export function delivery(now, what, on) {
	const next = now.filter(x => x !== what);
	if (on)
		next.push(what);
	return next.some(x => x !== "autoreply") ? next : ["mailbox", ...next];
}

/** @param {{app: import("../model/app.js").App}} props */
export function Own({ app }) {
	const { user } = useStore(app.ui);
	const [r, setR] = useState(/** @type {any} */ (null));
	const [error, setError] = useState(/** @type {any} */ (null));
	const load = () => app.api.call("GET", ["users", user]).then(now => { setR(now); setError(null); }, setError);
	useEffect(() => void load(), [user]);
	const roles = app.rights.roles.map(x => `${t(`role.${x.role}`)}${x.over ? ` (${x.over})` : ""}`);
	return html`<main class="view" id="main" tabindex="-1" aria-busy=${!r && !error}><${Head} app=${app} title=${t("nav.own")} sub=${user} />
		<div class="own">${error && html`<${Nothing} icon="warn" alert text=${why(error)} />`}
		${r && html`<section><h2>${r.name || user}</h2><dl>
			<div><dt>${t("f.mail")}</dt><dd>${r.mail}</dd></div>
			${r.alias && html`<div><dt>${t("f.alias")}</dt><dd>${r.alias.join(", ")}</dd></div>`}
			${r.quota !== undefined && html`<div><dt>${t("f.quota")}</dt><dd>${bytes(r.quota)}</dd></div>`}
			${roles.length > 0 && html`<div><dt>${t("nav.roles")}</dt><dd>${roles.join(", ")}</dd></div>`}</dl></section>
			<${Part} key=${"a" + r.version} app=${app} r=${r} title=${t("group.user.vacation")} on=${t("own.away")} word="autoreply" list=${AWAY} load=${load} />
			<${Part} key=${"f" + r.version} app=${app} r=${r} title=${t("own.forward")} on=${t("own.forwards")} word="forward" list=${FORWARD} load=${load} keep=${app.rights.may("user", "modify", user.split("@")[1])} />`}
		<${Password} app=${app} user=${user} />${app.rights.verbs.has("factor show") && html`<${Factor} app=${app} user=${user} />`}
		<section><h2>${t("own.data")}</h2><p>${t("own.data.says")}</p><div><${Button} class="line" icon="download" label=${t("do.export")} onClick=${() => void exportPerson(app, user)} /></div></section></div></main>`;
}

/** A thing that delivery does, with its settings. @param {any} props */
function Part({ app, r, title, on, word, list, load, keep }) {
	const before = texts(list, r);
	const was = r.delivery || [];
	const [now, setNow] = useState(before);
	const [does, setDoes] = useState(was.includes(word));
	const [copy, setCopy] = useState(was.includes("mailbox"));
	const [wrong, setWrong] = useState("");
	const submit = async e => {
		e.preventDefault();
		setWrong("");
		const { "vacation-start": from, "vacation-end": until } = now;
		if (from && until && until < from)
			return setWrong(t("own.order"));
		if (word === "forward" && does && !now.forward.trim())
			return setWrong(t("own.nowhere"));
		const body = days(changes(list, before, now));
		let next = delivery(was, word, does);
		if (keep && does)
			next = copy ? delivery(next, "mailbox", true) : next.filter(x => x !== "mailbox");
		/* Values that come and go, so that others may change theirs. */
		const added = next.filter(x => !was.includes(x)), taken = was.filter(x => !next.includes(x));
		if (added.length)
			body["delivery+"] = added;
		if (taken.length)
			body["delivery-"] = taken;
		try {
			if (Object.keys(body).length)
				await app.api.call("PATCH", ["users", r.user], { body, version: r.version });
			app.said(t("own.saved"));
			await load();
		} catch (error) {
			setWrong(why(error));
			if (error.status === 412)
				await load();
		}
		return undefined;
	};
	return html`<section><h2>${title}</h2><form onSubmit=${submit} novalidate>
		<label class="check"><input type="checkbox" checked=${does} onChange=${e => setDoes(e.target.checked)} /><span>${on}</span></label>
		${list.map(f => html`<${Field} key=${f.name} field=${f} object="user" value=${now[f.name] ?? ""} onInput=${v => setNow(x => ({ ...x, [f.name]: v }))} />`)}
		${keep && html`<label class="check"><input type="checkbox" checked=${copy || !does} disabled=${!does} onChange=${e => setCopy(e.target.checked)} /><span>${t("own.copy")}</span></label>`}
		${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
		<div><button type="submit" class="button line">${t("act.save")}</button></div></form></section>`;
}

/** The old one is asked for, so that a page left open is not enough. */
function Password({ app, user }) {
	const [v, setV] = useState({ old: "", first: "", second: "" });
	const [wrong, setWrong] = useState("");
	const id = useId();
	const submit = async e => {
		e.preventDefault();
		setWrong("");
		if (v.first !== v.second)
			return setWrong(t("password.differ"));
		try {
			await app.api.request("POST", "/password", { old: v.old, new: v.first });
			setV({ old: "", first: "", second: "" });
			app.said(t("password.changed"));
		} catch (error) {
			setWrong(error.code === "wrong" ? t("password.wrong") : why(error));
		}
		return undefined;
	};
	const field = (key, label, auto) => html`<label class="field" for=${id + key}><span>${label}</span><input id=${id + key} type="password" autocomplete=${auto} required value=${v[key]} onInput=${e => setV({ ...v, [key]: e.target.value })} /></label>`;
	return html`<section><h2>${t("form.password")}</h2><form onSubmit=${submit}><input type="text" name="username" autocomplete="username" value=${user} hidden readonly />
		${field("old", t("password.old"), "current-password")}<div class="two">${field("first", t("password.new"), "new-password")}${field("second", t("password.again"), "new-password")}</div>
		${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}<div><button type="submit" class="button line">${t("password.change")}</button></div></form></section>`;
}
