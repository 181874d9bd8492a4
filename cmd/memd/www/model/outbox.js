// @ts-check
/**
 * Messages that are being written: their windows, saving, sending.
 *
 * A draft goes to the server after five seconds of rest, as a new email that replaces the last (emails never
 * change, RFC 8621 4); one save at a time for each window, the next looks at what has changed meanwhile.
 * Sending saves first, so that whatever happens then, nothing is lost: the window goes, the words "is sent in
 * 10 s" come, and only then the submission is asked for, by the server's own delay where it has one
 * (FUTURERELEASE, RFC 4865), else by this page; a page that is closed meanwhile sends at once.
 */
import { Emitter } from "../kit/store.js";
import { JmapError } from "../jmap/transport.js";
import { fingerprint, isEmpty, sign, toEmail } from "./compose.js";
import { byRole } from "./mailboxes.js";
import { withOffset } from "./scheduled.js";

export const REST = 5000;	/* ms from the last change to a save */
const SUBMISSION = "urn:ietf:params:jmap:submission";
/** What a server says that would send a message, but does not keep it: its relay does not, or not this user's, or too many wait. */
const UNKEPT = ["invalidProperties", "forbiddenToSend", "overQuota"];

/**
 * @typedef {import("./compose.js").Draft} Draft
 * @typedef {{draft: Draft, mini: boolean, copies: boolean, saving: Promise<void> | null, timer: any, savedAt: number,
 *	error: any, uploads: {name: string, size: number, abort: AbortController}[], closed: boolean}} Window
 */

/** Would the server send it, but not keep it? @param {any} error */
export const unkept = error => error.kind === "refused" && UNKEPT.includes(error.type);

export class Outbox extends Emitter {
	/**
	 * @param {import("./cache.js").Cache} cache
	 * @param {{identities: () => any[], later?: (f: () => void, ms: number) => any, now?: () => number,
	 *	onSent?: (w: Window) => void, onFailed?: (w: Window, error: any) => void,
	 *	onChanged?: (w: Window) => void, onKept?: (w: Window) => void}} how
	 *	onChanged: what the server has not got yet; onKept: now it has, or nobody wants it
	 */
	constructor(cache, how) {
		super();
		this.cache = cache;
		this.identities = how.identities;
		this.later = how.later || ((f, ms) => setTimeout(f, ms));
		this.now = how.now || Date.now;
		this.onSent = how.onSent || (() => {});
		this.onFailed = how.onFailed || (() => {});
		this.onChanged = how.onChanged || (() => {});
		this.onKept = how.onKept || (() => {});
		/** @type {Window[]} */
		this.windows = [];
		/** @type {Map<Window, {timer: any, submissionId: string | null, go: () => Promise<void>}>} between Send and sent */
		this.leaving = new Map();
	}

	/** @param {Draft} draft @returns {Window} */
	open(draft) {
		const old = draft.savedId && this.windows.find(w => w.draft.savedId === draft.savedId);
		if (old) {
			old.mini = false;
			this.changed();
			return old;
		}
		const w = {
			draft, mini: false, copies: !!(draft.cc.length || draft.bcc.length), saving: null, timer: null, savedAt: 0, error: null,
			uploads: [], closed: false,
		};
		/* An answer that nobody has written anything into is not worth a draft. */
		if (!draft.saved)
			w.draft = { ...draft, saved: fingerprint(draft) };
		for (const x of this.windows)
			x.mini = true;
		this.windows = [...this.windows, w];
		this.changed();
		return w;
	}

	find(key) {
		return this.windows.find(w => w.draft.key === key);
	}

	/** @param {Window} w @param {Partial<Draft>} part */
	update(w, part) {
		w.draft = { ...w.draft, ...part };
		this.onChanged(w);
		clearTimeout(w.timer);
		w.timer = this.later(() => void this.save(w).catch(() => {}), REST);
		this.changed();
	}

	identity(w) {
		const all = this.identities();
		return all.find(i => i.id === w.draft.identityId) || all[0] || null;
	}

	setIdentity(w, id) {
		const all = this.identities();
		const now = all.find(i => i.id === id);
		this.update(w, { ...sign(w.draft, this.identity(w), now), identityId: id });
	}

	dirty(w) {
		return fingerprint(w.draft) !== w.draft.saved;
	}

	mailbox(role) {
		return byRole(this.cache.all("Mailbox"), role);
	}

	/** Bring the server's copy up to date; an error stays on the window and is thrown. @param {Window} w */
	async save(w) {
		while (w.saving)
			await w.saving.catch(() => {});
		if (!this.dirty(w) || (isEmpty(w.draft) && !w.draft.savedId))
			return;
		w.saving = this.write(w);
		this.changed();
		try {
			await w.saving;
			w.error = null;
			w.savedAt = this.now();
		} catch (error) {
			w.error = error;
			if (error.kind === "away" && !w.closed)
				w.timer = this.later(() => void this.save(w).catch(() => {}), REST * 2);
			throw error;
		} finally {
			w.saving = null;
			this.changed();
		}
	}

