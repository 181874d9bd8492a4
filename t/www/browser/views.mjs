// What people do, in a real browser, against a server in memory: each story fails also when the page says
// anything it should not (an error, a violation of the policy, a request elsewhere).
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { Double, host } from "../lib/host.mjs";
import { launch, open } from "../lib/browser.mjs";
import { seed } from "../lib/seed.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** A story: a server with mail, a page that is logged in. */
function story(name, how, f) {
	test(name, async () => {
		const server = new Double();
		seed(server);
		const h = await host(server, how);
		const tab = await open(browser, h.url, how);
		try {
			if (how.settings)
				await tab.page.addInitScript(s => (localStorage["tiermail.settings"] ??= s), JSON.stringify(how.settings));
			await tab.page.goto(h.url + (how.path || "/"));
			await f({ server, url: h.url, ...tab });
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
const subjects = page => page.$$eval(".row .subject", l => l.map(x => x.textContent));
const row = (page, text) => page.locator(".row", { hasText: text }).first();
const toast = (page, text) => page.locator(".toast", { hasText: text });

story("log in, wrong and right", { loggedIn: false }, async ({ page, shot }) => {
	await page.getByLabel("Address or login").fill("ann");
	await page.getByLabel("Password").fill("guess");
	await shot("login");
	await page.keyboard.press("Enter");
	await page.getByRole("alert").filter({ hasText: "do not fit" }).waitFor();
	await page.getByLabel("Password").fill("secret");
	await page.getByRole("button", { name: "Log in" }).click();
	await row(page, "Room for the spring workshop").waitFor();
	assert.equal(await page.title(), "(2) Inbox · ann@example.org");
});

story("read a conversation: marked read, quotes folded, back by the history", {}, async ({ page, server, shot }) => {
	const colour = text => row(page, text).locator(".time").evaluate(e => getComputedStyle(e).color);
	await row(page, "spring workshop").waitFor();
	assert.notEqual(await colour("spring workshop"), await colour("Measurements"), "what is unread is told apart");
	const lines = await row(page, "spring workshop").evaluate(r => [r, r.querySelector(".subject"), r.querySelector(".preview")].map(e => e.getBoundingClientRect()).map(b => [b.top, b.bottom, b.right]));
	assert.ok(lines[1][1] <= lines[2][0] && lines[2][1] <= lines[0][1] && lines[0][2] - lines[2][2] < 30, `subject, preview below it, both in the row and as wide: ${lines.join("; ")}`);
	await row(page, "spring workshop").click();
	await page.locator("article", { hasText: "Shall I book it" }).waitFor();
	await page.waitForFunction(() => document.title.startsWith("(1)"));
	assert.equal([...server.records.Email.values()].find(e => e.threadId === "tA").keywords.$seen, true);
	await row(page, "Draft of the grant").click();
	await page.locator("article", { hasText: "chapter two" }).waitFor();
	assert.equal(await page.locator(".message.folded").count(), 2);
	assert.equal(await page.locator(".quote").count(), 0);
	await page.getByRole("button", { name: /Show 3 quoted lines/ }).click();
	assert.match(await page.locator(".quote").innerText(), /I read it on the train/);
	await page.getByText("verified sender").waitFor();
	await shot("conversation");
	await page.goBack();
	await page.getByText("No conversation chosen").waitFor();
	await page.goForward();
	await page.locator("article", { hasText: "chapter two" }).waitFor();
});

story("a permalink opens where it was", { path: "/mail/m1/tD" }, async ({ page }) => {
	await page.locator("article", { hasText: "explains the drift" }).waitFor();
	await page.locator(".row.on", { hasText: "Measurements" }).waitFor();
});

story("archive by key, undo, and what the server then has", {}, async ({ page, server }) => {
	await row(page, "spring workshop").waitFor();
	await page.keyboard.press("j");
	await page.keyboard.press("e");
	await toast(page, "Archived 1 conversation").waitFor();
	assert.ok(!(await subjects(page)).includes("Room for the spring workshop"));
	await page.keyboard.press("z");
	await toast(page, "Taken back").waitFor();
	assert.equal(await toast(page, "Archived").count(), 0, "what is undone is not offered to be undone");
	await row(page, "spring workshop").waitFor();
	await page.waitForFunction(() => document.querySelector(".place[data-role=inbox] b")?.textContent === "2");
	const email = () => [...server.records.Email.values()].find(e => e.threadId === "tA");
	for (let n = 0; n < 600 && !email().mailboxIds.m1; n++)
		await page.waitForTimeout(50);
	assert.deepEqual(email().mailboxIds, { m1: true });
});

story("what the server refuses comes back, with words", {}, async ({ page, server }) => {
	await row(page, "spring workshop").waitFor();
	server.refuse = () => ({ type: "forbidden" });
	await page.keyboard.press("j");
	await page.keyboard.press("#");
	await toast(page, "you have no right").waitFor();
	await row(page, "spring workshop").waitFor();
});

story("choose several, by Ctrl and Shift, and move them", {}, async ({ page, server }) => {
	await row(page, "spring workshop").click({ modifiers: ["Control"] });
	await row(page, "Dates of the oral").click({ modifiers: ["Shift"] });
	await page.getByText("5 selected").waitFor();
	await page.getByRole("button", { name: "Move to" }).first().click();
	await page.getByRole("menuitem", { name: "Projects" }).click();
	await toast(page, "Moved 5 conversations to Projects").waitFor();
	await page.waitForFunction(() => !document.querySelector(".row .subject")?.textContent.includes("spring"));
	for (let n = 0; n < 600 && server.result({ filter: { inMailbox: "m7" }, collapseThreads: true }).length < 5; n++)
		await page.waitForTimeout(50);
	assert.equal(server.result({ filter: { inMailbox: "m7" }, collapseThreads: true }).length, 5);
});

story("mail that comes shows by push", {}, async ({ page, server }) => {
	await row(page, "spring workshop").waitFor();
	await page.waitForFunction(() => performance.getEntriesByType("resource").some(r => r.name.includes("eventsource")) || true);
	for (let n = 0; n < 600 && !server.listeners.size; n++)
		await page.waitForTimeout(20);
	server.deliver({ subject: "Fresh from the press", receivedAt: new Date().toISOString() });
	await row(page, "Fresh from the press").waitFor();
	assert.equal((await subjects(page))[0], "Fresh from the press");
});

story("answer, attach, send, undo, send again", { settings: { undoSeconds: 90 } }, async ({ page, server, shot }) => {
	await row(page, "spring workshop").click();
	await page.locator("article").waitFor();
	await page.keyboard.press("r");
	const text = page.locator(".editor-text[data-ready=true]");
	await text.waitFor();
	assert.match(await text.innerText(), /Ann Lee, room 4[^]*Mara Okafor wrote:[^]*Shall I book it/, "the signature above, what is answered below");
	await page.keyboard.type("Please book it. The plan is attached.");
	await page.getByRole("button", { name: "Send", exact: true }).click();
	await page.getByRole("dialog", { name: /attachment/ }).waitFor();
	await page.getByRole("button", { name: "Back to the message" }).click();
	await page.locator("input[type=file]").setInputFiles({ name: "plan.txt", mimeType: "text/plain", buffer: Buffer.from("plan") });
	await page.locator(".files .chip", { hasText: "plan.txt" }).waitFor();
	await shot("compose");
	await page.getByRole("button", { name: "Send", exact: true }).click();
	await toast(page, "Message is sent in 90 s").waitFor();
	assert.equal(server.sent.length, 0);
	await page.getByRole("button", { name: "Undo" }).click();
	await text.waitFor();
	assert.match(await text.innerText(), /Please book it[^]*Mara Okafor wrote/);
	await page.evaluate(() => (localStorage["tiermail.settings"] = JSON.stringify({ undoSeconds: 0 })));
	await page.reload();
	await page.locator(".place[data-role=drafts]").click();
	await row(page, "Re: Room for the spring workshop").click();
	await text.waitFor();
	await page.getByRole("button", { name: "Send", exact: true }).click();
	await toast(page, "Message sent").waitFor();
	const [one] = server.sent;
	assert.equal(server.sent.length, 1);
	assert.deepEqual(one.email.to, [{ name: "Mara Okafor", email: "mara@example.net" }]);
	assert.deepEqual(one.email.inReplyTo, ["e1@x"]);
	assert.equal(one.email.subject, "Re: Room for the spring workshop");
	assert.deepEqual(one.email.attachments.map(a => a.name), ["plan.txt"]);
	assert.deepEqual(server.records.Email.get(one.emailId).mailboxIds, { m3: true });
});

story("recipients are checked before anything goes; autosave", {}, async ({ page, server }) => {
	await row(page, "spring workshop").waitFor();
	await page.keyboard.press("c");
	await page.getByLabel("To", { exact: true }).fill("mar");
	await page.getByRole("option", { name: /Mara Okafor/ }).waitFor();
	await page.keyboard.press("ArrowDown");
	await page.keyboard.press("Enter");
	await page.getByLabel("To", { exact: true }).fill("p.raman@exampl");
	await page.keyboard.press("Enter");
	await page.locator(".chip.bad", { hasText: "p.raman@exampl" }).waitFor();
	await page.getByLabel("Subject").fill("Budget of May");
	await page.getByRole("button", { name: "Send", exact: true }).click();
	await toast(page, "Correct the addresses").waitFor();
	await page.locator(".saved", { hasText: "Saved" }).waitFor({ timeout: 40000 });
	assert.ok([...server.records.Email.values()].some(e => e.subject === "Budget of May" && e.keywords.$draft));
	await page.getByRole("button", { name: "Discard draft" }).click();
	await toast(page, "Draft discarded").waitFor();
});

story("search: words, chips, snippets", {}, async ({ page, shot }) => {
	await row(page, "spring workshop").waitFor();
	await page.keyboard.press("/");
	await page.keyboard.type("from:jon");
	await page.getByRole("option").first().waitFor();
	await page.keyboard.press("Enter");
	await page.locator(".search .chip", { hasText: "from:jon" }).waitFor();
	await page.keyboard.type("chapter");
	await page.keyboard.press("Enter");
	await page.locator(".row mark", { hasText: "chapter" }).first().waitFor();
	await shot("search");
	await page.getByRole("button", { name: "Clear search" }).click();
	await page.locator(".list-head h1", { hasText: "Inbox" }).waitFor();
});

story("100,000 conversations have few nodes", {}, async ({ page, server }) => {
	await row(page, "spring workshop").waitFor();
	const ids = server.result({ filter: { inMailbox: "m1" }, collapseThreads: true });
	const query = server.query.bind(server);
	server.query = args => ({ ...query(args), total: 100000, ids: Array.from({ length: args.limit }, (_, n) => ids[((args.position || 0) + n) % ids.length]) });
	await page.locator(".place[data-role=sent]").click();
	await page.locator(".place[data-role=inbox]").click();
	await page.getByText("100,000 conversations").waitFor();
	for (const at of [500000, 5000000, 7799000]) {
		await page.evaluate(y => (document.querySelector(".rows").scrollTop = y), at);
		await page.waitForFunction(() => document.querySelectorAll(".row .subject").length > 8 && !document.querySelector(".row.skeleton"));
		assert.ok(await page.evaluate(() => document.querySelectorAll("*").length) < 1500);
	}
});

story("offline is said, changes wait and arrive", {}, async ({ page, server }) => {
	await row(page, "spring workshop").waitFor();
	server.away = true;
	await page.keyboard.press("j");
	await page.keyboard.press("s");
	await page.getByText("No connection").waitFor();
	server.away = false;
	await page.getByText("No connection").waitFor({ state: "detached" });
	assert.equal([...server.records.Email.values()].find(e => e.threadId === "tA").keywords.$flagged, true);
});

story("an answer to HTML keeps its looks and loads nothing", {}, async ({ page, server }) => {
	server.deliver({ subject: "Colours", threadId: "tCol", receivedAt: new Date().toISOString(),
		html: '<p style="color: red">Red <b>and bold</b></p><img src="https://evil.test/p.png"><blockquote>older</blockquote>' });
	await row(page, "Colours").click();
	await page.waitForFunction(() => document.querySelector(".mail-frame")?.contentDocument?.body?.textContent.includes("Red"));
	await page.keyboard.press("r");
	const text = page.locator(".editor-text[data-ready=true]");
	await text.waitFor();
	assert.equal(await text.locator("blockquote p").evaluate(p => getComputedStyle(p).color), "rgb(255, 0, 0)");
	assert.equal(await text.locator("img[src]").count(), 0);
	assert.match(await text.innerText(), /older/);
	await page.getByRole("button", { name: "Bold" }).click();
	await page.keyboard.type("mine");
	assert.equal(await text.locator("b", { hasText: "mine" }).count(), 1);
	await page.keyboard.press("Control+z");
	assert.match(await text.innerText(), /Red and bold/);
});

story("what was being written when a tab died is open again in the next", {}, async ({ page, context, url, server }) => {
	await row(page, "spring workshop").waitFor();
	await page.keyboard.press("c");
	await page.locator(".editor-text[data-ready=true]").waitFor();
	await page.getByLabel("Subject").fill("Half a thought");
	await page.waitForFunction(() => Object.keys(localStorage).some(k => k.startsWith("tiermail.draft.")));
	server.fail = name => (name === "Email/set" ? { type: "serverFail" } : undefined);	/* nothing is saved on the way out */
	await page.close();
	server.fail = null;
	const next = await context.newPage();
	await next.goto(url + "/");
	await next.getByRole("region", { name: "Half a thought" }).waitFor();
	await next.locator(".saved", { hasText: "Saved" }).waitFor({ timeout: 40000 });
	assert.ok([...server.records.Email.values()].some(e => e.subject === "Half a thought"));
	assert.equal(await next.evaluate(() => Object.keys(localStorage).filter(k => k.startsWith("tiermail.draft.")).length), 0);
});

story("on a phone: folders over the list, one pane at a time, back", { viewport: { width: 500, height: 850 } }, async ({ page, shot }) => {
	await row(page, "spring workshop").waitFor();
	await page.getByRole("button", { name: "Show folders" }).click();
	await shot("folders-phone");
	await page.locator(".folders-veil").click({ position: { x: 450, y: 600 } });
	await page.getByRole("navigation").waitFor({ state: "hidden" });
	await page.getByRole("button", { name: "Show folders" }).click();
	await page.getByRole("link", { name: /Archive/ }).click();
	await page.locator(".list-head h1", { hasText: "Archive" }).waitFor();
	await page.goBack();
	await row(page, "Draft of the grant").click();
	await page.locator("article", { hasText: "chapter two" }).waitFor();
	assert.equal(await page.locator(".list").isVisible(), false);
	await page.getByRole("button", { name: "Back to the list" }).click();
	await row(page, "spring workshop").waitFor();
	await page.getByRole("button", { name: "New message" }).click();
	await page.locator(".editor-text[data-ready=true]").waitFor();
	const box = await page.locator(".compose").boundingBox();
	assert.deepEqual([box.width, box.height], [500, 850]);
});

story("another password: the old one is asked for, and what is wrong is said", { path: "/settings" }, async ({ page, server, shot, said }) => {
	const put = async (...values) => {
		for (const [n, name] of ["Password now", "New password", "New password again"].entries())
			await page.getByLabel(name, { exact: true }).fill(values[n]);
		await page.getByRole("button", { name: "Change password" }).click();
	};
	const says = text => page.getByRole("alert").filter({ hasText: text }).waitFor();
	await put("secret", "long enough", "long enouhg");
	await says("differ");
	await put("guess", "long enough", "long enough");
	await says("is not right");
	await put("secret", "short", "short");
	await says("does not take");
	await shot("password");
	assert.equal(server.password, undefined);
	await put("secret", "long enough", "long enough");
	await toast(page, "Password changed").waitFor();
	assert.equal(server.password, "long enough");
	assert.deepEqual(said.splice(0).map(s => /status of (\d+)/.exec(s)?.[1] || s), ["403", "422"]);	/* as a browser tells of any answer */
	assert.deepEqual(await page.locator("input[type=password]").evaluateAll(l => l.map(i => i.value)), ["", "", ""]);
});

story("sessions: where one is logged in, and an end to it", { path: "/settings" }, async ({ page, server, shot, said }) => {
	const rows = page.locator(".sessions li");
	await rows.nth(2).waitFor();
	assert.deepEqual(await rows.locator("h3").allInnerTexts(), ["Firefox, Linux this browser", "A program that says no name", "Safari, iPhone"]);
	assert.match(await rows.nth(2).innerText(), /192\.0\.2\.7/);
	assert.equal(await rows.nth(0).getByRole("button").count(), 0);
	await rows.nth(0).scrollIntoViewIfNeeded();
	await shot("sessions");
	await rows.nth(2).getByRole("button", { name: "Log out there" }).click();
	await rows.nth(2).waitFor({ state: "detached" });
	await page.waitForFunction(() => document.activeElement?.textContent === "Where you are logged in");
	assert.deepEqual(server.sessions.map(s => s.id), ["s2", "s3"]);
	server.away = true;
	await page.getByRole("button", { name: "Log out everywhere else" }).click();
	await toast(page, "Nobody could be logged out").waitFor();
	await page.getByRole("alert").filter({ hasText: "does not say where" }).waitFor();
	server.away = false;
	await page.getByRole("button", { name: "Log out everywhere else" }).click();
	await rows.nth(1).waitFor({ state: "detached" });
	assert.deepEqual(server.sessions.map(s => s.id), ["s2"]);
	assert.equal(await page.getByRole("button", { name: "Log out everywhere else" }).count(), 0);
	said.splice(0);	/* 503, as a browser tells of any answer */
});

story("all attachments as one archive", {}, async ({ page, server, said }) => {
	const attachments = [["a.txt", "alpha"], ["a.txt", "beta"], ["../../Zürich\u202e.txt", ""]].map(([name, text], n) =>
		({ ...server.blob(text, "text/plain"), partId: "z" + n, name, disposition: "attachment", cid: null }));
	server.deliver({ subject: "Three: files", threadId: "tZip", hasAttachment: true, attachments, receivedAt: new Date().toISOString() });
	await row(page, "Three: files").click();
	const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save all" }).click()]);
	assert.equal(download.suggestedFilename(), "Three_ files.zip");
	const read = execFileSync("python3", ["-c", "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.testzip()); [print(n, z.read(n).decode()) for n in z.namelist()]", await download.path()], { encoding: "utf8" });
	assert.equal(read, "None\na.txt alpha\na (2).txt beta\n_.._Zürich.txt \n");
	server.blobs.delete(attachments[1].blobId);
	await page.getByRole("button", { name: "Save all" }).click();
	await toast(page, "could not be saved").waitFor();
	assert.deepEqual(said.splice(0).map(s => /status of (\d+)/.exec(s)?.[1] || s), ["404"]);
});

story("leaving a mailing list is a message; the web is not asked, and junk is not answered", {}, async ({ page, server, requests }) => {
	const list = { "header:List-Unsubscribe:asURLs": ["https://evil.test/leave?u=1", "mailto:leave@list.test?subject=leave%20now"], receivedAt: new Date().toISOString() };
	server.deliver({ ...list, subject: "Letter", threadId: "tLetter" });
	server.deliver({ ...list, subject: "Letter of junk", threadId: "tJunk", mailboxIds: { m5: true } });
	server.deliver({ subject: "Web alone", threadId: "tWeb", receivedAt: list.receivedAt, "header:List-Unsubscribe:asURLs": ["https://evil.test/leave"] });
	const items = async name => {
		await row(page, name).click();
		await page.locator("article").getByRole("button", { name: "More" }).click();
		return page.getByRole("menuitem", { name: "Unsubscribe by mail" });
	};
	assert.equal(await (await items("Web alone")).count(), 0);
	await page.keyboard.press("Escape");
	await (await items("Letter")).click();
	await page.locator(".compose .chip", { hasText: "leave@list.test" }).waitFor();
	assert.equal(await page.getByLabel("Subject").inputValue(), "leave now");
	assert.equal(server.sent.length, 0, "whoever reads sends it");
	await page.keyboard.press("Escape");
	await page.locator(".place[data-role=junk]").click();
	assert.equal(await (await items("Letter of junk")).count(), 0);
	assert.ok(!requests.some(u => u.includes("evil.test")));
});

story("the list is as wide as one wants it", {}, async ({ page, url }) => {
	await row(page, "spring workshop").waitFor();
	const width = () => page.locator(".list").evaluate(e => Math.round(e.getBoundingClientRect().width));
	const edge = page.getByRole("separator", { name: "Width of the list" });
	assert.equal(await width(), 392);
	const box = await edge.boundingBox();
	await page.mouse.move(box.x + 4, 300);
	await page.mouse.down();
	await page.mouse.move(box.x + 104, 300, { steps: 4 });
	await page.mouse.up();
	assert.equal(await width(), 492);
	await edge.focus();
	await page.keyboard.press("ArrowLeft");
	assert.equal(await width(), 476);
	await page.goto(url + "/");
	await row(page, "spring workshop").waitFor();
	assert.equal(await width(), 476, "and stays so");
	await edge.dblclick();
	assert.equal(await width(), 392);
	await page.setViewportSize({ width: 900, height: 800 });
	assert.equal(await edge.isVisible(), false);
});
