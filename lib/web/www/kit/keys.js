// @ts-check
/**
 * Keyboard shortcuts of one letter, and two ("g i").  Not while somebody types, not with Ctrl, Alt or Meta,
 * not while a layer is open (layers stop keys before they come here).
 */
const WAIT = 1200;	/* ms between the two letters */

/** @param {any} target is text typed there? */
export const typing = target => !!target && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) &&
	!/^(checkbox|radio|button)$/.test(target.type));

export class Keys {
	/** @param {Record<string, (e: KeyboardEvent) => void>} table "j", "Shift+Enter", "g i" */
	constructor(table) {
		this.table = table;
		this.first = "";
		this.at = 0;
		this.onKeyDown = this.onKeyDown.bind(this);
	}

	/** @param {KeyboardEvent} e */
	onKeyDown(e) {
		if (e.defaultPrevented || e.ctrlKey || e.altKey || e.metaKey || typing(e.target))
			return;
		const pressed = e.target instanceof Element && (e.key === "Enter" || e.key === " ") && e.target.closest("button, a, [role=menuitem]");
		if (pressed)
			return;
		const two = this.first && Date.now() - this.at < WAIT ? `${this.first} ${e.key}` : "";
		this.first = "";
		const f = this.table[two] || (two ? undefined : this.table[e.key]);
		if (f) {
			e.preventDefault();
			f(e);
		} else if (Object.keys(this.table).some(k => k.startsWith(e.key + " "))) {
			this.first = e.key;
			this.at = Date.now();
		}
	}
}
