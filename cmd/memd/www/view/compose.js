// @ts-check
/** Messages that are being written: windows beside the mail, minimised to bars, a sheet on a phone. */
import { cls, html, useEffect, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { Confirm } from "../kit/dialog.js";
import { Menu } from "../kit/menu.js";
import { useWatch } from "../kit/store.js";
import { t, words } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { badRecipients, forgotAttachment, htmlText } from "../model/compose.js";
import { unkept } from "../model/outbox.js";
import { size } from "../model/format.js";
import { textToHtml } from "../model/quote.js";
import { useApp } from "./context.js";
import { Editor } from "./editor.js";
import { openTimes, whenWords } from "./scheduled.js";
import { Recipients } from "./recipients.js";

export function ComposeDock() {
	const app = useApp();
	useWatch(app.outbox);
	if (!app.outbox.windows.length)
		return null;
	return html`<div class="dock">${app.outbox.windows.map(w => html`<${ComposeWindow} key=${w.draft.key} app=${app} w=${w} />`)}</div>`;
}

function ComposeWindow({ app, w }) {
	const d = w.draft;
	const editor = useRef(/** @type {any} */ (null));
	const files = useRef(/** @type {any} */ (null));
	const [over, setOver] = useState(false);
	const [cleared, setCleared] = useState(0);
	const title = d.subject.trim() || t("compose.new");
	const set = part => app.outbox.update(w, part);
	if (w.mini)
		return html`<section class="compose mini" aria-label=${title}><button type="button" class="bar" aria-label=${`${t("compose.restore")}: ${title}`} onClick=${() => restore(app, w)}><span>${title}</span></button>
			<${Button} bare icon="clear" label=${t("compose.close")} onClick=${() => void close(app, w)} /></section>`;
	const attach = async (list, inline = false) => {
		for (const file of list) {
			const cid = inline ? `${crypto.randomUUID()}@tiermail` : undefined;
			try {
				await app.outbox.attach(w, file, { cid });
				if (cid && editor.current)
					editor.current.picture(cid, file);
			} catch (error) {
				if (error.name !== "AbortError")
					app.toasts.say(error.type === "tooLarge" ? t("compose.tooLarge", { name: file.name, most: size(app.transport.limits.maxSizeUpload, words.intl) }) :
						t("compose.uploadFailed", { name: file.name, why: why(error) }), { failed: true });
			}
		}
	};
	const drop = e => {
		setOver(false);
		if (!e.dataTransfer.files.length)
			return;
		e.preventDefault();
		void attach([...e.dataTransfer.files]);
	};
	const keys = e => {
		if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
			e.preventDefault();
			void send(app, w);
		} else if (e.key === "Escape" && !e.defaultPrevented) {
			e.stopPropagation();
			void close(app, w);
		}
	};
	const switchTo = rich => {
		set(rich ? { rich, html: textToHtml(d.text) } : { rich, text: htmlText(d.html) });
		setCleared(cleared + 1);
	};
	const answer = d.answers !== null && d.to.length > 0;
	return html`<section class=${cls("compose", over && "over-files")} aria-label=${title} onKeyDown=${keys} onDragOver=${e => e.dataTransfer.types.includes("Files") && (e.preventDefault(), setOver(true))}
		onDragLeave=${e => !e.currentTarget.contains(e.relatedTarget) && setOver(false)} onDrop=${drop}>
		<header><h2>${title}</h2><${Saved} w=${w} />
			<${Button} bare icon="minimise" class="wide-only" label=${t("compose.minimise")} onClick=${() => { w.mini = true; app.outbox.changed(); }} />
			<${Button} bare icon="clear" label=${t("compose.close")} key_="Esc" onClick=${() => void close(app, w)} /></header>
		<${From} app=${app} w=${w} onChange=${() => setCleared(cleared + 1)} />
		<${Recipients} app=${app} id=${d.key + "to"} label=${t("compose.to")} list=${d.to} onChange=${to => set({ to })} autofocus=${!answer}
			after=${!w.copies && html`<button type="button" class="button small" onClick=${() => { w.copies = true; app.outbox.changed(); }}>${t("compose.showCc")}</button>`} />
		${w.copies && html`<${Recipients} app=${app} id=${d.key + "cc"} label=${t("compose.cc")} list=${d.cc} onChange=${cc => set({ cc })} />
			<${Recipients} app=${app} id=${d.key + "bcc"} label=${t("compose.bcc")} list=${d.bcc} onChange=${bcc => set({ bcc })} />`}
		<div class="compose-line"><label for=${d.key + "s"}>${t("compose.subject")}</label><input id=${d.key + "s"} type="text" value=${d.subject} onInput=${e => set({ subject: e.target.value })} /></div>
		${d.rich ? html`<${Editor} key=${"r" + cleared} app=${app} attachments=${d.attachments} value=${d.html} label=${t("compose.body")} first=${answer} onChange=${h => set({ html: h })} onFiles=${(list, inline) => void attach(list, inline)} onEditor=${e => (editor.current = e)} />` :
			html`<${Plain} key=${"p" + cleared} value=${d.text} first=${answer} onChange=${text => set({ text })} />`}
		<${Files} w=${w} onRemove=${a => set({ attachments: d.attachments.filter(x => x !== a) })} />
		<footer><${Button} primary label=${t("compose.send")} key_="Ctrl+Enter" onClick=${() => void send(app, w)} />
			${app.outbox.delay() > 0 && html`<${Button} bare icon="clock" label=${t("later.title")} onClick=${e => openTimes(app, e.currentTarget, at => void send(app, w, at))} />`}
			<${Button} bare icon="attach" label=${t("compose.attach")} onClick=${() => files.current.click()} />
			<input type="file" multiple hidden ref=${files} onChange=${e => { void attach([...e.target.files]); e.target.value = ""; }} />
			<span class="space"></span>
			<${Button} bare icon="more" label=${t("act.more")} onClick=${e => app.layers.open(Menu, { items: [{ label: d.rich ? t("compose.plain") : t("compose.rich"), icon: "plain", do: () => switchTo(!d.rich) }] },
				{ kind: "menu", at: e.currentTarget, label: t("act.more") })} />
			<${Button} bare icon="bin" label=${t("compose.discard")} onClick=${() => void discard(app, w)} /></footer>
		${over && html`<div class="drop">${t("compose.drop")}</div>`}</section>`;
}

