/* imapd/append.c: APPEND, RFC 3501 6.3.11, RFC 4315 (APPENDUID), RFC 7889 (APPENDLIMIT).
 *
 * The message goes from the socket into an unnamed file that stored made; nothing of it is
 * kept in memory.  Bare line feeds become CRLF on the way, because the store keeps what IMAP
 * sends.  Then the cache record is built from the file and stored is asked to link it. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "imap/cache.h"
#include "imap/change.h"
#include "net/work.h"
#include "session.h"

#define LARGE (512 * 1024) /* messages above are parsed beside the loop */

enum stage { OPENING, TAKING, TAIL, COMMITTING };

struct append {
	enum stage stage;
	uint64_t mailbox;
	uint64_t left;       /* bytes of the literal still to come */
	uint64_t size;       /* bytes in the file */
	char last;           /* the last byte written: is the next LF bare? */
	bool nul;
	int error;           /* errno of writing */
	const char *refused; /* the answer when the literal is over; its bytes are thrown away */
	struct store_body body;
	struct building *building; /* the work pool reads the file */
	struct imap_append want;
};

/* A large message is parsed on the work pool. */
struct building {
	struct session *s;
	int fd;                 /* borrowed from `body`, wherever that is */
	uint64_t size;
	struct buf cache;
	struct store_body body; /* left here when the session goes first */
};

static enum next take(struct session *s);

static void
undo(struct session *s)
{
	struct append *a = s->data;

	if (a->building) {
		/* Giving the file back cuts it off, which must not happen under the reader. */
		a->building->body = a->body;
		a->body.fd = -1;
	}
	if (a->body.fd >= 0)
		store_body_put(imapd.store, &a->body);
}

/* ---- the arguments ---------------------------------------------------------------------- */

/* The arguments, and whether the message can go there: false with in->why, or with *refused the
 * text of a NO. */
static bool
parse(struct session *s, struct imap_in *in, struct append *a, const char **refused)
{
	char canonical[STORE_NAME_MAX + 1];

	if (!imap_append_parse(in, &a->want))
		return false;
	if (a->want.bad_name || store_name_check(a->want.mailbox, canonical) < 0) {
		*refused = "[CANNOT] Not a mailbox name";
	} else if (store_begin(reader(s)) < 0) {
		*refused = "[UNAVAILABLE] The mail store cannot be read";
	} else {
		struct store_mailbox m;

		if (store_find_mailbox(reader(s), s->user->id, slice_str(canonical), &a->mailbox) < 0)
			*refused = "[TRYCREATE] No such mailbox";
		else if (store_get_mailbox(reader(s), a->mailbox, &m) < 0 || m.attrs & STORE_NOSELECT)
			*refused = "[CANNOT] This name holds no messages";
		store_end(reader(s));
	}
	if (!*refused && s->lex.literal > (uint64_t)conf.append)
		*refused = "[TOOBIG] The message is too large";
	if (!*refused && s->lex.literal == 0)
		*refused = "[CANNOT] An empty message cannot be stored";
	return true;
}

static void
body_ready(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct append *a = s->data;

	if (r->verdict.kind != OK) {
		if (s->lex.sync) {
			session_resume(s, no_store(s, r, "TRYCREATE"));
			return;
		}
		a->refused = "[UNAVAILABLE] The mail store takes no messages now";
	}
	if (s->lex.sync)
		buf_lit(out(s), "+ Ready for literal data\r\n");
	a->stage = TAKING;
	session_resume(s, take(s));
}

