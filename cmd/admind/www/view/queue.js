// @ts-check
/**
 * Queues of the hosts, as jobctl(8) knows them: their numbers and channels, the destinations with most messages, and
 * messages that fit the words of the address; held, they are a view of their own.  Several can be held, released, tried,
 * returned or deleted, which is asked first.
 */
import { cls, html, useEffect, useRef, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Confirm } from "../kit/dialog.js";
import { Icon } from "../kit/icon.js";
import { useLayers } from "../kit/layers.js";
import { useStore } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { bytes, when } from "../model/format.js";
import { STATES, filters, fits, id, query, wanted } from "../model/queue.js";
import { Head, Nothing } from "./head.js";

const PAUSE = 400, MOST = 200;	/* ms; messages of a host */
const VERBS = ["release", "retry", "hold", "return", "delete"];
const at = s => (s ? when(new Date(s * 1000).toISOString()) : "");

/** @param {{app: import("../model/app.js").App}} props */
export function Queue({ app }) {
	const { route } = useStore(app.ui);
	const layers = useLayers();
	const held = route.place === "held";
	const want = { ...wanted(route.q), ...(held ? { state: "held" } : {}) };
	const [all, setAll] = useState(/** @type {any[] | null} */ (null));
	const [top, setTop] = useState(/** @type {any[]} */ ([]));
	const [rows, setRows] = useState(/** @type {any[] | null} */ (null));
	const [left, setLeft] = useState(0);
	const [wrong, setWrong] = useState(/** @type {any} */ (null));
	const [busy, setBusy] = useState(true);
	const [chosen, setChosen] = useState(/** @type {Set<string>} */ (new Set()));
	const turn = useRef(0);
	const load = async () => {
		const mine = ++turn.current;
		setBusy(true);
		try {
			const { records } = await app.api.call("GET", ["queues"]);
			const names = [...new Set(records.filter(r => !r.error).map(r => r.host))].filter(h => !want.host || h === want.host);
			const ask = (verb, body) => Promise.all(names.map(h => app.api.call("POST", ["queues", h, verb], { args: { limit: verb === "messages" ? MOST : undefined }, body: { names: body } })));
			const [found, tops] = await Promise.all([ask("messages", filters(want)), held ? [] : ask("top", [])]);
			if (mine !== turn.current)
				return;
			const told = found.flatMap(a => a.records);
			setAll(records);
			setRows(told.filter(r => r.kind === "message"));
			setLeft(told.reduce((n, r) => n + (r.kind === "more" ? r.left : 0), 0));
			setTop(tops.flatMap(a => a.records).toSorted((a, b) => b.messages - a.messages).slice(0, 20));
			setChosen(old => new Set([...old].filter(f => told.some(r => r.kind === "message" && id(r) === f))));
			setWrong(null);
		} catch (e) {
			if (mine === turn.current)
				setWrong(e);
		}
		if (mine === turn.current)
			setBusy(false);
	};
	useEffect(() => { setChosen(new Set()); void load(); }, [route.place, route.q]);
	useEffect(() => () => { turn.current++; }, []);
	const find = part => app.turn({ q: query({ ...want, ...(held ? { state: "" } : {}), ...part }) }, true);
	const may = verb => app.rights.may("queue", verb);
	const act = async (verb, list) => {
		let n = 0;
		for (const [host, names] of list)
			try {
				n += (await app.api.call("POST", ["queues", host, verb], { body: { names } })).records[0].n;
			} catch (e) {
				app.failed(e);
				return load();
			}
		app.said(n ? t(`queue.did.${verb}`, { n }) : t("queue.did.none"));
		return load();
	};
	const ask = (verb, list, n) => layers.open(Confirm, { title: t(`queue.ask.${verb}`, { n }), text: t(`queue.says.${verb}`), yes: t(`queue.${verb}`), no: t("act.cancel"), danger: verb === "delete" || verb === "return", onYes: () => act(verb, list) }, { kind: "dialog", label: t(`queue.${verb}`) });
	const picked = (rows || []).filter(r => chosen.has(id(r)));
	const names = [...new Set((all || []).filter(r => !r.error).map(r => r.host))];
	return html`<main class="view wide" id="main" tabindex="-1" aria-busy=${busy}><${Head} app=${app} title=${t(held ? "nav.held" : "nav.queue")}><${Button} class="line" label=${t("check.again")} aria-busy=${busy} onClick=${() => void load()} /><//>
		<div class="filters"><${Words} text=${want.rest.join(" ")} onText=${rest => find({ rest: rest.split(/\s+/).filter(Boolean) })} />
			${names.length > 1 && html`<select class="line" aria-label=${t("queue.host")} value=${want.host} onChange=${e => find({ host: e.target.value })}><option value="">${t("queue.all.hosts")}</option>${names.map(h => html`<option key=${h} value=${h}>${h}</option>`)}</select>`}
			${!held && html`<select class="line" aria-label=${t("queue.state")} value=${want.state} onChange=${e => find({ state: e.target.value })}><option value="">${t("queue.all.states")}</option>${STATES.map(s => html`<option key=${s} value=${s}>${t(`queue.is.${s}`)}</option>`)}</select>`}</div>
		${wrong && html`<${Nothing} icon="warn" alert text=${why(wrong)} />`}
		${!wrong && all && html`<div class="scroll" tabindex="0" role="region" aria-label=${t(held ? "nav.held" : "nav.queue")}>
			${all.filter(r => r.error).map(r => html`<p class="wrong" role="alert" key=${r.host}><${Icon} name="warn" /> ${r.host}: ${t("host.away", { why: r.error })}</p>`)}
			${!all.length && html`<${Nothing} icon="provider" text=${t("host.none")} />`}
			${!held && html`<${Channels} rows=${all} want=${want} find=${find} /><${Top} rows=${top} want=${want} find=${find} retry=${may("retry") ? r => act("retry", [[r.host, [`dest=${r.name}`, `channel=${r.channel}`]]]) : null} />`}
			<h2 class="part">${t("queue.messages")}</h2>
			${rows && !rows.length && html`<${Nothing} icon="check" text=${t(held ? "queue.none.held" : route.q ? "queue.none.found" : "queue.none")} />`}
			${rows && rows.length > 0 && html`<${Messages} rows=${rows} several=${names.length > 1} chosen=${chosen} setChosen=${setChosen} />`}
			${left > 0 && html`<p class="hint">${t("queue.left", { n: left })}</p>`}</div>`}
		${picked.length > 0 && html`<div class="several" role="region" aria-label=${t("several.label")}><b>${t("several.count", { n: picked.length })}</b>
			${VERBS.filter(v => may(v) && picked.some(m => fits(m, v))).map(v => html`<${Button} key=${v} class=${v === "delete" || v === "return" ? "line risky" : "line"} label=${t(`queue.${v}`)} onClick=${() => { const list = picked.filter(m => fits(m, v)); ask(v, list.map(m => [m.host, [`qid=${id(m)}`]]), list.length); }} />`)}
			<${Button} label=${t("several.none")} onClick=${() => setChosen(new Set())} /></div>`}</main>`;
}

