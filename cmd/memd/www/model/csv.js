// @ts-check
/**
 * Contacts as tables: CSV (RFC 4180) with the column names that Outlook and Google write, in English and German, and back with
 * Outlook's.  The separator is the one that the first line has most of.  A cell that a spreadsheet would carry out is
 * written with an apostrophe in front, which is taken off again.  Pure.
 */
import { fullName } from "./vcard.js";

const MOST = 20000;

/** @param {string} text @returns {string[][]} */
export function rows(text) {
	const plain = text.replace(/^\uFEFF/, "");
	const first = plain.slice(0, plain.search(/[\r\n]|$/));
	const by = [",", ";", "\t"].sort((a, b) => first.split(b).length - first.split(a).length)[0];
	const out = [[""]];
	let quote = false;
	for (let n = 0; n < plain.length; n++) {
		const c = plain[n], row = out[out.length - 1];
		if (quote && c === '"' && plain[n + 1] === '"') {
			row[row.length - 1] += '"';
			n++;
		} else if (c === '"' && (quote || row[row.length - 1] === ""))
			quote = !quote;
		else if (quote)
			row[row.length - 1] += c;
		else if (c === by)
			row.push("");
		else if (c === "\n" || c === "\r") {
			if (c === "\r" && plain[n + 1] === "\n")
				n++;
			out.push([""]);
		} else
			row[row.length - 1] += c;
	}
	return out.filter(r => r.some(Boolean));
}

