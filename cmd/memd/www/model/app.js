// @ts-check
/**
 * The application without its looks: who is logged in, which view is open, what is chosen, and what the keys
 * and buttons do.  Views watch its stores and call its methods; it touches no element.  Everything that a
 * server says comes in by sync(), one at a time, whoever asked for it.
 */
import { Layers } from "../kit/layers.js";
import { Store } from "../kit/store.js";
import { Toasts } from "../kit/toast.js";
import { t, words } from "../i18n/i18n.js";
import { Transport } from "../jmap/transport.js";
import { Push } from "../jmap/push.js";
import * as act from "./actions.js";
import { Cache } from "./cache.js";
import { Contacts } from "./contacts.js";
import { openAtFirst, row } from "./conversation.js";
import { Door } from "./door.js";
import { MessageList, ROW_FIELDS, THREAD_FIELDS } from "./list.js";
import { byRole, tree } from "./mailboxes.js";
import { Outbox } from "./outbox.js";
import * as routes from "./route.js";
import * as search from "./search.js";
import { Scheduled } from "./scheduled.js";
import { Rescue } from "./rescue.js";
import { Settings } from "./settings.js";
import { Threads } from "./thread.js";

const MUTABLE = ["id", "mailboxIds", "keywords"];

/** Words for what went wrong. @param {any} error */
export function why(error) {
	if (error.kind === "away")
		return t("why.away");
	switch (error.type) {
	case "overQuota": return t("why.overQuota");
	case "forbidden": case "accountReadOnly": return t("why.forbidden");
	case "tooLarge": case "413": return t("why.tooLarge");
	case "notFound": case "404": return t("why.notFound");
	default: return error.message || error.type;
	}
}

export class App {
	/** @param {{fetch?: typeof fetch, storage: Storage, location: {pathname: string, search?: string}, history: History, push?: boolean, channel?: any}} how  channel: to the other tabs */
	constructor(how) {
		this.history = how.history;
		this.location = how.location;
		this.fetch = how.fetch || ((...a) => fetch(...a));
		this.wantsPush = how.push !== false;
		this.settings = new Settings(how.storage);
		this.layers = new Layers();
		this.toasts = new Toasts();
		this.ui = new Store({
			phase: /** @type {"starting" | "login" | "ready" | "failed"} */ ("starting"), user: "", brand: /** @type {any} */ (null),
			signon: /** @type {{name: string, form: boolean, redirect: boolean} | null} */ (null), said: "", asksCode: false,
			route: routes.parse(how.location.pathname), cursor: /** @type {string | null} */ (null),
			selected: /** @type {ReadonlySet<string>} */ (new Set()), unreadOnly: false, offline: false, folders: false,
			error: /** @type {any} */ (null), ended: false, position: -1,
		});
		this.transport = new Transport({
			fetch: this.fetch, onSignedOut: () => this.signedOut(), onReach: reached => this.reached(reached),
		});
		this.cache = new Cache(this.transport);
		this.contacts = new Contacts(this.transport);
		this.threads = new Threads(this.cache);
		this.doer = new act.Doer(this.cache, {
			onDone: () => this.sync(), onFailed: (_, e) => this.toasts.say(t("done.failed", { why: why(e) }), { failed: true }),
		});
		this.outbox = new Outbox(this.cache, {
			identities: () => this.cache.all("Identity"), onSent: () => this.toasts.say(t("compose.sent")),
			onFailed: (_, e) => this.toasts.say(t("compose.sendFailed", { why: why(e) }), { failed: true }),
			onChanged: w => this.rescue.keep(this.state.user, w.draft), onKept: w => this.rescue.drop(w.draft.key),
		});
		this.scheduled = new Scheduled(this.cache, { delay: () => this.outbox.delay(), mailbox: role => this.role(role) });
		this.rescue = new Rescue(how.storage);
		this.door = new Door(this, how.channel);
		/** @type {MessageList | null} */
		this.list = null;
		this.quota = null;
		/** The cursor was moved by keys: the focus follows it once. */
		this.led = false;
		/** The row that a choice with Shift begins at. */
		this.anchor = "";
		this.syncing = null;
	}

