// The console as people see it: light and dark, on a phone, in German; axe finds nothing, and no page is wider than its
// window.  Pictures are in build/shots.  Started by t/flow/console_look.t.
import assert from "node:assert/strict";
import { D, U, come, faults, row, step } from "../lib/console.mjs";

for (const [name, how] of [["light", {}], ["dark", { colorScheme: "dark" }], ["phone", { viewport: { width: 390, height: 844 }, hasTouch: true }], ["german", { locale: "de-DE" }], ["middle", { viewport: { width: 1000, height: 800 } }]])
	step(`everybody can use it: ${name}`, async () => {
		const t = await come("admin", how);
		await row(t.page, D).waitFor();
		/* All pages in light and on a phone; elsewhere those that have one of each thing. */
		const few = !["light", "phone"].includes(name);
		for (const [shot, path] of few ? [["users", `/users/${D}?open=user0050@${D}`], ["own", "/own"]] : [["orgs", "/orgs"], ["users", `/users/${D}?open=user0050@${D}`], ["list", `/users/${D}`], ["groups", `/groups/${D}`], ["roles", "/roles"], ["audit", "/audit"], ["jobs", "/jobs"], ["own", "/own"]]) {
			await t.page.goto(U + path);
			await t.page.locator("main[aria-busy=false], [role=grid][aria-busy=false], .detail .acts, table").filter({ visible: true }).first().waitFor();
			await t.page.waitForTimeout(150);
			assert.deepEqual(await faults(t.page), [], path);
			await t.shot(`console-${name}-${shot}`);
			assert.ok(await t.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} is not wider than the window`);
		}
		await t.page.goto(`${U}/users/${D}`);
		await t.page.getByRole("button", { name: how.locale ? "Neuer Benutzer" : "New user" }).click();
		await t.page.getByRole("dialog").waitFor();
		assert.deepEqual(await faults(t.page), [], "a form");
		await t.shot(`console-${name}-form`);
		assert.deepEqual(t.said, []);
		await t.context.close();
	});
