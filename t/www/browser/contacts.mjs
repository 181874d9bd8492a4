// The address book in a real browser, against a server in memory: people made, changed, found, grouped, written to, files in
// and out; axe has nothing to say, wide and narrow, light and dark.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Double, host } from "../lib/host.mjs";
import { launch, open } from "../lib/browser.mjs";
import { seed } from "../lib/seed.mjs";

const axe = readFileSync(new URL("../../../build/npm/node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

function story(name, how, f) {
	test(name, async () => {
		const server = new Double({ contacts: true });
		seed(server);
		const h = await host(server, how);
		const tab = await open(browser, h.url, how);
		try {
			await tab.page.goto(h.url + (how.path || "/contacts"));
			await f({ server, ...tab });
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
const cards = server => [...server.records.ContactCard.values()];
const people = page => page.$$eval(".contact b", l => l.map(x => x.textContent));
const toast = (page, text) => page.locator(".toast", { hasText: text });
function fill(server) {
	const make = (id, full, more) => server.records.ContactCard.set(id, { id, uid: "urn:" + id, addressBookIds: { default: true }, "@type": "Card", version: "1.0", name: { full }, ...more });
	make("c1", "Mara Okafor", { emails: { e: { address: "mara@okafor.example", contexts: { work: true } } }, phones: { p: { number: "+44 20 7946 0000", features: { mobile: true } } }, organizations: { o: { name: "Institute of Physics" } },
		addresses: { a: { components: [{ kind: "name", value: "High Street 5" }, { kind: "locality", value: "York" }, { kind: "postcode", value: "YO1 7" }] } }, notes: { n: { note: "Met in Paris.\nPrefers the telephone." } } });
	make("c2", "Jun Watanabe", { emails: { e: { address: "jun@watanabe.example" } } });
	make("c3", "Zoë Ångström", { emails: { e: { address: "zoe@x.example" } } });
	make("g1", "Choir", { kind: "group", members: { "urn:c1": true, "urn:c2": true } });
}

story("the first contact, changed and removed", {}, async ({ page, server, shot }) => {
	await page.getByText("No contacts yet").waitFor();
	await shot("contacts-empty");
	await page.getByRole("button", { name: "New contact" }).click();
	await page.getByLabel("First name").fill("Ann");
	await page.getByLabel("Last name").fill("Lee");
	await page.getByRole("textbox", { name: "Address" }).first().fill("ann lee");
	await page.getByRole("button", { name: "Save" }).click();
	await page.getByRole("alert").filter({ hasText: "cannot be right" }).waitFor();
	await page.getByRole("textbox", { name: "Address" }).first().fill("ann@lee.example");
	await page.getByRole("textbox", { name: "Address" }).nth(1).fill("home@lee.example");
	await page.getByRole("button", { name: "Save" }).click();
	await page.getByRole("button", { name: "Edit" }).waitFor();
	assert.deepEqual(cards(server).map(c => [c.name.components.map(p => p.value), Object.values(c.emails).map(m => m.address)]), [[["Ann", "Lee"], ["ann@lee.example", "home@lee.example"]]]);
	assert.deepEqual(await people(page), ["Ann Lee"]);
	await page.getByRole("button", { name: "Edit" }).click();
	await page.getByLabel("Last name").fill("Li");
	await page.getByRole("button", { name: "Save" }).click();
	await page.locator(".contact b", { hasText: "Ann Li" }).waitFor();
	await page.getByRole("button", { name: "Delete" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
	await page.getByText("No contacts yet").waitFor();
	assert.deepEqual(cards(server), []);
});

story("found, grouped, written to; a link is a link", { path: "/contacts" }, async ({ page, server, shot }) => {
	fill(server);
	await page.reload();
	await page.locator(".contact", { hasText: "Mara" }).click();
	await page.getByText("Institute of Physics").waitFor();
	await shot("contacts");
	assert.match(page.url(), /\/contacts\/c1$/);
	await page.getByLabel("Search contacts").fill("watana");
	await page.waitForFunction(() => document.querySelectorAll(".contact").length === 1);
	await page.getByLabel("Search contacts").fill("");
	await page.getByRole("button", { name: "Choir" }).click();
	await page.waitForFunction(() => document.querySelectorAll(".contact").length === 2);
	await page.getByRole("button", { name: "All" }).click();
	await page.locator(".contact", { hasText: "Zoë" }).click();
	await page.getByRole("button", { name: "Edit" }).click();
	await page.getByRole("checkbox", { name: "Choir" }).check();
	await shot("contacts-edit");
	await page.getByRole("button", { name: "Save" }).click();
	await toast(page, "").first().waitFor();
	await page.getByRole("button", { name: "Edit" }).waitFor();
	assert.deepEqual(Object.keys(server.records.ContactCard.get("g1").members).sort(), ["urn:c1", "urn:c2", "urn:c3"]);
	await page.getByRole("button", { name: "Write a message" }).click();
	await page.locator(".chip", { hasText: "Zoë Ångström" }).waitFor();
});

story("a form takes nothing back that is changed elsewhere meanwhile", { path: "/contacts/c1" }, async ({ page, server }) => {
	fill(server);
	await page.reload();
	await page.getByRole("button", { name: "Edit" }).click();
	await page.getByLabel("First name").fill("Maria");
	const card = server.records.ContactCard.get("c1"), choir = server.records.ContactCard.get("g1");
	card.phones.q = { number: "+44 1904 1" };
	delete choir.members["urn:c1"];
	server.note("ContactCard", "c1", "updated");
	server.note("ContactCard", "g1", "updated");
	await page.getByRole("button", { name: "Save" }).click();
	await page.getByText("Maria Okafor").first().waitFor();
	assert.deepEqual([Object.values(server.records.ContactCard.get("c1").phones).map(p => p.number), Object.keys(server.records.ContactCard.get("g1").members)],
	    [["+44 20 7946 0000", "+44 1904 1"], ["urn:c2"]]);
});

story("offered while one types a recipient: people and groups", { path: "/" }, async ({ page, server, shot }) => {
	fill(server);
	await page.getByRole("button", { name: "New message" }).first().click();
	const to = page.getByRole("combobox", { name: "To" });
	await to.pressSequentially("wata");
	await page.getByRole("option", { name: /Jun Watanabe/ }).waitFor();
	await to.fill("choi");
	await page.getByRole("option", { name: /Choir.*2 members/ }).waitFor();
	await shot("contacts-offered");
	await to.press("ArrowDown");
	await to.press("Enter");
	assert.deepEqual(await page.$$eval(".recipients .chip", l => l.map(x => x.title)), ["mara@okafor.example", "jun@watanabe.example"]);
});

story("files in and out", {}, async ({ page, server }) => {
	const bring = async (name, text) => {
		await page.getByRole("button", { name: "More" }).click();
		const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.getByRole("menuitem", { name: "Import a file" }).click()]);
		await chooser.setFiles({ name, mimeType: "text/plain", buffer: Buffer.from(text, "latin1") });
	};
	await page.getByText("No contacts yet").waitFor();
	await bring("a.vcf", "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u1\r\nFN:Ann Lee\r\nEMAIL:ann@x.net\r\nEND:VCARD\r\n");
	await toast(page, "1 contact is imported").waitFor();
	await bring("a.csv", "Vorname;Nachname;E-Mail-Adresse\r\nJ\xfcrgen;M\xfcller;jm@x.net\r\n");
	await page.locator(".contact", { hasText: "Jürgen Müller" }).waitFor();
	await bring("a.txt", "nothing of the kind");
	await toast(page, "no contacts in this file").waitFor();
	for (const [item, name, has] of [["vCard 4", "contacts.vcf", /VERSION:4\.0[^]*FN:Ann Lee/], ["vCard 3", "contacts.vcf", /VERSION:3\.0/], ["CSV", "contacts.csv", /Jürgen,,Müller/]]) {
		await page.getByRole("button", { name: "More" }).click();
		const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: "Export as " + item }).click()]);
		assert.equal(file.suggestedFilename(), name);
		assert.match(readFileSync(await file.path(), "utf8"), has);
	}
	assert.equal(cards(server).length, 2);
});

for (const [name, how] of Object.entries({ wide: {}, dark: { colorScheme: "dark" }, narrow: { viewport: { width: 360, height: 740 } }, german: { locale: "de-DE" } }))
	story(`axe has nothing to say: ${name}`, { ...how, path: "/contacts/c1" }, async ({ page, server, shot }) => {
		fill(server);
		await page.reload();
		await page.locator(".facts").waitFor();
		for (const view of ["shown", "edited"]) {
			if (view === "edited")
				await page.getByRole("button", { name: name === "german" ? "Bearbeiten" : "Edit" }).click();
			await shot(`contacts-${name}-${view}`);
			await page.evaluate(axe);
			const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
			assert.deepEqual(found.violations.map(v => [v.id, v.nodes.map(n => n.html)]), []);
			assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is wider than the window");
		}
	});
