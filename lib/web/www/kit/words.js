// @ts-check
/**
 * Words.  A language is a table from key to a sentence, or to sentences by plural form (the CLDR's names, chosen
 * by Intl.PluralRules on `n`).  {name} stands for an argument; numbers are written as the language does.
 * English is complete and is what a missing sentence falls back to.
 * "en-XA" and "ar-XB" are pseudo-languages for tests: 40 % longer, and right to left.
 */
import { Emitter } from "./store.js";

const PSEUDO = {
	"en-XA": s => `[${s} ${"·".repeat(Math.ceil(s.replace(/\{\w+\}/g, "").length * 0.4))}]`,
	"ar-XB": s => s,
};
const RTL = new Set(["ar", "fa", "he", "ur"]);

export class Words extends Emitter {
	/**
	 * @param {Record<string, any>} english
	 * @param {Record<string, {name: string, load: () => Promise<{default: Record<string, any>}>}>} languages
	 */
	constructor(english, languages) {
		super();
		this.english = english;
		this.known = languages;
		this.locale = "en";
		this.table = english;
		this.plural = new Intl.PluralRules("en");
		this.number = new Intl.NumberFormat("en");
		this.make = s => s;
		this.t = this.t.bind(this);
	}

	/** The languages that there are: [code, name]. */
	get languages() {
		return Object.entries(this.known).map(([code, l]) => [code, l.name]);
	}

	get direction() {
		return RTL.has(this.locale.split("-")[0]) ? "rtl" : "ltr";
	}

	/** The best of what a browser or an entry asks for. @param {readonly string[]} wanted */
	choose(wanted) {
		for (const w of wanted) {
			if (w in PSEUDO || w in this.known)
				return w;
			if (w.split("-")[0] in this.known)
				return w;	/* de-AT: German words, Austrian dates */
		}
		return "en";
	}

	async use(locale) {
		const base = locale in PSEUDO ? "en" : locale.split("-")[0];
		this.table = (await (this.known[base] || this.known.en).load()).default;
		this.locale = locale;
		this.make = PSEUDO[locale] || (s => s);
		this.plural = new Intl.PluralRules(base);
		this.number = new Intl.NumberFormat(locale in PSEUDO ? "en" : locale);
		this.changed();
	}

	/** What Intl is asked with: pseudo-languages have no dates of their own. */
	get intl() {
		return this.locale in PSEUDO ? "en" : this.locale;
	}

	/** @param {string} key @param {Record<string, string | number>} [args] n chooses the plural form */
	t(key, args = {}) {
		let s = this.table[key] ?? this.english[key];
		if (s === undefined)
			return key;
		if (typeof s === "object")
			s = s[this.plural.select(Number(args.n))] ?? s.other;
		return this.make(s).replace(/\{(\w+)\}/g, (_, name) => {
			const v = args[name];
			return typeof v === "number" ? this.number.format(v) : String(v ?? "");
		});
	}
}
