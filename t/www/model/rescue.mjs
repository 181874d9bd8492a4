// Drafts in the browser: kept, taken over from tabs that are gone, never from those that live or from other people.
import test from "node:test";
import assert from "node:assert/strict";
import { Rescue } from "../../../cmd/memd/www/model/rescue.js";
import { Double } from "../lib/double.mjs";
import { Transport } from "../../../cmd/memd/www/jmap/transport.js";
import { Cache } from "../../../cmd/memd/www/model/cache.js";
import { Outbox, REST } from "../../../cmd/memd/www/model/outbox.js";
import { blank, fingerprint, isEmpty } from "../../../cmd/memd/www/model/compose.js";

class Storage {
	constructor() { this.m = new Map(); }
	get length() { return this.m.size; }
	key(n) { return [...this.m.keys()][n] ?? null; }
	getItem(k) { return this.m.get(k) ?? null; }
	setItem(k, v) { this.m.set(k, v); }
	removeItem(k) { this.m.delete(k); }
}
const now = f => f();

function browser() {
	const storage = new Storage(), held = new Set();
	const tab = id => new Rescue(storage, { id, later: now, locks: {
		request: name => void held.add(name), query: async () => ({ held: [...held].map(name => ({ name })) }),
	} });
	return { storage, tab, crash: id => held.delete("tiermail-tab-" + id) };
}

test("taken over from a tab that is gone, once", async () => {
	const b = browser();
	b.tab("one").keep("ann", { key: "d1", text: "half a sent" });
	const two = b.tab("two");
	assert.deepEqual(await two.take("ann"), [], "it lives");
	b.crash("one");
	assert.deepEqual(await two.take("ann"), [{ key: "d1", text: "half a sent" }]);
	assert.deepEqual(await two.take("ann"), []);
});

test("what another person has left is not given, and does not stay", async () => {
	const b = browser();
	b.tab("one").keep("ann", { key: "d1", text: "half a sent" });
	b.crash("one");
	assert.deepEqual(await b.tab("two").take("bo"), []);
	assert.equal(b.storage.length, 0);
});

test("who logs out leaves nothing, not from other tabs either", () => {
	const b = browser();
	const one = b.tab("one");
	one.keep("ann", { key: "d1" });
	b.tab("two").keep("ann", { key: "d1" });
	b.storage.setItem("other", "stays");
	one.forget();
	assert.deepEqual([...b.storage.m.keys()], ["other"]);
});

test("what the server has is kept no longer; what is broken or old goes", async () => {
	const b = browser();
	const one = b.tab("one");
	one.keep("ann", { key: "d1" });
	one.drop("d1");
	b.storage.setItem("tiermail.draft.x.d1", "{");
	b.storage.setItem("tiermail.draft.x.d2", JSON.stringify({ user: "ann", at: 0, draft: {} }));
	b.storage.setItem("other", "stays");
	assert.deepEqual(await b.tab("two").take("ann"), []);
	assert.deepEqual([...b.storage.m.keys()], ["other"]);
});

/** An outbox whose clock is in the test's hand. */
async function outbox() {
	const server = new Double();
	const transport = new Transport({ fetch: server.fetch, wait: async () => {} });
	await transport.open();
	const cache = new Cache(transport);
	for (const type of ["Mailbox", "Identity"]) {
		const got = await transport.call(`${type}/get`, { ids: null });
		cache.put(type, got.list, got.state);
	}
	const timers = [];
	const told = { sent: [], failed: [] };
	const box = new Outbox(cache, { identities: () => cache.all("Identity"), later: (f, ms) => timers.push([f, ms]),
		onSent: w => told.sent.push(w), onFailed: (w, e) => told.failed.push(e.type) });
	const run = async ms => {
		for (const [f] of timers.splice(0).filter(([, t]) => t === ms))
			f();
		for (let n = 0; n < 50; n++)
			await new Promise(ok => setImmediate(ok));
	};
	return { server, box, run, timers, told, transport };
}
const TO = { to: [{ name: null, email: "bo@x.net" }], subject: "S", rich: false };

test("a draft is saved after rest, replaces itself, and one that nobody touched is none", async () => {
	const { server, box, run } = await outbox();
	const w = box.open(blank({ text: "quoted", rich: false }));
	await box.close(w);
	assert.equal(server.records.Email.size, 0);
	const v = box.open(blank({ rich: false }));
	box.update(v, { text: "one" });
	await run(REST);
	box.update(v, { text: "two" });
	await run(REST);
	assert.deepEqual([...server.records.Email.values()].map(e => [e.bodyValues["1"].value, e.mailboxIds, e.keywords]), [["two", { m2: true }, { $seen: true, $draft: true }]]);
	assert.equal(fingerprint(v.draft), v.draft.saved);
	await box.discard(v);
	assert.equal(server.records.Email.size, 0);
	assert.ok(isEmpty(blank()));
});

