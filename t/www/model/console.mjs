// The console's models without a browser: words, addresses, tables, rights, lists page by page, many at once.
import test from "node:test";
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import en from "../../../cmd/admind/www/i18n/en.js";
import de from "../../../cmd/admind/www/i18n/de.js";
import { Api, ApiError } from "../../../cmd/admind/www/model/api.js";
import { Bulk } from "../../../cmd/admind/www/model/bulk.js";
import { cell, parse as rows, wishes, write as csv } from "../../../cmd/admind/www/model/csv.js";
import { bytes, date, span, state, typed } from "../../../cmd/admind/www/model/format.js";
import { goes, may } from "../../../cmd/admind/www/model/jobs.js";
import { KINDS, changes, fields } from "../../../cmd/admind/www/model/objects.js";
import { Rights } from "../../../cmd/admind/www/model/rights.js";
import { messages } from "../../../cmd/admind/www/model/deliveries.js";
import { filters, fits, hosts, id, query, trouble, wanted } from "../../../cmd/admind/www/model/queue.js";
import { parse, write } from "../../../cmd/admind/www/model/route.js";
import { Table } from "../../../cmd/admind/www/model/table.js";

const WWW = new URL("../../../cmd/admind/www/", import.meta.url).pathname;
const args = s => [...new Set((typeof s === "object" ? Object.values(s) : [s]).flatMap(x => x.match(/\{\w+\}/g) || []))].sort();

test("German has what English has", () => {
	assert.deepEqual(Object.keys(de).sort(), Object.keys(en).sort());
	for (const key of Object.keys(en)) {
		assert.deepEqual(args(de[key]), args(en[key]), key);
		assert.equal(typeof de[key], typeof en[key], key);
		assert.ok(en[key] && de[key], key);
	}
});

