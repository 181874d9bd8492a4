// @ts-check
/**
 * JMAP requests (RFC 8620 3).  A Batch is a group of calls that goes out in one request, in order, so that
 * its result references (3.7) hold; batches made in the same turn of the loop share a request as far as
 * maxCallsInRequest allows.  Every failure becomes a JmapError whose `kind` says what can be done about
 * it; reads that met a store or a network that is away are asked again, changes never are: only their
 * owner knows whether twice is once.
 */

/** What went wrong, by what one can do: "away" later, "signed-out" log in, "limit" less, "refused" nothing. */
export class JmapError extends Error {
	/**
	 * @param {"away" | "signed-out" | "limit" | "refused"} kind
	 * @param {string} type of RFC 8620 3.6, or of the network
	 * @param {string} [words] the server's own
	 * @param {object} [more]
	 */
	constructor(kind, type, words, more) {
		super(words || type);
		this.kind = kind;
		this.type = type;
		this.more = more;
	}
}

/** Method errors after which the same call may succeed later (RFC 8620 3.6.2). */
const LATER = new Set(["serverUnavailable", "serverFail", "serverPartialFail"]);
const READS = /\/(get|query|changes|queryChanges|lookup|echo)$/;
const TRIES = [400, 1200, 3000];	/* ms before each further try of a read */
const CORE = "urn:ietf:params:jmap:core";
const LEAST_CALLS = 16;			/* maxCallsInRequest when a server names none (RFC 8620 2) */

class Call {
	constructor(name, args, id) {
		this.name = name;
		this.args = args;
		this.id = id;
		/** @type {Promise<any>} */
		this.done = new Promise((ok, no) => {
			this.ok = ok;
			this.no = no;
		});
		this.done.catch(() => {});	/* a batch tells its failure to whoever waits, and to nobody twice */
	}

	/** A reference to this call's result, for an argument whose name begins with #. */
	ref(path) {
		return { resultOf: this.id, name: this.name, path };
	}
}

export class Batch {
	constructor(transport) {
		this.transport = transport;
		/** @type {Call[]} */
		this.calls = [];
	}

	/** @param {string} name @param {object} args the account is added when there is none */
	call(name, args = {}) {
		const call = new Call(name, { accountId: this.transport.accountId, ...args },
			"c" + this.transport.counter++);
		this.calls.push(call);
		return call;
	}

	/** All answers in order; the first failure otherwise. @returns {Promise<any[]>} */
	send() {
		this.transport.queue(this);
		return Promise.all(this.calls.map(c => c.done));
	}
}

export class Transport {
	/**
	 * @param {{fetch?: typeof fetch, base?: string, wait?: (ms: number) => Promise<void>,
	 *	onSignedOut?: () => void, onReach?: (reached: boolean) => void}} how
	 */
	constructor(how = {}) {
		this.fetch = how.fetch || ((...a) => fetch(...a));
		this.base = how.base || "";
		this.wait = how.wait || (ms => new Promise(ok => setTimeout(ok, ms)));
		this.onSignedOut = how.onSignedOut || (() => {});
		this.onReach = how.onReach || (() => {});
		this.session = null;
		this.accountId = "";
		this.counter = 0;
		/** @type {Batch[]} */
		this.waiting = [];
		this.scheduled = false;
	}

	/** The session resource (RFC 8620 2). */
	async open() {
		const answer = await this.request(this.base + "/.well-known/jmap", {}, true);
		this.session = await answer.json();
		this.accountId = this.session.primaryAccounts["urn:ietf:params:jmap:mail"];
		return this.session;
	}

	/** What the server can; {} when it has it without limits, undefined when not. */
	can(urn, accountId = this.accountId) {
		const account = this.session.accounts[accountId];
		return (account && account.accountCapabilities[urn]) ?? this.session.capabilities[urn];
	}

	get limits() {
		return (this.session && this.session.capabilities[CORE]) || {};
	}

	batch() {
		return new Batch(this);
	}

	/** One call by itself. @returns {Promise<any>} */
	call(name, args) {
		const batch = this.batch();
		const call = batch.call(name, args);
		batch.send().catch(() => {});
		return call.done;
	}

