// @ts-check
/** Sizes, times and states as people read and write them.  Pure. */
import { t, words } from "../i18n/i18n.js";

const UNITS = ["B", "KB", "MB", "GB", "TB"];

/** @param {number | string | undefined} n */
export function bytes(n) {
	if (n === undefined || n === "")
		return "";
	if (typeof n === "string" && !/^\d+$/.test(n))
		return n === "none" ? t("size.none") : n === "default" ? t("size.default") : n;
	let v = Number(n), unit = 0;
	while (v >= 1024 && unit + 1 < UNITS.length) {
		v /= 1024;
		unit++;
	}
	return `${new Intl.NumberFormat(words.intl, { maximumFractionDigits: v < 10 ? 1 : 0 }).format(v)} ${UNITS[unit]}`;
}

/** As it is typed: 10G, 512M, none. @param {number | string | undefined} n */
export function typed(n) {
	if (n === undefined || typeof n === "string")
		return n || "";
	const at = ["", "K", "M", "G"].findLastIndex((_, i) => n > 0 && n % 1024 ** i === 0);
	return at > 0 ? `${n / 1024 ** at}${"KMG"[at - 1]}` : String(n);
}

/** 20261130215500Z (RFC 4517 3.3.13), or what Date reads. @param {string | undefined} v @returns {Date | null} */
export function date(v) {
	const m = /^(\d{4})(\d\d)(\d\d)(\d\d)?(\d\d)?(\d\d)?(?:\.\d+)?Z$/.exec(v || "");
	const d = m ? new Date(Date.UTC(+m[1], +m[2] - 1, +m[3], +(m[4] || 0), +(m[5] || 0), +(m[6] || 0))) : new Date(v || NaN);
	return Number.isNaN(d.getTime()) ? null : d;
}

/** @param {string | undefined} v */
export function when(v) {
	const d = date(v);
	return d ? new Intl.DateTimeFormat(words.intl, { dateStyle: "medium", timeStyle: "short" }).format(d) : v || "";
}

/** For a field of type date. @param {string | undefined} v */
export const day = v => (date(v) || { toISOString: () => "" }).toISOString().slice(0, 10);

/** How an entry is, in one word. @param {any} r @returns {"active" | "suspended" | "hold" | "deleted" | "limited"} */
export function state(r) {
	const { login = "active", status = "active" } = r;
	if (login === "deleted" || status === "deleted")
		return "deleted";
	if (status === "hold")
		return "hold";
	if (login === "inactive" || status === "inactive" || status === "disabled")
		return "suspended";
	return status === "active" ? "active" : "limited";
}

/** Two letters and a colour, of a name. @param {string} name */
export function initials(name) {
	const parts = name.replace(/@.*/, "").split(/[\s._-]+/).filter(Boolean);
	const text = (parts.length > 1 ? parts[0][0] + parts[parts.length - 1][0] : (parts[0] || "?").slice(0, 2)).toUpperCase();
	let n = 0;
	for (const c of name)
		n = (n * 31 + (c.codePointAt(0) || 0)) % 8;
	return { text, colour: `var(--a${n})` };
}

/** How long, in the two largest units. @param {number} seconds */
export function span(seconds) {
	const units = /** @type {[string, number][]} */ ([["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]]);
	const first = Math.max(0, units.findIndex(([, n]) => seconds >= n));
	const write = (unit, n) => new Intl.NumberFormat(words.intl, { style: "unit", unit, unitDisplay: "short" }).format(n);
	const [[unit, n], next] = [units[seconds < 1 ? 3 : first], units[first + 1]];
	const rest = next && seconds >= 1 ? Math.floor(seconds % n / next[1]) : 0;
	return write(unit, Math.floor(seconds / n)) + (rest ? " " + write(next[0], rest) : "");
}
