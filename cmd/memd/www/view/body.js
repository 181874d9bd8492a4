// @ts-check
/**
 * The text of a message.  Plain text becomes elements here; HTML goes, cleaned, into a frame without scripts,
 * whose document is a page of this origin with a policy of its own (sandbox.html; pictures.html once the
 * reader has allowed pictures).  The frame is as high as what it shows; keys pressed in it are the page's.
 */
import { html, useEffect, useMemo, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { useStore } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { address, shortName } from "../model/address.js";
import { fromMailto } from "../model/compose.js";
import { blocks, links } from "../model/quote.js";

const FITS = 20;	/* changes of a frame's height in a row that nothing explains */

/** @param {{app: import("../model/app.js").App, email: any, from: any}} props */
export function Body({ app, email, from }) {
	const loading = !("bodyValues" in email);
	useEffect(() => {
		if (loading)
			void app.threads.open(email.id);
	}, [loading]);
	if (loading)
		return html`<div class="body skeleton" aria-busy="true"><i></i><i></i><i></i></div>`;
	const parts = (email.htmlBody || []).filter(p => email.bodyValues[p.partId]);
	if (!parts.length)
		return html`<div class="body"><p class="hint">${t("read.emptyBody")}</p></div>`;
	const cut = parts.some(p => email.bodyValues[p.partId].isTruncated);
	return html`${parts.map(p => (p.type === "text/html" ?
		html`<${HtmlBody} key=${p.partId} app=${app} email=${email} from=${from} text=${email.bodyValues[p.partId].value} />` :
		html`<${TextBody} key=${p.partId} app=${app} text=${email.bodyValues[p.partId].value} />`))}
		${cut && html`<p class="hint body">${t("read.truncated")}</p>`}`;
}

const MANY = 4000;		/* lines that are drawn at once; more when they are asked for */

/** The first `most` lines of a text; a quote that is folded is one. @returns {import("../model/quote.js").Block[]} */
function cut(list, most, folds) {
	const out = [];
	for (const b of list) {
		if (most <= 0)
			break;
		const folded = folds && b.kind === "quote";
		out.push(folded ? b : { ...b, lines: b.lines.slice(0, most) });
		most -= folded ? 1 : b.lines.length;
	}
	return out;
}

const More = ({ onClick }) => html`<p><button type="button" class="button line" onClick=${onClick}>${t("read.more")}</button></p>`;

function TextBody({ app, text }) {
	const all = useMemo(() => blocks(text), [text]);
	const alone = all.every(b => b.kind === "quote");
	const [most, setMost] = useState(MANY);
	const list = cut(all, most, !alone);
	const rest = all.length > list.length || (list.length > 0 && list[list.length - 1].lines.length < all[list.length - 1].lines.length);
	return html`<div class="body text">${list.map((b, n) => (b.kind === "quote" && !alone ?
		html`<${Quote} key=${n} app=${app} lines=${b.lines} />` :
		html`<div key=${n} class=${b.kind}><${Lines} app=${app} lines=${b.lines} /></div>`))}${rest && html`<${More} onClick=${() => setMost(most + MANY)} />`}</div>`;
}

function Quote({ app, lines }) {
	const [open, setOpen] = useState(false);
	const [most, setMost] = useState(MANY);
	return html`<div class="quoted"><button type="button" class="quote-toggle" aria-expanded=${open} onClick=${() => setOpen(!open)}>··· ${open ? t("read.quoteHide") : t("read.quoteShow", { n: lines.length })}</button>
		${open && html`<div class="quote"><${Lines} app=${app} lines=${lines.slice(0, most)} />${lines.length > most && html`<${More} onClick=${() => setMost(most + MANY)} />`}</div>`}</div>`;
}

function Lines({ app, lines }) {
	return html`${lines.map((l, n) => html`<div class="line" key=${n}>${l ? links(l).map((p, i) => (p.href ?
		html`<a key=${i} href=${p.href} target="_blank" rel="noopener noreferrer" onClick=${e => followed(app, e, p.href)}>${p.text}</a>` : p.text)) : html`<br />`}</div>`)}`;
}

/** mailto: opens a message here. */
function followed(app, e, href) {
	if (!/^mailto:/i.test(href))
		return;
	e.preventDefault();
	app.outbox.open(fromMailto(href));
}

function HtmlBody({ app, email, from, text }) {
	const settings = useStore(app.settings);
	const always = settings.pictures === "always" || settings.pictureSenders.includes(address(from));
	const [once, setOnce] = useState(false);
	const pictures = always || once;
	const [out, setOut] = useState(/** @type {{html: string, blocked: boolean, pictures: boolean} | null} */ (null));
	useEffect(() => {
		let gone = false;
		/** @type {string[]} */
		const urls = [];
		void (async () => {
			const [{ clean }, { openRoom }] = await Promise.all([import("../mail/clean.js"), import("../mail/room.js")]);
			await openRoom();
			const inline = await inlinePictures(app, email, text, urls);
			if (!gone)
				setOut({ pictures, ...clean(text, { pictures, inline, goes: host => t("read.linkGoes", { host }), quoted: t("read.quoteToggle") }) });
		})();
		return () => {
			gone = true;
			urls.forEach(u => URL.revokeObjectURL(u));
		};
	}, [text, pictures]);
	if (!out)
		return html`<div class="body skeleton" aria-busy="true"><i></i><i></i><i></i></div>`;
	const who = shortName(from) || address(from);
	return html`${out.blocked && !pictures && html`<div class="notice"><${Icon} name="image" /><span>${t("read.pictures")}</span><span class="space"></span>
		<${Button} label=${t("read.picturesOnce")} onClick=${() => setOnce(true)} />
		${address(from) && html`<${Button} label=${t("read.picturesAlways", { who })} onClick=${() => void app.settings.change({ pictureSenders: [...settings.pictureSenders, address(from)] })} />`}</div>`}
		<${Frame} key=${out.pictures ? "pictures" : "none"} app=${app} html=${out.html} pictures=${out.pictures} title=${t("read.body", { who: from.name || from.email })} />`;
}

const MOST_INLINE = 200;	/* pictures of one message that are looked for in its text */

/** Pictures of the message itself, as blob: URLs by Content-ID; only those that the text names. */
async function inlinePictures(app, email, text, urls) {
	const all = (email.attachments || []).filter(a => a.cid && /^image\/(?:png|jpe?g|gif|webp|avif|bmp)$/i.test(a.type)).slice(0, MOST_INLINE);
	const named = all.filter(a => text.includes(a.cid.replace(/^<|>$/g, "")));
	const out = new Map();
	await Promise.all(named.map(async a => {
		try {
			const answer = await app.transport.download(a.blobId, "picture", a.type);
			const url = URL.createObjectURL(new Blob([await answer.arrayBuffer()], { type: a.type }));
			urls.push(url);
			out.set(a.cid.replace(/^<|>$/g, ""), url);
		} catch {
			/* shows as a picture that is not there */
		}
	}));
	return out;
}

/**
 * The frame is as high as its content.  Content may in turn be as high as the frame ("calc(100% + 9px)"), and would make
 * it grow for ever: after some changes in a row that no picture, fold or new width explains, it stays as it is.
 */
function fitHeight(frame, doc, signal) {
	let left = FITS, wide = 0;
	const more = () => (left = FITS);
	const fit = () => {
		const root = doc.documentElement;
		if (root.clientWidth !== wide)
			more();
		wide = root.clientWidth;
		const height = `${Math.ceil(doc.body.getBoundingClientRect().height) + (root.scrollWidth > wide ? 16 : 0)}px`;
		if (height === frame.style.height || !left)
			return;
		left--;
		frame.style.height = height;
	};
	const watch = new ResizeObserver(fit);
	watch.observe(doc.body);
	signal.addEventListener("abort", () => watch.disconnect());
	for (const why of ["load", "toggle"])		/* they come to nobody but their element */
		doc.addEventListener(why, more, { capture: true, signal });
	fit();
}

function Frame({ app, html: text, pictures, title }) {
	const frame = useRef(/** @type {any} */ (null));
	const page = pictures ? "/pictures.html" : "/sandbox.html";
	const fill = () => {
		const doc = frame.current && frame.current.contentDocument;
		/* Before its page is there a frame has a blank one with our own policy: nothing is written into that. */
		if (!doc || !doc.body || doc.location.pathname !== page)
			return undefined;
		doc.body.innerHTML = text;
		const end = new AbortController();
		fitHeight(frame.current, doc, end.signal);
		doc.addEventListener("click", e => {
			const a = e.target.closest && e.target.closest("a[href^='mailto:' i]");
			if (a)
				followed(app, e, a.getAttribute("href"));
		}, end);
		doc.addEventListener("keydown", e => dispatchEvent(new KeyboardEvent("keydown", { key: e.key, ctrlKey: e.ctrlKey, altKey: e.altKey, metaKey: e.metaKey, shiftKey: e.shiftKey })), end);
		return () => end.abort();
	};
	const stop = useRef(/** @type {any} */ (null));
	const load = () => {
		stop.current && stop.current();
		stop.current = fill();
	};
	useEffect(() => {
		load();
		return () => stop.current && stop.current();
	}, [text]);
	return html`<iframe class="mail-frame" ref=${frame} title=${title} sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox"
		src=${page} referrerpolicy="no-referrer" onLoad=${load}></iframe>`;
}