/** What is typed, looked for when it rests. */
function Words({ text, onText }) {
	const [now, setNow] = useState(text);
	const timer = useRef(/** @type {any} */ (0));
	useEffect(() => setNow(text), [text]);
	useEffect(() => () => clearTimeout(timer.current), []);
	const typed = e => {
		setNow(e.target.value);
		clearTimeout(timer.current);
		timer.current = setTimeout(() => onText(e.target.value.trim()), PAUSE);
	};
	return html`<div class="search"><${Icon} name="search" /><input type="search" aria-label=${t("list.search")} placeholder=${t("find.queue")} value=${now} onInput=${typed} spellcheck=${false} /></div>`;
}

function Channels({ rows, want, find }) {
	const list = rows.filter(r => r.kind === "channel" && (!want.host || r.host === want.host) && (r.ready || r.waiting || r.leased || r.held || r.done || r.state !== "running"));
	const hosts = new Set(rows.map(r => r.host)).size;
	return html`<div class="tiles">${STATES.map(s => html`<button type="button" key=${s} class=${cls("tile", want.state === s && "on")} aria-pressed=${want.state === s} onClick=${() => find({ state: want.state === s ? "" : s })}>
			<b>${rows.filter(r => r.kind === "queue" && !r.error && (!want.host || r.host === want.host)).reduce((n, r) => n + (r[s] || 0), 0)}</b><span>${t(`queue.is.${s}`)}</span></button>`)}</div>
		${list.length > 0 && html`<h2 class="part">${t("queue.channels")}</h2><table><thead><tr><th scope="col">${t("queue.channel")}</th>${hosts > 1 && html`<th scope="col">${t("queue.host")}</th>`}${STATES.map(s => html`<th scope="col" key=${s} class="num">${t(`queue.is.${s}`)}</th>`)}<th scope="col" class="num">${t("queue.done")}</th></tr></thead>
			<tbody>${list.map(r => html`<tr key=${r.host + " " + r.name}><td><button type="button" class="linked" onClick=${() => find({ host: r.host, rest: [`channel=${r.name}`] })}>${r.name}</button>${r.state !== "running" && html` <small class="wrong">${t("queue.stopped")}</small>`}</td>${hosts > 1 && html`<td>${r.host}</td>`}
			${STATES.map(s => html`<td key=${s} class="num">${r[s]}</td>`)}<td class="num">${r.done}</td></tr>`)}</tbody></table>`}`;
}

