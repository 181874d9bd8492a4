// Filters as people make them, in a real browser, against a server in memory: what is stored is Sieve, and scripts of
// others stay.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { Double, host } from "../lib/host.mjs";
import { launch, open } from "../lib/browser.mjs";
import { seed } from "../lib/seed.mjs";
import { parse } from "../../../cmd/memd/www/model/filters.js";

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

function story(name, how, f) {
	test(name, async () => {
		const server = new Double();
		seed(server);
		how.before?.(server);
		const h = await host(server, how);
		const tab = await open(browser, h.url, how);
		const scripts = () => Object.fromEntries([...server.records.SieveScript.values()].map(s => [s.name, { on: s.isActive, text: server.blobs.get(s.blobId).bytes.toString() }]));
		try {
			if (how.settings)
				await tab.page.addInitScript(s => (localStorage["tiermail.settings"] ??= s), JSON.stringify(how.settings));
			await tab.page.goto(h.url + "/settings");
			await f({ server, scripts, box: tab.page.locator("section.filters"), ...tab });
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

story("a filter is made, changed, moved, switched off, removed", {}, async ({ page, box, scripts, shot }) => {
	await box.getByText("There is no filter yet").waitFor();
	await box.getByRole("button", { name: "New filter" }).click();
	await box.getByRole("button", { name: "Save" }).click();
	await box.getByRole("alert").filter({ hasText: "Give the filter a name" }).waitFor();
	await box.getByLabel("Name of the filter").fill("Lists");
	await box.getByLabel("Condition 1: where").selectOption("list");
	await box.getByLabel("Condition 1: what").fill("dev.example.org");
	await box.getByRole("button", { name: "Add a condition" }).click();
	await box.getByLabel("Condition 2: where").selectOption("size");
	await box.getByLabel("Condition 2: what").fill("5m");
	await box.getByLabel("Folder", { exact: true }).selectOption({ label: "Projects" });
	await box.getByLabel("Mark as read").check();
	await shot("filter-new");
	await box.getByRole("button", { name: "Save" }).click();
	await box.getByText("Mailing list contains “dev.example.org” and larger than 5M: move to Projects, mark as read").waitFor();
	assert.equal(scripts().Filters.on, true, "it acts at once");
	assert.match(scripts().Filters.text, /addflag "\\\\Seen";\r\n\tfileinto :mailboxid "m7" "Projects";\r\n\tstop;/);

	await box.getByRole("button", { name: "New filter" }).click();
	await box.getByLabel("Name of the filter").fill("Boss");
	await box.getByLabel("Condition 1: what").fill("boss@example.org");
	await box.getByLabel("Condition 1: how").selectOption("is");
	await box.getByLabel("Move to a folder").uncheck();
	await box.getByLabel("Flag").check();
	await box.getByLabel("Forward a copy").check();
	await box.getByLabel("Address").fill("nobody");
	await box.getByRole("button", { name: "Save" }).click();
	await box.getByRole("alert").filter({ hasText: "is not one" }).waitFor();
	await box.getByLabel("Address").fill("me@elsewhere.example");
	await box.getByRole("button", { name: "Save" }).click();
	await box.getByText("From is “boss@example.org”: flag, forward to me@elsewhere.example").waitFor();
	await shot("filters");
	await box.getByRole("button", { name: "Move Boss up" }).click();
	await page.waitForFunction(() => document.querySelector(".filter b").textContent === "Boss");
	assert.deepEqual(parse(scripts().Filters.text).map(r => r.name), ["Boss", "Lists"]);

	await box.getByRole("checkbox", { name: "Lists" }).click();
	await page.locator(".toast", { hasText: "Saved" }).last().waitFor();
	await assert.doesNotReject(async () => {
		for (let n = 0; parse(scripts().Filters.text)[1].on; n++) {
			if (n > 100)
				throw new Error("still on");
			await page.waitForTimeout(20);
		}
	});
	await box.getByRole("button", { name: "Edit Boss" }).click();
	assert.equal(await box.getByLabel("Condition 1: what").inputValue(), "boss@example.org");
	await box.getByLabel("Applies to").selectOption("every");
	await box.getByRole("button", { name: "Save" }).click();
	await box.getByText("All mail: flag").waitFor();
	await box.getByRole("button", { name: "Delete Boss" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
	await box.getByText("All mail: flag").waitFor({ state: "detached" });
	assert.deepEqual(parse(scripts().Filters.text).map(r => [r.name, r.on]), [["Lists", false]]);
	await box.getByRole("button", { name: "Switch off" }).click();
	await box.getByText("These filters are switched off").waitFor();
	assert.equal(scripts().Filters.on, false);
	await box.getByRole("checkbox", { name: "Lists" }).click();
	for (let n = 0; !parse(scripts().Filters.text)[0].on; n++) {
		assert.ok(n < 100, "the rule is on");
		await page.waitForTimeout(20);
	}
	assert.equal(scripts().Filters.on, false, "a change switches nothing on");
	await page.reload();
	await box.getByText("Mailing list contains").waitFor();
	await box.getByText("These filters are switched off").waitFor();
});

const THEIRS = 'require ["fileinto", "variables"];\r\n# by hand\r\nif header :matches "List-Id" "*<*.*>*" {\r\n    fileinto "lists.${2}";\r\n}\r\n';
story("a script of another hand is shown as it is, and never lost", { before: s => s.script("by hand", THEIRS, true) }, async ({ page, box, scripts, shot, server, said }) => {
	const text = box.getByLabel("Sieve script");
	assert.equal(await text.inputValue(), THEIRS.replace(/\r/g, ""), "all of it");
	assert.equal(await box.getByRole("button", { name: "New filter" }).count(), 0, "no rule is put into it");
	await box.scrollIntoViewIfNeeded();
	await shot("filters-foreign");
	await text.fill("syntax error");
	await box.getByRole("button", { name: "Save" }).click();
	await page.locator(".toast", { hasText: "script:1:1: it is wrong" }).waitFor();
	assert.deepEqual(scripts()["by hand"], { on: true, text: THEIRS }, "nothing is stored");
	assert.equal(await text.inputValue(), "syntax error", "and nothing of what was written is gone");
	await text.fill("keep;");
	await box.getByRole("button", { name: "Save" }).click();
	await box.getByRole("button", { name: "Save", disabled: true }).waitFor();
	assert.deepEqual(scripts()["by hand"], { on: true, text: "keep;" });
	await box.getByRole("button", { name: "Use filters of this page instead" }).click();
	await box.getByLabel("Name of the filter").fill("Mine");
	await box.getByLabel("Applies to").selectOption("every");
	await box.getByLabel("Folder", { exact: true }).selectOption({ label: "Archive" });
	await box.locator(".filter-edit").getByRole("button", { name: "Save" }).click();
	await box.getByText("All mail: move to Archive").waitFor();
	assert.deepEqual([scripts()["by hand"], scripts().Filters.on], [{ on: false, text: "keep;" }, true]);
	await box.getByText("Other scripts").click();
	await box.getByRole("button", { name: "Use by hand" }).click();
	await text.waitFor();
	assert.deepEqual([scripts()["by hand"].on, scripts().Filters.on], [true, false]);
	assert.equal(parse(scripts().Filters.text).length, 1, "nor ours");
});

story("two windows at once: the later one is told", { before: s => s.script("Filters", '# rule:[A]\r\nif true\r\n{\r\n\tdiscard;\r\n}\r\n', true) }, async ({ page, box, scripts, server }) => {
	await box.getByText("All mail: delete").waitFor();
	const other = [...server.records.SieveScript.values()][0];
	other.blobId = server.blob(Buffer.from('# rule:[B]\r\nif true\r\n{\r\n\tredirect :copy "a@b.org";\r\n}\r\n')).blobId;
	server.n++;
	await box.getByRole("button", { name: "Delete A" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
	await page.locator(".toast", { hasText: "changed elsewhere" }).waitFor();
	await box.getByText("All mail: forward to a@b.org").waitFor();
	assert.equal(parse(scripts().Filters.text)[0].name, "B", "and takes nothing away");
});

const rule = name => `# rule:[${name}]\r\nif allof (header :contains "Subject" "${name}")\r\n{\r\n\tdiscard;\r\n}\r\n`;
story("a rule in hand stays itself when the list becomes another one", { before: s => s.script("Filters", rule("A") + rule("B"), true) }, async ({ page, box, scripts, server }) => {
	await box.getByRole("button", { name: "Edit A" }).click();
	await box.getByLabel("Condition 1: what").fill("changed");
	assert.ok(await box.getByRole("button", { name: "Move B up" }).isDisabled(), "the order stays here");
	const other = [...server.records.SieveScript.values()][0];
	other.blobId = server.blob(Buffer.from(rule("New") + rule("A") + rule("B"))).blobId;
	server.n++;
	await box.getByRole("button", { name: "Save" }).click();
	await page.locator(".toast", { hasText: "changed elsewhere" }).waitFor();
	await box.getByRole("button", { name: "Edit New" }).waitFor();
	assert.equal(await box.getByLabel("Condition 1: what").inputValue(), "changed", "nothing of what was written is gone");
	await box.getByRole("button", { name: "Save" }).click();
	await box.getByText("Subject contains “changed”").waitFor();
	assert.deepEqual(parse(scripts().Filters.text).map(r => [r.name, r.conditions[0].value]), [["New", "New"], ["A", "changed"], ["B", "B"]]);
});

story("by the keyboard: the focus stays with what it was about", { before: s => s.script("Filters", rule("A") + rule("B") + rule("C"), true) }, async ({ page, box }) => {
	const on = async name => {
		await page.waitForFunction(n => [document.activeElement?.getAttribute("aria-label"), document.activeElement?.textContent].includes(n), name, { timeout: 5000 })
		    .catch(() => assert.fail(`${name} has not the focus`));
	};
	const names = () => box.locator(".filter b").allTextContents();
	await box.getByRole("button", { name: "Move A down" }).press("Enter");
	await page.waitForFunction(() => document.querySelector(".filter b").textContent === "B");
	await on("Move A down");
	await page.keyboard.press("Enter");
	await page.waitForFunction(() => document.querySelectorAll(".filter b")[2].textContent === "A");
	assert.deepEqual(await names(), ["B", "C", "A"]);
	await on("Move A up");
	await box.getByRole("button", { name: "Edit C" }).press("Enter");
	assert.ok(await box.getByLabel("Name of the filter").evaluate(x => x === document.activeElement));
	await box.getByRole("button", { name: "Cancel" }).press("Enter");
	await on("Edit C");
	await box.getByRole("button", { name: "New filter" }).press("Enter");
	assert.ok(await box.getByLabel("Name of the filter").evaluate(x => x === document.activeElement));
	await box.getByRole("button", { name: "Cancel" }).press("Enter");
	await on("New filter");
	await box.getByRole("button", { name: "Delete A" }).press("Enter");
	await page.getByRole("dialog").getByRole("button", { name: "Delete" }).press("Enter");
	await on("Delete C");
});

story("in German, on a phone", { settings: { language: "de" }, viewport: { width: 390, height: 800 } }, async ({ page, box, shot }) => {
	await box.getByRole("button", { name: "Neuer Filter" }).click();
	await box.getByLabel("Name des Filters").fill("Rechnungen");
	await box.getByLabel("Bedingung 1: was").fill("rechnung@");
	await shot("filter-de");
	assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is wider than the page");
	const wide = await box.evaluate(b => [...b.querySelectorAll("*")].filter(x => x.getBoundingClientRect().right > b.getBoundingClientRect().right + 1).map(x => x.className));
	assert.deepEqual(wide, []);
});
