// axe on every view, light and dark, wide and narrow; a walk by keyboard alone; long words and right to left.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Double, host } from "../lib/host.mjs";
import { launch, open } from "../lib/browser.mjs";
import { need } from "../lib/need.mjs";
import { seed } from "../lib/seed.mjs";

const AXE = readFileSync(need.resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
let browser, server, h;
before(async () => {
	browser = await launch();
	server = new Double();
	seed(server);
	h = await host(server);
});
after(async () => {
	await browser.close();
	h.close();
});

/** Every view by the way to it. */
const VIEWS = {
	inbox: async () => {},
	conversation: async page => {
		await page.locator(".row", { hasText: "grant proposal" }).click();
		await page.locator("article", { hasText: "chapter two" }).waitFor();
	},
	newsletter: async page => {
		await page.goto(h.url + "/mail/m1/tC");
		await page.waitForFunction(() => document.querySelector(".mail-frame")?.contentDocument?.body?.textContent.includes("Spring"));
	},
	compose: async page => {
		await page.keyboard.press("c");
		await page.locator(".editor-text[data-ready=true]").waitFor();
		await page.getByLabel("To", { exact: true }).fill("p.raman@exampl");
		await page.keyboard.press("Enter");
		await page.locator(".chip.bad").waitFor();
	},
	search: async page => {
		await page.goto(h.url + "/search/from%3Ajonas%20chapter");
		await page.locator("mark").first().waitFor();
		await page.keyboard.press("/");
		await page.keyboard.type(" fr");
		await page.locator(".offers").waitFor();
	},
	menu: async page => {
		await page.locator(".row").first().click({ button: "right" });
		await page.getByRole("menu").waitFor();
	},
	help: async page => {
		await page.keyboard.press("?");
		await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
	},
	settings: async page => {
		await page.goto(h.url + "/settings");
		await page.getByRole("heading", { name: "Vacation reply" }).waitFor();
	},
	toast: async page => {
		await page.keyboard.press("j");
		await page.keyboard.press("v");
		await page.keyboard.press("Escape");
		await page.keyboard.press("e");
		await page.locator(".toast").waitFor();
		await page.keyboard.press("z");
	},
};
const SIZES = { wide: { width: 1440, height: 900 }, middle: { width: 900, height: 800 }, phone: { width: 500, height: 850 } };

/** @param {boolean} all  false: what another theme or size changes, colours and sizes */
async function axe(page, what, all) {
	const result = await page.evaluate(async ([source, only]) => {
		if (!window.axe)
			(0, Function)(source)();	/* only where no policy forbids: this page has bypassCSP */
		return window.axe.run(document, { runOnly: only, resultTypes: ["violations"] });
	}, [AXE, all ? TAGS : { type: "rule", values: ["color-contrast", "target-size", "scrollable-region-focusable"] }]);
	assert.deepEqual(result.violations.map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + " " + (n.any[0]?.message || n.all[0]?.message || "")).join(" | ")}`), [], what);
}

/* The two that differ most each time; all of them, with their pictures, when asked for: TM_SHOTS=1. */
const LOOKS = [["light", "wide"], ["dark", "phone"], ...(process.env.TM_SHOTS ? [["dark", "wide"], ["light", "middle"], ["light", "phone"], ["dark", "middle"]] : [])];

/* One page is led to each view once; there its looks change, as when a window is drawn smaller at dusk. */
test(`axe and pictures: ${LOOKS.map(l => l.join(", ")).join("; ")}`, async () => {
	const bad = [];
	const tab = await open(browser, h.url, { bypassCSP: true, reducedMotion: "reduce" });
	for (const [name, go] of Object.entries(VIEWS)) {
		try {
			await look(tab.page, LOOKS[0]);
			await tab.page.goto(h.url + "/");
			await tab.page.locator(".row .subject").first().waitFor();
			await go(tab.page);
			for (const now of LOOKS) {
				await look(tab.page, now);
				process.env.TM_SHOTS && await tab.shot(`${name}-${now.join("-")}`);
				await axe(tab.page, `${name}, ${now}`, now === LOOKS[0]);
			}
			assert.deepEqual(tab.said.splice(0), [], name);
		} catch (error) {
			bad.push(`${name}: ${error.message}`);
		}
	}
	await tab.context.close();
	assert.deepEqual(bad, []);
});

async function look(page, [theme, size]) {
	await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
	await page.setViewportSize(SIZES[size]);
	await page.waitForFunction(t => document.documentElement.dataset.theme === t || !document.querySelector(".app"), theme);
}

test("all of it by keyboard: read, answer, file, with the focus always to be seen", async () => {
	const { page, said, context } = await open(browser, h.url);
	await page.goto(h.url + "/");
	await page.locator(".row").first().waitFor();
	const focused = () => page.evaluate(() => {
		const e = document.activeElement;
		const s = getComputedStyle(e);
		return { name: e.getAttribute("aria-label") || e.textContent.trim().slice(0, 30), seen: e === document.body || s.outlineStyle !== "none" || s.boxShadow !== "none" || !!e.closest(":focus-within .field-line, .field-line:focus-within") };
	});
	const names = [];
	for (let n = 0; n < 30; n++) {
		await page.keyboard.press("Tab");
		const f = await focused();
		assert.ok(f.seen, `focus on ${f.name} is not to be seen`);
		names.push(f.name);
	}
	assert.equal(names[0], "Skip to the messages");
	assert.ok(names.includes("New message") && names.includes("Search mail"), names.join());
	await page.keyboard.press("j");
	await page.keyboard.press("Enter");
	await page.locator("article").first().waitFor();
	await page.keyboard.press("r");
	await page.locator(".editor-text[data-ready=true]").waitFor();
	await page.keyboard.type("By keyboard.");
	await page.keyboard.press("Escape");
	await page.locator(".compose").waitFor({ state: "detached" });
	await page.keyboard.press("u");
	await page.getByText("No conversation chosen").waitFor();
	assert.deepEqual(said, []);
	await context.close();
});

for (const [locale, check] of [["en-XA", () => document.documentElement.scrollWidth <= innerWidth], ["ar-XB", () => document.documentElement.dir === "rtl" &&
	document.querySelector(".sidebar").getBoundingClientRect().left > document.querySelector(".list").getBoundingClientRect().left]])
	test(`words of another kind: ${locale}`, async () => {
		const { page, said, shot, context } = await open(browser, h.url);
		await page.addInitScript(l => (localStorage["tiermail.settings"] = JSON.stringify({ language: l })), locale);
		await page.goto(h.url + "/mail/m1/tB");
		await page.locator("article").first().waitFor();
		assert.ok(await page.evaluate(check));
		await shot(`inbox-${locale}`);
		assert.deepEqual(said, []);
		await context.close();
	});

test("German", async () => {
	const { page, said, shot, context } = await open(browser, h.url, { locale: "de-DE" });
	await page.goto(h.url + "/mail/m1/tB");
	await page.getByRole("button", { name: "Allen antworten" }).waitFor();
	await page.getByRole("link", { name: /Posteingang/ }).waitFor();
	await shot("conversation-de");
	assert.deepEqual(said, []);
	await context.close();
});
