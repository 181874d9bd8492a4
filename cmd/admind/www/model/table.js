// @ts-check
/**
 * A list of the directory, as far as it was looked at: the server gives a page after the other, and keeps its place for
 * a minute.  Who comes later begins anew, and is where he was without seeing it.  What was typed last is what counts:
 * an answer to an older question is dropped.
 */
import { Emitter } from "../kit/store.js";
import { ApiError } from "./api.js";

const PAGE = 500, FIRST = 100, AHEAD = 100;	/* records: of a page, of the first one, ahead of what shows */

export class Table extends Emitter {
	/** @param {import("./api.js").Api} api */
	constructor(api) {
		super();
		this.api = api;
		this.list = "";
		/** @type {Record<string, string>} */
		this.args = {};
		this.question = 0;
		/** @type {AbortController | null} */
		this.abort = null;
		/** @type {any[]} */
		this.rows = [];
		this.ready = false;
		this.wanted = 0;
		this.clear();
	}

	clear() {
		this.rows = [];
		this.next = "";
		this.done = false;
		this.asking = false;
		this.ready = false;
		/** @type {ApiError | null} */
		this.error = null;
		this.wanted = 0;
		this.question++;
		if (this.abort)
			this.abort.abort();
		this.abort = new AbortController();
	}

	/** Another question: a list ("users"), and its parameters. @param {string} list @param {Record<string, string>} args org, q, sort */
	ask(list, args) {
		const same = this.list === list && JSON.stringify(this.args) === JSON.stringify(args);
		if (same && !this.error)
			return;
		if (this.list !== list || (this.args.org || "") !== (args.org || ""))
			this.rows = [];	/* not a moment of what is elsewhere */
		this.list = list;
		this.args = args;
		this.again();
	}

	/** Where it has failed it goes on. */
	retry() {
		this.error = null;
		this.changed();
		void this.load(this.rows.length + 1);
	}

	/** The same from the beginning, as far as before. */
	again() {
		const far = this.rows.length;
		const shown = this.rows;
		this.clear();
		this.rows = shown;	/* until there is something newer, so that nothing flickers */
		this.changed();
		void this.load(far);
	}

	/** What shows: rows before `last` are wanted. @param {number} last */
	range(last) {
		this.wanted = last;
		if (this.ready && !this.done && !this.asking && !this.error && last + AHEAD > this.rows.length)
			void this.load(0);
	}

	async load(far) {
		const question = this.question;
		let fresh = !this.ready, enough = false;
		this.asking = true;
		try {
			do {
				const limit = fresh && !far ? FIRST : PAGE;
				const said = /** @type {any} */ (await this.page(fresh ? "" : this.next, limit));
				if (question !== this.question)
					return;
				/** @type {any[]} */
				const rows = fresh ? said.records : this.rows.concat(said.records);
				this.rows = rows;
				enough = rows.length >= Math.max(far, this.wanted + AHEAD);
				fresh = false;
				this.ready = true;
				this.next = said.next || "";
				this.done = !this.next;
				this.changed();
			} while (!this.done && !enough);
		} catch (error) {
			if (question !== this.question || error.name === "AbortError")
				return;
			if (error.code === "page" && this.ready) {
				this.asking = false;
				return void this.again();
			}
			this.error = error instanceof ApiError ? error : new ApiError(0, "network", String(error));
			if (fresh)
				this.rows = [];	/* what is there answers another question */
			this.ready = true;
		}
		this.asking = false;
		this.changed();
	}

	/** @returns {Promise<any>} */
	page(next, limit) {
		return this.api.call("GET", [this.list], { args: { ...this.args, limit, page: next || undefined }, signal: this.abort ? this.abort.signal : undefined });
	}

	/** An entry is other than it was. @param {string} key the name's member @param {string} name @param {any} record null: it is gone */
	put(key, name, record) {
		const at = this.rows.findIndex(r => r[key] === name);
		if (at >= 0)
			this.rows = record ? this.rows.with(at, record) : this.rows.toSpliced(at, 1);
		else if (record)
			this.rows = [record, ...this.rows];
		this.changed();
	}
}

/** All of a list, page by page. @param {import("./api.js").Api} api @param {string} list @param {Record<string, string>} args @param {(n: number) => void} tell @param {AbortSignal} [signal] */
export async function all(api, list, args, tell, signal) {
	const rows = [];
	for (let page = ""; ;) {
		const said = await api.call("GET", [list], { args: { ...args, limit: 1000, page: page || undefined }, signal });
		rows.push(...said.records);
		tell(rows.length);
		page = said.next;
		if (!page)
			return rows;
	}
}
