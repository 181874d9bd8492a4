// @ts-check
/**
 * A message that is being written, as a plain record, and how it becomes an Email of JMAP (RFC 8621 4.6).
 * Answers follow RFC 5322 3.6.4: In-Reply-To is the message answered, References its References (or its
 * In-Reply-To when that is one id) and its Message-ID.  Who gets an answer: Reply-To before From; of one's
 * own message its recipients; to all: the others too, never oneself.
 */
import { address, unique, valid } from "./address.js";
import { escapeHtml, quote, textToHtml, wrap } from "./quote.js";

/**
 * @typedef {import("./address.js").Address} Address
 * @typedef {{blobId: string, name: string, type: string, size: number, cid?: string | null,
 *	disposition?: string}} Attachment
 * @typedef {{key: string, identityId: string | null, to: Address[], cc: Address[], bcc: Address[], subject: string,
 *	rich: boolean, text: string, html: string, attachments: Attachment[], inReplyTo: string[] | null,
 *	references: string[] | null, answers: {id: string, keyword: string} | null, savedId: string | null,
 *	sentAt: string | null, saved: string}} Draft
 *	answers: the email that gets $answered or $forwarded; savedId: the draft as the server has it;
 *	saved: what it looked like then; sentAt: its Date, when that is not now
 */

const REPLY = /^\s*(?:re|aw|antw|sv|vs|odp|ref|rép|回复|答复)(?:\[\d+\])?\s*[:：]\s*/i;
const FORWARD = /^\s*(?:fwd?|wg|tr|vl|rv|i|转发)\s*[:：]\s*/i;
let keys = 0;

/** @param {Partial<Draft>} [some] @returns {Draft} */
export const blank = some => ({
	key: "d" + ++keys, identityId: null, to: [], cc: [], bcc: [], subject: "", rich: true, text: "", html: "",
	attachments: [], inReplyTo: null, references: null, answers: null, savedId: null, sentAt: null, saved: "", ...some,
});

/** "Re: " once, whatever stood there. */
export function replySubject(subject) {
	let s = subject || "";
	while (REPLY.test(s))
		s = s.replace(REPLY, "");
	return "Re: " + s.trim();
}

export function forwardSubject(subject) {
	let s = subject || "";
	while (FORWARD.test(s))
		s = s.replace(FORWARD, "");
	return "Fwd: " + s.trim();
}

/** The identity that a message was sent to, else the first. @param {any} email @param {any[]} identities */
export function identityFor(email, identities) {
	const named = [...(email.to || []), ...(email.cc || []), ...(email.bcc || []), ...(email.from || [])].map(address);
	return identities.find(i => named.includes(i.email.toLowerCase())) || identities[0] || null;
}

function threading(email) {
	const id = email.messageId || [];
	const before = email.references || (email.inReplyTo && email.inReplyTo.length === 1 ? email.inReplyTo : null) || [];
	return { inReplyTo: id.length ? id : null, references: id.length ? [...before.filter(r => !id.includes(r)), ...id] : null };
}

/**
 * @param {any} email with bodies (bodyText, bodyHtml) @param {boolean} all
 * @param {{identities: any[], intro: string, rich: boolean}} how  intro: "On ... Ann wrote:"
 * @returns {Draft}
 */
export function reply(email, all, how) {
	const mine = new Set(how.identities.map(i => i.email.toLowerCase()));
	const own = (email.from || []).some(a => mine.has(address(a)));
	const back = email.replyTo && email.replyTo.length ? email.replyTo : email.from || [];
	let to = own ? unique(email.to || []) : unique(back);
	const cc = !all ? [] : own ? unique(email.cc || [], new Set([...mine, ...to.map(address)])) :
		unique([...(email.to || []), ...(email.cc || [])], new Set([...mine, ...to.map(address)]));
	if (!to.length)
		to = unique(email.from || []);
	const identity = identityFor(email, how.identities);
	const draft = blank({
		identityId: identity && identity.id, to, cc, subject: replySubject(email.subject), rich: how.rich,
		answers: { id: email.id, keyword: "$answered" }, ...threading(email),
	});
	draft.text = `\n\n${how.intro}\n${quote(email.bodyText || "")}\n`;
	draft.html = `<div><br></div><div><br></div><div>${escapeHtml(how.intro)}</div>` +
		`<blockquote type="cite">${email.bodyHtml || textToHtml(email.bodyText || "")}</blockquote>`;
	return sign(draft, null, identity);
}

