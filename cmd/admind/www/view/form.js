// @ts-check
/**
 * Making an entry, or changing a group of its settings.  What is sent is what was changed, for the version that was
 * looked at: when somebody else has changed it meanwhile nothing is lost, neither theirs nor what is typed here.
 */
import { html, useEffect, useId, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { day, typed } from "../model/format.js";
import { changes, fields, text } from "../model/objects.js";
import { look } from "./detail.js";
import { Field } from "./field.js";

/** An entry's settings as a form has them. @param {any[]} list @param {any} r */
export const texts = (list, r) => Object.fromEntries(list.map(f => [f.name, f.kind === "bytes" ? typed(r[f.name]) : f.kind === "date" ? day(r[f.name]) : text(f, r[f.name])]));

/** A day is its whole: what ends on it ends with it. @param {Record<string, any>} body */
export function days(body) {
	if (body["vacation-end"])
		body["vacation-end"] += "T23:59";
	return body;
}

/** The packages that somebody may give. @param {any} app @param {string} org */
function usePackages(app, org, wanted) {
	const [names, setNames] = useState(/** @type {string[]} */ ([]));
	useEffect(() => {
		if (wanted)
			app.api.call("GET", ["packages"], { args: { limit: 1000 } }).then(({ records }) => setNames(records.map(r => r.package))).catch(() => {});
	}, [org]);
	return names;
}

/** @param {{app: import("../model/app.js").App, kind: any, record: any, org: string, group?: any, saved?: () => Promise<void>, close: () => void}} props  record null: a new one */
export function Form({ app, kind, record, org, group, saved, close }) {
	const make = !record;
	const verb = make ? "create" : "modify";
	const may = app.rights.settings(kind.object, verb, org);
	const list = (make ? kind.create.map(name => fields(kind).find(f => f.name === name)) : group.fields).filter(f => f && may.has(f.name));
	const [base, setBase] = useState(record || {});
	const before = texts(list, base);
	const [now, setNow] = useState(before);
	const [name, setName] = useState("");
	const [over, setOver] = useState("");
	const [password, setPassword] = useState("");
	const [wrong, setWrong] = useState("");
	const [conflict, setConflict] = useState(/** @type {any} */ (null));
	const [busy, setBusy] = useState(false);
	const id = useId();
	const packages = usePackages(app, org, list.some(f => f.kind === "package"));
	const provider = make && kind.object === "org" && app.rights.role() === "provider" ? app.rights.roles.find(r => r.role === "provider")?.over : undefined;
	const whole = kind.org ? `${name.trim().split("@")[0]}@${org}` : name.trim();
	const send = async () => {
		if (make) {
			const body = { ...days(changes(list, before, now)), ...(password ? { password } : {}) };
			const names = kind.object === "org" && (provider || over.trim()) ? [whole, provider || over.trim()] : [whole];
			return app.api.call("POST", [kind.list], { body: { names, ...body } });
		}
		const body = days(changes(list, before, now));
		if (Object.keys(body).length)
			await app.api.call("PATCH", [kind.list, base[kind.key]], { body, version: base.version });
		return null;
	};
	const submit = async e => {
		e.preventDefault();
		if (busy)
			return;
		setBusy(true);
		setWrong("");
		try {
			const said = await send();
			const notes = said ? said.records.filter(r => r.password || r.text) : [];
			close();
			if (make) {
				app.said(t("done.create", { who: whole }));
				notes.filter(r => r.text).forEach(r => app.said(r.text));
				app.table.again();
				app.turn({ open: whole.toLowerCase() });
			} else {
				app.said(t("done.modify", { who: base[kind.key] }));
				await saved?.();
			}
		} catch (error) {
			setBusy(false);
			if (error.status === 412 && !make)
				return void look(app, kind, base[kind.key]).then(setConflict, () => setWrong(why(error)));
			setWrong(why(error));
		}
		return undefined;
	};
	/* What somebody else has done is kept, and beside it what was typed here. */
	const merge = () => {
		const theirs = texts(list, conflict);
		setNow(Object.fromEntries(Object.entries(now).map(([k, v]) => [k, v === before[k] ? theirs[k] : v])));
		setBase(conflict);
		setConflict(null);
	};
	const both = conflict && list.filter(f => texts([f], conflict)[f.name] !== before[f.name]);
	return html`<form class="form" onSubmit=${submit} novalidate><h2>${make ? t(`new.${kind.object}`) : t(`group.${kind.object}.${group.name}`)}</h2>
		${make ? html`<label class="field" for=${id}><span id=${id + "l"}>${t(`name.${kind.object}`)}</span><span class="with"><input id=${id} aria-labelledby=${id + "l"} data-first required spellcheck=${false} autocapitalize="none" autocomplete="off" value=${name} onInput=${e => setName(e.target.value)} />${kind.org && html`<span>@${org}</span>`}</span></label>` : html`<p class="hint">${base[kind.key]}</p>`}
		${make && kind.object === "org" && !provider && html`<label class="field" for=${id + "o"}><span>${t("form.provider")}</span><input id=${id + "o"} spellcheck=${false} autocomplete="off" value=${over} onInput=${e => setOver(e.target.value)} /></label>`}
		${list.map((f, n) => html`<${Field} key=${f.name} field=${f} object=${kind.object} value=${now[f.name] ?? ""} packages=${packages} first=${!make && n === 0} onInput=${v => setNow(was => ({ ...was, [f.name]: v }))} />`)}
		${make && kind.object === "user" && html`<label class="field" for=${id + "p"}><span>${t("form.password")}</span><input id=${id + "p"} type="password" autocomplete="new-password" value=${password} onInput=${e => setPassword(e.target.value)} />
			<small class="hint">${t("hint.password")}</small></label>`}
		${conflict && html`<div class="conflict" role="alert"><p>${t("conflict.says")}</p>${both.length > 0 && html`<ul>${both.map(f => html`<li key=${f.name}><b>${t(`f.${f.name}`)}</b>: ${texts([f], conflict)[f.name] || t("detail.nothing")}</li>`)}</ul>`}
			<${Button} class="line" label=${t("conflict.merge")} onClick=${merge} /></div>`}
		${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
		<div class="buttons"><${Button} label=${t("act.cancel")} onClick=${close} /><button type="submit" class="button primary" aria-busy=${busy} disabled=${!!conflict || (make && !name.trim())}>${make ? t("act.create") : t("act.save")}</button></div></form>`;
}