	get state() {
		return this.ui.state;
	}

	/* ---- beginning and end: model/door.js ---- */

	/** Replaced by the page: starts again with nothing in memory. @param {string} [_to] "" at the beginning */
	onLeft(_to) {}

	/** Replaced by the page: goes to another address. @param {string} _to @param {boolean} _byItself nobody has asked for it @returns {boolean} false: not again so soon */
	onSignon(_to, _byItself) {
		return false;
	}

	signedOut() {
		if (this.state.phase !== "ready")
			return;
		this.ui.set({ ended: true });
		void this.door.learnSignon();
	}

	reached(reached) {
		if (this.state.offline === reached)
			this.ui.set({ offline: !reached });
	}

	/** Session, folders and the first list, in as few round trips as it takes. */
	async enter() {
		await this.transport.open();
		const batch = this.transport.batch();
		const boxes = batch.call("Mailbox/get", { ids: null });
		const identities = this.transport.can("urn:ietf:params:jmap:submission") ? batch.call("Identity/get", { ids: null }) : null;
		const quota = this.transport.can("urn:ietf:params:jmap:quota") ? batch.call("Quota/get", { ids: null }) : null;
		batch.send().catch(() => {});
		const got = await boxes.done;
		this.cache.put("Mailbox", got.list, got.state);
		const settled = await Promise.allSettled([identities && identities.done, quota && quota.done]);
		if (settled[0].status === "fulfilled" && settled[0].value)
			this.cache.put("Identity", settled[0].value.list, settled[0].value.state);
		if (settled[1].status === "fulfilled" && settled[1].value)
			this.quota = settled[1].value.list.find(q => q.resourceType === "octets" && q.hardLimit) || null;
		void this.settings.open(this.transport).catch(() => {});
		this.ui.set({ phase: "ready" });
		void this.takeOver();
		void this.scheduled.load();
		if (this.state.route.kind === "start")
			this.go({ kind: "box", value: this.role("inbox")?.id || got.list[0].id }, true);
		else
			this.openRoute();
		if (this.wantsPush && this.transport.session.eventSourceUrl) {
			this.push = new Push(this.transport.session.eventSourceUrl, { onChange: () => void this.sync() });
			this.push.start();
		}
	}

	/** What was being written when another tab of this browser died: open, and on its way to the server. */
	async takeOver() {
		const { blank } = await import("./compose.js");
		for (const draft of await this.rescue.take(this.state.user)) {
			const w = this.outbox.open(blank({ ...draft, key: blank().key, saved: " " }));
			this.outbox.update(w, {});
			this.toasts.say(t("compose.again"));
		}
	}

	/* ---- where we are ---- */

	role(role) {
		return byRole(this.cache.all("Mailbox"), role);
	}

	/** @param {string[]} roles @returns {string[]} */
	idsOf(...roles) {
		return roles.map(r => this.role(r)?.id || "").filter(Boolean);
	}

	get boxes() {
		return tree(this.cache.all("Mailbox"), words.intl).flat;
	}

	/** The mailbox that is open, when the view is one. */
	get box() {
		const r = this.state.route;
		return r.kind === "box" ? this.cache.get("Mailbox", r.value) : undefined;
	}

	boxName(box) {
		const name = box.role ? t(`role.${box.role}`) : box.name;
		return name.startsWith("role.") ? box.name : name;	/* a role that we have no word for */
	}

	/** @param {Partial<routes.Route>} route @param {boolean} [replace] */
	go(route, replace = false) {
		const full = routes.parse(routes.write(route));
		const path = routes.write(full);
		if (replace)
			this.history.replaceState(null, "", path);
		else
			this.history.pushState(null, "", path);
		this.arrive(full);
	}

	/** A route that the history or go() has brought. */
	arrive(route) {
		const old = this.state.route;
		const same = old.kind === route.kind && old.value === route.value && this.list;
		this.ui.set({ route, folders: false, ...(same ? {} : { selected: new Set(), cursor: null, unreadOnly: false }) });
		this.openRoute(!!same);
	}

	openRoute(same = false) {
		const r = this.state.route;
		if (!same)
			this.openList();
		if (r.thread)
			void this.read(r.thread);
	}

