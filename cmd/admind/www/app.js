// @ts-check
/** Start: colours and language before anything shows, then the console; what belongs to the window alone is here. */
import { html, render } from "./kit/html.js";
import { App } from "./model/app.js";
import { parse } from "./model/route.js";
import { words } from "./i18n/i18n.js";
import { Root } from "./view/root.js";

const app = new App({ fetch: fetch.bind(window), history, storage: localStorage, languages: navigator.languages });
const dark = matchMedia("(prefers-color-scheme: dark)");

function look() {
	const { theme } = app.look.state;
	document.documentElement.dataset.theme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
}

look();
app.look.watch(look);
dark.addEventListener("change", look);
words.watch(() => {
	document.documentElement.lang = words.intl;
	document.documentElement.dir = words.direction;
});
app.onLeft = () => location.replace("/");
addEventListener("popstate", () => app.arrive(parse(location.pathname, location.search)));
addEventListener("pageshow", e => e.persisted && location.reload());
addEventListener("beforeunload", e => {
	if (app.working)
		e.preventDefault();
});
void app.start(parse(location.pathname, location.search));
render(html`<${Root} app=${app} />`, /** @type {Element} */ (document.getElementById("app")));
