// @ts-check
/**
 * What lies over the page: menus, dialogs, sheets.  They are a stack: Escape and a click beside close the
 * topmost alone, focus stays inside it and goes back to where it came from.  A layer is opened with a
 * component and its place; who opens it need not be on the screen any more when it closes.
 */
import { createContext, html, useContext, useLayoutEffect, useRef } from "./html.js";
import { Store, useStore } from "./store.js";

let next = 1;

export class Layers extends Store {
	constructor() {
		super({ /** @type {any[]} */ stack: [] });
	}

	/**
	 * @param {any} view component, called with {close, ...props}
	 * @param {object} props
	 * @param {{kind: "menu" | "dialog", at?: {x: number, y: number} | Element, label: string, onClose?: () => void}} how
	 */
	open(view, props, how) {
		const layer = { id: next++, view, props, ...how, from: document.activeElement };
		this.set({ stack: [...this.state.stack, layer] });
		return () => this.close(layer.id);
	}

	close(id = this.state.stack.length ? this.state.stack[this.state.stack.length - 1].id : 0) {
		const layer = this.state.stack.find(l => l.id === id);
		if (!layer)
			return false;
		this.set({ stack: this.state.stack.filter(l => l.id !== id) });
		if (layer.from && layer.from.isConnected && layer.from.focus)
			layer.from.focus();
		if (layer.onClose)
			layer.onClose();
		return true;
	}

	get any() {
		return this.state.stack.length > 0;
	}
}

export const LayersContext = createContext(/** @type {any} */ (null));
export const useLayers = () => useContext(LayersContext);

const FOCUS = "button:not([disabled]), [href], input:not([disabled]), select, textarea, [tabindex='0'], [contenteditable=true], iframe";

/** Keep Tab inside `box`. */
function trap(e, box) {
	const all = [...box.querySelectorAll(FOCUS)].filter(x => x.getClientRects().length);
	if (!all.length)
		return;
	const last = e.shiftKey ? all[0] : all[all.length - 1];
	if (document.activeElement === last || !box.contains(document.activeElement)) {
		e.preventDefault();
		(e.shiftKey ? all[all.length - 1] : all[0]).focus();
	}
}

function Layer({ layer, layers }) {
	const box = useRef(/** @type {any} */ (null));
	const close = () => layers.close(layer.id);
	useLayoutEffect(() => place(box.current, layer), []);
	useLayoutEffect(() => {
		const first = box.current.querySelector("[data-first]") || box.current.querySelector(FOCUS);
		(first || box.current).focus();
	}, []);
	const onKeyDown = e => {
		if (e.key === "Tab")
			trap(e, box.current);
		else if (e.key === "Escape")
			close();
		else
			return e.key.length > 1 || !e.ctrlKey ? e.stopPropagation() : undefined;
		e.stopPropagation();
		return undefined;
	};
	const dialog = layer.kind === "dialog";
	return html`<div class=${"over " + layer.kind} onMouseDown=${e => e.target === e.currentTarget && close()}
		onContextMenu=${e => e.target === e.currentTarget && (e.preventDefault(), close())} onKeyDown=${onKeyDown}>
		<div class="layer" ref=${box} role=${dialog ? "dialog" : "presentation"} aria-modal=${dialog || undefined}
			aria-label=${dialog ? layer.label : undefined} tabindex="-1">
			<${layer.view} close=${close} label=${layer.label} ...${layer.props} />
		</div></div>`;
}

/** A menu stands at its point or under its button, and within the window. */
function place(box, layer) {
	if (layer.kind !== "menu" || !box)
		return;
	const at = layer.at instanceof Element ? layer.at.getBoundingClientRect() : null;
	const x = at ? at.left : layer.at.x, y = at ? at.bottom + 4 : layer.at.y;
	const { width, height } = box.getBoundingClientRect();
	box.style.left = `${Math.max(8, Math.min(x, innerWidth - width - 8))}px`;
	box.style.top = `${y + height > innerHeight - 8 ? Math.max(8, (at ? at.top - 4 : y) - height) : y}px`;
}

/** All layers that are open. @param {{layers: Layers}} props */
export function LayerStack({ layers }) {
	const { stack } = useStore(layers);
	return html`${stack.map(layer => html`<${Layer} key=${layer.id} layer=${layer} layers=${layers} />`)}`;
}
