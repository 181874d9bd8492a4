// @ts-check
/**
 * Contacts as files: vCard 4 and 3 (RFC 6350, 2426, 2.1 as telephones still write it) to JSContact Cards (RFC 9553)
 * and back, by the mapping of RFC 9555.  What has no place in a Card is kept in vCardProps (RFC 9555 2.15) and written
 * again.  parse() takes what others write, and passes over what is no property; it never throws.  Pure.
 */

/** @typedef {Record<string, any>} Card */
/** @typedef {{group: string, name: string, params: Record<string, string[]>, value: string}} Property */

const MOST = 20000;	/* cards of a file */
const MOST_VALUES = 500;	/* of a property of one card; those beyond are passed over */

/* ---- lines ---- */

/** Long lines are folded (RFC 6350 3.2); a line of quoted-printable ends with "=" instead. @param {string} text */
function unfold(text) {
	/** @type {string[][]} */
	const lines = [];
	let quotes = false, soft = false;	/* the property in hand is quoted-printable; its last line goes on */
	for (const line of text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/)) {
		if (soft || (/^[ \t]/.test(line) && lines.length))
			lines[lines.length - 1].push(soft ? line : line.slice(1));
		else {
			lines.push([line]);
			quotes = /^[^:]*;(ENCODING=)?QUOTED-PRINTABLE/i.test(line.slice(0, 200));
		}
		const parts_ = lines[lines.length - 1];
		soft = quotes && line.endsWith("=");
		if (soft)
			parts_[parts_.length - 1] = parts_[parts_.length - 1].slice(0, -1);
	}
	return lines.map(l => l.join(""));
}

/** @param {string} text with =XX @param {string} charset */
function quoted(text, charset) {
	const bytes = [];
	for (let n = 0; n < text.length; n++) {
		const hex = text[n] === "=" ? text.slice(n + 1, n + 3) : "";
		if (/^[0-9a-f]{2}$/i.test(hex)) {
			bytes.push(parseInt(hex, 16));
			n += 2;
		} else
			bytes.push(...new TextEncoder().encode(text[n]));
	}
	try {
		return new TextDecoder(charset).decode(new Uint8Array(bytes));
	} catch {
		return new TextDecoder().decode(new Uint8Array(bytes));
	}
}

/** @param {string} line @returns {Property | null} */
function property(line) {
	const head = /^(?:([\w-]+)\.)?([\w-]+)((?:;(?:"[^"]*"|[^":])*)?):/.exec(line);
	if (!head)
		return null;
	/** @type {Record<string, string[]>} */
	const params = {};
	for (const [, key, value] of head[3].matchAll(/;([\w-]+)(?:=((?:"[^"]*"|[^;"])*))?/g)) {
		const name = value === undefined ? (/^(quoted-printable|base64)$/i.test(key) ? "ENCODING" : "TYPE") : key.toUpperCase();
		const all = [...(value ?? key).matchAll(/"([^"]*)"|([^,"]+)/g)].map(m => m[1] ?? m[2]);
		(params[name] = params[name] || []).push(...all.flatMap(v => (name === "TYPE" ? v.split(",") : [v])).slice(0, MOST_VALUES));
	}
	let value = line.slice(head[0].length);
	if (/^quoted-printable$/i.test((params.ENCODING || [""])[0])) {
		value = quoted(value, (params.CHARSET || ["utf-8"])[0]);
		delete params.ENCODING;
	}
	return { group: (head[1] || "").toLowerCase(), name: head[2].toUpperCase(), params, value };
}

/** @param {string} s */
const plain = s => s.replace(/\\(.)/gs, (_, c) => (c === "n" || c === "N" ? "\n" : c)).trim();

/** Parts of a value, at separators that are not escaped. @param {string} s @param {string} by */
function cut(s, by) {
	const out = [""];
	for (let n = 0; n < s.length; n++) {
		if (s[n] === "\\" && n + 1 < s.length)
			out[out.length - 1] += s[n] + s[++n];
		else if (s[n] === by)
			out.push("");
		else
			out[out.length - 1] += s[n];
	}
	return out;
}

/* ---- a vCard to a Card ---- */

