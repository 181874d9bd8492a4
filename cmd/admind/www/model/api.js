// @ts-check
/**
 * The API of admind(8), asked by the cookie of a session.  An answer is what it says; a problem (RFC 9457) is an
 * ApiError with the server's code and sentence.  Reading is tried once more when the network has failed; a change
 * never is, for it may have been made.  A session that rests for its time is over (session.idle), and then the page is
 * told, also when nobody asks anything.
 */

const LATE = 2000, AGAIN = 30000;	/* ms after the end of a session until it is looked for; where no answer came */

export class ApiError extends Error {
	/** @param {number} status 0: no answer @param {string} code @param {string} detail */
	constructor(status, code, detail) {
		super(detail || code);
		this.status = status;
		this.code = code;
		this.detail = detail;
	}
}

export class Api {
	/** @param {typeof fetch} ask @param {() => void} onOver the session has ended */
	constructor(ask, onOver) {
		this.ask = ask;
		this.onOver = onOver;
		this.rest = 0;		/* ms that the session may rest */
		/** @type {any} */
		this.timer = 0;
	}

	/** A session has begun, or was found. @param {string} expires when it ends if nothing is asked any more */
	begun(expires) {
		this.rest = Math.max(this.rest, Date.parse(expires) - Date.now());
		this.wait(Date.parse(expires) - Date.now());
	}

	/** @param {number} ms */
	wait(ms) {
		clearTimeout(this.timer);
		if (ms > 0)
			this.timer = setTimeout(() => void this.look(), Math.min(ms + LATE, 0x7fffffff));
	}

	/** Is it over?  Other tabs may have gone on; looking does not. */
	async look() {
		try {
			this.begun((await this.once("GET", "/session", undefined)).expires);
		} catch (error) {
			if (error.status !== 401)
				this.wait(AGAIN);
		}
	}

	end() {
		clearTimeout(this.timer);
		this.rest = 0;
	}

	/** @returns {Promise<any>} */
	async once(method, path, body, { version = "", signal = /** @type {AbortSignal | undefined} */ (undefined) } = {}) {
		const headers = /** @type {Record<string, string>} */ ({ Accept: "application/json" });
		if (body !== undefined)
			headers["Content-Type"] = "application/json";
		if (version)
			headers["If-Match"] = `"${version}"`;
		const answer = await this.ask(path, { method, headers, credentials: "same-origin", cache: "no-store", signal, body: body === undefined ? undefined : JSON.stringify(body) });
		const said = await answer.json().catch(() => ({}));
		if (answer.ok) {
			if (path.startsWith("/api/"))
				this.wait(this.rest);
			return said;
		}
		if (answer.status === 401 && path !== "/login")
			this.onOver();
		throw new ApiError(answer.status, answer.status === 504 && method === "GET" ? "slow" : said.code || "", said.detail || "");
	}

	/** @param {string} method @param {string} path @param {object} [body] @param {{version?: string, signal?: AbortSignal}} [how] */
	async request(method, path, body, how) {
		for (let again = method === "GET"; ; again = false)
			try {
				return await this.once(method, path, body, how);
			} catch (error) {
				if (error instanceof ApiError || error.name === "AbortError")
					throw error;
				if (!again)
					throw new ApiError(0, method === "GET" ? "network" : "unknown", "");
			}
	}

	/** Of an object or a verb. @param {string} method @param {string[]} parts "users", "ann@example.org" @param {{args?: Record<string, string | number | undefined>, body?: object, version?: string, signal?: AbortSignal}} [how] */
	call(method, parts, { args = {}, body, ...how } = {}) {
		const given = new URLSearchParams();
		for (const [key, v] of Object.entries(args))
			if (v !== undefined && v !== "")
				given.set(key, String(v));
		const rest = given.toString();
		return this.request(method, `/api/v1/${parts.map(encodeURIComponent).join("/")}${rest ? "?" + rest : ""}`, body, how);
	}
}
