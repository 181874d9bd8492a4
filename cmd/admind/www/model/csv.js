// @ts-check
/**
 * Tables as files: RFC 4180, also with semicolons; the same that diradm(8) imports and exports: the first column is
 * user, group or org, the others are settings; several values stand in one cell, one a line.  A cell that a
 * spreadsheet would run as a formula is written with a quote in front and read without it; numbers of telephones and
 * access filters ("+imap:*") are none.  Pure.
 */

/** @param {string} text @returns {{rows: {line: number, cells: string[]}[], error: {line: number, code: string} | null}} */
export function parse(text) {
	const rows = [];
	const head = text.replace(/^\uFEFF/, "");
	const first = head.split("\n", 1)[0];
	const comma = !first.includes(",") && first.includes(";") ? ";" : ",";
	let at = 0, line = 1, begun = 1, cells = [];
	while (at < head.length) {
		let cell = "";
		if (head[at] === '"') {
			at++;
			for (;;) {
				if (at >= head.length)
					return { rows, error: { line: begun, code: "open" } };
				if (head[at] === '"' && head[at + 1] !== '"')
					break;
				if (head[at] === '"')
					at++;
				if (head[at] === "\n")
					line++;
				cell += head[at++];
			}
			at++;
			if (at < head.length && ![comma, "\n", "\r"].includes(head[at]))
				return { rows, error: { line, code: "behind" } };
		} else {
			while (at < head.length && ![comma, "\n", "\r"].includes(head[at]))
				cell += head[at++];
		}
		cells.push(plain(cell));
		if (head[at] === comma) {
			at++;
			if (at < head.length)
				continue;
			cells.push("");
		}
		if (head[at] === "\r")
			at++;
		if (head[at] === "\n")
			at++;
		line++;
		if (cells.some(c => c !== ""))
			rows.push({ line: begun, cells });
		cells = [];
		begun = line;
	}
	return { rows, error: null };
}

const FORMULA = /^(?:[=@\t\r]|[+-](?![\w:.*, /$+\n-]*$))/;
const plain = cell => (cell[0] === "'" && FORMULA.test(cell.slice(1)) ? cell.slice(1) : cell);

/** @param {any} v @returns {string} a cell */
export function cell(v) {
	let text = Array.isArray(v) ? v.join("\n") : String(v ?? "");
	if (FORMULA.test(text))
		text = "'" + text;
	return /[",;\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {string[]} columns @param {any[]} records @returns {string} */
export const write = (columns, records) => [columns.join(","), ...records.map(r => columns.map(c => cell(r[c])).join(","))].join("\r\n") + "\r\n";

const OBJECTS = { user: "users", group: "groups", org: "orgs" };

/**
 * A file's rows as wishes.  @param {string} text @param {(object: string, setting: string) => boolean} known
 * @returns {{object: string, list: string, rows: {line: number, name: string, body: Record<string, any>}[], error: {line: number, code: string, word?: string} | null}}
 */
export function wishes(text, known) {
	const { rows, error } = parse(text);
	const none = (code, line = 1, word = "") => ({ object: "", list: "", rows: [], error: { line, code, word } });
	if (error)
		return { ...none(error.code, error.line) };
	if (!rows.length)
		return none("empty");
	const [object, ...columns] = rows[0].cells.map(c => c.trim());
	if (!Object.hasOwn(OBJECTS, object))
		return none("object", rows[0].line, object);
	const strange = columns.find(c => !(known(object, c) || (object === "user" && c === "password")));
	if (strange !== undefined)
		return none("column", rows[0].line, strange);
	const out = [];
	for (const { line, cells } of rows.slice(1)) {
		if (cells.length > columns.length + 1)
			return none("cells", line);
		const body = {};
		columns.forEach((c, i) => {
			const v = (cells[i + 1] || "").split("\n").map(x => x.trimEnd()).filter(Boolean);
			if (v.length)
				body[c] = v.length > 1 ? v : v[0];
		});
		out.push({ line, name: cells[0].trim(), body });
	}
	return { object, list: OBJECTS[object], rows: out, error: null };
}
