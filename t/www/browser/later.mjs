// Sending later: a time is chosen, the message waits where one sees it, and is taken back in each way there is.
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

/** @param {string} name @param {(w: any) => Promise<void>} f */
function story(name, f, { delay = 30 * 86400, ...how } = {}) {
	test(name, async () => {
		const server = new Double({ delay });
		seed(server);
		const h = await host(server);
		const tab = await open(browser, h.url, how);
		const look = async (what, within = "html") => {
			await tab.shot(what);
			const found = await tab.page.evaluate(async ([source, where]) => {
				trustedTypes.defaultPolicy || trustedTypes.createPolicy("default", { createHTML: x => x, createScript: x => x, createScriptURL: x => x });
				if (!window.axe)
					(0, eval)(source);
				const { passes, violations } = await window.axe.run(where, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] });
				return { looked: passes.length > 3, violations: violations.map(v => `${v.id}: ${v.nodes[0].html}`) };
			}, [AXE, within]);
			assert.deepEqual(found, { looked: true, violations: [] }, what);
		};
		try {
			await tab.page.goto(h.url + "/");
			await tab.page.locator(".row", { hasText: "spring workshop" }).first().waitFor();
			await f({ server, h, look, ...tab });
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
const write = async (page, subject) => {
	await page.keyboard.press("c");
	await page.locator(".editor-text[data-ready=true]").waitFor();
	await page.getByLabel("To", { exact: true }).fill("bo@x.net");
	await page.getByLabel("Subject").fill(subject);
};
const waits = server => [...server.records.EmailSubmission.values()].filter(s => s.undoStatus === "pending");
const email = (server, subject) => [...server.records.Email.values()].filter(e => e.subject === subject);
const choose = (page, name) => page.getByRole("menuitem", { name }).click();
const later = page => page.getByRole("button", { name: "Send later" }).click();
const toast = (page, text) => page.locator(".toast", { hasText: text }).first().waitFor();

story("one of the times that are offered; seen where it waits; edited again", async ({ page, server, look }) => {
	await write(page, "Minutes");
	await later(page);
	await look("later-menu", ".menu");	/* it lies over other buttons */
	await choose(page, "Tomorrow morning");
	await toast(page, "Will be sent tomorrow 08:00");
	const [one] = waits(server), [mail] = email(server, "Minutes");
	const at = new Date(one.envelope.mailFrom.parameters.HOLDUNTIL), now = new Date();
	assert.deepEqual([at.getUTCHours(), at.getUTCMinutes(), Math.round((at - now) / 86400000) <= 2 && at > now], [8, 0, true]);
	assert.equal(Date.parse(mail.sentAt), at.getTime(), "its Date is that of then");
	assert.deepEqual([Object.keys(mail.mailboxIds), !!mail.keywords.$draft, one.envelope.rcptTo.map(r => r.email)], [["m3"], false, ["bo@x.net"]]);
	const place = page.getByRole("link", { name: "Scheduled" });
	await place.waitFor();
	await page.locator(".place", { hasText: "Scheduled" }).getByLabel("1 waits").waitFor();
	await place.click();
	await page.locator("h3", { hasText: "Minutes" }).waitFor();
	await page.getByText("To bo@x.net").waitFor();
	await page.locator("time", { hasText: "tomorrow 08:00" }).waitFor();
	await look("later-list");
	await page.getByRole("button", { name: "Edit" }).click();
	assert.equal(await page.getByLabel("Subject").inputValue(), "Minutes");
	assert.deepEqual(waits(server), []);
	await page.getByText("Nothing is waiting to be sent.").waitFor();
	await page.getByRole("button", { name: "Send", exact: true }).click();
	await page.waitForFunction(() => !document.querySelector(".compose"));
	await toast(page, "Message is sent in");
	const again = email(server, "Minutes");
	assert.equal(again.length, 1);
	assert.ok(Date.parse(again[0].sentAt) <= Date.now(), "and its Date is no longer that of then");
});

story("taken back at once, with all that was written", async ({ page, server }) => {
	await write(page, "Too early");
	await later(page);
	await choose(page, "Tomorrow afternoon");
	await page.getByRole("button", { name: "Undo" }).click();
	await toast(page, "Not sent");
	assert.equal(await page.getByLabel("Subject").inputValue(), "Too early");
	assert.deepEqual(waits(server), []);
	assert.deepEqual(Object.keys(email(server, "Too early")[0].mailboxIds), ["m2"]);
});

story("a time of one's own, when it is one", async ({ page, server, look }) => {
	await write(page, "Next week");
	const ask = async value => {
		await page.getByLabel("Date and time").fill(value);
		await page.getByRole("button", { name: "Schedule" }).click();
	};
	await later(page);
	await choose(page, "Choose date and time");
	await ask("2020-01-01T10:00");
	await page.getByText("That time is over, or too near").waitFor();
	await look("later-own");
	await ask("2099-01-01T10:00");
	await page.getByText("At most 30 days from now").waitFor();
	assert.deepEqual(waits(server), []);
	const day = new Date(Date.now() + 9 * 86400000).toISOString().slice(0, 10);
	await ask(day + "T10:30");
	await toast(page, "Will be sent");
	assert.equal(waits(server)[0].envelope.mailFrom.parameters.HOLDUNTIL, day + "T10:30:00Z");
});

story("not sent from the list: a draft again; too late is said", async ({ page, server }) => {
	await write(page, "Never mind");
	await later(page);
	await choose(page, "Tomorrow morning");
	await toast(page, "Will be sent");
	await page.getByRole("link", { name: "Scheduled" }).click();
	await page.getByRole("button", { name: "Do not send" }).click();
	await toast(page, "Not sent. The message is in Drafts.");
	assert.deepEqual(Object.keys(email(server, "Never mind")[0].mailboxIds), ["m2"]);
	assert.ok(email(server, "Never mind")[0].keywords.$draft);
	await write(page, "Gone already");
	await later(page);
	await choose(page, "Tomorrow morning");
	await page.locator("h3", { hasText: "Gone already" }).waitFor();
	server.refuse = type => type === "EmailSubmission" && { type: "cannotUnsend" };
	await page.getByRole("button", { name: "Do not send" }).click();
	await toast(page, "Too late");
});

story("what is sent elsewhere is seen here, and what is due goes", async ({ page, server }) => {
	const mail = server.deliver({ subject: "By another client", mailboxIds: { m3: true }, keywords: { $seen: true } });
	const id = "Sother", at = new Date(Date.now() + 3600000).toISOString();
	server.records.EmailSubmission.set(id, { id, emailId: mail.id, sendAt: at, undoStatus: "pending", envelope: { mailFrom: { email: "ann@example.org" }, rcptTo: [{ email: "bo@x.net" }] } });
	server.note("EmailSubmission", id, "created");
	await page.getByRole("link", { name: "Scheduled" }).click();
	await page.locator("h3", { hasText: "By another client" }).waitFor();
	server.records.EmailSubmission.get(id).undoStatus = "final";
	server.note("EmailSubmission", id, "updated");
	await page.getByText("Nothing is waiting to be sent.").waitFor();
});

story("where the server keeps none, none is offered; where it says no, nothing is lost", async ({ page, server }) => {
	await write(page, "Kept by nobody");
	await later(page);
	server.delay = 0;
	await choose(page, "Tomorrow morning");
	await toast(page, "cannot keep this message");
	assert.equal(await page.getByLabel("Subject").inputValue(), "Kept by nobody");
	await page.reload();
	await page.locator(".row", { hasText: "spring workshop" }).first().waitFor();
	await page.keyboard.press("c");
	await page.locator(".editor-text[data-ready=true]").waitFor();
	assert.equal(await page.getByRole("button", { name: "Send later" }).count(), 0);
	assert.equal(await page.getByRole("link", { name: "Scheduled" }).count(), 0);
});

story("on a phone", async ({ page, look }) => {
	await page.getByRole("button", { name: "New message" }).click();
	await page.locator(".editor-text[data-ready=true]").waitFor();
	await page.getByLabel("To", { exact: true }).fill("bo@x.net");
	await page.getByLabel("Subject").fill("Small");
	await later(page);
	await choose(page, "Tomorrow morning");
	await toast(page, "Will be sent");
	await page.goto(new URL("/scheduled", page.url()).href);
	await page.locator("h3", { hasText: "Small" }).waitFor();
	await look("later-phone");
}, { viewport: { width: 390, height: 800 }, colorScheme: "dark" });
