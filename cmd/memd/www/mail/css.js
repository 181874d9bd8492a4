// @ts-check
/**
 * Style sheets of mail, cut down to what cannot ask the network for anything.  The browser's own parser reads
 * them, so that escapes and comments hide nothing, and what is not understood is not there; only then values
 * are looked at.  Custom properties are kept as written by that parser, so they all go.
 */
import { room } from "./room.js";

const ASKS = /(?:url|image-set|-webkit-image-set|image|cross-fade|element|src|attr|var|env|expression|paint)\s*\(/i;
/* What depends on the frame's own height, which depends on the mail's. */
const HIGH = /[\d.](?:[sld]?v(?:h|b|min|max))\b/i, TALL = /height|aspect-ratio|orientation/i;
const LONGEST = 200000;		/* characters of one sheet */
const DEEPEST = 4;		/* @media in @supports in ... */

/** Takes out of a declaration block what asks for something. @param {CSSStyleDeclaration} style @returns {boolean} whether there was such */
export function cleanStyle(style) {
	let asked = false;
	for (const name of [...style]) {
		const value = style.getPropertyValue(name);
		if (!name.startsWith("--") && !ASKS.test(value) && !HIGH.test(value))
			continue;
		asked = asked || /url|image/i.test(value);
		style.removeProperty(name);
	}
	return asked;
}

/** @param {string} text of a <style> @returns {{css: string, asked: boolean}} asked: it wanted something of the network */
export function cleanSheet(text) {
	const out = { css: "", asked: /@import/i.test(text) };
	if (text.length > LONGEST)
		return out;
	const sheet = new (room().window.CSSStyleSheet)();
	try {
		sheet.replaceSync(text);
	} catch {
		return out;
	}
	out.css = rules(sheet.cssRules, out, DEEPEST);
	return out;
}

function rules(list, out, deep) {
	const kept = [];
	for (const rule of list) {
		const kind = rule.constructor.name;
		if (kind === "CSSStyleRule") {
			out.asked = cleanStyle(rule.style) || out.asked;
			if (rule.style.length)
				kept.push(`${rule.selectorText} { ${rule.style.cssText} }`);
		} else if (kind === "CSSMediaRule" && deep && !TALL.test(rule.media.mediaText))
			kept.push(`@media ${rule.media.mediaText} { ${rules(rule.cssRules, out, deep - 1)} }`);
		else if (kind === "CSSFontFaceRule")
			out.asked = true;
	}
	return kept.join("\n").replace(/</g, "\\3c ");
}
