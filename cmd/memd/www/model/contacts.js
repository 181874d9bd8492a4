// @ts-check
/**
 * The address book (RFC 9610): books, contacts and groups of contacts, as one knows them here.  They are read when they are
 * asked for first, and then kept up by what has changed; a change is made on the server first and shown when
 * it is there.  A group is a contact of kind "group" whose members are the uids of others.
 */
import { Emitter } from "../kit/store.js";
import { address, unique } from "./address.js";
import { title } from "./vcard.js";

export const CONTACTS = "urn:ietf:params:jmap:contacts";
const PAGE = 400;	/* objects of a request */

/** What the server says of one object that it refuses. */
function refused(answer) {
	return Object.values({ ...answer.notCreated, ...answer.notUpdated, ...answer.notDestroyed })[0];
}

export class Contacts extends Emitter {
	/** @param {import("../jmap/transport.js").Transport} transport */
	constructor(transport) {
		super();
		this.transport = transport;
		/** @type {Map<string, any>} */
		this.cards = new Map();
		/** @type {any[]} */
		this.books = [];
		this.loaded = false;
		this.error = /** @type {any} */ (null);
		this.state = "";
		this.loading = /** @type {Promise<void> | null} */ (null);
	}

	get there() {
		return !!this.transport.session && !!this.transport.can(CONTACTS);
	}

	/** Read, or brought up to date; one at a time. */
	load() {
		if (!this.there)
			return Promise.resolve();
		this.loading = this.loading || (this.loaded ? this.sync() : this.read()).then(() => {
			this.loaded = true;
			this.error = null;
		}).catch(error => {
			this.error = error;
		}).finally(() => {
			this.loading = null;
			this.changed();
		});
		return this.loading;
	}

	async read() {
		const batch = this.transport.batch();
		const books = batch.call("AddressBook/get", { ids: null }), found = batch.call("ContactCard/query", { calculateTotal: true });
		batch.send().catch(() => {});
		this.books = (await books.done).list.sort((a, b) => a.sortOrder - b.sortOrder || a.name.localeCompare(b.name));
		const ids = (await found.done).ids;
		/** @type {Map<string, any>} */
		const cards = new Map();
		let state = "";
		for (let n = 0; n === 0 || n < ids.length; n += PAGE) {
			const got = await this.transport.call("ContactCard/get", { ids: ids.slice(n, n + PAGE) });
			state = state || got.state;	/* what changes meanwhile is told from there */
			for (const c of got.list)
				cards.set(c.id, c);
		}
		this.cards = cards;
		this.state = state;
	}

	async sync() {
		let told;
		try {
			told = await this.transport.call("ContactCard/changes", { sinceState: this.state });
		} catch (error) {
			if (/** @type {any} */ (error).type !== "cannotCalculateChanges")
				throw error;
			return this.read();
		}
		const ids = [...new Set([...told.created, ...told.updated])];
		for (let n = 0; n < ids.length; n += PAGE)
			for (const c of (await this.transport.call("ContactCard/get", { ids: ids.slice(n, n + PAGE) })).list)
				this.cards.set(c.id, c);
		for (const id of told.destroyed)
			this.cards.delete(id);
		this.state = told.newState;
		return undefined;
	}

	/* ---- what there is ---- */

	get groups() {
		return [...this.cards.values()].filter(c => c.kind === "group").sort((a, b) => title(a).localeCompare(title(b)));
	}

	byUid(uid) {
		return [...this.cards.values()].find(c => c.uid === uid);
	}

	/** @param {any} group @returns {any[]} the contacts in it that are there */
	members(group) {
		const uids = group.members || {};
		return [...this.cards.values()].filter(c => uids[c.uid] && c.kind !== "group");
	}

	/** In order. @param {{text?: string, group?: string, book?: string}} what @param {string} [locale] */
	list(what, locale) {
		const words = (what.text || "").toLowerCase().split(/\s+/).filter(Boolean);
		const group = what.group ? this.cards.get(what.group) : null;
		const order = new Intl.Collator(locale, { sensitivity: "base", numeric: true });
		return [...this.cards.values()].filter(c => (group ? c.kind !== "group" && (group.members || {})[c.uid] : c.kind !== "group") &&
		    (!what.book || c.addressBookIds[what.book]) && words.every(w => haystack(c).includes(w)))
		    .map(c => ({ card: c, key: sortName(c) })).sort((a, b) => order.compare(a.key, b.key)).map(x => x.card);
	}

