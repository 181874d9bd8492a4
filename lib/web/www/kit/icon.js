// @ts-check
/** Icons: one set, drawn for this project on a grid of 24, lines of 1.5.  Always beside a text or a title: never read out. */
import { html } from "./html.js";

const PATHS = {
	archive: "M4 8v12h16V8M3 4h18v4H3zM10 12h4", attach: "M19 11l-7 7a4 4 0 01-6-6l8-8a3 3 0 014 4l-8 8a1 1 0 01-2-2l7-7",
	back: "M15 5l-7 7 7 7", bin: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13", bold: "M7 5h6a3.5 3.5 0 010 7H7zM7 12h7a3.5 3.5 0 010 7H7z",
	check: "M5 12l4 4L19 7", clock: "M12 4a8 8 0 108 8M12 8v4l3 2M16 4h4v4", clear: "M6 6l12 12M18 6L6 18", doc: "M6 3h8l4 4v14H6zM14 3v4h4", down: "M6 9l6 6 6-6", download: "M12 4v11M7 11l5 5 5-5M5 20h14",
	flag: "M5 21V4h12l-2 4 2 4H5", folder: "M3 6h7l2 2h9v11H3z", forward: "M14 6l6 6-6 6M20 12H10c-4 0-6 2-6 6",
	group: "M9 6a3 3 0 100 6 3 3 0 000-6zM3 19c.7-3 3-5 6-5s5.300 2 6 5M16 7.500a2.500 2.500 0 010 5M15.500 14.500c3 0 4.500 1.500 5 4",
	help: "M9 9a3 3 0 116 0c0 2-3 2-3 5M12 18h.01", image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4", inbox: "M3 13l3-8h12l3 8v6H3zM3 13h5l2 3h4l2-3h5",
	italic: "M14 5h-4M14 19h-4M13 5l-2 14M17 5h-4M11 19H7", junk: "M12 4a8 8 0 100 16 8 8 0 000-16zM6.5 6.5l11 11",
	key: "M8 11a4 4 0 100 8 4 4 0 000-8zM11 12l8-8M16 7l3 3", link: "M10 14a4 4 0 006 0l3-3a4 4 0 00-6-6l-1 1M14 10a4 4 0 00-6 0l-3 3a4 4 0 006 6l1-1", list: "M9 6h11M9 12h11M9 18h11M4 6h.01M4 12h.01M4 18h.01",
	mail: "M3 6h18v12H3zM3 7l9 7 9-7", mailOpen: "M3 10l9-6 9 6v9H3zM3 10l9 6 9-6", menu: "M4 7h16M4 12h16M4 17h16", minimise: "M5 18h14", more: "M6 11.2a.8.8 0 100 1.6.8.8 0 000-1.6zM12 11.2a.8.8 0 100 1.6.8.8 0 000-1.6zM18 11.2a.8.8 0 100 1.6.8.8 0 000-1.6z",
	move: "M3 6h7l2 2h9v11H3zM9 13h6M12 10l3 3-3 3", numbers: "M10 6h10M10 12h10M10 18h10M4 5l1-1v4M4 11h2l-2 3h2M4 17h2v3H4",
	org: "M4 20V6l8-3 8 3v14M9 20v-5h6v5M8 9h.01M12 9h.01M16 9h.01M8 12h.01M16 12h.01", out: "M10 4H5v16h5M15 8l4 4-4 4M19 12H9", contacts: "M9 5a3 3 0 100 6 3 3 0 000-6zM3 19c0-3 3-5 6-5s6 2 6 5M16 5.5a3 3 0 010 5M17.5 14.5c2 .6 3.5 2.3 3.5 4.5", pen: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4", plain: "M5 6h14M12 6v13", plus: "M12 5v14M5 12h14", print: "M7 9V4h10v5M7 17H4V9h16v8h-3M7 14h10v6H7z",
	package: "M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8", provider: "M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01",
	quote: "M9 7c-3 1-4 3-4 6v4h5v-5H7c0-2 1-3 2-3zM18 7c-3 1-4 3-4 6v4h5v-5h-3c0-2 1-3 2-3z", reply: "M10 6L4 12l6 6M4 12h10c4 0 6 2 6 6", replyAll: "M8 6l-6 6 6 6M13 6l-6 6 6 6M7 12h8c4 0 6 2 6 6",
	search: "M11 5a6 6 0 100 12 6 6 0 000-12zM16 16l4 4", send: "M21 3L3 11l7 3 3 7zM10 14l5-5", settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4", shield: "M12 3l8 3v6c0 5-3.500 8-8 9-4.500-1-8-4-8-9V6zM9 12l2 2 4-4", source: "M8 7l-5 5 5 5M16 7l5 5-5 5",
	sun: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2", tag: "M4 4h8l8 8-8 8-8-8zM8 8h.01", underline: "M7 5v6a5 5 0 0010 0V5M6 20h12", user: "M12 4a4 4 0 100 8 4 4 0 000-8zM4 20c1-4 4-6 8-6s7 2 8 6",
	up: "M6 15l6-6 6 6", warn: "M12 4l9 16H3zM12 10v4M12 17h.01",
};

/** @param {{name: keyof typeof PATHS | string}} props */
export function Icon({ name }) {
	return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name] || ""} /></svg>`;
}
