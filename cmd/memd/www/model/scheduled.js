// @ts-check
/**
 * Messages that are to be sent later (RFC 8621 7, FUTURERELEASE of RFC 4865): when, which of them wait, and taking one
 * back.  The server keeps and sends them, whether or not anybody looks; here is only what it says.  One that is due goes by
 * the clock alone, of which no push tells, so the list is asked for again then.
 */
import { Emitter } from "../kit/store.js";

const HOUR = 8, NOON = 13, EVENING = 18;
const SOONEST = 60000;		/* ms: what is sooner is "now" */
const LONGEST_TIMER = 2 ** 31 - 1;

/** @param {Date} now @param {number} days @param {number} hour @returns {Date} by the calendar of the writer */
const on = (now, days, hour) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour);

/** Times that are offered. @param {Date} now @returns {{key: string, at: Date}[]} */
export function presets(now) {
	const monday = (8 - now.getDay()) % 7 || 7;
	return [
		...(now.getHours() < EVENING - 2 ? [{ key: "later.evening", at: on(now, 0, EVENING) }] : []),
		{ key: "later.morning", at: on(now, 1, HOUR) },
		{ key: "later.noon", at: on(now, 1, NOON) },
		...(monday > 1 ? [{ key: "later.monday", at: on(now, monday, HOUR) }] : []),
	];
}

/** What is wrong with a time, a key of words. @param {Date} at @param {Date} now @param {number} most seconds */
export function badTime(at, now, most) {
	if (Number.isNaN(at.getTime()))
		return "later.none";
	if (at.getTime() < now.getTime() + SOONEST)
		return "later.over";
	return at.getTime() > now.getTime() + most * 1000 ? "later.tooFar" : null;
}

const two = n => String(n).padStart(2, "0");

/** As <input type="datetime-local"> has it. @param {Date} d */
export const localTime = d => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}`;

/** With the writer's offset, as a Date of JMAP. @param {Date} d */
export function withOffset(d) {
	const east = -d.getTimezoneOffset(), far = Math.abs(east);
	return `${localTime(d)}:${two(d.getSeconds())}${east ? `${east < 0 ? "-" : "+"}${two(Math.floor(far / 60))}:${two(far % 60)}` : "Z"}`;
}

/** @typedef {{id: string, emailId: string, at: string, to: {name: string | null, email: string}[], subject: string, gone: boolean}} Waiting */

export class Scheduled extends Emitter {
	/**
	 * @param {import("./cache.js").Cache} cache
	 * @param {{delay: () => number, mailbox: (role: string) => any, later?: (f: () => void, ms: number) => any, now?: () => number}} how
	 */
	constructor(cache, how) {
		super();
		this.cache = cache;
		this.how = how;
		this.later = how.later || ((f, ms) => setTimeout(f, ms));
		this.now = how.now || Date.now;
		/** @type {Waiting[]} the next first */
		this.list = [];
		/** @type {any} */
		this.error = null;
		/** @type {string | null} */
		this.state = null;
		this.timer = null;
	}

	/** @returns {Promise<void>} the list is the server's, or the error is set */
	async load() {
		if (!this.how.delay())
			return;
		const batch = this.cache.transport.batch();
		const query = batch.call("EmailSubmission/query", { filter: { undoStatus: "pending" }, sort: [{ property: "sentAt" }] });
		const kept = batch.call("EmailSubmission/get", { "#ids": query.ref("/ids"), properties: ["emailId", "sendAt", "undoStatus", "envelope"] });
		const emails = batch.call("Email/get", { "#ids": kept.ref("/list/*/emailId"), properties: ["subject", "to", "cc"] });
		try {
			batch.send().catch(() => {});
			const [asked, got, mails] = await Promise.all([query.done, kept.done, emails.done]);
			const order = new Map(asked.ids.map((id, n) => [id, n]));
			this.state = got.state;
			this.error = null;
			this.list = got.list.filter(s => s.undoStatus === "pending").sort((a, b) => order.get(a.id) - order.get(b.id))
			    .map(s => waiting(s, mails.list.find(m => m.id === s.emailId)));
		} catch (error) {
			this.error = error;
		}
		this.wait();
		this.changed();
	}

	/** Look again when the next one is due. */
	wait() {
		clearTimeout(this.timer);
		if (this.list.length)
			this.timer = this.later(() => void this.load(), Math.min(LONGEST_TIMER, Math.max(1000, Date.parse(this.list[0].at) - this.now() + 1000)));
	}

	/** Take what has changed. */
	async sync() {
		if (!this.how.delay())
			return;
		if (this.state !== null) {
			const now = await this.cache.transport.call("EmailSubmission/changes", { sinceState: this.state }).catch(() => null);
			if (now && ![now.created, now.updated, now.destroyed].some(ids => ids.length)) {
				this.state = now.newState;
				return;
			}
		}
		await this.load();
	}

	/** It is not sent, and is a draft again. @param {{id: string, emailId: string}} one @returns {Promise<boolean>} false: too late */
	async takeBack(one) {
		const [drafts, sent] = [this.how.mailbox("drafts"), this.how.mailbox("sent")];
		const answer = await this.cache.transport.call("EmailSubmission/set", {
			update: { [one.id]: { undoStatus: "canceled" } },
			onSuccessUpdateEmail: { [one.id]: {
				"keywords/$draft": true, ...(drafts ? { [`mailboxIds/${drafts.id}`]: true } : {}), ...(sent ? { [`mailboxIds/${sent.id}`]: null } : {}),
			} },
		});
		const refused = answer.notUpdated && answer.notUpdated[one.id];
		await this.load();
		if (refused && refused.type !== "cannotUnsend" && refused.type !== "notFound")
			throw refused;
		return !refused;
	}

	/** It is another person's from now on. */
	abandon() {
		clearTimeout(this.timer);
		this.list = [];
		this.state = null;
	}
}

/** @returns {Waiting} */
function waiting(s, email) {
	const to = email ? [...(email.to || []), ...(email.cc || [])] : [];
	return { id: s.id, emailId: s.emailId, at: s.sendAt, subject: email ? email.subject || "" : "", gone: !email,
		to: to.length ? to : ((s.envelope && s.envelope.rcptTo) || []).map(r => ({ name: null, email: r.email })) };
}
