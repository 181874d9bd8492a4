// @ts-check
/**
 * Push by EventSource (RFC 8620 7.3): calls `onChange(changed)` with {accountId: {type: state}}.  One tab
 * of a browser holds the connection (a Web Lock says which) and tells the others by a BroadcastChannel,
 * since an origin has few connections.  A browser's own reconnecting ends for good at an answer that is
 * an error, so that is done here, later each time up to a minute; after each reconnect everybody looks
 * once, because what happened meanwhile was told to nobody.
 */

const FIRST = 1000, MOST = 60000, PING = 45;	/* ms, ms, s */

export class Push {
	/**
	 * @param {string} template eventSourceUrl of the session
	 * @param {{onChange: (changed: object | null) => void, EventSource?: any, locks?: any, channel?: any,
	 *	later?: (f: () => void, ms: number) => any}} how  null: look at everything
	 */
	constructor(template, how) {
		this.url = template.replace("{types}", "*").replace("{closeafter}", "no").replace("{ping}", String(PING));
		this.onChange = how.onChange;
		this.EventSource = how.EventSource || globalThis.EventSource;
		this.locks = "locks" in how ? how.locks : globalThis.navigator && navigator.locks;
		this.channel = "channel" in how ? how.channel : new BroadcastChannel("tiermail-push");
		this.later = how.later || ((f, ms) => setTimeout(f, ms));
		this.delay = FIRST;
		this.lost = false;
		this.closed = false;
	}

	start() {
		if (this.channel)
			this.channel.onmessage = e => this.onChange(e.data);
		if (!this.locks) {
			this.connect();
			return;
		}
		this.locks.request("tiermail-push", () => new Promise(release => {
			this.release = release;
			if (this.closed)
				release(undefined);
			else
				this.connect();
		}));
	}

	connect() {
		if (this.closed)
			return;
		const source = this.source = new this.EventSource(this.url);
		source.addEventListener("state", e => this.tell(JSON.parse(e.data).changed));
		source.onopen = () => {
			this.delay = FIRST;
			if (this.lost)
				this.tell(null);
			this.lost = false;
		};
		source.onerror = () => {
			this.lost = true;
			source.close();
			this.later(() => this.connect(), this.delay);
			this.delay = Math.min(MOST, this.delay * 2);
		};
	}

	tell(changed) {
		if (this.channel)
			this.channel.postMessage(changed);
		this.onChange(changed);
	}

	close() {
		this.closed = true;
		if (this.source)
			this.source.close();
		if (this.channel)
			this.channel.close();
		if (this.release)
			this.release(undefined);
	}
}