/** @param {any} email @param {{identities: any[], head: [string, string][], title: string, rich: boolean}} how head: [name, value] lines */
export function forward(email, how) {
	const identity = identityFor(email, how.identities);
	const draft = blank({
		identityId: identity && identity.id, subject: forwardSubject(email.subject), rich: how.rich,
		answers: { id: email.id, keyword: "$forwarded" },
		references: threading(email).references,
		attachments: (email.attachments || []).map(a => ({
			blobId: a.blobId, name: a.name || "", type: a.type, size: a.size, cid: a.cid, disposition: a.disposition,
		})),
	});
	const head = how.head.map(([k, v]) => `${k}: ${v}`).join("\n");
	draft.text = `\n\n${how.title}\n${head}\n\n${email.bodyText || ""}\n`;
	draft.html = `<div><br></div><div><br></div><div>${escapeHtml(how.title)}</div>${textToHtml(head)}<div><br></div>` +
		(email.bodyHtml || textToHtml(email.bodyText || ""));
	return sign(draft, null, identity);
}

/** A draft of the server, taken up again. @param {any} email */
export function resume(email, identities) {
	const identity = identityFor({ from: email.from }, identities);
	const draft = blank({
		identityId: identity && identity.id, to: email.to || [], cc: email.cc || [], bcc: email.bcc || [],
		subject: email.subject || "", rich: !!email.bodyHtml, text: email.bodyText || "", html: email.bodyHtml || "",
		attachments: (email.attachments || []).map(a => ({
			blobId: a.blobId, name: a.name || "", type: a.type, size: a.size, cid: a.cid, disposition: a.disposition,
		})),
		inReplyTo: email.inReplyTo || null, references: email.references || null, savedId: email.id,
	});
	/* One that was to be sent later has the date of then: it is written anew before it goes. */
	draft.saved = email.sentAt && Date.parse(email.sentAt) > Date.now() ? " " : fingerprint(draft);
	return draft;
}

const HEAD = '<div class="tm-signature">-- <br>';

/** Change the signature for another identity's; the text that the writer has added stays. */
export function sign(draft, from, to) {
	const text = i => (i && i.textSignature ? `\n-- \n${i.textSignature.trimEnd()}\n` : "");
	const html = i => (i && (i.htmlSignature || i.textSignature) ?
		`${HEAD}${i.htmlSignature || escapeHtml(i.textSignature).replace(/\n/g, "<br>")}</div>` : "");
	const swap = (body, old, now) => {
		if (old && body.includes(old))
			return body.replace(old, () => now);
		if (!now)
			return body;
		const quoted = now.startsWith("<") ? /<div><br><\/div><div>(?!<br>)/.exec(body) : /\n\n(?=\S)/.exec(body);
		const at = quoted && (draft.answers !== null) ? quoted.index + (now.startsWith("<") ? 0 : 1) : body.length;
		return body.slice(0, at) + now + body.slice(at);
	};
	return { ...draft, text: swap(draft.text, text(from), text(to)), html: swap(draft.html, html(from), html(to)) };
}

/** What makes two states of a draft the same for the server. */
export const fingerprint = d => JSON.stringify([d.identityId, d.to, d.cc, d.bcc, d.subject, d.rich, d.rich ? d.html : d.text,
	d.attachments.map(a => a.blobId), d.sentAt || null]);

/** Has nobody written anything? */
export const isEmpty = d => !d.to.length && !d.cc.length && !d.bcc.length && !d.subject.trim() && !d.attachments.length &&
	!(d.rich ? htmlText(d.html) : d.text).trim();

