// @ts-check
/**
 * The text of mail: what of it is quoted, what a signature, what a link; and the other way, quoting for an
 * answer.  Works on plain text alone; HTML is mail/clean.js.
 */

/** @typedef {{kind: "text" | "quote" | "signature", lines: string[]}} Block */

const QUOTE = /^(?:> ?)+/;
const depthOf = line => (QUOTE.exec(line)?.[0].match(/>/g) || []).length;

/**
 * Plain text as blocks, quotes apart so that they can be folded.  The line that introduces a quote
 * ("On Tuesday Ann wrote:") belongs to it when it ends with a colon.
 * @param {string} text @returns {Block[]}
 */
export function blocks(text) {
	const lines = text.replace(/\r\n?/g, "\n").replace(/\n+$/, "").split("\n");
	/** @type {Block[]} */
	const out = [];
	/** @type {Block | null} */
	let at = null, lastQuoted = lines.length - 1;
	while (lastQuoted >= 0 && !depthOf(lines[lastQuoted]))
		lastQuoted--;
	for (let n = 0; n < lines.length; n++) {
		const line = lines[n];
		if (line === "-- " && n > lastQuoted) {
			out.push({ kind: "signature", lines: lines.slice(n) });
			break;
		}
		const quoted = depthOf(line) > 0;
		if (!at || (at.kind === "quote") !== quoted) {
			const intro = quoted && at ? takeIntro(at) : [];
			at = { kind: quoted ? "quote" : "text", lines: intro };
			out.push(at);
		}
		at.lines.push(line);
	}
	return out.filter(b => b.kind !== "text" || b.lines.some(l => l.trim()));
}

/** Takes "... wrote:" (at most two lines, one empty line behind it) from the end of `block`. @param {Block} block @returns {string[]} */
function takeIntro(block) {
	let end = block.lines.length;
	while (end && !block.lines[end - 1].trim())
		end--;
	if (!end || !/:\s*$/.test(block.lines[end - 1]) || block.lines.length - end > 1)
		return [];
	const two = end > 1 && block.lines[end - 2].trim() && !/\d/.test(block.lines[end - 1]) && (end === 2 || !block.lines[end - 3].trim());
	return block.lines.splice(two ? end - 2 : end - 1);
}

const LINK = /\b(?:(?:https?|ftp):\/\/|mailto:|www\.)[^\s<>"\u201c\u201d]+|(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+/gi;
const CLOSES = { ")": "(", "]": "[", "}": "{" };

/** Without the sentence's punctuation and the brackets that were opened before it. @param {string} url */
function bare(url) {
	const many = {};
	for (const c of url)
		if (/[()[\]{}]/.test(c))
			many[c] = (many[c] || 0) + 1;
	let end = url.length;
	for (; end; end--) {
		const c = url[end - 1];
		if (many[c] > (many[CLOSES[c]] || 0) && CLOSES[c])
			many[c]--;
		else if (!".,;:!?'*_".includes(c))
			break;
	}
	return url.slice(0, end);
}

/**
 * A line in pieces, some of them links.  Punctuation at the end of a link is the sentence's, and so is a
 * bracket that was opened before it.
 * @param {string} line @returns {{text: string, href?: string}[]}
 */
export function links(line) {
	const out = [];
	let at = 0;
	for (const m of line.matchAll(LINK)) {
		const text = bare(m[0]);
		const start = /** @type {number} */ (m.index);
		if (start > at)
			out.push({ text: line.slice(at, start) });
		const href = /^www\./i.test(text) ? "http://" + text :
			/^[^:/]+@/.test(text) ? "mailto:" + text : text;
		out.push({ text, href });
		at = start + text.length;
	}
	if (at < line.length)
		out.push({ text: line.slice(at) });
	return out;
}

/** Lines with "> " before each, as an answer has them; the signature of what is answered goes. */
export function quote(text) {
	const lines = text.replace(/\r\n?/g, "\n").replace(/\n+$/, "").split("\n");
	const cut = lines.lastIndexOf("-- ");
	const kept = cut > 0 && lines.length - cut <= 10 ? lines.slice(0, cut) : lines;
	while (kept.length && !kept[kept.length - 1].trim())
		kept.pop();
	return kept.map(l => l.startsWith(">") ? ">" + l : l ? "> " + l : ">").join("\n");
}

/**
 * Lines of at most `width` columns, broken at spaces; quotes and long words stay as they are.
 * @param {string} text
 */
export function wrap(text, width = 76) {
	return text.split("\n").map(line => {
		if (line.length <= width || line.startsWith(">"))
			return line;
		const out = [];
		let at = "";
		for (const word of line.split(" ")) {
			if (at && at.length + 1 + word.length > width) {
				out.push(at);
				at = word;
			} else
				at = at ? `${at} ${word}` : word;
		}
		out.push(at);
		return out.join("\n");
	}).join("\n");
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
export const escapeHtml = s => s.replace(/[&<>"']/g, c => ENTITIES[c]);

/** Plain text as HTML that looks the same. */
export const textToHtml = text => text.replace(/\r\n?/g, "\n").split("\n")
    .map(l => `<div>${l ? escapeHtml(l).replace(/^ | (?= )/g, "&nbsp;") : "<br>"}</div>`).join("");
