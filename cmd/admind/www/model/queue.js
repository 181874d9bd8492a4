// @ts-check
/**
 * What is looked for in queues, as words of the address: host=, state=, channel=, dest=, qid=, older=, newer=.  The host
 * says whose queue; jobctl(8) looks at the rest, and says what is none.  Pure.
 */

export const STATES = ["ready", "waiting", "leased", "held"];

/** @typedef {{host: string, state: string, rest: string[]}} Wanted */

/** @param {string} q @returns {Wanted} */
export function wanted(q) {
	const words = q.split(/\s+/).filter(Boolean), take = name => (words.find(w => w.startsWith(name + "=")) || "").slice(name.length + 1);
	return { host: take("host"), state: take("state"), rest: words.filter(w => !/^(host|state)=/.test(w)) };
}

/** @param {Partial<Wanted>} w @returns {string} */
export const query = ({ host = "", state = "", rest = [] }) => [host && `host=${host}`, state && `state=${state}`, ...rest].filter(Boolean).join(" ");

/** For the API: filters of one host. @param {Wanted} w @returns {string[]} */
export const filters = ({ state, rest }) => [...(state ? [`state=${state}`] : []), ...rest];

/** One file of a message, ZX, id, copy, attempts: what stays of its name while its state changes. @param {any} m */
export const id = m => m.file.slice(2, 17);

/** What makes sense for a message; jobctl decides. @param {any} m @param {string} verb */
export function fits(m, verb) {
	switch (verb) {
	case "hold": return m.state !== "held";
	case "release": return m.state === "held" || m.release > 0;
	case "retry": return m.state === "waiting";
	default: return true;
	}
}

/** Daemons of each host, in the order in which the hosts came. @param {any[]} rows @returns {[string, any[]][]} */
export function hosts(rows) {
	const by = new Map();
	for (const r of rows)
		by.set(r.host, [...(by.get(r.host) || []), r]);
	return [...by];
}

const SOON = 21 * 86400 * 1000, FULL = 0.1;

/** What somebody should look at: "" or a word. @param {any} r a daemon @param {number} now ms */
export function trouble(r, now) {
	if (r.error)
		return "error";
	if (r.state !== "running")
		return "state";
	if (r.certificate && Date.parse(r.certificate) - now < SOON)
		return "certificate";
	if (r["disk-size"] && r["disk-free"] / r["disk-size"] < FULL)
		return "disk";
	return r.restarts > 0 ? "restarts" : "";
}
