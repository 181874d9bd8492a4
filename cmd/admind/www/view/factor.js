// @ts-check
/**
 * One's own second factor, and application passwords for programs that cannot ask for a code.  What is secret is shown
 * when it is made, and never again; a factor is on only when a code of it was right, so that nobody is locked out.
 */
import { html, useEffect, useId, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Confirm } from "../kit/dialog.js";
import { useLayers } from "../kit/layers.js";
import { qr } from "../kit/qr.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { when } from "../model/format.js";

const SERVICES = ["imap", "pop", "smtp", "sieve", "http", "admin"];

/** What a camera reads: dark on light, whatever the colours of the page. @param {{text: string, label: string}} props */
function Picture({ text, label }) {
	const rows = qr(text);
	if (!rows)
		return null;
	const size = rows.length + 8;
	const path = rows.map((r, y) => r.map((dark, x) => dark ? `M${x + 4},${y + 4}h1v1h-1z` : "").join("")).join("");
	return html`<svg class="qr" role="img" aria-label=${label} viewBox=${`0 0 ${size} ${size}`} width="200" height="200" shape-rendering="crispEdges"><rect width=${size} height=${size} fill="#fff" /><path d=${path} fill="#000" /></svg>`;
}

/** @param {{app: import("../model/app.js").App, user: string}} props */
export function Factor({ app, user }) {
	const layers = useLayers();
	const [now, setNow] = useState(/** @type {any} */ (null));
	const [fresh, setFresh] = useState(/** @type {any} */ (null));	/* a secret that waits for its code */
	const [codes, setCodes] = useState(/** @type {string[]} */ ([]));
	const [code, setCode] = useState("");
	const [wrong, setWrong] = useState("");
	const id = useId();
	const load = () => app.api.call("GET", ["factors", user]).then(setNow, e => setWrong(why(e)));
	useEffect(() => void load(), [user]);
	const run = async f => {
		setWrong("");
		try {
			await f();
		} catch (error) {
			setWrong(why(error));
		}
	};
	const begin = () => run(async () => setFresh((await app.api.call("POST", ["factors"], { body: { name: user } })).records[0]));
	const confirm = e => {
		e.preventDefault();
		return run(async () => {
			const { records } = await app.api.call("POST", ["factors", user, "confirm"], { body: { names: [code.replace(/\s/g, "")] } });
			setFresh(null);
			setCode("");
			setCodes(records[0].recovery || []);
			app.said(t("factor.done"));
			await load();
		});
	};
	const renew = () => run(async () => { setCodes((await app.api.call("POST", ["factors", user, "recovery"], { body: {} })).records[0].recovery || []); await load(); });
	const off = () => layers.open(Confirm, { title: t("factor.off.ask"), text: t("factor.off.says"), yes: t("factor.off"), no: t("act.cancel"), danger: true, onYes: () => void run(async () => {
		await app.api.call("POST", ["factors", user, "reset"], { body: {} });
		setCodes([]);
		await load();
	}) }, { kind: "dialog", label: t("factor.off") });
	if (!now && !wrong)
		return null;
	const on = now && now.kind === "totp";
	return html`<section><h2>${t("factor.title")}</h2>
		<p>${on ? t("factor.on", { n: now.codes ?? 0 }) : t("factor.none")}</p>
		${fresh && html`<form onSubmit=${confirm} novalidate><p>${t("factor.secret")}</p><${Picture} text=${fresh.uri} label=${t("factor.picture")} /><output class="secret">${fresh.secret.replace(/(.{4})(?=.)/g, "$1 ")}</output>
			<p><a href=${/^otpauth:\/\/totp\//.test(fresh.uri) ? fresh.uri : undefined}>${t("factor.open")}</a></p>
			<label class="field" for=${id + "c"}><span>${t("login.code")}</span><input id=${id + "c"} inputmode="numeric" autocomplete="one-time-code" value=${code} onInput=${e => setCode(e.target.value)} /></label>
			<div><button type="submit" class="button primary" disabled=${!code.trim()}>${t("factor.confirm")}</button></div></form>`}
		${codes.length > 0 && html`<div><p>${t("factor.codes")}</p><ul class="codes">${codes.map(c => html`<li key=${c}><code>${c}</code></li>`)}</ul></div>`}
		${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
		<div class="acts">${on ? html`<${Button} class="line" label=${t("factor.renew")} onClick=${() => void renew()} /><${Button} class="line risky" label=${t("factor.off")} onClick=${off} />`
			: !fresh && html`<${Button} class="line" label=${t("factor.begin")} onClick=${() => void begin()} />`}</div></section>
		<${Apps} app=${app} user=${user} />`;
}

function Apps({ app, user }) {
	const [rows, setRows] = useState(/** @type {any[]} */ ([]));
	const [text, setText] = useState("");
	const [services, setServices] = useState(/** @type {string[]} */ ([]));
	const [made, setMade] = useState("");
	const [token, setToken] = useState("");	/* of one for administration: for identity systems */
	const [wrong, setWrong] = useState("");
	const id = useId();
	const load = () => app.api.call("GET", ["apps"], { args: { user } }).then(({ records }) => setRows(records), e => setWrong(why(e)));
	useEffect(() => void load(), [user]);
	const make = async e => {
		e.preventDefault();
		setWrong("");
		try {
			const { records } = await app.api.call("POST", ["apps"], { body: { name: user, ...(services.length ? { service: services } : {}), ...(text.trim() ? { description: text.trim() } : {}) } });
			setMade(records.map(r => r.password).find(Boolean) || "");
			setToken(records.map(r => r.token).find(Boolean) || "");
			setText("");
			setServices([]);
			await load();
		} catch (error) {
			setWrong(why(error));
		}
	};
	const take = async r => {
		try {
			await app.api.call("POST", ["apps", user, "revoke"], { body: { names: [r.app] } });
			setMade("");
			setToken("");
			app.said(t("app.gone"));
		} catch (error) {
			app.failed(error);
		}
		await load();
	};
	return html`<section><h2>${t("app.list")}</h2><p>${t("app.says")}</p>
		${rows.length > 0 && html`<ul class="values apps">${rows.map(r => html`<li key=${r.app}><span><b>${r.description || r.app}</b> <small class="hint">${[...(r.service || [])].join(", ")} ${when(r.created)}</small></span>
			<${Button} class="line risky" label=${t("role.revoke")} aria-label=${`${t("role.revoke")}: ${r.description || r.app}`} onClick=${() => void take(r)} /></li>`)}</ul>`}
		${made && html`<div><p>${t("password.once")}</p><output class="secret">${made}</output>
			${token && html`<p>${t("app.token")}</p><output class="secret">${token}</output>`}</div>`}
		<form onSubmit=${make} novalidate><label class="field" for=${id}><span>${t("app.what")}</span><input id=${id} type="text" autocomplete="off" value=${text} onInput=${e => setText(e.target.value)} /></label>
			<fieldset class="choice"><legend>${t("app.services")}</legend><div>${SERVICES.map(s => html`<label key=${s}><input type="checkbox" checked=${services.includes(s)} onChange=${e => setServices(e.target.checked ? [...services, s] : services.filter(x => x !== s))} /><span>${t(`app.${s}`)}</span></label>`)}</div></fieldset>
			${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}<div><button type="submit" class="button line">${t("app.make")}</button></div></form></section>`;
}
