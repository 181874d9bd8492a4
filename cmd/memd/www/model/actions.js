// @ts-check
/**
 * What can be done to mail, as patches of emails.  Each function takes the emails of the conversations
 * chosen, says what it would change (nothing where nothing would), and which rows leave the list that is
 * open.  Carrying out, undoing and failing is one thing for all of them: Doer.
 */
import { invert, needed, path } from "./patch.js";
import { JmapError } from "../jmap/transport.js";

/** @typedef {{patches: Map<string, any>, leaves: boolean}} Change  leaves: out of the folder that is open */

const keyword = (name, on) => ({ [path("keywords", name)]: on ? true : null });

/** @param {any[]} emails @param {(e: any) => Record<string, any>} patchOf @param {boolean} leaves */
function each(emails, patchOf, leaves) {
	const patches = new Map();
	for (const e of emails) {
		const patch = needed(e, patchOf(e));
		if (Object.keys(patch).length)
			patches.set(e.id, patch);
	}
	return { patches, leaves };
}

/** @returns {Change} */
export const markRead = (emails, on) => each(emails, () => keyword("$seen", on), false);
export const label = (emails, name, on) => each(emails, () => keyword(name, on), false);

/** A conversation is flagged by its newest message, and loses all its flags. */
export function flag(emails, on) {
	if (!on)
		return each(emails, () => keyword("$flagged", false), false);
	const last = new Map();
	for (const e of emails) {
		const old = last.get(e.threadId);
		if (!old || old.receivedAt <= e.receivedAt)
			last.set(e.threadId, e);
	}
	return each([...last.values()], () => keyword("$flagged", true), false);
}

/** Out of `from` (all folders when null) into `to`. */
export function move(emails, from, to) {
	const here = from ? emails.filter(e => e.mailboxIds[from]) : emails;
	return each(here, e => {
		/** @type {Record<string, true | null>} */
		const patch = { [path("mailboxIds", to)]: true };
		for (const id of from ? [from] : Object.keys(e.mailboxIds))
			if (id !== to)
				patch[path("mailboxIds", id)] = null;
		return patch;
	}, true);
}

/** To junk or back, with the words that filters learn from (IANA $Junk, $NotJunk; JMAP has them in lower case). */
export function junk(emails, from, to, is) {
	const change = move(emails, from, to);
	for (const patch of change.patches.values())
		Object.assign(patch, keyword("$junk", is), keyword("$notjunk", !is));
	return change;
}

/** For ever. @returns {Change} */
export const destroy = emails => ({ patches: new Map(emails.map(e => [e.id, null])), leaves: true });

const RETRIES = 6;			/* of a change that met nobody; then it is taken back, and said */
const PAUSE = n => Math.min(30000, 1000 * 2 ** n);	/* ms */

/**
 * Carries changes out: shown at once, sent, kept or taken back.  Patches set things to values, so sending one
 * twice is once; that is why they, and only they, are sent again when the network was away.
 */
export class Doer {
	/**
	 * @param {import("./cache.js").Cache} cache
	 * @param {{wait?: (ms: number) => Promise<void>, onFailed?: (op: any, error: any) => void,
	 *	onDone?: (op: any) => Promise<void> | void}} how
	 */
	constructor(cache, how = {}) {
		this.cache = cache;
		this.wait = how.wait || (ms => new Promise(ok => setTimeout(ok, ms)));
		this.onFailed = how.onFailed || (() => {});
		this.onDone = how.onDone || (() => {});
		/** Changes go out one after the other: a later one may build on an earlier one. */
		this.tail = Promise.resolve();
		/** @type {any[]} what can be undone, the newest last */
		this.done = [];
	}

	/**
	 * @param {Change} change
	 * @param {{words?: any, list?: import("./list.js").MessageList | null, rows?: string[], undo?: boolean}} [how]
	 *	words: for the toast; rows: emails whose rows leave `list`; undo: whether it can be taken back
	 */
	do(change, how = {}) {
		const back = new Map();
		for (const [id, patch] of change.patches) {
			const e = this.cache.get("Email", id);
			if (patch !== null && e)
				back.set(id, invert(e, patch));
		}
		const op = {
			type: "Email", patches: change.patches, back, words: how.words, list: how.list || null,
			rows: change.leaves ? how.rows || [] : [], undone: false,
			undoable: how.undo !== false && ![...change.patches.values()].includes(null),
		};
		if (!op.patches.size)
			return op;
		this.cache.begin(op);
		if (op.list)
			op.list.hide(op.rows);
		if (op.undoable)
			this.done.push(op);
		op.finished = this.tail = this.tail.then(() => this.send(op));
		return op;
	}

	/** Take back the newest change, or `op`. @returns {any} what was undone, or null */
	undo(op = this.done[this.done.length - 1]) {
		const at = this.done.indexOf(op);
		if (at < 0)
			return null;
		this.done.splice(at, 1);
		if (op.list)
			op.list.show(op.rows);
		if (!op.sent) {
			op.undone = true;
			this.cache.end(op);
			return op;
		}
		this.do({ patches: op.back, leaves: false }, { undo: false });
		return op;
	}

	async send(op) {
		if (op.undone)
			return;
		op.sent = true;
		for (let n = 0; ; n++) {
			try {
				await this.once(op);
				break;
			} catch (error) {
				if (error.kind === "away" && n < RETRIES) {
					await this.wait(PAUSE(n));
					continue;
				}
				this.fail(op, error);
				return;
			}
		}
		/* The list first loses the rows by the server's own word; only then the change may go from over it. */
		await Promise.resolve(this.onDone(op)).catch(() => {});
		this.cache.end(op);
	}

	async once(op) {
		const update = {}, destroy = [];
		for (const [id, patch] of op.patches) {
			if (patch === null)
				destroy.push(id);
			else
				update[id] = patch;
		}
		const most = this.cache.transport.limits.maxObjectsInSet || 500;
		const ids = [...op.patches.keys()];
		for (let n = 0; n < ids.length; n += most) {
			const some = ids.slice(n, n + most);
			const answer = await this.cache.transport.call("Email/set", {
				update: Object.fromEntries(some.filter(id => id in update).map(id => [id, update[id]])),
				destroy: some.filter(id => !(id in update)),
			});
			const no = { ...answer.notUpdated, ...answer.notDestroyed };
			for (const id of some)
				if (!(id in no))
					this.cache.settle("Email", id, op.patches.get(id));
			const [failed] = Object.entries(no).filter(([, e]) => e.type !== "notFound");
			if (failed)
				throw new JmapError("refused", failed[1].type, failed[1].description);
		}
	}

	fail(op, error) {
		const at = this.done.indexOf(op);
		if (at >= 0)
			this.done.splice(at, 1);
		this.cache.end(op);
		if (op.list)
			op.list.show(op.rows);
		this.onFailed(op, error);
	}
}