test("sentences and the code agree", () => {
	const code = readdirSync(WWW, { recursive: true }).filter(f => /^(view|model|app)/.test(f) && f.endsWith(".js")).map(f => readFileSync(WWW + f, "utf8")).join("\n");
	for (const m of code.matchAll(/\bt\("([^"]+)"/g))
		assert.ok(m[1] in en, `${m[1]} is not a sentence`);
	const begun = [...code.matchAll(/`([a-z]+\.(?:[A-Za-z]+\.)*)\$\{/g)].map(m => m[1]);
	const unused = Object.keys(en).filter(k => !code.includes(`"${k}"`) && !begun.some(b => k.startsWith(b)));
	assert.deepEqual(unused, []);
	for (const kind of Object.values(KINDS)) {
		for (const f of fields(kind))
			assert.ok(`f.${f.name}` in en && (f.choices || []).every(c => /^[A-Z]/.test(c) || `choice.${c}` in en), `${kind.object} ${f.name}`);
		for (const k of [...kind.columns.map(c => `col.${c.name}`), ...kind.groups.map(g => `group.${kind.object}.${g.name}`), `new.${kind.object}`, `name.${kind.object}`, `none.${kind.object}`, `find.${kind.object}`])
			assert.ok(k in en, k);
		for (const a of kind.acts)
			assert.ok(["rename", "password", "move", "export"].includes(a.verb) || (`done.${a.verb}` in en && `do.${a.verb}` in en && (!a.ask || (`ask.${a.verb}` in en && `says.${kind.object}.${a.verb}` in en))), `${kind.object} ${a.verb}`);
	}
});

test("addresses go there and back", () => {
	const r = { place: "users", org: "a.test", q: "x & y=#", sort: "-user", open: "o'ne@a.test" };
	const u = new URL(write(r), "https://h");
	assert.deepEqual(parse(u.pathname, u.search), r);
	assert.equal(parse("/%zz/%", "").place, "");
	assert.equal(parse("/constructor", "").place, "");
});

test("tables: what is written is read, and what is none is told with its line", () => {
	const texts = ["plain", 'a "b"', "x,y", "two\nlines", "=1+1", "+imap:*", "-x", "@SUM(A1)", "+cmd|' /C calc'!A0", "'quoted", "ä;ö", ""];
	const back = rows(csv(["user", ...texts.keys()], [{ user: "u@a.test", ...texts }])).rows[1].cells;
	assert.deepEqual(back.slice(1), texts);
	assert.equal(cell("=1+1"), "'=1+1");
	assert.equal(cell("+imap:*"), "+imap:*", "what diradm reads stays what it is");
	assert.equal(cell("+cmd|' /C calc'!A0")[0], "'");
	assert.deepEqual(rows("a;b\r\n1;2\r\n").rows[1].cells, ["1", "2"]);
	assert.deepEqual(rows('a\n"open').error, { line: 2, code: "open" });
	assert.deepEqual(rows('a\n"x"y\n').error, { line: 2, code: "behind" });
	assert.equal(rows("\uFEFFuser,name\na@b,\n").rows[1].cells.length, 2);
	const known = (o, s) => fields(Object.values(KINDS).find(k => k.object === o)).some(f => f.name === s);
	const w = wishes('user,name,alias,password\na@b,"A, B","x@b\ny@b",s3\nc@b,,,\n', known);
	assert.deepEqual(w.rows, [{ line: 2, name: "a@b", body: { name: "A, B", alias: ["x@b", "y@b"], password: "s3" } }, { line: 4, name: "c@b", body: {} }]);
	assert.deepEqual(wishes("user,nme\n", known).error, { line: 1, code: "column", word: "nme" });
	assert.equal(wishes("thing,name\n", known).error.code, "object");
	assert.equal(wishes("user,name\na@b,x,y\n", known).error.code, "cells");
	assert.equal(wishes("constructor,name\n", known).error.code, "object");
});

test("sizes, times, states", () => {
	assert.deepEqual([bytes(1536), bytes("none"), typed(2 * 1024 ** 3), typed(1500), typed(undefined), typed("none")], ["1.5 KB", "no limit", "2G", "1500", "", "none"]);
	assert.equal(date("20261130215500Z").toISOString(), "2026-11-30T21:55:00.000Z");
	assert.equal(date("nothing"), null);
	assert.deepEqual([{}, { login: "inactive" }, { status: "hold" }, { login: "deleted", status: "hold" }, { status: "overquota" }].map(state), ["active", "suspended", "hold", "deleted", "limited"]);
	const f = fields(KINDS.users);
	assert.deepEqual(changes(f, { alias: "a", name: "x", quota: "1G" }, { alias: "a\n b \n", name: "", quota: "1G" }), { name: null, alias: ["a", "b"] });
});

test("what may be done is what the API says, of the highest role that counts there", () => {
	const verbs = [{ object: "user", verb: "modify", roles: ["top", "organisation"], settings: ["name", "host"], closed: { organisation: ["host"] } }];
	const of = (...roles) => new Rights(roles.map(([role, over]) => ({ role, over, user: "x" })), verbs);
	assert.deepEqual([...of(["organisation", "A.test"]).settings("user", "modify", "a.test")], ["name"]);
	assert.equal(of(["organisation", "a.test"]).may("user", "modify", "b.test"), false);
	assert.deepEqual([...of(["top"], ["organisation", "a.test"]).settings("user", "modify", "a.test")], ["name", "host"]);
	assert.equal(of().may("user", "modify", "a.test"), false);
	assert.equal(of(["helpdesk", "a.test"]).may("user", "modify", "a.test"), false);
	assert.deepEqual(of(["organisation", "a.test"], ["helpdesk", "a.test"]).own, ["a.test"]);
	assert.deepEqual(of(["provider", "P"]).own, []);
});

/** A server of lists: pages of what is asked, which are forgotten when told so. */
function server(n) {
	const s = { asked: [], places: new Map(), n, fail: /** @type {any} */ (null) };
	s.ask = async path => {
		const q = new URL(path, "https://h").searchParams;
		s.asked.push(path);
		if (s.fail)
			throw s.fail;
		const page = q.get("page"), from = page ? s.places.get(page) : 0;
		const say = (status, body) => ({ ok: status < 300, status, json: async () => body });
		if (from === undefined)
			return say(410, { code: "page" });
		const to = Math.min(s.n, from + Number(q.get("limit")));
		const next = to < s.n ? `p${s.asked.length}` : undefined;
		if (next)
			s.places.set(next, to);
		return say(200, { records: Array.from({ length: to - from }, (_, i) => ({ user: `u${from + i}${q.get("q") || ""}` })), next });
	};
	return s;
}
const settled = table => new Promise(ok => { const look = () => (table.asking ? setTimeout(look, 1) : ok(undefined)); setTimeout(look, 1); });

test("a list is read as far as it shows, goes on when its place was given away, and answers to what was typed last", async () => {
	const s = server(100000), table = new Table(new Api(/** @type {any} */ (s.ask), () => {}));
	table.ask("users", { org: "a.test", q: "", sort: "" });
	await settled(table);
	assert.ok(table.rows.length < 1000 && !table.done, String(table.rows.length));
	table.range(5000);
	await settled(table);
	assert.ok(table.rows.length > 5000 && table.rows.length < 6000);
	s.places.clear();	/* a minute later */
	const before = table.rows.length;
	table.range(before);
	await settled(table);
	await settled(table);
	assert.ok(table.rows.length >= before, "as far as before");
	assert.equal(new Set(table.rows.map(r => r.user)).size, table.rows.length, "none twice");
	s.n = 30;
	for (const q of ["a", "an", "ann"])
		table.ask("users", { org: "a.test", q, sort: "" });
	await settled(table);
	assert.ok(table.rows.every(r => r.user.endsWith("ann")) && table.done);
	table.ask("users", { org: "b.test", q: "", sort: "" });
	assert.deepEqual(table.rows, [], "not a moment of another organisation's");
	await settled(table);
	s.fail = new TypeError("network");
	table.ask("users", { org: "b.test", q: "x", sort: "" });
	await settled(table);
	assert.equal(table.error.code, "network");
	assert.deepEqual(table.rows, [], "what answered another question does not stand there for this one");
	s.fail = null;
	table.retry();
	await settled(table);
	assert.equal(table.error, null);
	assert.equal(table.rows.length, 30);
	s.n = 5000;
	table.ask("users", { org: "b.test", q: "y", sort: "" });
	await settled(table);
	const had = table.rows.length;
	s.fail = new TypeError("network");
	table.range(had);
	await settled(table);
	assert.deepEqual([table.rows.length, table.error.code], [had, "network"], "a page that fails takes none of those before");
	s.fail = null;
	table.retry();
	await settled(table);
	assert.ok(table.rows.length > had && !table.error);
	assert.equal(new Set(table.rows.map(r => r.user)).size, table.rows.length);
});

test("a change is asked for once; reading is tried again", async () => {
	let n = 0;
	const api = new Api(/** @type {any} */ (async () => { n++; throw new TypeError("reset"); }), () => {});
	await assert.rejects(api.call("PATCH", ["users", "x"], { body: {} }), e => e instanceof ApiError && e.code === "unknown");
	assert.equal(n, 1);
	await assert.rejects(api.call("GET", ["users"]), e => e.code === "network");
	assert.equal(n, 3);
	let over = 0;
	const out = new Api(/** @type {any} */ (async () => ({ ok: false, status: 401, json: async () => ({}) })), () => over++);
	await assert.rejects(out.call("GET", ["me"]));
	await assert.rejects(out.request("POST", "/login", {}));
	assert.equal(over, 1, "a wrong password ends no session");
	const slow = new Api(/** @type {any} */ (async () => ({ ok: false, status: 504, json: async () => ({ code: "unknown" }) })), () => {});
	await assert.rejects(slow.call("GET", ["users"]), e => e.code === "slow");
	await assert.rejects(slow.call("PATCH", ["users", "x"], { body: {} }), e => e.code === "unknown");
});

test("a session that rests is looked for when it must be over, and looking does not make it go on", async () => {
	const real = globalThis.setTimeout;
	/** @type {{f: () => void, ms: number}[]} */
	const set = [];
	globalThis.setTimeout = /** @type {any} */ ((f, ms) => (ms > 1500 ? set.push({ f, ms }) : real(f, ms)));
	try {
		let status = 200, over = 0;
		const asked = [];
		const api = new Api(/** @type {any} */ (async path => (asked.push(path), { ok: status === 200, status, json: async () => ({ expires: new Date(Date.now() + 60000).toISOString() }) })), () => over++);
		api.begun(new Date(Date.now() + 60000).toISOString());
		assert.ok(set[0].ms > 60000 && set[0].ms < 63000);
		await api.call("GET", ["me"]);
		assert.equal(set.length, 2, "what is asked makes it go on");
		set[1].f();
		await new Promise(ok => real(ok, 5));
		assert.deepEqual([asked[1], set.length, over], ["/session", 3, 0], "another tab has gone on");
		status = 503;
		set[2].f();
		await new Promise(ok => real(ok, 5));
		assert.deepEqual([set.length, over], [4, 0], "no answer is no end");
		status = 401;
		set[3].f();
		await new Promise(ok => real(ok, 5));
		assert.deepEqual([set.length, over], [4, 1]);
	} finally {
		globalThis.setTimeout = real;
	}
});

test("many at once: waits when told, goes on after a failure, can be stopped, tells what is not known", async () => {
	let busy = 3, most = 0, now = 0;
	const items = Array.from({ length: 40 }, (_, i) => ({ name: `u${i}` }));
	const act = async ({ name }) => {
		most = Math.max(most, ++now);
		await new Promise(ok => setTimeout(ok, 1));
		now--;
		if (busy-- > 0)
			throw new ApiError(429, "limit", "");
		if (name === "u7")
			throw new ApiError(409, "address-in-use", "");
		if (name === "u8")
			throw new ApiError(0, "unknown", "");
		if (name === "u9")
			throw new ApiError(403, "denied", "no");
		return { records: [{ set: ["a=1"] }] };
	};
	const bulk = new Bulk(items, act, { same: async e => e.status === 409, wait: async () => {} });
	await bulk.run(false);
	assert.deepEqual(["done", "same", "failed", "unknown"].map(s => bulk.count(s)), [37, 1, 1, 1]);
	assert.ok(most <= 4);
	const halt = new Bulk(items, async () => { halt.stop(); return { records: [] }; });
	await halt.run(false);
	assert.ok(halt.count("waits") >= 36, "what was not begun is not done");
});

test("jobs: whoever administers stops one; its maker alone has it go on and takes it away", () => {
	const job = (state, wish) => ({ state, wish, who: "Ann@example.org" });
	const verbs = ["pause", "cancel", "resume", "delete"];
	const said = (j, user) => verbs.filter(v => may(j, v, user)).join(" ");
	const cases = [["making", undefined, "pause cancel", "pause cancel"], ["running", undefined, "pause cancel", "pause cancel"], ["running", "pause", "cancel resume", "cancel"], ["waiting", "cancel", "resume", ""],
		["paused", undefined, "cancel resume", "cancel"], ["failed", undefined, "resume delete", ""], ["done", undefined, "delete", ""], ["cancelled", undefined, "delete", ""]];
	for (const [state, wish, own, others] of cases) {
		assert.equal(said(job(state, wish), "ann@EXAMPLE.org"), own, `${state} ${wish}: its maker`);
		assert.equal(said(job(state, wish), "bob@example.org"), others, `${state} ${wish}: others`);
	}
	assert.deepEqual(["making", "waiting", "running", "paused", "done"].map(s => goes(job(s))), [true, true, true, false, false]);
});

test("the queue: words of the address, which file a row is, what makes sense for it; what to look at on a host", () => {
	const w = wanted("host=h.test  state=held dest=x.test older=60");
	assert.deepEqual(w, { host: "h.test", state: "held", rest: ["dest=x.test", "older=60"] });
	assert.equal(query(w), "host=h.test state=held dest=x.test older=60");
	assert.deepEqual(filters(w), ["state=held", "dest=x.test", "older=60"]);
	assert.deepEqual(filters(wanted("")), []);
	assert.equal(id({ file: "ZXhoo5ix3cl66wj0a01.00" }), "hoo5ix3cl66wj0a");
	assert.deepEqual(["hold", "release", "retry", "return"].map(v => fits({ state: "held" }, v)), [false, true, false, true]);
	assert.ok(fits({ state: "waiting", release: 9 }, "release") && !fits({ state: "waiting" }, "release"));
	assert.deepEqual(hosts([{ host: "a", daemon: "x" }, { host: "b" }, { host: "a", daemon: "y" }]).map(([h, all]) => [h, all.length]), [["a", 2], ["b", 1]]);
	const now = Date.parse("2026-12-01T00:00:00Z"), good = { state: "running", certificate: "2027-06-01T00:00:00Z", "disk-size": 100, "disk-free": 50, restarts: 0 };
	assert.deepEqual([{}, { certificate: "2026-12-10T00:00:00Z" }, { "disk-free": 5 }, { restarts: 1 }, { state: "leaving" }, { error: "x" }].map(x => trouble({ ...good, ...x }, now)), ["", "certificate", "disk", "restarts", "state", "error"]);
	assert.deepEqual([0, 59, 3600, 90061, 172800].map(span), ["0 sec", "59 sec", "1 hr", "1 day 1 hr", "2 days"]);
});

test("deliveries: records become messages, the newest first", () => {
	const found = messages([{ kind: "message", id: "a", at: "2026-01-01" }, { kind: "recipient", id: "a", to: "x@y.test", state: "failed" }, { kind: "message", id: "b", at: "2026-02-01" },
		{ kind: "step", id: "b", event: "queued" }, { kind: "step", id: "none", event: "queued" }, { kind: "more", text: "late" }]);
	assert.deepEqual(found.list.map(m => [m.id, m.recipients.length, m.steps.length]), [["b", 0, 1], ["a", 1, 0]]);
	assert.equal(found.more, "late");
	assert.deepEqual(messages([]), { list: [], more: "" });
});
