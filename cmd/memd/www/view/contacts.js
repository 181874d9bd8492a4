// @ts-check
/** The address book: groups and people on the left, one of them on the right, to read or to change; files in and out. */
import { cls, html, useEffect, useId, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Ask, Confirm } from "../kit/dialog.js";
import { Menu } from "../kit/menu.js";
import { useWatch } from "../kit/store.js";
import { VirtualList } from "../kit/virtual.js";
import { t, words } from "../i18n/i18n.js";
import { valid } from "../model/address.js";
import { why } from "../model/app.js";
import { blank } from "../model/compose.js";
import { addresses, changes, form } from "../model/contacts.js";
import { title } from "../model/vcard.js";
import { Avatar } from "./avatar.js";
import { useMail } from "./context.js";
import { give } from "./source.js";

const ROW = 56;		/* px */
const FREED = 60000;	/* ms until a file's memory is given back */

export function Contacts() {
	const app = useMail();
	const book = app.contacts;
	useWatch(book);
	const [text, setText] = useState("");
	const [group, setGroup] = useState("");
	useEffect(() => void book.load(), [book]);
	const at = app.state.route.value;
	const list = book.list({ text, group: book.cards.has(group) ? group : "" }, words.intl);
	const card = at === "new" ? {} : book.cards.get(at);
	const narrow = at ? "reading" : "";
	return html`<main class=${cls("contacts", narrow)} aria-label=${t("contacts.title")}>
		<section class="people" aria-label=${t("contacts.people")}>
			<div class="settings-head"><${Button} bare icon="back" label=${t("act.back")} onClick=${() => app.go({ kind: "box", value: app.role("inbox")?.id })} /><h1>${t("contacts.title")}</h1><span class="space"></span>
				<${Button} bare icon="plus" label=${t("contacts.new")} onClick=${() => app.go({ kind: "contacts", value: "new" })} />
				<${Button} bare icon="more" label=${t("contacts.more")} onClick=${e => more(app, list, e.currentTarget, group)} /></div>
			<input class="input" type="search" aria-label=${t("contacts.search")} placeholder=${t("contacts.search")} value=${text} onInput=${e => setText(e.target.value)} />
			<${Groups} app=${app} group=${group} setGroup=${setGroup} />
			<${People} app=${app} list=${list} at=${at} group=${group} text=${text} /></section>
		${card ? html`<${One} key=${at} app=${app} card=${card} />` : html`<section class="person nothing"><p class="hint">${t("contacts.choose")}</p></section>`}</main>`;
}

function Groups({ app, group, setGroup }) {
	const groups = app.contacts.groups;
	if (!groups.length)
		return null;
	return html`<div class="groups" role="group" aria-label=${t("contacts.groups")}><button type="button" class="chip" aria-pressed=${!group} onClick=${() => setGroup("")}>${t("contacts.all")}</button>
		${groups.map(g => html`<button type="button" class="chip" key=${g.id} aria-pressed=${group === g.id} onClick=${() => setGroup(group === g.id ? "" : g.id)}>${title(g)}</button>`)}</div>`;
}

function People({ app, list, at, group, text }) {
	const book = app.contacts;
	if (book.error && !book.loaded)
		return html`<div class="nothing" role="alert"><p>${t("contacts.failed", { why: why(book.error) })}</p><${Button} primary label=${t("start.again")} onClick=${() => void book.load()} /></div>`;
	if (!list.length)
		return html`<div class="nothing" role="status"><p>${!book.loaded ? t("list.load") : text || group ? t("contacts.none") : t("contacts.empty")}</p></div>`;
	const row = n => {
		const c = list[n];
		const a = addresses(c)[0];
		return html`<a class=${cls("contact", c.id === at && "on")} key=${c.id} style=${{ height: `${ROW}px` }} href=${"/contacts/" + encodeURIComponent(c.id)} aria-current=${c.id === at ? "true" : undefined}
			onClick=${e => { if (!e.ctrlKey && !e.metaKey && !e.shiftKey && !e.button) { e.preventDefault(); app.go({ kind: "contacts", value: c.id }); } }}>
			<${Avatar} of=${{ name: title(c), email: a ? a.email : title(c) }} small /><span><b>${title(c) || t("contacts.noName")}</b>${a && html`<span>${a.email}</span>`}</span></a>`;
	};
	return html`<p class="hidden-text" role="status">${t("contacts.count", { n: list.length })}</p>
		<${VirtualList} count=${list.length} height=${ROW} at=${-1} row=${row} onRange=${() => {}} />`;
}

