// @ts-check
/**
 * The one store of truth: the server's records by type and id, each type with its state string, and over
 * them the changes that are on their way (optimistic replay).  get() shows a record as it will be once the
 * server has said yes to all of them; when it says no, the change goes and the server's record shows again.
 * Nothing else keeps a copy of a record.
 *
 * sync() takes the difference (X/changes) and asks for those records again that are held; a server that
 * cannot say what changed makes the type forgotten, and its owner asks anew.
 */
import { Emitter } from "../kit/store.js";
import { apply } from "./patch.js";

const HOPS = 8;		/* of hasMoreChanges in one sync; then all is asked anew */

export class Cache extends Emitter {
	/** @param {import("../jmap/transport.js").Transport} transport */
	constructor(transport) {
		super();
		this.transport = transport;
		/** @type {Map<string, Map<string, any>>} */
		this.types = new Map();
		/** @type {Map<string, string>} */
		this.states = new Map();
		/** @type {Set<{type: string, patches: Map<string, object | null>}>} in the order of the user's doing */
		this.pending = new Set();
	}

	records(type) {
		let m = this.types.get(type);
		if (!m)
			this.types.set(type, m = new Map());
		return m;
	}

	/** As the server last said it. */
	base(type, id) {
		return this.records(type).get(id);
	}

	/** As the user sees it; undefined when it is not held or on its way out. */
	get(type, id) {
		let record = this.base(type, id);
		for (const op of this.pending) {
			const patch = op.type === type ? op.patches.get(id) : undefined;
			if (patch === null)
				return undefined;
			if (patch && record)
				record = apply(record, patch);
		}
		return record;
	}

	all(type) {
		return [...this.records(type).keys()].map(id => this.get(type, id)).filter(Boolean);
	}

	/** What a get has answered: new fields join those that are held. */
	put(type, list, state) {
		const held = this.records(type);
		for (const record of list)
			held.set(record.id, { ...held.get(record.id), ...record });
		if (state !== undefined && !this.states.has(type))
			this.states.set(type, state);
		this.changed();
	}

	remove(type, ids) {
		for (const id of ids)
			this.records(type).delete(id);
		this.changed();
	}

	/** A patch that the server has taken. */
	settle(type, id, patch) {
		const record = this.base(type, id);
		if (patch === null)
			this.records(type).delete(id);
		else if (record)
			this.records(type).set(id, apply(record, patch));
	}

	begin(op) {
		this.pending.add(op);
		this.changed();
	}

	end(op) {
		if (this.pending.delete(op))
			this.changed();
	}

	/**
	 * Take the changes of `type` since its state.
	 * @param {string} type @param {object} args of the get (properties)
	 * @param {boolean} all also records that are new (types that are held whole)
	 * @returns {Promise<{created: string[], updated: string[], destroyed: string[]} | null>} null: forgotten
	 */
	async sync(type, args = {}, all = false) {
		const sum = { created: [], updated: [], destroyed: [] };
		for (let hop = 0; this.states.has(type); hop++) {
			let now;
			try {
				if (hop === HOPS)
					throw { type: "cannotCalculateChanges" };
				now = await this.transport.call(`${type}/changes`, { sinceState: this.states.get(type) });
			} catch (error) {
				if (error.type !== "cannotCalculateChanges")
					throw error;
				this.forget(type);
				return null;
			}
			const held = this.records(type);
			const again = [...now.updated.filter(id => all || held.has(id)), ...(all ? now.created : [])];
			if (again.length) {
				const got = await this.transport.call(`${type}/get`, { ids: again, ...args });
				for (const record of got.list)
					held.set(record.id, { ...held.get(record.id), ...record });
				for (const id of got.notFound)
					held.delete(id);
			}
			for (const id of now.destroyed)
				held.delete(id);
			this.states.set(type, now.newState);
			for (const k of Object.keys(sum))
				sum[k].push(...now[k]);
			if (!now.hasMoreChanges)
				break;
		}
		this.changed();
		return sum;
	}

	forget(type) {
		this.types.delete(type);
		this.states.delete(type);
	}
}