	/** What a word in a field of recipients may mean. @param {string} text @param {Set<string>} taken
	 * @returns {{name: string | null, email: string, members?: any[]}[]} */
	offers(text, taken) {
		const word = text.trim().toLowerCase();
		const out = [];
		for (const c of this.cards.values()) {
			const name = title(c);
			const hit = name.toLowerCase().split(/[\s,.-]+/).some(w => w.startsWith(word)) || name.toLowerCase().startsWith(word);
			if (c.kind === "group") {
				const members = unique(this.members(c).flatMap(m => addresses(m).slice(0, 1)), taken);
				if (hit && members.length)
					out.push({ name, email: "group:" + c.id, members });
				continue;
			}
			for (const a of addresses(c))
				if ((hit || a.email.toLowerCase().startsWith(word)) && !taken.has(address(a)))
					out.push(a);
		}
		return out;
	}

	/* ---- changes ---- */

	async set(type, args) {
		const answer = await this.transport.call(type + "/set", args);
		const no = refused(answer);
		await this.load();
		if (no)
			throw no;
		return answer;
	}

	/** @param {any} card new, or a patch of one with `id` @returns {Promise<string>} its id */
	async save(card) {
		const { id, ...rest } = card;
		if (id) {
			await this.set("ContactCard", { update: { [id]: rest } });
			return id;
		}
		const answer = await this.set("ContactCard", { create: { new: { addressBookIds: { [this.home]: true }, ...rest } } });
		return answer.created.new.id;
	}

	/** The book that new contacts go to. */
	get home() {
		return (this.books.find(b => b.isDefault) || this.books[0] || { id: "default" }).id;
	}

	/** @param {string[]} ids */
	async remove(ids) {
		for (let n = 0; n < ids.length; n += PAGE)
			await this.set("ContactCard", { destroy: ids.slice(n, n + PAGE) });
	}

