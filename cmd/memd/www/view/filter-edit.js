// @ts-check
/** One filter in hand: its name, what it looks for, what it does.  Nothing is kept before it is whole. */
import { html, useEffect, useId, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { t } from "../i18n/i18n.js";
import { ACTIONS, CAPABILITY, FIELDS, HOWS, SIZES, wrong } from "../model/filters.js";

/** `rule` as it is so far is the list's to keep: the form may come to stand elsewhere, when the list is another one. */
export function Edit({ app, rule: r, onChange, onSave, onCancel }) {
	const [bad, setBad] = useState("");
	const id = useId();
	const first = useRef(/** @type {any} */ (null));
	useEffect(() => first.current.focus(), []);
	const set = part => {
		onChange({ ...r, ...part });
		setBad("");
	};
	const save = e => {
		e.preventDefault();
		const conditions = r.match === "every" ? [] : r.conditions;
		const key = wrong({ ...r, conditions });
		setBad(key ? t(key) : "");
		if (!key)
			onSave({ ...r, conditions });
	};
	return html`<form class="card filter-edit" onSubmit=${save} novalidate aria-label=${t("filters.title")}>
		<label class="field" for=${id + "n"}><span>${t("filters.name")}</span><input id=${id + "n"} ref=${first} type="text" maxlength="100" value=${r.name} onInput=${e => set({ name: e.target.value })} /></label>
		<label class="field" for=${id + "m"}><span>${t("filters.match")}</span><select id=${id + "m"} value=${r.match} onChange=${e => set({ match: e.target.value })}>
			${["all", "any", "every"].map(m => html`<option key=${m} value=${m}>${t(`filters.match.${m}`)}</option>`)}</select></label>
		${r.match !== "every" && html`<${Conditions} list=${r.conditions} onChange=${conditions => set({ conditions })} />`}
		<${Actions} app=${app} list=${r.actions} onChange=${actions => set({ actions })} />
		<label class="check"><input type="checkbox" checked=${r.stop} onChange=${e => set({ stop: e.target.checked })} /><span>${t("filters.stop")}</span></label>
		${bad && html`<p class="wrong" role="alert">${bad}</p>`}
		<div class="filter-buttons"><button type="submit" class="button primary">${t("settings.save")}</button><${Button} class="line" label=${t("act.cancel")} onClick=${onCancel} /></div></form>`;
}

/* ---- what it looks for ------------------------------------------------------------------------------------------------- */

function Conditions({ list, onChange }) {
	const put = (n, part) => onChange(list.map((c, i) => (i === n ? { ...c, ...part } : c)));
	const field = (n, f) => {
		const size = f === "size", was = list[n].field === "size";
		put(n, { field: f, ...(size === was ? {} : { how: size ? "over" : "contains", value: "" }) });
	};
	return html`<fieldset class="choice"><legend>${t("filters.conditions")}</legend>${list.map((c, n) => html`<div class="condition" key=${n}>
		<select aria-label=${t("filters.field", { n: n + 1 })} value=${c.field} onChange=${e => field(n, e.target.value)}>${Object.keys(FIELDS).map(f => html`<option key=${f} value=${f}>${t(`filters.field.${f}`)}</option>`)}</select>
		<select aria-label=${t("filters.how", { n: n + 1 })} value=${c.how} onChange=${e => put(n, { how: e.target.value })}>${(c.field === "size" ? SIZES : HOWS).map(h => html`<option key=${h} value=${h}>${t(`filters.how.${h}`)}</option>`)}</select>
		<input class="input" type="text" aria-label=${t("filters.value", { n: n + 1 })} placeholder=${c.field === "size" ? "10M" : undefined} value=${c.value}
			onInput=${e => put(n, { value: c.field === "size" ? e.target.value.trim().toUpperCase() : e.target.value })} />
		<${Button} bare icon="clear" label=${t("filters.removeCondition", { n: n + 1 })} disabled=${list.length === 1} onClick=${() => onChange(list.filter((_, i) => i !== n))} /></div>`)}
		<div><${Button} icon="plus" label=${t("filters.addCondition")} onClick=${() => onChange([...list, { field: "subject", how: "contains", value: "" }])} /></div></fieldset>`;
}

/* ---- what it does -------------------------------------------------------------------------------------------------------- */

function Actions({ app, list, onChange }) {
	const of = kind => list.find(a => a.kind === kind);
	const turn = kind => onChange(of(kind) ? list.filter(a => a.kind !== kind) : [...list, { kind, value: "" }]);
	const put = (kind, part) => onChange(list.map(a => (a.kind === kind ? { kind, ...part } : a)));
	return html`<fieldset class="choice actions"><legend>${t("filters.actions")}</legend>${ACTIONS.map(kind => html`<div class="action" key=${kind}>
		<label class="check"><input type="checkbox" checked=${!!of(kind)} onChange=${() => turn(kind)} /><span>${t(`filters.action.${kind}`)}</span></label>
		${kind === "folder" && of(kind) && html`<${Where} app=${app} action=${of(kind)} onChange=${part => put(kind, part)} />`}
		${kind === "forward" && of(kind) && html`<input class="input" type="email" aria-label=${t("filters.address")} value=${of(kind).value} onInput=${e => put(kind, { value: e.target.value.trim() })} />`}</div>`)}</fieldset>`;
}

/** A folder by its id, where scripts can name it so: it may be renamed. */
function Where({ app, action, onChange }) {
	const byId = (app.transport.can(CAPABILITY)?.sieveExtensions || []).includes("mailboxid");
	const boxes = app.boxes.filter(n => n.box.myRights?.mayAddItems !== false);
	const now = boxes.find(n => n.box.id === action.id) || boxes.find(n => n.path === action.value);
	const choose = id => {
		const n = boxes.find(x => x.box.id === id);
		if (n)
			onChange({ value: n.path, ...(byId ? { id } : {}) });
	};
	return html`<select aria-label=${t("filters.folder")} value=${now ? now.box.id : ""} onChange=${e => choose(e.target.value)}>
		${!now && html`<option value="">${action.value ? t("filters.do.gone", { value: action.value }) : t("filters.choose")}</option>`}
		${boxes.map(n => html`<option key=${n.box.id} value=${n.box.id}>${"\u2003".repeat(n.depth) + (n.box.role ? t(`role.${n.box.role}`) : n.box.name)}</option>`)}</select>`;
}
