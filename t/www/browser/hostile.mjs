// Mail of enemies: each of the corpus is read, runs nothing, asks nobody, and the policy of the frame has nothing to
// report, since cleaning has left nothing.  Then each wall alone: what is cleaned, in a page without the frame's
// policy; and the frame's policy, given what nobody has cleaned.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { Double, host } from "../lib/host.mjs";
import { launch, open } from "../lib/browser.mjs";
import { HOSTILE } from "../lib/hostile.mjs";
import { NEWSLETTER } from "../lib/seed.mjs";

let browser, server, h, tab, heard = 0;
/* A policy's refusals look like requests to a debugger: whether anything left the browser is heard here. */
const trap = createServer(socket => {
	heard++;
	socket.destroy();
});
before(async () => {
	await new Promise(ok => trap.listen(0, "127.0.0.1", ok));
	browser = await launch(trap.address().port);
	server = new Double();
	h = await host(server);
	tab = await open(browser, h.url);
});
after(async () => {
	await browser.close();
	h.close();
	trap.close();
});
const elsewhere = list => list.filter(u => /hostile\.test|evil\.test/.test(u));

const AT_ONCE = 8;	/* messages of one conversation, all unread and so all open */

test("each of the corpus is shown, runs nothing and asks nobody", async () => {
	const { page, said, requests } = tab;
	const all = Object.entries(HOSTILE);
	all.forEach(([name, html], n) => server.deliver({ subject: name, html: `<p>before ${name}</p>${html}<p>after</p>`, threadId: "h" + Math.floor(n / AT_ONCE) }));
	await page.goto(h.url + "/");
	await page.locator(".row").first().waitFor();
	for (let n = 0; n < all.length; n += AT_ONCE) {
		const names = all.slice(n, n + AT_ONCE).map(([name]) => name);
		await page.evaluate(path => { history.pushState(null, "", path); dispatchEvent(new PopStateEvent("popstate")); }, `/mail/m1/h${n / AT_ONCE}`);
		await page.waitForFunction(list => {
			const shown = [...document.querySelectorAll(".mail-frame")].map(f => f.contentDocument?.body?.textContent || "");
			return list.every(name => shown.some(s => s.includes("before " + name)));
		}, names);
		await page.waitForTimeout(60);
		assert.equal(await page.evaluate(() => window.ran), undefined, names.join());
		assert.deepEqual(said.splice(0), [], names.join());
	}
	await page.waitForTimeout(200);
	assert.deepEqual(elsewhere(requests), []);
	assert.equal(heard, 0);
	assert.deepEqual(said, []);
	assert.equal(await page.evaluate(() => window.ran), undefined);
});

test("pictures come when the reader wants them, trackers' code still does not run", async () => {
	server.deliver({ subject: "News", html: NEWSLETTER, threadId: "news" });
	const { page, said, requests } = tab;
	await page.route(/(evil|hostile)\.test/, route => route.fulfill({ status: 200, contentType: "image/gif", body: Buffer.from("R0lGODlhAQABAAAAACwAAAAAAQABAAA=", "base64") }));
	await page.evaluate(() => { history.pushState(null, "", "/mail/m1/news"); dispatchEvent(new PopStateEvent("popstate")); });
	await page.getByRole("button", { name: "Show once" }).click();
	await page.waitForFunction(() => document.querySelector(".mail-frame")?.src.endsWith("/pictures.html") &&
	    document.querySelector(".mail-frame").contentDocument.querySelector("img[src*='hall.jpg']"));
	await page.waitForTimeout(100);
	assert.ok(elsewhere(requests).some(u => u.endsWith("/hall.jpg")));
	assert.ok(!elsewhere(requests).some(u => /i\.css|b\.png/.test(u)), "styles ask for nothing in any case");
	const goes = await page.frameLocator(".mail-frame").locator(".tm-goes").innerText();
	assert.match(goes, /phish\.test/);
	assert.deepEqual(said.splice(0).filter(s => !/request: .*evil\.test/.test(s)), []);
});