function say(app, error) {
	app.toasts.say(t("contacts.notSaved", { why: why(error) }), { failed: true });
}

/* ---- one of them ---- */

function One({ app, card }) {
	const [edits, setEdits] = useState(!card.id);
	const back = () => app.go({ kind: "contacts", value: "" });
	return html`<section class="person" aria-label=${title(card) || t("contacts.new")}>
		<div class="settings-head"><${Button} bare class="narrow-only" icon="back" label=${t("act.back")} onClick=${back} /><h2>${title(card) || t("contacts.new")}</h2></div>
		${edits ? html`<${Form} app=${app} card=${card} done=${id => { setEdits(false); app.go({ kind: "contacts", value: id || card.id || "" }, true); }} />` :
			html`<${Shown} app=${app} card=${card} edit=${() => setEdits(true)} />`}</section>`;
}

const kindName = kind => (kind === "mobile" ? t("contacts.mobile") : kind === "work" ? t("contacts.work") : kind === "private" ? t("contacts.private") : t("contacts.other"));
const kindOf = v => (v.features && v.features.mobile ? t("contacts.mobile") : v.contexts && v.contexts.work ? t("contacts.work") : v.contexts && v.contexts.private ? t("contacts.private") : "");

function Shown({ app, card, edit }) {
	const f = form(card);
	const to = a => app.outbox.open(blank({ rich: app.settings.state.rich, to: [a] }));
	const line = (label, value) => value && html`<div><dt>${label}</dt><dd>${value}</dd></div>`;
	const groups = app.contacts.groups.filter(g => (g.members || {})[card.uid]);
	const remove = () => app.layers.open(Confirm, { title: t("contacts.reallyDelete", { name: title(card) }), yes: t("act.delete"), no: t("act.cancel"), danger: true,
		onYes: () => app.contacts.remove([card.id]).then(() => { app.toasts.say(t("contacts.deleted")); app.go({ kind: "contacts", value: "" }, true); }).catch(e => say(app, e)) }, { kind: "dialog", label: t("act.delete") });
	return html`<div class="card"><dl class="facts">
		${line(t("contacts.org"), [f.job, f.org].filter(Boolean).join(", "))}
		${addresses(card).map(a => html`<div key=${a.email}><dt>${t("contacts.email")}</dt><dd><button type="button" class="link" onClick=${() => to(a)}>${a.email}</button></dd></div>`)}
		${Object.entries(card.phones || {}).map(([id, p]) => html`<div key=${id}><dt>${kindOf(p) || t("contacts.phone")}</dt><dd>${p.number}</dd></div>`)}
		${line(t("contacts.address"), [f.street, [f.postcode, f.city].filter(Boolean).join(" "), f.country].filter(Boolean).join(", "))}
		${line(t("contacts.birthday"), f.birthday && new Date(f.birthday + "T12:00:00Z").toLocaleDateString(words.intl, { dateStyle: "long" }))}
		${line(t("contacts.note"), f.note)}${line(t("contacts.groups"), groups.map(title).join(", "))}</dl>
		<div class="buttons"><${Button} primary label=${t("contacts.edit")} onClick=${edit} />
		${addresses(card)[0] && html`<${Button} class="line" icon="pen" label=${t("contacts.write")} onClick=${() => to(addresses(card)[0])} />`}
		<${Button} class="line" icon="bin" label=${t("act.delete")} onClick=${remove} /></div></div>`;
}

