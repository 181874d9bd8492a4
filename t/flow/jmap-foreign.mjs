// jmap-jam, a JMAP client that we have not written, against jmapd or memd: node jmap-foreign.mjs URL LOGIN PASSWORD FROM TO.
// Prints a line of JSON for each thing it does: {"what", "got"}; t/flow/jmap-foreign.t judges.
import { pathToFileURL } from "node:url";

const [jam, url, login, password, from, to] = process.argv.slice(2);
const { JamClient } = await import(pathToFileURL(jam).href);

/* It knows bearer tokens alone; we take a password. */
const basic = "Basic " + Buffer.from(`${login}:${password}`).toString("base64");
const plain = globalThis.fetch;
globalThis.fetch = (where, how = {}) => plain(where, { ...how, headers: { ...how.headers, Authorization: basic } });

const say = (what, got) => console.log(JSON.stringify({ what, got }));
const client = new JamClient({ sessionUrl: url, bearerToken: "x" });
const session = await client.session;
const accountId = await client.getPrimaryAccount();
say("session", [session.username, Object.keys(session.accounts), accountId in session.accounts]);

const [boxes] = await client.api.Mailbox.get({ accountId, ids: null });
const role = r => boxes.list.find(b => b.role === r).id;
say("mailboxes", boxes.list.map(b => b.role).filter(Boolean).sort());

const [made] = await client.api.Mailbox.set({ accountId, create: { m: { name: "Jam", parentId: null } } });
const box = made.created.m.id;
say("made", (await client.api.Mailbox.query({ accountId, filter: { name: "Jam" } }))[0].ids.includes(box));

const blob = await client.uploadBlob(accountId, new Blob(["some octets \u00fc"], { type: "text/plain" }));
const [email] = await client.api.Email.set({ accountId, create: { e: {
	mailboxIds: { [role("drafts")]: true }, keywords: { $draft: true }, from: [{ name: "J\u00e4m", email: from }], to: [{ name: null, email: to }],
	subject: "Strawberry \u{1f353}", bodyStructure: { type: "multipart/mixed", subParts: [{ partId: "t", type: "text/plain" }, { blobId: blob.blobId, type: "text/plain", name: "octets.txt", disposition: "attachment" }] },
	bodyValues: { t: { value: "red and \u00fc" } },
} } });
const id = email.created.e.id;
say("created", typeof id === "string");

const [{ found, shown, thread }] = await client.requestMany(t => {
	const found = t.Email.query({ accountId, filter: { operator: "AND", conditions: [{ inMailbox: role("drafts") }, { subject: "strawberry" }] }, sort: [{ property: "receivedAt", isAscending: false }], limit: 10, calculateTotal: true });
	const shown = t.Email.get({ accountId, ids: found.$ref("/ids"), properties: ["threadId", "subject", "from", "hasAttachment", "attachments", "textBody", "bodyValues", "header:Message-ID:asMessageIds"], fetchTextBodyValues: true });
	const thread = t.Thread.get({ accountId, ids: shown.$ref("/list/*/threadId") });
	return { found, shown, thread };
});
const e = shown.list[0];
say("found", [found.ids.length === 1 && found.ids[0] === id, found.total, e.subject, e.from[0].name, e.hasAttachment, Object.values(e.bodyValues)[0].value.trim(), e["header:Message-ID:asMessageIds"].length, thread.list[0].emailIds.includes(id)]);

const octets = await client.downloadBlob({ accountId, blobId: e.attachments[0].blobId, mimeType: "text/plain", fileName: "octets.txt" });
say("downloaded", [await octets.text(), octets.headers.get("content-type")]);

const state = (await client.api.Email.get({ accountId, ids: [] }))[0].state;
const [identities] = await client.api.Identity.get({ accountId, ids: null });
const [sent, meta] = await client.requestMany(t => ({ s: t.EmailSubmission.set({ accountId, create: { k: { identityId: identities.list[0].id, emailId: id } },
	onSuccessUpdateEmail: { "#k": { "keywords/$draft": null, [`mailboxIds/${role("drafts")}`]: null, [`mailboxIds/${box}`]: true } } }) }));
say("sent", [meta.response.status, JSON.stringify(sent).includes("updated")]);
const [changed] = await client.api.Email.changes({ accountId, sinceState: state });
say("changes", [changed.updated, id]);

const [later] = await client.api.EmailSubmission.set({ accountId, create: { k: { identityId: identities.list[0].id, emailId: id,
	envelope: { mailFrom: { email: from, parameters: { HOLDFOR: "3600" } }, rcptTo: [{ email: to, parameters: null }] } } } });
const held = later.created.k.id;
const [back] = await client.api.EmailSubmission.set({ accountId, update: { [held]: { undoStatus: "canceled" } } });
say("taken back", [held in back.updated, (await client.api.EmailSubmission.get({ accountId, ids: [held] }))[0].list[0].undoStatus]);

const [snippet] = await client.api.SearchSnippet.get({ accountId, filter: { text: "red" }, emailIds: [id] });
say("snippet", snippet.list[0].preview.includes("<mark>red</mark>"));
const refused = await client.api.Email.get({ accountId: "unobody", ids: [] }).then(() => "?", error => error.type || JSON.stringify(error));
const gone = await client.api.Email.set({ accountId, destroy: [id] }).then(([r]) => r.destroyed[0] === id);
const [rid] = await client.api.Mailbox.set({ accountId, destroy: [box], onDestroyRemoveEmails: true });
say("refused", [refused, gone, rid.destroyed[0] === box]);
