// A browser that several people use: whoever comes in finds nothing of who was here before, and who goes loses nothing.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { Double, host } from "../lib/host.mjs";
import { launch, open } from "../lib/browser.mjs";
import { seed } from "../lib/seed.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

function story(name, f, how = {}) {
	test(name, async () => {
		const server = new Double(), other = new Double();
		seed(server);
		other.deliver({ subject: "For Bo alone" });
		const h = await host(server, { others: { bo: other }, ...how });
		const tab = await open(browser, h.url);
		try {
			await tab.page.goto(h.url + "/");
			await row(tab.page, "spring workshop").waitFor();
			await f({ server, other, h, ...tab });
			assert.deepEqual(tab.said, []);
		} catch (error) {
			await tab.shot("failed-" + name.replace(/\W+/g, "-").slice(0, 40));
			error.message += "\n" + tab.said.join("\n");
			throw error;
		} finally {
			await tab.context.close();
			h.close();
		}
	});
}
const row = (page, text) => page.locator(".row", { hasText: text }).first();
const login = async (page, user) => {
	await page.getByLabel("Address or login").fill(user);
	await page.getByLabel("Password").fill("secret");
	await page.getByRole("button", { name: "Log in" }).click();
};
/** All that the browser holds of this origin, as one text. */
const held = page => page.evaluate(async () => [document.documentElement.outerHTML, JSON.stringify(localStorage), JSON.stringify(sessionStorage),
	JSON.stringify(await indexedDB.databases()), JSON.stringify(await caches.keys().catch(() => []))].join("\n"));
const write = async (page, subject) => {
	await page.keyboard.press("c");
	await page.locator(".editor-text[data-ready=true]").waitFor();
	await page.getByLabel("Subject").fill(subject);
};
const drafts = server => [...server.records.Email.values()].filter(e => e.keywords.$draft).map(e => e.subject);

story("another person over a session that has ended: nothing of the first is left, nothing goes into the other's account", async ({ page, server, other, h }) => {
	server.deliver({ subject: "Hall", threadId: "tHall", html: '<p>x</p><img src="https://evil.test/a.png">', from: [{ name: "Mara", email: "mara@example.net" }] });
	await row(page, "Hall").click();
	await page.locator("article").waitFor();
	await page.evaluate(() => localStorage.setItem("tiermail.settings", JSON.stringify({ ...JSON.parse(localStorage["tiermail.settings"]), pictureSenders: ["mara@example.net"], theme: "dark" })));
	await write(page, "Half a thought of Ann");
	await page.waitForFunction(() => Object.keys(localStorage).some(k => k.startsWith("tiermail.draft.")));
	h.end();
	await page.getByLabel("Subject").fill("Half a thought of Ann's");
	await page.getByText("Your session has ended").waitFor();
	await login(page, "bo");
	await row(page, "For Bo alone").waitFor();
	const all = await held(page);
	for (const word of ["spring workshop", "Half a thought", "mara@example.net", "ann@example.org", "Hall"])
		assert.ok(!all.includes(word), `${word}: ${all.slice(Math.max(0, all.indexOf(word) - 200), all.indexOf(word) + 80)}`);
	assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
	assert.deepEqual(other.requests.flat().filter(name => /\/set$/.test(name)), []);
	assert.deepEqual(drafts(other), []);
});

story("the same person again: all is as it was", async ({ page, h, server }) => {
	await write(page, "Half a thought");
	h.end();
	await page.keyboard.type("!");
	await page.getByText("Your session has ended").waitFor();
	await login(page, "ann");
	await page.getByRole("dialog", { name: "Log in" }).waitFor({ state: "detached" });
	assert.match(await page.getByLabel("Subject").inputValue(), /^Half a thought/);
	await row(page, "spring workshop").waitFor();
	await page.getByLabel("Subject").fill("A whole thought");
	await page.locator(".saved", { hasText: /^Saved/ }).waitFor();
	assert.ok(drafts(server).includes("A whole thought"));
});

story("who logs out has all saved first, and leaves nothing", async ({ page, server }) => {
	await write(page, "Not saved yet");
	await page.getByRole("button", { name: "Log out" }).click();
	await page.getByLabel("Address or login").waitFor();
	assert.ok(drafts(server).includes("Not saved yet"));
	const all = await held(page);
	for (const word of ["spring workshop", "Not saved yet", "tiermail.draft"])
		assert.ok(!all.includes(word), word);
	await page.goBack().catch(() => {});
	assert.ok(!(await page.content()).includes("spring workshop"));
});

story("what cannot be saved is said before anybody goes", async ({ page, server }) => {
	await write(page, "Not to be saved");
	server.fail = name => (name === "Email/set" ? { type: "overQuota" } : undefined);
	await page.getByRole("button", { name: "Log out" }).click();
	await page.getByRole("dialog", { name: "Log out" }).waitFor();
	await page.getByRole("button", { name: "Cancel" }).click();
	assert.equal(await page.getByLabel("Subject").inputValue(), "Not to be saved");
	await page.getByRole("button", { name: "Log out" }).click();
	await page.getByRole("dialog", { name: "Log out" }).getByRole("button", { name: "Log out" }).click();
	await page.getByLabel("Address or login").waitFor();
	assert.ok(!(await held(page)).includes("Not to be saved"));
});

story("the other tabs go too, and come in with whoever comes", async ({ page, context, h }) => {
	const second = await context.newPage();
	await second.goto(h.url + "/");
	await row(second, "spring workshop").waitFor();
	await page.getByRole("button", { name: "Log out" }).click();
	await second.getByLabel("Address or login").waitFor();
	assert.ok(!(await held(second)).includes("spring workshop"));
	await login(second, "bo");
	await row(second, "For Bo alone").waitFor();
	await row(page, "For Bo alone").waitFor();
});

story("the language of the person's entry comes before the browser's, and behind what is chosen", async ({ page, h }) => {
	await page.getByRole("button", { name: "Neue Nachricht" }).first().waitFor();
	assert.equal(await page.evaluate(() => document.documentElement.lang), "de-AT");
	await page.goto(h.url + "/settings");
	await page.locator("label.field select").first().selectOption("en");
	await page.getByRole("button", { name: "New message" }).first().waitFor();
	await page.reload();
	await page.getByRole("button", { name: "New message" }).first().waitFor();
	await page.locator("label.field select").first().selectOption("auto");
	await page.getByRole("button", { name: "Neue Nachricht" }).first().waitFor();
}, { language: "DE-AT, en;q=0.5" });
