// Hosts and their queues in the console, with the daemons behind it: who sees them, what is done there, how it looks.
// Started by t/flow/console_hosts.t, which has stopped lmtpd, so that five messages wait.
import { execFileSync } from "node:child_process";
import assert from "node:assert/strict";
import { D, U, api, come, env, faults, row, step, tab, toast } from "../lib/console.mjs";

const HOST = process.env.CONTROL;
const message = page => page.locator("tr:has(td.tick)");

step("the queue: numbers, channels, destinations, messages", async page => {
	await page.goto(U + "/");
	await page.getByLabel("Address or login").fill("admin");
	await page.getByLabel("Password").fill(env.PASSWORD);
	await page.keyboard.press("Enter");
	await row(page, D).waitFor();
	await page.getByRole("link", { name: "Queue" }).click();
	await message(page).nth(4).waitFor();
	assert.equal(new URL(page.url()).pathname, "/queue");
	for (let n = 0; n < 50 && !await page.locator(".tile", { hasText: "waiting" }).filter({ hasText: "5" }).count(); n++) {
		await page.getByRole("button", { name: "Check again" }).click();	/* until the first tries have failed */
		await page.waitForTimeout(200);
	}
	await page.locator(".tile", { hasText: "waiting" }).filter({ hasText: "5" }).waitFor();
	await page.getByRole("button", { name: "tcp_lmtp" }).first().waitFor();
	await page.getByText("nowhere.hosts.test: It does not answer").waitFor();
	await tab.shot("console-queue");
});

step("words of the address find messages, and what is no word is told", async page => {
	await page.locator(".tile", { hasText: "held" }).click();
	await page.getByText("No message fits this").waitFor();
	assert.match(page.url(), /state(=|%3D)held/);
	await page.locator(".tile", { hasText: "held" }).click();
	await message(page).nth(4).waitFor();
	await page.getByRole("searchbox").fill("subject=x");
	await page.getByText("subject=x: a filter is").waitFor();
	await page.getByRole("searchbox").fill("channel=tcp_lmtp");
	await message(page).nth(4).waitFor();
	await page.reload();
	await message(page).nth(4).waitFor();
	assert.match(page.url(), /tcp_lmtp/);
	await page.getByRole("searchbox").fill("");
	await page.waitForURL(u => !u.search.includes("tcp_lmtp"));
});

