// @ts-check
/** Records of `delivery list`, joined to messages.  Pure. */

/** @typedef {{id: string, at?: string, from?: string, recipients: any[], steps: any[], [x: string]: any}} Message */
/** @typedef {{list: Message[], more: string}} Found  the newest first; more: why that may not be all */

/** @param {any[]} records @returns {Found} */
export function messages(records) {
	/** @type {Map<string, Message>} */
	const by = new Map();
	let more = "";
	for (const r of records)
		if (r.kind === "message")
			by.set(r.id, { ...r, recipients: [], steps: [] });
		else if (r.kind === "recipient")
			by.get(r.id)?.recipients.push(r);
		else if (r.kind === "step")
			by.get(r.id)?.steps.push(r);
		else if (r.kind === "more")
			more = r.text;
	return { list: [...by.values()].toSorted((a, b) => (b.at || "").localeCompare(a.at || "")), more };
}
