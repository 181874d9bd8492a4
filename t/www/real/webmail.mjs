// The web client in front of the whole suite: memd, jmapd, the store, the directory, SMTP and IMAP, all real.
// Started by t/flow/webmail.t, which has put mail into the inbox and says by SANDBOX where the sandbox is.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { launch, open } from "../lib/browser.mjs";

const env = Object.fromEntries(readFileSync(process.env.SANDBOX + "/env", "utf8").split("\n").filter(Boolean)
    .map(l => [l.slice(0, l.indexOf("=")), l.slice(l.indexOf("=") + 1).replace(/^'|'$/g, "")]));
const URL_ = env.WEBURL.replace(/\/$/, "");
let browser, tab;
before(async () => {
	browser = await launch();
	tab = await open(browser, URL_);
});
after(() => browser.close());
const row = text => tab.page.locator(".row", { hasText: text }).first();
const toast = text => tab.page.locator(".toast", { hasText: text }).first();
/** What t/flow/webmail.t does at the other doors: by SMTP and IMAP. */
const elsewhere = (...words) => execFileSync("python3", ["t/www/real/elsewhere.py", ...words], { encoding: "utf8" }).trim();
/** Each step also fails when the page has said anything. */
const step = (name, f, needs) => test(name, async t => {
	if (needs && !(await tab.page.evaluate(async () => (await (await fetch("/.well-known/jmap")).json()).capabilities))[needs])
		return t.skip(`this server has no ${needs}`);
	try {
		await f(tab.page);
		assert.deepEqual(tab.said, []);
	} catch (error) {
		await tab.shot("failed-real-" + name.replace(/\W+/g, "-").slice(0, 30));
		error.message += "\n" + tab.said.join("\n");
		throw error;
	}
	return undefined;
});

step("the pages carry their policies", async () => {
	const page = await (await tab.context.request.get(URL_ + "/")).headers();
	const csp = page["content-security-policy"];
	for (const rule of ["default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'", "frame-ancestors 'none'"])
		assert.ok(csp.includes(rule), csp);
	assert.ok(!/unsafe|\*/.test(csp), csp);
	const frame = (await (await tab.context.request.get(URL_ + "/sandbox.html")).headers())["content-security-policy"];
	assert.match(frame, /img-src data: blob:(;|$)/);
	assert.match(frame, /sandbox allow-same-origin/);
	assert.ok(!/allow-scripts/.test(frame));
	assert.match((await (await tab.context.request.get(URL_ + "/pictures.html")).headers())["content-security-policy"], /img-src [^;]*https:/);
});

step("log in: wrong, then right", async page => {
	await page.goto(URL_ + "/");
	await page.getByLabel("Address or login").fill("user0001");
	await page.getByLabel("Password").fill("not this");
	await page.keyboard.press("Enter");
	await page.getByRole("alert").waitFor();
	await page.getByLabel("Password").fill(env.PASSWORD);
	await page.keyboard.press("Enter");
	await row("Room for the spring workshop").waitFor();
});

step("a conversation of two, read, its quote folded", async page => {
	await row("Room for the spring workshop").click();
	await page.locator("article", { hasText: "I think so" }).waitFor();
	await page.getByRole("button", { name: /quoted line/ }).click();
	await page.locator(".quote", { hasText: "Shall I book it" }).waitFor();
	for (let n = 0; n < 600 && !elsewhere("flags", "Room for the spring workshop").includes("\\Seen"); n++)
		await page.waitForTimeout(50);
	assert.match(elsewhere("flags", "Room for the spring workshop"), /\\Seen/);
});

step("HTML: shown in its frame, without pictures of the network", async page => {
	await row("Books").click();
	await page.waitForFunction(() => document.querySelector(".mail-frame")?.contentDocument?.body?.textContent.includes("ready"));
	await page.getByText("Pictures from the network").waitFor();
	const colour = await page.evaluate(() => getComputedStyle(document.querySelector(".mail-frame").contentDocument.querySelector("p")).color);
	assert.equal(colour, "rgb(255, 0, 0)", "its own styles stay");
});

step("an attachment comes as it was sent", async page => {
	await row("Dates").click();
	const [file] = await Promise.all([page.waitForEvent("download"), page.locator(".attachment").click()]);
	assert.equal(file.suggestedFilename(), "dates.pdf");
	assert.equal(readFileSync(await file.path(), "utf8"), "hello file");
}, "urn:ietf:params:jmap:blob");

