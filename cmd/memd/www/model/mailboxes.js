// @ts-check
/**
 * Folders as a tree, and what each is for.  Order: the roles that everybody has, in the order of use, then
 * the rest by sortOrder and name in the reader's language.  Counts are of conversations where a folder is
 * worked through (inbox), of messages where they are things (drafts).
 */
export const ROLES = ["inbox", "drafts", "sent", "archive", "junk", "trash"];
const RANK = new Map(ROLES.map((r, n) => [r, n]));

/** @typedef {{id: string, name: string, role: string | null, parentId: string | null, sortOrder: number,
 *	totalEmails: number, unreadEmails: number, totalThreads: number, unreadThreads: number, myRights: any,
 *	isSubscribed: boolean}} Mailbox
 * @typedef {{box: Mailbox, depth: number, children: Node[], path: string}} Node */

/** @param {Mailbox[]} boxes @param {string} [locale] @returns {{roots: Node[], flat: Node[]}} */
export function tree(boxes, locale) {
	const compare = new Intl.Collator(locale, { numeric: true, sensitivity: "base" }).compare;
	/** @type {Map<string, Node>} */
	const nodes = new Map(boxes.map(box => [box.id, { box, depth: 0, children: [], path: box.name }]));
	const roots = [];
	for (const n of nodes.values()) {
		const parent = n.box.parentId && nodes.get(n.box.parentId);
		(parent ? parent.children : roots).push(n);	/* a parent that is not ours to see: a root */
	}
	const rank = n => RANK.get(n.box.role || "") ?? ROLES.length;
	const order = list => list.sort((a, b) => rank(a) - rank(b) ||
	    a.box.sortOrder - b.box.sortOrder || compare(a.box.name, b.box.name));
	const flat = [];
	const walk = (list, depth, above) => {
		for (const n of order(list)) {
			n.depth = depth;
			n.path = above ? `${above}/${n.box.name}` : n.box.name;
			flat.push(n);
			walk(n.children, depth + 1, n.path);
		}
	};
	walk(roots, 0, "");
	return { roots, flat };
}

/** @param {Mailbox[]} boxes @param {string} role */
export const byRole = (boxes, role) => boxes.find(b => b.role === role);

/** The number beside a folder's name; 0 shows nothing. @param {Mailbox} box */
export function count(box) {
	if (box.role === "drafts")
		return box.totalEmails;
	if (box.role === "sent" || box.role === "trash")
		return 0;
	return box.unreadThreads;
}

/** Why a folder cannot be called so, as a key of i18n; null when it can. */
export function badName(boxes, parentId, name, except) {
	const n = name.trim().normalize("NFC");
	if (!n)
		return "folder.nameEmpty";
	if (new TextEncoder().encode(n).length > 255 || /[\u0000-\u001f\u007f]/.test(n))
		return "folder.nameBad";
	const same = boxes.some(b => b.id !== except && (b.parentId || null) === (parentId || null) &&
	    b.name.normalize("NFC").toLowerCase() === n.toLowerCase());
	return same ? "folder.nameTaken" : null;
}

/** May `id` go below `parentId`?  Not below itself. @param {Mailbox[]} boxes */
export function mayMove(boxes, id, parentId) {
	const byId = new Map(boxes.map(b => [b.id, b]));
	for (let at = parentId; at; at = byId.get(at)?.parentId || null)
		if (at === id)
			return false;
	const box = byId.get(id);
	return !!box && !box.role && (box.parentId || null) !== (parentId || null);
}