function restore(app, w) {
	for (const x of app.outbox.windows)
		x.mini = x !== w;
	app.outbox.changed();
}

/** Text without formatting; the cursor begins above what is quoted. */
function Plain({ value, first, onChange }) {
	const area = useRef(/** @type {any} */ (null));
	useEffect(() => {
		if (!first)
			return;
		area.current.focus();
		area.current.setSelectionRange(0, 0);
		area.current.scrollTop = 0;
	}, []);
	return html`<textarea class="plain-text" ref=${area} aria-label=${t("compose.body")} value=${value} onInput=${e => onChange(e.target.value)}></textarea>`;
}

function Saved({ w }) {
	const time = new Intl.DateTimeFormat(words.intl, { hour: "2-digit", minute: "2-digit" });
	return html`<span class=${cls("saved", w.error && "wrong")} role="status">${w.saving ? t("compose.saving") : w.error ? t("compose.notSaved", { why: why(w.error) }) :
		w.savedAt ? t("compose.saved", { at: time.format(w.savedAt) }) : ""}</span>`;
}

function From({ app, w, onChange }) {
	useWatch(app.cache);
	const all = app.cache.all("Identity");
	if (all.length < 2)
		return null;
	const now = app.outbox.identity(w);
	return html`<div class="compose-line"><label for=${w.draft.key + "f"}>${t("compose.from")}</label><select id=${w.draft.key + "f"} value=${now && now.id}
		onChange=${e => { app.outbox.setIdentity(w, e.target.value); onChange(); }}>${all.map(i => html`<option key=${i.id} value=${i.id}>${i.name ? `${i.name} <${i.email}>` : i.email}</option>`)}</select></div>`;
}