/** Lines of a kind, with one more to fill in. */
function Many({ rows, label, kinds, type, onChange, wrong }) {
	const id = useId();
	const all = [...rows, { id: "", text: "", type: "" }];
	const set = (n, part) => onChange(all.map((r, i) => (i === n ? { ...r, ...part } : r)).filter((r, i) => r.text || r.id || i < rows.length));
	return html`<fieldset class="many"><legend>${label}</legend>${all.map((r, n) => html`<div key=${n} class="many-line">
		<input class="input" id=${`${id}-${n}`} type=${type} aria-label=${label} value=${r.text} aria-invalid=${wrong(r.text)} onInput=${e => set(n, { text: e.target.value })} />
		<select class="input" aria-label=${t("contacts.kind")} value=${r.type} onChange=${e => set(n, { type: e.target.value })}>${kinds.map(k => html`<option key=${k} value=${k}>${kindName(k)}</option>`)}</select></div>`)}</fieldset>`;
}

function Form({ app, card, done }) {
	const [was] = useState(card);	/* the card may become another one meanwhile: what is changed here is not more than that */
	const [f, setF] = useState(() => form(card));
	const [wasIn] = useState(() => new Set(app.contacts.groups.filter(g => (g.members || {})[card.uid]).map(g => g.id)));
	const [groups, setGroups] = useState(wasIn);
	const [wrong, setWrong] = useState("");
	const [busy, setBusy] = useState(false);
	const id = useId();
	const box = useRef(/** @type {any} */ (null));
	useEffect(() => box.current.querySelector("input").focus(), []);
	const set = part => setF({ ...f, ...part });
	const field = (key, label, type = "text") => html`<label class="field" for=${id + key}><span>${label}</span><input id=${id + key} type=${type} value=${f[key]} onInput=${e => set({ [key]: e.target.value })} /></label>`;
	const bad = text => !!text.trim() && !valid(text.trim());
	const save = async e => {
		e.preventDefault();
		if (f.emails.some(m => bad(m.text)))
			return setWrong(t("contacts.badAddress"));
		const patch = changes(was, f);
		if (!card.id && !Object.keys(patch).length)
			return setWrong(t("contacts.nothing"));
		setBusy(true);
		try {
			const all = card.id ? patch : Object.fromEntries(Object.entries(patch).filter(([, v]) => v !== null));
			const saved = card.id && !Object.keys(patch).length ? card.id : await app.contacts.save({ ...(card.id && { id: card.id }), ...all });
			const now = app.contacts.cards.get(saved);
			if (now)
				await app.contacts.regroup(now, new Set(app.contacts.groups.filter(g => (groups.has(g.id) === wasIn.has(g.id) ? (g.members || {})[now.uid] : groups.has(g.id))).map(g => g.id)));
			app.toasts.say(t("settings.saved"), { stay: 3000 });
			done(saved);
		} catch (error) {
			setBusy(false);
			say(app, error);
		}
		return undefined;
	};
	return html`<form class="card" ref=${box} onSubmit=${save} novalidate>
		<div class="two">${field("given", t("contacts.given"))}${field("surname", t("contacts.surname"))}</div>
		<div class="two">${field("org", t("contacts.org"))}${field("job", t("contacts.job"))}</div>
		<${Many} label=${t("contacts.email")} type="email" kinds=${["", "private", "work"]} rows=${f.emails} onChange=${emails => set({ emails })} wrong=${bad} />
		<${Many} label=${t("contacts.phone")} type="tel" kinds=${["", "mobile", "private", "work"]} rows=${f.phones} onChange=${phones => set({ phones })} wrong=${() => false} />
		${field("street", t("contacts.street"))}<div class="two">${field("postcode", t("contacts.postcode"))}${field("city", t("contacts.city"))}</div>
		<div class="two">${field("country", t("contacts.country"))}${field("birthday", t("contacts.birthday"), "date")}</div>
		<label class="field" for=${id + "note"}><span>${t("contacts.note")}</span><textarea id=${id + "note"} value=${f.note} onInput=${e => set({ note: e.target.value })}></textarea></label>
		${app.contacts.groups.length > 0 && html`<fieldset class="choice"><legend>${t("contacts.groups")}</legend><div>${app.contacts.groups.map(g => html`<label key=${g.id} class="check"><input type="checkbox" checked=${groups.has(g.id)}
			onChange=${e => { const next = new Set(groups); e.target.checked ? next.add(g.id) : next.delete(g.id); setGroups(next); }} /><span>${title(g)}</span></label>`)}</div></fieldset>`}
		${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
		<div class="buttons"><${Button} label=${t("act.cancel")} onClick=${() => done("")} /><button type="submit" class="button primary" disabled=${busy}>${t("settings.save")}</button></div></form>`;
}

