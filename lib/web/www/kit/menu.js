// @ts-check
/** Menus: a list of things to do, walked with the arrows or the first letters; some of them are checked. */
import { cls, html, useRef } from "./html.js";
import { Icon } from "./icon.js";

/**
 * @typedef {{label: string, icon?: string, do?: () => void, checked?: boolean, danger?: boolean, disabled?: boolean,
 *	key_?: string, depth?: number, line?: boolean}} Item  line: a rule above it
 * @param {{items: Item[], close: () => void, label: string}} props
 */
export function Menu({ items, close, label }) {
	const box = useRef(/** @type {any} */ (null));
	const onKeyDown = e => {
		const all = [...box.current.querySelectorAll("[role^=menuitem]:not([disabled])")];
		const at = all.indexOf(document.activeElement);
		const go = n => {
			e.preventDefault();
			all[(n + all.length) % all.length].focus();
		};
		if (e.key === "ArrowDown")
			go(at + 1);
		else if (e.key === "ArrowUp")
			go(at < 0 ? all.length - 1 : at - 1);
		else if (e.key === "Home")
			go(0);
		else if (e.key === "End")
			go(all.length - 1);
		else if (e.key.length === 1 && !e.ctrlKey && !e.metaKey && /\S/.test(e.key)) {
			const from = [...all.slice(at + 1), ...all.slice(0, at + 1)];
			const hit = from.find(b => b.textContent.trim().toLowerCase().startsWith(e.key.toLowerCase()));
			if (hit)
				hit.focus();
		}
	};
	return html`<div class="menu" role="menu" aria-label=${label} ref=${box} onKeyDown=${onKeyDown}>
		${items.map(i => html`<button type="button" key=${i.label + i.depth} class=${cls("item", i.danger && "danger", i.line && "line")}
			role=${i.checked === undefined ? "menuitem" : "menuitemcheckbox"} aria-checked=${i.checked} disabled=${i.disabled}
			style=${i.depth ? { paddingInlineStart: `${12 + i.depth * 16}px` } : undefined}
			onClick=${() => { close(); i.do && i.do(); }}>
			<${Icon} name=${i.checked ? "check" : i.icon || "none"} /><span>${i.label}</span>${i.key_ && html`<kbd>${i.key_}</kbd>`}</button>`)}
	</div>`;
}
