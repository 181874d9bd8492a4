// @ts-check
/**
 * A query and the part of its result that is on the screen: 100,000 conversations are an array with holes,
 * of which windows are asked for as somebody scrolls there.  Rows are named by the email that stands for
 * the conversation (collapseThreads).
 *
 * Changes come by queryChanges (RFC 8620 5.6).  What was removed in a hole shifts what lies behind it by
 * an amount that nobody knows, so then only what stands before the first hole is kept.  Rows that a change
 * under way takes out of the list are hidden here, by index, until the server's own list has lost them:
 * so a row never comes back for a moment.
 */
import { Emitter } from "../kit/store.js";

export const PAGE = 50;		/* rows a request */
const MOST_AGAIN = 200;		/* rows that are asked for when a list begins anew */
export const ROW_FIELDS = ["id", "threadId", "mailboxIds", "keywords", "from", "to", "subject", "receivedAt",
	"preview", "hasAttachment", "size"];
/** What the other messages of a conversation say to its row. */
export const THREAD_FIELDS = ["id", "threadId", "mailboxIds", "keywords", "from", "receivedAt"];

export class MessageList extends Emitter {
	/**
	 * @param {import("./cache.js").Cache} cache
	 * @param {{filter: object | null, sort?: object[], collapse?: boolean, snippets?: boolean}} query
	 */
	constructor(cache, query) {
		super();
		this.cache = cache;
		this.filter = query.filter;
		this.sort = query.sort || [{ property: "receivedAt", isAscending: false }];
		this.collapse = query.collapse !== false;
		this.snippets = !!query.snippets;
		/** @type {string[]} with holes */
		this.ids = [];
		/** @type {number | null} */
		this.total = null;
		this.state = null;
		/** @type {Map<number, Promise<void>>} pages that are asked for */
		this.asked = new Map();
		/** @type {Map<string, {subject: string | null, preview: string | null}>} */
		this.found = new Map();
		/** @type {Set<string>} emails that are on their way out */
		this.hidden = new Set();
		/** @type {number[]} their places, ascending */
		this.gaps = [];
		/** @type {Error | null} */
		this.error = null;
		this.generation = 0;
		/** Whether the server can say what changes in this list. */
		this.follows = true;
		/** @type {[number, number]} rows that somebody looks at */
		this.window = [0, 1];
	}

	/** Rows to show; null while nobody knows. */
	get length() {
		return this.total === null ? null : this.total - this.gaps.length;
	}

	/** The place in the server's list of row `n` of those that show. */
	place(n) {
		let at = n;
		for (const gap of this.gaps) {
			if (gap > at)
				break;
			at++;
		}
		return at;
	}

	/** The email of row `n`; undefined: not loaded. */
	at(n) {
		return this.ids[this.place(n)];
	}

	/** The row of an email, -1 when it is not among those that are known. */
	indexOf(id) {
		const place = this.ids.indexOf(id);
		if (place < 0 || this.hidden.has(id))
			return -1;
		return place - this.gaps.filter(g => g < place).length;
	}

	/** @param {Iterable<string>} ids */
	hide(ids) {
		for (const id of ids)
			this.hidden.add(id);
		this.mark();
	}

	/** @param {Iterable<string>} ids */
	show(ids) {
		for (const id of ids)
			this.hidden.delete(id);
		this.mark();
	}

	mark() {
		this.gaps = [];
		if (this.hidden.size)
			this.ids.forEach((id, n) => {
				if (this.hidden.has(id))
					this.gaps.push(n);
			});
		this.changed();
	}

	/** Have rows first..last (exclusive) there. @returns {Promise<void>} when they are, or the error is set */
	async ensure(first, last) {
		this.window = [first, last];
		const wanted = [];
		const end = this.total === null ? last : Math.min(this.place(last), this.total);
		for (let page = Math.floor(this.place(first) / PAGE); page * PAGE < Math.max(end, 1); page++)
			if (this.missing(page))
				wanted.push(this.asked.get(page) || this.ask(page));
		await Promise.all(wanted);
	}

	missing(page) {
		if (this.total === null)
			return true;
		for (let n = page * PAGE; n < Math.min((page + 1) * PAGE, this.total); n++)
			if (this.ids[n] === undefined)
				return true;
		return false;
	}

	ask(page) {
		const done = this.load(page).finally(() => this.asked.delete(page));
		this.asked.set(page, done);
		return done;
	}

	async load(page) {
		const generation = this.generation;
		const batch = this.cache.transport.batch();
		const query = batch.call("Email/query", {
			filter: this.filter, sort: this.sort, collapseThreads: this.collapse,
			position: page * PAGE, limit: PAGE, calculateTotal: true,
		});
		const rows = this.rows(batch, query);
		try {
			batch.send().catch(() => {});
			await Promise.all([query, rows.emails, rows.threads, rows.others].map(c => c && c.done));
		} catch (error) {
			this.error = error;
			this.changed();
			return;
		}
		if (generation !== this.generation)	/* asked before the list began anew */
			return;
		const got = await query.done;
		if (this.state !== null && got.queryState !== this.state) {
			/* Places have moved since the other pages came: this page is right, and is all we keep. */
			this.ids = [];
		}
		this.begin(got);
		got.ids.forEach((id, n) => {
			this.ids[got.position + n] = id;
		});
		this.ids.length = Math.min(this.ids.length, this.total ?? 0);
		await this.keep(rows);
		this.mark();
	}

