// @ts-check
/**
 * Addresses of the console: each view, each search and each open entry has one, so that links last and the back
 * button works.  Pure.
 */

export const PLACES = ["orgs", "users", "groups", "packages", "providers", "roles", "deliveries", "queue", "held", "hosts", "check", "jobs", "audit", "own"];

/**
 * @typedef {{place: string, org: string, q: string, sort: string, open: string}} Route  place: one of PLACES, or ""
 * (where somebody begins); org: a domain, of what is below one
 */

/** @param {string} path @param {string} search @returns {Route} */
export function parse(path, search) {
	const [place = "", org = ""] = path.split("/").slice(1).map(p => {
		try {
			return decodeURIComponent(p);
		} catch {
			return p;
		}
	});
	const args = new URLSearchParams(search);
	return { place: PLACES.includes(place) ? place : "", org, q: args.get("q") || "", sort: args.get("sort") || "", open: args.get("open") || "" };
}

/** @param {Partial<Route>} r @returns {string} */
export function write(r) {
	const args = new URLSearchParams();
	for (const key of /** @type {const} */ (["q", "sort", "open"]))
		if (r[key])
			args.set(key, String(r[key]));
	const rest = args.toString();
	return `/${r.place || ""}${r.org ? "/" + encodeURIComponent(r.org) : ""}${rest ? "?" + rest : ""}`;
}
