// A JMAP server in memory that speaks as much of RFC 8620 and 8621 as the client asks for, and fails on demand:
// for the tests of the models, and of views whose point is what a real server does not do when one wants it.
// It is strict where a client could be wrong: unknown arguments, accounts, capabilities and references are errors.

const ACCOUNT = "a1";
const clone = x => JSON.parse(JSON.stringify(x));
const unescape = s => s.replace(/~1/g, "/").replace(/~0/g, "~");

function pointer(at, path) {
	if (!path.length)
		return at;
	const [name, ...rest] = path;
	if (name === "*")
		return at.flatMap(x => pointer(x, rest));
	if (at === null || typeof at !== "object" || !(name in at))
		throw { type: "invalidResultReference" };
	return pointer(at[name], rest);
}

const ARGS = {
	get: ["accountId", "ids", "properties", "bodyProperties", "fetchTextBodyValues", "fetchHTMLBodyValues", "fetchAllBodyValues", "maxBodyValueBytes"],
	set: ["accountId", "ifInState", "create", "update", "destroy", "onSuccessUpdateEmail", "onSuccessDestroyEmail", "onDestroyRemoveEmails",
		"onSuccessActivateScript", "onSuccessDeactivateScript"],
	changes: ["accountId", "sinceState", "maxChanges"],
	query: ["accountId", "filter", "sort", "position", "limit", "anchor", "anchorOffset", "calculateTotal", "collapseThreads"],
	queryChanges: ["accountId", "filter", "sort", "sinceQueryState", "maxChanges", "upToId", "calculateTotal", "collapseThreads"],
};

