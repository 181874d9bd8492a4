// @ts-check
/** A field of recipients: each a chip, checked as soon as it is one; names and addresses are offered while one types. */
import { cls, html, useEffect, useRef, useState } from "../kit/html.js";
import { Icon } from "../kit/icon.js";
import { useWatch } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { address, format, parse, unique, valid } from "../model/address.js";

const MOST = 6;

/** Contacts, then people of mail that is held: those who were written to first. @param {import("../model/app.js").App} app @returns {any[]} */
function known(app, text, taken) {
	const word = text.trim().toLowerCase();
	if (word.length < 2)
		return [];
	const all = app.contacts.offers(word, taken).map(a => ({ ...a, rank: -1 }));
	for (const e of app.cache.records("Email").values()) {
		const mine = (e.from || []).some(a => app.mine.has(address(a)));
		for (const a of mine ? [...(e.to || []), ...(e.cc || [])] : e.from || [])
			if (`${a.name || ""} ${a.email}`.toLowerCase().split(/[\s@.<"]+/).some(w => w.startsWith(word)) || a.email.toLowerCase().startsWith(word))
				all.push({ ...a, rank: mine ? 0 : 1 });
	}
	return unique(all.sort((a, b) => a.rank - b.rank), taken).slice(0, MOST);
}

/** @param {{app: any, label: string, id: string, list: any[], onChange: (list: any[]) => void, autofocus?: boolean, after?: any}} props */
export function Recipients({ app, label, id, list, onChange, autofocus, after }) {
	const [text, setText] = useState("");
	const [at, setAt] = useState(-1);
	const input = useRef(/** @type {any} */ (null));
	useWatch(app.contacts);
	useEffect(() => {
		if (!app.contacts.loaded)
			void app.contacts.load();
	}, [app]);
	const offers = known(app, text, new Set(list.map(address)));
	const take = (words = text) => {
		const more = parse(words);
		if (more.length)
			onChange([...list, ...unique(more, new Set(list.map(address)))]);
		setText("");
		setAt(-1);
	};
	const choose = a => {
		onChange([...list, ...(a.members || [{ name: a.name, email: a.email }])]);
		setText("");
		setAt(-1);
		input.current.focus();
	};
	const onKeyDown = e => {
		if ((e.key === "Enter" && text) || e.key === "," || e.key === ";" || (e.key === "Tab" && text.trim() && !e.shiftKey)) {
			if (e.key !== "Tab" || offers[at])
				e.preventDefault();
			if (offers[at])
				choose(offers[at]);
			else
				take();
		} else if ((e.key === "ArrowDown" || e.key === "ArrowUp") && offers.length) {
			e.preventDefault();
			setAt((at + (e.key === "ArrowDown" ? 1 : offers.length + 1) - (e.key === "ArrowDown" ? 0 : 2) + offers.length) % offers.length);
		} else if (e.key === "Backspace" && !text && list.length)
			onChange(list.slice(0, -1));
		else if (e.key === "Escape" && text) {
			setText("");
			e.stopPropagation();
		}
	};
	const onPaste = e => {
		const words = e.clipboardData.getData("text");
		if (parse(words).length > 1) {
			e.preventDefault();
			take(words);
		}
	};
	return html`<div class="compose-line recipients" onClick=${e => e.target === e.currentTarget && input.current.focus()}><label for=${id}>${label}</label>
		${list.map((a, n) => html`<span class=${cls("chip", !valid(a.email) && "bad")} key=${n + a.email} title=${valid(a.email) ? a.email : t("compose.bad", { address: a.email })}><span>${valid(a.email) ? a.name || a.email : format(a)}</span>
			${!valid(a.email) && html`<span class="hidden-text">${t("compose.bad", { address: a.email })}</span>`}
			<button type="button" aria-label=${t("compose.removeRecipient", { who: a.name || a.email })} onClick=${() => onChange(list.filter((_, i) => i !== n))}><${Icon} name="clear" /></button></span>`)}
		<input id=${id} ref=${input} type="text" inputmode="email" autocomplete="off" autocapitalize="none" spellcheck=${false} data-first=${autofocus || undefined} value=${text}
			role="combobox" aria-expanded=${offers.length > 0} aria-autocomplete="list" aria-controls=${id + "-offers"} aria-activedescendant=${offers[at] ? `${id}-${at}` : undefined}
			onInput=${e => { setText(e.target.value); setAt(-1); }} onKeyDown=${onKeyDown} onPaste=${onPaste} onBlur=${() => text.trim() && take()} />${after}
		${offers.length > 0 && html`<div class="offers" role="listbox" id=${id + "-offers"} aria-label=${t("search.offers")}>${offers.map((a, n) => html`
			<div role="option" id=${`${id}-${n}`} key=${a.email} aria-selected=${n === at} class=${cls("offer", n === at && "at")} onMouseDown=${e => { e.preventDefault(); choose(a); }}><b>${a.name || a.email}</b><span>${a.members ? t("contacts.members", { n: a.members.length }) : a.email}</span></div>`)}</div>`}</div>`;
}
