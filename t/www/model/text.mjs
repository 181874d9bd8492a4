// Addresses, quotes, links, search words, dates, words of languages.
import test from "node:test";
import assert from "node:assert/strict";
import * as a from "../../../cmd/memd/www/model/address.js";
import * as q from "../../../cmd/memd/www/model/quote.js";
import * as s from "../../../cmd/memd/www/model/search.js";
import * as f from "../../../cmd/memd/www/model/format.js";

test("addresses as people paste them", () => {
	assert.deepEqual(a.parse('"Lee, Ann" <ann@x.org>, b@x.org; Cy (home) <cy@x.org>\nDee Oh dee@x.org'), [
		{ name: "Lee, Ann", email: "ann@x.org" }, { name: null, email: "b@x.org" }, { name: "Cy", email: "cy@x.org" },
		{ name: "Dee Oh", email: "dee@x.org" }]);
	assert.deepEqual(a.parse("Team: a@x.org, b@x.org;").map(x => x.email), ["a@x.org", "b@x.org"]);
	assert.deepEqual(a.parse(" , ;"), []);
	for (const x of [{ name: 'A "B", C', email: "a@b.org" }, { name: "Ö N", email: "o@n.org" }, { name: null, email: "x@y.org" }])
		assert.deepEqual(a.parse(a.format(x)), [x]);
});

test("what can be an address", () => {
	for (const yes of ["a@b.org", "a+b.c@x-y.example", "ö@münchen.de", "o'neil@x.co", "a@b.xn--p1ai"])
		assert.ok(a.valid(yes), yes);
	for (const no of ["", "a", "a@b", "@b.org", "a@", "a b@c.org", "a@b..org", ".a@b.org", "a@-b.org", "a@b.1", "a@b.c", "p.raman@exampl", "a@b.org>"])
		assert.ok(!a.valid(no), no);
});

test("names, initials, colours", () => {
	assert.equal(a.shortName({ name: "Okafor, Mara", email: "m@x" }), "Mara");
	assert.equal(a.shortName({ name: "", email: "desk@x" }), "desk");
	assert.equal(a.initials({ name: "Mara B. Okafor", email: "" }), "MO");
	assert.equal(a.initials({ name: null, email: "jonas@x" }), "JO");
	assert.equal(a.shade({ email: "A@x" }, 8), a.shade({ email: "a@X" }, 8));
});

test("quotes apart, with the line before them, and the signature", () => {
	const b = q.blocks("Hello\n\nOn Tuesday Ann wrote:\n> a\n>> b\n\nYes\n-- \nMe");
	assert.deepEqual(b.map(x => x.kind), ["text", "quote", "text", "signature"]);
	assert.deepEqual(b[1].lines, ["On Tuesday Ann wrote:", "> a", ">> b"]);
	assert.deepEqual(b[0].lines.filter(Boolean), ["Hello"]);
	assert.deepEqual(q.blocks("Note:\nplain"), [{ kind: "text", lines: ["Note:", "plain"] }]);
	assert.deepEqual(q.blocks("> only").map(x => x.kind), ["quote"]);
	assert.deepEqual(q.blocks("one\n-- \n> below").map(x => x.kind), ["text", "quote"]);
});

test("nothing of a text is lost or twice in its blocks", () => {
	for (const text of ["a\nb:\n> c\nd\n\n> e\nf:\n\n> g", "x wrote\non the train:\n> y", ">\n>\n:\n> z", "a:\n\n\n> q"]) {
		const lines = q.blocks(text).flatMap(b => b.lines).filter(l => l.trim());
		assert.deepEqual(lines, text.split("\n").filter(l => l.trim()), text);
	}
});

test("links, without the sentence's punctuation", () => {
	const href = s => q.links(s).filter(p => p.href).map(p => p.href);
	assert.deepEqual(href("see https://x.org/a_(b), or (www.y.org)."), ["https://x.org/a_(b)", "http://www.y.org"]);
	assert.deepEqual(href("write to a.b@x.org!"), ["mailto:a.b@x.org"]);
	assert.deepEqual(href("javascript:alert(1) data:text/html,x"), []);
	assert.equal(q.links("a https://x.org/ b").map(p => p.text).join(""), "a https://x.org/ b");
});

