// Logins at a provider of another origin, in Chromium, by memd: started by t/flow/webmail_signon.t.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { launch, open } from "../lib/browser.mjs";

const { WEBURL, ISSUER, USER_NAME } = process.env;
let browser, tab;
before(async () => {
	browser = await launch();
	tab = await open(browser, new URL(WEBURL).origin, { answered: m => /status of 403/.test(m.text()) });
});
after(() => browser.close());
const step = (name, f) => test(name, async () => {
	try {
		await f(tab.page);
		assert.deepEqual(tab.said.filter(s => !s.startsWith(`request: ${ISSUER}/`)), []);
	} catch (error) {
		await tab.shot("failed-signon-" + name.replace(/\W+/g, "-").slice(0, 30));
		error.message += "\n" + tab.said.join("\n");
		throw error;
	}
});
const cookies = async () => (await tab.context.cookies()).map(c => [c.name, c.sameSite, c.httpOnly, c.secure, c.path]);

step("whoever comes is led to the provider and back, to where they wanted to be", async page => {
	await page.goto(WEBURL + "/settings");
	await page.locator("h1", { hasText: "Settings" }).waitFor();
	assert.equal(new URL(page.url()).pathname, "/settings");
	assert.ok(tab.requests.some(r => r.startsWith(ISSUER + "/authorize?")), "by the provider");
	assert.equal((await (await page.request.get(WEBURL + "/session", { headers: { "Sec-Fetch-Site": "same-origin" } })).json()).user, USER_NAME);
});

step("of the way nothing is left, and the session is for this site's own pages", async () => {
	assert.deepEqual((await cookies()).sort(), [["__Host-tiermail", "Strict", true, true, "/"], ["__Secure-tiermail-signon-end", "Strict", true, true, "/logout"]]);
});

step("a reload is the same session", async page => {
	const before = tab.requests.filter(r => r.startsWith(ISSUER)).length;
	await page.reload();
	await page.locator("h1", { hasText: "Settings" }).waitFor();
	assert.equal(tab.requests.filter(r => r.startsWith(ISSUER)).length, before);
});

step("a logout ends it at the provider, and comes back to a page that leads nobody there again", async page => {
	await page.getByRole("button", { name: "Log out" }).click();
	await page.getByText("You are logged out.").waitFor();
	assert.equal(new URL(page.url()).pathname, "/signon/out");
	assert.ok(tab.requests.some(r => r.startsWith(ISSUER + "/end?")));
	assert.deepEqual(await cookies(), []);
	await tab.shot("real-signon-out");
});

step("the address of somebody's way back is nothing in another browser", async page => {
	await page.goto(WEBURL + "/signon/back?code=x&state=y");
	await page.getByText("Signing in took too long, or was begun in another window").waitFor();
	await tab.shot("real-signon-stale");
});

step("and the button leads in again", async page => {
	await page.getByRole("link", { name: "Sign in with the University" }).click();
	await page.getByRole("button", { name: "New message" }).first().waitFor();
});