const types = p => (p.params.TYPE || []).map(t => t.toLowerCase());
const CONTEXTS = { home: "private", work: "work" };
const FEATURES = { cell: "mobile", mobile: "mobile", voice: "voice", fax: "fax", pager: "pager", text: "text", video: "video", textphone: "textphone" };
const NAME = ["surname", "given", "given2", "title", "credential"];
const PLACE = ["postOfficeBox", "apartment", "name", "locality", "region", "postcode", "country"];

/** What TYPE and PREF say of a value. @param {Property} p */
function said(p) {
	/** @type {Card} */
	const out = {};
	const contexts = types(p).map(t => CONTEXTS[t]).filter(Boolean);
	if (contexts.length)
		out.contexts = Object.fromEntries(contexts.map(c => [c, true]));
	const pref = Number((p.params.PREF || [types(p).includes("pref") ? "1" : ""])[0]);
	if (pref >= 1 && pref <= 100)
		out.pref = pref;
	return out;
}

function add(card, map, prefix, value) {
	const all = card[map] = card[map] || {};
	const n = Object.keys(all).length;
	if (n < MOST_VALUES)
		all[prefix + (n + 1)] = value;
}

/** @param {string} value  "1985-04-12", "19850412", "--0412", "1985" */
function partial(value) {
	const m = /^(\d{4}|--)-?(\d\d)?-?(\d\d)?(T|$)/.exec(value);
	if (!m || (m[1] === "--" && !m[2]))
		return null;
	const date = { "@type": "PartialDate", ...(m[1] !== "--" && { year: Number(m[1]) }), ...(m[2] && { month: Number(m[2]) }), ...(m[3] && { day: Number(m[3]) }) };
	return date;
}

/** @param {Property} p @returns {string} */
function uri(p) {
	const kind = types(p)[0];
	if (/^(b|base64)$/i.test((p.params.ENCODING || [""])[0]))
		return `data:${kind && kind.includes("/") ? kind : "image/" + (kind || "jpeg")};base64,${p.value.replace(/\s/g, "")}`;
	return plain(p.value);
}

/** @type {Record<string, (card: Card, p: Property) => boolean | void>} false: it is kept as it is */
const READ = {
	VERSION() {},
	PRODID() {},
	FN(card, p) { card.name = { ...card.name, full: plain(p.value) }; },
	N(card, p) {
		const parts = cut(p.value, ";");
		const components = [3, 1, 2, 0, 4].flatMap(n => cut(parts[n] || "", ",").map(plain).filter(Boolean).map(value => ({ kind: NAME[n], value })));
		if (components.length)
			card.name = { ...card.name, components, isOrdered: true };
	},
	NICKNAME(card, p) { cut(p.value, ",").map(plain).filter(Boolean).slice(0, MOST_VALUES).forEach(name => add(card, "nicknames", "k", { name })); },
	ORG(card, p) {
		const [name, ...units] = cut(p.value, ";").map(plain);
		if (name || units.some(Boolean))
			add(card, "organizations", "o", { ...(name && { name }), ...(units.some(Boolean) && { units: units.filter(Boolean).map(n => ({ name: n })) }) });
	},
	TITLE(card, p) { add(card, "titles", "t", { kind: "title", name: plain(p.value) }); },
	ROLE(card, p) { add(card, "titles", "t", { kind: "role", name: plain(p.value) }); },
	EMAIL(card, p) {
		const email = plain(p.value).replace(/^mailto:/i, "");
		if (email)
			add(card, "emails", "e", { address: email, ...said(p) });
	},
	TEL(card, p) {
		const number = plain(p.value).replace(/^tel:/i, "");
		const features = types(p).map(t => FEATURES[t]).filter(Boolean);
		if (number)
			add(card, "phones", "p", { number, ...(features.length && { features: Object.fromEntries(features.map(f => [f, true])) }), ...said(p) });
	},
	ADR(card, p) {
		const components = cut(p.value, ";").slice(0, 7).flatMap((v, n) => cut(v, ",").map(plain).filter(Boolean).map(value => ({ kind: PLACE[n], value })));
		if (components.length)
			add(card, "addresses", "a", { components, ...said(p), ...(p.params.LABEL && { full: plain(p.params.LABEL[0]) }) });
	},
	URL(card, p) { add(card, "links", "l", { uri: plain(p.value), ...said(p) }); },
	NOTE(card, p) { add(card, "notes", "n", { note: plain(p.value) }); },
	BDAY(card, p) {
		const date = partial(p.value);
		if (!date)
			return false;
		add(card, "anniversaries", "y", { kind: "birth", date });
		return undefined;
	},
	PHOTO(card, p) {
		const u = uri(p);
		if (!/^(data:image\/|https?:)/i.test(u))
			return false;
		add(card, "media", "m", { kind: "photo", uri: u });
		return undefined;
	},
	CATEGORIES(card, p) { cut(p.value, ",").map(plain).filter(Boolean).slice(0, MOST_VALUES).forEach(k => { (card.keywords = card.keywords || {})[k] = true; }); },
	UID(card, p) { card.uid = plain(p.value); },
	KIND(card, p) { card.kind = plain(p.value).toLowerCase(); },
	"X-ADDRESSBOOKSERVER-KIND"(card, p) { card.kind = plain(p.value).toLowerCase(); },
	MEMBER(card, p) { (card.members = card.members || {})[plain(p.value)] = true; },
	"X-ADDRESSBOOKSERVER-MEMBER"(card, p) { (card.members = card.members || {})[plain(p.value)] = true; },
	LANG(card, p) { add(card, "preferredLanguages", "l", { language: plain(p.value), ...said(p) }); },
	IMPP(card, p) { add(card, "onlineServices", "s", { uri: plain(p.value), ...said(p) }); },
	REV() {},
};

