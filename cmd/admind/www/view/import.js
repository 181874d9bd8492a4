// @ts-check
/**
 * Many from a table: read here, tried first, with a line for each row; then made.  What is there already is left
 * alone, so that an import which was stopped goes on when the same file is given again.
 */
import { html, useEffect, useId, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { useWatch } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { Bulk } from "../model/bulk.js";
import { wishes } from "../model/csv.js";
import { KINDS, fields } from "../model/objects.js";
import { Report } from "./report.js";

const known = (object, setting) => Object.values(KINDS).some(k => k.object === object && fields(k).some(f => f.name === setting)) || (object === "user" && ["login", "status"].includes(setting));

/** @param {{app: import("../model/app.js").App, kind: any, org: string, close: () => void}} props */
export function Import({ app, kind, org, close }) {
	const [bulk, setBulk] = useState(/** @type {Bulk | null} */ (null));
	const [wrong, setWrong] = useState("");
	const [dry, setDry] = useState(true);
	const [whole, setWhole] = useState("");		/* the file, when it can be a job: one keeps no passwords */
	const [update, setUpdate] = useState(false);
	const id = useId();
	useWatch(bulk);
	useEffect(() => () => bulk?.stop(), [bulk]);
	const read = async e => {
		const [file] = e.target.files;
		bulk?.stop();
		setBulk(null);
		setWrong("");
		setDry(true);
		if (!file)
			return;
		const text = await file.text();
		const { list, rows, error } = wishes(text, known);
		setWhole("");
		if (error || list !== kind.list)
			return setWrong(error ? t(`csv.${error.code}`, { line: error.line, word: error.word || "" }) : t("csv.other", { what: t(`nav.${kind.list}`) }));
		if (!rows.length)
			return setWrong(t("csv.empty"));
		const strange = rows.find(r => kind.org && !r.name.toLowerCase().endsWith("@" + org));
		if (strange)
			return setWrong(t("csv.org", { line: strange.line, word: strange.name, org }));
		const send = async (row, isDry) => {
			const args = { dry: isDry ? 1 : undefined };
			try {
				return await app.api.call("POST", [list], { args, body: { names: [row.name], ...row.body } });
			} catch (error) {
				if (!update || error.status !== 409 || error.code !== "address-in-use")
					throw error;
				const { password, ...body } = row.body;
				return app.api.call("PATCH", [list, row.name], { args, body });
			}
		};
		/* An address that is in use may be another one of the row. */
		const there = async (error, row) => error.status === 409 && error.code === "address-in-use" &&
			(await app.api.call("GET", [list, row.name]).then(r => r[kind.key] === row.name.toLowerCase(), () => false));
		if (app.rights.may("job", "create", org) && !rows.some(r => "password" in r.body))
			setWhole(text);
		const made = new Bulk(rows, send, { same: there });
		setBulk(made);
		return made.run(true);
	};
	const go = async () => {
		setDry(false);
		app.working = true;
		await bulk?.run(false);
		app.working = false;
		app.table.again();
	};
	const later = async () => {
		try {
			await app.api.call("POST", ["jobs"], { body: { names: ["import", ...(kind.org ? [org] : [])], text: whole, ...(update ? { update: "yes" } : {}) } });
		} catch (error) {
			return setWrong(why(error));
		}
		app.said(t("job.begun"));
		close();
		return app.go({ place: "jobs", org: "" });
	};
	const running = !!bulk && bulk.running;
	return html`<h2>${t("bulk.import")}</h2><p>${t("bulk.says", { example: `${kind.object},name,alias` })}</p>
		<label class="field" for=${id}><span>${t("bulk.file")}</span><input id=${id} data-first type="file" accept=".csv,text/csv,text/plain" onChange=${e => void read(e)} /></label>
		<label class="check"><input type="checkbox" checked=${update} disabled=${running || !!bulk} onChange=${e => setUpdate(e.target.checked)} /><span>${t("bulk.update")}</span></label>
		${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
		${bulk && html`<p>${dry ? t("bulk.dry") : running ? t("several.going") : t("several.over")}</p><${Report} bulk=${bulk} dry=${dry} />`}
		<div class="buttons">${running ? html`<${Button} label=${t("act.stop")} onClick=${() => bulk?.stop()} />` : html`<${Button} label=${bulk && !dry ? t("act.close") : t("act.cancel")} onClick=${close} />`}
		${dry && whole && html`<${Button} label=${t("bulk.job")} disabled=${!bulk || running || !bulk.count("done")} onClick=${() => void later()} />`}
		${(dry || running) && html`<button type="button" class="button primary" disabled=${!bulk || running || !bulk.count("done")} onClick=${() => void go()}>${t("bulk.go", { n: bulk ? bulk.count("done") : 0 })}</button>`}</div>`;
}