step("archive, undo; IMAP sees both", async page => {
	await row("Dates").click();
	await page.locator(".attachment", { hasText: "dates.pdf" }).waitFor();
	await page.keyboard.press("e");
	await toast("Archived 1 conversation").waitFor();
	for (let n = 0; n < 600 && elsewhere("where", "Dates") !== "Archive"; n++)
		await page.waitForTimeout(50);
	assert.equal(elsewhere("where", "Dates"), "Archive");
	await page.keyboard.press("z");
	await row("Dates").waitFor();
	for (let n = 0; n < 600 && elsewhere("where", "Dates") !== "INBOX"; n++)
		await page.waitForTimeout(50);
	assert.equal(elsewhere("where", "Dates"), "INBOX");
});

step("mail that comes by SMTP shows by itself, and what IMAP flags", async page => {
	elsewhere("send", "Fresh from the press");
	await row("Fresh from the press").waitFor();
	elsewhere("flag", "Fresh from the press");
	await page.locator(".row", { hasText: "Fresh from the press" }).locator(".flagged").waitFor();
});

step("folders: made here, seen there", async page => {
	await page.getByRole("button", { name: "New folder" }).click();
	await page.getByRole("dialog").getByLabel("Name").fill("Grüße & Co");
	await page.keyboard.press("Enter");
	await page.getByRole("link", { name: "Grüße & Co" }).waitFor();
	assert.match(elsewhere("folders"), /Gr&APwA3w-e &- Co/);
});