	/** The calls that make rows of a query's ids, all in its batch. @returns {any} */
	rows(batch, query) {
		const emails = batch.call("Email/get", { "#ids": query.ref("/ids"), properties: ROW_FIELDS });
		if (!this.collapse)
			return { emails, ...this.snippet(batch, query) };
		const threads = batch.call("Thread/get", { "#ids": emails.ref("/list/*/threadId") });
		const others = batch.call("Email/get", {
			"#ids": threads.ref("/list/*/emailIds"), properties: THREAD_FIELDS,
		});
		return { emails, threads, others, ...this.snippet(batch, query) };
	}

	snippet(batch, query) {
		if (!this.snippets)
			return {};
		return { snippets: batch.call("SearchSnippet/get", { filter: this.filter, "#emailIds": query.ref("/ids") }) };
	}

	async keep(rows) {
		for (const [type, call] of [["Email", rows.others], ["Email", rows.emails], ["Thread", rows.threads]]) {
			if (!call)
				continue;
			const got = await call.done;
			this.cache.put(type, got.list, got.state);
		}
		/* Where the words stand is a help, and no list fails for want of it. */
		const snippets = rows.snippets ? await rows.snippets.done.catch(() => null) : null;
		for (const s of snippets ? snippets.list : [])
			this.found.set(s.emailId, s);
	}

	/** Bring the list up to the server's. @returns {Promise<string[]>} emails that are new in it */
	async sync() {
		if (this.state === null)
			return [];
		if (!this.follows) {
			await this.again();
			return [];
		}
		const generation = this.generation;
		const state = this.state;
		let now;
		try {
			now = await this.cache.transport.call("Email/queryChanges", {
				filter: this.filter, sort: this.sort, collapseThreads: this.collapse,
				sinceQueryState: state, calculateTotal: true,
			});
		} catch (error) {
			if (error.kind === "refused")
				await this.again();
			return [];
		}
		if (generation !== this.generation || state !== this.state)
			return [];
		const before = new Set(this.ids.filter(Boolean));
		this.take(now);
		const fresh = now.added.map(a => a.id).filter(id => !before.has(id));
		const unknown = fresh.filter(id => !this.cache.base("Email", id));
		if (unknown.length)
			await this.fetch(unknown);
		this.mark();
		return fresh;
	}

	/** @param {{removed: string[], added: {id: string, index: number}[], total?: number, newQueryState: string}} now */
	take(now) {
		let lost = false;
		for (const id of now.removed) {
			const n = this.ids.indexOf(id);
			if (n >= 0)
				this.ids.splice(n, 1);
			else if (!now.added.some(a => a.id === id))
				lost = true;
		}
		let hole = 0;
		while (this.ids[hole] !== undefined)
			hole++;
		if (lost && hole < this.ids.length)
			this.ids.length = hole;
		for (const { id, index } of [...now.added].sort((a, b) => a.index - b.index)) {
			if (index < this.ids.length)
				this.ids.splice(index, 0, id);
			else if (index === this.ids.length)
				this.ids.push(id);
			/* else behind all that is known: asked for when somebody looks there */
		}
		this.state = now.newQueryState;
		if (now.total !== undefined)
			this.total = now.total;
		this.ids.length = Math.min(this.ids.length, this.total ?? 0);
		for (const id of [...this.hidden])
			if (!this.ids.includes(id))
				this.hidden.delete(id);
	}

	/** Rows of emails by id. */
	async fetch(ids) {
		const batch = this.cache.transport.batch();
		const emails = batch.call("Email/get", { ids, properties: ROW_FIELDS });
		const threads = batch.call("Thread/get", { "#ids": emails.ref("/list/*/threadId") });
		const others = batch.call("Email/get", {
			"#ids": threads.ref("/list/*/emailIds"), properties: THREAD_FIELDS,
		});
		await batch.send();
		await this.keep({ emails, threads, others });
	}

	/**
	 * From the beginning, when the server cannot say what changed: what is shown stays until the new rows are
	 * there, and then all changes at once.
	 */
	async again() {
		const generation = ++this.generation;
		const batch = this.cache.transport.batch();
		const query = batch.call("Email/query", {
			filter: this.filter, sort: this.sort, collapseThreads: this.collapse, position: 0,
			limit: Math.max(PAGE, Math.min(this.ids.length, MOST_AGAIN)), calculateTotal: true,
		});
		const rows = this.rows(batch, query);
		try {
			batch.send().catch(() => {});
			await Promise.all([query, rows.emails, rows.threads, rows.others].map(c => c && c.done));
		} catch (error) {
			this.error = error;
			this.changed();
			return;
		}
		if (generation !== this.generation)
			return;
		const got = await query.done;
		await this.keep(rows);
		this.asked.clear();
		this.ids = [...got.ids];
		this.begin(got);
		this.hidden.clear();
		this.mark();
		await this.ensure(...this.window);
	}

	begin(got) {
		this.error = null;
		this.state = got.queryState;
		this.follows = got.canCalculateChanges !== false;
		this.total = got.total ?? got.position + got.ids.length;
	}
}
