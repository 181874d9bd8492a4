// @ts-check
/**
 * Settings: filters of new mail.  Every change is stored at once, as a whole script (model/filters.js).  A script that
 * was not made here is shown as it is: it can be read, changed as a text, and set aside, and nothing here removes it
 * but who says so.
 */
import { html, useEffect, useId, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Confirm } from "../kit/dialog.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import * as filters from "../model/filters.js";
import { Edit } from "./filter-edit.js";

/** What one did not succeed in, in words; a script's errors are the server's. */
const words = error => (error.type === "stateMismatch" ? t("filters.changed") :
	error.type === "invalidSieve" || error.type === "tooLarge" ? t("filters.refused", { why: error.description || error.type }) : why(error));

/**
 * A rule in hand: as it was when it was taken (null: a new one), where it stood, and what it is so far.
 * @typedef {{was: import("../model/filters.js").Rule | null, n: number, now: import("../model/filters.js").Rule}} Editing
 */

/** @returns {Editing} */
const begun = () => ({ was: null, n: -1, now: filters.blank() });

/** Where it stands now, in a list that may be another one since: as it was, or by its name; -1: nowhere, it is to be a new one.
 * @param {import("../model/filters.js").Rule[]} rules @param {Editing} e */
function place(rules, e) {
	const same = r => r && JSON.stringify(r) === JSON.stringify(e.was);
	const by = [rules.findIndex(same), rules.findIndex(r => r.name === e.was?.name)];
	return same(rules[e.n]) ? e.n : by.find(n => n >= 0) ?? -1;
}

export function Filters({ app }) {
	const [all, setAll] = useState(/** @type {any} */ (null));
	const [editing, setEditing] = useState(/** @type {Editing | null} */ (null));
	const [fresh, setFresh] = useState(false);	/* a list of our own is begun beside somebody else's script */
	const [busy, setBusy] = useState(false);
	const box = useRef(/** @type {any} */ (null));
	const failed = error => app.toasts.say(t("settings.failed", { why: words(error) }), { failed: true });
	const look = () => filters.load(app.transport).then(setAll).catch(failed);
	useEffect(() => void look(), []);
	if (!all)
		return null;
	const { ours, foreign } = filters.choose(all.scripts);
	/** A change, after which all is as the server has it. */
	const change = async f => {
		if (busy)
			return false;
		setBusy(true);
		let done = true;
		try {
			await f();
		} catch (error) {
			failed(error);
			done = false;
		}
		await look();
		setBusy(false);
		return done;
	};
	const rules = (!foreign && ours && ours.rules) || [];
	const keep = async list => {
		const done = await change(() => filters.store(app.transport, all, foreign ? null : ours, filters.write(list)));
		if (done) {
			setEditing(null);
			setFresh(false);
			app.toasts.say(t("settings.saved"), { stay: 3000 });
		}
	};
	const others = all.scripts.filter(s => s !== ours && s !== foreign);
	return html`<section class="filters" ref=${box} aria-busy=${busy}><h2>${t("filters.title")}</h2>
		${foreign && html`<${Foreign} key=${foreign.id} script=${foreign} onSave=${text => change(() => filters.store(app.transport, all, foreign, text))} onAside=${fresh ? null : () => { setFresh(true); setEditing(begun()); }} />`}
		${(!foreign || fresh) && html`<${List} app=${app} box=${box} rules=${rules} editing=${editing} setEditing=${setEditing} onKeep=${list => void keep(list)} />`}
		${!foreign && ours && html`<${Switch} on=${ours.isActive} onTurn=${() => void change(() => filters.activate(app.transport, all, ours.isActive ? "" : ours.id))} />`}
		${others.length > 0 && html`<details><summary>${t("filters.others")}</summary>${others.map(s => html`<${Script} key=${s.id} script=${s} app=${app}
			onUse=${() => void change(() => filters.activate(app.transport, all, s.id))} onDelete=${() => void change(() => filters.remove(app.transport, all, s.id))} />`)}</details>`}</section>`;
}

function Switch({ on, onTurn }) {
	return html`<p class="note">${t(on ? "filters.areOn" : "filters.areOff")} <${Button} class="line" label=${t(on ? "filters.turnOff" : "filters.turnOn")} onClick=${onTurn} /></p>`;
}

/* ---- the list ----------------------------------------------------------------------------------------------------- */