step("an answer: saved as a draft, sent, filed, and there at the other end", async page => {
	await page.locator(".place[data-role=inbox]").click();
	elsewhere("send", "Will you come", "user0002");
	await row("Will you come").click();
	await page.locator("article").first().waitFor();
	await page.keyboard.press("r");
	await page.locator(".editor-text[data-ready=true]").waitFor();
	await page.keyboard.type("Yes, with Grüße.");
	await page.locator(".saved", { hasText: /^Saved/ }).waitFor({ timeout: 40000 });
	assert.equal(elsewhere("where", "Re: Will you come"), "Drafts");
	await page.getByRole("button", { name: "Send", exact: true }).click();
	await toast("Message is sent in").waitFor();
	await page.getByRole("button", { name: "Undo" }).click();
	await page.locator(".editor-text[data-ready=true]", { hasText: "Yes, with Grüße." }).waitFor();
	await page.locator("input[type=file]").setInputFiles({ name: "way.txt", mimeType: "text/plain", buffer: Buffer.from("left, then right") });
	await page.locator(".files .chip", { hasText: "way.txt" }).waitFor();
	await page.getByRole("button", { name: "Send", exact: true }).click();
	await toast("Message sent").waitFor({ timeout: 60000 });
	for (let n = 0; n < 600 && elsewhere("where", "Re: Will you come") !== "Sent"; n++)
		await page.waitForTimeout(50);
	assert.equal(elsewhere("where", "Re: Will you come"), "Sent");
	const got = elsewhere("source", "Re: Will you come", "2");
	assert.match(got, /^In-Reply-To: <will@x\.test>/m);
	assert.match(got, /^References: <will@x\.test>/m);
	assert.match(got, /filename="?way\.txt/);
	assert.match(got, /Content-Type: multipart\/mixed/);
	assert.match(elsewhere("flags", "Will you come"), /\\Answered/);
}, "urn:ietf:params:jmap:blob");

step("sent later: it waits, is dated by then, and is taken back", async page => {
	const write = async subject => {
		await page.keyboard.press("c");
		await page.locator(".editor-text[data-ready=true]").waitFor();
		await page.getByLabel("To", { exact: true }).fill("user0002@" + env.DOMAIN);
		await page.getByLabel("Subject").fill(subject);
		await page.getByRole("button", { name: "Send later" }).click();
		await page.getByRole("menuitem", { name: "Tomorrow morning" }).click();
		await toast("Will be sent tomorrow 08:00").waitFor();
	};
	await write("For tomorrow");
	assert.equal(elsewhere("where", "For tomorrow"), "Sent");
	const tomorrow = new Date(Date.now() + 86400000);
	assert.match(elsewhere("source", "For tomorrow", "1"), new RegExp(`^Date: \\w+, 0?${tomorrow.getUTCDate()} \\w+ ${tomorrow.getUTCFullYear()} 08:00:00`, "m"));
	await page.getByRole("link", { name: "Scheduled" }).click();
	await page.locator("h3", { hasText: "For tomorrow" }).waitFor();
	await tab.shot("real-later");
	await page.getByRole("button", { name: "Do not send" }).click();
	await toast("The message is in Drafts").waitFor();
	assert.equal(elsewhere("where", "For tomorrow"), "Drafts");
	await page.getByText("Nothing is waiting to be sent.").waitFor();
	await page.goto(URL_ + "/");
	await row("Books").waitFor();
}, "urn:ietf:params:jmap:submission");

step("search, with where the words stand", async page => {
	await page.keyboard.press("/");
	await page.keyboard.type("subject:hall or large");
	await page.keyboard.press("Enter");
	await page.locator(".row mark", { hasText: /large/i }).first().waitFor();
	await page.getByRole("button", { name: "Clear search" }).click();
	await row("Books").waitFor();
}, "urn:ietf:params:jmap:blob");

step("what is chosen is kept by the server, not by the browser alone", async page => {
	await page.goto(URL_ + "/settings");
	await page.getByLabel("Dark").check();
	await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
	await page.waitForTimeout(300);
	await page.evaluate(() => localStorage.clear());
	await page.goto(URL_ + "/");
	await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
	await row("Books").waitFor();
}, "urn:tiermail:params:jmap:settings");

step("a reload keeps the session and the place", async page => {
	await row("Books").click();
	await page.waitForFunction(() => /^\/mail\/[^/]+\/.+/.test(location.pathname));
	await page.reload();
	await page.waitForFunction(() => document.querySelector(".mail-frame")?.contentDocument?.body?.textContent.includes("ready"));
});

step("away, with dates and a text: it is kept, and the next one is told", async page => {
	await page.goto(URL_ + "/settings");
	const form = page.locator("form", { has: page.getByLabel("Answer automatically") });
	await form.getByLabel("Answer automatically").check();
	await form.getByLabel("From").fill("2020-01-01");
	await form.getByLabel("Until").fill("2099-12-31");
	await form.getByLabel("Subject").fill("Away");
	await form.getByLabel("Text").fill("Back in spring.");
	await form.getByRole("button").click();
	await toast("Saved").waitFor();
	await page.reload();
	await page.waitForFunction(() => [...document.querySelectorAll("textarea")].some(t => t.value === "Back in spring."));
	assert.equal(await form.getByLabel("Answer automatically").isChecked(), true);
	assert.equal(await form.getByLabel("Until").inputValue(), "2099-12-31");
	await form.getByLabel("Answer automatically").uncheck();
	await form.getByRole("button").click();
	await toast("Saved").waitFor();
}, "urn:ietf:params:jmap:vacationresponse");

step("a filter of the page is a script of the server, and files the next message", async page => {
	await page.goto(URL_ + "/settings");
	const box = page.locator("section.filters");
	await box.getByRole("button", { name: "New filter" }).click();
	await box.getByLabel("Name of the filter").fill("By the page");
	await box.getByLabel("Condition 1: where").selectOption("subject");
	await box.getByLabel("Condition 1: what").fill("filter me");
	await box.getByLabel("Folder", { exact: true }).selectOption({ label: "Archive" });
	await box.getByLabel("Mark as read").check();
	await box.getByRole("button", { name: "Save" }).click();
	await box.getByText("Subject contains “filter me”: move to Archive, mark as read").waitFor();
	elsewhere("send", "Please filter me");
	for (let n = 0; elsewhere("where", "Please filter me") !== "Archive"; n++) {
		assert.ok(n < 40, `it is in ${elsewhere("where", "Please filter me")}`);
		await page.waitForTimeout(200);
	}
	assert.match(elsewhere("flags", "Please filter me"), /\\Seen/);
	await page.reload();
	await box.getByText("These filters are applied to new mail").waitFor();
	await box.getByRole("button", { name: "Edit By the page" }).click();
	assert.equal(await box.getByLabel("Condition 1: what").inputValue(), "filter me");
	await box.getByRole("button", { name: "Cancel" }).click();
	await box.getByRole("button", { name: "Switch off" }).click();
	await box.getByText("These filters are switched off").waitFor();
}, "urn:ietf:params:jmap:sieve");

step("another password, with which one comes in again", async page => {
	await page.goto(URL_ + "/settings");
	const put = async old => {
		await page.getByLabel("Password now").fill(old);
		await page.getByLabel("New password", { exact: true }).fill("quite another one");
		await page.getByLabel("New password again").fill("quite another one");
		await page.getByRole("button", { name: "Change password" }).click();
	};
	await put("guess");
	await page.getByRole("alert").filter({ hasText: "is not right" }).waitFor();
	await put(env.PASSWORD);
	await toast("Password changed").waitFor();
	assert.deepEqual(tab.said.splice(0).filter(s => !/status of 403/.test(s)), []);	/* the guess */
	await page.getByRole("button", { name: "Log out" }).click();
	await page.getByLabel("Address or login").fill("user0001");
	await page.getByLabel("Password").fill("quite another one");
	await page.keyboard.press("Enter");
	await row("Books").waitFor();
});

step("log out, and nothing is there any more", async page => {
	await page.getByRole("button", { name: "Log out" }).click();
	await page.getByLabel("Password").waitFor();
	assert.equal((await tab.context.request.get(URL_ + "/.well-known/jmap", { headers: { "Sec-Fetch-Site": "same-origin" } })).status(), 401);
});
