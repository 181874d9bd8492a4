// @ts-check
/**
 * Filters: what to do with mail that fits, in the order of the list.  They are kept as a Sieve script and as nothing
 * else, so what is shown is what runs; names and switched-off rules are written as Roundcube does, which reads them
 * so.  write() and parse() are each other's: parse(write(rules)) are the rules, and a text that write() could not
 * have written, down to a comment, is null, somebody else's, which this page never rewrites.
 *
 * @typedef {{field: string, how: string, value: string}} Condition
 * @typedef {{kind: string, value: string, id?: string}} Action  a folder: its path, and its id where it has one
 * @typedef {{name: string, on: boolean, match: "all" | "any" | "every", conditions: Condition[], actions: Action[], stop: boolean}} Rule
 */
import { Other, quoted, Reader, strings, tokens } from "./sieve.js";
import { valid } from "./address.js";

/** The script that this page makes where a person has none. */
export const NAME = "Filters";
const HEAD = " Filters of the web client; a rule's name stands before it.";

/** What is looked at: header fields by their names; "email" compares whole addresses, as people write them. */
export const FIELDS = {
	from: ["From"], to: ["To", "Cc"], subject: ["Subject"], list: ["List-Id"], body: null, size: null,
};
export const HOWS = ["contains", "lacks", "is", "differs"];
export const SIZES = ["over", "under"];
export const ACTIONS = ["folder", "read", "flag", "forward", "discard"];
const FLAGS = { read: "\\Seen", flag: "\\Flagged" };
const ADDRESSES = ["from", "to"];

export const blank = () => ({ name: "", on: true, match: /** @type {"all"} */ ("all"), stop: true,
	conditions: [{ field: "from", how: "contains", value: "" }], actions: [{ kind: "folder", value: "" }] });

/** What is wrong with a rule, as a key of i18n; null: it can be kept. @param {Rule} r @returns {string | null} */
export function wrong(r) {
	if (!r.name.trim())
		return "filters.noName";
	if (r.match !== "every" && (!r.conditions.length || r.conditions.some(c => !c.value.trim())))
		return "filters.noValue";
	if (r.conditions.some(c => c.field === "size" && !/^[0-9]{1,9}[KMG]?$/.test(c.value)))
		return "filters.badSize";
	if (!r.actions.length)
		return "filters.noAction";
	if (r.actions.some(a => a.kind === "folder" && !a.value))
		return "filters.noFolder";
	if (r.actions.some(a => a.kind === "forward" && !valid(a.value)))
		return "filters.badAddress";
	return null;
}

/* ---- rules as Sieve ------------------------------------------------------------------------------------------- */

/** A name stands in a comment, and ends with it. */
const oneLine = text => text.replace(/[\u0000-\u001f\u007f\u0085\u2028\u2029]+/g, " ").trim();

function test(c) {
	if (c.field === "size")
		return `size :${c.how} ${c.value}`;
	const not = c.how === "lacks" || c.how === "differs" ? "not " : "";
	const whole = c.how === "is" || c.how === "differs";
	const how = whole ? ":is" : ":contains";
	const value = quoted(oneLine(c.value));		/* in a comment, when the rule is off */
	if (c.field === "body")
		return `${not}body :text ${how} ${value}`;
	return `${not}${whole && ADDRESSES.includes(c.field) ? "address" : "header"} ${how} ${strings(FIELDS[c.field])} ${value}`;
}

const tests = r => (r.match === "every" ? "true" : `${r.match}of (${r.conditions.map(test).join(", ")})`);

function command(a) {
	if (a.kind === "folder")
		return `fileinto ${a.id ? `:mailboxid ${quoted(a.id)} ` : ""}${quoted(a.value)};`;
	if (a.kind === "forward")
		return `redirect :copy ${quoted(a.value)};`;
	return a.kind === "discard" ? "discard;" : `addflag ${quoted(FLAGS[a.kind])};`;
}

/** Flags are set before the message goes anywhere. */
const ordered = actions => [...actions.filter(a => a.kind in FLAGS), ...actions.filter(a => !(a.kind in FLAGS))];

/** What a script needs, by what it says. */
const NEEDS = [["fileinto", /\bfileinto /], ["mailboxid", /\bfileinto :mailboxid /], ["copy", /\bredirect :copy /],
	["imap4flags", /\baddflag /], ["body", /\bbody :text /]];

