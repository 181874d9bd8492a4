// @ts-check
/** What a conversation shows: who took part, what is read, which messages are open.  Pure. */
import { address, shortName } from "./address.js";

/** @param {any[]} emails of one thread, in any order; oldest first comes out */
export const inOrder = emails => [...emails].sort((a, b) =>
	(a.receivedAt || "").localeCompare(b.receivedAt || "") || (a.id < b.id ? -1 : 1));

/**
 * One row of a list from the emails of a conversation.
 * @param {any} email that stands in the list @param {any[]} others of the thread (with it or not)
 * @param {{mine: Set<string>, me: string, hideIn?: string[], inSent?: boolean}} how
 *	mine: own addresses; me: the word; hideIn: mailboxes whose mail counts only when the row is of there
 */
export function row(email, others, how) {
	const away = new Set(how.hideIn || []);
	const inAway = e => Object.keys(e.mailboxIds || {}).every(id => away.has(id));
	const emails = inOrder([...new Map([...others, email].map(e => [e.id, e])).values()]
	    .filter(e => e.id === email.id || !inAway(e)));
	const any = word => emails.some(e => e.keywords && e.keywords[word]);
	return {
		id: email.id,
		threadId: email.threadId,
		emails,
		count: emails.length,
		unread: emails.some(e => e.keywords && !e.keywords.$seen && !e.keywords.$draft),
		flagged: any("$flagged"),
		answered: !!(email.keywords && email.keywords.$answered),
		draft: any("$draft"),
		attachment: !!email.hasAttachment,
		names: how.inSent ? recipients(email, how) : participants(emails, how),
		lead: how.inSent ? (email.to && email.to[0]) : lead(emails, how),
		subject: email.subject || "",
		preview: email.preview || "",
		at: email.receivedAt,
		labels: labels(emails),
	};
}

/** Who the avatar is of: the last who is not me. */
function lead(emails, how) {
	const froms = emails.map(e => e.from && e.from[0]).filter(Boolean);
	return froms.reverse().find(f => !how.mine.has(address(f))) || froms[0] || null;
}

function participants(emails, how) {
	const names = new Map();
	for (const e of emails) {
		const from = e.from && e.from[0];
		if (!from)
			continue;
		const unread = !!e.keywords && !e.keywords.$seen && !e.keywords.$draft;
		const mine = how.mine.has(address(from));
		const key = mine ? "" : address(from);
		const old = names.get(key);
		names.set(key, {
			name: mine ? how.me : emails.length > 1 ? shortName(from) : from.name || from.email,
			unread: unread || !!(old && old.unread),
		});
	}
	/* Two people of one conversation: their first names; one alone: the whole. */
	if (names.size === 1 && emails.length > 1) {
		const from = emails.find(e => e.from && e.from[0]).from[0];
		const only = [...names.values()][0];
		if (!how.mine.has(address(from)))
			only.name = from.name || from.email;
	}
	return [...names.values()];
}

function recipients(email, how) {
	return [...(email.to || []), ...(email.cc || [])].map(a => ({
		name: how.mine.has(address(a)) ? how.me : a.name || a.email, unread: false,
	}));
}

/** Keywords that are labels: none of the system's. */
export const labels = emails => [...new Set(emails.flatMap(e => Object.keys(e.keywords || {})))]
    .filter(k => !k.startsWith("$") && !k.startsWith("\\")).sort();

/** Which messages of a conversation are open at first: those that are unread, and the last. */
export function openAtFirst(emails) {
	const list = inOrder(emails).filter(e => !e.keywords.$draft);
	const open = new Set(list.filter(e => !e.keywords.$seen).map(e => e.id));
	if (list.length)
		open.add(list[list.length - 1].id);
	return open;
}

/** How one leaves a mailing list by mail (RFC 2369 3.2); by the web would tell a stranger where one reads. @returns {string | null} a mailto: URL */
export const leaveList = email => (email["header:List-Unsubscribe:asURLs"] || []).find(u => /^mailto:[^?]*@/i.test(u)) || null;

/** What SPF, DKIM and DMARC say (RFC 8601), by the host that we trust: "pass", "fail" or null. */
export function verified(email, hosts) {
	for (const line of email["header:Authentication-Results:asText:all"] || []) {
		const [id, ...results] = line.split(";");
		if (!hosts.includes(id.trim().split(/\s+/)[0].toLowerCase()))
			continue;
		const dmarc = results.map(r => /^\s*dmarc\s*=\s*(\w+)/i.exec(r)).find(Boolean);
		if (dmarc)
			return dmarc[1].toLowerCase() === "pass" ? "pass" : dmarc[1].toLowerCase() === "fail" ? "fail" : null;
	}
	return null;
}
