// @ts-check
/** What was selected: a verb for all of them, or another package; what will change is shown before it does. */
import { html, useEffect, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { useLayers } from "../kit/layers.js";
import { useWatch } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { Bulk } from "../model/bulk.js";
import { Report } from "./report.js";

/** @param {{app: import("../model/app.js").App, kind: any, org: string, selected: Set<string>, rows: any[], done: () => void}} props */
export function Several({ app, kind, org, selected, rows, done }) {
	const layers = useLayers();
	if (!selected.size)
		return null;
	const may = verb => app.rights.may(kind.object, verb, org);
	const chosen = rows.filter(r => selected.has(r[kind.key]));
	const start = (verb, body) => {
		const items = chosen.map(r => ({ name: r[kind.key], version: r.version }));
		const send = ({ name, version }, dry) => {
			const how = { args: { dry: dry ? 1 : undefined }, version };
			if (verb === "modify")
				return app.api.call("PATCH", [kind.list, name], { ...how, body });
			return verb === "delete" ? app.api.call("DELETE", [kind.list, name], how) : app.api.call("POST", [kind.list, name, verb], { ...how, body: {} });
		};
		layers.open(Preview, { app, bulk: new Bulk(items, send), title: t(`several.${verb}`, { n: items.length }), over: () => { done(); app.table.again(); } }, { kind: "dialog", label: t(`do.${verb}`) });
	};
	const verbs = ["suspend", "resume", "delete"].filter(v => kind.acts.some(a => a.verb === v) && may(v));
	return html`<div class="several" role="region" aria-label=${t("several.label")}><b>${t("several.count", { n: selected.size })}</b>
		${kind.object === "user" && app.rights.settings("user", "modify", org).has("package") && html`<${Package} app=${app} onPick=${name => start("modify", { package: name })} />`}
		${verbs.map(v => html`<${Button} key=${v} class=${v === "delete" ? "line risky" : "line"} label=${t(`do.${v}`)} onClick=${() => start(v)} />`)}
		<${Button} label=${t("several.none")} onClick=${done} /></div>`;
}

function Package({ app, onPick }) {
	const [names, setNames] = useState(/** @type {string[]} */ ([]));
	useEffect(() => {
		app.api.call("GET", ["packages"], { args: { limit: 1000 } }).then(({ records }) => setNames(records.map(r => r.package))).catch(() => {});
	}, []);
	return names.length > 0 && html`<select class="line" aria-label=${t("several.package")} value="" onChange=${e => { onPick(e.target.value); e.target.value = ""; }}><option value="">${t("several.package")}</option>${names.map(n => html`<option key=${n} value=${n}>${n}</option>`)}</select>`;
}

/** First what would be; then, when that was seen, what is. */
function Preview({ app, bulk, title, over, close }) {
	const [dry, setDry] = useState(true);
	useWatch(bulk);
	useEffect(() => {
		void bulk.run(true);
		return () => bulk.stop();
	}, []);
	const go = async () => {
		setDry(false);
		app.working = true;
		await bulk.run(false);
		app.working = false;
		over();
	};
	const seen = dry && !bulk.running && bulk.count("done") > 0;
	return html`<h2>${title}</h2><p>${dry ? t("several.preview") : bulk.running ? t("several.going") : t("several.over")}</p><${Report} bulk=${bulk} dry=${dry} />
		<div class="buttons">${bulk.running ? html`<${Button} label=${t("act.stop")} onClick=${() => bulk.stop()} />` : html`<${Button} label=${dry ? t("act.cancel") : t("act.close")} onClick=${close} />`}
		${dry && html`<button type="button" class="button primary" disabled=${!seen} onClick=${() => void go()}>${t("several.go")}</button>`}</div>`;
}
