// @ts-check
/**
 * What a person has chosen.  Kept by the server where it can (one record behind a capability of tiermail's own),
 * and in this browser in any case, so that the first paint has the right colours.  A key that this version does
 * not know stays as it is: another tab may run a newer one.  They are one person's: for another all begins at the
 * defaults, or one would see whose pictures somebody else trusts, and load them.
 */
import { Store } from "../kit/store.js";

export const CAPABILITY = "urn:tiermail:params:jmap:settings";
const KEY = "tiermail.settings";

export const DEFAULTS = {
	theme: "auto", density: "comfortable", language: "auto", rich: true, undoSeconds: 10, pictures: "ask",
	/** @type {string[]} */ pictureSenders: [], listWidth: 392, user: "",
	/** What the directory says of the person (preferredLanguage, RFC 2798 2.7); of this browser alone. */ entryLanguage: "",
};

export class Settings extends Store {
	/** @param {{getItem: (k: string) => string | null, setItem: (k: string, v: string) => void}} storage */
	constructor(storage) {
		let kept = {};
		try {
			kept = JSON.parse(storage.getItem(KEY) || "{}");
		} catch {
			/* not ours, or broken: the defaults */
		}
		super({ ...DEFAULTS, ...kept });
		this.storage = storage;
		this.transport = null;
	}

	/** @param {string} user who is logged in now */
	belong(user) {
		const old = this.state.user;
		if (old !== user)
			this.keep(old ? { ...Object.fromEntries(Object.keys(this.state).map(k => [k, undefined])), ...DEFAULTS, user } : { user });
	}

	/** Which words are wanted, the best first: those chosen, else by the entry, else by the browser. @param {readonly string[]} browser */
	languages(browser) {
		const { language, entryLanguage } = this.state;
		return language === "auto" ? [...entryLanguage.split(",").map(l => l.split(";")[0].trim().replace(/^[A-Z]+/, s => s.toLowerCase())).filter(Boolean), ...browser] : [language];
	}

	/** Take what the server keeps. @param {import("../jmap/transport.js").Transport} transport */
	async open(transport) {
		if (!transport.can(CAPABILITY))
			return;
		this.transport = transport;
		const got = await transport.call("Settings/get", { ids: ["singleton"] });
		if (got.list.length)
			this.keep({ ...got.list[0].value, user: this.state.user });
	}

	keep(part) {
		this.set(part);
		try {
			this.storage.setItem(KEY, JSON.stringify(this.state));
		} catch {
			/* a browser that keeps nothing */
		}
	}

	/** @param {Partial<typeof DEFAULTS>} part @returns {Promise<void>} */
	async change(part) {
		this.keep(part);
		if (!this.transport)
			return;
		const update = Object.fromEntries(Object.entries(part).map(([k, v]) => [`value/${k}`, v]));
		const answer = await this.transport.call("Settings/set", { update: { singleton: update } });
		if (answer.notUpdated && answer.notUpdated.singleton)
			throw answer.notUpdated.singleton;
	}
}
