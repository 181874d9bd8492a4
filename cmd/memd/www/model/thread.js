// @ts-check
/**
 * Conversations as they are read: all their messages' heads at once, the bodies of those that are open, and
 * the next conversation before anybody asks.  Bodies live in the cache's Email records; nothing is kept here
 * but what is being loaded.
 */
import { Emitter } from "../kit/store.js";
import { openAtFirst } from "./conversation.js";

const HEADS = ["id", "blobId", "threadId", "mailboxIds", "keywords", "size", "messageId", "inReplyTo", "references", "from", "to", "cc",
	"bcc", "replyTo", "subject", "sentAt", "receivedAt", "preview", "hasAttachment", "header:Authentication-Results:asText:all", "header:List-Unsubscribe:asURLs"];
const BODIES = ["id", "textBody", "htmlBody", "attachments", "bodyValues"];
const PART = ["partId", "blobId", "size", "name", "type", "charset", "disposition", "cid"];
export const BODY_BYTES = 512 * 1024;	/* of one body part that is shown */

export class Threads extends Emitter {
	/** @param {import("./cache.js").Cache} cache */
	constructor(cache) {
		super();
		this.cache = cache;
		/** @type {Map<string, Promise<void>>} */
		this.loading = new Map();
		/** @type {Map<string, any>} thread id to why it could not be loaded */
		this.errors = new Map();
	}

	/** The messages of a thread that are held, as the user sees them. @returns {any[] | null} null: not loaded */
	emails(threadId) {
		const thread = this.cache.get("Thread", threadId);
		if (!thread)
			return null;
		const list = thread.emailIds.map(id => this.cache.get("Email", id)).filter(Boolean);
		return list.length && list.every(e => "blobId" in e) ? list : null;
	}

	hasBody(email) {
		return "bodyValues" in email;
	}

	/** @returns {Promise<void>} */
	load(threadId) {
		const held = this.emails(threadId);
		if (held && [...openAtFirst(held)].every(id => this.hasBody(this.cache.get("Email", id))))
			return Promise.resolve();
		return this.once(threadId, () => this.fetch(threadId));
	}

	/** @param {string} key @param {() => Promise<void>} f @returns {Promise<void>} */
	once(key, f) {
		const old = this.loading.get(key);
		if (old)
			return old;
		const p = f().then(() => void this.errors.delete(key), error => void this.errors.set(key, error))
		    .finally(() => {
			this.loading.delete(key);
			this.changed();
		});
		this.loading.set(key, p);
		return p;
	}

	async fetch(threadId) {
		const transport = this.cache.transport;
		const batch = transport.batch();
		const thread = batch.call("Thread/get", { ids: [threadId] });
		const heads = batch.call("Email/get", { "#ids": thread.ref("/list/*/emailIds"), properties: HEADS });
		/* Which will be open is known from the list that it was chosen in; else it takes a second request. */
		const known = this.cache.get("Thread", threadId);
		const guess = known ? [...openAtFirst(known.emailIds.map(id => this.cache.get("Email", id)).filter(Boolean))] : [];
		const bodies = guess.length ? this.askBodies(batch, guess) : null;
		await batch.send();
		const [t, h] = [await thread.done, await heads.done];
		this.cache.put("Email", h.list, h.state);
		if (bodies) {
			const b = await bodies.done;
			this.cache.put("Email", b.list);
		}
		this.cache.put("Thread", t.list, t.state);
		const missing = [...openAtFirst(h.list)].filter(id => !this.hasBody(this.cache.base("Email", id) || {}));
		if (missing.length)
			await this.bodies(missing);
	}

	askBodies(batch, ids) {
		return batch.call("Email/get", {
			ids, properties: BODIES, bodyProperties: PART, fetchTextBodyValues: true, fetchHTMLBodyValues: true,
			maxBodyValueBytes: BODY_BYTES,
		});
	}

	async bodies(ids) {
		const batch = this.cache.transport.batch();
		const call = this.askBodies(batch, ids);
		await batch.send();
		this.cache.put("Email", (await call.done).list);
		this.changed();
	}

	/** The body of one message that is opened. */
	open(id) {
		const email = this.cache.get("Email", id);
		return !email || this.hasBody(email) ? Promise.resolve() : this.once(id, () => this.bodies([id]));
	}
}

/** The text of a message for quoting: {bodyText, bodyHtml}. HTML is as it came. */
export function bodies(email) {
	const value = p => (email.bodyValues && email.bodyValues[p.partId] ? email.bodyValues[p.partId].value : "");
	const text = (email.textBody || []).filter(p => p.type === "text/plain").map(value).join("\n");
	const html = (email.htmlBody || []).filter(p => p.type === "text/html").map(value).join("\n");
	return { bodyText: text, bodyHtml: html };
}
