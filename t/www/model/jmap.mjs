// Transport, cache, lists and changes against a server in memory that fails on demand.
import test from "node:test";
import assert from "node:assert/strict";
import { Double } from "../lib/double.mjs";
import { Transport } from "../../../cmd/memd/www/jmap/transport.js";
import { Push } from "../../../cmd/memd/www/jmap/push.js";
import { Cache } from "../../../cmd/memd/www/model/cache.js";
import { MessageList, PAGE } from "../../../cmd/memd/www/model/list.js";
import { Doer, destroy, flag, junk, label, markRead, move } from "../../../cmd/memd/www/model/actions.js";
import { apply, invert, needed, path } from "../../../cmd/memd/www/model/patch.js";
import { openAtFirst, row, verified } from "../../../cmd/memd/www/model/conversation.js";
import { badName, byRole, count, mayMove, tree } from "../../../cmd/memd/www/model/mailboxes.js";

async function world(mails = 0) {
	const server = new Double();
	for (let n = 0; n < mails; n++)
		server.deliver();
	const waits = [];
	const transport = new Transport({ fetch: server.fetch, wait: async ms => void waits.push(ms) });
	await transport.open();
	server.requests.length = 0;
	const cache = new Cache(transport);
	const doer = new Doer(cache, { wait: async ms => void waits.push(ms) });
	return { server, transport, cache, doer, waits };
}
const inbox = cache => new MessageList(cache, { filter: { inMailbox: "m1" } });

test("calls of one turn share a request, up to what the server takes", async () => {
	const { server, transport } = await world();
	await Promise.all(Array.from({ length: 20 }, () => transport.call("Mailbox/get", { ids: null })));
	assert.deepEqual(server.requests.map(r => r.length), [16, 4]);
});

test("result references hold within a batch, an error is of its call alone", async () => {
	const { transport } = await world(3);
	const b = transport.batch();
	const q = b.call("Email/query", { filter: null });
	const bad = b.call("Nothing/get", {});
	const g = b.call("Email/get", { "#ids": q.ref("/ids"), properties: ["subject"] });
	await assert.rejects(b.send(), e => e.kind === "refused" && e.type === "unknownMethod");
	assert.equal((await g.done).list.length, 3);
	await assert.rejects(bad.done);
});

test("a server that is away: reads are asked again, changes are not; 401 is told", async () => {
	let status = 503, asked = 0, out = 0;
	const transport = new Transport({
		fetch: async () => (asked++, new Response("{}", { status })), wait: async () => {}, onSignedOut: () => out++,
	});
	transport.session = new Double().session();
	await assert.rejects(transport.call("Email/get", {}), e => e.kind === "away");
	assert.equal(asked, 4);
	asked = 0;
	await assert.rejects(transport.call("Email/set", {}), e => e.kind === "away");
	assert.equal(asked, 1);
	status = 401;
	await assert.rejects(transport.call("Email/get", {}), e => e.kind === "signed-out");
	assert.equal(out, 1);
	status = 429;
	await assert.rejects(transport.call("Email/get", {}), e => e.kind === "limit");
});

test("patches: applied, turned round, told apart", () => {
	const e = { id: "e", mailboxIds: { a: true }, keywords: { $seen: true } };
	const patch = { "mailboxIds/a": null, "mailboxIds/b": true, [path("keywords", "x/y~z")]: true };
	const after = apply(e, patch);
	assert.deepEqual(after, { id: "e", mailboxIds: { b: true }, keywords: { $seen: true, "x/y~z": true } });
	assert.deepEqual(apply(after, invert(e, patch)), e);
	assert.deepEqual(needed(e, { "keywords/$seen": true, "mailboxIds/b": true }), { "mailboxIds/b": true });
	assert.deepEqual(e.keywords, { $seen: true });
});

test("a list of many: windows of it, in few requests", async () => {
	const { server, cache } = await world(230);
	const list = inbox(cache);
	await list.ensure(0, 20);
	assert.equal(list.length, 230);
	assert.equal(list.at(0), "e230");
	assert.equal(list.at(PAGE), undefined);
	await list.ensure(100, 160);
	assert.ok(list.at(120) && list.at(159) && !list.at(60));
	assert.equal(server.requests.length, 2, "the windows of one look go out together");
	await list.ensure(100, 160);
	assert.equal(server.requests.length, 2);
});

