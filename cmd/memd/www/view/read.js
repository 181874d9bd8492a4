// @ts-check
/** The reading pane: a conversation, its messages oldest first, what can be done to it. */
import { html, useEffect, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { useWatch } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { inOrder, labels, openAtFirst } from "../model/conversation.js";
import { useMail } from "./context.js";
import { openLabels, openMove, removeAsked, rowMenu, write } from "./doing.js";
import { Message } from "./message.js";

const PATIENCE = 200;	/* ms before anything says that it loads */

export function ReadPane() {
	const app = useMail();
	useWatch(app.threads);
	const id = app.state.route.thread;
	return html`<main class="read" aria-label=${t("read.label")}>${id ? html`<${Toolbar} app=${app} /><${Conversation} key=${id} app=${app} id=${id} />` :
		html`<div class="nothing"><p>${t("read.none")}</p><p class="hint">${t("read.noneHint")}</p></div>`}</main>`;
}

function Toolbar({ app }) {
	useWatch(app.list);
	const rows = app.targets();
	const emails = app.emails(rows);
	const flagged = emails.some(e => e.keywords && e.keywords.$flagged);
	const junk = app.box && app.box.role === "junk";
	const list = app.list;
	const at = list && app.state.cursor ? list.indexOf(app.state.cursor) : -1;
	return html`<div class="toolbar" role="toolbar" aria-label=${t("read.label")}>
		<${Button} bare class="back" icon="back" label=${t("act.back")} key_="u" onClick=${() => app.back()} />
		<${Button} class="wide-label" icon="archive" label=${t("act.archive")} key_="e" onClick=${() => app.archive()} />
		<${Button} bare icon="bin" label=${t("act.delete")} key_="#" onClick=${() => removeAsked(app)} />
		<${Button} bare icon=${junk ? "inbox" : "junk"} label=${junk ? t("act.notJunk") : t("act.junk")} key_="!" onClick=${() => app.junk()} />
		<${Button} bare icon="move" label=${t("act.move")} key_="v" onClick=${e => openMove(app, e.currentTarget)} />
		<${Button} bare icon="tag" label=${t("act.label")} key_="l" onClick=${e => openLabels(app, e.currentTarget)} />
		<${Button} bare icon="flag" class=${flagged ? "flagged" : ""} label=${flagged ? t("act.unflag") : t("act.flag")} key_="s" pressed=${flagged} onClick=${() => app.flag()} />
		<${Button} bare icon="more" label=${t("act.more")} onClick=${e => rowMenu(app, rows, e.currentTarget)} />
		<span class="space"></span>
		${at >= 0 && list.length !== null && html`<span class="position">${t("read.position", { n: at + 1, of: list.length })}</span>
		<${Button} bare class="wide-only" icon="up" label=${t("act.previous")} key_="k" onClick=${() => void app.step(-1)} />
		<${Button} bare class="wide-only" icon="down" label=${t("act.next")} key_="j" onClick=${() => void app.step(1)} />`}</div>`;
}

function Conversation({ app, id }) {
	const emails = app.threads.emails(id);
	const [opened, setOpened] = useState(/** @type {Map<string, boolean>} */ (new Map()));
	const first = useRef(/** @type {Set<string> | null} */ (null));
	const newest = useRef(/** @type {any} */ (null));
	const [late, setLate] = useState(false);
	useEffect(() => {
		const timer = setTimeout(() => setLate(true), PATIENCE);
		return () => clearTimeout(timer);
	}, []);
	const ready = !!emails;
	useEffect(() => {
		if (newest.current && emails && emails.length > 1)
			newest.current.scrollIntoView({ block: "start" });
	}, [ready]);
	if (!emails) {
		const error = app.threads.errors.get(id);
		const gone = app.cache.get("Thread", id) === undefined && !app.threads.loading.has(id) && !error;
		return html`<div class="conversation" aria-busy=${!error}>${error ? html`<div class="nothing" role="alert"><p>${t("read.failed", { why: why(error) })}</p>
			<${Button} class="line" label=${t("start.again")} onClick=${() => void app.read(id)} /></div>` :
			gone && late ? html`<p class="hint">${t("read.gone")}</p>` : late && html`<div class="message skeleton"><i></i><i></i><i></i></div>`}</div>`;
	}
	/* What was unread when the conversation was opened stays open when it is read. */
	const begun = first.current = first.current || openAtFirst(emails);
	const all = inOrder(emails).filter(e => !hidden(app, e));
	const shown = all.length ? all : inOrder(emails);
	const isOpen = e => opened.get(e.id) ?? (begun.has(e.id) || e === shown[shown.length - 1]);
	const toggle = e => {
		const now = !isOpen(e);
		setOpened(new Map(opened).set(e.id, now));
		if (now) {
			void app.threads.open(e.id);
			app.doer.do({ patches: new Map(e.keywords.$seen ? [] : [[e.id, { "keywords/$seen": true }]]), leaves: false }, { undo: false });
		}
	};
	const last = shown.filter(e => !e.keywords.$draft).pop();
	const boxes = [...new Set(shown.flatMap(e => Object.keys(e.mailboxIds)))].map(b => app.cache.get("Mailbox", b)).filter(Boolean);
	return html`<div class="conversation"><h1>${shown[shown.length - 1].subject || t("list.noSubject")}</h1>
		<div class="labels">${boxes.map(b => html`<span class="chip" key=${b.id}><span>${app.boxName(b)}</span></span>`)}
		${labels(shown).map(l => html`<span class="chip label" key=${l}><span>${l}</span><button type="button" aria-label=${t("search.remove", { what: l })}
			onClick=${() => app.label(l, false)}>×</button></span>`)}</div>
		${shown.map(e => html`<div key=${e.id} ref=${e === last ? newest : undefined} class="place-of-message"><${Message} app=${app} email=${e} open=${isOpen(e)} only=${shown.length === 1} onToggle=${() => toggle(e)} /></div>`)}
		${last && html`<div class="answers"><${Button} class="line" icon="reply" label=${t("act.reply")} key_="r" onClick=${() => void write(app, "reply", last)} />
			<${Button} class="line" icon="replyAll" label=${t("act.replyAll")} key_="a" onClick=${() => void write(app, "replyAll", last)} />
			<${Button} class="line" icon="forward" label=${t("act.forward")} key_="f" onClick=${() => void write(app, "forward", last)} /></div>`}</div>`;
}

/** Mail of a conversation that lies in the trash or in junk shows only there. */
function hidden(app, email) {
	const away = app.idsOf("trash", "junk").filter(b => b !== app.state.route.value);
	return Object.keys(email.mailboxIds).every(id => away.includes(id));
}
