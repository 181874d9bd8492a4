// @ts-check
/** What is done with a message as bytes: its source, a file, paper. */
import { html } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";

const MOST_SHOWN = 400000;	/* characters of a source that are put on the screen */

const FREED = 60000;		/* ms until an archive's memory is given back: a browser asks before it saves */

/** All attachments as one archive, made here. @param {import("../model/app.js").App} app */
export async function saveAll(app, email, list) {
	try {
		const { plainName, zip } = await import("../model/zip.js");
		const files = [];
		for (const a of list) {
			const answer = await app.transport.download(a.blobId, a.name || "attachment", a.type);
			files.push({ name: a.name || "attachment", bytes: new Uint8Array(await answer.arrayBuffer()) });
		}
		const url = URL.createObjectURL(new Blob(/** @type {any} */ (zip(files, new Date(email.receivedAt))), { type: "application/zip" }));
		setTimeout(() => URL.revokeObjectURL(url), FREED);
		give(url, `${plainName(email.subject || t("list.noSubject"))}.zip`);
	} catch (error) {
		app.toasts.say(t("read.saveFailed", { why: why(error) }), { failed: true });
	}
}

/** A file to the browser's user. */
export function give(url, name) {
	const a = document.createElement("a");
	a.href = url;
	a.download = name;
	document.body.append(a);
	a.click();
	a.remove();
}

/** Save a blob under a name. @param {import("../model/app.js").App} app */
export function save(app, blobId, name, type) {
	give(app.transport.downloadUrl(blobId, name, type), name);
}

function Source({ text, close, download }) {
	return html`<h2>${t("read.source")}</h2><pre class="source" tabindex="0">${text}</pre>
		<div class="buttons"><${Button} icon="download" label=${t("act.download")} onClick=${download} /><${Button} primary label=${t("act.close")} onClick=${close} /></div>`;
}

/** @param {import("../model/app.js").App} app */
export async function openSource(app, email) {
	try {
		const answer = await app.transport.download(email.blobId, "message.eml", "message/rfc822");
		const text = (await answer.text()).slice(0, MOST_SHOWN);
		app.layers.open(Source, { text, download: () => save(app, email.blobId, "message.eml", "message/rfc822") }, { kind: "dialog", label: t("read.source") });
	} catch (error) {
		app.toasts.say(t("read.failed", { why: why(error) }), { failed: true });
	}
}

/** The page's own style for paper leaves the conversation alone on it. */
export const printMessage = () => print();
