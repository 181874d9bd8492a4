// @ts-check
/**
 * The list of conversations: a grid of which only the rows in sight exist.  One row has the focus (it moves
 * with the arrows, j and k); what is chosen for an action is another thing and shows its mark instead of the
 * avatar.  A click opens, with Ctrl it chooses, with Shift it chooses all between.
 */
import { cls, html, useEffect, useLayoutEffect, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { VirtualList } from "../kit/virtual.js";
import { useWatch } from "../kit/store.js";
import { t, words } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { shortDate } from "../model/format.js";
import { shade } from "../model/address.js";
import { Avatar } from "./avatar.js";
import { useMail } from "./context.js";
import { openLabels, openMove, removeAsked, rowMenu } from "./doing.js";
import { SearchField } from "./search.js";
import { Marked } from "./marked.js";
import { DRAG_ROWS } from "./sidebar.js";

const HEIGHTS = { comfortable: 78, compact: 36 };	/* px, as --row of the tokens */
const PATIENCE = 200;		/* ms before anything says that it loads */

export function ListPane() {
	const app = useMail();
	return html`<section class="list" aria-label=${t("list.label")} id="list"><${SearchField} /><${Head} app=${app} /><${Rows} app=${app} /></section>`;
}

function title(app) {
	const r = app.state.route;
	switch (r.kind) {
	case "flagged": return t("nav.flagged");
	case "label": return r.value;
	case "search": return t("search.results");
	default: return app.box ? app.boxName(app.box) : "";
	}
}

function Head({ app }) {
	useWatch(app.list);
	const chosen = app.state.selected.size;
	if (chosen)
		return html`<div class="list-head chosen"><${Button} bare icon="clear" label=${t("list.selectNone")} onClick=${() => app.clearSelection()} />
			<span role="status">${t("list.selected", { n: chosen })}</span><span class="space"></span>
			<${Button} bare icon="archive" label=${t("act.archive")} key_="e" onClick=${() => app.archive()} />
			<${Button} bare icon="bin" label=${t("act.delete")} key_="#" onClick=${() => removeAsked(app)} />
			<${Button} bare icon="junk" label=${t("act.junk")} key_="!" onClick=${() => app.junk()} />
			<${Button} bare icon="mailOpen" label=${t("act.read")} key_="U" onClick=${() => app.markRead()} />
			<${Button} bare icon="move" label=${t("act.move")} key_="v" onClick=${e => openMove(app, e.currentTarget)} />
			<${Button} bare icon="tag" label=${t("act.label")} key_="l" onClick=${e => openLabels(app, e.currentTarget)} /></div>`;
	const n = app.list ? app.list.length : null;
	const found = app.state.route.kind === "search";
	return html`<div class="list-head"><${Button} bare class="folders-button" icon="menu" label=${t("nav.menu")} onClick=${() => app.ui.set({ folders: !app.state.folders })} />
		<h1>${title(app)}</h1><span role="status">${n === null ? "" : t(found ? "list.found" : "list.count", { n })}</span><span class="space"></span>
		${!found && html`<${Button} class="small" label=${t("list.unreadOnly")} pressed=${app.state.unreadOnly} onClick=${() => app.setUnreadOnly(!app.state.unreadOnly)} />`}</div>`;
}

/** True once `waiting` has lasted so long that it should be said. */
function usePatience(waiting) {
	const [late, setLate] = useState(false);
	useEffect(() => {
		setLate(false);
		if (!waiting)
			return undefined;
		const timer = setTimeout(() => setLate(true), PATIENCE);
		return () => clearTimeout(timer);
	}, [waiting]);
	return waiting && late;
}

function Rows({ app }) {
	const list = app.list;
	useWatch(list);
	useWatch(app.settings);
	const height = HEIGHTS[app.settings.state.density] || HEIGHTS.comfortable;
	const late = usePatience(!list || (list.length === null && !list.error));
	if (list && list.error && list.length === null)
		return html`<div class="nothing" role="alert"><p>${t("list.failed", { why: why(list.error) })}</p>
			<${Button} class="line" label=${t("start.again")} onClick=${() => void list.ensure(0, 30)} /></div>`;
	if (!list || list.length === null)
		return html`<div class="rows" aria-busy="true" role="status">${late && html`<span class="hidden-text">${t("list.load")}</span>${Array.from({ length: 8 }, (_, n) => html`<${Skeleton} key=${n} />`)}`}</div>`;
	if (!list.length)
		return html`<div class="nothing" role="status"><p>${empty(app)}</p></div>`;
	const at = app.state.cursor ? list.indexOf(app.state.cursor) : -1;
	return html`<${VirtualList} key=${app.state.route.kind + app.state.route.value + app.state.unreadOnly} count=${list.length} height=${height} at=${at} role="grid" aria-label=${title(app)}
		aria-rowcount=${list.length} aria-multiselectable="true" onRange=${(a, b) => void list.ensure(a, b)}
		row=${n => html`<${Row} key=${list.at(n) || "n" + n} app=${app} id=${list.at(n)} n=${n} first=${at < 0 && n === 0} />`} />`;
}

function empty(app) {
	if (app.state.unreadOnly)
		return t("list.emptyUnread");
	if (app.state.route.kind === "search")
		return t("list.emptySearch");
	return app.box && app.box.role === "inbox" ? t("list.emptyInbox") : t("list.empty");
}

const Skeleton = () => html`<div class="row skeleton" role="presentation"><span class="avatar"></span><i></i><i></i><i></i></div>`;

function Row({ app, id, n, first }) {
	const r = id && app.row(id);
	const el = useRef(/** @type {any} */ (null));
	const cursor = id === app.state.cursor;
	const focus = useRef(false);
	useLayoutEffect(() => {
		/* The focus follows the cursor, before the next key comes, when that was led by keys, or when the focus was in the list, or nowhere. */
		if (cursor && el.current && (app.led || document.activeElement === document.body || document.activeElement?.closest(".rows")))
			el.current.focus({ preventScroll: true });
		if (cursor)
			app.led = false;
	}, [cursor]);
	if (!r)
		return html`<div role="row" aria-rowindex=${n + 1}><div role="gridcell"><${Skeleton} /></div></div>`;
	const chosen = app.state.selected.has(id);
	const found = app.list.found.get(id);
	const click = e => {
		if (focus.current)
			return;
		if (e.shiftKey)
			app.selectTo(id);
		else if (e.ctrlKey || e.metaKey)
			app.select(id);
		else
			app.openRow(id);
	};
	const mine = app.state.selected.size && chosen ? [...app.state.selected] : [id];
	const drag = e => e.dataTransfer.setData(DRAG_ROWS, JSON.stringify(mine));
	const menu = e => {
		e.preventDefault();
		rowMenu(app, mine, { x: e.clientX, y: e.clientY });
	};
	return html`<div ref=${el} class=${cls("row", r.unread && "unread", app.state.route.thread === r.threadId && "on", cursor && "cursor", chosen && "chosen")}
		role="row" aria-rowindex=${n + 1} aria-selected=${chosen} tabindex=${cursor || first ? 0 : -1} draggable onDragStart=${drag}
		onClick=${click} onContextMenu=${menu} onFocus=${() => !cursor && app.ui.set({ cursor: id })}>
		<div class="who-mark" role="gridcell"><button type="button" class="mark" role="checkbox" aria-checked=${chosen} aria-label=${t("list.select")} tabindex="-1"
			onClick=${e => { e.stopPropagation(); if (e.shiftKey) app.selectTo(id); else app.select(id); }}><${Avatar} of=${r.lead} /><i class="box"><${Icon} name="check" /></i></button></div>
		<div class="who" role="gridcell"><span>${r.names.length ? r.names.map((p, i) => html`${i ? ", " : ""}<span class=${p.unread ? "new" : ""} key=${p.name}>${p.name}</span>`) : t("list.nobody")}</span>
			${r.count > 1 && html`<em>${r.count}</em>`}${r.draft && html`<em class="draft">${t("list.draft")}</em>`}${r.unread && html`<span class="hidden-text">, ${t("list.unread")}</span>`}</div>
		<time class="time" role="gridcell" datetime=${r.at}>${shortDate(r.at, new Date(), words.intl)}</time>
		<div class="subject" role="gridcell">${found && found.subject ? html`<${Marked} text=${found.subject} />` : r.subject || t("list.noSubject")}</div>
		<div class="preview" role="gridcell">${found && found.preview ? html`<${Marked} text=${found.preview} />` : r.preview}</div>
		<div class="marks" role="gridcell">${r.labels.slice(0, 3).map(l => html`<i class="dot" key=${l} title=${l} style=${{ background: `var(--a${shade({ email: l }, 8)})` }}></i>`)}
			${r.answered && html`<span title=${t("list.answered")}><${Icon} name="reply" /><span class="hidden-text">${t("list.answered")}</span></span>`}
			${r.attachment && html`<span title=${t("list.attachment")}><${Icon} name="attach" /><span class="hidden-text">${t("list.attachment")}</span></span>`}
			${r.flagged && html`<span class="flagged" title=${t("list.flagged")}><${Icon} name="flag" /><span class="hidden-text">${t("list.flagged")}</span></span>`}</div>
	</div>`;
}