	filter() {
		const r = this.state.route;
		const some = this.filterOf(r);
		if (!this.state.unreadOnly)
			return some;
		return some ? { operator: "AND", conditions: [some, { notKeyword: "$seen" }] } : { notKeyword: "$seen" };
	}

	filterOf(r) {
		const away = this.idsOf("junk", "trash");
		switch (r.kind) {
		case "flagged": return { hasKeyword: "$flagged" };
		case "label": return { hasKeyword: r.value };
		case "search": return search.toFilter(search.parse(r.value), {
			exclude: away, mailbox: name => this.findBox(name),
		});
		default: return { inMailbox: r.value };
		}
	}

	findBox(name) {
		const n = name.toLowerCase();
		const hit = this.boxes.find(x => x.path.toLowerCase() === n || this.boxName(x.box).toLowerCase() === n || x.box.role === n);
		return hit ? hit.box.id : null;
	}

	openList() {
		const r = this.state.route;
		if (r.kind === "settings" || r.kind === "contacts" || r.kind === "scheduled" || r.kind === "start")
			return;
		const found = r.kind === "search";
		this.list = new MessageList(this.cache, { filter: this.filter(), collapse: !found, snippets: found });
		this.ui.set({});
		void this.list.ensure(0, 30);
	}

	setUnreadOnly(on) {
		this.ui.set({ unreadOnly: on, selected: new Set(), cursor: null });
		this.openList();
	}

	/* ---- rows and what is chosen ---- */

	get mine() {
		const own = this.cache.all("Identity").map(i => i.email.toLowerCase());
		return new Set([...own, this.state.user.toLowerCase()]);
	}

	threadEmails(email) {
		const thread = this.cache.get("Thread", email.threadId);
		const list = thread ? thread.emailIds.map(id => this.cache.get("Email", id)).filter(Boolean) : [];
		return list.length ? list : [email];
	}

	/** A row of the list as it shows. @param {string} id of the email that stands for it */
	row(id) {
		const email = this.cache.get("Email", id);
		if (!email)
			return null;
		const r = this.state.route;
		const box = this.box;
		const hideIn = this.idsOf("junk", "trash").filter(b => b !== r.value);
		return row(email, r.kind === "search" ? [email] : this.threadEmails(email), {
			mine: this.mine, me: t("list.me"), hideIn, inSent: !!box && (box.role === "sent" || box.role === "drafts"),
		});
	}

	/** Rows that an action is about: those selected, else the one that is open or under the cursor. @returns {string[]} */
	targets() {
		const s = this.state;
		if (s.selected.size)
			return [...s.selected];
		const one = s.route.thread ? this.rowOfThread(s.route.thread) || s.cursor : s.cursor;
		return one ? [one] : [];
	}

	rowOfThread(threadId) {
		const id = this.list && this.list.ids.find(i => i && this.cache.get("Email", i)?.threadId === threadId);
		return id || this.threads.emails(threadId)?.[0]?.id || null;
	}

	emails(rows) {
		const single = this.state.route.kind === "search";
		return rows.map(id => this.cache.get("Email", id)).filter(Boolean)
		    .flatMap(e => (single && !this.state.route.thread ? [e] : this.threadEmails(e)));
	}

	select(id, on = !this.state.selected.has(id)) {
		const selected = new Set(this.state.selected);
		if (on)
			selected.add(id);
		else
			selected.delete(id);
		this.anchor = id;
		this.ui.set({ selected, cursor: id });
	}

	/** From the row that was chosen or opened last to this one. */
	selectTo(id) {
		const list = this.list;
		if (!list)
			return;
		const from = list.indexOf(this.anchor), to = list.indexOf(id);
		const selected = new Set(this.state.selected);
		for (let n = Math.min(from < 0 ? to : from, to); n <= Math.max(from, to); n++)
			if (list.at(n))
				selected.add(list.at(n));
		this.ui.set({ selected });
	}

	clearSelection() {
		this.ui.set({ selected: new Set() });
	}

	/* ---- reading ---- */