function List({ app, box, rules, editing, setEditing, onKeep }) {
	const next = useRef(/** @type {string[]} */ ([]));	/* what has the focus when the list is there again: the first that can */
	const at = editing ? place(rules, editing) : -2;
	useEffect(() => {
		if (!next.current.length || editing)
			return;
		[...next.current, ".filter-new button"].map(s => box.current.querySelector(s)).find(b => b && !b.disabled)?.focus();
		next.current = [];
	}, [rules, editing]);
	const row = (n, what) => `li:nth-child(${n + 1}) .filter-buttons ${what}`;
	const put = (n, rule) => onKeep(n < 0 ? [...rules, rule] : rules.map((r, i) => (i === n ? rule : r)));
	const move = (n, by) => {
		const list = [...rules];
		list.splice(n + by, 0, ...list.splice(n, 1));
		next.current = [by, -by].map(to => row(n + by, `button:nth-child(${to < 0 ? 1 : 2})`));
		onKeep(list);
	};
	const remove = n => app.layers.open(Confirm, { title: t("filters.deleteTitle", { name: rules[n].name }), yes: t("filters.delete"), no: t("act.cancel"), danger: true,
		onYes: () => { next.current = [row(Math.min(n, rules.length - 2), "button:last-child")]; onKeep(rules.filter((_, i) => i !== n)); } }, { kind: "dialog", label: t("filters.delete") });
	const form = () => html`<${Edit} app=${app} rule=${editing.now} onChange=${now => setEditing({ ...editing, now })} onSave=${x => put(at, x)}
		onCancel=${() => setEditing(null)} />`;
	const take = e => {
		next.current = [e.was ? row(e.n, "button:nth-child(3)") : ".filter-new button"];
		setEditing(e);
	};
	return html`${rules.length === 0 && at !== -1 && html`<p class="note">${t("filters.none")}</p>`}
		${rules.length > 0 && html`<ol>${rules.map((r, n) => html`<li key=${n}>${at === n ? form() : html`<${Row} app=${app} rule=${r} first=${n === 0} last=${n === rules.length - 1}
			held=${!!editing} onTurn=${() => put(n, { ...r, on: !r.on })} onEdit=${() => take({ was: r, n, now: r })} onMove=${by => move(n, by)} onDelete=${() => remove(n)} />`}</li>`)}</ol>`}
		${at === -1 ? form() : html`<div class="filter-new"><${Button} class="line" icon="plus" label=${t("filters.new")} disabled=${!!editing} onClick=${() => take(begun())} /></div>`}`;
}

/** What a condition says, in words. */
function condition(c) {
	if (c.field === "size")
		return t(`filters.size.${c.how}`, { value: c.value });
	return t(`filters.if.${c.how}`, { field: t(`filters.field.${c.field}`), value: c.value });
}

function action(app, a) {
	if (a.kind === "folder") {
		const box = app.boxes.find(n => n.box.id === a.id) || app.boxes.find(n => n.path === a.value);
		return t(box ? "filters.do.folder" : "filters.do.gone", { value: box ? (box.box.role ? t(`role.${box.box.role}`) : box.path) : a.value });
	}
	return t(`filters.do.${a.kind}`, { value: a.value });
}

const summary = (app, r) => t("filters.summary", {
	when: r.match === "every" ? t("filters.every") : r.conditions.map(condition).join(t(`filters.join.${r.match}`)),
	then: filters.ACTIONS.flatMap(kind => r.actions.filter(a => a.kind === kind)).map(a => action(app, a)).join(", "),
});

/** While another rule is in hand, this one stays as it is and where it is: the form would not outlive another list. */
function Row({ app, rule, first, last, held, onTurn, onEdit, onMove, onDelete }) {
	const name = rule.name;
	return html`<div class="filter"><label class="check"><input type="checkbox" checked=${rule.on} disabled=${held} onChange=${onTurn} /><b>${name}</b></label>
		<div class="filter-buttons"><${Button} bare icon="up" label=${t("filters.up", { name })} disabled=${first || held} onClick=${() => onMove(-1)} />
			<${Button} bare icon="down" label=${t("filters.down", { name })} disabled=${last || held} onClick=${() => onMove(1)} />
			<${Button} bare icon="pen" label=${t("filters.edit", { name })} disabled=${held} onClick=${onEdit} /><${Button} bare icon="bin" label=${t("filters.deleteOf", { name })} disabled=${held} onClick=${onDelete} /></div>
		<p>${summary(app, rule)}</p></div>`;
}

/* ---- scripts as they are -------------------------------------------------------------------------------------------- */

function Foreign({ script, onSave, onAside }) {
	const [text, setText] = useState(script.text);
	const id = useId();
	useEffect(() => setText(script.text), [script.text]);
	const save = e => {
		e.preventDefault();
		void onSave(text);
	};
	return html`<form class="card" onSubmit=${save}><p>${t("filters.foreign", { name: script.name })}</p>
		<label class="field" for=${id}><span>${t("filters.script")}</span><textarea id=${id} class="script" spellcheck=${false} wrap="off" value=${text} onInput=${e => setText(e.target.value)}></textarea></label>
		<div class="filter-buttons"><button type="submit" class="button line" disabled=${text === script.text}>${t("settings.save")}</button>
		${onAside && html`<${Button} class="line" label=${t("filters.aside")} onClick=${onAside} />`}</div>
		<p class="note">${t("filters.asideNote")}</p></form>`;
}

function Script({ app, script, onUse, onDelete }) {
	const name = script.name;
	const sure = () => app.layers.open(Confirm, { title: t("filters.deleteTitle", { name }), text: t("filters.deleteText"), yes: t("filters.delete"), no: t("act.cancel"), danger: true, onYes: onDelete },
		{ kind: "dialog", label: t("filters.delete") });
	return html`<div class="filter"><b>${name}</b><div class="filter-buttons"><${Button} class="line" label=${t("filters.use", { name })} onClick=${onUse} />
		<${Button} bare icon="bin" label=${t("filters.deleteOf", { name })} onClick=${sure} /></div><pre class="script" tabindex="0">${script.text}</pre></div>`;
}
