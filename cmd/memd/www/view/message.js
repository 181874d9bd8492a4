// @ts-check
/** One message of a conversation: folded to a line, or open with its head, its body, its attachments. */
import { cls, html, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { Menu } from "../kit/menu.js";
import { t, words } from "../i18n/i18n.js";
import { address, format } from "../model/address.js";
import { fromMailto } from "../model/compose.js";
import { leaveList, verified } from "../model/conversation.js";
import { fullDate, longDate, size } from "../model/format.js";
import { Avatar } from "./avatar.js";
import { Body } from "./body.js";
import { write } from "./doing.js";
import { openSource, printMessage, save, saveAll } from "./source.js";

/** @param {{app: import("../model/app.js").App, email: any, open: boolean, only: boolean, onToggle: () => void}} props */
export function Message({ app, email, open, only, onToggle }) {
	const from = (email.from && email.from[0]) || { name: null, email: "" };
	const mine = app.mine.has(address(from));
	const name = mine ? t("list.me") : from.name || from.email || t("list.nobody");
	const at = email.receivedAt;
	if (!open)
		return html`<button type="button" class="message folded" aria-expanded="false" title=${t("read.openMessage", { who: name })} onClick=${onToggle}>
			<${Avatar} of=${from} small /><b>${name}</b>${email.keywords.$draft && html`<em class="draft">${t("list.draft")}</em>`}<span class="preview">${email.preview}</span>
			${email.hasAttachment && html`<${Icon} name="attach" />`}<time datetime=${at}>${longDate(at, new Date(), words.intl)}</time></button>`;
	return html`<article class=${cls("message", !email.keywords.$seen && "unread")} aria-label=${t("read.body", { who: name })}>
		<${Head} app=${app} email=${email} from=${from} mine=${mine} name=${name} only=${only} onToggle=${onToggle} />
		${email.keywords.$draft && html`<div class="notice"><${Icon} name="pen" />${t("list.draft")}<span class="space"></span><${Button} label=${t("act.edit")} onClick=${() => void app.editDraft(email.id)} /></div>`}
		<${Body} app=${app} email=${email} from=${from} />
		<${Attachments} app=${app} email=${email} /></article>`;
}

function Head({ app, email, from, mine, name, only, onToggle }) {
	const [details, setDetails] = useState(false);
	const who = list => (list || []).map(a => (app.mine.has(address(a)) ? t("list.me") : a.name || a.email)).join(", ");
	const to = who([...(email.to || []), ...(email.cc || [])]);
	const is = verified(email, app.state.brand && app.state.brand.authServ ? [app.state.brand.authServ] : []);
	const fold = only ? undefined : onToggle;
	return html`<header class="message-head"><${Avatar} of=${from} />
		<div class="from">${fold ? html`<button type="button" class="name" aria-expanded="true" title=${t("read.foldMessage", { who: name })} onClick=${fold}>${name}</button>` : html`<b class="name">${name}</b>`}
			${from.name && !mine && html` <small>${from.email}</small>`}
			${is === "pass" && html` <span class="verified"><${Icon} name="check" />${t("read.verified")}</span>`}${is === "fail" && html` <span class="unverified"><${Icon} name="warn" />${t("read.unverified")}</span>`}</div>
		<div class="when"><time datetime=${email.receivedAt} title=${fullDate(email.receivedAt, words.intl)}>${longDate(email.receivedAt, new Date(), words.intl)}</time>
			<${Button} bare icon="reply" label=${t("act.reply")} onClick=${() => void write(app, "reply", email)} />
			<${Button} bare icon="more" label=${t("act.more")} onClick=${e => more(app, email, e.currentTarget)} /></div>
		<div class="to"><button type="button" class="details" aria-expanded=${details} title=${t("read.details")} onClick=${() => setDetails(!details)}>${to ? t("read.to", { who: to }) : t("read.details")}<${Icon} name=${details ? "up" : "down"} /></button></div>
		${details && html`<dl class="details">${[["read.from", email.from], ["read.toName", email.to], ["read.cc", email.cc], ["read.bcc", email.bcc], ["read.replyTo", email.replyTo]]
			.filter(([, l]) => l && l.length).map(([k, l]) => html`<div key=${k}><dt>${t(k)}</dt><dd>${l.map(format).join(", ")}</dd></div>`)}
			<div><dt>${t("read.date")}</dt><dd>${fullDate(email.sentAt || email.receivedAt, words.intl)}</dd></div></dl>`}</header>`;
}

function more(app, email, at) {
	const seen = !!email.keywords.$seen;
	const leave = app.box && app.box.role === "junk" ? null : leaveList(email);	/* who sends junk learns that it is read */
	const items = [
		{ label: t("act.reply"), icon: "reply", do: () => void write(app, "reply", email) },
		{ label: t("act.replyAll"), icon: "replyAll", do: () => void write(app, "replyAll", email) },
		{ label: t("act.forward"), icon: "forward", do: () => void write(app, "forward", email) },
		{ label: seen ? t("act.unread") : t("act.read"), icon: seen ? "mail" : "mailOpen", line: true,
			do: () => app.doer.do({ patches: new Map([[email.id, { "keywords/$seen": seen ? null : true }]]), leaves: false }) },
		...(leave ? [{ label: t("act.unsubscribe"), icon: "out", do: () => app.outbox.open(fromMailto(leave)) }] : []),
		{ label: t("act.print"), icon: "print", line: true, do: () => void printMessage() },
		{ label: t("act.source"), icon: "source", do: () => void openSource(app, email) },
		{ label: t("act.download"), icon: "download", do: () => void save(app, email.blobId, `${(email.subject || "message").replace(/[\/\\:*?"<>|\u0000-\u001f]+/g, "_").slice(0, 80)}.eml`, "message/rfc822") },
	];
	app.layers.open(Menu, { items }, { kind: "menu", at, label: t("act.more") });
}

function Attachments({ app, email }) {
	const list = (email.attachments || []).filter(a => a.disposition !== "inline" || !a.cid || !/^image\//.test(a.type));
	if (!list.length)
		return null;
	const fetchOne = a => void save(app, a.blobId, a.name || "attachment", a.type);
	return html`<section class="attachments" aria-label=${t("read.attachments", { n: list.length })}>${list.map(a => html`
		<button type="button" class="attachment" key=${a.partId} title=${t("act.download") + ": " + (a.name || a.type)} onClick=${() => fetchOne(a)}>
		<${Icon} name=${/^image\//.test(a.type) ? "image" : "doc"} /><span><b>${a.name || a.type}</b><small>${size(a.size, words.intl)}</small></span></button>`)}
		${list.length > 1 && html`<${Button} class="line" icon="download" label=${t("read.saveAll")} onClick=${() => void saveAll(app, email, list)} />`}</section>`;
}