	openRow(id) {
		const email = this.cache.get("Email", id);
		if (!email)
			return;
		this.anchor = id;
		this.ui.set({ cursor: id });
		if (this.box && this.box.role === "drafts" && email.keywords.$draft) {
			void this.editDraft(id);
			return;
		}
		this.go({ ...this.state.route, thread: email.threadId }, !!this.state.route.thread);
	}

	/** Open a message that was sent, or was to be, as a draft again; its head may not be known yet. @param {string} id */
	async editAgain(id) {
		if (!this.cache.get("Email", id)) {
			const got = await this.transport.call("Email/get", { ids: [id], properties: ROW_FIELDS });
			this.cache.put("Email", got.list);
		}
		await this.editDraft(id);
	}

	async editDraft(id) {
		const { resume } = await import("./compose.js");
		const { bodies } = await import("./thread.js");
		const email = this.cache.get("Email", id);
		if (!email)
			return;
		await this.threads.load(email.threadId);
		await this.threads.open(id);
		const whole = this.cache.get("Email", id);
		if (whole && this.threads.hasBody(whole))
			this.outbox.open(resume({ ...whole, ...bodies(whole) }, this.cache.all("Identity")));
	}

	async read(threadId) {
		await this.threads.load(threadId);
		if (this.state.route.thread !== threadId)
			return;
		const emails = this.threads.emails(threadId);
		if (!emails)
			return;
		const cursor = this.rowOfThread(threadId);
		if (cursor && cursor !== this.state.cursor)
			this.ui.set({ cursor });
		const unread = emails.filter(e => openAtFirst(emails).has(e.id));
		this.doer.do(act.markRead(unread, true), { undo: false });
		this.ahead();
	}

	/** The next conversation is there before anybody asks. */
	ahead() {
		const list = this.list;
		if (!list)
			return;
		const next = list.at(list.indexOf(this.state.cursor || "") + 1);
		const email = next && this.cache.get("Email", next);
		if (email)
			void this.threads.load(email.threadId);
	}

	/** To the row `by` further. @param {number} by @param {boolean} open */
	async step(by, open = !!this.state.route.thread) {
		const list = this.list;
		if (!list || !list.length)
			return;
		const at = this.state.cursor ? list.indexOf(this.state.cursor) : -1;
		const n = at < 0 ? 0 : Math.max(0, Math.min(list.length - 1, at + by));
		if (!list.at(n))		/* else at once: Enter may be the next key already */
			await list.ensure(n, n + 1);
		const id = list.at(n);
		if (!id)
			return;
		this.led = true;
		if (open)
			this.openRow(id);
		else
			this.ui.set({ cursor: id });
	}

	back() {
		if (this.state.route.thread)
			this.go({ ...this.state.route, thread: "" });
	}

	/* ---- acting ---- */

	/** Where rows are taken out of: the open folder; elsewhere the inbox. */
	get from() {
		const box = this.box;
		return box ? box.id : this.role("inbox")?.id || null;
	}

	/**
	 * @param {act.Change} change @param {string[]} rows @param {string} [key] what to say @param {Record<string, string>} [args]
	 */
	perform(change, rows, key, args = {}) {
		if (!change.patches.size)
			return;
		const list = this.list;
		const leaves = change.leaves && !!this.box;
		const next = leaves ? this.after(rows) : null;
		const op = this.doer.do({ ...change, leaves }, { list, rows });
		this.ui.set({ selected: new Set() });
		if (leaves)
			this.moveOn(rows, next);
		if (key)
			op.forget = this.toasts.say(t(key, { n: rows.length, ...args }),
			    op.undoable ? { action: { label: t("act.undo"), do: () => this.undo(op) } } : {});
	}

	/** The row that is next when `rows` are gone. */
	after(rows) {
		const list = this.list;
		if (!list)
			return null;
		const gone = new Set(rows);
		const last = Math.max(...rows.map(id => list.indexOf(id)));
		for (let n = last + 1; n < (list.length || 0) && list.at(n); n++)
			if (!gone.has(list.at(n)))
				return list.at(n);
		for (let n = last - 1; n >= 0; n--)
			if (list.at(n) && !gone.has(list.at(n)))
				return list.at(n);
		return null;
	}