	/** In which groups a contact is: those of `wanted`, no others. @param {any} card @param {Set<string>} wanted */
	async regroup(card, wanted) {
		const update = {};
		const key = card.uid.replace(/~/g, "~0").replace(/\//g, "~1");
		for (const g of this.groups)
			if (!!(g.members || {})[card.uid] !== wanted.has(g.id))
				update[g.id] = wanted.has(g.id) ? (g.members ? { ["members/" + key]: true } : { members: { [card.uid]: true } }) : { ["members/" + key]: null };
		if (Object.keys(update).length)
			await this.set("ContactCard", { update });
	}

	/**
	 * Cards of a file.  One whose uid is here already takes its place, so that a file may be read twice.
	 * @param {any[]} cards @returns {Promise<{made: number, changed: number, failed: number}>}
	 */
	async take(cards) {
		await this.load();
		const known = new Map([...this.cards.values()].map(c => [c.uid, c]));
		const once = [...new Map(cards.map((c, n) => [c.uid || n, c])).values()];
		const done = { made: 0, changed: 0, failed: 0 };
		for (let n = 0; n < once.length; n += PAGE) {
			const create = {}, update = {};
			once.slice(n, n + PAGE).forEach((c, i) => {
				const is = c.uid && known.get(c.uid);
				if (is)
					update[is.id] = c;
				else
					create["k" + i] = { addressBookIds: { [this.home]: true }, ...c };
			});
			const answer = await this.transport.call("ContactCard/set", { create, update });
			done.made += Object.keys(answer.created || {}).length;
			done.changed += Object.keys(answer.updated || {}).length;
			done.failed += Object.keys({ ...answer.notCreated, ...answer.notUpdated }).length;
		}
		await this.load();
		return done;
	}
}

/** @param {any} card @returns {{name: string | null, email: string}[]} the preferred one first */
export function addresses(card) {
	const name = title(card);
	return Object.values(card.emails || {}).sort((a, b) => (a.pref || 101) - (b.pref || 101))
	    .map(e => ({ name: name && name !== e.address ? name : null, email: e.address }));
}

/** What a search looks at, in small letters. */
function haystack(c) {
	const of = map => Object.values(map || {}).map(v => Object.values(v).filter(x => typeof x === "string").join(" "));
	return [title(c), ...of(c.nicknames), ...of(c.organizations), ...of(c.emails), ...of(c.phones), ...of(c.notes)].join(" ").toLowerCase();
}

/** Surname first, as a list of people is ordered. */
function sortName(c) {
	const part = kind => ((c.name && c.name.components) || []).filter(x => x.kind === kind).map(x => x.value).join(" ");
	return part("surname") ? `${part("surname")} ${part("given")}` : title(c);
}

/* ---- a contact as a form has it ---- */

const first = map => Object.entries(map || {})[0] || [];

/** @param {any} [card] */
export function form(card = {}) {
	const part = kind => ((card.name && card.name.components) || []).filter(x => x.kind === kind).map(x => x.value).join(" ");
	const full = card.name && !card.name.components && card.name.full ? card.name.full.trim() : "";
	const at = full.lastIndexOf(" ");
	const place = kind => ((first(card.addresses)[1] || {}).components || []).filter(x => x.kind === kind).map(x => x.value).join(" ");
	const born = Object.values(card.anniversaries || {}).find(a => a.kind === "birth");
	const d = born && born.date;
	const row = (map, key) => Object.entries(map || {}).map(([id, v]) => ({ id, text: v[key], type: v.features && v.features.mobile ? "mobile" : v.contexts && v.contexts.work ? "work" : v.contexts && v.contexts.private ? "private" : "" }));
	return {
		given: full ? full.slice(0, Math.max(at, 0)) : part("given"), surname: full ? full.slice(at + 1) : part("surname"),
		org: (first(card.organizations)[1] || {}).name || "", job: (first(card.titles)[1] || {}).name || "",
		emails: row(card.emails, "address"), phones: row(card.phones, "number"),
		street: [place("name"), place("number")].filter(Boolean).join(" "), postcode: place("postcode"), city: place("locality"), country: place("country"),
		birthday: d && d.year && d.month && d.day ? `${d.year}-${String(d.month).padStart(2, "0")}-${String(d.day).padStart(2, "0")}` : "",
		note: (first(card.notes)[1] || {}).note || "",
	};
}

/** A map with its first value set to `part`, or without it when nothing is left. */
function one(map, prefix, part, empty) {
	const all = { ...map };
	const key = first(map)[0] || prefix + "1";
	const value = { ...all[key], ...part };
	for (const k of Object.keys(value))
		if (value[k] === undefined || value[k] === "")
			delete value[k];
	if (empty)
		delete all[key];
	else
		all[key] = value;
	return Object.keys(all).length ? all : null;
}

function many(map, prefix, rows, key) {
	const all = {};
	let n = 0;
	for (const r of rows.filter(x => x.text.trim())) {
		const was = (r.id && map && map[r.id]) || {};
		const { work: _w, private: _p, ...contexts } = was.contexts || {};
		const { mobile: _m, ...features } = was.features || {};
		if (r.type === "work" || r.type === "private")
			contexts[r.type] = true;
		if (r.type === "mobile")
			features.mobile = true;
		const { contexts: _c, features: _f, ...rest } = was;
		let id = r.id;
		while (!id || all[id])
			id = prefix + ++n;
		all[id] = { ...rest, [key]: r.text.trim(), ...(Object.keys(contexts).length && { contexts }), ...(Object.keys(features).length && { features }) };
	}
	return Object.keys(all).length ? all : null;
}

const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/** What of a card a form changes: a patch; what the form does not show stays. @param {any} card @param {ReturnType<typeof form>} f */
export function changes(card, f) {
	const was = form(card);
	const patch = {};
	const changed = (...keys) => keys.some(k => !same(was[k], f[k]));
	if (changed("given", "surname")) {
		const others = ((card.name && card.name.components) || []).filter(c => c.kind !== "given" && c.kind !== "surname" && c.kind !== "separator");
		const before = others.filter(c => c.kind === "title"), behind = others.filter(c => c.kind !== "title");
		const components = [...before, ...(f.given.trim() ? [{ kind: "given", value: f.given.trim() }] : []), ...behind.filter(c => c.kind === "given2"),
			...(f.surname.trim() ? [{ kind: "surname", value: f.surname.trim() }] : []), ...behind.filter(c => c.kind !== "given2")];
		patch.name = components.length ? { components, isOrdered: true } : null;
	}
	if (changed("org"))
		patch.organizations = one(card.organizations, "o", { name: f.org.trim() }, !f.org.trim() && !(first(card.organizations)[1] || {}).units);
	if (changed("job"))
		patch.titles = one(card.titles, "t", { name: f.job.trim() }, !f.job.trim());
	if (changed("emails"))
		patch.emails = many(card.emails, "e", f.emails, "address");
	if (changed("phones"))
		patch.phones = many(card.phones, "p", f.phones, "number");
	if (changed("street", "postcode", "city", "country")) {
		const kinds = { name: f.street, postcode: f.postcode, locality: f.city, country: f.country };
		const kept = ((first(card.addresses)[1] || {}).components || []).filter(c => !(c.kind in kinds) && c.kind !== "number");
		const components = [...Object.entries(kinds).filter(([, v]) => v.trim()).map(([kind, v]) => ({ kind, value: v.trim() })), ...kept];
		patch.addresses = one(card.addresses, "a", { components, full: undefined }, !components.length);
	}
	if (changed("birthday")) {
		const [key] = Object.entries(card.anniversaries || {}).find(([, a]) => a.kind === "birth") || ["y1"];
		const all = { ...card.anniversaries };
		const [year, month, day] = f.birthday.split("-").map(Number);
		delete all[key];
		if (f.birthday)
			all[key] = { kind: "birth", date: { "@type": "PartialDate", year, month, day } };
		patch.anniversaries = Object.keys(all).length ? all : null;
	}
	if (changed("note"))
		patch.notes = one(card.notes, "n", { note: f.note }, !f.note.trim());
	return patch;
}
