// Logins at the site's provider: offered, gone to, come back from, refused, and left again; with axe and pictures of each.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Double, host } from "../lib/host.mjs";
import { launch, open } from "../lib/browser.mjs";
import { need } from "../lib/need.mjs";
import { seed } from "../lib/seed.mjs";

const AXE = readFileSync(need.resolve("axe-core/axe.min.js"), "utf8");
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** @param {string} name @param {(w: any) => Promise<void>} f @param {any} how of the host */
function story(name, f, how) {
	test(name, async () => {
		const server = new Double(), other = new Double();
		seed(server);
		other.deliver({ subject: "For Bo alone" });
		const h = await host(server, { others: { bo: other }, ...how });
		const tab = await open(browser, h.url);
		const look = async what => {
			await tab.shot(what);
			const found = await tab.page.evaluate(async source => {
				trustedTypes.defaultPolicy || trustedTypes.createPolicy("default", { createHTML: x => x, createScript: x => x, createScriptURL: x => x });
				if (!window.axe)
					(0, eval)(source);
				const { passes, violations } = await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] });
				return { looked: passes.length > 5, violations: violations.map(v => `${v.id}: ${v.nodes[0].html}`) };
			}, AXE);
			assert.deepEqual(found, { looked: true, violations: [] }, what);
		};
		try {
			if (how.loggedIn !== false) {
				await tab.page.goto(h.url + "/");
				await row(tab.page, "spring workshop").waitFor();
			}
			await f({ server, other, h, look, ...tab });
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
const write = async (page, subject) => {
	await page.keyboard.press("c");
	await page.locator(".editor-text[data-ready=true]").waitFor();
	await page.getByLabel("Subject").fill(subject);
};
const outside = signon => ({ loggedIn: false, signon });

story("the provider is offered beside the form, and leads back to where one was", async ({ page, h, look }) => {
	await page.goto(h.url + "/flagged");
	const button = page.getByRole("link", { name: "Sign in with the University" });
	await button.waitFor();
	assert.ok(await page.getByLabel("Password").isVisible());
	await look("login-signon");
	await button.click();
	await page.locator("h1", { hasText: "Flagged" }).waitFor();
	assert.equal(new URL(page.url()).pathname, "/flagged");
}, outside({ name: "Sign in with the University" }));

story("without the form there is the provider alone", async ({ page, h, look }) => {
	await page.goto(h.url + "/");
	await page.getByRole("link", { name: "Sign in with your organisation" }).waitFor();
	assert.equal(await page.getByLabel("Password").count(), 0);
	await look("login-signon-only");
	await page.keyboard.press("Tab");
	await page.keyboard.press("Enter");
	await row(page, "spring workshop").waitFor();
}, outside({ form: false }));

const refuses = outside({ redirect: true, refuse: "away" });
story("who was not let in hears why, and is not sent round in circles", async ({ page, h, look }) => {
	await page.goto(h.url + "/");
	await page.getByText("The sign-in service of your organisation cannot be reached").waitFor();
	await look("login-signon-away");
	assert.equal(refuses.signon.times, 1);
	await page.goto(h.url + "/");		/* at once again: not by itself */
	await page.getByLabel("Password").waitFor();
	assert.equal(refuses.signon.times, 1);
	refuses.signon.refuse = "";
	await page.getByRole("link", { name: "Sign in" }).click();
	await row(page, "spring workshop").waitFor();
}, refuses);

const goes = outside({ redirect: true });
story("where one is sent there at once, a logout is one all the same, in all tabs", async ({ page, context, h, look }) => {
	await page.goto(h.url + "/flagged");
	await page.locator("h1", { hasText: "Flagged" }).waitFor();
	assert.equal(new URL(page.url()).pathname, "/flagged");
	const second = await context.newPage();
	await second.goto(h.url + "/");
	await row(second, "spring workshop").waitFor();
	await page.getByRole("button", { name: "Log out" }).click();
	await page.getByText("You are logged out.").waitFor();
	await second.getByText("You are logged out.").waitFor();
	await look("login-signon-out");
	assert.equal(goes.signon.times, 1);
	await page.getByRole("link", { name: "Sign in" }).click();
	await row(page, "spring workshop").waitFor();
}, goes);

const ends = { signon: { name: "University" } };
story("a session that has ended goes on by the provider in another tab", async ({ page, context, h, look }) => {
	await write(page, "Half a thought");
	h.end();
	await page.keyboard.type("!");
	await page.getByText("Your session has ended").waitFor();
	const [second] = await Promise.all([context.waitForEvent("page"), (async () => {
		await page.getByRole("link", { name: "University" }).waitFor();
		await look("login-signon-ended");
		await page.getByRole("link", { name: "University" }).click();
	})()]);
	await row(second, "spring workshop").waitFor();
	await page.getByRole("dialog", { name: "Log in" }).waitFor({ state: "detached" });
	assert.match(await page.getByLabel("Subject").inputValue(), /^Half a thought/);
}, ends);

story("or shows nothing of the first to whom that was another", async ({ page, context, h }) => {
	await write(page, "Half a thought of Ann");
	h.end();
	await page.keyboard.type("!");
	const [second] = await Promise.all([context.waitForEvent("page"), page.getByRole("link", { name: "University" }).click()]);
	await row(second, "For Bo alone").waitFor();
	await row(page, "For Bo alone").waitFor();
	assert.ok(!(await page.content()).includes("spring workshop"));
}, { signon: { name: "University", who: "bo" } });

story("who has a second factor is asked for its code", async ({ page, h, look }) => {
	await page.goto(h.url + "/");
	await page.getByLabel("Address or login").fill("ann");
	await page.getByLabel("Password").fill("secret");
	assert.equal(await page.getByLabel("Code of your app").count(), 0);
	await page.keyboard.press("Enter");
	await page.getByText("Your account has a second factor").waitFor();
	await page.getByLabel("Code of your app").fill("000 000");
	await page.keyboard.press("Enter");
	await page.getByText("The code is not right").waitFor();
	await look("login-code");
	await page.getByLabel("Code of your app").fill("123 456");
	await page.keyboard.press("Enter");
	await row(page, "spring workshop").waitFor();
}, { loggedIn: false, code: "123456" });
