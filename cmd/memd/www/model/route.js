// @ts-check
/** Addresses of the application: each view has one, so that links last and the back button works.  Pure. */

/** @typedef {{kind: "box" | "flagged" | "label" | "search" | "settings" | "contacts" | "scheduled" | "start", value: string, thread: string}} Route */

/** @param {string} path @returns {Route} */
export function parse(path) {
	const [kind, value = "", thread = ""] = path.split("/").slice(1).map(p => {
		try {
			return decodeURIComponent(p);
		} catch {
			return p;
		}
	});
	switch (kind) {
	case "mail": return { kind: value ? "box" : "start", value, thread };
	case "flagged": return { kind, value: "", thread: value };
	case "label": case "search": return { kind, value, thread };
	case "scheduled": return { kind, value: "", thread: "" };
	case "settings": case "contacts": return { kind, value, thread: "" };
	default: return { kind: "start", value: "", thread: "" };
	}
}

/** @param {Partial<Route>} r @returns {string} */
export function write(r) {
	const e = encodeURIComponent;
	const thread = r.thread ? "/" + e(r.thread) : "";
	switch (r.kind) {
	case "box": return `/mail/${e(r.value || "")}${thread}`;
	case "flagged": return `/flagged${thread}`;
	case "label": case "search": return `/${r.kind}/${e(r.value || "")}${thread}`;
	case "scheduled": return "/scheduled";
	case "settings": case "contacts": return `/${r.kind}${r.value ? "/" + e(r.value) : ""}`;
	default: return "/";
	}
}