	moveOn(rows, next) {
		const open = this.state.route.thread;
		const gone = rows.includes(this.state.cursor || "");
		if (open && gone && next && !this.layers.any && innerWidthIsWide())
			this.openRow(next);
		else if (open && gone)
			this.go({ ...this.state.route, thread: "" }, true);
		else if (gone)
			this.ui.set({ cursor: next });
	}

	undo(op) {
		const done = this.doer.undo(op);
		if (done && done.forget)
			done.forget();
		this.toasts.say(done ? t("done.undone") : t("done.nothingToUndo"), { stay: 3000 });
		if (done && done.rows.length)
			this.ui.set({ cursor: done.rows[0] });
	}

	archive(rows = this.targets()) {
		const to = this.role("archive");
		if (to)
			this.perform(act.move(this.emails(rows), this.from, to.id), rows, "done.archive");
	}

	moveTo(boxId, rows = this.targets()) {
		const box = this.cache.get("Mailbox", boxId);
		this.perform(act.move(this.emails(rows), this.from, boxId), rows, "done.move", { to: this.boxName(box) });
	}

	junk(rows = this.targets()) {
		const is = !(this.box && this.box.role === "junk");
		const to = this.role(is ? "junk" : "inbox");
		if (to)
			this.perform(act.junk(this.emails(rows), this.from, to.id, is), rows, is ? "done.junk" : "done.notJunk");
	}

	flag(rows = this.targets(), on = !this.emails(rows).some(e => e.keywords.$flagged)) {
		this.perform(act.flag(this.emails(rows), on), rows);
	}

	markRead(rows = this.targets(), on = this.emails(rows).some(e => !e.keywords.$seen)) {
		this.perform(act.markRead(this.emails(rows), on), rows, on ? "done.read" : "done.unread");
	}

	label(name, on, rows = this.targets()) {
		this.perform(act.label(this.emails(rows), name, on), rows);
	}

	/** To the trash; out of it for ever, which `sure` has been asked. */
	remove(rows = this.targets(), sure = false) {
		const trash = this.role("trash");
		const here = this.box && (this.box.role === "trash" || this.box.role === "junk");
		if (here && !sure)
			return false;
		if (here) {
			const from = this.from;
			this.perform(act.destroy(this.emails(rows).filter(e => e.mailboxIds[from || ""])), rows, "done.destroy");
		} else if (trash)
			this.perform(act.move(this.emails(rows), this.from, trash.id), rows, "done.delete");
		return true;
	}

	/* ---- what the server says ---- */

	/** Take all changes; one at a time, and once more when asked meanwhile. */
	sync() {
		if (this.syncing) {
			this.more = true;
			return this.syncing;
		}
		this.syncing = this.syncOnce().catch(() => {}).finally(() => {
			this.syncing = null;
			if (this.more) {
				this.more = false;
				return this.sync();
			}
			return undefined;
		});
		return this.syncing;
	}

	async syncOnce() {
		const list = this.list;
		const [boxes, , threads] = await Promise.all([
			this.cache.sync("Mailbox", {}, true),
			this.cache.sync("Email", { properties: MUTABLE }),
			this.cache.sync("Thread"),
			list ? list.sync() : null,
			this.scheduled.sync(),
		]);
		if (!boxes) {
			const got = await this.transport.call("Mailbox/get", { ids: null });
			this.cache.put("Mailbox", got.list, got.state);
		}
		await this.missing(threads);
		const open = this.state.route.thread;
		if (open && !this.threads.emails(open))
			await this.threads.load(open);
	}

	/** Threads that have got messages whose heads nobody has asked for yet. */
	async missing(threads) {
		if (!threads)
			return;
		const ids = threads.updated.map(id => this.cache.base("Thread", id)).filter(Boolean).flatMap(x => x.emailIds)
		    .filter(id => !this.cache.base("Email", id));
		if (!ids.length)
			return;
		const got = await this.transport.call("Email/get", { ids: ids.slice(0, 500), properties: THREAD_FIELDS });
		this.cache.put("Email", got.list, got.state);
	}
}

const innerWidthIsWide = () => typeof innerWidth === "undefined" || innerWidth >= 700;
