// @ts-check
/**
 * Where mail is taken apart: a frame that nobody sees, of the same page as those that show mail (sandbox.html).
 * A document that is only read is held to the policy of the window that reads it; in ours every inline style
 * would be dropped and reported, in the frame's they stay, and nothing else is allowed there either.
 */
import createDOMPurify from "../vendor/purify.mjs";

/** @typedef {{purify: any, window: any}} Room */

/** @type {Promise<Room> | null} */
let opening = null;
/** @type {Room | null} */
let open = null;

/** @returns {Promise<Room>} */
export function openRoom() {
	opening = opening || new Promise(ok => {
		const frame = document.createElement("iframe");
		frame.hidden = true;
		frame.tabIndex = -1;
		frame.title = "";
		frame.setAttribute("aria-hidden", "true");
		frame.setAttribute("sandbox", "allow-same-origin");
		frame.src = "/sandbox.html";
		frame.onload = () => {
			open = { purify: createDOMPurify(frame.contentWindow), window: frame.contentWindow };
			ok(open);
		};
		document.body.append(frame);
	});
	return opening;
}

/** The room, which somebody has opened before. @returns {Room} */
export function room() {
	if (!open)
		throw new Error("openRoom() first");
	return open;
}