/** @param {string} text of a file @returns {{cards: Card[], lost: number}}  lost: cards without an end, or past the bound */
export function parse(text) {
	/** @type {Card[]} */
	const cards = [];
	/** @type {Card | null} */
	let card = null;
	let lost = 0;
	for (const line of unfold(text)) {
		const p = property(line);
		if (!p)
			continue;
		if (p.name === "BEGIN" && /^vcard$/i.test(p.value.trim())) {
			lost += card ? 1 : 0;
			card = { "@type": "Card", version: "1.0" };
		} else if (p.name === "END" && card) {
			if (cards.length < MOST)
				cards.push(card);
			else
				lost++;
			card = null;
		} else if (card && (!READ[p.name] || READ[p.name](card, p) === false))
			(card.vCardProps = card.vCardProps || []).length < MOST_VALUES && card.vCardProps.push([p.name.toLowerCase(), p.params.TYPE ? { type: p.params.TYPE } : {}, "unknown", p.value]);
	}
	return { cards, lost: lost + (card ? 1 : 0) };
}

/* ---- a Card to a vCard ---- */

/** @param {string} s */
const esc = s => String(s).replace(/\\/g, "\\\\").replace(/\r?\n|\r/g, "\\n").replace(/([,;])/g, "\\$1");

/** At most 75 octets a line, whole characters (RFC 6350 3.2). @param {string} line */
function fold(line) {
	let out = "", octets = 0;
	for (const c of line) {
		const code = c.codePointAt(0) || 0, n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
		if (octets + n > 75) {
			out += "\r\n ";
			octets = 1;
		}
		out += c;
		octets += n;
	}
	return out + "\r\n";
}

/** TYPE and PREF of a value. @param {any} v @param {boolean} four @param {string[]} [more] */
function params(v, four, more = []) {
	const all = [...more, ...Object.keys(v.contexts || {}).map(c => ({ private: "home", work: "work" })[c]).filter(Boolean)];
	if (v.pref && !four)
		all.push("pref");
	return (all.length ? `;TYPE=${four && all.length > 1 ? `"${all.join(",")}"` : all.join(",")}` : "") + (v.pref && four ? `;PREF=${v.pref}` : "");
}

const values = map => Object.values(map || {});
const parts = (list, kinds) => kinds.map(k => (list || []).filter(c => c.kind === k).map(c => esc(c.value)).join(",")).join(";");

/** @param {any} name @returns {string} */
export function fullName(name) {
	if (!name)
		return "";
	return name.full || (name.components || []).filter(c => c.kind !== "separator").map(c => c.value).join(" ");
}

/** What to call a card. @param {Card} card @returns {string} */
export function title(card) {
	const first = (map, key) => (values(map).find(x => x[key]) || {})[key];
	return fullName(card.name) || first(card.organizations, "name") || first(card.nicknames, "name") || first(card.emails, "address") || first(card.phones, "number") || "";
}