/** @param {Rule[]} rules @returns {string} */
export function write(rules) {
	const body = rules.map(r => `# rule:[${oneLine(r.name)}]\r\nif ${r.on ? tests(r) : `false # ${tests(r)}`}\r\n{\r\n${
		ordered(r.actions).map(a => `\t${command(a)}\r\n`).join("")}${r.stop ? "\tstop;\r\n" : ""}}\r\n`).join("");
	const needs = NEEDS.filter(([, sign]) => rules.some(r => [...r.conditions.map(test), ...r.actions.map(command)].some(x => /** @type {RegExp} */ (sign).test(x.replace(/"(?:[^"\\]|\\.)*"/g, '""')))))
	    .map(([name]) => /** @type {string} */ (name));
	return `#${HEAD}\r\n${needs.length ? `require [${needs.map(quoted).join(", ")}];\r\n` : ""}${body}`;
}

/* ---- Sieve as rules ------------------------------------------------------------------------------------------- */

const sameList = (a, b) => a.length === b.length && a.every((x, i) => x.toLowerCase() === b[i].toLowerCase());

/** @param {Reader} r @returns {Condition} */
function readTest(r) {
	const not = r.has("word", "not");
	const word = r.take("word");
	if (word === "size" && !not)
		return { field: "size", how: SIZES.find(h => h === r.next?.text) ? r.take("tag") : fail(), value: r.take("number") };
	if (word === "body")
		r.take("tag", "text");
	const whole = r.has("tag", "is");
	if (!whole)
		r.take("tag", "contains");
	const how = whole ? (not ? "differs" : "is") : not ? "lacks" : "contains";
	if (word === "body")
		return { field: "body", how, value: r.take("string") };
	const names = r.strings();
	const field = Object.keys(FIELDS).find(f => FIELDS[f] && sameList(FIELDS[f], names));
	if (!field || word !== (whole && ADDRESSES.includes(field) ? "address" : "header"))
		throw new Other();
	return { field, how, value: r.take("string") };
}

/** @returns {never} */
function fail() {
	throw new Other();
}

/** @param {Reader} r @returns {{match: Rule["match"], conditions: Condition[]}} */
function readTests(r) {
	if (r.has("word", "true"))
		return { match: "every", conditions: [] };
	const match = r.has("word", "allof") ? "all" : r.has("word", "anyof") ? "any" : fail();
	const conditions = [];
	r.take("mark", "(");
	do
		conditions.push(readTest(r));
	while (r.has("mark", ","));
	r.take("mark", ")");
	return { match, conditions };
}

/** @param {Reader} r @returns {Action} */
function readAction(r) {
	const word = r.take("word");
	if (word === "fileinto") {
		const id = r.has("tag", "mailboxid") ? { id: r.take("string") } : {};
		return { kind: "folder", value: r.take("string"), ...id };
	}
	if (word === "redirect") {
		r.take("tag", "copy");
		return { kind: "forward", value: r.take("string") };
	}
	if (word === "addflag") {
		const flag = r.take("string");
		return { kind: Object.keys(FLAGS).find(k => FLAGS[k] === flag) || fail(), value: "" };
	}
	return word === "discard" ? { kind: "discard", value: "" } : fail();
}

/** @param {Reader} r @returns {Rule} */
function readRule(r) {
	const name = /^ rule:\[(.*)\]$/.exec(r.take("comment"))?.[1] ?? fail();
	r.take("word", "if");
	const on = !r.has("word", "false");
	/* The tests of one that is off are a comment. */
	const off = on ? null : new Reader(tokens(r.take("comment")) || []);
	const { match, conditions } = readTests(off || r);
	if (off && !off.end)
		throw new Other();
	const actions = [];
	let stop = false;
	r.take("mark", "{");
	while (!r.has("mark", "}")) {
		stop = r.has("word", "stop");
		if (!stop)
			actions.push(readAction(r));
		if (new Set(actions.map(a => a.kind)).size !== actions.length)
			throw new Other();	/* the page has one of each */
		r.take("mark", ";");
		if (stop && !(r.next?.kind === "mark" && r.next.text === "}"))
			throw new Other();
	}
	return { name, on, match, conditions, actions, stop };
}

/** Extensions by which "${...}" in a string is another text (RFC 5229 3, RFC 5228 2.4.2.4): the page has none of them. */
const MEANING = ["variables", "encoded-character"];

