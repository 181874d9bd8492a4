// @ts-check
/**
 * What the console knows of each kind of entry: its list, its columns, its fields in groups, what can be done with it.
 * One table for all of them, so that a setting has the same name, the same field and the same words wherever it shows.
 * Which of these somebody may use is the rights' to say.  Pure.
 */

/**
 * @typedef {"text" | "area" | "list" | "bytes" | "number" | "choice" | "date" | "package"} Kind
 * @typedef {{name: string, kind: Kind, choices?: string[], many?: boolean}} Field
 * @typedef {{verb: string, danger?: boolean, ask?: boolean, when?: string[], undo?: string, many?: boolean}} Act
 * ask: it is confirmed; when: the states in which it makes sense; many: also for several; undo: the verb back
 * @typedef {{object: string, list: string, key: string, icon: string, org: boolean, columns: {name: string, sort?: string, kind?: string}[],
 *	groups: {name: string, fields: Field[]}[], create: string[], acts: Act[]}} Kindred
 */

/** @returns {Field} */
const f = (name, kind = /** @type {Kind} */ ("text"), choices = /** @type {string[] | undefined} */ (undefined)) => ({ name, kind, ...(choices ? { choices } : {}) });

const LIVING = [
	{ verb: "suspend", when: ["active", "hold", "limited"], undo: "resume", many: true },
	{ verb: "hold", when: ["active", "suspended", "limited"], undo: "resume", many: true },
	{ verb: "resume", when: ["suspended", "hold"], many: true },
];
const STAGED = [
	{ verb: "undelete", when: ["deleted"] },
	{ verb: "delete", danger: true, ask: true, when: ["active", "suspended", "hold", "limited"], undo: "undelete" },
	{ verb: "purge", danger: true, ask: true, when: ["deleted"] },
];

/** @type {Record<string, Kindred>} */
export const KINDS = {
	orgs: {
		object: "org", list: "orgs", key: "org", icon: "org", org: false,
		columns: [{ name: "org" }, { name: "state", kind: "state" }, { name: "description", sort: "description" }, { name: "quota", kind: "bytes" }, { name: "users", kind: "number" }],
		groups: [
			{ name: "names", fields: [f("description"), f("alias", "list"), f("catchall")] },
			{ name: "limits", fields: [f("users", "number"), f("quota", "bytes"), f("messages", "number"), f("maxsize", "bytes"), f("services", "list")] },
			{ name: "packages", fields: [f("package", "list"), f("default-package", "package")] },
			{ name: "routing", fields: [f("host", "list"), f("smarthost"), f("routing-host", "list")] },
		],
		create: ["description", "alias", "users", "quota", "package", "default-package"],
		acts: [...LIVING, ...STAGED],
	},
	users: {
		object: "user", list: "users", key: "user", icon: "user", org: true,
		columns: [{ name: "name", sort: "name", kind: "person" }, { name: "user", sort: "user" }, { name: "state", kind: "state" }, { name: "package" }, { name: "host", kind: "host" }, { name: "quota", kind: "bytes" }],
		groups: [
			{ name: "account", fields: [f("name"), f("given"), f("surname"), f("mail"), f("alias", "list"), f("equivalent", "list"), f("phone", "list"), f("language"), f("description")] },
			{ name: "mailbox", fields: [f("package", "package"), f("quota", "bytes"), f("messages", "number"), f("maxsize", "bytes"), f("services", "list"), f("host"), f("partition"), f("routing")] },
			{ name: "delivery", fields: [f("delivery", "list", ["mailbox", "forward", "autoreply", "hold"]), f("forward", "list")] },
			{ name: "vacation", fields: [f("vacation-subject"), f("vacation", "area"), f("vacation-internal", "area"), f("vacation-start", "date"), f("vacation-end", "date"), f("vacation-hours", "number")] },
		],
		create: ["given", "surname", "name", "package", "quota", "alias"],
		acts: [{ verb: "rename" }, { verb: "password" }, { verb: "move" }, { verb: "export" }, ...LIVING, ...STAGED],
	},
	groups: {
		object: "group", list: "groups", key: "group", icon: "group", org: true,
		columns: [{ name: "group", sort: "mail" }, { name: "state", kind: "state" }, { name: "member", kind: "count" }, { name: "owner", kind: "first" }, { name: "description" }],
		groups: [
			{ name: "account", fields: [f("mail"), f("alias", "list"), f("description"), f("owner", "list"), f("status", "choice", ["active", "inactive", "disabled", "hold"])] },
			{ name: "members", fields: [f("member", "list"), f("external", "list"), f("dynamic", "list")] },
			{ name: "policy", fields: [f("policy", "list", ["SMTP_AUTH_REQUIRED", "SMTP_AUTH_USED", "PASSWORD_REQUIRED", "NO_REQUIREMENTS", "OR"]), f("allow", "list"), f("deny", "list"), f("allow-domain", "list"), f("deny-domain", "list"), f("maxsize", "bytes")] },
			{ name: "moderation", fields: [f("moderator", "list"), f("reject-action", "choice", ["toModerator", "reply"]), f("reject-text", "area")] },
			{ name: "text", fields: [f("errors"), f("prefix", "area"), f("suffix", "area"), f("add-field", "list"), f("remove-field", "list")] },
		],
		create: ["description", "owner", "member", "external"],
		acts: [{ verb: "rename" }, { verb: "delete", danger: true, ask: true }],
	},
	packages: {
		object: "package", list: "packages", key: "package", icon: "package", org: false,
		columns: [{ name: "package" }, { name: "quota", kind: "bytes" }, { name: "messages", kind: "number" }, { name: "maxsize", kind: "bytes" }, { name: "services", kind: "all" }, { name: "description" }],
		groups: [{ name: "gives", fields: [f("description"), f("quota", "bytes"), f("messages", "number"), f("maxsize", "bytes"), f("services", "list"), f("host", "list")] }],
		create: ["description", "quota", "messages", "maxsize", "services"],
		acts: [{ verb: "apply", ask: true }, { verb: "delete", danger: true, ask: true }],
	},
	providers: {
		object: "provider", list: "providers", key: "provider", icon: "provider", org: false,
		columns: [{ name: "provider" }, { name: "package", kind: "all" }, { name: "description" }],
		groups: [{ name: "gives", fields: [f("description"), f("package", "list")] }],
		create: ["description", "package"],
		acts: [{ verb: "delete", danger: true, ask: true }],
	},
};

/** All fields of a kind. @param {Kindred} kind @returns {Field[]} */
export const fields = kind => kind.groups.flatMap(g => g.fields);

/** What a form's field has, as the API takes it: "" and an empty list: none. @param {Field} field @param {string} text */
export function value(field, text) {
	const trimmed = field.kind === "area" ? text : text.trim();
	if (field.kind === "list")
		return trimmed.split("\n").map(x => x.trim()).filter(Boolean);
	return trimmed === "" ? null : trimmed;
}

/** The other way. @param {Field} _field @param {any} v */
export const text = (_field, v) => (v === undefined || v === null ? "" : Array.isArray(v) ? v.join("\n") : String(v));

/** The settings that a form has changed. @param {Field[]} list @param {Record<string, string>} before @param {Record<string, string>} now */
export function changes(list, before, now) {
	const body = {};
	for (const field of list)
		if ((now[field.name] ?? "") !== (before[field.name] ?? ""))
			body[field.name] = value(field, now[field.name] ?? "");
	return body;
}