test("a list follows the server, also where it has holes", async () => {
	const { server, cache } = await world(200);
	const list = inbox(cache);
	await list.ensure(0, 10);
	await list.ensure(150, 200);
	const gone = list.at(3), deep = server.result({ filter: { inMailbox: "m1" } })[90];
	server.set("Email", { destroy: [gone, deep] });
	const fresh = server.deliver({ receivedAt: "2026-12-01T00:00:00Z" });
	assert.deepEqual(await list.sync(), [fresh.id]);
	assert.equal(list.length, 199);
	assert.equal(list.at(0), fresh.id);
	assert.equal(cache.get("Email", fresh.id).subject, fresh.subject);
	await list.ensure(0, 199);
	assert.deepEqual(Array.from({ length: 199 }, (_, n) => list.at(n)), server.result({ filter: { inMailbox: "m1" } }));
});

test("any order of changes and looks ends at the server's list", async () => {
	let seed = 7;
	const random = n => (seed = (seed * 48271) % 2147483647) % n;
	const { server, cache } = await world(130);
	const list = inbox(cache);
	for (let step = 0; step < 120; step++) {
		const ids = [...server.records.Email.keys()];
		const one = ids[random(ids.length)];
		switch (random(5)) {
		case 0: server.deliver({ receivedAt: new Date(Date.UTC(2026, 10, 1, 0, 0, random(200))).toISOString() }); break;
		case 1: server.set("Email", { destroy: [one] }); break;
		case 2: server.set("Email", { update: { [one]: { "mailboxIds/m1": null, "mailboxIds/m4": true } } }); break;
		case 3: await list.ensure(random(130), random(130)); break;
		default: await list.sync();
		}
	}
	await list.sync();
	await list.ensure(0, list.length ?? 200);
	const want = server.result({ filter: { inMailbox: "m1" } });
	assert.equal(list.length, want.length);
	assert.deepEqual(want.map((_, n) => list.at(n)), want);
});

test("a server that forgot makes the list begin anew", async () => {
	const { server, cache } = await world(60);
	const list = inbox(cache);
	await list.ensure(0, 10);
	server.queries.clear();
	server.deliver();
	const lengths = [];
	list.watch(() => lengths.push(list.length));
	await list.sync();
	assert.ok(lengths.every(n => n === 60 || n === 61), "nothing goes from the screen meanwhile");
	assert.equal(list.length, 61);
	assert.equal(list.at(0), server.result({ filter: { inMailbox: "m1" } })[0]);
});

test("a change shows at once, stays, and the row never comes back", async () => {
	const { server, cache, doer } = await world(5);
	const list = inbox(cache);
	await list.ensure(0, 5);
	const id = list.at(1);
	const seen = [];
	list.watch(() => seen.push(list.indexOf(id)));
	doer.onDone = () => list.sync();
	const op = doer.do(move([cache.get("Email", id)], "m1", "m4"), { list, rows: [id] });
	assert.equal(list.length, 4);
	assert.equal(list.indexOf(id), -1);
	assert.deepEqual(cache.get("Email", id).mailboxIds, { m4: true });
	assert.deepEqual(cache.base("Email", id).mailboxIds, { m1: true });
	await op.finished;
	assert.deepEqual(server.records.Email.get(id).mailboxIds, { m4: true });
	assert.equal(list.length, 4);
	assert.ok(seen.every(n => n === -1), "never seen again");
	assert.equal(cache.pending.size, 0);
});

test("what the server refuses is taken back and told", async () => {
	const { server, cache, doer } = await world(2);
	const list = inbox(cache);
	await list.ensure(0, 2);
	const id = list.at(0);
	let told = null;
	doer.onFailed = (op, error) => (told = error.type);
	server.refuse = () => ({ type: "forbidden" });
	await doer.do(move([cache.get("Email", id)], "m1", "m4"), { list, rows: [id] }).finished;
	assert.equal(told, "forbidden");
	assert.deepEqual(cache.get("Email", id).mailboxIds, { m1: true });
	assert.equal(list.indexOf(id), 0);
	assert.equal(doer.undo(), null);
});

