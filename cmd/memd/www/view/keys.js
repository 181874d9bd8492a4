// @ts-check
/** What each key does: the table, and the overview that "?" opens (which is made of the same words). */
import { html } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { t } from "../i18n/i18n.js";
import { blank } from "../model/compose.js";
import { openLabels, openMove, removeAsked, write } from "./doing.js";

/** @param {import("../model/app.js").App} app @returns {Record<string, (e: KeyboardEvent) => void>} */
export function keyTable(app) {
	const role = r => {
		const box = app.role(r);
		if (box)
			app.go({ kind: "box", value: box.id });
	};
	const open = () => app.state.cursor && app.openRow(app.state.cursor);
	const select = () => app.state.cursor && app.select(app.state.cursor);
	return {
		j: () => void app.step(1), k: () => void app.step(-1), ArrowDown: () => void app.step(1), ArrowUp: () => void app.step(-1),
		o: open, Enter: open, u: () => app.back(), Escape: () => (app.state.folders ? app.ui.set({ folders: false }) : app.state.selected.size ? app.clearSelection() : app.back()),
		e: () => app.archive(), "#": () => removeAsked(app), Delete: () => removeAsked(app), "!": () => app.junk(), s: () => app.flag(),
		v: () => openMove(app), l: () => openLabels(app), x: select, U: () => app.markRead(app.targets()),
		r: () => void write(app, "reply"), a: () => void write(app, "replyAll"), f: () => void write(app, "forward"),
		c: () => app.outbox.open(blank({ rich: app.settings.state.rich })),
		"/": () => /** @type {any} */ (document.querySelector(".search input"))?.focus(),
		"g i": () => role("inbox"), "g s": () => role("sent"), "g d": () => role("drafts"), "g a": () => role("archive"),
		z: () => app.undo(), "?": () => openHelp(app),
	};
}

/** @returns {[string, [string, string][]][]} */
const overview = () => [
	[t("help.move"), [["j", t("help.next")], ["k", t("help.previous")], ["o", t("help.open")], ["u", t("help.back")],
		["g i", t("help.goInbox")], ["g s", t("help.goSent")], ["g d", t("help.goDrafts")], ["/", t("help.search")]]],
	[t("help.act"), [["x", t("help.select")], ["e", t("act.archive")], ["#", t("act.delete")], ["!", t("act.junk")], ["s", t("act.flag")],
		["v", t("act.move")], ["l", t("act.label")], ["U", t("act.read")], ["z", t("help.undo")]]],
	[t("help.write"), [["c", t("nav.compose")], ["r", t("act.reply")], ["a", t("act.replyAll")], ["f", t("act.forward")], ["?", t("help.this")]]],
];

function Help({ close }) {
	return html`<h2>${t("help.title")}</h2><div class="help">${overview().map(([title, keys]) => html`<section key=${title}><h3>${title}</h3>
		<dl>${keys.map(([key, words]) => html`<div key=${key}><dt>${key.split(" ").map(k => html`<kbd key=${k}>${k}</kbd> `)}</dt><dd>${words}</dd></div>`)}</dl></section>`)}</div>
		<div class="buttons"><${Button} primary label=${t("act.close")} onClick=${close} /></div>`;
}

export const openHelp = app => app.layers.open(Help, {}, { kind: "dialog", label: t("help.title") });