	queue(batch) {
		this.waiting.push(batch);
		if (this.scheduled)
			return;
		this.scheduled = true;
		queueMicrotask(() => this.flush());
	}

	flush() {
		this.scheduled = false;
		const most = this.limits.maxCallsInRequest || LEAST_CALLS;
		let calls = [];
		for (const batch of this.waiting.splice(0)) {
			if (calls.length && calls.length + batch.calls.length > most) {
				this.post(calls);
				calls = [];
			}
			calls.push(...batch.calls);
		}
		if (calls.length)
			this.post(calls);
	}

	async post(calls) {
		const reads = calls.every(c => READS.test(c.name));
		const body = JSON.stringify({
			using: this.using(),
			methodCalls: calls.map(c => [c.name, c.args, c.id]),
		});
		try {
			const answer = await this.request(this.session.apiUrl, {
				method: "POST",
				headers: { "Content-Type": "application/json", Accept: "application/json" },
				body,
			}, reads);
			this.answered(calls, await answer.json());
		} catch (error) {
			for (const c of calls)
				c.no(error instanceof JmapError ? error : new JmapError("away", "network", error.message));
		}
	}

	using() {
		return Object.keys(this.session.capabilities);
	}

	answered(calls, body) {
		const byId = new Map(calls.map(c => [c.id, c]));
		if (this.session && body.sessionState && body.sessionState !== this.session.state)
			this.stale = true;
		for (const [name, args, id] of body.methodResponses) {
			const c = byId.get(id);
			if (!c)
				continue;
			if (name === "error")
				c.no(new JmapError(LATER.has(args.type) ? "away" : "refused", args.type, args.description, args));
			else if (name === c.name)	/* implicit calls answer under the same id: the first is ours */
				c.ok(args);
		}
		for (const c of calls)
			c.no(new JmapError("refused", "noAnswer"));	/* does nothing where there was one */
	}

	/** A request of this origin, its failure as a JmapError; `again`: asked again while nobody is there. */
	async request(url, how, again) {
		for (let n = 0; ; n++) {
			try {
				const answer = await this.once(url, how);
				this.onReach(true);
				return answer;
			} catch (error) {
				if (error.kind === "away")
					this.onReach(false);
				if (!again || error.kind !== "away" || n >= TRIES.length)
					throw error;
				await this.wait(TRIES[n]);
			}
		}
	}

	async once(url, how) {
		let answer;
		try {
			answer = await this.fetch(url, { credentials: "same-origin", ...how });
		} catch (error) {
			if (error.name === "AbortError")
				throw error;
			throw new JmapError("away", "network", error.message);
		}
		if (answer.ok)
			return answer;
		const problem = await answer.json().catch(() => ({}));
		const type = String(problem.type || answer.status);
		if (answer.status === 401) {
			this.onSignedOut();
			throw new JmapError("signed-out", type, problem.detail);
		}
		if (answer.status === 429 || /:limit$/.test(type))
			throw new JmapError("limit", type, problem.detail, problem);
		throw new JmapError([502, 503, 504].includes(answer.status) ? "away" : "refused", type, problem.detail);
	}

	/** The template of RFC 6570 level 1 that sessions hold, filled in. */
	url(template, values) {
		return template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name] ?? ""));
	}

	downloadUrl(blobId, name, type, accountId = this.accountId) {
		return this.url(this.session.downloadUrl, { accountId, blobId, name, type });
	}

	/** @param {Blob} data @param {AbortSignal} [signal] @returns {Promise<{blobId: string, size: number, type: string}>} */
	async upload(data, signal) {
		const answer = await this.request(this.url(this.session.uploadUrl, { accountId: this.accountId }), {
			method: "POST",
			headers: { "Content-Type": data.type || "application/octet-stream" },
			body: data,
			signal,
		}, false);
		return answer.json();
	}

	/** @returns {Promise<Response>} a blob's bytes */
	download(blobId, name = "blob", type = "application/octet-stream") {
		return this.request(this.downloadUrl(blobId, name, type), {}, true);
	}
}