/** The rules of a script; null: it is not one of ours. @param {string} text @returns {Rule[] | null} */
export function parse(text) {
	const list = tokens(text);
	if (!list)
		return null;
	try {
		const r = new Reader(list), rules = [];
		r.has("comment", HEAD);
		while (r.has("word", "require")) {
			if (r.strings().some(name => MEANING.includes(name)) && text.includes("${"))
				return null;
			r.take("mark", ";");
		}
		while (!r.end)
			rules.push(readRule(r));
		/* What is read must be what would be written, but for the case of names: nothing is lost when a rule is changed. */
		const again = tokens(write(rules));
		const plain = l => JSON.stringify(l.slice(l.findIndex(t => t.kind === "comment" && t.text !== HEAD))).toLowerCase();
		return rules.length && plain(again) !== plain(list) ? null : rules;
	} catch (error) {
		if (error instanceof Other)
			return null;
		throw error;
	}
}

/* ---- the person's scripts -------------------------------------------------------------------------------------- */

export const CAPABILITY = "urn:ietf:params:jmap:sieve";

/** @typedef {{id: string, name: string, blobId: string, isActive: boolean, text: string, rules: Rule[] | null}} Script */

/** All scripts with their texts. @param {import("../jmap/transport.js").Transport} transport
 * @returns {Promise<{state: string, scripts: Script[]}>} */
export async function load(transport) {
	const batch = transport.batch();
	const get = batch.call("SieveScript/get", { ids: null });
	batch.call("Blob/get", { "#ids": get.ref("/list/*/blobId"), properties: ["data:asText"] });
	const [got, blobs] = await batch.send();
	const texts = new Map(blobs.list.map(b => [b.id, b["data:asText"]]));
	return { state: got.state, scripts: got.list.map(s => {
		const text = texts.get(s.blobId);
		return { ...s, text: text ?? "", rules: typeof text === "string" ? parse(text) : null };
	}) };
}

/** Which one the list of rules is about: the active one if it is of ours, else one of ours that was made here, if nothing
 * else is active.  @param {Script[]} scripts @returns {{ours: Script | null, foreign: Script | null}} */
export function choose(scripts) {
	const active = scripts.find(s => s.isActive) || null;
	if (active)
		return active.rules ? { ours: active, foreign: null } : { ours: null, foreign: active };
	return { ours: scripts.find(s => s.name === NAME && s.rules) || null, foreign: null };
}

/** A name that no script has. @param {Script[]} scripts */
export function freeName(scripts) {
	let name = NAME;
	for (let n = 2; scripts.some(s => s.name === name); n++)
		name = `${NAME} ${n}`;
	return name;
}

/**
 * Stores a text as `script` (null: a new one, which is made active); one that is switched off stays so.  Nothing is changed if
 * somebody else was faster.
 * Throws what the server says: {type: "invalidSieve", description}, a JmapError of type "stateMismatch".
 * @param {import("../jmap/transport.js").Transport} transport @param {{state: string, scripts: Script[]}} from
 * @param {Script | null} script @param {string} text
 */
export async function store(transport, from, script, text) {
	const batch = transport.batch();
	batch.call("Blob/upload", { create: { text: { data: [{ "data:asText": text }], type: "application/sieve" } } });
	batch.call("SieveScript/set", { ifInState: from.state, ...(script ? {} : { onSuccessActivateScript: "#new" }),
		...(script ? { update: { [script.id]: { blobId: "#text" } } } : { create: { new: { name: freeName(from.scripts), blobId: "#text" } } }) });
	const [, set] = await batch.send();
	const refused = set.notCreated?.new || (script && set.notUpdated?.[script.id]);
	if (refused)
		throw refused;
}

/** Makes another script active; "": none. @param {import("../jmap/transport.js").Transport} transport */
export const activate = (transport, from, id) =>
	transport.call("SieveScript/set", { ifInState: from.state, ...(id ? { onSuccessActivateScript: id } : { onSuccessDeactivateScript: true }) });

/** @param {import("../jmap/transport.js").Transport} transport */
export async function remove(transport, from, id) {
	const set = await transport.call("SieveScript/set", { ifInState: from.state, destroy: [id] });
	if (set.notDestroyed?.[id])
		throw set.notDestroyed[id];
}
