// Every language has every sentence with its arguments, every sentence is used, and every one that is used is there.
import test from "node:test";
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Words } from "../../../cmd/memd/www/kit/words.js";
import { words } from "../../../cmd/memd/www/i18n/i18n.js";
import en from "../../../cmd/memd/www/i18n/en.js";
import de from "../../../cmd/memd/www/i18n/de.js";

const WWW = new URL("../../../cmd/memd/www/", import.meta.url).pathname;
const forms = s => (typeof s === "object" ? Object.values(s) : [s]);
const args = s => [...new Set(forms(s).flatMap(x => x.match(/\{\w+\}/g) || []))].sort();

for (const [name, table] of Object.entries({ de }))
	test(`${name} has what English has`, () => {
		assert.deepEqual(Object.keys(table).filter(k => !(k in en)), [], "sentences that nobody knows");
		assert.deepEqual(Object.keys(en).filter(k => !(k in table)), [], "sentences that are missing");
		for (const key of Object.keys(en)) {
			assert.deepEqual(args(table[key]), args(en[key]), key);
			assert.equal(typeof table[key], typeof en[key], key);
			if (typeof table[key] === "object")
				for (const form of new Intl.PluralRules(name).resolvedOptions().pluralCategories)
					assert.ok(form in table[key], `${key}: ${form}`);
		}
	});

test("sentences and the code agree", () => {
	const files = readdirSync(WWW, { recursive: true }).filter(f => f.endsWith(".js") && !/i18n\/(en|de)\.js/.test(f));
	const kit = readdirSync(join(WWW, "kit")).filter(f => f.endsWith(".js")).map(f => "kit/" + f);
	const code = [...new Set([...files, ...kit])].map(f => readFileSync(join(WWW, f), "utf8")).join("\n");
	const asked = new Set([...code.matchAll(/["'`]([a-z]+\.[A-Za-z.:]+)["'`]/g)].map(m => m[1]).filter(k => /^[a-z]+\./.test(k)));
	const begun = [...code.matchAll(/`([a-z]+\.(?:[A-Za-z]+\.)*)\$\{/g)].map(m => m[1]);
	for (const m of code.matchAll(/\bt\("([^"]+)"/g))
		assert.ok(m[1] in en, `${m[1]} is not a sentence`);
	const unused = Object.keys(en).filter(k => !asked.has(k) && !begun.some(b => k.startsWith(b)));
	assert.deepEqual(unused, []);
});

test("plural forms, numbers, fallback, pseudo-languages", async () => {
	const w = new Words(words.english, words.known);
	assert.equal(w.t("list.count", { n: 1 }), "1 conversation");
	assert.equal(w.t("list.count", { n: 4812 }), "4,812 conversations");
	await w.use("de-AT");
	assert.equal(w.t("list.count", { n: 0 }), "0 Unterhaltungen");
	assert.equal(w.direction, "ltr");
	assert.equal(w.choose(["fr", "de-CH", "en"]), "de-CH");
	assert.equal(w.choose(["fr"]), "en");
	await w.use("en-XA");
	assert.ok(w.t("act.archive").length >= "Archive".length * 1.4);
	await w.use("ar-XB");
	assert.equal(w.direction, "rtl");
});
