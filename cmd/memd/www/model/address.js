// @ts-check
/**
 * Addresses as people type them and as they are shown.  parse() reads what stands in a To field (RFC 5322
 * 3.4, leniently: what is pasted from anywhere); valid() says whether a server could possibly take one, and
 * errs on the side of yes: only the recipient's host knows.
 */

/** @typedef {{name: string | null, email: string}} Address */

/** For comparing: the domain has no case, and nobody's local part has in practice. @param {any} a */
export const address = a => (a && a.email ? a.email : "").toLowerCase();

/** @param {string} text @returns {Address[]} groups are taken apart, comments dropped */
export function parse(text) {
	const out = [];
	let name = "", email = "", word = "", quoted = false, angle = false, depth = 0;
	const end = () => {
		const plain = word.trim();
		const bare = !email && plain.includes("@") && !/\s/.test(plain);
		if (email)
			out.push({ name: (name + word).trim() || null, email: email.trim() });
		else if (bare)
			out.push({ name: null, email: plain });
		else if (plain)
			out.push(loose(plain));
		name = email = word = "";
	};
	for (let n = 0; n < text.length; n++) {
		const c = text[n];
		if (quoted) {
			if (c === "\\" && n + 1 < text.length)
				word += text[++n];
			else if (c === '"')
				quoted = false;
			else
				word += c;
		} else if (c === '"')
			quoted = true;
		else if (c === "(" && !angle)
			depth++;
		else if (c === ")" && depth)
			depth--;
		else if (depth)
			continue;
		else if (angle) {
			if (c === ">")
				angle = false;
			else
				email += c;
		} else if (c === "<") {
			angle = true;
			name = word;
			word = "";
		} else if (c === "," || c === ";" || c === "\n")
			end();
		else if (c === ":" && !word.includes("@"))	/* a group's name */
			word = "";
		else
			word += c;
	}
	end();
	return out;
}

/** "Ann Lee ann@example.net" from a paste: the last word with an @ is the address. */
function loose(text) {
	const words = text.split(/\s+/);
	const last = words.pop() || "";
	if (words.length && last.includes("@"))
		return { name: words.join(" "), email: last };
	return { name: null, email: text };
}

/** Could it be an address?  @param {string} email */
export function valid(email) {
	const at = email.lastIndexOf("@");
	const local = email.slice(0, at), domain = email.slice(at + 1);
	if (at < 1 || at > 64 || domain.length > 253 || /[\s<>(),;:\\"\[\]\u0000-\u001f]/.test(local))
		return false;
	if (/^\.|\.$|\.\./.test(local))
		return false;
	const labels = domain.split(".");
	return labels.length > 1 && labels.every(l => /^[^\s!-,/:-@\[-`{-\u007f_.-]([^\s!-,/:-@\[-`{-\u007f_.]{0,61}[^\s!-,/:-@\[-`{-\u007f_.-])?$/u.test(l)) &&
	    !/^\d+$/.test(labels[labels.length - 1]) && labels[labels.length - 1].length > 1;
}

/** As it stands in a field that is read by parse() again. @param {Address} a */
export function format(a) {
	if (!a.name)
		return a.email;
	const name = /^[\w .'\u0080-\uffff-]+$/u.test(a.name) ? a.name : `"${a.name.replace(/(["\\])/g, "\\$1")}"`;
	return `${name} <${a.email}>`;
}

/** The part of a name that friends use. @param {any} a */
export function shortName(a) {
	const name = (a.name || "").trim();
	if (!name)
		return (a.email || "").split("@")[0];
	const turned = /^[^,]+,\s*(\S+)/.exec(name);	/* "Okafor, Mara" */
	return turned ? turned[1] : name.split(/\s+/)[0];
}

/** At most two letters for an avatar. @param {any} a */
export function initials(a) {
	const name = ((a && (a.name || a.email.split("@")[0])) || "?").replace(/[^\p{L}\p{N}\s._-]/gu, " ").trim();
	const words = name.split(/[\s._-]+/).filter(Boolean);
	if (!words.length)
		return "?";
	const letters = words.length > 1 ? [words[0], words[words.length - 1]].map(w => [...w][0]) : [...words[0]].slice(0, 2);
	return letters.join("").toLocaleUpperCase();
}

/** A number from 0 to `many` - 1 that an address always has: its colour. */
export function shade(a, many) {
	let h = 2166136261;
	for (const c of address(a))
		h = Math.imul(h ^ c.charCodeAt(0), 16777619) >>> 0;
	return h % many;
}

/** Each address once, the first wins. @param {Address[]} list @param {Set<string>} [without] */
export function unique(list, without = new Set()) {
	const seen = new Set(without);
	return list.filter(a => a.email && !seen.has(address(a)) && seen.add(address(a)));
}