test("a network that is away delays a change, and does not lose it", async () => {
	const { server, cache, doer, waits } = await world(1);
	const list = inbox(cache);
	await list.ensure(0, 1);
	const id = list.at(0);
	server.away = true;
	doer.wait = async ms => {
		waits.push(ms);
		if (waits.length === 3)
			server.away = false;
	};
	await doer.do(markRead([cache.get("Email", id)], true)).finished;
	assert.equal(server.records.Email.get(id).keywords.$seen, true);
	assert.deepEqual(waits, [1000, 2000, 4000]);
});

test("undo: before it was sent, and after", async () => {
	const { server, cache, doer } = await world(2);
	const list = inbox(cache);
	await list.ensure(0, 2);
	doer.onDone = () => list.sync();
	const [a, b] = [list.at(0), list.at(1)];
	const first = doer.do(move([cache.get("Email", a)], "m1", "m4"), { list, rows: [a] });
	const second = doer.do(move([cache.get("Email", b)], "m1", "m6"), { list, rows: [b] });
	assert.equal(doer.undo(second), second);
	await doer.tail;
	assert.deepEqual(server.records.Email.get(b).mailboxIds, { m1: true });
	await first.finished;
	assert.equal(list.length, 1);
	doer.undo();
	await doer.tail;
	assert.deepEqual(server.records.Email.get(a).mailboxIds, { m1: true });
	assert.equal(list.length, 2);
	assert.equal(doer.undo(), null);
});

test("later changes build on earlier ones, and settle in any case", async () => {
	const { server, cache, doer } = await world(1);
	const list = inbox(cache);
	await list.ensure(0, 1);
	const e = () => cache.get("Email", list.ids[0]);
	doer.do(flag([e()], true));
	doer.do(label([e()], "travel", true));
	doer.do(flag([e()], false));
	assert.deepEqual(e().keywords, { travel: true });
	await doer.tail;
	assert.deepEqual(server.records.Email.get(e().id).keywords, { travel: true });
	assert.equal(doer.do(label([e()], "travel", true)).finished, undefined, "nothing to do");
	await doer.do(destroy([e()])).finished;
	assert.equal(server.records.Email.size, 0);
});

test("junk says so to filters", () => {
	const c = junk([{ id: "e", mailboxIds: { m1: true }, keywords: { $notjunk: true } }], "m1", "m5", true);
	assert.deepEqual(c.patches.get("e"), { "mailboxIds/m5": true, "mailboxIds/m1": null, "keywords/$junk": true, "keywords/$notjunk": null });
});

test("the cache follows changes of others, and begins anew when they are too many", async () => {
	const { server, cache, transport } = await world(2);
	const got = await transport.call("Mailbox/get", { ids: null });
	cache.put("Mailbox", got.list, got.state);
	server.set("Mailbox", { create: { k: { name: "New" } }, update: { m7: { name: "Old" } } });
	await cache.sync("Mailbox", {}, true);
	assert.equal(cache.get("Mailbox", "m7").name, "Old");
	assert.ok(cache.all("Mailbox").some(m => m.name === "New"));
	server.memory = 0;
	server.deliver();
	assert.equal(await cache.sync("Mailbox", {}, true), null);
	assert.equal(cache.all("Mailbox").length, 0);
});

test("push: told, lost, found again, told to look", () => {
	const sources = [], told = [], later = [];
	class Source {
		constructor(url) {
			this.url = url;
			this.on = {};
			sources.push(this);
		}
		addEventListener(name, f) { this.on[name] = f; }
		close() { this.closed = true; }
	}
	const push = new Push("/e?types={types}&closeafter={closeafter}&ping={ping}",
		{ onChange: c => told.push(c), EventSource: Source, locks: null, channel: null, later: (f, ms) => later.push([f, ms]) });
	push.start();
	assert.equal(sources[0].url, "/e?types=*&closeafter=no&ping=45");
	sources[0].onopen();
	sources[0].on.state({ data: '{"changed":{"a1":{"Email":"2"}}}' });
	sources[0].onerror();
	assert.ok(sources[0].closed);
	later.shift()[0]();
	sources[1].onerror();
	assert.deepEqual(later.map(l => l[1]), [2000]);
	later.shift()[0]();
	sources[2].onopen();
	assert.deepEqual(told, [{ a1: { Email: "2" } }, null]);
	push.close();
	assert.ok(sources[2].closed);
});

