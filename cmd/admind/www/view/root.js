// @ts-check
/** The whole window: what phase it is in, the places, the view that shows, and all that lies over it. */
import { cls, html, useEffect } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { Keys } from "../kit/keys.js";
import { LayerStack, LayersContext } from "../kit/layers.js";
import { useStore, useWatch } from "../kit/store.js";
import { ToastList } from "../kit/toast.js";
import { t, words } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { KINDS } from "../model/objects.js";
import { Audit } from "./audit.js";
import { Check } from "./check.js";
import { AppContext } from "./context.js";
import { Deliveries } from "./deliveries.js";
import { Hosts } from "./hosts.js";
import { Jobs } from "./jobs.js";
import { List } from "./list.js";
import { Login } from "./login.js";
import { Own } from "./own.js";
import { Queue } from "./queue.js";
import { Roles } from "./roles.js";
import { Sidebar } from "./sidebar.js";

/** @param {{app: import("../model/app.js").App}} props */
export function Root({ app }) {
	const { phase, ended, error, route } = useStore(app.ui);
	useWatch(words);
	useEffect(() => {
		document.title = route.place && phase === "ready" ? `${t(`nav.${route.place}`)} · ${t("app.title")}` : t("app.title");
	});
	useEffect(() => {
		const keys = new Keys({ "/": () => { const box = /** @type {any} */ (document.querySelector("input[type=search]")); if (box) box.focus(); } });
		addEventListener("keydown", keys.onKeyDown);
		return () => removeEventListener("keydown", keys.onKeyDown);
	}, []);
	let view;
	if (phase === "login")
		view = html`<${Login} />`;
	else if (phase === "failed")
		view = html`<main class="starting"><div role="alert"><${Icon} name="warn" /><p>${t("start.failed", { why: why(error) })}</p>
			<${Button} class="line" label=${t("start.again")} onClick=${() => app.start(route)} /></div></main>`;
	else if (phase === "starting")
		view = html`<main class="starting" aria-busy="true"></main>`;
	else
		view = html`<${Window} app=${app} />`;
	return html`<${AppContext.Provider} value=${app}><${LayersContext.Provider} value=${app.layers}>${view}
		<${LayerStack} layers=${app.layers} />
		${phase === "ready" && ended && html`<div class="over dialog ended"><div class="layer" role="dialog" aria-modal="true" aria-label=${t("login.title")}><${Login} ended /></div></div>`}
		<${ToastList} toasts=${app.toasts} close=${t("act.close")} /><//><//>`;
}

const VIEWS = { deliveries: Deliveries, queue: Queue, held: Queue, hosts: Hosts, roles: Roles, check: Check, jobs: Jobs, audit: Audit, own: Own };

function Window({ app }) {
	const { route, menu, ended } = useStore(app.ui);
	const view = VIEWS[route.place] || (KINDS[route.place] && List);
	return html`<a class="skip" href="#main" onClick=${e => { e.preventDefault(); const m = document.getElementById("main"); if (m) m.focus(); }}>${t("app.skip")}</a>
		<div class=${cls("app", menu && "menu-open", route.open && "has-open")} inert=${ended}><${Sidebar} app=${app} />
		${menu && html`<div class="menu-veil" onClick=${() => app.ui.set({ menu: false })} />`}
		${view ? html`<${view} key=${route.place} app=${app} />` : html`<main id="main" tabindex="-1" class="starting"></main>`}</div>`;
}

