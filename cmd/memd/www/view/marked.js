// @ts-check
/** A snippet of SearchSnippet/get (RFC 8621 5): text with <mark>, its other characters written as entities. Never as HTML. */
import { html } from "../kit/html.js";

const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&#39;": "'" };
const plain = s => s.replace(/&(?:lt|gt|amp|quot|#39);/g, e => ENTITIES[e]);

/** @param {{text: string}} props */
export const Marked = ({ text }) => html`${text.split(/(<mark>.*?<\/mark>)/s).map((s, n) => {
	const m = /^<mark>(.*?)<\/mark>$/s.exec(s);
	return m ? html`<mark key=${n}>${plain(m[1])}</mark>` : plain(s);
})}`;
