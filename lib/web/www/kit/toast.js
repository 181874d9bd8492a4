// @ts-check
/** Quiet words at the bottom: what was done, with Undo for 8 seconds; what failed stays until it is read. */
import { cls, html } from "./html.js";
import { Store, useStore } from "./store.js";

const STAY = 8000, STAY_FAILED = 15000;	/* ms */
const MOST = 3;
let next = 1;

export class Toasts extends Store {
	constructor() {
		super({ /** @type {any[]} */ list: [] });
	}

	/**
	 * @param {string} text
	 * @param {{action?: {label: string, do: () => void}, failed?: boolean, stay?: number, bar?: boolean, onGone?: () => void}} [how]
	 * @returns {() => void} takes it away
	 */
	say(text, how = {}) {
		const toast = { id: next++, text, ...how };
		this.set({ list: [...this.state.list, toast].slice(-MOST) });
		const gone = () => this.drop(toast.id);
		toast.stay = how.stay ?? (how.failed ? STAY_FAILED : STAY);
		setTimeout(gone, toast.stay);
		return gone;
	}

	drop(id) {
		if (this.state.list.some(t => t.id === id))
			this.set({ list: this.state.list.filter(t => t.id !== id) });
	}
}

/** @param {{toasts: Toasts, close: string}} props  close: the word for it */
export function ToastList({ toasts, close }) {
	const { list } = useStore(toasts);
	return html`<div class="toasts" role="status" aria-live="polite">${list.map(t => html`
		<div class=${cls("toast", t.failed && "failed")} key=${t.id}><span>${t.text}</span>
		${t.action && html`<button type="button" onClick=${() => { toasts.drop(t.id); t.action.do(); }}>${t.action.label}</button>`}
		${t.failed && html`<button type="button" onClick=${() => toasts.drop(t.id)}>${close}</button>`}
		${t.bar && html`<i class="bar" style=${{ animationDuration: `${t.stay}ms` }} />`}</div>`)}</div>`;
}
