// @ts-check
/** Dates and sizes as a reader wants them; all by Intl, in the language that is chosen. */

const DAY = 86400000;

/** Whole days between two moments, by the calendar of the reader. */
function daysBetween(a, b) {
	const day = d => Date.UTC(d.getFullYear(), d.getMonth(), d.getDate());
	return Math.round((day(b) - day(a)) / DAY);
}

/**
 * In a list: the time today, "Yesterday", the weekday within a week, then the date, with the year when it is another.
 * @param {string} at ISO @param {Date} now @param {string} locale
 */
export function shortDate(at, now, locale) {
	const d = new Date(at);
	const days = daysBetween(d, now);
	const f = o => new Intl.DateTimeFormat(locale, o).format(d);
	if (days === 0)
		return f({ hour: "2-digit", minute: "2-digit" });
	if (days === 1) {
		const word = new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(-1, "day");
		return word[0].toLocaleUpperCase(locale) + word.slice(1);
	}
	if (days > 1 && days < 7)
		return f({ weekday: "short" });
	if (d.getFullYear() === now.getFullYear())
		return f({ day: "numeric", month: "short" });
	return f({ day: "2-digit", month: "2-digit", year: "2-digit" });
}

/** In a message: date and time; the day by word when it is near. */
export function longDate(at, now, locale) {
	const d = new Date(at);
	const days = daysBetween(d, now);
	const time = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" }).format(d);
	if (days === 0 || days === 1) {
		const word = new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(-days, "day");
		return `${word[0].toLocaleUpperCase(locale)}${word.slice(1)} ${time}`;
	}
	if (days > 1 && days < 7)
		return `${new Intl.DateTimeFormat(locale, { weekday: "long" }).format(d)} ${time}`;
	return `${new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric" }).format(d)} ${time}`;
}

/** A moment to come: the day by word or weekday when it is near. @param {Date | string} at @param {Date} now @param {string} locale */
export function whenDate(at, now, locale) {
	const d = new Date(at);
	const days = daysBetween(now, d);
	const f = o => new Intl.DateTimeFormat(locale, o).format(d);
	const time = f({ hour: "2-digit", minute: "2-digit" });
	if (days === 0 || days === 1)
		return `${new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(days, "day")} ${time}`;
	if (days > 1 && days < 7)
		return `${f({ weekday: "long" })} ${time}`;
	return `${f({ weekday: "short", day: "numeric", month: "short", year: d.getFullYear() === now.getFullYear() ? undefined : "numeric" })} ${time}`;
}

/** Everything, for a tooltip and for quoting. */
export const fullDate = (at, locale) => new Intl.DateTimeFormat(locale, {
	weekday: "long", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
}).format(new Date(at));

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/** Bytes with two or three digits that count. */
export function size(bytes, locale) {
	let n = bytes, unit = 0;
	while (n >= 1000 && unit < UNITS.length - 1) {
		n /= 1024;
		unit++;
	}
	return new Intl.NumberFormat(locale, {
		style: "unit", unit: UNITS[unit], unitDisplay: unit ? "short" : "long", maximumFractionDigits: n < 10 && unit ? 1 : 0,
	}).format(n);
}

const BROWSERS = [["Edg", "Edge"], ["OPR", "Opera"], ["SamsungBrowser", "Samsung Internet"], ["Firefox", "Firefox"], ["FxiOS", "Firefox"], ["CriOS", "Chrome"], ["Chrome", "Chrome"], ["Safari", "Safari"]];
const SYSTEMS = [["iPhone", "iPhone"], ["iPad", "iPad"], ["Android", "Android"], ["Windows", "Windows"], ["Mac OS X", "macOS"], ["CrOS", "ChromeOS"], ["Linux", "Linux"]];

/** What a browser calls itself (User-Agent), short enough to be read: each names those before it, so the first of the list is the one. */
export function browserOf(agent) {
	const one = list => list.find(([word]) => agent.includes(word))?.[1];
	return [one(BROWSERS), one(SYSTEMS)].filter(Boolean).join(", ") || agent.slice(0, 60);
}