/* ---- files, groups ---- */

function more(app, list, at, group) {
	const book = app.contacts;
	const name = value => (value.trim() ? null : t("contacts.nameEmpty"));
	const items = [
		{ label: t("contacts.import"), icon: "up", do: () => choose(app) },
		{ label: t("contacts.exportVcard"), icon: "download", disabled: !list.length, do: () => void out(app, list, "4.0") },
		{ label: t("contacts.exportVcardOld"), icon: "download", disabled: !list.length, do: () => void out(app, list, "3.0") },
		{ label: t("contacts.exportCsv"), icon: "download", disabled: !list.length, do: () => void out(app, list, "csv") },
		{ label: t("contacts.newGroup"), icon: "plus", line: true, do: () => app.layers.open(Ask, { title: t("contacts.newGroup"), label: t("folder.name"), yes: t("folder.create"), no: t("act.cancel"), check: name,
			onYes: full => book.save({ kind: "group", name: { full } }).catch(e => say(app, e)) }, { kind: "dialog", label: t("contacts.newGroup") }) },
		...(book.cards.has(group) ? [
			{ label: t("contacts.writeGroup"), icon: "pen", disabled: !book.members(book.cards.get(group)).some(m => addresses(m).length), do: () => app.outbox.open(blank({ rich: app.settings.state.rich,
				to: book.members(book.cards.get(group)).flatMap(m => addresses(m).slice(0, 1)) })) },
			{ label: t("contacts.deleteGroup"), icon: "bin", danger: true, do: () => book.remove([group]).catch(e => say(app, e)) }] : []),
	];
	app.layers.open(Menu, { items }, { kind: "menu", at, label: t("contacts.more") });
}

function choose(app) {
	const input = document.createElement("input");
	input.type = "file";
	input.accept = ".vcf,.vcard,.csv,text/vcard,text/csv";
	input.onchange = () => input.files && input.files[0] && void bring(app, input.files[0]);
	input.click();
}

/** @param {import("../model/app.js").App} app @param {File} file */
export async function bring(app, file) {
	try {
		const bytes = await file.arrayBuffer();
		let text = "";
		try {
			text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
		} catch {
			text = new TextDecoder("windows-1252").decode(bytes);	/* what Outlook writes */
		}
		const { parse } = /begin:vcard/i.test(text) ? await import("../model/vcard.js") : await import("../model/csv.js");
		const { cards, lost } = parse(text);
		const done = cards.length ? await app.contacts.take(cards) : { made: 0, changed: 0, failed: 0 };
		const failed = lost + done.failed;
		app.toasts.say(!cards.length ? t("contacts.importNone") : t("contacts.imported", { n: done.made + done.changed }) + (failed ? " " + t("contacts.importFailed", { n: failed }) : ""), { failed: !cards.length || failed > 0 });
	} catch (error) {
		say(app, error);
	}
}

async function out(app, list, how) {
	const groups = app.contacts.groups;
	const { write } = how === "csv" ? await import("../model/csv.js") : await import("../model/vcard.js");
	const text = write(how === "csv" ? list : [...list, ...groups], how === "csv" ? undefined : how);
	const url = URL.createObjectURL(new Blob([text], { type: how === "csv" ? "text/csv" : "text/vcard" }));
	setTimeout(() => URL.revokeObjectURL(url), FREED);
	give(url, t("contacts.file") + (how === "csv" ? ".csv" : ".vcf"));
}
