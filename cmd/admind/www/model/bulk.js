// @ts-check
/**
 * Many at once: an import, or one verb for all that were selected.  A few requests run side by side, each result is a
 * line, and it can be stopped: what was done stays done, and doing all again does only what is left.
 */
import { Emitter } from "../kit/store.js";
import { ApiError } from "./api.js";

const ABREAST = 4, PATIENCE = 5;	/* requests at once; tries of one that was told to wait */

/** @typedef {{name: string, line?: number, state: "waits" | "done" | "same" | "failed" | "unknown", what?: string[], why?: any}} Result */

export class Bulk extends Emitter {
	/**
	 * @param {{name: string, line?: number, [x: string]: any}[]} items
	 * @param {(item: any, dry: boolean) => Promise<any>} act what the API says
	 * @param {{same?: (error: ApiError, item: any) => Promise<boolean>, wait?: (ms: number) => Promise<void>}} [how] same: it was so before
	 */
	constructor(items, act, how = {}) {
		super();
		this.items = items;
		this.act = act;
		this.how = how;
		this.running = false;
		this.stopped = false;
		/** @type {Result[]} */
		this.results = [];
	}

	count(state) {
		return this.results.filter(r => r.state === state).length;
	}

	stop() {
		this.stopped = true;
		this.changed();
	}

	/** @param {boolean} dry what would be done */
	async run(dry) {
		this.results = this.items.map(({ name, line }) => ({ name, line, state: "waits" }));
		this.running = true;
		this.stopped = false;
		this.changed();
		let at = 0;
		const worker = async () => {
			while (at < this.items.length && !this.stopped) {
				const n = at++;
				this.results[n] = { ...this.results[n], ...await this.one(this.items[n], dry) };
				this.changed();
			}
		};
		await Promise.all(Array.from({ length: ABREAST }, worker));
		this.running = false;
		this.changed();
	}

	/** @returns {Promise<Partial<Result>>} */
	async one(item, dry) {
		for (let n = 0; ; n++)
			try {
				const said = await this.act(item, dry);
				return { state: "done", what: (said.records || []).flatMap(r => r.set || (r.text ? [r.text] : [])) };
			} catch (error) {
				const waits = error instanceof ApiError && (error.status === 429 || error.code === "busy") && n < PATIENCE;
				if (waits) {
					await (this.how.wait || (ms => new Promise(ok => setTimeout(ok, ms))))(200 << n);
					continue;
				}
				if (error.status === 401)
					this.stopped = true;
				if (this.how.same && await this.how.same(error, item))
					return { state: "same" };
				return { state: error.code === "unknown" || error.status === 504 ? "unknown" : "failed", why: error };
			}
	}
}
