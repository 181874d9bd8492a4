// @ts-check
/** What mail would stumble over: duplicate addresses, lists that loop, users without a store. */
import { html, useEffect, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { useStore } from "../kit/store.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { Head, Nothing } from "./head.js";

/** @param {{app: import("../model/app.js").App}} props */
export function Check({ app }) {
	const { route } = useStore(app.ui);
	const org = route.org || app.rights.own[0] || "";
	const [rows, setRows] = useState(/** @type {any[] | null} */ (null));
	const [error, setError] = useState(/** @type {any} */ (null));
	const load = () => {
		setRows(null);
		setError(null);
		app.api.call("GET", ["check"], { args: { org } }).then(({ records }) => setRows(records), setError);
	};
	useEffect(load, [org]);
	return html`<main class="view wide" id="main" tabindex="-1" aria-busy=${!rows && !error}><${Head} app=${app} title=${t("nav.check")} sub=${org}><${Button} class="line" label=${t("check.again")} onClick=${load} /><//>
		${error && html`<${Nothing} icon="warn" alert text=${why(error)} />`}
		${rows && !rows.length && html`<${Nothing} icon="check" text=${t("check.good")} />`}
		${rows && rows.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${t("nav.check")}><table><thead><tr><th scope="col">${t("check.what")}</th><th scope="col">${t("check.where")}</th><th scope="col">${t("check.says")}</th></tr></thead>
			<tbody>${rows.map((r, n) => html`<tr key=${n}><td><code>${r.finding}</code></td><td>${r.name}</td><td>${r.text}</td></tr>`)}</tbody></table></div>`}</main>`;
}
