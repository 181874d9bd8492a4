// The console in front of admind and slapd, both real: each story, as each role.  Started by t/flow/console.t,
// which says by SANDBOX where the sandbox is.  A step also fails when a page has said anything.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { D, NASTY, U, api, come, env, row, step, tab, toast } from "../lib/console.mjs";
import { need } from "../lib/need.mjs";

step("log in: wrong, then right", async page => {
	await page.goto(U + "/");
	await page.getByLabel("Address or login").fill("admin");
	await page.getByLabel("Password").fill("not this");
	await page.keyboard.press("Enter");
	await page.getByRole("alert").waitFor();
	await tab.shot("console-login");
	await page.getByLabel("Password").fill(env.PASSWORD);
	await page.keyboard.press("Enter");
	await row(page, D).waitFor();
	assert.equal(new URL(page.url()).pathname, "/orgs");
});

step("an organisation is made", async page => {
	await page.getByRole("button", { name: "New organisation" }).click();
	await page.getByLabel("Domain", { exact: true }).fill("north.test");
	await page.getByLabel("Users at most").fill("50");
	await page.getByRole("button", { name: "Create" }).click();
	await toast(page, "north.test was made");
	await page.locator(".detail", { hasText: "50" }).waitFor();
	await tab.shot("console-orgs");
	await page.locator(".detail").getByRole("button", { name: "Users", exact: true }).click();
	await page.getByText("There are no users yet").waitFor();
});

step("users: a list of any length, found as one types, sorted by the server", async page => {
	await page.goto(`${U}/users/${D}`);
	await row(page, "user0001").waitFor();
	const nodes = await page.locator(".rows .entry").count();
	assert.ok(nodes < 60, `${nodes} rows are on the page`);
	await page.getByRole("button", { name: "Login" }).click();
	await page.getByRole("button", { name: "Login" }).click();
	await page.waitForURL(/sort=-user/);
	await page.locator(".rows .entry").first().filter({ hasNotText: "user0001" }).waitFor();
	const box = page.locator(".rows");
	for (let n = 0; n < 20 && !await page.locator(".count", { hasText: /^\d+ entries$/ }).count(); n++) {
		await box.evaluate(b => { b.scrollTop = b.scrollHeight; });
		await page.waitForTimeout(100);
	}
	await box.evaluate(b => { b.scrollTop = b.scrollHeight; });
	await row(page, "admin").waitFor();
	await page.getByRole("searchbox").fill("user0042");
	await row(page, "user0042").waitFor();
	await page.locator(".count", { hasText: "1 entry" }).waitFor();
	assert.match(page.url(), /q=user0042/);
	await page.reload();
	await row(page, "user0042").waitFor();
	await page.getByRole("searchbox").fill("no such");
	await page.getByText("Nothing is found for “no such”").waitFor();
});