	async write(w) {
		const drafts = this.mailbox("drafts");
		if (!drafts)
			throw new JmapError("refused", "notFound");
		const print = fingerprint(w.draft), old = w.draft.savedId;
		const email = toEmail(w.draft, this.identity(w), { mailboxId: drafts.id, draft: true });
		const answer = await this.cache.transport.call("Email/set", {
			create: { draft: email }, destroy: old ? [old] : [],
		});
		const made = answer.created && answer.created.draft;
		if (!made) {
			const why = answer.notCreated.draft;
			throw new JmapError("refused", why.type, why.description);
		}
		w.draft = { ...w.draft, savedId: made.id, saved: print };
		if (!this.dirty(w))
			this.onKept(w);
		if (old)
			this.cache.remove("Email", [old]);
	}

	drop(w) {
		clearTimeout(w.timer);
		w.closed = true;
		for (const u of w.uploads)
			u.abort.abort();
		this.windows = this.windows.filter(x => x !== w);
		this.changed();
	}

	/** Save and close. @param {Window} w */
	async close(w) {
		this.drop(w);
		try {
			await this.save(w);
		} catch (error) {
			w.closed = false;
			this.windows = [...this.windows, w];
			this.changed();
			throw error;
		}
	}

	/** Close, and the server's copy goes. @param {Window} w */
	async discard(w) {
		this.drop(w);
		this.onKept(w);
		if (w.saving)
			await w.saving.catch(() => {});
		if (w.draft.savedId)
			await this.cache.transport.call("Email/set", { destroy: [w.draft.savedId] });
	}

	/** @param {Window} w @param {Blob & {name?: string}} file @param {{cid?: string}} [how] @returns {Promise<any>} the attachment */
	async attach(w, file, how = {}) {
		const most = this.cache.transport.limits.maxSizeUpload;
		if (most && file.size > most)
			throw new JmapError("refused", "tooLarge");
		const upload = { name: file.name || "", size: file.size, abort: new AbortController() };
		w.uploads = [...w.uploads, upload];
		this.changed();
		try {
			const blob = await this.cache.transport.upload(file, upload.abort.signal);
			const a = { blobId: blob.blobId, size: blob.size, type: file.type || blob.type, name: file.name || "", cid: how.cid || null };
			this.update(w, { attachments: [...w.draft.attachments, a] });
			return a;
		} finally {
			w.uploads = w.uploads.filter(u => u !== upload);
			this.changed();
		}
	}

	/**
	 * Send, `seconds` from now.
	 * @param {Window} w @param {number} seconds
	 * @returns {Promise<void>} when it is saved and on its way; thrown: nothing was sent, the window is there again
	 */
	async send(w, seconds) {
		this.drop(w);
		try {
			await this.save(w);
			const submissionId = seconds && this.delay() >= seconds ? await this.hold(w, seconds) : null;
			const go = async () => {
				if (!submissionId)
					await this.submit(w);
				this.onSent(w);
			};
			if (seconds)
				this.wait(w, seconds, submissionId, go);
			else
				await go();
		} catch (error) {
			this.back(w);
			throw error;
		}
	}

	/**
	 * Send at a time to come, which the server keeps.
	 * @param {Window} w @param {Date} at
	 * @returns {Promise<{id: string, emailId: string}>} what waits; thrown: nothing does, the window is there again
	 */
	async schedule(w, at) {
		this.drop(w);
		try {
			w.draft = { ...w.draft, sentAt: withOffset(at) };
			await this.save(w);
			const id = await this.submit(w, { HOLDUNTIL: at.toISOString().replace(/\.\d+/, "") });
			return { id, emailId: String(w.draft.savedId) };
		} catch (error) {
			this.again(w);
			throw error;
		}
	}

	/** Open again what was to be sent later, with the date of now. @param {Window} w */
	again(w) {
		this.back(w);
		this.update(w, { sentAt: null });
	}

	/** @param {Window} w @param {number} seconds @returns {Promise<string | null>} the submission that waits; null: this page has to wait */
	async hold(w, seconds) {
		try {
			return await this.submit(w, { HOLDFOR: String(seconds) });
		} catch (error) {
			if (unkept(error))
				return null;
			throw error;
		}
	}

	/** Seconds that the server would hold a message. */
	delay() {
		const can = this.cache.transport.can(SUBMISSION) || {};
		return can.maxDelayedSend || 0;
	}

