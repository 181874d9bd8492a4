// @ts-check
/** Things to do that ask first or offer a choice: the same from keys, toolbar and menus. */
import { Ask, Confirm } from "../kit/dialog.js";
import { Menu } from "../kit/menu.js";
import { t, words } from "../i18n/i18n.js";
import { format } from "../model/address.js";
import { forward, reply } from "../model/compose.js";
import { inOrder, labels } from "../model/conversation.js";
import { fullDate } from "../model/format.js";
import { bodies } from "../model/thread.js";

/** @typedef {import("../model/app.js").App} App */

const anchor = at => at || document.activeElement || document.body;

/** @param {App} app @param {string[]} [rows] */
export function removeAsked(app, rows = app.targets()) {
	if (!rows.length || app.remove(rows))
		return;
	app.layers.open(Confirm, {
		title: t("done.reallyDestroy", { n: rows.length }), text: t("done.destroySays"), yes: t("act.destroy"), no: t("act.cancel"),
		danger: true, onYes: () => app.remove(rows, true),
	}, { kind: "dialog", label: t("act.destroy") });
}

/** @param {App} app @param {any} [at] @param {string[]} [rows] */
export function openMove(app, at, rows = app.targets()) {
	if (!rows.length)
		return;
	const items = app.boxes.map(n => ({
		label: app.boxName(n.box), icon: n.box.role || "folder", depth: n.depth, disabled: n.box.id === app.from || n.box.role === "drafts",
		do: () => app.moveTo(n.box.id, rows),
	}));
	app.layers.open(Menu, { items }, { kind: "menu", at: anchor(at), label: t("act.move") });
}

/** @param {App} app @param {boolean} [sure] that what is written here may be lost */
export async function logOut(app, sure = false) {
	if (await app.door.logout(sure))
		return;
	app.layers.open(Confirm, {
		title: t("login.outUnsaved"), text: t("login.outUnsavedSays"), yes: t("login.out"), no: t("act.cancel"), danger: true,
		onYes: () => void logOut(app, true),
	}, { kind: "dialog", label: t("login.out") });
}

/** @type {WeakMap<object, {version: number, names: string[]}>} */
const known = new WeakMap();

/** Every label that is in use on mail that is held; looked for once after each change, since that may be 100,000. @param {App} app @returns {string[]} */
export function allLabels(app) {
	const { cache } = app, held = known.get(cache);
	if (held && held.version === cache.version)
		return held.names;
	const names = labels(cache.all("Email"));
	known.set(cache, { version: cache.version, names });
	return names;
}

/** @param {App} app @param {any} [at] @param {string[]} [rows] */
export function openLabels(app, at, rows = app.targets()) {
	if (!rows.length)
		return;
	const on = new Set(labels(app.emails(rows)));
	const items = [
		...allLabels(app).map(name => ({ label: name, checked: on.has(name), do: () => app.label(name, !on.has(name), rows) })),
		{ label: t("label.new"), icon: "plus", line: true, do: () => newLabel(app, rows) },
	];
	app.layers.open(Menu, { items }, { kind: "menu", at: anchor(at), label: t("act.label") });
}

function newLabel(app, rows) {
	app.layers.open(Ask, {
		title: t("label.new"), label: t("folder.name"), yes: t("label.apply"), no: t("act.cancel"),
		check: v => (/^[\w-]{1,50}$/.test(v.trim()) ? null : t("label.bad")), onYes: v => app.label(v.toLowerCase(), true, rows),
	}, { kind: "dialog", label: t("label.new") });
}

/** What a conversation's menu offers, by right click, long press or the toolbar. @param {App} app @param {string[]} rows */
export function rowMenu(app, rows, at) {
	const emails = app.emails(rows);
	const flagged = emails.some(e => e.keywords.$flagged), unread = emails.some(e => !e.keywords.$seen);
	const junk = app.box && app.box.role === "junk";
	const items = [
		{ label: t("act.archive"), icon: "archive", key_: "e", do: () => app.archive(rows) },
		{ label: t("act.delete"), icon: "bin", key_: "#", do: () => removeAsked(app, rows) },
		{ label: junk ? t("act.notJunk") : t("act.junk"), icon: junk ? "inbox" : "junk", key_: "!", do: () => app.junk(rows) },
		{ label: flagged ? t("act.unflag") : t("act.flag"), icon: "flag", key_: "s", line: true, do: () => app.flag(rows) },
		{ label: unread ? t("act.read") : t("act.unread"), icon: unread ? "mailOpen" : "mail", key_: "U", do: () => app.markRead(rows) },
		{ label: t("act.move"), icon: "move", key_: "v", line: true, do: () => openMove(app, at, rows) },
		{ label: t("act.label"), icon: "tag", key_: "l", do: () => openLabels(app, at, rows) },
	];
	app.layers.open(Menu, { items }, { kind: "menu", at, label: t("act.more") });
}

/**
 * Open an answer or a forward of a message; of the newest of the open conversation when none is given.
 * @param {App} app @param {"reply" | "replyAll" | "forward"} how @param {any} [email]
 */
export async function write(app, how, email) {
	if (!email) {
		const row = app.targets()[0];
		const chosen = row && app.cache.get("Email", row);
		if (!chosen)
			return;
		await app.threads.load(chosen.threadId);
		const all = app.threads.emails(chosen.threadId) || [];
		email = inOrder(all).filter(e => !e.keywords.$draft).pop();
	}
	if (!email)
		return;
	await app.threads.open(email.id);
	const whole = app.cache.get("Email", email.id);
	if (!whole || !app.threads.hasBody(whole))
		return;
	const { bodyText, bodyHtml } = bodies(whole);
	const [{ cleanFragment }, { openRoom }] = await Promise.all([import("../mail/clean.js"), import("../mail/room.js")]);
	await openRoom();
	const box = document.createElement("div");
	if (bodyHtml)
		box.append(cleanFragment(bodyHtml));
	const source = { ...whole, bodyText: bodyText || box.textContent || "", bodyHtml: box.innerHTML };
	const identities = app.cache.all("Identity");
	const rich = app.settings.state.rich && (!!bodyHtml || app.settings.state.rich);
	const who = whole.from && whole.from[0] ? whole.from[0].name || whole.from[0].email : t("list.nobody");
	const date = fullDate(whole.sentAt || whole.receivedAt, words.intl);
	/** @type {[string, string][]} */
	const cc = whole.cc ? [[t("read.cc"), whole.cc.map(format).join(", ")]] : [];
	const list = l => (l || []).map(format).join(", ");
	const draft = how === "forward" ?
		forward(source, { identities, rich, title: t("compose.forwarded"), head: [
			[t("read.from"), list(whole.from)], [t("read.date"), date], [t("read.subject"), whole.subject || ""],
			[t("read.toName"), list(whole.to)], ...cc] }) :
		reply(source, how === "replyAll", { identities, rich, intro: t("compose.onWrote", { date, who }) });
	app.outbox.open(draft);
}
