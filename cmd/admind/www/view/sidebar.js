// @ts-check
/** The places that somebody may see, the organisation in work, and who is in. */
import { cls, html } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { useLayers } from "../kit/layers.js";
import { Menu } from "../kit/menu.js";
import { useStore } from "../kit/store.js";
import { t, words } from "../i18n/i18n.js";
import { write } from "../model/route.js";

/** Places: what one must be allowed to see them; below an organisation. */
const PLACES = [
	{ place: "orgs", icon: "org", verb: ["org", "create"] },
	{ place: "users", icon: "user", verb: ["user", "list"], org: true },
	{ place: "groups", icon: "group", verb: ["group", "list"], org: true },
	{ place: "packages", icon: "package", verb: ["package", "list"] },
	{ place: "providers", icon: "provider", verb: ["provider", "create"] },
];
const OVER = [
	{ place: "deliveries", icon: "mail", verb: ["delivery", "list"], org: true },
	{ place: "queue", icon: "send", verb: ["queue", "list"] },
	{ place: "held", icon: "inbox", verb: ["queue", "messages"] },
	{ place: "hosts", icon: "provider", verb: ["host", "list"] },
	{ place: "roles", icon: "shield", verb: ["role", "grant"] },
	{ place: "check", icon: "check", verb: ["check", ""], org: true },
	{ place: "jobs", icon: "list", verb: ["job", "list"] },
	{ place: "audit", icon: "clock", verb: ["audit", "list"], org: true },
];

export function Sidebar({ app }) {
	const { route, user } = useStore(app.ui);
	const layers = useLayers();
	const org = route.org || (app.rights.own[0] ?? "");
	const link = (/** @type {{place: string, icon: string, org?: boolean}} */ { place, icon, org: below }) => {
		const to = { place, org: below ? org : "" };
		return html`<a key=${place} class=${cls("place", route.place === place && "on")} href=${write(to)} aria-current=${route.place === place ? "page" : undefined}
			onClick=${e => { if (!e.ctrlKey && !e.metaKey && !e.shiftKey) { e.preventDefault(); app.go(to); } }}>
			<${Icon} name=${icon} /><span class="name">${t(`nav.${place}`)}</span></a>`;
	};
	const may = p => app.rights.may(p.verb[0], p.verb[1], p.org ? org : "");
	const here = PLACES.filter(p => may(p) && (!p.org || org));
	const over = OVER.filter(may);
	const more = e => layers.open(Menu, { items: [
		...["auto", "light", "dark"].map(theme => ({ label: t(`look.${theme}`), checked: app.look.state.theme === theme, do: () => void app.dress({ theme }) })),
		...[["auto", t("look.language")], ...words.languages].map(([code, label], n) => ({ label, line: n === 0, checked: app.look.state.language === code, do: () => void app.dress({ language: code }) })),
	] }, { kind: "menu", at: e.currentTarget, label: t("look.title") });
	return html`<nav class="sidebar" aria-label=${t("nav.label")}>
		<div class="brand"><img src="/icon.svg" alt="" width="22" height="22" /><span>${location.hostname}</span></div>
		${org && html`<div class="org-now"><small>${t("nav.org")}</small><span>${org}</span></div>`}
		<div class="tree">${here.map(link)}
			${over.length > 0 && html`<h2>${t("nav.over")}</h2>${over.map(link)}`}
			<h2>${t("nav.me")}</h2>${link({ place: "own", icon: "key", org: false })}</div>
		<div class="foot"><div class="who" title=${user}>${user}</div><div class="foot-buttons"><${Button} bare icon="sun" label=${t("look.title")} aria-haspopup="menu" onClick=${more} />
			<${Button} bare icon="out" label=${t("login.out")} onClick=${() => void app.logout()} /></div></div></nav>`;
}
