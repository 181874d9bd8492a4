// A browser that tells on the page: any console error, uncaught exception, policy violation or request off the
// origin ends up in `said`, which each test expects to be empty.
import { mkdirSync } from "node:fs";
import { need } from "./need.mjs";

const { chromium } = need("playwright-core");
const SHOTS = new URL("../../../build/shots/", import.meta.url).pathname;
mkdirSync(SHOTS, { recursive: true });

/** @param {number} [trap] port of loopback that every name ending in .test leads to: what asks for one is heard there */
export const launch = trap => chromium.launch({
	executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
	args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--font-render-hinting=none", ...(trap ? [`--host-resolver-rules=MAP *.test 127.0.0.1:${trap}`] : [])],
});

/** @param {any} browser @param {string} origin @param {object} [how] viewport, colorScheme ...; answered: which refusals are answers like others */
export async function open(browser, origin, { answered = () => false, ...how } = {}) {
	const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB", timezoneId: "UTC", ignoreHTTPSErrors: true, ...how });
	const page = await context.newPage();
	const said = [];
	const requests = [];
	page.on("console", m => m.type() === "error" && !answered(m) && !/Failed to load resource: the server responded with a status of (401|503)/.test(m.text()) && said.push(`console: ${m.text()}`));
	page.on("pageerror", e => said.push(`error: ${e.stack || e}`));
	context.on("request", r => {
		requests.push(r.url());
		if (!/^(blob|data):/.test(r.url()) && new URL(r.url()).origin !== origin)
			said.push(`request: ${r.url()}`);
	});
	page.setDefaultTimeout(40000);	/* only what fails waits so long */
	return { context, page, said, requests, shot: name => page.screenshot({ path: `${SHOTS}${name}.png` }) };
}
