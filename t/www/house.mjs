// Rules of the client's source that neither types nor views can tell.
import test from "node:test";
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";

const TOP = new URL("../../", import.meta.url).pathname;
const LONGEST = 600;
const files = ["cmd/memd/www/", "cmd/admind/www/", "lib/web/www/"].flatMap(d => readdirSync(TOP + d, { recursive: true }).filter(f => /\.(js|css|html)$/.test(f) && !/vendor/.test(f) && !/^kit\//.test(f.replace(/^/, d.startsWith("lib") ? "x/" : ""))).map(f => d + f));
const read = f => readFileSync(TOP + f, "utf8");
const offences = (which, rule) => files.filter(f => which.test(f)).flatMap(f => read(f).split("\n").map((l, n) => (rule(l, f) ? `${f}:${n + 1}: ${l.trim().slice(0, 90)}` : null)).filter(Boolean));

test("there is something to look at", () => assert.ok(files.length > 50, String(files.length)));

test("each module says what it is for, and is checked", () => {
	for (const f of files.filter(x => x.endsWith(".js"))) {
		assert.ok(read(f).startsWith("// @ts-check\n/**"), f);
		assert.ok(read(f).split("\n").length <= LONGEST, `${f} has more than ${LONGEST} lines`);
	}
});

test("HTML is written in one place, and never evaluated", () => {
	assert.deepEqual(offences(/\.js$/, (l, f) => /\.(?:innerHTML|outerHTML)\s*=[^=]|insertAdjacentHTML|document\.write|\beval\(|new Function|dangerouslySetInnerHTML/.test(l) && !f.endsWith("view/body.js")), []);
	assert.equal(read("cmd/memd/www/view/body.js").match(/innerHTML\s*=/g).length, 1, "the frame of a message");
});

test("colours are tokens", () => {
	const own = /(?:tokens|mail|print)\.css$/;
	assert.deepEqual(offences(/\.css$/, (l, f) => !own.test(f) && /#[0-9a-f]{3,8}\b|rgba?\(|hsl/i.test(l.replace(/color: #fff; flex: none/, ""))), []);
});

test("pages have no script, style or handler of their own", () => {
	for (const f of files.filter(x => x.endsWith(".html")))
		assert.ok(!/<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=/i.test(read(f)), f);
});