function Files({ w, onRemove }) {
	const list = w.draft.attachments.filter(a => !a.cid || !w.draft.rich);
	if (!list.length && !w.uploads.length)
		return null;
	return html`<div class="files">${list.map(a => html`<span class="chip" key=${a.blobId}><${Icon} name="attach" /><span>${a.name}</span><small>${size(a.size, words.intl)}</small>
		<button type="button" aria-label=${t("compose.removeFile", { name: a.name })} onClick=${() => onRemove(a)}><${Icon} name="clear" /></button></span>`)}
		${w.uploads.map(u => html`<span class="chip going" key=${u.name + u.size}><span>${u.name}</span><small>${t("compose.progress")}</small>
		<button type="button" aria-label=${t("compose.removeFile", { name: u.name })} onClick=${() => u.abort.abort()}><${Icon} name="clear" /></button></span>`)}</div>`;
}

async function close(app, w) {
	try {
		await app.outbox.close(w);
		void app.sync();
	} catch (error) {
		app.toasts.say(t("compose.notSaved", { why: why(error) }), { failed: true });
	}
}

async function discard(app, w) {
	const back = { ...w.draft, savedId: null, saved: "" };
	await app.outbox.discard(w).catch(error => app.toasts.say(t("done.failed", { why: why(error) }), { failed: true }));
	void app.sync();
	app.toasts.say(t("compose.discarded"), { action: { label: t("act.undo"), do: () => app.outbox.open(back) } });
}

/** What is not as it should be is asked or said before anything goes, now or `at` a time to come. */
async function send(app, w, at = /** @type {Date | null} */ (null), sure = { attachment: false, subject: false }) {
	const d = w.draft;
	const tell = words => app.toasts.say(words, { failed: true, stay: 6000 });
	if (!d.to.length && !d.cc.length && !d.bcc.length)
		return tell(t("compose.nobody"));
	if (badRecipients(d).length)
		return tell(t("compose.badRecipients"));
	if (w.uploads.length)
		return tell(t("compose.uploading"));
	if (!sure.subject && !d.subject.trim())
		return ask(app, t("compose.noSubject"), t("compose.noSubjectSays"), t("compose.send"), () => void send(app, w, at, { ...sure, subject: true }));
	if (!sure.attachment && forgotAttachment(d, new RegExp(`(?<!\\p{L})(?:${t("compose.attachWords")})(?!\\p{L})`, "iu")))
		return ask(app, t("compose.forgot"), "", t("compose.forgotSend"), () => void send(app, w, at, { ...sure, attachment: true }));
	if (at)
		return sendLater(app, w, at);
	const seconds = app.settings.state.undoSeconds;
	try {
		await app.outbox.send(w, seconds);
	} catch (error) {
		return tell(t("compose.sendFailed", { why: why(error) }));
	}
	if (seconds)
		app.toasts.say(t("compose.sending", { n: seconds }), { stay: seconds * 1000, bar: true, action: { label: t("act.undo"), do: async () => {
			const back = await app.outbox.undo(w);
			app.toasts.say(t(back ? "compose.taken" : "compose.tooLate"), { stay: 4000 });
		} } });
	return undefined;
}

async function sendLater(app, w, at) {
	let one;
	try {
		one = await app.outbox.schedule(w, at);
	} catch (error) {
		return app.toasts.say(unkept(error) ? t("later.unkept") : t("compose.sendFailed", { why: why(error) }), { failed: true, stay: 6000 });
	}
	void app.sync();
	return app.toasts.say(t("later.done", { at: whenWords(at) }), { stay: 8000, action: { label: t("act.undo"), do: async () => {
		try {
			const back = await app.scheduled.takeBack(one);
			if (back)
				app.outbox.again(w);
			app.toasts.say(t(back ? "compose.taken" : "compose.tooLate"), { stay: 4000 });
		} catch (error) {
			app.toasts.say(t("done.failed", { why: why(error) }), { failed: true });
		}
	} } });
}

function ask(app, title, text, yes, onYes) {
	app.layers.open(Confirm, { title, text, yes, no: t("compose.forgotBack"), onYes }, { kind: "dialog", label: title });
}