enum next
append_begin(struct session *s)
{
	struct imap_in in = { .s = buf_get(&s->lex.text), .arena = &s->arena };
	struct append *a = arena_new(&s->arena, sizeof(*a));
	const char *refused = NULL, *why = NULL;
	struct slice verb;

	for (const struct command *c = commands; c < commands + ncommands; c++)
		if (c->run == cmd_append)
			s->cmd = c;
	a->body.fd = -1;
	a->left = s->lex.literal;
	s->data = a;
	s->undo = undo;
	if (!imap_tag(&in, &s->tag))
		s->tag = S("*");
	s->tag = arena_slice(&s->arena, s->tag);
	if (!imap_space(&in) || !imap_atom(&in, &verb))
		why = "Command expected";
	else if (s->state == NOTAUTH)
		why = "Log in first";
	else if (!parse(s, &in, a, &refused))
		why = in.why ? in.why : "Syntax error";
	if (why || refused) {
		/* A client that waits for "+" sends nothing; else the bytes are on their way. */
		if (s->lex.sync)
			return why ? bad_text(s, why) : finish(s, "NO", "%s", refused);
		if (s->state == NOTAUTH || a->left > (uint64_t)conf.append * 2) {
			untagged(s, "BYE Message too large");
			return CLOSE;
		}
		a->refused = why ? arena_printf(&s->arena, "BAD %s", why) :
				   arena_printf(&s->arena, "NO %s", refused);
		a->stage = TAKING;
		return take(s);
	}
	if (store_body_take(imapd.store, slice_str(s->user->part->name), &a->body) == 0) {
		if (s->lex.sync)
			buf_lit(out(s), "+ Ready for literal data\r\n");
		a->stage = TAKING;
		return take(s);
	}
	store_body_start(imapd.store, slice_str(s->user->part->name), &a->body, &s->op, body_ready, s);
	return WAIT;
}

/* ---- the bytes ------------------------------------------------------------------------------ */

static void
write_all(struct append *a, const char *p, size_t n)
{
	while (n > 0 && !a->error) {
		ssize_t w = write(a->body.fd, p, n);

		if (w < 0 && errno != EINTR)
			a->error = errno;
		if (w > 0) {
			p += w;
			n -= (size_t)w;
			a->size += (uint64_t)w;
		}
	}
}

/* Bytes of the message.  Pieces without a bare LF go out as they came. */
static void
add(struct append *a, struct slice s)
{
	size_t from = 0;

	a->nul = a->nul || memchr(s.p, '\0', s.n) != NULL;
	for (size_t i = slice_find(s, '\n'); i < s.n;) {
		if ((i > 0 ? s.p[i - 1] : a->last) != '\r') {
			write_all(a, s.p + from, i - from);
			write_all(a, "\r", 1);
			from = i;
		}
		i += 1 + slice_find(slice_from(s, i + 1), '\n');
	}
	write_all(a, s.p + from, s.n - from);
	if (s.n > 0)
		a->last = s.p[s.n - 1];
}

static void
appended(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct append *a = s->data;

	if (r->verdict.kind != OK) {
		session_resume(s, no_store(s, r, "TRYCREATE"));
		return;
	}
	metric_add(M_APPENDED, 1);
	if (s->condstore && s->view && s->view->mailbox == a->mailbox && r->modseq)
		untagged(s, "OK [HIGHESTMODSEQ %llu] Highest", (unsigned long long)r->modseq);
	session_resume(s, finish(s, "OK", "[APPENDUID %u %u] APPEND completed", r->uidvalidity,
			      r->nuids ? r->uids[0].first : r->uid));
}

/* All is known: stored may link the file. */
static void
submit(struct session *s, struct append *a, struct slice cache)
{
	struct store_message m = { .body = &a->body, .size = (uint32_t)a->size,
		.flags = (uint16_t)a->want.flags.system, .internaldate = a->want.at,
		.zone = (int16_t)a->want.zone, .cache = cache,
		.keywords = imap_keywords_join(&a->want.flags, &s->arena) };

	store_append_start(imapd.store, a->mailbox, &m, 1, s->user->limits, &s->op, appended, s);
}

