// @ts-check
/**
 * The editor for text with formatting: Squire in one element that preact leaves alone; loaded when the first
 * message is written.  Pictures of the message are blob: URLs while it is edited and cid: URLs outside.
 */
import { html, useEffect, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Ask } from "../kit/dialog.js";
import { t } from "../i18n/i18n.js";
import { htmlText } from "../model/compose.js";

/** Pictures by both their names. */
class Pictures {
	constructor() {
		this.byCid = new Map();
	}

	add(cid, blob) {
		const url = URL.createObjectURL(blob);
		this.byCid.set(cid, url);
		return url;
	}

	/** blob: to cid:, in HTML that leaves the editor. */
	out(html) {
		let s = html;
		for (const [cid, url] of this.byCid)
			s = s.split(url).join("cid:" + cid);
		return s;
	}

	/** cid: to blob:, in a fragment that comes in; one that nobody has is no picture. */
	in(fragment) {
		for (const img of fragment.querySelectorAll("img")) {
			const m = /^cid:(.*)$/i.exec(img.getAttribute("src") || "");
			if (m)
				img.removeAttribute("src");
			if (m && this.byCid.has(m[1]))
				img.setAttribute("src", this.byCid.get(m[1]));
		}
		return fragment;
	}

	free() {
		for (const url of this.byCid.values())
			URL.revokeObjectURL(url);
	}
}

/** @param {{app: any, attachments: any[], value: string, label: string, first: boolean, onChange: (html: string) => void, onFiles: (files: File[], inline: boolean) => void,
 *	onEditor: (editor: any) => void}} props */
export function Editor({ app, attachments, value, label, first, onChange, onFiles, onEditor }) {
	const box = useRef(/** @type {any} */ (null));
	const editor = useRef(/** @type {any} */ (null));
	const [marks, setMarks] = useState(/** @type {Record<string, boolean>} */ ({}));
	const [ready, setReady] = useState(false);
	useEffect(() => {
		let gone = false;
		const pictures = new Pictures();
		void (async () => {
			const [{ default: Squire }, { cleanFragment, installPolicy }] = await Promise.all([import("../vendor/squire.mjs"), import("../mail/clean.js"),
				import("../mail/room.js").then(m => m.openRoom()), load(app, attachments, value, pictures)]);
			if (gone)
				return;
			installPolicy();
			const e = editor.current = new Squire(box.current, {
				blockTag: "DIV", sanitizeToDOMFragment: h => pictures.in(cleanFragment(pictures.out(h))),
				toPlainText: h => htmlText(h),
			});
			e.setHTML(value || "<div><br></div>");
			e.moveCursorToStart();
			e.addEventListener("input", () => onChange(pictures.out(e.getHTML())));
			e.addEventListener("pathChange", () => setMarks({ bold: e.hasFormat("B"), italic: e.hasFormat("I"), underline: e.hasFormat("U"), link: e.hasFormat("A"),
				list: e.hasFormat("UL"), numbers: e.hasFormat("OL"), quote: e.hasFormat("BLOCKQUOTE") }));
			onEditor({ picture: (cid, file) => e.insertImage(pictures.add(cid, file), { alt: file.name }) });
			setReady(true);
			if (first)
				e.focus();
		})();
		return () => {
			gone = true;
			if (editor.current)
				editor.current.destroy();
			pictures.free();
		};
	}, []);
	const paste = e => {
		const files = [...(e.clipboardData ? e.clipboardData.files : [])].filter(f => /^image\//.test(f.type));
		if (files.length && !e.clipboardData.types.includes("text/html")) {
			e.preventDefault();
			e.stopPropagation();
			onFiles(files, true);
		}
	};
	const link = () => app.layers.open(Ask, {
		title: t("compose.link"), label: t("compose.linkAddress"), value: "https://", yes: t("act.ok"), no: t("act.cancel"),
		onYes: url => editor.current.makeLink(/^[a-z]+:/i.test(url) ? url : "https://" + url),
	}, { kind: "dialog", label: t("compose.link") });
	const toggle = (on, yes, no) => () => {
		editor.current[on ? no : yes]();
		editor.current.focus();
	};
	/** @type {[string, () => void, string?][]} */
	const tools = [
		["bold", toggle(marks.bold, "bold", "removeBold"), "Ctrl+B"], ["italic", toggle(marks.italic, "italic", "removeItalic"), "Ctrl+I"],
		["underline", toggle(marks.underline, "underline", "removeUnderline"), "Ctrl+U"], ["list", toggle(marks.list, "makeUnorderedList", "removeList")],
		["numbers", toggle(marks.numbers, "makeOrderedList", "removeList")], ["quote", toggle(marks.quote, "increaseQuoteLevel", "decreaseQuoteLevel")],
		["link", marks.link ? () => editor.current.removeLink() : link], ["plain", () => editor.current.removeAllFormatting()],
	];
	const names = { bold: t("compose.bold"), italic: t("compose.italic"), underline: t("compose.underline"), list: t("compose.list"), numbers: t("compose.numbers"),
		quote: t("compose.quote"), link: t("compose.link"), plain: t("compose.clearFormat") };
	return html`<div class="editor"><div class="editor-text" ref=${box} role="textbox" aria-multiline="true" aria-label=${label} contenteditable="true" tabindex="0" onPaste=${paste} data-ready=${ready}></div>
		<div class="editor-tools" role="toolbar" aria-label=${t("compose.tools")}>${tools.map(([name, f, key]) => html`<${Button} key=${name} bare icon=${name} label=${names[name]} key_=${key} pressed=${name === "plain" ? undefined : !!marks[name]}
			onMouseDown=${e => e.preventDefault()} onClick=${f} />`)}</div></div>`;
}

/** The pictures that a draft's text names. @param {Pictures} pictures */
async function load(app, attachments, text, pictures) {
	await Promise.all(attachments.filter(a => a.cid && text.includes(a.cid)).map(async a => {
		try {
			pictures.add(a.cid, await (await app.transport.download(a.blobId, "picture", a.type)).blob());
		} catch {
			/* it stays in the message, and is not shown here */
		}
	}));
}
