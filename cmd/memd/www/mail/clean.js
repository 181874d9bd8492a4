// @ts-check
/**
 * HTML of strangers, made harmless, in a room of its own (openRoom() first): DOMPurify takes out what runs, then, on its result, in a document that
 * has no window, goes whatever could ask the network for anything, unless the reader has allowed pictures.
 * The result is shown in a frame that has no scripts and a policy of its own (mail/frame.js): either wall
 * holds alone, and t/www/browser tests each without the other.
 *
 * Links open elsewhere, without opener; one whose words name another host than it goes to says where it goes.
 * Quoted text is folded with <details>, which needs no script.
 */
import { room } from "./room.js";
import { cleanSheet, cleanStyle } from "./css.js";

/** What an attribute may be: a URL of these schemes, or something that is no URL with a scheme (a width, a colour). */
function values(schemes) {
	return new RegExp(`^(?:(?:${schemes}):|[^a-z]|[a-z+.\\-]+(?:[^a-z+.\\-:]|$))`, "i");
}

const CONFIG = {
	WHOLE_DOCUMENT: true,
	RETURN_DOM: true,
	USE_PROFILES: { html: true },
	FORBID_TAGS: ["style", "form", "input", "button", "select", "option", "optgroup", "textarea", "fieldset", "legend", "datalist", "output",
		"meter", "progress", "audio", "video", "source", "track", "picture", "map", "area", "dialog", "details", "summary", "template",
		"slot", "marquee", "menu", "search"],
	FORBID_ATTR: ["id", "name", "srcset", "sizes", "ping", "poster", "action", "formaction", "usemap", "ismap", "tabindex", "accesskey",
		"autofocus", "contenteditable", "popover", "popovertarget", "target", "download", "loading", "crossorigin", "slot", "is"],
	ALLOW_DATA_ATTR: false,
	ALLOW_UNKNOWN_PROTOCOLS: false,
	ADD_URI_SAFE_ATTR: [],
	ALLOWED_URI_REGEXP: values("https?|mailto|tel|cid|data"),
};
/* DOMPurify copies what an element holds when it takes that away: many in each other are copied many times. */
const KNOWN = new Set(("html head title body a abbr address b big blockquote br caption center cite code col colgroup dd del dfn div dl dt em font " +
	"h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark meta link ol p pre q s samp small span strike strong sub sup table tbody td tfoot th thead tr tt u ul").split(" "));
const MOST_ODD = 5000;		/* elements of other kinds; mail of people and newsletters has some hundreds */
const PICTURE = /^data:image\/(?:png|jpe?g|gif|webp|avif|bmp|x-icon)[;,]/i;
const REMOTE = /^https?:/i;
const QUOTES = "blockquote[type=cite], .gmail_quote, .yahoo_quoted, .protonmail_quote, blockquote";

/**
 * @param {string} html
 * @param {{pictures: boolean, inline: Map<string, string>, goes: (host: string) => string, quoted: string}} how
 *	inline: Content-ID to a blob: URL; goes: the words for a link's real host; quoted: what a folded quote is called
 * @returns {{html: string, blocked: boolean}} blocked: something of the network was left out
 */
export function clean(html, how) {
	const out = { html: "", blocked: false };
	const sheets = takeSheets(html, out);
	const safe = odd(sheets.rest) ? bareText(sheets.rest) : quiet(sheets.rest);
	const root = /** @type {HTMLElement} */ (room().purify.sanitize(safe, CONFIG));
	const body = root.querySelector("body") || root;
	for (const el of [body, ...body.querySelectorAll("*")])
		element(/** @type {HTMLElement} */ (el), how, out);
	fold(body, how.quoted);
	const frame = body.ownerDocument.createElement("div");
	for (const name of ["style", "bgcolor", "dir"])
		if (body.hasAttribute(name))
			frame.setAttribute(name, body.getAttribute(name) || "");
	if (frame.hasAttribute("bgcolor"))
		frame.style.backgroundColor = frame.getAttribute("bgcolor") || "";
	frame.className = "tm-mail";
	frame.append(...body.childNodes);
	out.html = (sheets.css ? `<style>${sheets.css}</style>` : "") + frame.outerHTML;
	return out;
}

/**
 * Style sheets go their own way (mail/css.js): a document that is only read would be held to the page's policy and
 * report each of them.  What is left of "<style" is no element that anybody knows, and neither is what a browser
 * looks after while it only reads (a default <track> is asked for before anybody can take it out).
 * Here and in quiet() no pattern runs on to an end that may be missing: that would be tried from each beginning anew.
 */
