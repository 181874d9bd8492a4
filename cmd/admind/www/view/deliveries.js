// @ts-check
/** What became of messages, as the logs of all daemons tell it: looked for by an address or an id; each opens to its steps. */
import { cls, html, useEffect, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { useStore } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { bytes, when } from "../model/format.js";
import { messages } from "../model/deliveries.js";
import { Head, Nothing } from "./head.js";

const LIMIT = 50;

/** @param {{app: import("../model/app.js").App}} props */
export function Deliveries({ app }) {
	const { route } = useStore(app.ui);
	const org = route.org || app.rights.own[0] || "";
	const [found, setFound] = useState(/** @type {import("../model/deliveries.js").Found | null} */ (null));
	const [error, setError] = useState(/** @type {any} */ (null));
	const [busy, setBusy] = useState(false);
	const [text, setText] = useState(route.q);
	const turn = useRef(0);
	const load = async () => {
		const mine = ++turn.current;
		setFound(null);
		setError(null);
		if (!route.q)
			return setBusy(false);
		setBusy(true);
		try {
			const { records } = await app.api.call("GET", ["deliveries"], { args: { org, q: route.q, limit: LIMIT } });
			if (mine === turn.current)
				setFound(messages(records));
		} catch (e) {
			if (mine === turn.current)
				setError(e);
		}
		if (mine === turn.current)
			setBusy(false);
		return undefined;
	};
	useEffect(() => { setText(route.q); void load(); }, [org, route.q]);
	useEffect(() => () => { turn.current++; }, []);
	/* Logs are read from end to end: when it is asked for, and not as somebody types. */
	const submit = e => {
		e.preventDefault();
		if (text.trim() === route.q)
			void load();
		else
			app.turn({ q: text.trim() });
	};
	const more = found && found.more && html`<p class="hint">${t("delivery.more", { why: found.more })}</p>`;
	return html`<main class="view wide" id="main" tabindex="-1" aria-busy=${busy}><${Head} app=${app} title=${t("nav.deliveries")} sub=${org} />
		<form class="filters" role="search" onSubmit=${submit}><div class="search"><${Icon} name="search" /><input type="search" aria-label=${t("list.search")} placeholder=${t("find.delivery")} value=${text} onInput=${e => setText(e.target.value)} spellcheck=${false} autocapitalize="none" /></div>
			<button type="submit" class="button line" aria-busy=${busy}>${t("delivery.find")}</button></form>
		${error && html`<${Nothing} icon="warn" alert text=${why(error)} />`}
		${!route.q && html`<${Nothing} icon="mail" text=${t("delivery.says")} />`}
		${found && !found.list.length && html`<${Nothing} icon="mail" text=${t("list.none", { q: route.q })}>${more}<//>`}
		${found && found.list.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${t("nav.deliveries")}><ul class="mails">${found.list.map(m => html`<${Mail} key=${m.id} m=${m} open=${found.list.length === 1} />`)}</ul>${more}</div>`}</main>`;
}

function Mail({ m, open }) {
	const [shows, setShows] = useState(open);
	const label = t(shows ? "delivery.less" : "delivery.steps");
	return html`<li class="mail"><div class="line-1"><b>${m.from || t("delivery.nobody")}</b><span class="hint">${when(m.at)}${m.size ? ` · ${bytes(Number(m.size))}` : ""}</span></div>
		<ul class="values">${m.recipients.map(r => html`<li key=${r.to}><span class=${cls("state", kind(r.state))}>${t(`delivery.is.${r.state.replace(/ /g, "-")}`)}</span> ${r.to}${r.text && r.state !== "delivered" && html`<br /><small class=${r.state === "waiting" ? "hint" : "wrong"}>${r.text}</small>`}</li>`)}</ul>
		<p class="hint ids"><code>${m.id}</code>${m["message-id"] && html` <code>${m["message-id"]}</code>`}${m.user && html` · ${t("delivery.by", { who: m.user })}`}${m.peer && html` · ${m.peer}`}${m.of && html` · ${t("delivery.of", { id: m.of })}`}</p>
		<${Button} class="line" label=${label} aria-expanded=${shows} aria-label=${`${label}: ${m.id}`} onClick=${() => setShows(!shows)} />
		${shows && html`<ol class="steps">${m.steps.map((s, n) => html`<li key=${n}><time>${when(s.at)}</time> <code>${s.log ? `${s.log}/` : ""}${s.daemon}</code> ${t(`delivery.did.${s.event}`)}${s.to && ` ${s.to}`}${[s.state, s.verdict, s.reply, s.text, s.dest || s.host, s.peer].filter(Boolean).map((x, k) => html`<small class="hint" key=${k}> · ${x}</small>`)}</li>`)}</ol>`}</li>`;
}

/** The colour of a state. @param {string} state */
const kind = state => ({ delivered: "active", failed: "deleted", refused: "deleted", deleted: "deleted", held: "hold" })[state] || "limited";