	wait(w, seconds, submissionId, go) {
		const leave = { timer: /** @type {any} */ (null), submissionId, go: async () => {
			if (this.leaving.get(w) !== leave)	/* taken back, or sent already */
				return;
			this.leaving.delete(w);
			try {
				await go();
			} catch (error) {
				this.back(w);
				this.onFailed(w, error);
			}
		} };
		leave.timer = this.later(() => void leave.go(), seconds * 1000);
		this.leaving.set(w, leave);
		this.changed();
	}

	/** Open again what was not sent. */
	back(w) {
		w.closed = false;
		w.mini = false;
		this.windows = [...this.windows.filter(x => x !== w), w];
		this.changed();
	}

	/** @param {Window} w @param {Record<string, string>} [hold] parameters of RFC 4865 */
	async submit(w, hold) {
		const [drafts, sent] = [this.mailbox("drafts"), this.mailbox("sent")];
		const d = w.draft, identity = this.identity(w);
		const update = { "keywords/$draft": null };
		if (drafts && sent) {
			update[`mailboxIds/${drafts.id}`] = null;
			update[`mailboxIds/${sent.id}`] = true;
		}
		const envelope = hold ? {
			mailFrom: { email: identity.email, parameters: hold },
			rcptTo: [...new Set([...d.to, ...d.cc, ...d.bcc].map(a => a.email))].map(email => ({ email, parameters: null })),
		} : undefined;
		const batch = this.cache.transport.batch();
		const call = batch.call("EmailSubmission/set", {
			create: { s: { identityId: identity.id, emailId: d.savedId, ...(envelope ? { envelope } : {}) } },
			onSuccessUpdateEmail: { "#s": update },
		});
		if (d.answers)
			batch.call("Email/set", { update: { [d.answers.id]: { [`keywords/${d.answers.keyword}`]: true } } });
		batch.send().catch(() => {});
		const answer = await call.done;
		const made = answer.created && answer.created.s;
		if (!made) {
			const why = answer.notCreated.s;
			throw new JmapError("refused", why.type, why.description || (why.invalidRecipients || []).join(", "));
		}
		return made.id;
	}

	/** Take a message back that has not been sent yet. @param {Window} w @returns {Promise<boolean>} false: too late */
	async undo(w) {
		const leave = this.leaving.get(w);
		if (!leave)
			return false;
		clearTimeout(leave.timer);
		this.leaving.delete(w);
		if (leave.submissionId) {
			const [drafts, sent] = [this.mailbox("drafts"), this.mailbox("sent")];
			const answer = await this.cache.transport.call("EmailSubmission/set", {
				update: { [leave.submissionId]: { undoStatus: "canceled" } },
			}).catch(() => ({}));
			if (!answer.updated || !(leave.submissionId in answer.updated)) {
				this.onSent(w);	/* it has gone, or goes: nobody knows of another end */
				return false;
			}
			await this.cache.transport.call("Email/set", { update: { [String(w.draft.savedId)]: {
				"keywords/$draft": true, ...(drafts ? { [`mailboxIds/${drafts.id}`]: true } : {}), ...(sent ? { [`mailboxIds/${sent.id}`]: null } : {}),
			} } });
		}
		this.back(w);
		return true;
	}

	/** Everything written is saved and everything on its way sent, as far as the server takes it. @returns {Promise<boolean>} all of it */
	async settle() {
		const going = [...this.leaving];
		await Promise.all(going.map(([w, leave]) => {
			clearTimeout(leave.timer);
			return leave.submissionId ? void this.leaving.delete(w) : leave.go();
		}));
		if (going.some(([w]) => this.windows.includes(w)))	/* not sent, and so open again, see wait() */
			return false;
		for (const w of this.windows)
			clearTimeout(w.timer);
		const saved = await Promise.allSettled(this.windows.map(w => this.save(w)));
		return saved.every(s => s.status === "fulfilled") && !this.windows.some(w => w.uploads.length);
	}

	/** Forget all of it, unsaved too: it is another person's from now on. */
	abandon() {
		for (const w of [...this.windows, ...this.leaving.keys()]) {
			clearTimeout(w.timer);
			w.closed = true;
			w.uploads.forEach(u => u.abort.abort());
		}
		for (const leave of this.leaving.values())
			clearTimeout(leave.timer);
		this.leaving.clear();
		this.windows = [];
		this.changed();
	}

	/** The page goes: what waits is sent now, what is written is saved. */
	flush() {
		for (const [w, leave] of this.leaving) {
			clearTimeout(leave.timer);
			if (!leave.submissionId)
				void leave.go();
			else
				this.leaving.delete(w);
		}
		for (const w of this.windows)
			void this.save(w).catch(() => {});
	}

	/** Is anything on its way that closing the page would lose? */
	get busy() {
		return this.windows.some(w => this.dirty(w) && !isEmpty(w.draft));
	}
}
