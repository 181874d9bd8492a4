// @ts-check
/** A list as a file: all of it, page by page, as a table that can be imported again.  It has no passwords. */
import { t } from "../i18n/i18n.js";
import { fields } from "../model/objects.js";
import { all } from "../model/table.js";
import { write } from "../model/csv.js";

/** Gives a file to the person. @param {string} name @param {BlobPart} text @param {string} type */
export function save(name, text, type) {
	const url = URL.createObjectURL(new Blob([text], { type }));
	const a = document.createElement("a");
	a.href = url;
	a.download = name;
	a.click();
	setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/** @param {import("../model/app.js").App} app @param {any} kind @param {string} org */
export async function exportList(app, kind, org) {
	const close = app.toasts.say(t("bulk.exporting"), { stay: 600000 });
	try {
		const rows = await all(app.api, kind.list, { org }, () => {});
		const columns = [kind.key, ...new Set([...fields(kind).map(f => f.name), ...(kind.object === "user" ? ["login", "status"] : [])])].filter(c => c === kind.key || rows.some(r => r[c] !== undefined));
		save(`${kind.list}${org ? "-" + org : ""}.csv`, write(columns, rows), "text/csv");
		close();
		app.said(t("bulk.exported", { n: rows.length }));
	} catch (error) {
		close();
		app.failed(error);
	}
}

/** What the directory has of a person, as a file: a record a line. @param {import("../model/app.js").App} app @param {string} user */
export async function exportPerson(app, user) {
	try {
		const { records } = await app.api.call("POST", ["users", user, "export"], { body: {} });
		save(`${user}.jsonl`, records.map(r => JSON.stringify(r) + "\n").join(""), "application/jsonl");
	} catch (error) {
		app.failed(error);
	}
}
