// @ts-check
/** The search field: words on the left become chips when they are more than words; fields and people are offered while one types. */
import { cls, html, useEffect, useRef, useState } from "../kit/html.js";
import { Icon } from "../kit/icon.js";
import { t } from "../i18n/i18n.js";
import { address } from "../model/address.js";
import { offers, parse, write } from "../model/search.js";
import { useMail } from "./context.js";

const MOST_PEOPLE = 4;

/** Senders of mail that is held whose name or address has the word. */
function people(app, word) {
	if (word.length < 2)
		return [];
	const seen = new Map();
	for (const e of app.cache.records("Email").values())
		for (const a of e.from || [])
			if (!seen.has(address(a)) && `${a.name || ""} ${a.email}`.toLowerCase().includes(word.toLowerCase()))
				seen.set(address(a), a);
	return [...seen.values()].slice(0, MOST_PEOPLE);
}

export function SearchField() {
	const app = useMail();
	const r = app.state.route;
	const terms = r.kind === "search" ? parse(r.value) : [];
	const chips = terms.filter(x => x.field !== "text");
	const [text, setText] = useState("");
	const [open, setOpen] = useState(false);
	const [at, setAt] = useState(-1);
	const input = useRef(/** @type {any} */ (null));
	useEffect(() => setText(write(terms.filter(x => x.field === "text"))), [r.kind, r.value]);
	const [, whose, word] = /(from:|to:)?(\S*)$/i.exec(text) || ["", "", ""];
	/** @type {any[]} */
	const choices = !open ? [] : [
		...offers(text).map(o => ({ key: o.what, insert: o.insert, what: o.what, hint: t(`search.hint.${o.what}`) })),
		...people(app, word).map(p => ({ key: address(p), insert: text.slice(0, text.length - word.length - (whose || "").length) + `${whose || "from:"}${p.email} `, what: p.name || p.email, hint: p.email })),
	];
	const go = all => {
		setOpen(false);
		const q = all.trim();
		if (q)
			app.go({ kind: "search", value: q });
		else if (r.kind === "search")
			app.go({ kind: "box", value: app.role("inbox")?.id });
	};
	const whole = (words = text) => [write(chips), words].filter(Boolean).join(" ");
	const take = choice => {
		if (choice.insert.endsWith(" "))
			go(whole(choice.insert));
		else {
			setText(choice.insert);
			input.current.focus();
		}
		setAt(-1);
	};
	const onKeyDown = e => {
		if (e.key === "ArrowDown" || e.key === "ArrowUp") {
			e.preventDefault();
			setOpen(true);
			const n = choices.length;
			if (n)
				setAt(a => (e.key === "ArrowDown" ? (a + 1) % n : (a - 1 + n) % n));
		} else if (e.key === "Enter") {
			e.preventDefault();
			if (choices[at])
				take(choices[at]);
			else
				go(whole());
		} else if (e.key === "Escape") {
			if (open)
				setOpen(false);
			else
				input.current.blur();
			e.stopPropagation();
		} else if (e.key === "Backspace" && !text && chips.length)
			go(write(chips.slice(0, -1)));
	};
	return html`<div class="search" role="search" onFocusOut=${e => !e.currentTarget.contains(e.relatedTarget) && setOpen(false)}>
		<div class="field-line"><${Icon} name="search" />
		${chips.map((c, n) => html`<span class="chip" key=${n + write([c])}><span>${write([c])}</span><button type="button" aria-label=${t("search.remove", { what: write([c]) })}
			onClick=${() => go([write(terms.filter(x => x !== c))].join(" "))}><${Icon} name="clear" /></button></span>`)}
		<input ref=${input} type="text" enterkeyhint="search" autocomplete="off" spellcheck=${false} aria-label=${t("search.label")} placeholder=${chips.length ? "" : t("search.placeholder")}
			role="combobox" aria-expanded=${choices.length > 0} aria-controls="search-offers" aria-autocomplete="list" aria-activedescendant=${choices[at] ? "offer-" + at : undefined}
			value=${text} onInput=${e => { setText(e.target.value); setOpen(true); setAt(-1); }} onFocus=${() => setOpen(true)} onKeyDown=${onKeyDown} />
		${r.kind === "search" || text ? html`<button type="button" class="button bare" aria-label=${t("search.clear")} title=${t("search.clear")} onClick=${() => { setText(""); go(""); }}><${Icon} name="clear" /></button>` : html`<kbd aria-hidden="true">/</kbd>`}</div>
		${choices.length > 0 && html`<div class="offers" id="search-offers" role="listbox" aria-label=${t("search.offers")}>${choices.map((c, n) => html`
			<div role="option" id=${"offer-" + n} key=${c.key} aria-selected=${n === at} class=${cls("offer", n === at && "at")} onMouseDown=${e => { e.preventDefault(); take(c); }}>
			<b>${c.what}</b><span>${c.hint}</span></div>`)}</div>`}
	</div>`;
}
