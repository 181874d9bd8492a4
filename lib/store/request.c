/* Requests and replies as bytes: tiermail-store(7).
 *
 * One fixed struct for all requests and one for all replies, each followed by counted tails
 * in a fixed order.  That is a few dozen bytes more than a struct for each verb, and one
 * parser to check instead of twenty. */
#include <errno.h>

#include "net/ipc.h"
#include "store/request.h"

struct wire_request {
	uint64_t account, mailbox, mailbox2, modseq;
	uint64_t limit_bytes, limit_messages;
	uint32_t count;
	uint32_t nranges;
	uint16_t flags;
	uint8_t how, options;
	uint16_t nmessages, ntargets;
	uint16_t name_len, name2_len, keywords_len;
	uint16_t zero;
} PACKED; /* name name2 keywords ranges messages targets */

struct wire_message {
	uint64_t token;
	int64_t internaldate;
	uint32_t uid, size, cache_len;
	uint16_t flags;
	int16_t zone;
	uint16_t keywords_len;
	uint16_t zero;
} PACKED; /* keywords cache */

struct wire_target {
	uint64_t limit_bytes, limit_messages;
	uint8_t dup[16];
	uint16_t flags;
	uint16_t account_len, partition_len, folder_len, keywords_len;
	uint16_t zero;
} PACKED; /* account partition folder keywords */

struct wire_verdict {
	uint8_t kind, subject;
	uint16_t detail, reply;
	uint8_t code;
	uint8_t text_len;
} PACKED; /* text */

struct wire_reply {
	uint64_t account, mailbox, modseq, bytes, messages, token;
	uint32_t uidvalidity, uid;
	uint32_t nuids, nto;
	uint16_t nresults, partition_len, path_len;
	uint16_t zero;
} PACKED; /* verdict partition path uids to results */

struct wire_result {
	uint64_t mailbox;
	uint32_t uid;
	uint8_t duplicate;
	uint8_t zero[3];
} PACKED; /* verdict */

/* ---- taking apart ------------------------------------------------------------------------- */

struct cursor {
	struct slice rest;
	bool bad;
};

static struct slice
take(struct cursor *c, size_t n)
{
	struct slice s = { c->rest.p, n };

	if (c->bad || n > c->rest.n) {
		c->bad = true;
		return slice(NULL, 0);
	}
	c->rest = slice(c->rest.p + n, c->rest.n - n);
	return s;
}

static void
take_struct(struct cursor *c, void *to, size_t n)
{
	struct slice s = take(c, n);

	if (s.p)
		memcpy(to, s.p, n);
	else
		memset(to, 0, n);
}

static const struct store_range *
take_ranges(struct cursor *c, struct arena *a, size_t n)
{
	struct slice s = n <= STORE_BODY_MAX / sizeof(struct store_range) ?
	    take(c, n * sizeof(struct store_range)) : (c->bad = true, slice(NULL, 0));
	struct store_range *r;

	if (!s.p || n == 0)
		return NULL;
	r = arena_array(a, n, sizeof(*r));
	memcpy(r, s.p, n * sizeof(*r));
	return r;
}

static bool
ascending(const struct store_range *r, size_t n)
{
	uint32_t last = 0;

	for (size_t i = 0; i < n; i++) {
		if (r[i].first <= last || r[i].first > r[i].last)
			return false;
		last = r[i].last;
	}
	return true;
}

static void
message_parse(struct cursor *c, struct store_message *m)
{
	struct wire_message w;

	take_struct(c, &w, sizeof(w));
	m->token = w.token;
	m->internaldate = w.internaldate;
	m->uid = w.uid;
	m->size = w.size;
	m->flags = w.flags & STORE_FLAGS_ALL;
	m->zone = w.zone;
	m->keywords = take(c, w.keywords_len);
	m->cache = take(c, w.cache_len);
}

static void
target_parse(struct cursor *c, struct store_target *t)
{
	struct wire_target w;

	take_struct(c, &w, sizeof(w));
	t->limits = (struct store_limits){ w.limit_bytes, w.limit_messages };
	memcpy(t->dup, w.dup, sizeof(t->dup));
	t->flags = w.flags & STORE_FLAGS_ALL;
	t->account = take(c, w.account_len);
	t->partition = take(c, w.partition_len);
	t->folder = take(c, w.folder_len);
	t->keywords = take(c, w.keywords_len);
}