function Top({ rows, want, find, retry }) {
	const list = rows.filter(r => !want.host || r.host === want.host);
	const rests = r => (r.dead_until ? t("queue.dead", { when: at(r.dead_until) }) : r.suspended_until ? t("queue.suspended", { when: at(r.suspended_until) }) : r.limited_until ? t("queue.limited", { when: at(r.limited_until) }) : "");
	return list.length > 0 && html`<h2 class="part">${t("queue.top")}</h2><table><thead><tr><th scope="col">${t("queue.dest")}</th><th scope="col">${t("queue.channel")}</th><th scope="col" class="num">${t("queue.messages")}</th>${STATES.map(s => html`<th scope="col" key=${s} class="num">${t(`queue.is.${s}`)}</th>`)}<th><span class="hidden-text">${t("act.more")}</span></th></tr></thead>
		<tbody>${list.map(r => html`<tr key=${r.host + " " + r.channel + " " + r.name}><td><button type="button" class="linked" onClick=${() => find({ host: r.host, rest: [`channel=${r.channel}`, `dest=${r.name}`] })}>${r.name}</button>${rests(r) && html`<br /><small class="wrong">${rests(r)}</small>`}</td><td>${r.channel}</td>
		<td class="num">${r.messages}</td>${STATES.map(s => html`<td key=${s} class="num">${r[s]}</td>`)}<td class="num">${retry && html`<${Button} label=${t("queue.retry")} aria-label=${`${t("queue.retry")}: ${r.name}`} onClick=${() => void retry(r)} />`}</td></tr>`)}</tbody></table>`;
}

function Messages({ rows, several, chosen, setChosen }) {
	const whole = rows.every(r => chosen.has(id(r)));
	const tick = (one, on) => setChosen(old => { const next = new Set(old); if (on) next.add(one); else next.delete(one); return next; });
	return html`<table><thead><tr><th class="tick"><input type="checkbox" checked=${whole} aria-label=${t("list.selectAll")} onChange=${() => setChosen(new Set(whole ? [] : rows.map(id)))} /></th><th scope="col">${t("queue.id")}</th>${several && html`<th scope="col">${t("queue.host")}</th>`}<th scope="col">${t("queue.state")}</th><th scope="col">${t("queue.dest")}</th><th scope="col" class="num">${t("queue.rcpts")}</th><th scope="col" class="num">${t("queue.size")}</th><th scope="col">${t("queue.since")}</th></tr></thead>
		<tbody>${rows.map(r => html`<tr key=${r.host + r.file}><td class="tick"><input type="checkbox" checked=${chosen.has(id(r))} aria-label=${t("list.select", { who: r.qid })} onChange=${e => tick(id(r), e.target.checked)} /></td><td><code>${r.qid}</code></td>${several && html`<td>${r.host}</td>`}
		<td>${t(`queue.is.${r.state}`)}${r.marked && ` · ${t("queue.marked")}`}${r.next > 0 && html`<br /><small class="hint">${t("queue.next", { when: at(r.next) })}</small>`}${r.attempts > 0 && html`<br /><small class="hint">${t("queue.attempts", { n: r.attempts })}</small>`}</td>
		<td>${r.dest}<br /><small class="hint">${r.channel}</small></td><td class="num">${r.nrcpt}</td><td class="num">${bytes(r.size)}</td><td>${at(r.at)}</td></tr>`)}</tbody></table>`;
}