test("quoting and wrapping", () => {
	assert.equal(q.quote("a\n\n> b\n-- \nsig"), "> a\n>\n>> b");
	assert.ok(q.wrap("word ".repeat(40).trim()).split("\n").every(l => l.length <= 76));
	assert.equal(q.wrap("> " + "x ".repeat(60)), "> " + "x ".repeat(60));
	assert.equal(q.escapeHtml(`<a b="c">'&`), "&lt;a b=&quot;c&quot;&gt;&#39;&amp;");
});

test("search words to filters and back", () => {
	const filter = (text, ctx) => s.toFilter(s.parse(text), ctx);
	assert.deepEqual(filter('from:ann "two words"'), { operator: "AND", conditions: [{ from: "ann" }, { text: "two words" }] });
	assert.deepEqual(filter("is:unread"), { notKeyword: "$seen" });
	assert.deepEqual(filter("-has:attachment"), { operator: "NOT", conditions: [{ hasAttachment: true }] });
	assert.deepEqual(filter("a or b c"), { operator: "AND", conditions: [{ operator: "OR", conditions: [{ text: "a" }, { text: "b" }] }, { text: "c" }] });
	assert.deepEqual(filter("in:Work", { mailbox: n => (n === "Work" ? "m7" : null), exclude: ["m9"] }), { inMailbox: "m7" });
	assert.deepEqual(filter("x", { exclude: ["m9"] }), { operator: "AND", conditions: [{ text: "x" }, { inMailboxOtherThan: ["m9"] }] });
	assert.deepEqual(filter("larger:5M"), { minSize: 5 * 1024 * 1024 });
	assert.equal(filter(""), null);
	assert.deepEqual(filter("time 10:30 is:green after:2026-02-30").conditions.map(c => c.text), ["time", "10:30", "is:green", "after:2026-02-30"]);
	for (const text of ['from:ann -subject:"a b" or is:unread', "larger:5M before:2026-01", '"or"'])
		assert.deepEqual(s.parse(s.write(s.parse(text))), s.parse(text), text);
});

test("days, months and years of searches", () => {
	assert.deepEqual(s.day("2026-02"), [new Date(2026, 1, 1), new Date(2026, 2, 1)]);
	assert.deepEqual(s.day("2026"), [new Date(2026, 0, 1), new Date(2027, 0, 1)]);
	assert.deepEqual(s.day("2026-12-31"), [new Date(2026, 11, 31), new Date(2027, 0, 1)]);
	assert.equal(s.day("2026-13"), null);
	assert.deepEqual(s.offers("hall fr").map(o => o.insert), ["hall from:"]);
});

test("dates by nearness, sizes by digits that count", () => {
	const now = new Date(2026, 10, 30, 12, 0);
	const at = (...d) => new Date(...d).toISOString();
	assert.equal(f.shortDate(at(2026, 10, 30, 9, 5), now, "de"), "09:05");
	assert.equal(f.shortDate(at(2026, 10, 29, 23, 59), now, "en"), "Yesterday");
	assert.equal(f.shortDate(at(2026, 10, 29, 23, 59), now, "de"), "Gestern");
	assert.equal(f.shortDate(at(2026, 10, 27), now, "en"), "Fri");
	assert.equal(f.shortDate(at(2026, 0, 2), now, "en-GB"), "2 Jan");
	assert.equal(f.shortDate(at(2024, 0, 2), now, "en-GB"), "02/01/24");
	assert.equal(f.size(421888, "en"), "412 kB");
	assert.equal(f.size(0, "en"), "0 bytes");
	assert.equal(f.browserOf("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36 Edg/130.0"), "Edge, Windows");
	assert.equal(f.browserOf("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15"), "Safari, macOS");
	assert.equal(f.browserOf("curl/8.0"), "curl/8.0");
	assert.equal(f.browserOf(""), "");
});