test("a save that fails is said, and tried again", async () => {
	const { server, box, run } = await outbox();
	const w = box.open(blank(TO));
	box.update(w, { text: "kept" });
	server.away = true;
	await run(REST);
	assert.equal(w.error.kind, "away");
	server.away = false;
	await run(REST * 2);
	assert.equal(w.error, null);
	assert.equal(server.records.Email.size, 1);
});

test("sending: taken back in time, then gone; the page that closes sends", async () => {
	const { server, box, run, told } = await outbox();
	const w = box.open(blank(TO));
	box.update(w, { text: "hello" });
	await box.send(w, 10);
	assert.equal(box.windows.length, 0);
	assert.equal(server.records.Email.size, 1, "the draft is safe meanwhile");
	assert.equal(await box.undo(w), true);
	assert.equal(box.windows.length, 1);
	await run(10000);
	assert.equal(server.sent.length, 0);
	await box.send(w, 10);
	box.flush();
	await run(1);
	assert.equal(server.sent.length, 1);
	assert.equal(await box.undo(w), false, "too late");
	assert.equal(told.sent.length, 1);
	assert.deepEqual([...server.records.Email.values()].map(e => [e.mailboxIds, e.keywords]), [[{ m3: true }, { $seen: true }]]);
});

test("a server that holds mail itself is asked to, and cancels", async () => {
	const { server, box, transport } = await outbox();
	transport.session.accounts.a1.accountCapabilities["urn:ietf:params:jmap:submission"].maxDelayedSend = server.delay = 3600;
	const w = box.open(blank(TO));
	box.update(w, { text: "hello" });
	await box.send(w, 20);
	assert.deepEqual(server.sent[0].envelope, { mailFrom: { email: "ann@example.org", parameters: { HOLDFOR: "20" } }, rcptTo: [{ email: "bo@x.net", parameters: null }] });
	let asked = null;
	server.fail = (name, args) => {
		if (name === "EmailSubmission/set" && args.update)
			asked = args.update;
	};
	assert.equal(await box.undo(w), true);
	assert.deepEqual(Object.values(asked), [{ undoStatus: "canceled" }]);
	assert.equal(box.windows.length, 1);
	assert.deepEqual([...server.records.Email.values()].map(e => [e.mailboxIds, e.keywords]), [[{ m2: true }, { $seen: true, $draft: true }]]);
});

test("a server that holds mail, and is too late or away when it is to be taken back", async () => {
	const { server, box, transport, told } = await outbox();
	transport.session.accounts.a1.accountCapabilities["urn:ietf:params:jmap:submission"].maxDelayedSend = server.delay = 3600;
	for (const fail of [() => ({ type: "serverUnavailable" }), null]) {
		const w = box.open(blank(TO)), sent = told.sent.length;
		box.update(w, { text: "hello" });
		server.fail = undefined;
		await box.send(w, 20);
		server.records.EmailSubmission.clear();
		server.fail = (name, args) => (fail && name === "EmailSubmission/set" && args.update ? fail() : undefined);
		assert.equal(await box.undo(w), false, "no record of it: too late");
		assert.equal(box.windows.length, 0);
		assert.equal(told.sent.length, sent + 1, "it is sent");
		assert.equal(await box.undo(w), false);
	}
});

test("a server whose relay holds nothing: this page waits, and sends", async () => {
	const { server, box, transport, run, told } = await outbox();
	transport.session.accounts.a1.accountCapabilities["urn:ietf:params:jmap:submission"].maxDelayedSend = 3600;
	for (const type of ["invalidProperties", "forbiddenToSend", "overQuota"]) {
		const before = server.sent.length, sent = told.sent.length;
		server.fail = (name, args) => (name === "EmailSubmission/set" && args.create && args.create.s.envelope ? { type } : undefined);
		const w = box.open(blank(TO));
		box.update(w, { text: type });
		await box.send(w, 20);
		assert.equal(server.sent.length, before, "not at once");
		assert.equal(await box.undo(w), true, "it can be taken back");
		await box.send(w, 20);
		await run(20000);
		assert.equal(server.sent.length, before + 1);
		assert.equal(server.sent[before].envelope, undefined);
		assert.equal(told.sent.length, sent + 1);
	}
	server.fail = name => (name === "EmailSubmission/set" ? { type: "forbiddenFrom" } : undefined);
	const w = box.open(blank(TO));
	box.update(w, { text: "hello" });
	await assert.rejects(box.send(w, 20), e => e.type === "forbiddenFrom", "another refusal is said at once");
	assert.equal(box.windows[0], w);
});

test("what the server refuses to send is open again, and said", async () => {
	const { server, box, run, told } = await outbox();
	server.fail = name => (name === "EmailSubmission/set" ? { type: "forbiddenToSend" } : undefined);
	const w = box.open(blank(TO));
	box.update(w, { text: "hello" });
	await box.send(w, 5);
	await run(5000);
	assert.deepEqual(told.failed, ["forbiddenToSend"]);
	assert.equal(box.windows[0], w);
	assert.equal(server.records.Email.size, 1);
});