test("rows: who took part, what is unread, where it lies", () => {
	const how = { mine: new Set(["ann@example.org"]), me: "me", hideIn: ["m6"] };
	const from = (name, email) => [{ name, email }];
	const a = { id: "1", threadId: "t", from: from("Bo Chen", "bo@x"), keywords: { $seen: true, travel: true }, mailboxIds: { m1: true }, receivedAt: "1" };
	const b = { id: "2", threadId: "t", from: from("Ann Lee", "ANN@example.org"), keywords: { $seen: true }, mailboxIds: { m3: true }, receivedAt: "2" };
	const c = { id: "3", threadId: "t", from: from("Cy Doe", "cy@x"), keywords: {}, mailboxIds: { m1: true }, receivedAt: "3", subject: "S" };
	const gone = { id: "4", threadId: "t", from: from("Dee", "dee@x"), keywords: {}, mailboxIds: { m6: true }, receivedAt: "4" };
	const r = row(c, [gone, b, a], how);
	assert.deepEqual(r.names, [{ name: "Bo", unread: false }, { name: "me", unread: false }, { name: "Cy", unread: true }]);
	assert.equal(r.count, 3);
	assert.equal(r.lead.email, "cy@x");
	assert.deepEqual(r.labels, ["travel"]);
	assert.deepEqual([...openAtFirst([c, a, b])], ["3"]);
	assert.equal(row(b, [b], { ...how, inSent: true }).names.length, 0);
});

test("a verified sender is said by our host alone", () => {
	const e = lines => ({ "header:Authentication-Results:asText:all": lines });
	assert.equal(verified(e(["mx.example.org; spf=pass; dmarc=pass header.from=x.net"]), ["mx.example.org"]), "pass");
	assert.equal(verified(e(["evil.net; dmarc=pass"]), ["mx.example.org"]), null);
	assert.equal(verified(e(["mx.example.org; dmarc=fail"]), ["mx.example.org"]), "fail");
});

test("folders: roles first, names as people sort them, counts by what they are for", () => {
	const box = (id, name, role = null, parentId = null, more = {}) => ({ id, name, role, parentId, sortOrder: 0, totalEmails: 4, unreadEmails: 2, unreadThreads: 1, ...more });
	const boxes = [box("z", "item 10"), box("y", "Item 2"), box("t", "Trash", "trash"), box("i", "INBOX", "inbox"), box("c", "Child", null, "y"), box("d", "Drafts", "drafts")];
	assert.deepEqual(tree(boxes, "en").flat.map(n => n.box.id + n.depth), ["i0", "d0", "t0", "y0", "c1", "z0"]);
	assert.equal(tree(boxes, "en").flat.find(n => n.box.id === "c").path, "Item 2/Child");
	assert.deepEqual([count(byRole(boxes, "inbox")), count(byRole(boxes, "drafts")), count(byRole(boxes, "trash"))], [1, 4, 0]);
	assert.equal(badName(boxes, null, "ITEM 2 "), "folder.nameTaken");
	assert.equal(badName(boxes, "y", "Item 2"), null);
	assert.equal(badName(boxes, null, " "), "folder.nameEmpty");
	assert.ok(!mayMove(boxes, "y", "c") && mayMove(boxes, "c", null) && !mayMove(boxes, "i", "y"));
});

test("a search without snippets is still a search", async () => {
	const { server, cache } = await world(3);
	server.fail = name => (name === "SearchSnippet/get" ? { type: "unknownMethod" } : undefined);
	const list = new MessageList(cache, { filter: { text: "e2" }, collapse: false, snippets: true });
	await list.ensure(0, 5);
	assert.equal(list.error, null);
	assert.deepEqual(list.ids, ["e2"]);
});

test("a server that never says what changes is asked for the list, where one looks", async () => {
	const { server, cache } = await world(300);
	const query = server.query.bind(server);
	server.query = args => ({ ...query(args), canCalculateChanges: false });
	server.fail = name => (name === "Email/queryChanges" ? { type: "unknownMethod" } : undefined);
	const list = inbox(cache);
	await list.ensure(0, 20);
	await list.ensure(250, 270);
	const fresh = server.deliver({ receivedAt: "2026-12-01T00:00:00Z" });
	server.requests.length = 0;
	await list.sync();
	assert.ok(!server.requests.flat().includes("Email/queryChanges"));
	assert.equal(list.at(0), fresh.id);
	assert.equal(list.at(260), server.result({ filter: { inMailbox: "m1" } })[260]);
});
