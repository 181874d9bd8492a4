// @ts-check
/** The whole window: what phase it is in, the three panes, and all that lies over them. */
import { html, useEffect, useMemo } from "../kit/html.js";
import { cls } from "../kit/html.js";
import { Keys } from "../kit/keys.js";
import { LayerStack, LayersContext } from "../kit/layers.js";
import { useStore, useWatch } from "../kit/store.js";
import { ToastList } from "../kit/toast.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { t, words } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { blank } from "../model/compose.js";
import { AppContext } from "./context.js";
import { keyTable } from "./keys.js";
import { Login } from "./login.js";
import { Sidebar } from "./sidebar.js";
import { Divider, within } from "./divider.js";
import { ListPane } from "./list.js";
import { ReadPane } from "./read.js";
import { ComposeDock } from "./compose.js";
import { Settings } from "./settings.js";
import { ScheduledView } from "./scheduled.js";
import { Later } from "./later.js";

/** @param {{app: import("../model/app.js").App}} props */
export function Root({ app }) {
	useWatch(words);
	const state = useStore(app.ui);
	return html`<${AppContext.Provider} value=${app}><${LayersContext.Provider} value=${app.layers}>
		${state.phase === "login" && html`<${Login} />`}
		${state.phase === "starting" && html`<div class="starting" role="status"><span class="hidden-text">${t("list.load")}</span></div>`}
		${state.phase === "failed" && html`<main class="starting"><div><p>${t("start.failed", { why: why(state.error) })}</p>
			<${Button} primary label=${t("start.again")} onClick=${() => { app.ui.set({ phase: "starting" }); void app.door.start(); }} /></div></main>`}
		${state.phase === "ready" && html`<${Shell} app=${app} />`}
		<${LayerStack} layers=${app.layers} />
		<${ToastList} toasts=${app.toasts} close=${t("act.close")} />
	<//><//>`;
}

function Shell({ app }) {
	const state = useStore(app.ui);
	const { listWidth } = useStore(app.settings);
	const keys = useMemo(() => new Keys(keyTable(app)), [app]);
	useEffect(() => {
		/* Keys that come while a layer opens, before the focus is in it, are not for what lies below. */
		const pressed = e => {
			if (!app.layers.any)
				keys.onKeyDown(e);
			else if (e.key === "Escape" && !e.defaultPrevented)
				app.layers.close();
		};
		addEventListener("keydown", pressed);
		return () => removeEventListener("keydown", pressed);
	}, [keys]);
	useTitle(app);
	const contacts = state.route.kind === "contacts" && app.contacts.there;
	const scheduled = state.route.kind === "scheduled";
	const settings = contacts || scheduled || state.route.kind === "settings";
	return html`<a class="skip" href="#list" onClick=${e => { e.preventDefault(); /** @type {any} */ (document.querySelector(".rows [tabindex='0']"))?.focus(); }}>${t("app.skip")}</a>
		${state.offline && html`<div class="offline" role="status"><${Icon} name="warn" />${t("app.offline")}</div>`}
		<div class=${cls("app", state.route.thread && "reading", settings && "setting", state.folders && "folders-open", state.offline && "is-offline")} style=${{ "--list": `${within(listWidth)}px` }}>
			<${Sidebar} />
			${state.folders && html`<div class="folders-veil" onClick=${() => app.ui.set({ folders: false })}></div>`}
			${contacts ? html`<${Later} from=${() => import("./contacts.js").then(m => m.Contacts)} />` : scheduled ? html`<${ScheduledView} />` : settings ? html`<${Settings} />` : html`<${ListPane} /><${Divider} app=${app} /><${ReadPane} />`}
		</div>
		${!settings && !state.route.thread && html`<button type="button" class="fab" aria-label=${t("nav.compose")} onClick=${() => app.outbox.open(blank({ rich: app.settings.state.rich }))}><${Icon} name="pen" /></button>`}
		<${ComposeDock} />
		${state.ended && html`<div class="over dialog"><div class="layer" role="dialog" aria-modal="true" aria-label=${t("login.title")}><${Login} ended /></div></div>`}`;
}

/** "(3) Inbox - name": what a tab shows. */
function useTitle(app) {
	useWatch(app.cache);
	const box = app.box;
	const inbox = app.role("inbox");
	const unread = inbox ? inbox.unreadThreads : 0;
	const where = box ? app.boxName(box) : app.state.route.kind === "search" ? t("search.results") :
		app.state.route.kind === "contacts" ? t("contacts.title") : app.state.route.kind === "scheduled" ? t("later.list") : app.state.route.kind === "settings" ? t("settings.title") : app.state.route.kind === "flagged" ? t("nav.flagged") : app.state.route.value;
	useEffect(() => {
		document.title = `${unread ? `(${unread}) ` : ""}${where} · ${app.state.user}`;
	}, [unread, where, app.state.user]);
}
