// Filters as Sieve: they come back as they were, what is somebody else's is left alone, and the real engine takes them.
import test from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as f from "../../../cmd/memd/www/model/filters.js";
import { Transport } from "../../../cmd/memd/www/jmap/transport.js";
import { Double } from "../lib/double.mjs";

const rule = more => ({ name: "n", on: true, match: "all", conditions: [{ field: "from", how: "contains", value: "x" }], actions: [{ kind: "folder", value: "A/B", id: "F1" }], stop: true, ...more });
const conditions = [
	...["from", "to", "subject", "list", "body"].flatMap(field => f.HOWS.map(how => ({ field, how, value: `a "b" \\c ü ${field}` }))),
	...f.SIZES.map(how => ({ field: "size", how, value: "10M" })),
];
const RULES = [
	rule({ name: "all", conditions }), rule({ name: "any", match: "any", conditions }), rule({ name: "off [x] # ü", on: false, conditions }),
	rule({ name: "every", match: "every", conditions: [], stop: false }),
	rule({ name: "does", actions: [{ kind: "read", value: "" }, { kind: "flag", value: "" }, { kind: "folder", value: "INBOX" }, { kind: "forward", value: "a@b.org" }, { kind: "discard", value: "" }] }),
];

test("rules come back as they were", () => {
	for (const list of [[], ...RULES.map(r => [r]), RULES])
		assert.deepEqual(f.parse(f.write(list)), list);
	assert.equal(f.write(RULES), f.write(f.parse(f.write(RULES))));
});

test("no text of a person leaves its place", () => {
	const nasty = ['"; discard; #', "a\r\ndiscard;", "]\r\nif true { discard; }", "${x}", "\\", '\\"', "\u2028discard;", "*?"];
	for (const text of nasty)
		for (const on of [true, false]) {
			const made = f.write([rule({ name: text, on, conditions: [{ field: "subject", how: "is", value: text }], actions: [{ kind: "read", value: "" }] })]);
			const back = f.parse(made);
			assert.equal(back?.length, 1, made);
			assert.deepEqual(back[0].actions, [{ kind: "read", value: "" }], made);
			assert.equal(f.write(back), made);
		}
});

test("flags are set before the message goes", () => {
	const text = f.write([rule({ actions: [{ kind: "folder", value: "A" }, { kind: "read", value: "" }] })]);
	assert.ok(text.indexOf("addflag") < text.indexOf('fileinto "A"'), text);
	assert.match(text, /require \["fileinto", "imap4flags"\]/);
	assert.ok(!/require/.test(f.write([rule({ actions: [{ kind: "discard", value: "" }], conditions: [{ field: "subject", how: "is", value: "fileinto :mailboxid addflag " }] })])), "what a text says is no need");
});

test("what Roundcube writes in our words is ours, and what is not is not", () => {
	const ours = 'require ["fileinto"];\r\n# rule:[Lists]\r\nif anyof (header :contains "list-id" "x")\r\n{\r\n\tfileinto "L";\r\n\tstop;\r\n}\r\n# rule:[Off]\r\nif false # allof (size :over 5M)\r\n{\r\n\tdiscard;\r\n}\r\n';
	assert.equal(f.parse(ours).length, 2);
	assert.equal(f.parse(ours.replace('["fileinto"]', '["fileinto", "variables"]')).length, 2);
	for (const foreign of ['keep;', '# mine\r\n' + ours, ours + "# the end", ours.replace("stop;", "keep;"), ours.replace('fileinto "L"', 'fileinto "L"; fileinto "M"'), ours.replace("anyof", "not anyof"),
		ours.replace("stop;", "stop; discard;"), ours.replace(":contains", ":matches"), ours.replace('"list-id"', '"x-other"'), ours.replace("5M)", "5M) /* hm */"), "/* */ keep;", 'if true { stop; }',
		ours + 'if true { discard; }', "# rule:[x]\r\nif allof (", "text:\r\n.\r\n", '# rule:[x]\r\nif allof (header :contains "From" "x") { stop; } else { keep; }', ours.replace("# rule:[Off]", "#rule:[Off]"),
		ours.replace('["fileinto"]', '["fileinto", "variables"]').replace('"x"', '"${1}"'), ours.replace('"fileinto"', '"encoded-character", "fileinto"').replace('"L"', '"${hex:4c}"')])
		assert.equal(f.parse(foreign), null, foreign);
	assert.deepEqual(f.parse(""), []);
});