int
store_request_parse(struct slice body, struct arena *a, struct store_request *r)
{
	struct cursor c = { body, false };
	struct wire_request w;

	take_struct(&c, &w, sizeof(w));
	r->account = w.account;
	r->mailbox = w.mailbox;
	r->mailbox2 = w.mailbox2;
	r->modseq = w.modseq;
	r->limits = (struct store_limits){ w.limit_bytes, w.limit_messages };
	r->count = w.count;
	r->flags = w.flags & STORE_FLAGS_ALL;
	r->how = w.how;
	r->options = w.options;
	r->name = take(&c, w.name_len);
	r->name2 = take(&c, w.name2_len);
	r->keywords = take(&c, w.keywords_len);
	r->ranges = take_ranges(&c, a, w.nranges);
	r->nranges = w.nranges;
	/* Every item costs its bytes in the body: check before making room for them. */
	if (c.bad || !ascending(r->ranges, r->nranges) ||
	    c.rest.n < w.nmessages * sizeof(struct wire_message) +
	    w.ntargets * sizeof(struct wire_target))
		return -EBADMSG;
	r->nmessages = w.nmessages;
	r->messages = w.nmessages ? arena_array(a, w.nmessages, sizeof(*r->messages)) : NULL;
	for (size_t i = 0; i < r->nmessages; i++)
		message_parse(&c, &r->messages[i]);
	r->ntargets = w.ntargets;
	r->targets = w.ntargets ? arena_array(a, w.ntargets, sizeof(*r->targets)) : NULL;
	for (size_t i = 0; i < r->ntargets; i++)
		target_parse(&c, &r->targets[i]);
	return c.bad || c.rest.n ? -EBADMSG : 0;
}

static bool
verdict_read(struct cursor *c, struct verdict *v, enum store_code *code)
{
	struct wire_verdict w;
	struct slice text;

	take_struct(c, &w, sizeof(w));
	text = take(c, w.text_len);
	if (c->bad || (w.kind != OK && w.kind != TEMP && w.kind != PERM) || w.code > STORE_REFUSED)
		return false;
	*v = (struct verdict){ .kind = (enum verdict_kind)w.kind, .reply = w.reply,
		.subject = w.subject, .detail = w.detail };
	slice_cstr(text, v->text, sizeof(v->text));
	*code = (enum store_code)w.code;
	return true;
}

int
store_reply_parse(struct slice body, struct arena *a, struct store_reply *r)
{
	struct cursor c = { body, false };
	struct wire_reply w;
	struct store_result *results;

	*r = (struct store_reply){ 0 };
	take_struct(&c, &w, sizeof(w));
	if (!verdict_read(&c, &r->verdict, &r->code))
		return -EBADMSG;
	r->account = w.account;
	r->mailbox = w.mailbox;
	r->modseq = w.modseq;
	r->bytes = w.bytes;
	r->messages = w.messages;
	r->token = w.token;
	r->uidvalidity = w.uidvalidity;
	r->uid = w.uid;
	r->partition = take(&c, w.partition_len);
	r->path = take(&c, w.path_len);
	r->uids = take_ranges(&c, a, w.nuids);
	r->nuids = w.nuids;
	r->to = take_ranges(&c, a, w.nto);
	r->nto = w.nto;
	if (c.bad || c.rest.n < w.nresults * sizeof(struct wire_result))
		return -EBADMSG;
	results = w.nresults ? arena_array(a, w.nresults, sizeof(*results)) : NULL;
	for (size_t i = 0; i < w.nresults; i++) {
		struct wire_result wr;

		take_struct(&c, &wr, sizeof(wr));
		if (!verdict_read(&c, &results[i].verdict, &results[i].code))
			return -EBADMSG;
		results[i].mailbox = wr.mailbox;
		results[i].uid = wr.uid;
		results[i].duplicate = wr.duplicate;
	}
	r->results = results;
	r->nresults = w.nresults;
	return c.bad || c.rest.n ? -EBADMSG : 0;
}

/* ---- putting together ------------------------------------------------------------------------- */

static void
ranges_write(struct buf *b, const struct store_range *r, size_t n)
{
	if (n)
		buf_add(b, r, n * sizeof(*r));
}

void
store_request_write(struct buf *b, const struct store_request *r)
{
	struct wire_request w = {
		.account = r->account, .mailbox = r->mailbox, .mailbox2 = r->mailbox2,
		.modseq = r->modseq, .limit_bytes = r->limits.bytes,
		.limit_messages = r->limits.messages, .count = r->count,
		.nranges = (uint32_t)r->nranges, .flags = r->flags, .how = r->how,
		.options = r->options, .nmessages = (uint16_t)r->nmessages,
		.ntargets = (uint16_t)r->ntargets, .name_len = (uint16_t)r->name.n,
		.name2_len = (uint16_t)r->name2.n, .keywords_len = (uint16_t)r->keywords.n,
	};

	buf_add(b, &w, sizeof(w));
	buf_slice(b, r->name);
	buf_slice(b, r->name2);
	buf_slice(b, r->keywords);
	ranges_write(b, r->ranges, r->nranges);
	for (size_t i = 0; i < r->nmessages; i++) {
		const struct store_message *m = &r->messages[i];
		struct wire_message wm = {
			.token = m->token, .internaldate = m->internaldate, .uid = m->uid,
			.size = m->size, .cache_len = (uint32_t)m->cache.n, .flags = m->flags,
			.zone = m->zone, .keywords_len = (uint16_t)m->keywords.n,
		};

		buf_add(b, &wm, sizeof(wm));
		buf_slice(b, m->keywords);
		buf_slice(b, m->cache);
	}
	for (size_t i = 0; i < r->ntargets; i++) {
		const struct store_target *t = &r->targets[i];
		struct wire_target wt = {
			.limit_bytes = t->limits.bytes, .limit_messages = t->limits.messages,
			.flags = t->flags, .account_len = (uint16_t)t->account.n,
			.partition_len = (uint16_t)t->partition.n,
			.folder_len = (uint16_t)t->folder.n,
			.keywords_len = (uint16_t)t->keywords.n,
		};

		memcpy(wt.dup, t->dup, sizeof(wt.dup));
		buf_add(b, &wt, sizeof(wt));
		buf_slice(b, t->account);
		buf_slice(b, t->partition);
		buf_slice(b, t->folder);
		buf_slice(b, t->keywords);
	}
}

