// @ts-check
/**
 * A list of entries: found as one types, sorted by the server, with as many rows on the page as show.  Several may be
 * selected; one is open beside it.  What is found, how it is sorted and which is open stand in the address.
 */
import { cls, html, useEffect, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { useLayers } from "../kit/layers.js";
import { Menu } from "../kit/menu.js";
import { useStore, useWatch } from "../kit/store.js";
import { VirtualList } from "../kit/virtual.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { KINDS } from "../model/objects.js";
import { Several } from "./several.js";
import { cell } from "./cell.js";
import { Detail } from "./detail.js";
import { exportList } from "./export.js";
import { Form } from "./form.js";
import { Head, Nothing } from "./head.js";
import { Import } from "./import.js";

const ROW = 44, PAUSE = 150;	/* px; ms without a letter until it is looked for */

/** Lists that the server searches; others are looked through here. */
const SEARCHED = new Set(["users", "groups"]);

export function List({ app }) {
	const { route } = useStore(app.ui);
	const layers = useLayers();
	const kind = KINDS[route.place];
	const table = app.table;
	useWatch(table);
	const [selected, setSelected] = useState(/** @type {Set<string>} */ (new Set()));
	const org = kind.org ? route.org : "";
	const searched = SEARCHED.has(route.place);
	useEffect(() => {
		if (!kind.org || route.org)
			table.ask(kind.list, { org, q: searched ? route.q : "", sort: route.sort });
	}, [kind, org, searched ? route.q : "", route.sort]);
	useEffect(() => setSelected(new Set()), [org, route.q]);
	const rows = table.list !== kind.list ? [] : searched || !route.q ? table.rows : table.rows.filter(r => fits(r, kind, route.q));
	const may = verb => app.rights.may(kind.object, verb, org);
	const create = () => layers.open(Form, { app, kind, record: null, org }, { kind: "dialog", label: t(`new.${kind.object}`) });
	const more = e => layers.open(Menu, { items: [
		...(may("create") && kind.org ? [{ label: t("bulk.import"), icon: "up", do: () => layers.open(Import, { app, kind, org }, { kind: "dialog", label: t("bulk.import") }) }] : []),
		{ label: t("bulk.export"), icon: "download", do: () => void exportList(app, kind, org) },
	] }, { kind: "menu", at: e.currentTarget, label: t("act.more") });
	if (kind.org && !org)
		return html`<main class="view" id="main" tabindex="-1"><${Head} app=${app} title=${t(`nav.${route.place}`)} />
			<${Nothing} icon="org" text=${t("list.noOrg")}><${Button} class="line" label=${t("nav.orgs")} onClick=${() => app.go({ place: "orgs" })} /><//></main>`;
	const open = rows.find(r => r[kind.key] === route.open);
	return html`<main class=${cls("view", "listing")} id="main" tabindex="-1">
		<${Head} app=${app} title=${t(`nav.${route.place}`)} sub=${org}>
			<${Button} bare icon="more" label=${t("act.more")} aria-haspopup="menu" onClick=${more} />
			${may("create") && html`<${Button} primary icon="plus" label=${t(`new.${kind.object}`)} onClick=${create} />`}<//>
		<${Search} app=${app} value=${route.q} kind=${kind} />
		<${Rows} app=${app} kind=${kind} rows=${rows} table=${table} route=${route} selected=${selected} setSelected=${setSelected} />
		<${Several} app=${app} kind=${kind} org=${org} selected=${selected} done=${() => setSelected(new Set())} rows=${rows} /></main>
		${route.open && html`<${Detail} key=${route.open} app=${app} kind=${kind} name=${route.open} seen=${open} />`}`;
}

const fits = (r, kind, q) => [r[kind.key], r.description, ...(r.alias || [])].some(v => String(v || "").toLowerCase().includes(q.toLowerCase()));

/** Looked for when nothing was typed for a moment. */
function Search({ app, value, kind }) {
	const [text, setText] = useState(value);
	const timer = useRef(/** @type {any} */ (0));
	useEffect(() => setText(value), [value]);
	const typed = e => {
		setText(e.target.value);
		clearTimeout(timer.current);
		timer.current = setTimeout(() => app.turn({ q: e.target.value.trim(), open: "" }, true), PAUSE);
	};
	useEffect(() => () => clearTimeout(timer.current), []);
	return html`<div class="search"><${Icon} name="search" /><input type="search" aria-label=${t("list.search")} placeholder=${t(`find.${kind.object}`)} value=${text} onInput=${typed} spellcheck=${false} /></div>`;
}

function Rows({ app, kind, rows, table, route, selected, setSelected }) {
	const last = useRef(-1);
	const head = useRef(/** @type {any} */ (null));
	const at = rows.findIndex(r => r[kind.key] === route.open);
	const name = n => rows[n] && rows[n][kind.key];
	const select = (n, far) => {
		const next = new Set(selected);
		const from = far && last.current >= 0 ? Math.min(last.current, n) : n, to = far && last.current >= 0 ? Math.max(last.current, n) : n;
		const on = !selected.has(name(n));
		for (let i = from; i <= to; i++)
			on ? next.add(name(i)) : next.delete(name(i));
		last.current = n;
		setSelected(next);
	};
	const go = n => rows[n] && app.turn({ open: name(n) }, !!route.open);
	const onKeyDown = e => {
		const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[e.key];
		if (step) {
			e.preventDefault();
			go(Math.max(0, Math.min(rows.length - 1, at + step)));
		} else if (e.key === " " && at >= 0 && e.target === e.currentTarget) {
			e.preventDefault();
			select(at, e.shiftKey);
		}
	};
	const sort = column => app.turn({ sort: route.sort === column.sort ? "-" + column.sort : column.sort }, true);
	const dir = c => (route.sort === c.sort ? "ascending" : route.sort === "-" + c.sort ? "descending" : undefined);
	const whole = rows.length > 0 && rows.every(r => selected.has(r[kind.key]));
	const columns = { gridTemplateColumns: `44px ${kind.columns.map((c, n) => (c.kind === "state" ? "minmax(116px, 1fr)" : n === 0 ? "minmax(160px, 2fr)" : n === 1 && kind.org ? "minmax(140px, 2fr)" : "minmax(70px, 1fr)")).join(" ")}` };
	const row = n => {
		const r = rows[n], id = r[kind.key];
		return html`<div key=${id} role="row" aria-rowindex=${n + 2} aria-selected=${selected.has(id)} class=${cls("entry", id === route.open && "on", selected.has(id) && "chosen")} style=${{ height: `${ROW}px`, ...columns }}
			onClick=${e => { if (!e.target.closest("input, label")) go(n); }}>
			<span role="gridcell" class="tick"><label><input type="checkbox" checked=${selected.has(id)} aria-label=${t("list.select", { who: id })} onClick=${e => select(n, e.shiftKey)} /></label></span>
			${kind.columns.map((c, i) => html`<span role="gridcell" key=${c.name} class=${cls("cell", c.kind)}>${i === 0 ? html`<a href="#" tabindex="-1" onClick=${e => e.preventDefault()}>${cell(r, c)}</a>` : cell(r, c)}</span>`)}</div>`;
	};
	let body;
	if (table.error && !rows.length)
		body = html`<${Nothing} icon="warn" alert text=${why(table.error)}><${Button} class="line" label=${t("start.again")} onClick=${() => table.retry()} /><//>`;
	else if (!rows.length && table.done)
		body = html`<${Nothing} icon=${kind.icon} text=${route.q ? t("list.none", { q: route.q }) : t(`none.${kind.object}`)} />`;
	else
		body = html`<${VirtualList} count=${rows.length} height=${ROW} at=${at} row=${row} onRange=${(_, n) => table.range(n)} role="rowgroup" tabindex="0" aria-label=${t("list.rows")} onKeyDown=${onKeyDown} />`;
	return html`<div class="table"><div class="grid" role="grid" aria-label=${t(`nav.${route.place}`)} aria-rowcount=${table.done ? rows.length + 1 : -1} aria-multiselectable="true" aria-busy=${table.asking}>
		<div role="rowgroup" class="titles" ref=${head}><div role="row" class="entry" style=${columns}>
			<span role="columnheader" class="tick"><label><input type="checkbox" checked=${whole} aria-label=${t("list.selectAll")} onClick=${() => setSelected(new Set(whole ? [] : rows.map(r => r[kind.key])))} /></label></span>
			${kind.columns.map(c => html`<span role="columnheader" key=${c.name} class=${cls("cell", c.kind)} aria-sort=${dir(c)}>${c.sort && (kind.org || c.sort)
				? html`<button type="button" onClick=${() => sort(c)}>${t(`col.${c.name}`)}<${Icon} name=${dir(c) === "descending" ? "down" : dir(c) ? "up" : "none"} /></button>` : t(`col.${c.name}`)}</span>`)}</div></div>
		${body}</div><div class="count" role="status">${rows.length > 0 && (table.error ? html`<span class="wrong">${why(table.error)}</span> <${Button} class="line" label=${t("start.again")} onClick=${() => table.retry()} />` : t(table.done ? "list.count" : "list.some", { n: rows.length }))}</div></div>`;
}