/** @param {any} d a PartialDate or Timestamp */
function day(d, four) {
	if (d.utc)
		return d.utc.slice(0, 10);
	const two = n => String(n).padStart(2, "0");
	if (!d.year)
		return d.month ? `--${two(d.month)}${d.day ? (four ? "" : "-") + two(d.day) : ""}` : "";
	if (!d.month)
		return String(d.year);
	return four ? `${d.year}${d.day ? two(d.month) + two(d.day) : "-" + two(d.month)}` : `${d.year}-${two(d.month)}${d.day ? "-" + two(d.day) : ""}`;
}

function photo(uri_, four) {
	const data = /^data:image\/([\w.+-]+);base64,(.*)$/is.exec(uri_);
	return data && !four ? `PHOTO;ENCODING=b;TYPE=${data[1].toUpperCase()}:${data[2]}` : `PHOTO${four ? "" : ";VALUE=uri"}:${uri_}`;
}

/** @param {Card} card @param {boolean} four */
function lines(card, four) {
	const phone = { mobile: "cell", voice: "voice", fax: "fax", pager: "pager", text: "text", video: "video", textphone: "textphone" };
	const name = card.name && card.name.components;
	const whole = title(card) || "?";
	const group = card.kind === "group";
	return [
		"BEGIN:VCARD", `VERSION:${four ? "4.0" : "3.0"}`, ...(card.uid ? [`UID:${esc(card.uid)}`] : []),
		...(card.kind && card.kind !== "individual" ? [four ? `KIND:${esc(card.kind)}` : `X-ADDRESSBOOKSERVER-KIND:${esc(card.kind)}`] : []),
		`FN:${esc(whole)}`,
		...(name ? [`N:${parts(name, NAME)}`] : four ? [] : [`N:${group ? esc(whole) : esc(whole.split(" ").slice(-1)[0])};${group ? "" : esc(whole.split(" ").slice(0, -1).join(" "))};;;`]),
		...(card.nicknames ? [`NICKNAME:${values(card.nicknames).map(n => esc(n.name)).join(",")}`] : []),
		...values(card.organizations).map(o => `ORG:${[o.name || "", ...(o.units || []).map(u => u.name)].map(esc).join(";")}`),
		...values(card.titles).map(x => `${x.kind === "role" ? "ROLE" : "TITLE"}:${esc(x.name)}`),
		...values(card.emails).map(e => `EMAIL${params(e, four, four ? [] : ["INTERNET"])}:${esc(e.address)}`),
		...values(card.phones).map(p => `TEL${params(p, four, Object.keys(p.features || {}).map(f => phone[f]).filter(Boolean))}:${esc(p.number)}`),
		...values(card.addresses).map(a => `ADR${params(a, four)}:${parts((a.components || []).map(c => (c.kind === "number" ? { ...c, kind: "name" } : c)), PLACE)}`),
		...values(card.links).map(l => `URL${params(l, four)}:${l.uri}`),
		...values(card.onlineServices).filter(s => s.uri).map(s => `IMPP${params(s, four)}:${s.uri}`),
		...values(card.anniversaries).filter(y => y.kind === "birth" && day(y.date, four)).map(y => `BDAY:${day(y.date, four)}`),
		...values(card.notes).map(n => `NOTE:${esc(n.note)}`),
		...values(card.media).filter(m => m.kind === "photo" && m.uri).map(m => photo(m.uri, four)),
		...(card.keywords ? [`CATEGORIES:${Object.keys(card.keywords).map(esc).join(",")}`] : []),
		...Object.keys(card.members || {}).map(m => `${four ? "MEMBER" : "X-ADDRESSBOOKSERVER-MEMBER"}:${esc(m)}`),
		...(card.vCardProps || []).filter(p => /^[a-z][\w-]*$/i.test(p[0]) && typeof p[3] === "string" && !/[\r\n]/.test(p[3])).map(p => `${p[0].toUpperCase()}${kept(p[1])}:${p[3]}`),
		"END:VCARD",
	];
}

/** @param {any} p the parameters of a property that was kept */
const kept = p => (p && Array.isArray(p.type) && p.type.every(x => /^[\w-]+$/.test(x)) ? `;TYPE=${p.type.join(",")}` : "");

/** @param {Card[]} cards @param {"4.0" | "3.0"} [version] @returns {string} */
export function write(cards, version = "4.0") {
	return cards.map(c => lines(c, version === "4.0").map(l => fold(l.replace(/[\r\n]/g, " "))).join("")).join("");
}
