/* jmapd/bring.c: a message on its way into the store.  See bring.h.
 *
 * Called by Email/set for what it has composed, and by Email/import.  Can fail: stored has no file, the disk, the
 * quota; each ends with p->code.  Must stay true: a file that is not linked is given back, and one that a pool
 * thread still reads goes back when it is done (message_parse_leave). */
#include "bring.h"
#include "base/crc.h"
#include "base/files.h"
#include "base/log.h"

static void
bring_over(struct bring *p, enum store_code code, const char *why)
{
	p->stage = BRING_OVER;
	p->code = code;
	p->why = why;
}

static void
bring_opened(void *arg, const struct store_reply *r)
{
	struct call *c = arg;
	struct bring *p = c->bring;

	p->stage = BRING_OPEN;
	if (r->verdict.kind != OK)
		bring_over(p, r->code, arena_str(&c->arena, r->verdict.text));
	call_resume(c, CALL_AGAIN);
}

enum call_next
bring_open(struct call *c, struct bring *p)
{
	struct slice part = slice_str(call_user(c)->home->name);

	if (p->stage != BRING_CLOSED)
		return CALL_DONE;
	p->body.fd = -1;
	p->code = STORE_DONE;
	p->stage = BRING_OPEN;
	if (store_body_take(jmapd.store, part, &p->body) == 0)
		return CALL_DONE;
	p->stage = BRING_OPENING;
	c->bring = p;
	store_body_start(jmapd.store, part, &p->body, call_op(c), bring_opened, c);
	return CALL_WAIT;
}

static void
bring_write(struct bring *p, const char *bytes, size_t n)
{
	if (p->error || n == 0)
		return;
	p->error = files_write(p->body.fd, bytes, n);
	p->size += n;
	p->crc = crc32c(p->crc, bytes, n);
}

void
bring_bytes(struct bring *p, struct slice s)
{
	size_t from = 0;

	p->nul = p->nul || (s.n && memchr(s.p, '\0', s.n));
	for (size_t i = slice_find(s, '\n'); i < s.n;) {
		if ((i > 0 ? s.p[i - 1] : p->last) != '\r') {
			bring_write(p, s.p + from, i - from);
			bring_write(p, "\r", 1);
			from = i;
		}
		i += 1 + slice_find(slice_from(s, i + 1), '\n');
	}
	bring_write(p, s.p + from, s.n - from);
	if (s.n > 0)
		p->last = s.p[s.n - 1];
}

static void
bring_done(void *arg, const struct store_reply *r)
{
	struct call *c = arg;
	struct bring *p = c->bring;

	if (r->code != STORE_DONE)
		bring_over(p, r->code, arena_str(&c->arena, r->verdict.text));
	else if (p->stage == BRING_APPENDS && r->nuids)
		p->uid = r->uids[0].first;
	call_resume(c, CALL_AGAIN);
}

static enum call_next
bring_append(struct call *c, struct bring *p)
{
	struct store_message m = { .body = &p->body,
		.size = (uint32_t)p->size,
		.flags = p->flags,
		.internaldate = p->at,
		.dated = p->dated,
		.keywords = p->keywords,
		.cache = buf_get(&p->parse->digest),
		.digest = p->crc,
		.sentday = message_digest_sentday(buf_get(&p->parse->digest)) };

	p->stage = BRING_APPENDS;
	p->copied = 1;
	c->bring = p;
	store_append_start(jmapd.store, p->mailboxes[0], &m, 1, call_user(c)->limits, call_op(c),
	    bring_done, c);
	message_parse_free(&p->parse);
	return CALL_WAIT;
}

static void
bring_parsed(void *arg)
{
	call_resume(arg, CALL_AGAIN);
}

static enum call_next
bring_digest(struct call *c, struct bring *p)
{
	if (p->error || p->nul || p->size == 0) {
		if (p->error)
			log_event(LOG_ERROR, "jmap_failed", "sid=%s call=%s error=%s", c->s->sid,
			    log_value(c->name), log_str(strerror(-p->error)));
		bring_over(p, p->error ? STORE_FAILED : STORE_CANNOT,
		    p->error ? "the message cannot be written" :
			       "a message has octets, and no NUL among them");
		return CALL_DONE;
	}
	p->stage = BRING_DIGESTS;
	p->parse = message_parse_body(jmapd.store, &p->body, p->size);
	if (p->size > MESSAGE_LARGE) {
		message_parse_start(p->parse, jmapd.loop, call_op(c), call_user(c)->id,
		    bring_parsed, c);
		return CALL_WAIT;
	}
	message_parse_now(p->parse);
	return bring_append(c, p);
}

/* The next copy; each is a transaction of its own. */
static enum call_next
bring_copy(struct call *c, struct bring *p)
{
	struct store_range r = { p->uid, p->uid };

	p->stage = BRING_COPIES;
	if (p->copied == p->nmailboxes) {
		bring_over(p, STORE_DONE, NULL);
		return CALL_DONE;
	}
	c->bring = p;
	store_copy_start(jmapd.store, p->mailboxes[0], &r, 1, p->mailboxes[p->copied++],
	    call_user(c)->limits, call_op(c), bring_done, c);
	return CALL_WAIT;
}

enum call_next
bring_go(struct call *c, struct bring *p)
{
	switch (p->stage) {
	case BRING_CLOSED:
	case BRING_OPENING: return bring_open(c, p);
	case BRING_OPEN: return bring_digest(c, p);
	case BRING_DIGESTS: return bring_append(c, p);
	case BRING_APPENDS:
	case BRING_COPIES: return bring_copy(c, p);
	case BRING_OVER: break;
	}
	return CALL_DONE;
}

void
bring_fini(struct bring *p)
{
	if (p->stage == BRING_CLOSED)
		return;
	if (p->parse)
		message_parse_leave(p->parse, &p->body);
	p->parse = NULL;
	if (p->body.fd >= 0)
		store_body_put(jmapd.store, &p->body);
	*p = (struct bring){ .body.fd = -1 };
}
