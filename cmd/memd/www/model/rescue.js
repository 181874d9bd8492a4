// @ts-check
/**
 * What is being written, kept in this browser until the server has it: a crash, a dead battery or a session that
 * ended costs a second of typing.  Each tab keeps its own under its name, and holds a lock of that name as long
 * as it lives; a tab that starts takes over what belongs to tabs that hold none any more.  When that was another
 * person's it goes: nobody reads in a shared browser what somebody else has left there.
 * Attachments are blobs that the server has already, and come back with the text.
 */

const PREFIX = "tiermail.draft.";
const LOCK = "tiermail-tab-";
const OLDEST = 14 * 86400000;	/* ms; what nobody came back for */
const REST = 1000;		/* ms from a change to keeping it */

export class Rescue {
	/**
	 * @param {{length: number, key: (n: number) => string | null, getItem: (k: string) => string | null, setItem: (k: string, v: string) => void,
	 *	removeItem: (k: string) => void}} storage
	 * @param {{locks?: any, id?: string, now?: () => number, later?: (f: () => void, ms: number) => any}} [how]
	 */
	constructor(storage, how = {}) {
		this.storage = storage;
		this.locks = "locks" in how ? how.locks : globalThis.navigator && navigator.locks;
		this.id = how.id || Math.random().toString(36).slice(2);
		this.now = how.now || Date.now;
		this.later = how.later || ((f, ms) => setTimeout(f, ms));
		/** @type {Map<string, any>} key to the timer that will keep it */
		this.timers = new Map();
		if (this.locks)
			void this.locks.request(LOCK + this.id, () => new Promise(() => {}));
	}

	/** @param {string} user @param {any} draft */
	keep(user, draft) {
		clearTimeout(this.timers.get(draft.key));
		this.timers.set(draft.key, this.later(() => this.keepNow(user, draft), REST));
	}

	keepNow(user, draft) {
		try {
			this.storage.setItem(`${PREFIX}${this.id}.${draft.key}`, JSON.stringify({ user, at: this.now(), draft }));
		} catch {
			/* full, or a browser that keeps nothing: the server's copy is seconds away */
		}
	}

	/** The person leaves: nothing is kept any more, and nothing that waited will be. */
	forget() {
		for (const timer of this.timers.values())
			clearTimeout(timer);
		this.timers.clear();
		for (const name of this.names())
			this.storage.removeItem(name);
	}

	names() {
		return Array.from({ length: this.storage.length }, (_, n) => this.storage.key(n) || "").filter(k => k.startsWith(PREFIX));
	}

	/** The server has it, or nobody wants it. @param {string} key */
	drop(key) {
		clearTimeout(this.timers.get(key));
		this.timers.delete(key);
		this.storage.removeItem(`${PREFIX}${this.id}.${key}`);
	}

	/** What tabs that are gone have left of this user, this tab's from now on; what they have left of others goes. @param {string} user @returns {Promise<any[]>} drafts */
	async take(user) {
		if (!this.locks)
			return [];
		const held = new Set(((await this.locks.query()).held || []).map(l => l.name));
		const out = [];
		for (const name of this.names()) {
			const tab = name.slice(PREFIX.length).split(".")[0];
			if (held.has(LOCK + tab) || tab === this.id)
				continue;
			let kept = null;
			try {
				kept = JSON.parse(this.storage.getItem(name) || "null");
			} catch {
				/* not ours */
			}
			if (kept && kept.user === user && this.now() - kept.at < OLDEST)
				out.push(kept.draft);
			this.storage.removeItem(name);
		}
		return out;
	}
}