step("some are held, seen as held, and released", async page => {
	await message(page).nth(4).waitFor();
	for (const n of [0, 1])
		await message(page).nth(n).getByRole("checkbox").check();
	await page.getByText("2 selected").waitFor();
	await page.getByRole("region", { name: "What was selected" }).getByRole("button", { name: "Hold" }).click();
	await page.getByRole("dialog").getByText("Hold 2 messages?").waitFor();
	await tab.shot("console-queue-hold");
	await page.getByRole("dialog").getByRole("button", { name: "Hold" }).click();
	await toast(page, "2 messages are held");
	await page.getByRole("link", { name: "Held messages" }).click();
	await message(page).nth(1).waitFor();
	assert.equal(await message(page).count(), 2);
	await tab.shot("console-held");
	await page.getByLabel("Select all that are shown").check();
	const bar = page.getByRole("region", { name: "What was selected" });
	assert.equal(await bar.getByRole("button", { name: "Hold" }).count(), 0, "what is held is not held again");
	await bar.getByRole("button", { name: "Release" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Release" }).click();
	await toast(page, "2 messages were released");
	await page.getByText("No message is held").waitFor();
});

step("what this host's certificate does not reach is refused in words", async page => {
	await page.goto(U + "/queue");
	await message(page).first().getByRole("checkbox").check();
	await page.getByRole("region", { name: "What was selected" }).getByRole("button", { name: "Delete" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
	await toast(page, "for the role admin");
	assert.equal(await message(page).count(), 5);
});

step("hosts: daemons, certificates, disks; one that does not answer", async page => {
	await page.getByRole("link", { name: "Hosts" }).click();
	const host = page.locator("section.host", { hasText: HOST });
	await host.getByRole("row", { name: /imapd/ }).getByText("running").waitFor();
	await host.locator("meter").first().waitFor();
	await page.locator("section.host", { hasText: "nowhere.hosts.test" }).getByText("It does not answer").waitFor();
	await tab.shot("console-hosts");
});

step("deliveries: an address is looked for; each message opens to its steps", async page => {
	await page.getByRole("link", { name: "Deliveries" }).click();
	await page.getByText("What became of a message?").waitFor();
	const mail = page.locator("li.mail", { hasText: "outside@sender.test" });
	/* What was released just now is in the queue until it is tried again, which an operator asks for. */
	execFileSync(process.env.CTL, ["-c", process.env.CONF, "retry", `to=${process.env.TRIED}@${D}`]);
	for (let tries = 9; ; tries--) {
		await page.getByRole("searchbox").fill(`${process.env.TRIED}@${D}`);
		await page.keyboard.press("Enter");
		try {
			await mail.getByText("waiting", { exact: true }).waitFor({ timeout: 2000 });
			break;
		} catch (e) {
			if (tries === 0) throw e;
		}
	}
	await mail.getByRole("button", { name: "Fewer details" }).waitFor();
	await mail.locator(".steps li").first().waitFor();
	await tab.shot("console-deliveries");
	assert.match(page.url(), /q=user000/);
	await page.getByRole("searchbox").fill("nobody@else.test");
	await page.getByRole("button", { name: "Search" }).click();
	await page.getByText("Nothing is found for “nobody@else.test”").waitFor();
	await page.goBack();
	await mail.waitFor();
});

step("orgadmin: the deliveries of the own organisation", async () => {
	const t = await come("orgadmin");
	await t.page.getByRole("link", { name: "Deliveries" }).click();
	await t.page.getByRole("searchbox").fill(`user0002@${D}`);
	await t.page.keyboard.press("Enter");
	await t.page.locator("li.mail", { hasText: "outside@sender.test" }).getByText(`user0002@${D}`).first().waitFor();
	assert.ok(!(await t.page.locator("li.mail").first().textContent()).includes("127.0.0.1"), "no machine's address");
	await t.shot("console-deliveries-orgadmin");
	assert.deepEqual(t.said, []);
	await t.context.close();
});

for (const who of ["orgadmin", "user0001"])
	step(`${who}: nothing of it, neither a place nor an answer`, async () => {
		const t = await come(who);
		await t.page.getByRole("link", { name: "My account" }).waitFor();
		assert.equal(await t.page.getByRole("link", { name: /^(Queue|Held messages|Hosts)$/ }).count(), 0);
		assert.equal((await api(t.page, "POST", `queues/${HOST}/hold`, { names: ["all=1"] })).status, 403);
		for (const place of ["queue", "held", "hosts"]) {
			await t.page.goto(`${U}/${place}`);
			await t.page.getByRole("alert").waitFor();
		}
		await t.shot(`console-hosts-${who}`);
		await t.context.close();
	});

for (const [name, how] of [["light", {}], ["dark", { colorScheme: "dark" }], ["phone", { viewport: { width: 390, height: 844 }, hasTouch: true }], ["german", { locale: "de-DE" }]])
	step(`everybody can use it: ${name}`, async () => {
		const t = await come("admin", how);
		await row(t.page, D).waitFor();
		for (const path of ["/queue", "/held", "/hosts", "/deliveries?q=from%3Doutside%40sender.test"]) {
			await t.page.goto(U + path);
			await t.page.locator("main[aria-busy=false]").waitFor();
			await t.page.waitForTimeout(150);
			assert.deepEqual(await faults(t.page), [], path);
			await t.shot(`console-${name}-${path.slice(1).split("?")[0]}`);
			assert.ok(await t.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} is not wider than the window`);
		}
		assert.deepEqual(t.said, []);
		await t.context.close();
	});
