// @ts-check
/** A view whose code is fetched when it is looked at first, so that mail does not wait for it. */
import { html, useEffect, useState } from "../kit/html.js";
import { t } from "../i18n/i18n.js";
import { why } from "../model/app.js";

/** @param {{from: () => Promise<any>}} props */
export function Later({ from }) {
	const [got, setGot] = useState(/** @type {{view?: any, error?: any}} */ ({}));
	useEffect(() => {
		from().then(view => setGot({ view }), error => setGot({ error }));
	}, []);
	if (got.view)
		return html`<${got.view} />`;
	return html`<main class="settings nothing" aria-busy=${!got.error}>${got.error && html`<p role="alert">${t("start.failed", { why: why(got.error) })}</p>`}</main>`;
}