step("a user is made, changed, suspended and brought back", async page => {
	await page.goto(`${U}/users/${D}`);
	await page.getByRole("button", { name: "New user" }).click();
	await page.getByLabel("Login", { exact: true }).fill("mara");
	await page.getByLabel("Name", { exact: true }).fill("Mara Okafor");
	await page.getByLabel("Space").fill("2G");
	await page.getByLabel("Other names").fill(`m.okafor@${D}\nmo@${D}`);
	await page.getByRole("button", { name: "Create" }).click();
	const detail = page.locator(".detail", { hasText: "Mara Okafor" });
	await detail.getByText(`m.okafor@${D}`).waitFor();
	await detail.getByText("2 GB").waitFor();
	await page.getByRole("button", { name: "Edit: Mailbox" }).click();
	await page.getByLabel("Space").fill("nonsense");
	await page.getByRole("button", { name: "Save" }).click();
	await page.locator(".layer .wrong").waitFor();
	await page.getByLabel("Space").fill("3G");
	await page.getByRole("button", { name: "Save" }).click();
	await detail.getByText("3 GB").waitFor();
	await tab.shot("console-user");
	await detail.getByRole("button", { name: "Suspend" }).click();
	await detail.getByText("suspended").waitFor();
	await page.locator(".toast", { hasText: "is suspended" }).getByRole("button", { name: "Undo" }).click();
	await detail.locator(".state.active").waitFor();
	await detail.getByRole("button", { name: "Delete" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
	await detail.locator(".state.deleted").waitFor();
	await detail.getByRole("button", { name: "Bring back" }).click();
	await detail.locator(".state.active").waitFor();
	await detail.getByRole("button", { name: "Reset password" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Reset password" }).click();
	assert.ok((await page.locator("output.secret").textContent()).length >= 8, "one is made");
	await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
	const data = page.waitForEvent("download");
	await detail.getByRole("button", { name: "Export data" }).click();
	assert.match(readFileSync(await (await data).path(), "utf8"), /"kind":"entry".*Mara Okafor/);
	await detail.getByRole("button", { name: "Rename" }).click();
	await page.getByRole("dialog").getByLabel("Login").fill("mara.o");
	await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
	await page.locator(".detail small", { hasText: `mara.o@${D}` }).waitFor();
	await page.keyboard.press("Escape");
});

step("two tabs in conflict: told in words, nothing is lost", async page => {
	await page.goto(`${U}/users/${D}?open=user0007@${D}`);
	await page.getByRole("button", { name: "Edit: Account" }).click();
	await page.getByLabel("Telephone").fill("+49 30 1");
	assert.equal((await api(page, "PATCH", `users/user0007@${D}`, { description: "the other tab" })).status, 200);
	await page.getByRole("button", { name: "Save" }).click();
	await page.getByText("Somebody else has changed this").waitFor();
	await page.locator(".conflict", { hasText: "the other tab" }).waitFor();
	await tab.shot("console-conflict");
	await page.getByRole("button", { name: "Go on with theirs" }).click();
	await page.getByRole("button", { name: "Save" }).click();
	await page.locator(".detail", { hasText: "+49 30 1" }).getByText("the other tab").waitFor();
});

step("several at once, seen before they are done", async page => {
	await page.goto(`${U}/users/${D}?q=user001`);
	await row(page, "user0011").getByRole("checkbox").click();
	await row(page, "user0014").getByRole("checkbox").click({ modifiers: ["Shift"] });
	await page.getByText("4 selected").waitFor();
	await page.getByRole("region", { name: "What was selected" }).getByRole("button", { name: "Suspend" }).click();
	await page.getByText("4 would change").waitFor();
	await page.locator(".results", { hasText: "inetUserStatus" }).waitFor();
	assert.equal((await api(page, "GET", `users/user0012@${D}`)).login, "active", "nothing has changed yet");
	await tab.shot("console-several");
	await page.getByRole("button", { name: "Do it" }).click();
	await page.getByText("4 done").waitFor();
	await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
	await row(page, "user0012").getByText("suspended").waitFor();
});

step("a table is imported: tried first, what is wrong is told by line, again it does only the rest", async page => {
	const text = `user,name,alias,quota\r\nimp1@${D},"Lee, Ann",i1@${D},1G\r\nimp2@${D},Bo,"i2@${D}\ni3@${D}",none\r\nimp3@${D},Cy,user0001@${D},1G\r\n`;
	const take = async () => {
		await page.goto(`${U}/users/${D}`);
		await page.getByRole("button", { name: "More" }).click();
		await page.getByRole("menuitem", { name: "Import a table" }).click();
		await page.getByLabel("File").setInputFiles({ name: "a.csv", mimeType: "text/csv", buffer: Buffer.from(text) });
	};
	await take();
	await page.getByText("2 would change").waitFor();
	assert.equal((await api(page, "GET", `users?org=${D}&q=imp1`)).records.length, 0, "nothing is made yet");
	await tab.shot("console-import");
	await page.getByRole("button", { name: "Import 2 rows" }).click();
	await page.getByText("2 done").waitFor();
	const two = await api(page, "GET", `users/imp2@${D}`);
	assert.deepEqual([two.alias.sort(), two.name], [[`i2@${D}`, `i3@${D}`], "Bo"]);
	assert.equal((await api(page, "GET", `users/imp1@${D}`)).name, "Lee, Ann");
	await page.locator(".results li", { hasText: `imp3@${D}` }).filter({ hasText: "Line 5" }).filter({ hasText: "user0001" }).waitFor();
	await take();
	await page.getByText("2 were there already").waitFor();
	await page.keyboard.press("Escape");
	const [file] = await Promise.all([page.waitForEvent("download"), (async () => {
		await page.getByRole("button", { name: "More" }).click();
		await page.getByRole("menuitem", { name: "Export as a table" }).click();
	})()]);
	const saved = readFileSync(await file.path(), "utf8");
	assert.match(saved, new RegExp(`imp1@${D},"Lee, Ann"`));
	assert.ok(saved.split("\r\n").length > 60, "all pages");
});

step("groups: members, owners, policies", async page => {
	await page.goto(`${U}/groups/${D}`);
	await page.getByRole("button", { name: "New group" }).click();
	await page.getByLabel("Address", { exact: true }).fill("staff");
	await page.getByLabel("Members", { exact: true }).fill(`user0001@${D}\nuser0002@${D}`);
	await page.getByRole("button", { name: "Create" }).click();
	await page.locator(".detail").getByText(`user0002@${D}`).waitFor();
	await page.getByRole("button", { name: "Edit: Who may send" }).click();
	await page.getByLabel("Allowed domains").fill("*." + D);
	await page.getByRole("button", { name: "Save" }).click();
	await page.locator(".detail").getByText("*." + D).waitFor();
	await tab.shot("console-groups");
});

step("packages are allocated by number, and assigned", async page => {
	await page.goto(`${U}/packages`);
	await page.getByRole("button", { name: "New package" }).click();
	await page.getByLabel("Name", { exact: true }).fill("gold");
	await page.getByLabel("Space").fill("5G");
	await page.getByRole("button", { name: "Create" }).click();
	await page.locator(".detail").getByText("5 GB").waitFor();
	await page.goto(`${U}/orgs?open=${D}`);
	await page.getByRole("button", { name: "Edit: Service packages" }).click();
	await page.getByLabel("Service package", { exact: true }).fill("gold:1");
	await page.getByRole("button", { name: "Save" }).click();
	await page.locator(".detail").getByText(/gold.1/).waitFor();
	const give = async who => {
		await page.goto(`${U}/users/${D}?open=${who}@${D}`);
		await page.getByRole("button", { name: "Edit: Mailbox" }).click();
		await page.getByLabel("Service package").locator("option", { hasText: "gold" }).waitFor({ state: "attached" });
		await page.getByLabel("Service package").selectOption("gold");
		await page.getByRole("button", { name: "Save" }).click();
	};
	await give("user0020");
	await page.locator(".detail").getByText("5 GB").waitFor();
	await give("user0021");
	await page.locator(".layer .wrong").waitFor();
	await page.keyboard.press("Escape");
});

step("roles are given and taken, and the log tells all of it", async page => {
	await page.goto(`${U}/roles`);
	await page.getByRole("button", { name: "Give a role" }).click();
	await page.getByLabel("Person").fill(`user0030@${D}`);
	await page.getByRole("dialog").getByRole("button", { name: "Give a role" }).click();
	await page.getByRole("cell", { name: `user0030@${D}`, exact: true }).waitFor();
	await tab.shot("console-roles");
	await page.goto(`${U}/audit?q=mara`);
	await page.getByText("user rename").first().waitFor();
	await tab.shot("console-audit");
	await page.goto(`${U}/check/${D}`);
	await page.locator("main[aria-busy=false]").waitFor();
	await tab.shot("console-check");
});

step("a table becomes a job, whose report is shown", async page => {
	await page.goto(`${U}/users/${D}`);
	assert.equal((await api(page, "POST", "jobs", { names: ["import", D], text: `user,name\nlong1@${D},Long One\nuser0001@${D},There\nlong2@no-such.test,Nobody\n` })).status, 201);
	await page.goto(`${U}/jobs`);
	await page.getByRole("cell", { name: /Done.*3 of 3.*1 rows have failed/ }).waitFor();
	await tab.shot("console-jobs");
	await page.getByRole("button", { name: /^Report: import/ }).click();
	await page.getByRole("dialog").getByRole("cell", { name: `long1@${D}` }).waitFor();
	await page.getByLabel("Failed rows only").check();
	await page.getByRole("dialog").getByRole("cell", { name: `long1@${D}` }).waitFor({ state: "detached" });
	await page.getByRole("dialog").getByRole("cell", { name: "long2@no-such.test" }).first().waitFor();
	await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
	await page.getByRole("button", { name: /^Remove: import/ }).click();
	await page.getByText("There are no jobs.").waitFor();
});

step("what people are called is text, wherever it stands", async page => {
	const made = await api(page, "POST", "users", { names: [`evil@${D}`], name: NASTY, given: NASTY, surname: NASTY, description: NASTY, phone: ["<b>1</b>"],
		vacation: NASTY, "vacation-internal": NASTY, "vacation-subject": NASTY, language: "<i>" });
	assert.ok([201, 400].includes(made.status), JSON.stringify(made));
	if (made.status === 400)	/* a language, a telephone: no markup there */
		assert.equal((await api(page, "POST", "users", { names: [`evil@${D}`], name: NASTY, given: NASTY, surname: NASTY, description: NASTY, vacation: NASTY, "vacation-internal": NASTY, "vacation-subject": NASTY })).status, 201);
	assert.equal((await api(page, "POST", "groups", { names: [`evillist@${D}`], description: NASTY, prefix: NASTY, suffix: NASTY, "reject-text": NASTY, member: [`evil@${D}`] })).status, 201);
	assert.equal((await api(page, "PATCH", "orgs/north.test", { description: NASTY })).status, 200);
	for (const path of [`users/${D}?q=evil&open=evil@${D}`, `groups/${D}?q=evil&open=evillist@${D}`, "orgs?open=north.test", "audit?q=evil", `users/${D}?q=${encodeURIComponent(NASTY)}`, `check/${D}`]) {
		await page.goto(`${U}/${path}`);
		await page.locator("main").filter({ hasText: "onerror" }).or(page.locator("main[aria-busy=false]")).or(page.locator(".detail")).first().waitFor();
		await page.waitForTimeout(200);
		assert.equal(await page.evaluate("window.hurt"), undefined, path);
		assert.equal(await page.locator("#app img[src=x], #app script, #app b:text-is('1')").count(), 0, path);
	}
	await page.goto(`${U}/users/${D}?q=evil&open=evil@${D}`);
	await page.locator(".detail", { hasText: "onerror" }).waitFor();
	await page.getByRole("button", { name: "Edit: Absence" }).click();
	assert.equal(await page.getByLabel("Answer to others").inputValue(), NASTY);
	await page.keyboard.press("Escape");
});

step("the administrator of an organisation sees nothing of others, and what is allowed alone", async () => {
	const own = await come("orgadmin");
	const { page } = own;
	await row(page, "user0001").waitFor();
	assert.equal(new URL(page.url()).pathname, `/users/${D}`);
	const places = await page.locator(".sidebar .place").allTextContents();
	assert.deepEqual(places, ["Users", "Groups and lists", "Service packages", "Deliveries", "Administrators", "Checks", "Jobs", "Audit", "My account"]);
	for (const path of ["orgs?org=", "users?org=north.test", "orgs/north.test", `audit?org=north.test`, "audit", "roles", "providers", `check?org=north.test`, "users/x@north.test"]) {
		const said = await api(page, "GET", path);
		const text = JSON.stringify(said.records || said.detail).replaceAll("x@north.test", "").replaceAll(/north\.test: /g, "");
		assert.ok(!/north/.test(text) && !(said.records || []).some(r => r.org && r.org !== D), `${path}: ${text}`);
		if (/north/.test(path))
			assert.equal(said.status, 404, path);
	}
	const missing = await api(page, "GET", "users/x@no-such.test"), hidden = await api(page, "GET", "users/x@north.test");
	assert.equal(hidden.detail.replace("north.test", "no-such.test"), missing.detail, "what is there and what is not look the same");
	await page.goto(`${U}/users/${D}?open=user0050@${D}`);
	await page.getByRole("button", { name: "Edit: Mailbox" }).click();
	assert.equal(await page.getByLabel("Host").count(), 0, "another store is not theirs to choose");
	await page.getByLabel("Space").fill("1G");
	await page.getByRole("button", { name: "Save" }).click();
	await page.locator(".detail").getByText("1 GB").waitFor();
	await page.goto(`${U}/audit?q=user0050`);
	await page.getByText("orgadmin").first().waitFor();
	await page.goto(`${U}/users/north.test`);
	await page.getByRole("alert").waitFor();
	await own.shot("console-elsewhere");
	assert.deepEqual(own.said, []);
	await own.context.close();
});

step("the help desk gives passwords, and nothing else", async page => {
	assert.equal((await api(page, "POST", "roles/helpdesk/grant", { names: [`user0031@${D}`] })).status, 200);
	const desk = await come("user0031", {}, `/users/${D}?open=user0051@${D}`);
	await desk.page.locator(".detail .acts").waitFor();
	assert.deepEqual(await desk.page.locator(".detail .acts button").allTextContents(), ["Reset password"]);
	assert.equal(await desk.page.getByRole("button", { name: "New user" }).count(), 0);
	assert.equal(await desk.page.getByRole("button", { name: "Edit" }).count(), 0);
	await desk.page.getByRole("button", { name: "Reset password" }).click();
	await desk.page.getByRole("dialog").getByRole("button", { name: "Reset password" }).click();
	await desk.page.locator("output.secret").waitFor();
	assert.deepEqual(desk.said, []);
	await desk.context.close();
});

step("somebody without a role has an account: absence inside and outside, the password", async page => {
	const own = await come("user0060");
	await own.page.getByRole("heading", { name: "My account" }).waitFor();
	assert.deepEqual(await own.page.locator(".sidebar .place").allTextContents(), ["My account"]);
	await own.page.getByLabel("Answer to others").fill("I am away.");
	await own.page.getByLabel("Answer inside the organisation").fill("I am on leave until May.");
	await own.page.getByLabel("From").fill("2027-04-01");
	await own.page.getByLabel("Until").fill("2027-04-30");
	await own.page.getByLabel("I am away").check();
	await own.page.getByRole("button", { name: "Save" }).first().click();
	await toast(own.page, "Saved");
	const now = await api(page, "GET", `users/user0060@${D}`);
	assert.deepEqual([now.vacation, now["vacation-internal"], now["vacation-end"].slice(0, 12)], ["I am away.", "I am on leave until May.", "202704302359"]);
	assert.deepEqual(now.delivery.sort(), ["autoreply", "mailbox"]);
	await own.page.getByLabel("Forward my mail").check();
	await own.page.getByRole("button", { name: "Save" }).nth(1).click();
	await own.page.getByText("Say where the mail is to go").waitFor();
	await own.page.getByLabel("Forwarded to").fill("me@else.test");
	await own.page.getByRole("button", { name: "Save" }).nth(1).click();
	await own.page.locator("main[aria-busy=false]").waitFor();
	await own.page.waitForFunction(async u => (await (await fetch("/api/v1/users/" + u)).json()).delivery.includes("forward"), `user0060@${D}`);
	await own.page.getByLabel("I am away").uncheck();
	await own.page.getByRole("button", { name: "Save" }).first().click();
	await own.page.waitForFunction(async u => (await (await fetch("/api/v1/users/" + u)).json()).delivery.sort().join() === "forward,mailbox", `user0060@${D}`);
	for (const [path, body] of [[`users/user0061@${D}`, { vacation: "x" }], [`users/user0060@${D}`, { quota: "1T" }], [`users/user0060@${D}`, { mail: `boss@${D}` }]]) {
		const { status } = await api(own.page, "PATCH", path, body);
		assert.ok([403, 404].includes(status), `${path}: ${status}`);
	}
	await own.page.getByLabel("Old password").fill("wrong");
	await own.page.getByLabel("New password").fill("correct horse 9");
	await own.page.getByLabel("Again").fill("correct horse 9");
	await own.page.getByRole("button", { name: "Change password" }).click();
	await own.page.getByText("The old password is wrong").waitFor();
	await own.page.getByLabel("Old password").fill(env.PASSWORD);
	await own.page.getByRole("button", { name: "Change password" }).click();
	await toast(own.page, "Your password was changed");
	await own.shot("console-own");
	assert.deepEqual(own.said, []);
	await own.context.close();
});

step("a session that ends is asked for again over the page, and another person begins anew", async () => {
	const own = await come("orgadmin", {}, `/users/${D}?open=user0052@${D}`);
	const { page } = own;
	await page.getByRole("button", { name: "Edit: Account" }).click();
	await page.getByLabel("Description").fill("typed before");
	await own.context.clearCookies();
	/* The page may have asked for something else in between, and know already. */
	await page.getByRole("button", { name: "Save" }).click({ timeout: 3000 }).catch(() => {});
	const again = page.getByRole("dialog", { name: "Log in" });
	await again.waitFor();
	await own.shot("console-ended");
	await again.getByLabel("Password").fill(env.PASSWORD);
	await again.getByRole("button", { name: "Log in" }).click();
	await again.waitFor({ state: "detached" });
	assert.equal(await page.getByLabel("Description").inputValue(), "typed before");
	await page.getByRole("button", { name: "Save" }).click();
	await page.locator(".detail").getByText("typed before").waitFor();
	await page.getByRole("button", { name: "Log out" }).click();
	await page.getByLabel("Address or login").waitFor();
	assert.equal((await own.context.cookies()).filter(c => c.name.includes("tiermail")).length, 0);
	await page.goBack().catch(() => {});
	await page.waitForTimeout(300);
	assert.equal(await page.getByText("typed before").count(), 0);
	assert.deepEqual(own.said, []);
	await own.context.close();
});

step("somebody goes to another organisation", async page => {
	await page.goto(`${U}/users/${D}?open=user0080@${D}`);
	await page.getByRole("button", { name: "Move to another organisation" }).click();
	await page.getByRole("dialog").getByLabel("Organisation").fill("north.test");
	await page.getByRole("dialog").getByRole("button", { name: "Move to another organisation" }).click();
	await page.locator(".detail small", { hasText: "user0080@north.test" }).waitFor();
	assert.equal(new URL(page.url()).pathname, "/users/north.test");
	await page.keyboard.press("Escape");
});

/** RFC 6238 by another hand than lib/login's. */
function totp(secret, step) {
	const bits = [...secret].map(c => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
	const key = Buffer.from(bits.match(/.{8}/g).map(b => parseInt(b, 2)));
	const count = Buffer.alloc(8);
	count.writeBigUInt64BE(BigInt(step));
	const mac = createHmac("sha1", key).update(count).digest();
	return String((mac.readUInt32BE(mac[mac.length - 1] & 15) & 0x7fffffff) % 1e6).padStart(6, "0");
}

step("a second factor is set up, asked for in a second step, and application passwords beside it", async () => {
	const own = await come("user0090");
	const { page } = own;
	await page.getByRole("button", { name: "Set up a second factor" }).click();
	const secret = (await page.locator("output.secret").textContent()).replace(/\s/g, "");
	/* What a camera sees is the key: the modules of the picture, read by jsQR. */
	await own.shot("console-qr");
	const seen = await page.getByRole("img", { name: "The key as a picture" }).evaluate(svg => ({ n: svg.viewBox.baseVal.width, path: svg.querySelector("path").getAttribute("d") }));
	const size = seen.n * 4, pixels = new Uint8ClampedArray(size * size * 4).fill(255);
	for (const [, x, y] of seen.path.matchAll(/M(\d+),(\d+)h1v1h-1z/g))
		for (let i = 0; i < 16; i++)
			pixels.fill(0, ((y * 4 + (i >> 2)) * size + x * 4 + i % 4) * 4, ((y * 4 + (i >> 2)) * size + x * 4 + i % 4) * 4 + 3);
	const read = need("jsqr")(pixels, size, size);
	assert.equal(new URL(read.data).searchParams.get("secret"), secret);
	await page.getByLabel("Code").fill("000000");
	await page.getByRole("button", { name: "Turn it on" }).click();
	await page.locator("section .wrong").waitFor();
	const first = Math.floor(Date.now() / 30000);
	await page.getByLabel("Code").fill(totp(secret, first));
	await page.getByRole("button", { name: "Turn it on" }).click();
	await page.locator(".codes li").first().waitFor();
	const codes = await page.locator(".codes code").allTextContents();
	assert.equal(codes.length, 10);
	await own.shot("console-factor");
	await page.getByLabel("What it is for").fill("old phone <b>");
	await page.getByLabel("IMAP").check();
	await page.getByRole("button", { name: "Make one" }).click();
	await page.locator(".apps li", { hasText: "old phone <b>" }).filter({ hasText: "imap" }).waitFor();
	await page.getByRole("button", { name: "Take away: old phone" }).click();
	await page.locator(".apps li").waitFor({ state: "detached" });
	await page.getByRole("button", { name: "Log out" }).click();
	await page.getByLabel("Address or login").fill("user0090");
	await page.getByLabel("Password").fill(env.PASSWORD);
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { name: "Second step" }).waitFor();
	await page.getByLabel("Code").fill("123456");
	await page.keyboard.press("Enter");
	await page.getByRole("alert").waitFor();
	await own.shot("console-second");
	await page.getByLabel("Code").fill(codes[0]);
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { name: "My account" }).waitFor();
	await page.getByText("9 recovery codes").waitFor();
	assert.equal((await api(page, "GET", "me")).by, "code", "the session knows that it was given");
	await page.getByRole("button", { name: "Turn off" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Turn off" }).click();
	await page.getByRole("button", { name: "Set up a second factor" }).waitFor();
	assert.deepEqual(own.said, []);
	await own.context.close();
});

step("requests of other sites come to nothing", async page => {
	const cookie = (await tab.context.cookies()).find(c => c.name === "__Host-tiermail-admin");
	assert.deepEqual([cookie.httpOnly, cookie.secure, cookie.sameSite, cookie.path], [true, true, "Strict", "/"]);
	const ask = (headers, path = `/api/v1/users/user0070@${D}/suspend`, data = "{}") => tab.context.request.post(U + path, { headers: { "Content-Type": "application/json", Cookie: `${cookie.name}=${cookie.value}`, ...headers }, data });
	for (const headers of [{ Origin: "https://evil.test" }, { "Sec-Fetch-Site": "cross-site" }, { "Sec-Fetch-Site": "same-site", Origin: U }, { Origin: "null" }, {}])
		assert.equal((await ask(headers)).status(), 403, JSON.stringify(headers));
	assert.equal((await ask({ Origin: U, "Sec-Fetch-Site": "same-origin", "Content-Type": "text/plain" })).status(), 415);
	for (const path of ["/login", "/logout", "/password"])
		assert.equal((await ask({ Origin: "https://evil.test", "Sec-Fetch-Site": "cross-site" }, path, JSON.stringify({ user: "admin", password: env.PASSWORD }))).status(), 403, path);
	assert.equal((await api(page, "GET", `users/user0070@${D}`)).login, "active");
	assert.equal((await ask({ Origin: U, "Sec-Fetch-Site": "same-origin" }, `/api/v1/users/user0070@${D}/suspend`)).status(), 200, "of our own they do");
	assert.equal((await ask({ Origin: U, "Sec-Fetch-Site": "same-origin", Cookie: "__Host-tiermail-admin=AAAA" })).status(), 401);
	const h = (await tab.context.request.get(U + "/")).headers();
	for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "require-trusted-types-for 'script'", "trusted-types 'none'", "frame-ancestors 'none'"])
		assert.ok(h["content-security-policy"].includes(rule), rule);
	assert.ok(!/unsafe|\*|data:/.test(h["content-security-policy"]));
	assert.equal((await tab.context.request.get(U + "/a-000000000000/none.js")).status(), 404);
});
