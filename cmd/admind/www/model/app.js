// @ts-check
/**
 * The console as a whole: who is in, what they may do, where they are.  Owns the API, the list that shows, and the
 * layers over it.  A session that ends while somebody works is asked for again over the page; another person begins
 * anew.
 */
import { Layers } from "../kit/layers.js";
import { Store } from "../kit/store.js";
import { Toasts } from "../kit/toast.js";
import { t, words } from "../i18n/i18n.js";
import { Api, ApiError } from "./api.js";
import { Rights } from "./rights.js";
import { write } from "./route.js";
import { Table } from "./table.js";

/** What went wrong, in words: what the server says, where it says something. @param {any} error @returns {string} */
export function why(error) {
	if (!(error instanceof ApiError))
		return String(error && error.message || error);
	switch (error.code) {
	case "network": return t("why.network");
	case "unknown": return t("why.unknown");
	case "slow": return t("why.slow");
	case "changed": return t("why.changed");
	case "away": return t("why.away");
	case "busy": case "limit": return error.status === 422 ? error.detail : t("why.busy");
	}
	if (error.status === 403)
		return error.detail && error.code !== "denied" ? error.detail : t("why.denied");
	return error.detail || t("why.status", { n: error.status });
}

export class App {
	/** @param {{fetch: typeof fetch, history: any, storage: any, languages: readonly string[]}} world */
	constructor({ fetch, history, storage, languages }) {
		this.history = history;
		this.storage = storage;
		this.languages = languages;
		this.layers = new Layers();
		this.toasts = new Toasts();
		this.look = new Store({ theme: "auto", language: "auto", ...this.kept() });
		this.ui = new Store({ phase: "starting", ended: false, user: "", error: /** @type {any} */ (null), menu: false,
			route: /** @type {import("./route.js").Route} */ ({ place: "", org: "", q: "", sort: "", open: "" }) });
		this.rights = new Rights();
		/** @type {any[]} */
		this.roles = [];
		this.api = new Api(fetch, () => this.over());
		this.table = new Table(this.api);
		/** Something runs that a closed window would stop. */
		this.working = false;
		this.onLeft = () => {};
	}

	get state() {
		return this.ui.state;
	}

	kept() {
		try {
			return JSON.parse(this.storage.getItem("look") || "{}");
		} catch {
			return {};
		}
	}

	/** @param {Partial<{theme: string, language: string}>} part */
	async dress(part) {
		this.look.set(part);
		this.storage.setItem("look", JSON.stringify(this.look.state));
		if (part.language)
			await this.speak();
	}

	speak() {
		const { language } = this.look.state;
		return words.use(language === "auto" ? words.choose(this.languages) : language);
	}

	/* ---- in and out */

	/** @param {import("./route.js").Route} route */
	async start(route) {
		await this.speak();
		this.ui.set({ phase: "starting", route });
		try {
			const { user, expires } = await this.api.request("GET", "/session");
			this.api.begun(expires);
			await this.enter(user);
		} catch (error) {
			this.ui.set(error.status === 401 ? { phase: "login", ended: false } : { phase: "failed", error });
		}
	}

	/** @param {string} user */
	async enter(user) {
		const [{ verbs }, { records }] = await Promise.all([this.api.call("GET", ["verbs"]), this.api.call("GET", ["roles"])]);
		this.roles = records;
		this.rights = new Rights(records.filter(r => r.user.toLowerCase() === user.toLowerCase()), verbs);
		this.ui.set({ phase: "ready", user, ended: false, error: null });
		this.arrive(this.state.route);
	}

	over() {
		if (this.state.phase === "ready")
			this.ui.set({ ended: true });
	}

	/**
	 * @param {string} user @param {string} password @param {string} code of a second factor, or empty
	 * @returns {Promise<{wrong?: string, second?: boolean}>} second: a code is needed, too
	 */
	async login(user, password, code) {
		const { ended, user: before } = this.state;
		try {
			const said = await this.api.request("POST", "/login", { user, password, ...(code ? { code } : {}) });
			this.api.begun(said.expires);
			if (ended && said.user !== before) {
				this.leave();
				return {};
			}
			if (ended)
				this.ui.set({ ended: false });
			else
				await this.enter(said.user);
			return {};
		} catch (error) {
			if (error.code === "second-factor")
				return { second: true };
			return { second: error.code === "code", wrong: refusal(error) };
		}
	}

	async logout() {
		await this.api.request("POST", "/logout", {}).catch(() => {});
		this.leave();
	}

	/** Nothing of this person stays here; the page begins anew. */
	leave() {
		this.api.end();
		this.table.clear();
		this.layers.set({ stack: [] });
		this.toasts.set({ list: [] });
		this.rights = new Rights();
		this.ui.set({ phase: "starting", ended: false, user: "" });
		this.onLeft();
	}

	/* ---- places */

	/** Where somebody begins. */
	home() {
		const { own, administers } = this.rights;
		if (!administers)
			return { place: "own", org: "" };
		return own.length ? { place: "users", org: own[0] } : { place: "orgs", org: "" };
	}

	/** @param {import("./route.js").Route} route where the address bar is */
	arrive(route) {
		if (this.state.phase !== "ready")
			return this.ui.set({ route });
		if (!route.place)
			return this.go({ ...this.home() }, true);
		const [own] = this.rights.own;
		const org = ["users", "groups"].includes(route.place) && !route.org && own ? own : route.org;
		this.ui.set({ route: { ...route, org }, menu: false });
		return undefined;
	}

	/** @param {Partial<import("./route.js").Route>} route @param {boolean} [instead] of the address that was here */
	go(route, instead) {
		const whole = { place: "", org: "", q: "", sort: "", open: "", ...route };
		this.history[instead ? "replaceState" : "pushState"](null, "", write(whole));
		this.arrive(whole);
	}

	/** The same place, otherwise. @param {Partial<import("./route.js").Route>} part */
	turn(part, instead = false) {
		this.go({ ...this.state.route, ...part }, instead);
	}

	/* ---- doing */

	/** @param {string} text @param {any} [undo] */
	said(text, undo) {
		this.toasts.say(text, undo ? { action: { label: t("act.undo"), do: undo }, bar: true } : {});
	}

	/** @param {any} error */
	failed(error) {
		if (error.status !== 401)
			this.toasts.say(why(error), { failed: true });
	}
}

/** @param {any} error */
function refusal(error) {
	if (error.code === "code")
		return t("login.code.wrong");
	if (error.status === 401)
		return t("login.wrong");
	if (error.status === 429)
		return t("login.wait");
	return error.status === 403 && error.detail ? error.detail : t("login.away");
}