test("what is wrong with a rule is said before it is kept", () => {
	assert.equal(f.wrong(RULES[0]), null);
	for (const [more, key] of [[{ name: " " }, "noName"], [{ conditions: [] }, "noValue"], [{ conditions: [{ field: "from", how: "is", value: " " }] }, "noValue"],
		[{ conditions: [{ field: "size", how: "over", value: "big" }] }, "badSize"], [{ actions: [] }, "noAction"], [{ actions: [{ kind: "folder", value: "" }] }, "noFolder"],
		[{ actions: [{ kind: "forward", value: "x" }] }, "badAddress"]])
		assert.equal(f.wrong(rule(more)), "filters." + key);
});

const sievetest = process.env.BINDIR ? join(process.env.BINDIR, "sievetest") : "build/bin/sievetest";
test("the engine takes them", { skip: existsSync(sievetest) ? false : "no sievetest" }, () => {
	const dir = mkdtempSync(join(tmpdir(), "filters-"));
	try {
		for (const [n, list] of [[], ...RULES.map(r => [r]), RULES].entries()) {
			writeFileSync(join(dir, `${n}.sieve`), f.write(list));
			execFileSync(sievetest, ["--check", join(dir, `${n}.sieve`)], { stdio: "pipe" });
		}
		writeFileSync(join(dir, "m"), "From: Ann <x@y.org>\r\nSubject: s\r\n\r\nb\r\n");
		writeFileSync(join(dir, "r.sieve"), f.write([rule({ on: false, actions: [{ kind: "discard", value: "" }] }),
			rule({ conditions: [{ field: "from", how: "is", value: "X@Y.org" }], actions: [{ kind: "folder", value: "Hit" }, { kind: "read", value: "" }] }), rule({ match: "every", conditions: [], actions: [{ kind: "folder", value: "Late" }] })]));
		const said = execFileSync(sievetest, ["-b", "Hit", "-b", "Late", join(dir, "r.sieve"), join(dir, "m")], { encoding: "utf8" });
		assert.match(said, /Hit/);
		assert.match(said, /Seen/);
		assert.ok(!/Late|discard/.test(said), said);
	} finally {
		rmSync(dir, { recursive: true });
	}
});

test("which script the page is about, and what a change does to the others", async () => {
	const server = new Double();
	const transport = new Transport({ fetch: server.fetch, wait: async () => {} });
	await transport.open();
	let all = await f.load(transport);
	assert.deepEqual(f.choose(all.scripts), { ours: null, foreign: null });
	await f.store(transport, all, null, f.write([rule({})]));
	all = await f.load(transport);
	assert.deepEqual([f.choose(all.scripts).ours?.name, f.choose(all.scripts).ours?.rules], ["Filters", [rule({})]]);
	const theirs = server.script("theirs", "discard;", false);
	all = await f.load(transport);
	await f.activate(transport, all, theirs);
	all = await f.load(transport);
	assert.equal(f.choose(all.scripts).foreign?.text, "discard;");
	await f.store(transport, all, null, f.write(RULES));
	all = await f.load(transport);
	assert.deepEqual(all.scripts.map(s => [s.name, s.isActive]), [["Filters", false], ["theirs", false], ["Filters 2", true]], "none is lost");
	await assert.rejects(f.store(transport, all, f.choose(all.scripts).ours, "syntax error"), { type: "invalidSieve" });
	await assert.rejects(f.store(transport, { ...all, state: "old" }, null, ""), { type: "stateMismatch" });
	await assert.rejects(f.remove(transport, await f.load(transport), all.scripts[2].id), { type: "sieveIsActive" });
	await f.activate(transport, await f.load(transport), "");
	assert.equal(f.choose((await f.load(transport)).scripts).ours?.name, "Filters");
});
