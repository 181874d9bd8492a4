// @ts-check
/**
 * Coming in and going out.  A browser is often not one person's: who comes in finds nothing of who was here before,
 * not on the screen, not in memory, not in what the browser keeps; and what somebody was writing is with the server
 * before they go.  The tabs of a browser share one session, so each tells the others who is in now, and a tab that
 * shows somebody else's mail begins anew.
 *
 * Where the site has a provider of its own (memd(8), signon), the page goes there and comes back logged in, or to
 * /signon/failed?why= with a word of why not; a logout leads to /signon/out, where nobody is sent there at once again.
 */
import { JmapError } from "../jmap/transport.js";
import { t, words } from "../i18n/i18n.js";
import { why } from "./app.js";

const POST = { method: "POST", headers: { "Content-Type": "application/json" }, credentials: /** @type {"same-origin"} */ ("same-origin") };

export class Door {
	/** @param {import("./app.js").App} app @param {any} [channel] to the other tabs */
	constructor(app, channel) {
		this.app = app;
		this.channel = channel;
		if (channel)
			channel.onmessage = e => this.heard(e.data.user, e.data.to);
	}

	/** Who is logged in, if anybody; then the mail. */
	async start() {
		const { app } = this;
		await words.use(words.choose(app.settings.languages(navigator.languages)));
		try {
			const who = await app.fetch("/session", { headers: { Accept: "application/json" }, credentials: "same-origin" });
			if (who.status === 401)
				return await this.outside();
			if (!who.ok)
				throw new JmapError("away", String(who.status));
			const session = await who.json();
			await this.isIn(session.user, session.language, session.brand);
			return await app.enter();
		} catch (error) {
			if (error.kind === "signed-out")
				return await this.outside();
			return app.ui.set({ phase: "failed", error: error instanceof JmapError ? error : new JmapError("away", "network", error.message) });
		}
	}

	/** Nobody is logged in: the form, the provider, or both. */
	async outside() {
		const { app } = this, here = app.location.pathname;
		await this.learnSignon();
		const { signon } = app.state, why = new URLSearchParams(app.location.search || "").get("why");
		if (signon && signon.redirect && !here.startsWith("/signon") && app.onSignon(this.signonAddress(), true))
			return;
		app.ui.set({ phase: "login", said: here === "/signon/out" ? t("signon.out") : here === "/signon/failed" ? refused(why) : "" });
	}

	/** Whether there is a provider; a server that does not say has none. */
	async learnSignon() {
		const { app } = this;
		try {
			const answer = await app.fetch("/signon/about", { headers: { Accept: "application/json" }, credentials: "same-origin" });
			const said = answer.ok ? await answer.json() : {};
			app.ui.set({ signon: "form" in said ? said : null });
		} catch {
			app.ui.set({ signon: null });
		}
	}

	/** Where the provider is found, which leads back to what is shown now. */
	signonAddress() {
		const { pathname, search = "" } = this.app.location;
		return `/signon?to=${encodeURIComponent(pathname.startsWith("/signon") ? "/" : pathname + search)}`;
	}

	/** @param {string} user @param {string} [language] of the person's entry @param {any} [brand] */
	async isIn(user, language = "", brand) {
		const { settings } = this.app;
		settings.belong(user);
		if (settings.state.entryLanguage !== language) {
			settings.keep({ entryLanguage: language });
			await words.use(words.choose(settings.languages(navigator.languages)));
		}
		this.app.ui.set({ user, ended: false, ...(brand === undefined ? {} : { brand }) });
		this.tell(user);
	}

	/** @returns {Promise<string | null>} what is wrong, in words; null: logged in */
	async login(user, password, code = "") {
		const { app } = this, again = app.state.ended, before = app.state.user;
		let answer;
		try {
			if (again && !samePerson(user, before))		/* the server lets the browser forget what it has kept */
				await app.fetch("/logout", { ...POST, body: "{}" });
			answer = await app.fetch("/login", { ...POST, body: JSON.stringify({ user, password, ...(code && { code }) }) });
		} catch {
			return t("login.away");
		}
		const said = await answer.json().catch(() => ({}));
		if (!answer.ok) {
			if (said.code === "second-factor" || said.code === "code")
				app.ui.set({ asksCode: true });
			return refusal(answer.status, said);
		}
		app.ui.set({ asksCode: false });
		const now = said.user || user;
		if (again && now !== before) {
			this.tell(now);
			this.leave();
			return null;
		}
		await this.isIn(now, said.language);
		if (again && app.transport.session) {
			void app.sync();
			return null;
		}
		try {
			await app.enter();
		} catch (error) {
			return t("start.failed", { why: why(error) });
		}
		return null;
	}

	/** @param {boolean} [sure] also when something is lost by it @returns {Promise<boolean>} false: something could not be saved, and nobody has left */
	async logout(sure = false) {
		const { app } = this;
		if (!await app.outbox.settle() && !sure)
			return false;
		const next = await this.goodbye();
		app.rescue.forget();
		this.tell("", next && "/signon/out");
		this.leave(next);
		return true;
	}

	/** @returns {Promise<string>} where the page goes on, "" at its beginning */
	async goodbye() {
		try {
			const answer = await this.app.fetch("/logout", { ...POST, body: "{}" });
			const { next } = await answer.json();
			return typeof next === "string" && /^(https:\/\/|\/signon\/)/.test(next) ? next : "";
		} catch {
			return "";
		}
	}

	/** @param {string} user @param {string} [to] nobody: where their pages go */
	tell(user, to) {
		if (this.channel)
			this.channel.postMessage({ user, to });
	}

	/** Another tab says who is in now; "" nobody. */
	heard(user, to) {
		const { app } = this;
		if (user && app.state.phase === "login")
			return void this.start();
		if (app.state.phase !== "ready")
			return undefined;
		if (user === app.state.user) {
			if (app.state.ended) {
				app.ui.set({ ended: false });
				void app.sync();
			}
			return undefined;
		}
		if (!user)
			app.outbox.windows.filter(w => app.outbox.dirty(w)).forEach(w => app.rescue.keepNow(app.state.user, w.draft));
		return this.leave(to);
	}

	/** Nothing of this person stays here; the page begins anew, or is left for another. */
	leave(to = "") {
		const { app } = this;
		app.outbox.abandon();
		app.scheduled.abandon();
		if (app.push)
			app.push.close();
		app.layers.set({ stack: [] });
		app.toasts.set({ list: [] });
		app.ui.set({ phase: "starting", ended: false, user: "" });
		app.onLeft(to);
	}
}

/** Whether a login that was typed may be that of `user`: one of the two may have a domain. */
function samePerson(typed, user) {
	const [a, b] = [typed, user].map(x => x.toLowerCase());
	return a === b || (a.includes("@") !== b.includes("@") && a.split("@")[0] === b.split("@")[0]);
}

function refusal(status, said) {
	if (said.code === "second-factor" || said.code === "code")
		return t(`login.${said.code}`);
	if (status === 401)
		return t("login.wrong");
	if (status === 429)
		return t("login.wait");
	return status >= 500 ? t("login.away") : said.detail || t("login.wrong");
}

const REFUSALS = ["away", "store", "busy", "wrong", "stale", "denied", "nobody", "inactive", "forbidden", "nowhere"];

/** Why a login at the provider came to nothing, in words. @param {string | null} why */
function refused(why) {
	return t(`signon.${why && REFUSALS.includes(why) ? why : "wrong"}`);
}