function takeSheets(html, out) {
	const css = [], kept = [], begins = /<style\b/gi, ends = /<\/style\b/gi;
	let at = 0;
	for (let m; (m = begins.exec(html));) {
		const open = ends.lastIndex = html.indexOf(">", begins.lastIndex) + 1;
		const close = open ? ends.exec(html) : null;
		const over = close ? html.indexOf(">", ends.lastIndex) + 1 : 0;
		if (!close || !over)
			break;
		const media = /\bmedia\s*=\s*["']?([\w\s(),:.-]+)/i.exec(html.slice(begins.lastIndex, open - 1));
		const bare = html.slice(open, close.index).replace(/^\s*<!--|-->\s*$/g, "");
		const sheet = cleanSheet(media ? `@media ${media[1]} {${bare}}` : bare);
		out.blocked = out.blocked || sheet.asked;
		css.push(sheet.css);
		kept.push(html.slice(at, m.index));
		at = begins.lastIndex = over;
	}
	kept.push(html.slice(at));
	return { css: css.join("\n"), rest: kept.join("").replace(/<(\/?)(style|track|iframe|object|embed|portal|fencedframe)/gi, "<$1x-$2") };
}

/**
 * Handlers in tags under another name.  Only so that a browser does not complain of each while DOMPurify reads:
 * it is DOMPurify that takes them out, whatever this misses.
 */
function quiet(html) {
	const out = [], tags = /<[a-z]/gi;
	let at = 0;
	for (let m; (m = tags.exec(html));) {
		const end = html.indexOf(">", m.index) + 1;
		if (!end)
			break;
		out.push(html.slice(at, m.index), html.slice(m.index, end).replace(/([\s"'/])on(?=[a-z]+\s*=)/gi, "$1data-on"));
		at = tags.lastIndex = end;
	}
	return out.join("") + html.slice(at);
}

function odd(html) {
	let n = 0;
	for (const m of html.matchAll(/<([a-z][^\s/>]*)/gi))
		n += KNOWN.has(m[1].toLowerCase()) ? 0 : 1;
	return n > MOST_ODD;
}

const bareText = html => `<pre>${html.replace(/<[^<>]*>/g, " ").replace(/</g, "&lt;")}</pre>`;

/** @param {HTMLElement} el */
function element(el, how, out) {
	if (el.hasAttribute("style")) {
		out.blocked = cleanStyle(el.style) || out.blocked;
		if (!el.style.length)
			el.removeAttribute("style");
	}
	if (el.hasAttribute("background")) {
		const url = el.getAttribute("background") || "";
		el.removeAttribute("background");
		if (how.pictures && REMOTE.test(url))
			el.style.backgroundImage = `url(${JSON.stringify(url)})`;
		else
			out.blocked = out.blocked || REMOTE.test(url);
	}
	for (const name of ["href", "src", "cite", "longdesc", "data", "profile", "xlink:href"])
		if (el.hasAttribute(name) && !(name === "href" && el.tagName === "A") && !(name === "src" && el.tagName === "IMG"))
			el.removeAttribute(name);
	if (el.tagName === "IMG")
		picture(el, how, out);
	else if (el.tagName === "A")
		link(el, how);
}

function picture(img, how, out) {
	const src = (img.getAttribute("src") || "").trim();
	img.removeAttribute("src");
	if (/^cid:/i.test(src)) {
		const url = how.inline.get(decode(src.slice(4)));
		if (url)
			img.setAttribute("src", url);
	} else if (PICTURE.test(src))
		img.setAttribute("src", src);
	else if (REMOTE.test(src) && how.pictures) {
		img.setAttribute("src", src);
		img.setAttribute("referrerpolicy", "no-referrer");
	} else if (src) {
		out.blocked = out.blocked || REMOTE.test(src);
		const w = Number(img.getAttribute("width") || 99), h = Number(img.getAttribute("height") || 99);
		if (w < 3 || h < 3)	/* only there to be counted */
			img.remove();
		else
			img.classList.add("tm-blocked");
	}
	if (!img.hasAttribute("alt"))
		img.setAttribute("alt", "");
}

const decode = s => {
	try {
		return decodeURIComponent(s);
	} catch {
		return s;
	}
};

const host = url => {
	try {
		return new URL(url).hostname.replace(/^www\./, "");
	} catch {
		return "";
	}
};

const LONGEST = 2000;		/* characters of a link's words that are looked at */
const NAME = "((?:[\\p{L}\\p{N}](?:[\\p{L}\\p{N}-]*[\\p{L}\\p{N}])?\\.)+\\p{L}{2,})";
const BARE = new RegExp(`^${NAME}(?:[/:?#]\\S*)?$`, "iu"), AMONG = new RegExp(`(?:https?:\\/\\/|\\bwww\\.)${NAME}`, "iu");

/** The host that a link's words name, or "": they are an address, or have one with http: or www. among them. */
export function named(words) {
	const seen = words.slice(0, LONGEST).replace(/\p{Cf}/gu, "").trim();	/* what is not to be seen breaks no word for a reader */
	const m = BARE.exec(seen) || AMONG.exec(seen);
	return m ? host("http://" + m[1]) : "";
}

function link(a, how) {
	const href = (a.getAttribute("href") || "").trim();
	if (!/^(?:https?|mailto|tel):/i.test(href)) {
		a.removeAttribute("href");
		return;
	}
	a.setAttribute("target", "_blank");
	a.setAttribute("rel", "noopener noreferrer");
	a.setAttribute("title", href);
	const says = named(a.textContent || ""), goes = host(href);
	if (says && goes && says !== goes && !goes.endsWith("." + says)) {
		const note = a.ownerDocument.createElement("span");
		note.className = "tm-goes";
		note.textContent = ` [${how.goes(goes)}]`;
		a.after(note);
	}
}

/** The first quote that others do not contain goes behind a fold, when there is something before it. */
function fold(body, words) {
	const outer = [...body.querySelectorAll(QUOTES)].filter(q => !q.parentElement || !q.parentElement.closest(QUOTES));
	const text = (body.textContent || "").trim().length;
	for (const q of outer) {
		if ((q.textContent || "").trim().length >= text)	/* nothing but a quote: show it */
			continue;
		const details = body.ownerDocument.createElement("details");
		const summary = body.ownerDocument.createElement("summary");
		details.className = "tm-quote";
		summary.textContent = "···";
		summary.title = words;
		summary.setAttribute("aria-label", words);
		q.replaceWith(details);
		details.append(summary, q);
	}
}

/** Keeps what Content-IDs name as cid: URLs, which nothing loads. */
const CIDS = /** @type {any} */ ({ get: cid => "cid:" + cid });

/** For the editor: what is pasted or answered, as a fragment without anything of the network. */
export function cleanFragment(html) {
	const out = clean(html, { pictures: false, inline: CIDS, goes: () => "", quoted: "" });
	return adopt(room().purify.sanitize(unfold(out.html), {
		USE_PROFILES: { html: true }, RETURN_DOM_FRAGMENT: true, FORBID_TAGS: ["style", "details", "summary"],
		FORBID_ATTR: ["class", "id", "name", "title"], ADD_ATTR: ["type"],
	}));
}

/**
 * A fragment of the room as one of the page.  Copied, since what is only moved keeps the other window's classes and
 * is no Element to the editor; and with its styles set one by one, which is how the page's policy takes them.
 */
function adopt(fragment) {
	const styles = [...fragment.querySelectorAll("*")].map(el => {
		const text = el.getAttribute("style");
		el.removeAttribute("style");
		return text;
	});
	const copy = document.importNode(fragment, true);
	copy.querySelectorAll("*").forEach((el, n) => {
		if (styles[n])
			/** @type {HTMLElement} */ (el).style.cssText = styles[n];
	});
	return copy;
}

/** Cleaned HTML without the folds and notes that are for reading. */
export const unfold = html => html.replace(/<details class="tm-quote"><summary\b[^>]*>[^<]*<\/summary>/g, "").replace(/<\/details>/g, "")
    .replace(/<span class="tm-goes">[^<]*<\/span>/g, "");

const EDITED = { USE_PROFILES: { html: true }, FORBID_ATTR: ["style"], ADD_ATTR: ["type"], ALLOWED_URI_REGEXP: values("https?|mailto|tel|blob|data") };

/**
 * Trusted Types: the one policy beside DOMPurify's own, for the editor, which writes its undo states back by
 * innerHTML.  Whatever passes here is cleaned; styles go, since the page's policy takes none from text.
 */
export function installPolicy() {
	const tt = /** @type {any} */ (globalThis).trustedTypes;
	if (tt && !tt.defaultPolicy)
		tt.createPolicy("default", { createHTML: s => String(room().purify.sanitize(s, EDITED)) });
}
