/* message/parse.c: work on a message beside the loop.
 *
 * Called by imapd (APPEND, FETCH, SEARCH) and lmtpd.  The thread touches nothing but the object
 * that it was given.  Mapping can fail, and the file be cut off while it is read: `error`.  What
 * must stay true: nobody of ours does that, so `owned` (the writer's body) goes back only when the
 * work is over.  A search of a large message runs in slices, each a work of its own, so that one user's
 * long searches take turns with everybody's short reads. */
#include "message/parse.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "imap/structure.h"
#include "mail/preview.h"

#define SLICE_US  20000           /* of a match on the pool */
#define READ_SIZE ((size_t)65536) /* of a read that only warms the page cache */

struct message_parse *
message_parse_new(unsigned want)
{
	struct message_parse *p = mem_new(sizeof(*p));

	p->want = want;
	p->message.fd = p->body.fd = -1;
	return p;
}

struct message_parse *
message_parse_body(struct store_client *c, const struct store_body *body, uint64_t size)
{
	struct message_parse *p = message_parse_new(MESSAGE_WANT_DIGEST);

	p->store = c;
	p->borrows = true;
	p->message.fd = body->fd;
	p->message.size = size;
	return p;
}

void
message_parse_leave(struct message_parse *p, struct store_body *body)
{
	p->body = *body;
	body->fd = -1;
}

void
message_parse_free(struct message_parse **pp)
{
	struct message_parse *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	message_match_end(&p->match);
	if (p->borrows)
		message_unmap(&p->message);
	else
		message_close(&p->message);
	if (p->body.fd >= 0)
		store_body_put(p->store, &p->body);
	buf_fini(&p->digest);
	if (p->free)
		p->free(p);
	mem_release(p);
}

static void
parse_match(struct message_parse *p, uint64_t ends_at)
{
	if (!p->match.q)
		message_match_start(&p->match, p->query, message_bytes(&p->message));
	do {
		p->over = work_stopped() || (p->matched && p->matched(p)) ||
		    !message_match_step(&p->match);
	} while (!p->over && clock_mono_us() < ends_at);
}

static struct slice
parse_take(struct message_parse *p, struct buf *b)
{
	struct slice s = arena_slice(&p->message.arena, buf_get(b));

	buf_clear(b);
	return s;
}

/* ENVELOPE and BODYSTRUCTURE of a message whose digest does not have them. */
static void
parse_pieces(struct message_parse *p)
{
	struct message *m = &p->message;
	struct buf b = { 0 };

	if (p->want & MESSAGE_WANT_ENVELOPE && !(m->digest.has & MESSAGE_HAS_ENVELOPE)) {
		imap_envelope_write(&b, mime_header(m->mime, m->mime->root), &m->arena);
		m->digest.envelope = parse_take(p, &b);
		m->digest.has |= MESSAGE_HAS_ENVELOPE;
	}
	if (p->want & MESSAGE_WANT_STRUCTURE && !(m->digest.has & MESSAGE_HAS_STRUCTURE)) {
		imap_structure_write(&b, m->mime, m->mime->root, true, &m->arena);
		m->digest.structure = parse_take(p, &b);
		m->digest.has |= MESSAGE_HAS_STRUCTURE;
	}
	if (p->want & MESSAGE_WANT_PREVIEW) {
		preview_write(m->mime, PREVIEW_CHARS, &b);
		m->preview = parse_take(p, &b);
		if (!m->preview.p) /* made, and empty */
			m->preview = S("");
	}
	buf_fini(&b);
}

/* Brings bytes of the file into the page cache. */
static void
parse_warm(struct message_parse *p)
{
	char *b = mem_grow(NULL, READ_SIZE, 1);
	uint64_t at = p->from;

	while (at < p->to && !work_stopped()) {
		size_t n = p->to - at < READ_SIZE ? (size_t)(p->to - at) : READ_SIZE;
		ssize_t got = pread(p->message.fd, b, n, (off_t)at);

		if (got < 0)
			p->error = -errno;
		if (got <= 0)
			break;
		at += (uint64_t)got;
	}
	mem_release(b);
}

static void
parse_slice(struct message_parse *p, uint64_t ends_at)
{
	if (p->want & MESSAGE_WANT_BYTES)
		parse_warm(p);
	if (p->want & ~(unsigned)MESSAGE_WANT_BYTES && p->error == 0)
		p->error = message_map(&p->message);
	if (p->error < 0)
		return;
	if (p->want & MESSAGE_WANT_DIGEST)
		message_digest_build(message_bytes(&p->message), &p->digest);
	if (p->want &
	    (MESSAGE_WANT_TREE | MESSAGE_WANT_ENVELOPE | MESSAGE_WANT_STRUCTURE |
		MESSAGE_WANT_PREVIEW)) {
		message_tree(&p->message);
		parse_pieces(p);
	}
	if (p->want & MESSAGE_WANT_MATCH)
		parse_match(p, ends_at);
	p->want &= MESSAGE_WANT_MATCH;
	if (message_is_cut(&p->message)) {
		p->error = -EIO;
		buf_clear(&p->digest);
	}
}

void
message_parse_now(struct message_parse *p)
{
	parse_slice(p, UINT64_MAX);
}

static void
parse_run(void *arg)
{
	parse_slice(arg, clock_mono_us() + SLICE_US);
}

static void
parse_drop(void *arg)
{
	struct message_parse *p = arg;

	message_parse_free(&p);
}

static void
parse_done(void *arg)
{
	struct message_parse *p = arg;

	if (p->error == 0 && p->want & MESSAGE_WANT_MATCH && !p->over) {
		work_start_for(p->loop, p->op, p->user, parse_run, parse_done, parse_drop, p);
		return;
	}
	p->done(p->arg);
}

void
message_parse_start(struct message_parse *p, struct loop *l, struct op *op, uint64_t user,
    void (*done)(void *arg), void *arg)
{
	p->loop = l;
	p->op = op;
	p->user = user;
	p->done = done;
	p->arg = arg;
	work_start_for(l, op, user, parse_run, parse_done, parse_drop, p);
}
