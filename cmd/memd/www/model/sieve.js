// @ts-check
/**
 * Sieve as far as filters of this page are written in it (RFC 5228): words out of a text, and strings into one.
 * Pure.  A text is read whole or not at all: what is not understood here is somebody else's script, and stays
 * as it is.
 */

/** @typedef {{kind: "word" | "tag" | "string" | "number" | "mark" | "comment", text: string}} Token */

const SPACE = /[ \t\r\n]+/y;
const COMMENT = /#([^\r\n]*)/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const TAG = /:([A-Za-z_][A-Za-z0-9_]*)/y;
const NUMBER = /[0-9]+[KMGkmg]?(?![A-Za-z0-9_])/y;
const STRING = /"((?:[^"\\]|\\[\s\S])*)"/y;
const MARK = /[[\](){},;]/y;

/** The tokens of a text, comments among them; null: it has something else. @param {string} text @returns {Token[] | null} */
export function tokens(text) {
	const out = [];
	let at = 0;
	const take = pattern => {
		pattern.lastIndex = at;
		const m = pattern.exec(text);
		if (m)
			at = pattern.lastIndex;
		return m;
	};
	const push = (kind, t) => out.push({ kind, text: t });
	while (at < text.length) {
		let m;
		if (take(SPACE))
			continue;
		if ((m = take(COMMENT)))
			push("comment", m[1]);
		else if ((m = take(WORD)))
			push("word", m[0].toLowerCase());
		else if ((m = take(TAG)))
			push("tag", m[1].toLowerCase());
		else if ((m = take(NUMBER)))
			push("number", m[0].toUpperCase());
		else if ((m = take(STRING)))
			push("string", m[1].replace(/\\([\s\S])/g, "$1"));
		else if ((m = take(MARK)))
			push("mark", m[0]);
		else
			return null;
	}
	return out;
}

/** A quoted string (2.4.2). @param {string} text */
export const quoted = text => `"${text.replace(/[\\"]/g, "\\$&")}"`;

/** One string, or a list of them (2.4.2.1). @param {string[]} list */
export const strings = list => (list.length === 1 ? quoted(list[0]) : `[${list.map(quoted).join(", ")}]`);

/** Tokens, one after the other; each method takes what it names, or throws Other. */
export class Reader {
	/** @param {Token[]} list */
	constructor(list) {
		this.list = list;
		this.at = 0;
	}

	get next() {
		return this.list[this.at];
	}

	get end() {
		return this.at === this.list.length;
	}

	/** Is it this one?  Then it is taken. @param {Token["kind"]} kind @param {string} [text] */
	has(kind, text) {
		const t = this.next;
		if (!t || t.kind !== kind || (text !== undefined && t.text !== text))
			return false;
		this.at++;
		return true;
	}

	/** @param {Token["kind"]} kind @param {string} [text] @returns {string} */
	take(kind, text) {
		const t = this.next;
		if (!this.has(kind, text))
			throw new Other();
		return t.text;
	}

	/** A string list. @returns {string[]} */
	strings() {
		if (!this.has("mark", "["))
			return [this.take("string")];
		const list = [];
		do
			list.push(this.take("string"));
		while (this.has("mark", ","));
		this.take("mark", "]");
		return list;
	}
}

/** A script that is not one of ours. */
export class Other extends Error {}
