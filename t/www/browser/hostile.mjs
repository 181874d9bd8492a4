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

/** Links, and the host that a reader is told of. */
const LINKS = [
	['<a href="https://evil.test/">https://bank.test/login</a>', "evil.test"],
	['<a href="https://evil.test/">bank.test</a>', "evil.test"],
	['<a href="https://evil.test/">Go to https://bank.test/ now</a>', "evil.test"],
	['<a href="https://evil.test/">www.ba&shy;nk.te&#8203;st</a>', "evil.test"],
	['<a href="https://bank.test@evil.test/">https://bank.test</a>', "evil.test"],
	['<a href="https://b&#1072;nk.test/">https://bank.test</a>', "xn--bnk-6cd.test"],
	['<a href="https://login.bank.test/">bank.test</a>', ""],
	['<a href="https://bank.test/a">our page</a>', ""],
	['<a href="https://bank.test/a">https://www.bank.test/a</a>', ""],
];
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

test("links that lie are told on, however their words are written", async () => {
	const notes = await tab.page.evaluate(async links => {
		const { clean } = await import(document.querySelector("script[type=module]").src.replace("app.js", "mail/clean.js"));
		return links.map(a => /tm-goes">([^<]*)/.exec(clean(a, { pictures: false, inline: new Map(), goes: x => x, quoted: "q" }).html)?.[1] || "");
	}, LINKS.map(([a]) => a));
	assert.deepEqual(notes, LINKS.map(([, says]) => says && ` [${says}]`));
});

test("what is made to take for ever does not: the cleaner, and the text of a message", async () => {
	const slow = await tab.page.evaluate(async ([longest, most]) => {
		const at = name => document.querySelector("script[type=module]").src.replace("app.js", name);
		const { clean } = await import(at("mail/clean.js"));
		const { blocks, links } = await import(at("model/quote.js"));
		const fill = s => s.repeat(longest / s.length);
		const bad = [];
		const time = (name, f) => {
			const begun = performance.now();
			f();
			if (performance.now() - begun > most)
				bad.push(`${name}: ${Math.round(performance.now() - begun)} ms`);
		};
		for (const s of ["<a", "<style", "<style>", "<style></style", "<blockquote>x</blockquote>", "<b on", "<!--", "&lt;", "<svg>", "<x>", "<form>", "<o:p>x</o:p>", "<a href=x>https://", "<p style='a:"])
			time(s, () => clean(fill(s), { pictures: false, inline: new Map(), goes: x => x, quoted: "q" }));
		for (const s of ["a", "a@", "a.", "www.", "http://", "http://a" + ")".repeat(longest - 10), "http://" + ".".repeat(longest - 10) + "x"])
			time("link " + s.slice(0, 10), () => links(fill(s)));
		time("signatures", () => blocks(fill("-- \n") + "> x"));
		return bad;
	}, [200000, 10000]);
	assert.deepEqual(slow, []);
});

test("mail that is as high as its frame and a little more does not grow", async () => {
	const cases = ["<style>html{height:100%} body{height:calc(100% + 40px)}</style><p>grow</p>", "<div style='min-height:calc(100vh + 40px)'>grow</div>",
		"<style>@media (min-height:400px){p{height:90px}} @media (max-height:399px){p{height:900px}}</style><p>grow</p>"];
	const { page, said } = tab;
	for (const [n, html] of cases.entries()) {
		server.deliver({ subject: "Grows " + n, html, threadId: "grow" + n });
		await page.evaluate(path => { history.pushState(null, "", path); dispatchEvent(new PopStateEvent("popstate")); }, "/mail/m1/grow" + n);
		await page.waitForFunction(() => document.querySelector(".mail-frame")?.contentDocument?.body?.textContent.includes("grow"));
		const heights = [];
		for (let k = 0; k < 3; k++) {
			await page.waitForTimeout(500);
			heights.push(await page.locator(".mail-frame").evaluate(f => f.clientHeight));
		}
		assert.equal(heights[1], heights[2], `${html}: ${heights}`);
		assert.ok(heights[2] < 1200, `${html}: ${heights}`);
	}
	assert.deepEqual(said.splice(0), []);
});

test("whatever a field has is text: names, subjects, folders, labels, files, snippets, identities, words of the server", async () => {
	const X = `<img src=x onerror="top.ran=1"><b id=planted>`;
	const own = new Double();
	own.records.Mailbox.get("m7").name = X;
	Object.assign(own.records.Identity.get("i1"), { name: X, textSignature: X });
	own.records.Identity.set("i2", { ...own.records.Identity.get("i1"), id: "i2", email: "two@example.org" });
	own.deliver({ subject: X, from: [{ name: X, email: `"${X}"@x.test` }], to: [{ name: X, email: "ann@example.org" }, { name: X, email: X }], cc: [{ name: X, email: X }], text: `${X}\nhttps://x.test/${X}\n> ${X}\n`,
		threadId: "tX", keywords: { [X]: true }, hasAttachment: true, receivedAt: new Date().toISOString(),
		attachments: [{ partId: "9", blobId: "Bx", name: X, type: X, size: 9, disposition: "attachment", cid: null }] });
	own.snippet = emailId => ({ emailId, subject: X, preview: `<mark>${X}</mark>` });
	const mine = await host(own);
	const { page, said, context } = await open(browser, mine.url);
	const clean = async what => {
		assert.equal(await page.evaluate(() => window.ran), undefined, what);
		assert.equal(await page.locator("#planted, img[src=x]").count(), 0, what);
	};
	await page.goto(mine.url + "/");
	await page.locator(".row").first().click();
	await page.locator("article").waitFor();
	await page.locator("button.details").click();
	await clean("reading");
	await page.keyboard.press("a");
	await page.locator(".editor-text[data-ready=true]").waitFor();
	await clean("answering");
	await page.getByRole("button", { name: "Discard draft" }).click();
	own.refuse = () => ({ type: X, description: X });
	await page.keyboard.press("s");
	await page.locator(".toast", { hasText: "onerror" }).waitFor();
	await page.keyboard.press("v");
	await page.getByRole("menu").waitFor();
	await clean("errors, menus");
	await page.keyboard.press("Escape");
	for (const path of ["/search/" + encodeURIComponent(X), "/label/" + encodeURIComponent(X), "/settings"]) {
		await page.goto(mine.url + path);
		await page.locator(path === "/settings" ? ".card" : ".list-head").first().waitFor();
		await page.waitForTimeout(200);
		await clean(path);
	}
	assert.deepEqual(said, []);
	await context.close();
	mine.close();
});

test("a text of very many lines is shown soon", async () => {
	const { page, said } = tab;
	server.deliver({ subject: "Long", text: "> a\nb\n".repeat(40000), threadId: "tLong" });
	const begun = Date.now();
	await page.goto(h.url + "/mail/m1/tLong");
	await page.locator("article .body.text").waitFor();
	assert.ok(await page.evaluate(() => document.querySelectorAll("*").length) < 30000);
	const lines = () => page.locator("article div.line").count();
	assert.equal(await lines(), 2000);
	await page.getByRole("button", { name: "Show more" }).click();
	await page.waitForFunction(() => document.querySelectorAll("article div.line").length === 4000);
	assert.ok(Date.now() - begun < 15000, `${Date.now() - begun} ms`);
	assert.deepEqual(said.splice(0), []);
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