static void
verdict_put(struct buf *b, const struct verdict *v, enum store_code code)
{
	size_t n = strlen(v->text);
	struct wire_verdict w = { (uint8_t)v->kind, v->subject, v->detail, v->reply, (uint8_t)code,
		(uint8_t)n };

	buf_add(b, &w, sizeof(w));
	buf_add(b, v->text, n);
}

void
store_reply_write(struct buf *b, const struct store_reply *r)
{
	struct wire_reply w = {
		.account = r->account, .mailbox = r->mailbox, .modseq = r->modseq,
		.bytes = r->bytes, .messages = r->messages, .token = r->token,
		.uidvalidity = r->uidvalidity, .uid = r->uid, .nuids = (uint32_t)r->nuids,
		.nto = (uint32_t)r->nto, .nresults = (uint16_t)r->nresults,
		.partition_len = (uint16_t)r->partition.n, .path_len = (uint16_t)r->path.n,
	};

	buf_add(b, &w, sizeof(w));
	verdict_put(b, &r->verdict, r->code);
	buf_slice(b, r->partition);
	buf_slice(b, r->path);
	ranges_write(b, r->uids, r->nuids);
	ranges_write(b, r->to, r->nto);
	for (size_t i = 0; i < r->nresults; i++) {
		const struct store_result *res = &r->results[i];
		struct wire_result wr = { .mailbox = res->mailbox, .uid = res->uid,
			.duplicate = res->duplicate };

		buf_add(b, &wr, sizeof(wr));
		verdict_put(b, &res->verdict, res->code);
	}
}

/* ---- keywords ----------------------------------------------------------------------------------- */

bool
store_keyword_next(struct slice *rest, struct slice *word)
{
	while (rest->n) {
		if (!slice_cut(rest, ' ', word))
			return false;
		if (word->n)
			return true;
	}
	return false;
}

bool
store_keyword_ok(struct slice word)
{
	if (word.n == 0 || word.n > STORE_KEYWORD_MAX)
		return false;
	for (size_t i = 0; i < word.n; i++) {
		unsigned char c = (unsigned char)word.p[i];

		if (c <= 0x20 || c >= 0x7f || strchr("(){%*\"\\]", c))
			return false;
	}
	return true;
}

/* ---- pieces -------------------------------------------------------------------------------------- */

int
store_send(struct ipc *c, enum store_verb verb, uint32_t id, struct slice body, const int *fds,
    size_t nfds)
{
	char packet[sizeof(struct store_head) + STORE_PIECE];
	int rc;

	do {
		size_t n = body.n < STORE_PIECE ? body.n : STORE_PIECE;
		struct store_head h = { STORE_PROTOCOL, (uint8_t)verb,
			body.n > n ? STORE_MORE : 0, id };

		memcpy(packet, &h, sizeof(h));
		if (n)
			memcpy(packet + sizeof(h), body.p, n);
		rc = ipc_send(c, slice(packet, sizeof(h) + n), fds, nfds);
		body = slice_from(body, n);
		nfds = 0;
	} while (rc == 0 && body.n);
	return rc;
}

int
store_join(struct store_joiner *j, struct slice packet, struct store_head *head, struct slice *body)
{
	struct slice piece = slice_from(packet, sizeof(*head));

	if (packet.n < sizeof(*head))
		return -EBADMSG;
	memcpy(head, packet.p, sizeof(*head));
	if (head->protocol != STORE_PROTOCOL)
		return -EBADMSG;
	if (!j->joining) {
		*body = piece;
		if (!(head->flags & STORE_MORE))
			return 1;
		buf_fini(&j->b); /* of the body before: large ones are rare */
		j->head = *head;
		j->joining = true;
	} else if (head->id != j->head.id || head->verb != j->head.verb)
		return -EBADMSG;
	if (j->b.n + piece.n > STORE_BODY_MAX)
		return -EBADMSG;
	buf_slice(&j->b, piece);
	if (head->flags & STORE_MORE)
		return 0;
	j->joining = false;
	*body = buf_get(&j->b);
	return 1;
}