test("the cleaner alone: nothing to ask for is left", async () => {
	const { page, requests } = tab;
	const before = requests.length;
	const left = await page.evaluate(async corpus => {
		const { clean } = await import(document.querySelector("script[type=module]").src.replace("app.js", "mail/clean.js"));
		await (await import(document.querySelector("script[type=module]").src.replace("app.js", "mail/room.js"))).openRoom();
		return Object.entries(corpus).map(([name, html]) => [name, clean(html, { pictures: false, inline: new Map(), goes: x => x, quoted: "q" }).html]);
	}, HOSTILE);
	for (const [name, html] of left)
		assert.ok(!/hostile\.test\/(?!['"]?>)|<script|\son\w+\s*=|javascript:/i.test(html.replace(/&lt;[^]*?&gt;/g, "").replace(/title="[^"]*"/g, "")), `${name}: ${html.slice(0, 400)}`);
	assert.deepEqual(elsewhere(requests.slice(before)), []);
});

test("what lays mail out stays", async () => {
	const html = await tab.page.evaluate(async () => {
		const { clean } = await import(document.querySelector("script[type=module]").src.replace("app.js", "mail/clean.js"));
		const mail = `<body bgcolor="#ffeeee" style="color: blue"><table width="600" cellpadding="4" border="1" align="center"><tr><td colspan="2" bgcolor="red" valign="top" style="padding: 4px">
			<font color="green" face="Arial" size="2">x</font><img src="https://hostile.test/a.png" width="240" height="120" alt="A hall"><img src="https://hostile.test/p.gif" width="1" height="1"></td></tr></table>`;
		return clean(mail, { pictures: false, inline: new Map(), goes: x => x, quoted: "q" }).html;
	});
	for (const kept of ['width="600"', 'cellpadding="4"', 'colspan="2"', 'bgcolor="red"', 'color="green"', 'face="Arial"', "padding: 4px", 'width="240"', 'alt="A hall"', "color: blue", "background-color: rgb(255, 238, 238)"])
		assert.ok(html.includes(kept), `${kept}: ${html}`);
	assert.equal(html.match(/<img/g).length, 1, "what is there only to be counted is not");
});

test("the frame's policy alone: what nobody has cleaned asks nobody and runs nothing", async () => {
	const { page, said } = tab;
	heard = 0;
	/* Chromium connects ahead to where a frame in the frame would go, before the policy forbids it, and says nothing
	 * there: only the cleaner keeps that from happening. */
	const { iframe, "svg foreignObject": foreign, ...rest } = HOSTILE;
	assert.ok(iframe && foreign);
	await page.evaluate(async corpus => {
		await Promise.all(Object.values(corpus).map(async html => {
			const f = document.createElement("iframe");
			f.setAttribute("sandbox", "allow-same-origin allow-popups allow-popups-to-escape-sandbox");
			f.src = "/sandbox.html";
			document.body.append(f);
			await new Promise(ok => (f.onload = ok));
			f.contentDocument.body.innerHTML = html;
			await new Promise(ok => setTimeout(ok, 300));
			f.remove();
		}));
	}, rest);
	await page.waitForTimeout(200);
	assert.equal(await page.evaluate(() => window.ran), undefined);
	assert.equal(heard, 0);
	/* The trap hears: the same with the policy that lets pictures in. */
	await page.unroute(/(evil|hostile)\.test/);
	await page.evaluate(async () => {
		const f = document.createElement("iframe");
		f.src = "/pictures.html";
		document.body.append(f);
		await new Promise(ok => (f.onload = ok));
		f.contentDocument.body.innerHTML = "<img src='https://hostile.test/yes.png'>";
		await new Promise(ok => setTimeout(ok, 300));
	});
	assert.ok(heard > 0, "the trap is deaf");
	said.length = 0;	/* here the policy may speak: it is what is tried */
});
