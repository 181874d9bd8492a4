// What the tests of the console share: the sandbox's names, somebody's browser, steps that fail when a page has said anything.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { launch, open } from "./browser.mjs";
import { need } from "./need.mjs";

/** A refusal of the API is an answer like another. @param {any} m */
const answered = m => /\/(?:api\/v1\/|password$)/.test(m.location().url) && /status of 4\d\d/.test(m.text());

const AXE = readFileSync(need.resolve("axe-core/axe.min.js"), "utf8");
export const env = Object.fromEntries(readFileSync(process.env.SANDBOX + "/env", "utf8").split("\n").filter(Boolean)
    .map(l => [l.slice(0, l.indexOf("=")), l.slice(l.indexOf("=") + 1).replace(/^'|'$/g, "")]));
export const U = env.ADMIN_URL.replace(/\/$/, ""), D = env.DOMAIN;
export const NASTY = `<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>'"&{{7*7}}`;
/** The browser of the steps. */
export let tab;
let browser;
before(async () => {
	browser = await launch();
	tab = await open(browser, U, { answered });
	tab.page.setDefaultTimeout(Number(process.env.PATIENCE) || 30000);
});
after(() => browser.close());

/** A browser of somebody's own. */
export async function come(who, how = {}, path = "/") {
	const t = await open(browser, U, { answered, ...how });
	await t.page.goto(U + path);
	await t.page.getByLabel(/Address or login|Adresse oder Login/).fill(who);
	await t.page.getByLabel(/^(Password|Passwort)$/).fill(env.PASSWORD);
	await t.page.keyboard.press("Enter");
	await t.page.locator(".sidebar, .menu-button").first().waitFor({ state: "attached" });
	return t;
}
export const row = (page, text) => page.locator(".rows .entry", { hasText: text }).first();
export const toast = (page, text) => page.locator(".toast", { hasText: text }).first().waitFor();
/** The API as a page of the console asks it. */
export const api = (page, method, path, body, version) => page.evaluate(async ([m, p, b, v]) => {
	const a = await fetch("/api/v1/" + p, { method: m, headers: { "Content-Type": "application/json", ...(v ? { "If-Match": `"${v}"` } : {}) }, body: b && JSON.stringify(b) });
	return { status: a.status, ...(await a.json()) };
}, [method, path, body, version]);
/** What axe finds of WCAG 2.2 AA.  Evaluated by the debugger: the page's policy lets no such script in. */
export const faults = async page => {
	await page.evaluate(AXE);
	return page.evaluate(async () => (await window["axe"].run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] })).violations
	    .map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => n.html.slice(0, 120) + " " + (n.any[0]?.message || "")).join(" | ")}`));
};
export const step = (name, f) => test(name, async () => {
	try {
		await f(tab.page);
		assert.deepEqual(tab.said, []);
	} catch (error) {
		await tab.shot("failed-console-" + name.replace(/\W+/g, "-").slice(0, 30));
		error.message += "\n" + tab.said.join("\n");
		throw error;
	} finally {
		tab.said.length = 0;
	}
});
