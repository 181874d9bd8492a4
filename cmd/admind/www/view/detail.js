// @ts-check
/** One entry: what it is, in groups; what can be done with it, as far as somebody may. */
import { html, useEffect, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Confirm } from "../kit/dialog.js";
import { useLayers } from "../kit/layers.js";
import { useWatch } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { state, when } from "../model/format.js";
import { Avatar, State, shown } from "./cell.js";
import { exportPerson } from "./export.js";
import { Form } from "./form.js";
import { Nothing } from "./head.js";
import { NewPassword } from "./password.js";
import { Rename } from "./rename.js";

/** Objects that the API has no "show" of: their list is short, and has all of it. */
const LISTED = new Set(["packages", "providers"]);

/** The entry as it is now. @param {import("../model/app.js").App} app @param {any} kind @param {string} name */
export async function look(app, kind, name) {
	if (!LISTED.has(kind.list))
		return app.api.call("GET", [kind.list, name]);
	const { records } = await app.api.call("GET", [kind.list], { args: { limit: 1000 } });
	return records.find(r => r[kind.key] === name);
}

/** @param {{app: import("../model/app.js").App, kind: any, name: string, seen?: any}} props */
export function Detail({ app, kind, name, seen }) {
	const layers = useLayers();
	useWatch(app.table);
	const [error, setError] = useState(/** @type {any} */ (null));
	const [r, setR] = useState(seen);
	const org = kind.org ? app.state.route.org : kind.object === "org" ? name : "";
	const close = () => app.turn({ open: "" });
	const again = async () => {
		try {
			const now = await look(app, kind, name);
			app.table.put(kind.key, name, now || null);
			setR(now);
			setError(null);
		} catch (e) {
			if (e.status === 404)
				app.table.put(kind.key, name, null);
			setError(e);
		}
	};
	useEffect(() => void again(), [name]);
	const head = html`<${Button} bare icon="clear" class="close" label=${t("act.close")} onClick=${close} />`;
	if (!r)
		return html`<aside class="detail" aria-label=${name}><div class="detail-head">${head}</div>${error && html`<${Nothing} icon="warn" alert text=${why(error)} />`}</aside>`;
	const may = verb => app.rights.may(kind.object, verb, org);
	const edit = group => layers.open(Form, { app, kind, record: r, org, group, saved: again }, { kind: "dialog", label: t(`group.${kind.object}.${group.name}`) });
	const settings = app.rights.settings(kind.object, "modify", org);
	return html`<aside class="detail" aria-label=${name}><div class="detail-head"><${Avatar} name=${r.name || name} /><div class="titles"><h2>${r.name || name}</h2><small>${name}</small></div>${head}</div>
		${error && html`<p class="wrong" role="alert">${why(error)}</p>`}
		${kind.object !== "package" && kind.object !== "provider" && html`<p class="state-line"><${State} of=${r} />${r.deleted && html` <small>${t("detail.deleted", { when: when(r.deleted) })}</small>`}</p>`}
		${kind.groups.map(group => {
			const has = group.fields.filter(f => r[f.name] !== undefined && r[f.name] !== "");
			const can = group.fields.some(f => settings.has(f.name)) && may("modify");
			return (has.length > 0 || can) && html`<section class="card" key=${group.name}><h3><span>${t(`group.${kind.object}.${group.name}`)}</span>
				${can && html`<button type="button" class="button" aria-label=${t("act.editWhat", { what: t(`group.${kind.object}.${group.name}`) })} onClick=${() => edit(group)}>${t("act.edit")}</button>`}</h3>
				${has.length ? html`<dl>${has.map(f => html`<div key=${f.name}><dt>${t(`f.${f.name}`)}</dt><dd>${shown(f, r[f.name])}</dd></div>`)}</dl>` : html`<p class="hint">${t("detail.nothing")}</p>`}</section>`;
		})}
		${r.created && html`<p class="hint">${t("detail.dates", { created: when(r.created), modified: when(r.modified) })}</p>`}
		${kind.object === "org" && html`<div class="acts"><${Button} class="line" icon="user" label=${t("nav.users")} onClick=${() => app.go({ place: "users", org: name })} />
			<${Button} class="line" icon="group" label=${t("nav.groups")} onClick=${() => app.go({ place: "groups", org: name })} /></div>`}
		<${Acts} app=${app} kind=${kind} r=${r} name=${name} org=${org} again=${again} /></aside>`;
}

/** @param {any} app @param {any} kind @param {string} name @param {string} verb @param {string} [version] */
export const act = (app, kind, name, verb, version) =>
	(verb === "delete" ? app.api.call("DELETE", [kind.list, name], { version }) : app.api.call("POST", [kind.list, name, verb], { body: {}, version }));

function Acts({ app, kind, r, name, org, again }) {
	const layers = useLayers();
	const now = state(r);
	const run = async (a, version) => {
		try {
			await act(app, kind, name, a.verb, version);
			const gone = a.verb === "purge" || (a.verb === "delete" && !a.undo);
			app.said(t(`done.${a.verb}`, { who: name }), a.undo && (() => void run({ verb: a.undo })));
			if (gone) {
				app.table.put(kind.key, name, null);
				app.turn({ open: "" }, true);
			} else {
				await again();
			}
		} catch (error) {
			app.failed(error);
			if (error.status === 412)
				await again();
		}
	};
	const start = a => {
		if (a.verb === "rename" || a.verb === "move")
			return layers.open(Rename, { app, kind, name, verb: a.verb }, { kind: "dialog", label: t(`do.${a.verb}`) });
		if (a.verb === "export")
			return exportPerson(app, name);
		if (a.verb === "password")
			return layers.open(NewPassword, { app, kind, name, over: again }, { kind: "dialog", label: t("do.password") });
		if (a.ask)
			return layers.open(Confirm, { title: t(`ask.${a.verb}`, { who: name }), text: t(`says.${kind.object}.${a.verb}`), yes: t(`do.${a.verb}`), no: t("act.cancel"), danger: a.danger, onYes: () => void run(a, r.version) },
			    { kind: "dialog", label: t(`do.${a.verb}`) });
		return run(a, r.version);
	};
	const acts = kind.acts.filter(a => app.rights.may(kind.object, a.verb, org) && (!a.when || a.when.includes(now)));
	return acts.length > 0 && html`<div class="acts">${acts.map(a => html`<${Button} key=${a.verb} class=${a.danger ? "line risky" : "line"} label=${t(`do.${a.verb}`)} onClick=${() => void start(a)} />`)}</div>`;
}

