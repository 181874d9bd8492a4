// @ts-check
/** Start: colours and language before anything shows, then the application; what belongs to the window alone is here. */
import { html, render } from "./kit/html.js";
import { App } from "./model/app.js";
import { parse } from "./model/route.js";
import { words } from "./i18n/i18n.js";
import { Root } from "./view/root.js";

const app = new App({ storage: localStorage, location, history, channel: new BroadcastChannel("tiermail-door") });
const dark = matchMedia("(prefers-color-scheme: dark)");

function look() {
	const { theme, density } = app.settings.state;
	const root = document.documentElement;
	root.dataset.theme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
	root.dataset.density = density;
}

function language() {
	document.documentElement.lang = words.intl;
	document.documentElement.dir = words.direction;
}

look();
app.settings.watch(look);
dark.addEventListener("change", look);
words.watch(language);
/* Replaced, so that "back" leads to no mail of somebody who has left. */
app.onLeft = to => location.replace(to || "/");
/* A browser that keeps no cookie would go there and come back for ever. */
app.onSignon = (to, byItself) => {
	const last = Number(sessionStorage.getItem("tiermail.signon") || 0);
	if (byItself && Math.abs(Date.now() - last) < 30000)
		return false;
	sessionStorage.setItem("tiermail.signon", String(Date.now()));
	location.assign(to);
	return true;
};
addEventListener("popstate", () => app.arrive(parse(location.pathname)));
addEventListener("pageshow", e => e.persisted && app.state.phase === "starting" && location.reload());
addEventListener("pagehide", () => app.outbox.flush());
addEventListener("beforeunload", e => {
	if (app.outbox.busy)
		e.preventDefault();
});
addEventListener("online", () => void app.sync());
addEventListener("offline", () => app.reached(false));
document.addEventListener("visibilitychange", () => {
	if (!document.hidden && app.state.phase === "ready")
		void app.sync();
});

const mailto = new URLSearchParams(location.search).get("mailto");
app.door.start().then(async () => {
	if (mailto && app.state.phase === "ready")
		app.outbox.open((await import("./model/compose.js")).fromMailto(mailto));
});
render(html`<${Root} app=${app} />`, /** @type {Element} */ (document.getElementById("app")));