export class Double {
	constructor(how = {}) {
		this.records = { Mailbox: new Map(), Email: new Map(), Identity: new Map(), EmailSubmission: new Map(), SieveScript: new Map() };
		this.made = new Map();	// what Blob/upload and SieveScript/set have created, by #id
		this.contacts = !!how.contacts;
		if (this.contacts) {
			this.records.ContactCard = new Map();
			this.records.AddressBook = new Map([["default", { id: "default", name: "Contacts", description: null, sortOrder: 0, isDefault: true, isSubscribed: true }]]);
		}
		this.log = [];		// {n, type, id, what}
		this.n = 0;
		this.requests = [];	// the calls of each request, names only
		this.fail = null;	// (name, args) => error object or undefined
		this.away = false;
		this.delay = how.delay ?? 0;	// maxDelayedSend
		this.memory = how.memory ?? 1000;
		this.counts = true;
		this.blobs = new Map();
		this.ids = this.mails = 0;
		this.listeners = new Set();
		this.sessions = [{ id: "s1", current: false, began: "2026-11-20T08:00:00Z", seen: "2026-11-29T08:00:00Z", expires: "2026-12-04T08:00:00Z", address: "192.0.2.7", client: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile Safari/604.1" },
			{ id: "s2", current: true, began: "2026-11-30T08:00:00Z", seen: "2026-11-30T08:00:00Z", expires: "2026-12-04T08:00:00Z", address: "2001:db8::1", client: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" },
			{ id: "s3", current: false, began: "2026-11-30T07:00:00Z", seen: "2026-11-30T07:30:00Z", expires: "2026-12-04T08:00:00Z", address: "192.0.2.8", client: "" }];
		this.sent = [];
		this.vacation = { id: "singleton", isEnabled: false, fromDate: null, toDate: null, subject: null, textBody: null, htmlBody: null };
		for (const [id, name, role] of [["m1", "INBOX", "inbox"], ["m2", "Drafts", "drafts"], ["m3", "Sent", "sent"],
			["m4", "Archive", "archive"], ["m5", "Junk", "junk"], ["m6", "Trash", "trash"], ["m7", "Projects", null]])
			this.records.Mailbox.set(id, { id, name, role, parentId: null, sortOrder: 0, isSubscribed: true,
				myRights: { mayReadItems: true, mayAddItems: true, mayRemoveItems: true, maySetSeen: true, maySetKeywords: true,
					mayCreateChild: true, mayRename: true, mayDelete: !role, maySubmit: true } });
		this.records.Identity.set("i1", { id: "i1", name: "Ann Lee", email: "ann@example.org", replyTo: null, bcc: null,
			textSignature: "Ann Lee, room 4", htmlSignature: "", mayDelete: false });
	}

	session(base = "") {
		const mail = { maxMailboxesPerEmail: null, maxSizeAttachmentsPerEmail: 10000000, emailQuerySortOptions: ["receivedAt"], mayCreateTopLevelMailbox: true };
		const caps = {
			"urn:ietf:params:jmap:core": { maxSizeUpload: 10000000, maxConcurrentUpload: 4, maxSizeRequest: 10000000, maxConcurrentRequests: 4,
				maxCallsInRequest: 16, maxObjectsInGet: 500, maxObjectsInSet: 500, collationAlgorithms: [] },
			"urn:ietf:params:jmap:mail": {}, "urn:ietf:params:jmap:submission": {}, "urn:ietf:params:jmap:vacationresponse": {},
			"urn:ietf:params:jmap:quota": {}, ...(this.contacts && { "urn:ietf:params:jmap:contacts": { maxAddressBooksPerCard: 10 } }), "urn:ietf:params:jmap:blob": {}, "urn:ietf:params:jmap:sieve": { sieveExtensions: ["fileinto", "mailboxid"] },
		};
		return {
			capabilities: caps,
			accounts: { [ACCOUNT]: { name: "ann@example.org", isPersonal: true, isReadOnly: false,
				accountCapabilities: { ...caps, "urn:ietf:params:jmap:mail": mail, "urn:ietf:params:jmap:submission": { maxDelayedSend: this.delay, submissionExtensions: {} } } } },
			primaryAccounts: Object.fromEntries(Object.keys(caps).map(c => [c, ACCOUNT])),
			username: "ann@example.org", apiUrl: base + "/jmap/api", downloadUrl: base + "/jmap/download/{accountId}/{blobId}/{name}?type={type}",
			uploadUrl: base + "/jmap/upload/{accountId}", eventSourceUrl: base + "/jmap/eventsource?types={types}&closeafter={closeafter}&ping={ping}",
			state: "s1",
		};
	}

	/** A fetch() that ends here. */
	get fetch() {
		return async (url, how = {}) => {
			if (this.away)
				throw new TypeError("Failed to fetch");
			const json = (status, body) => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
			if (url.endsWith("/.well-known/jmap"))
				return json(200, this.session());
			if (url.includes("/jmap/api"))
				return json(200, this.request(JSON.parse(how.body)));
			if (url.includes("/jmap/upload/")) {
				const bytes = Buffer.from(await new Response(how.body).arrayBuffer());
				return json(201, { accountId: ACCOUNT, ...this.blob(bytes, how.headers["Content-Type"]) });
			}
			const blob = this.blobs.get(decodeURIComponent(url.split("/")[4] || ""));
			return blob ? new Response(blob.bytes) : json(404, { type: "about:blank" });
		};
	}

	blob(bytes, type = "application/octet-stream") {
		const blobId = "B" + ++this.ids;
		this.blobs.set(blobId, { bytes: Buffer.from(bytes), type });
		return { blobId, type, size: bytes.length };
	}

	note(type, id, what) {
		this.log.push({ n: ++this.n, type, id, what });
		for (const f of this.listeners)
			f({ [ACCOUNT]: { [type]: String(this.n) } });
	}

	/** Mail that arrives. */
	deliver(email = {}) {
		const id = email.id || "e" + ++this.mails;
		const text = email.text ?? "Text of " + id;
		const parts = [];
		const values = {};
		if (email.html === undefined || email.text !== undefined) {
			parts.push({ partId: "1", type: "text/plain", blobId: "x", size: text.length, name: null, cid: null, disposition: null });
			values["1"] = { value: text, isTruncated: false, isEncodingProblem: false };
		}
		const html = email.html === undefined ? [] : [{ partId: "2", type: "text/html", blobId: "x", size: email.html.length, name: null, cid: null, disposition: null }];
		if (html.length)
			values["2"] = { value: email.html, isTruncated: false, isEncodingProblem: false };
		const at = email.receivedAt || new Date(Date.UTC(2026, 10, 1, 0, 0, this.mails)).toISOString();
		const record = {
			id, blobId: this.blob(Buffer.from(`Subject: ${email.subject || ""}\r\n\r\n${text}`), "message/rfc822").blobId,
			threadId: "t" + id, mailboxIds: { m1: true }, keywords: {}, size: 1000, messageId: [id + "@x"], inReplyTo: null, references: null,
			from: [{ name: "Bo Chen", email: "bo@x.net" }], to: [{ name: "Ann Lee", email: "ann@example.org" }], cc: null, bcc: null, replyTo: null,
			subject: "Subject of " + id, sentAt: at, preview: text.slice(0, 100), hasAttachment: !!(email.attachments || []).length,
			attachments: [], "header:Authentication-Results:asText:all": [], "header:List-Unsubscribe:asURLs": null,
			...email, receivedAt: at, textBody: parts.length ? parts : html, htmlBody: html.length ? html : parts, bodyValues: values,
		};
		delete record.text;
		delete record.html;
		this.records.Email.set(id, record);
		this.note("Email", id, "created");
		return record;
	}

	request(body) {
		this.requests.push(body.methodCalls.map(c => c[0]));
		const results = [];
		for (const [name, given, id] of body.methodCalls) {
			try {
				const args = this.resolve(given, results);
				const [type, verb] = name.split("/");
				const failure = this.fail && this.fail(name, args);
				if (failure)
					throw failure;
				if (args.accountId !== ACCOUNT)
					throw { type: "accountNotFound" };
				for (const k of Object.keys(args))
					if (ARGS[verb] && !ARGS[verb].includes(k) && type !== "SearchSnippet")
						throw { type: "invalidArguments", description: k };
				results.push([name, clone(this.method(type, verb, args)), id]);
			} catch (error) {
				if (!error.type)
					throw error;
				results.push(["error", error, id]);
			}
		}
		return { methodResponses: results, sessionState: "s1" };
	}

	resolve(given, results) {
		const out = {};
		for (const [k, v] of Object.entries(given)) {
			if (!k.startsWith("#")) {
				out[k] = v;
				continue;
			}
			const r = results.find(x => x[2] === v.resultOf);
			if (!r || r[0] !== v.name)
				throw { type: "invalidResultReference" };
			out[k.slice(1)] = pointer(r[1], v.path.split("/").slice(1).map(unescape));
		}
		return out;
	}

	method(type, verb, args) {
		if (type === "Email" && verb === "query")
			return this.query(args);
		if (type === "EmailSubmission" && verb === "query")
			return { accountId: ACCOUNT, queryState: String(this.n), canCalculateChanges: false, position: 0,
				ids: [...this.records.EmailSubmission.values()].filter(s => s.undoStatus === args.filter.undoStatus).sort((a, b) => a.sendAt.localeCompare(b.sendAt)).map(s => s.id) };
		if (type === "ContactCard" && verb === "query" && this.contacts)
			return { accountId: ACCOUNT, queryState: String(this.n), canCalculateChanges: false, position: 0, ids: [...this.records.ContactCard.keys()], total: this.records.ContactCard.size };
		if (type === "Email" && verb === "queryChanges")
			return this.queryChanges(args);
		if (type === "SearchSnippet")
			return { accountId: ACCOUNT, notFound: [], list: args.emailIds.map(emailId => this.snippet(emailId, args.filter)) };
		if (type === "Quota")
			return { accountId: ACCOUNT, state: "1", notFound: [], list: [{ id: "q1", resourceType: "octets", used: 3800000000, hardLimit: 10000000000, scope: "account", types: ["Mail"], name: "Mail" }] };
		if (type === "VacationResponse") {
			if (verb === "set")
				Object.assign(this.vacation, args.update.singleton);
			return verb === "set" ? { accountId: ACCOUNT, newState: "1", updated: { singleton: null } } :
				{ accountId: ACCOUNT, state: "1", list: [this.vacation], notFound: [] };
		}
		if (type === "Blob")
			return this.blobs_(verb, args);
		if (type === "SieveScript" && verb === "set")
			return this.scripts(args);
		if (type !== "Thread" && !this.records[type])
			throw { type: "unknownMethod" };
		if (verb === "get")
			return this.get(type, args);
		if (verb === "changes")
			return this.changes(type, args);
		if (verb === "set")
			return this.set(type, args);
		throw { type: "unknownMethod" };
	}

	blobs_(verb, args) {
		if (verb === "get")
			return { accountId: ACCOUNT, notFound: [], list: args.ids.map(id => ({ id, "data:asText": this.blobs.get(id).bytes.toString() })) };
		const created = Object.entries(args.create).map(([k, v]) => [k, this.blob(Buffer.from(v.data.map(d => d["data:asText"]).join("")), v.type)]);
		for (const [k, b] of created)
			this.made.set("#" + k, b.blobId);
		return { accountId: ACCOUNT, created: Object.fromEntries(created.map(([k, b]) => [k, { id: b.blobId, size: b.size }])) };
	}

	/** A person's script, as if it had been put there. */
	script(name, text, isActive = false) {
		const id = "s" + ++this.ids;
		this.records.SieveScript.set(id, { id, name, blobId: this.blob(Buffer.from(text)).blobId, isActive });
		return id;
	}

	scripts(args) {
		const all = this.records.SieveScript;
		const out = { accountId: ACCOUNT, oldState: String(this.n), created: {}, updated: {}, destroyed: [], notCreated: {}, notUpdated: {}, notDestroyed: {} };
		if (args.ifInState && args.ifInState !== String(this.n))
			throw { type: "stateMismatch" };
		const blob = id => this.made.get(id) || id;
		const bad = id => (/syntax error/.test(this.blobs.get(blob(id)).bytes.toString()) ? { type: "invalidSieve", description: "script:1:1: it is wrong" } : null);
		for (const [k, v] of Object.entries(args.create || {}))
			if (bad(v.blobId))
				out.notCreated[k] = bad(v.blobId);
			else {
				const id = this.script(v.name, this.blobs.get(blob(v.blobId)).bytes.toString());
				this.made.set("#" + k, id);
				out.created[k] = { id };
			}
		for (const [id, v] of Object.entries(args.update || {}))
			if (bad(v.blobId))
				out.notUpdated[id] = bad(v.blobId);
			else {
				all.get(id).blobId = blob(v.blobId);
				out.updated[id] = null;
			}
		for (const id of args.destroy || [])
			if (all.get(id).isActive)
				out.notDestroyed[id] = { type: "sieveIsActive" };
			else if (all.delete(id))
				out.destroyed.push(id);
		const failed = [out.notCreated, out.notUpdated, out.notDestroyed].some(x => Object.keys(x).length);
		const active = args.onSuccessDeactivateScript ? "" : this.made.get(args.onSuccessActivateScript) || args.onSuccessActivateScript;
		if (!failed && active !== undefined)
			for (const s of all.values())
				s.isActive = s.id === active;
		out.newState = String(++this.n);
		return out;
	}

	all(type) {
		if (type === "Thread") {
			const threads = new Map();
			for (const e of [...this.records.Email.values()].sort((a, b) => a.receivedAt.localeCompare(b.receivedAt)))
				threads.set(e.threadId, [...(threads.get(e.threadId) || []), e.id]);
			return new Map([...threads].map(([id, emailIds]) => [id, { id, emailIds }]));
		}
		if (type !== "Mailbox")
			return this.records[type];
		const emails = [...this.records.Email.values()];
		return new Map([...this.records.Mailbox.values()].map(m => {
			const here = emails.filter(e => e.mailboxIds[m.id]);
			const unread = here.filter(e => !e.keywords.$seen && !e.keywords.$draft);
			return [m.id, { ...m, totalEmails: here.length, unreadEmails: unread.length,
				totalThreads: new Set(here.map(e => e.threadId)).size, unreadThreads: new Set(unread.map(e => e.threadId)).size }];
		}));
	}

	get(type, { ids, properties }) {
		const all = this.all(type);
		const wanted = ids ? [...new Set(ids)] : [...all.keys()];
		const pick = r => (properties ? Object.fromEntries(["id", ...properties].map(p => [p, r[p] === undefined ? null : r[p]])) : r);
		return { accountId: ACCOUNT, state: String(this.n), list: wanted.filter(i => all.has(i)).map(i => pick(all.get(i))), notFound: wanted.filter(i => !all.has(i)) };
	}

	changes(type, { sinceState }) {
		if (this.n - Number(sinceState) > this.memory)
			throw { type: "cannotCalculateChanges" };
		const created = new Set(), updated = new Set(), destroyed = new Set();
		for (const { id, what } of this.log.filter(l => l.n > sinceState && (l.type === type || (type === "Mailbox" && l.type === "Email")))) {
			if (type === "Mailbox" && !this.records.Mailbox.has(id)) {
				for (const m of this.records.Mailbox.keys())
					updated.add(m);
				continue;
			}
			({ created, updated, destroyed })[what].add(id);
		}
		for (const id of created)
			updated.delete(id);
		for (const id of destroyed) {
			updated.delete(id);
			if (created.delete(id))
				destroyed.delete(id);
		}
		return { accountId: ACCOUNT, oldState: sinceState, newState: String(this.n), hasMoreChanges: false,
			created: [...created], updated: [...updated], destroyed: [...destroyed], updatedProperties: null };
	}

	matches(e, f) {
		if (!f)
			return true;
		if (f.operator) {
			const some = f.conditions.map(c => this.matches(e, c));
			return f.operator === "AND" ? some.every(Boolean) : f.operator === "OR" ? some.some(Boolean) : !some.some(Boolean);
		}
		const has = (list, word) => (list || []).some(a => `${a.name || ""} ${a.email}`.toLowerCase().includes(word.toLowerCase()));
		const text = JSON.stringify([e.subject, e.bodyValues]).toLowerCase();
		const tests = {
			inMailbox: v => e.mailboxIds[v], inMailboxOtherThan: v => Object.keys(e.mailboxIds).some(m => !v.includes(m)),
			hasKeyword: v => e.keywords[v], notKeyword: v => !e.keywords[v], hasAttachment: v => e.hasAttachment === v,
			from: v => has(e.from, v), to: v => has(e.to, v), cc: v => has(e.cc, v), subject: v => e.subject.toLowerCase().includes(v.toLowerCase()),
			text: v => text.includes(v.toLowerCase()) || has(e.from, v) || has(e.to, v), body: v => text.includes(v.toLowerCase()),
			before: v => e.receivedAt < v, after: v => e.receivedAt >= v, minSize: v => e.size >= v, maxSize: v => e.size < v,
			someInThreadHaveKeyword: v => [...this.records.Email.values()].some(x => x.threadId === e.threadId && x.keywords[v]),
		};
		return Object.entries(f).every(([k, v]) => {
			if (!tests[k])
				throw { type: "unsupportedFilter" };
			return tests[k](v);
		});
	}

	result({ filter, collapseThreads }) {
		const seen = new Set();
		return [...this.records.Email.values()].filter(e => this.matches(e, filter))
		    .sort((a, b) => b.receivedAt.localeCompare(a.receivedAt) || (a.id < b.id ? 1 : -1))
		    .filter(e => !collapseThreads || (!seen.has(e.threadId) && seen.add(e.threadId))).map(e => e.id);
	}

	query(args) {
		const ids = this.result(args);
		const key = this.n + ":" + JSON.stringify(ids.length);
		(this.queries ??= new Map()).set(JSON.stringify([args.filter, args.collapseThreads]) + key, ids);
		return { accountId: ACCOUNT, queryState: key, canCalculateChanges: true, position: args.position || 0, total: ids.length,
			ids: ids.slice(args.position || 0, (args.position || 0) + (args.limit ?? 100)) };
	}

	queryChanges(args) {
		const old = this.queries && this.queries.get(JSON.stringify([args.filter, args.collapseThreads]) + args.sinceQueryState);
		if (!old)
			throw { type: "cannotCalculateChanges" };
		const now = this.query({ ...args, limit: 1e9 });
		const was = new Set(old), is = new Set(now.ids);
		return { accountId: ACCOUNT, oldQueryState: args.sinceQueryState, newQueryState: now.queryState, total: now.total,
			removed: old.filter(i => !is.has(i)), added: now.ids.map((id, index) => ({ id, index })).filter(a => !was.has(a.id)) };
	}

	snippet(emailId, filter) {
		const e = this.records.Email.get(emailId);
		const word = JSON.stringify(filter).match(/"text":"([^"]+)"/);
		const mark = s => (word ? s.replace(/[<&]/g, "").replace(new RegExp(word[1].replace(/\W/g, "\\$&"), "gi"), m => `<mark>${m}</mark>`) : null);
		return { emailId, subject: mark(e.subject), preview: mark(e.preview) };
	}

	set(type, args) {
		const out = { accountId: ACCOUNT, oldState: String(this.n), created: {}, updated: {}, destroyed: [], notCreated: {}, notUpdated: {}, notDestroyed: {} };
		for (const [key, value] of Object.entries(args.create || {})) {
			const made = this.create(type, value, args);
			out.created[key] = made;
		}
		for (const [id, patch] of Object.entries(args.update || {})) {
			const r = this.records[type].get(id);
			const refused = this.refuse && this.refuse(type, id, patch);
			if (!r || refused) {
				out.notUpdated[id] = refused || { type: "notFound" };
				continue;
			}
			for (const [where, value] of Object.entries(patch)) {
				const names = where.split("/").map(unescape);
				let at = r;
				for (const n of names.slice(0, -1))
					at = at[n];
				if (at === undefined)
					throw { type: "invalidPatch" };
				if (value === null && (names.length > 1 || type === "ContactCard"))
					delete at[names.at(-1)];
				else
					at[names.at(-1)] = value;
			}
			this.note(type, id, "updated");
			out.updated[id] = null;
			const then = (args.onSuccessUpdateEmail || {})[id];
			if (then)
				this.set("Email", { update: { [r.emailId]: then } });
		}
		for (const id of args.destroy || []) {
			if (this.records[type].delete(id)) {
				this.note(type, id, "destroyed");
				out.destroyed.push(id);
			} else
				out.notDestroyed[id] = { type: "notFound" };
		}
		return { ...out, newState: String(this.n) };
	}

	create(type, value, args) {
		if (type === "EmailSubmission") {
			const email = this.records.Email.get(value.emailId);
			if (!email)
				throw { type: "invalidProperties" };
			this.sent.push({ ...value, email: clone(email) });
			const patch = Object.values(args.onSuccessUpdateEmail || {})[0];
			if (patch)
				this.set("Email", { update: { [value.emailId]: patch } });
			const hold = value.envelope?.mailFrom.parameters, id = "S" + ++this.ids;
			if (hold && !this.delay)
				throw { type: "forbiddenToSend" };
			const sendAt = hold ? hold.HOLDUNTIL || new Date(Date.now() + hold.HOLDFOR * 1000).toISOString() : new Date().toISOString();
			if (hold) {
				this.records.EmailSubmission.set(id, { ...value, id, sendAt, undoStatus: "pending" });
				this.note(type, id, "created");
			}
			return { id, sendAt, undoStatus: hold ? "pending" : "final" };
		}
		if (type === "Email") {
			const text = value.bodyValues.t ? value.bodyValues.t.value : "";
			const flat = [];
			const walk = p => (p.subParts ? p.subParts.forEach(walk) : flat.push(p));
			walk(value.bodyStructure);
			const email = this.deliver({ ...value, messageId: value.messageId || ["made" + this.ids + "@x"], text, html: value.bodyValues.h && value.bodyValues.h.value,
				cc: value.cc || null, to: value.to || null,
				attachments: flat.filter(p => p.blobId).map((p, n) => ({ partId: "a" + n, size: 1, ...p })), receivedAt: new Date().toISOString() });
			return { id: email.id, blobId: email.blobId, threadId: email.threadId, size: 100 };
		}
		const id = type[0].toLowerCase() + ++this.ids;
		if (type === "ContactCard") {
			const uid = value.uid || "urn:uuid:" + id;
			if (Object.values(value).includes(null) || !Object.keys(value.addressBookIds || {}).every(b => this.records.AddressBook.has(b)))
				throw { type: "invalidProperties" };
			this.records.ContactCard.set(id, { "@type": "Card", version: "1.0", ...value, id, uid });
			this.note(type, id, "created");
			return { id, uid };
		}
		this.records[type].set(id, { parentId: null, sortOrder: 0, isSubscribed: true, role: null, myRights: { mayRename: true, mayDelete: true, mayAddItems: true, mayCreateChild: true }, ...value, id });
		this.note(type, id, "created");
		return { id };
	}
}
