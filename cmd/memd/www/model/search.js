// @ts-check
/**
 * What is typed into the search field, as terms and as a JMAP filter (RFC 8621 4.4.1).
 *
 *	word "two words"  from: to: cc: subject: body:   has:attachment
 *	is:unread is:read is:flagged is:answered is:draft   before:2026-11-30 after:2026-11 on:2026-11-30
 *	in:FOLDER label:NAME larger:5M smaller:100k   -TERM excludes; TERM or TERM
 *
 * Anything that cannot be understood is a word to look for: nobody is told off for a colon.  parse() and
 * write() are a pair: a term that was made a chip goes back into the same words.
 */

/** @typedef {{field: string, value: string, not: boolean, or: boolean}} Term  or: joined to the term before */

const FIELDS = new Set(["from", "to", "cc", "bcc", "subject", "body", "has", "is", "before", "after", "on", "in",
	"label", "larger", "smaller"]);
const TEXTS = new Set(["from", "to", "cc", "bcc", "subject", "body"]);
const IS = {
	unread: { notKeyword: "$seen" }, read: { hasKeyword: "$seen" }, flagged: { hasKeyword: "$flagged" },
	answered: { hasKeyword: "$answered" }, draft: { hasKeyword: "$draft" }, unflagged: { notKeyword: "$flagged" },
};
const UNITS = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** @param {string} text @returns {Term[]} */
export function parse(text) {
	const terms = [];
	const word = /(-)?(?:([a-z]+):)?(?:"([^"]*)"?|(\S+))/giy;
	let or = false;
	for (let at = 0; at < text.length;) {
		if (/\s/.test(text[at])) {
			at++;
			continue;
		}
		word.lastIndex = at;
		const m = word.exec(text);
		if (!m)		/* "from:" with nothing behind it */
			break;
		at = word.lastIndex;
		const field = (m[2] || "").toLowerCase();
		const value = m[3] ?? m[4];
		if (m[0].toLowerCase() === "or" && terms.length) {
			or = true;
			continue;
		}
		const known = FIELDS.has(field) && understood(field, value);
		terms.push(known ? { field, value, not: !!m[1], or } :
			{ field: "text", value: field ? `${m[2]}:${value}` : value, not: !!m[1], or });
		or = false;
	}
	return terms.filter(t => t.value !== "");
}

function understood(field, value) {
	switch (field) {
	case "has": return value.toLowerCase() === "attachment";
	case "is": return value.toLowerCase() in IS;
	case "before": case "after": case "on": return !!day(value);
	case "larger": case "smaller": return bytes(value) !== null;
	default: return true;
	}
}

/** @param {Term[]} terms @returns {string} */
export const write = terms => terms.map(t => (t.or ? "or " : "") + (t.not ? "-" : "") +
	(t.field === "text" ? "" : t.field + ":") +
	(/[\s"]/.test(t.value) || t.value === "" || (t.field === "text" && t.value.toLowerCase() === "or") ? `"${t.value.replace(/"/g, "")}"` : t.value)).join(" ");

/** The first moment of a day, month or year as typed, and of the next. @returns {[Date, Date] | null} */
export function day(value) {
	const m = /^(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?$/.exec(value);
	if (!m)
		return null;
	const [y, mo, d] = [Number(m[1]), m[2] ? Number(m[2]) - 1 : 0, m[3] ? Number(m[3]) : 1];
	const first = new Date(y, mo, d);
	if (first.getMonth() !== mo || first.getDate() !== d)
		return null;
	const next = new Date(m[2] ? y : y + 1, m[3] ? mo : m[2] ? mo + 1 : 0, m[3] ? d + 1 : 1);
	return [first, next];
}

/** The same of a value that understood() has let through. @returns {[Date, Date]} */
const days = value => /** @type {[Date, Date]} */ (day(value));

function bytes(value) {
	const m = /^(\d+(?:\.\d+)?)([kmg]?)b?$/i.exec(value);
	return m ? Math.round(Number(m[1]) * UNITS[m[2].toLowerCase()]) : null;
}

const utc = date => date.toISOString().replace(/\.\d+Z$/, "Z");

/**
 * @param {Term[]} terms
 * @param {{mailbox?: (name: string) => string | null, exclude?: string[]}} ctx the id of a folder named so;
 *	mailboxes that are not looked through unless `in:` names one
 * @returns {object | null} null: everything
 */
export function toFilter(terms, ctx = {}) {
	const groups = [];
	for (const t of terms) {
		const one = t.not ? { operator: "NOT", conditions: [condition(t, ctx)] } : condition(t, ctx);
		if (t.or && groups.length)
			groups[groups.length - 1].push(one);
		else
			groups.push([one]);
	}
	const all = groups.map(g => g.length > 1 ? { operator: "OR", conditions: g } : g[0]);
	if (ctx.exclude && ctx.exclude.length && !terms.some(t => t.field === "in"))
		all.push({ inMailboxOtherThan: ctx.exclude });
	return all.length > 1 ? { operator: "AND", conditions: all } : all[0] || null;
}

function condition(t, ctx) {
	if (t.field === "text" || TEXTS.has(t.field))
		return { [t.field]: t.value };
	switch (t.field) {
	case "has": return { hasAttachment: true };
	case "is": return IS[t.value.toLowerCase()];
	case "before": return { before: utc(days(t.value)[0]) };
	case "after": return { after: utc(days(t.value)[0]) };
	case "on": return {
		operator: "AND",
		conditions: [{ after: utc(days(t.value)[0]) }, { before: utc(days(t.value)[1]) }],
	};
	case "larger": return { minSize: bytes(t.value) };
	case "smaller": return { maxSize: bytes(t.value) };
	case "label": return { hasKeyword: t.value };
	default: {
		const id = ctx.mailbox && ctx.mailbox(t.value);
		return id ? { inMailbox: id } : { text: `in:${t.value}` };
	}
	}
}

/** What can be offered for the word that is being typed: [{insert, field}] of keywords that begin so. */
export function offers(text) {
	const last = /(?:^|\s)(-?)([a-z]*)$/i.exec(text);
	if (!last)
		return [];
	const typed = last[2].toLowerCase();
	return ["from:", "to:", "subject:", "has:attachment", "is:unread", "is:flagged", "before:", "after:", "in:", "label:"]
	    .filter(o => o.startsWith(typed))
	    .map(o => ({ insert: text.slice(0, text.length - typed.length) + o + (o.endsWith(":") ? "" : " "), what: o }));
}