/* The cache record of the file; empty when it cannot be had: it is then made when needed. */
static void
build(int fd, uint64_t size, struct buf *cache)
{
	void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

	if (map == MAP_FAILED)
		return;
	imap_cache_build(slice(map, size), cache);
	munmap(map, size);
}

static void
building_run(void *arg)
{
	struct building *g = arg;

	build(g->fd, g->size, &g->cache);
}

static void
building_drop(void *arg)
{
	struct building *g = arg;

	if (g->body.fd >= 0)
		store_body_put(imapd.store, &g->body);
	buf_fini(&g->cache);
	mem_release(g);
}

static void
building_done(void *arg)
{
	struct building *g = arg;
	struct append *a = g->s->data;

	log_context(g->s->sid);
	a->building = NULL;
	submit(g->s, a, buf_get(&g->cache));
	building_drop(g);
}

static enum next
commit(struct session *s, struct append *a)
{
	struct buf cache = { 0 };

	a->stage = COMMITTING;
	if (a->size > LARGE) {
		struct building *g = mem_new(sizeof(*g));

		*g = (struct building){ .s = s, .fd = a->body.fd, .size = a->size };
		g->body.fd = -1;
		a->building = g;
		work_start(imapd.loop, &s->op, building_run, building_done, building_drop, g);
		return WAIT;
	}
	build(a->body.fd, a->size, &cache);
	submit(s, a, buf_get(&cache));
	buf_fini(&cache);
	return WAIT;
}

/* The line end behind the literal is there. */
static enum next
complete(struct session *s, struct append *a)
{
	struct slice text = buf_get(&s->lex.text);

	if (text.n < 2 || text.p[text.n - 1] != '\n')
		return bad_text(s, "Unexpected text behind the message");
	if (a->refused && slice_starts(slice_str(a->refused), S("BAD ")))
		return bad_text(s, a->refused + 4);
	if (a->refused)
		return finish(s, "NO", "%s", a->refused + (strncmp(a->refused, "NO ", 3) ? 0 : 3));
	if (a->error)
		return finish(s, "NO", "[UNAVAILABLE] The message cannot be written");
	if (a->nul)
		return finish(s, "NO", "[CANNOT] A message must not contain NUL");
	return commit(s, a);
}

/* Takes what has arrived.  NEXT and WAIT as for handlers. */
static enum next
take(struct session *s)
{
	struct append *a = s->data;
	struct slice in = stream_peek(&s->io);
	size_t used;

	if (a->stage == TAKING && in.n > 0) {
		size_t n = in.n < a->left ? in.n : (size_t)a->left;

		if (!a->refused)
			add(a, slice(in.p, n));
		a->left -= n;
		stream_take(&s->io, n);
		in = stream_peek(&s->io);
	}
	if (a->stage == TAKING && a->left == 0) {
		imap_lex_message_taken(&s->lex);
		a->stage = TAIL;
	}
	if (a->stage != TAIL || in.n == 0)
		return stream_eof(&s->io) && a->stage != COMMITTING ? CLOSE : WAIT;
	switch (imap_lex_feed(&s->lex, in, &used)) {
	case IMAP_LEX_MORE:
		stream_take(&s->io, used);
		return WAIT;
	case IMAP_LEX_DONE:
		stream_take(&s->io, used);
		return complete(s, a);
	case IMAP_LEX_CONTINUE:
	case IMAP_LEX_MESSAGE:
	case IMAP_LEX_TOO_LONG:
	case IMAP_LEX_FLOOD:
		break;
	}
	stream_take(&s->io, used);
	untagged(s, "BYE Unexpected text behind the message");
	return CLOSE;
}

enum next
append_input(struct session *s)
{
	struct append *a = s->data;

	return a->stage == TAKING || a->stage == TAIL ? take(s) : WAIT;
}

/* Reached only when the command had no message literal at all. */
enum next
cmd_append(struct session *s, struct imap_in *in)
{
	(void)in;
	return bad_text(s, "Literal expected");
}
