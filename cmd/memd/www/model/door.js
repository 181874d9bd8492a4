// @ts-check
/**
 * Coming in and going out.  A browser is often not one person's: who comes in finds nothing of who was here before,
 * not on the screen, not in memory, not in what the browser keeps; and what somebody was writing is with the server
 * before they go.  The tabs of a browser share one session, so each tells the others who is in now, and a tab that
 * shows somebody else's mail begins anew.
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
			channel.onmessage = e => this.heard(e.data.user);
	}

	/** Who is logged in, if anybody; then the mail. */
	async start() {
		const { app } = this, chosen = app.settings.state.language;
		await words.use(chosen === "auto" ? words.choose(navigator.languages) : chosen);
		try {
			const who = await app.fetch("/session", { headers: { Accept: "application/json" }, credentials: "same-origin" });
			if (who.status === 401)
				return app.ui.set({ phase: "login" });
			if (!who.ok)
				throw new JmapError("away", String(who.status));
			const session = await who.json();
			this.isIn(session.user, session.brand);
			return await app.enter();
		} catch (error) {
			if (error.kind === "signed-out")
				return app.ui.set({ phase: "login" });
			return app.ui.set({ phase: "failed", error: error instanceof JmapError ? error : new JmapError("away", "network", error.message) });
		}
	}

	/** @param {string} user @param {any} [brand] */
	isIn(user, brand) {
		this.app.settings.belong(user);
		this.app.ui.set({ user, ended: false, ...(brand === undefined ? {} : { brand }) });
		this.tell(user);
	}

	/** @returns {Promise<string | null>} what is wrong, in words; null: logged in */
	async login(user, password) {
		const { app } = this, again = app.state.ended, before = app.state.user;
		let answer;
		try {
			if (again && !samePerson(user, before))		/* the server lets the browser forget what it has kept */
				await app.fetch("/logout", { ...POST, body: "{}" });
			answer = await app.fetch("/login", { ...POST, body: JSON.stringify({ user, password }) });
		} catch {
			return t("login.away");
		}
		const said = await answer.json().catch(() => ({}));
		if (!answer.ok)
			return refusal(answer.status, said);
		const now = said.user || user;
		if (again && now !== before) {
			this.tell(now);
			this.leave();
			return null;
		}
		this.isIn(now);
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
		await app.fetch("/logout", { ...POST, body: "{}" }).catch(() => {});
		app.rescue.forget();
		this.tell("");
		this.leave();
		return true;
	}

	tell(user) {
		if (this.channel)
			this.channel.postMessage({ user });
	}

	/** Another tab says who is in now; "" nobody. */
	heard(user) {
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
		return this.leave();
	}

	/** Nothing of this person stays here; the page begins anew. */
	leave() {
		const { app } = this;
		app.outbox.abandon();
		if (app.push)
			app.push.close();
		app.layers.set({ stack: [] });
		app.toasts.set({ list: [] });
		app.ui.set({ phase: "starting", ended: false, user: "" });
		app.onLeft();
	}
}

/** Whether a login that was typed may be that of `user`: one of the two may have a domain. */
function samePerson(typed, user) {
	const [a, b] = [typed, user].map(x => x.toLowerCase());
	return a === b || (a.includes("@") !== b.includes("@") && a.split("@")[0] === b.split("@")[0]);
}

function refusal(status, said) {
	if (status === 401)
		return t("login.wrong");
	if (status === 429)
		return t("login.wait");
	return status >= 500 ? t("login.away") : said.detail || t("login.wrong");
}
