// @ts-check
/**
 * State that views watch.  A Store holds one plain object; set() merges and tells everybody once, in the
 * same turn, so that what a click changed is on the screen with the next frame.  Models derive from
 * Emitter and keep what they like; views watch them by useWatch.
 */
import { useEffect, useReducer, useRef } from "./html.js";

export class Emitter {
	constructor() {
		/** @type {Set<() => void>} */
		this.watchers = new Set();
		/** Grows with each change: what a view compares. */
		this.version = 0;
	}

	/** @param {() => void} f called after each change. @returns {() => void} ends it */
	watch(f) {
		this.watchers.add(f);
		return () => this.watchers.delete(f);
	}

	changed() {
		this.version++;
		for (const f of [...this.watchers])
			f();
	}
}

/** @template {Record<string, any>} T */
export class Store extends Emitter {
	/** @param {T} state */
	constructor(state) {
		super();
		this.state = state;
	}

	/** @param {Partial<T>} part */
	set(part) {
		this.state = { ...this.state, ...part };
		this.changed();
	}
}

/** Draw this component again when `emitter` has changed. @param {Emitter | null | undefined} emitter */
export function useWatch(emitter) {
	const [, again] = useReducer((/** @type {number} */ n) => n + 1, 0);
	const seen = useRef(-1);
	seen.current = emitter ? emitter.version : -1;
	useEffect(() => {
		if (!emitter)
			return undefined;
		if (emitter.version !== seen.current)	/* changed between drawing and now */
			again(undefined);
		return emitter.watch(() => again(undefined));
	}, [emitter]);
}

/** A store's state, watched. @param {Store<any>} store @returns {any} */
export function useStore(store) {
	useWatch(store);
	return store.state;
}