/** The words of HTML, roughly: enough to look for words and to make a plain part. */
export function htmlText(html) {
	let s = html.replace(/<(style|script)\b[\s\S]*?<\/\1\s*>/gi, "");
	for (let was = ""; was !== s;) {	/* innermost quotes first */
		was = s;
		s = s.replace(/<blockquote\b[^>]*>((?:(?!<blockquote\b)[\s\S])*?)<\/blockquote\s*>/i,
		    (_, inner) => "\n" + htmlText(inner).replace(/\n+$/, "").split("\n")
			.map(l => escapeHtml(l.startsWith(">") ? ">" + l : l ? "> " + l : ">") + "<br>").join(""));
	}
	return s.replace(/[\r\n]+/g, " ").replace(/<div[^>]*>\s*<br\s*\/?>\s*<\/div>/gi, "\n").replace(/<br\s*\/?>\s*(?=<\/(div|p|li)>)/gi, "")
	    .replace(/<br\s*\/?>/gi, "\n").replace(/<li\b[^>]*>/gi, "- ")
	    .replace(/<\/(div|p|li|tr|h\d|pre|ul|ol|table)\s*>/gi, "\n").replace(/<[^>]*>/g, "")
	    .replace(/&nbsp;/g, " ").replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"').replace(/&#39;/g, "'")
	    .replace(/&#(\d+);/g, (_, n) => String.fromCodePoint(Math.min(Number(n), 0x10ffff))).replace(/&amp;/g, "&")
	    .split("\n").map(l => l === "-- " ? l : l.trim()).join("\n").replace(/\n{3,}/g, "\n\n");
}

/** Recipients that cannot be right. @param {Draft} d */
export const badRecipients = d => [...d.to, ...d.cc, ...d.bcc].filter(a => !valid(a.email));

/** Does the text of our own speak of an attachment that is not there? @param {Draft} d @param {RegExp} words */
export function forgotAttachment(d, words) {
	if (d.attachments.length)
		return false;
	const own = (d.rich ? htmlText(d.html) : d.text).split("\n-- \n")[0].split("\n").filter(l => !l.startsWith(">"));
	return words.test(own.join("\n")) || words.test(d.subject);
}

/** The Email that a server is asked to make. @param {Draft} d @param {any} identity @param {{mailboxId: string, draft: boolean}} where */
export function toEmail(d, identity, where) {
	const text = { partId: "t", type: "text/plain" };
	const html = { partId: "h", type: "text/html" };
	const plain = d.rich ? htmlText(d.html) : d.text;
	const parts = d.attachments.map(a => ({
		blobId: a.blobId, type: a.type, name: a.name, cid: a.cid || undefined,
		disposition: a.cid ? "inline" : "attachment",
	}));
	const inline = d.rich ? parts.filter(a => a.cid && d.html.includes("cid:" + a.cid)) : [];
	const rest = parts.filter(a => !inline.includes(a)).map(a => ({ ...a, disposition: "attachment" }));
	const htmlPart = inline.length ? { type: "multipart/related", subParts: [html, ...inline] } : html;
	const body = d.rich ? { type: "multipart/alternative", subParts: [text, htmlPart] } : text;
	const email = {
		mailboxIds: { [where.mailboxId]: true },
		keywords: where.draft ? { $seen: true, $draft: true } : { $seen: true },
		from: identity ? [{ name: identity.name || null, email: identity.email }] : undefined,
		replyTo: identity && identity.replyTo && identity.replyTo.length ? identity.replyTo : undefined,
		to: d.to.length ? d.to : undefined, cc: d.cc.length ? d.cc : undefined, bcc: d.bcc.length ? d.bcc : undefined,
		subject: d.subject, sentAt: d.sentAt || undefined,
		inReplyTo: d.inReplyTo || undefined, references: d.references || undefined,
		bodyStructure: rest.length ? { type: "multipart/mixed", subParts: [body, ...rest] } : body,
		bodyValues: { t: { value: wrap(plain) }, ...(d.rich ? { h: { value: page(d.html) } } : {}) },
	};
	return JSON.parse(JSON.stringify(email));	/* without what is undefined */
}

const page = html => `<!DOCTYPE html><html><head><meta charset="utf-8"></head><body>${html}</body></html>`;

/** mailto: (RFC 6068) as a draft. @param {string} url */
export function fromMailto(url) {
	const [to, query] = url.replace(/^mailto:/i, "").split("?");
	const fields = new Map((query || "").split("&").filter(Boolean).map(f => {
		const [k, v] = f.split("=");
		return [decode(k).toLowerCase(), decode(v || "")];
	}));
	const list = s => s.split(",").map(a => ({ name: null, email: decode(a).trim() })).filter(a => a.email);
	const text = (fields.get("body") || "").replace(/\r\n?/g, "\n");
	return blank({
		to: list([to, fields.get("to") || ""].filter(Boolean).join(",")), cc: list(fields.get("cc") || ""),
		subject: fields.get("subject") || "", text, html: text ? textToHtml(text) : "",
		inReplyTo: fields.get("in-reply-to") ? [fields.get("in-reply-to").replace(/^<|>$/g, "")] : null,
	});
}

function decode(s) {
	try {
		return decodeURIComponent(s);
	} catch {
		return s;
	}
}
