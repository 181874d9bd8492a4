// @ts-check
/** Patch objects (RFC 8620 5.3) on plain records: applied, turned round, told apart.  Records are never changed in place. */

const unescape = s => s.replace(/~1/g, "/").replace(/~0/g, "~");
const escape = s => s.replace(/~/g, "~0").replace(/\//g, "~1");

/** "keywords/NAME" with what JSON Pointer asks of a name. */
export const path = (...names) => names.map(escape).join("/");

function put(at, names, value) {
	const [name, ...rest] = names;
	const out = { ...at };
	if (rest.length)
		out[name] = put(at && at[name] ? at[name] : {}, rest, value);
	else if (value === null)
		delete out[name];
	else
		out[name] = value;
	return out;
}

/** The record as it is after the patch. */
export function apply(record, patch) {
	let out = record;
	for (const [where, value] of Object.entries(patch))
		out = put(out, where.split("/").map(unescape), value);
	return out;
}

/** The patch that takes the first patch back, on `record` as it was before. */
export function invert(record, patch) {
	const back = {};
	for (const where of Object.keys(patch)) {
		let at = record;
		for (const name of where.split("/").map(unescape))
			at = at == null ? undefined : at[name];
		back[where] = at === undefined ? null : at;
	}
	return back;
}

/** Only what would change something. */
export function needed(record, patch) {
	const out = {};
	const old = invert(record, patch);
	for (const [where, value] of Object.entries(patch))
		if (JSON.stringify(old[where]) !== JSON.stringify(value))
			out[where] = value;
	return out;
}