/** Names of columns, in small letters, to what they are; (n) is a number. @type {[RegExp, string, any?][]} */
const COLUMNS = [
	[/^(first name|given name|vorname)$/, "given"], [/^(middle name|additional name|weitere vornamen)$/, "given2"],
	[/^(last name|family name|surname|nachname)$/, "surname"], [/^(title|name prefix|anrede)$/, "title"], [/^(suffix|name suffix)$/, "credential"],
	[/^(name|display name|full name|file as|anzeigename)$/, "full"], [/^(nickname|spitzname)$/, "nickname"],
	[/^(company|organization name|organization 1 - name|organisation|firma)$/, "org"], [/^(department|organization department|abteilung)$/, "unit"],
	[/^(job title|organization title|organization 1 - title|position)$/, "job"],
	[/^(e-?mail( \d)?( address)?|e-?mail-?adresse|e-?mail( \d)?: adresse|e-?mail \d - value)$/, "email"],
	[/^(mobile phone|mobile|mobiltelefon|handy)$/, "phone", { features: { mobile: true } }], [/^(business phone( 2)?|work phone|telefon \(?gesch.*)$/, "phone", { contexts: { work: true } }],
	[/^(home phone( 2)?|telefon \(?privat\)?( 2)?)$/, "phone", { contexts: { private: true } }], [/^(business fax|home fax|fax.*)$/, "phone", { features: { fax: true } }],
	[/^(phone|primary phone|other phone|telephone|telefon|phone \d - value)$/, "phone"],
	[/^(business street|work address)$/, "name:work"], [/^(business city)$/, "locality:work"], [/^(business state)$/, "region:work"], [/^(business postal code)$/, "postcode:work"], [/^(business country(\/region)?)$/, "country:work"],
	[/^(home street|street|stra(ß|ss)e( privat)?|address \d - street)$/, "name:private"], [/^(home city|city|ort( privat)?|address \d - city)$/, "locality:private"], [/^(home state|state|address \d - region)$/, "region:private"],
	[/^(home postal code|postal code|zip|plz|postleitzahl( privat)?|address \d - postal code)$/, "postcode:private"], [/^(home country(\/region)?|country|land|address \d - country)$/, "country:private"],
	[/^(birthday|geburtstag)$/, "birthday"], [/^(notes|notizen|note)$/, "note"], [/^(web page|website|webseite|website \d - value)$/, "url"],
	[/^(categories|labels|group membership|kategorien)$/, "keywords"],
];

/** @param {string} name */
function column(name) {
	const n = name.trim().toLowerCase();
	const hit = COLUMNS.find(c => c[0].test(n));
	return hit ? { what: hit[1], more: hit[2] || {} } : null;
}

/** "1985-04-12", "12.4.1985", "4/12/1985" */
function birthday(s) {
	const iso = /^(\d{4})-(\d\d?)-(\d\d?)$/.exec(s), german = /^(\d\d?)\.(\d\d?)\.(\d{4})$/.exec(s), english = /^(\d\d?)\/(\d\d?)\/(\d{4})$/.exec(s);
	const [y, m, d] = iso ? iso.slice(1) : german ? [german[3], german[2], german[1]] : english ? [english[3], english[1], english[2]] : [];
	const date = { "@type": "PartialDate", year: Number(y), month: Number(m), day: Number(d) };
	return date.year > 0 && date.month >= 1 && date.month <= 12 && date.day >= 1 && date.day <= 31 ? date : null;
}

function put(card, map, prefix, value) {
	const all = card[map] = card[map] || {};
	all[prefix + (Object.keys(all).length + 1)] = value;
}

/** @param {string[]} cells @param {ReturnType<typeof column>[]} columns */
function cardOf(cells, columns) {
	/** @type {any} */
	const card = { "@type": "Card", version: "1.0" };
	/** @type {Record<string, string>} */
	const name = {}, org = {};
	/** @type {Record<string, any[]>} */
	const places = {};
	columns.forEach((c, n) => {
		const text = (cells[n] || "").trim().replace(/^'(?=[=+\-@\t])/, "");
		if (!c || !text)
			return;
		const [kind, where] = c.what.split(":");
		if (where)
			(places[where] = places[where] || []).push({ kind, value: text });
		else if (["given", "given2", "surname", "title", "credential", "full"].includes(kind))
			name[kind] = name[kind] || text;
		else if (kind === "email")
			put(card, "emails", "e", { address: text });
		else if (kind === "phone")
			put(card, "phones", "p", { number: text, ...c.more });
		else if (kind === "org" || kind === "unit")
			org[kind] = text;
		else if (kind === "job")
			put(card, "titles", "t", { kind: "title", name: text });
		else if (kind === "nickname")
			put(card, "nicknames", "k", { name: text });
		else if (kind === "note")
			put(card, "notes", "n", { note: text });
		else if (kind === "url")
			put(card, "links", "l", { uri: text });
		else if (kind === "keywords")
			card.keywords = Object.fromEntries(text.split(/;| ::: /).map(k => k.trim()).filter(k => k && !k.startsWith("*")).map(k => [k, true]));
		else if (kind === "birthday" && birthday(text))
			put(card, "anniversaries", "y", { kind: "birth", date: birthday(text) });
	});
	const components = ["title", "given", "given2", "surname", "credential"].filter(k => name[k]).map(kind => ({ kind, value: name[kind] }));
	if (components.length || name.full)
		card.name = { ...(components.length && { components, isOrdered: true }), ...(name.full && { full: name.full }) };
	if (org.org || org.unit)
		put(card, "organizations", "o", { ...(org.org && { name: org.org }), ...(org.unit && { units: [{ name: org.unit }] }) });
	for (const [where, list] of Object.entries(places))
		put(card, "addresses", "a", { components: list, contexts: { [where]: true } });
	return card;
}

/** @param {string} text @returns {{cards: any[], lost: number}}  no column known: no cards */
export function parse(text) {
	const [head, ...all] = rows(text);
	const columns = (head || []).map(column);
	if (!columns.some(Boolean))
		return { cards: [], lost: all.length };
	const cards = all.slice(0, MOST).map(r => cardOf(r, columns)).filter(c => Object.keys(c).length > 2);
	return { cards, lost: all.length - cards.length };
}

const part = (card, kind) => ((card.name && card.name.components) || []).filter(c => c.kind === kind).map(c => c.value).join(" ");
const nth = (map, key, n, fits = _ => true) => ((Object.values(map || {}).filter(fits)[n] || {})[key] || "");
const place = (card, kind) => (((/** @type {any} */ (Object.values(card.addresses || {})[0]) || {}).components || []).filter(c => c.kind === kind).map(c => c.value).join(" "));
const day = card => {
	const d = /** @type {any} */ (Object.values(card.anniversaries || {}).find(y => /** @type {any} */ (y).kind === "birth"))?.date;
	return d && d.year && d.month && d.day ? `${d.year}-${String(d.month).padStart(2, "0")}-${String(d.day).padStart(2, "0")}` : "";
};
const mobile = p => !!(p.features && p.features.mobile), work = p => !mobile(p) && !!(p.contexts && p.contexts.work), other = p => !mobile(p) && !work(p);

/** @type {[string, (card: any) => string][]} */
const OUT = [
	["First Name", c => part(c, "given")], ["Middle Name", c => part(c, "given2")], ["Last Name", c => part(c, "surname")], ["Display Name", c => fullName(c.name)],
	["Nickname", c => nth(c.nicknames, "name", 0)], ["Company", c => nth(c.organizations, "name", 0)], ["Job Title", c => nth(c.titles, "name", 0)],
	["E-mail Address", c => nth(c.emails, "address", 0)], ["E-mail 2 Address", c => nth(c.emails, "address", 1)], ["E-mail 3 Address", c => nth(c.emails, "address", 2)],
	["Mobile Phone", c => nth(c.phones, "number", 0, mobile)], ["Business Phone", c => nth(c.phones, "number", 0, work)], ["Home Phone", c => nth(c.phones, "number", 0, other)],
	["Home Street", c => [place(c, "name"), place(c, "number")].filter(Boolean).join(" ")], ["Home Postal Code", c => place(c, "postcode")], ["Home City", c => place(c, "locality")],
	["Home State", c => place(c, "region")], ["Home Country", c => place(c, "country")], ["Birthday", day], ["Web Page", c => nth(c.links, "uri", 0)], ["Notes", c => nth(c.notes, "note", 0)],
];

/** A number with its sign does nothing in a spreadsheet. @param {string} s */
function cell(s) {
	const safe = /^[=+\-@\t\r]/.test(s) && !/^\+?[\d ()\/-]*$/.test(s) ? "'" + s : s;
	return /[",;\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}

/** Groups have no place in a table. @param {any[]} cards @returns {string} */
export function write(cards) {
	const lines = cards.filter(c => c.kind !== "group").map(c => OUT.map(([, f]) => cell(f(c))).join(","));
	return "\uFEFF" + [OUT.map(([name]) => name).join(","), ...lines].map(l => l + "\r\n").join("");
}
