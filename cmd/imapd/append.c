/* imapd/append.c: APPEND, RFC 3501 6.3.11, RFC 3502 (MULTIAPPEND), RFC 4315 (APPENDUID), RFC 4469 (CATENATE), RFC 7889
 * (APPENDLIMIT), RFC 3516 4.4 (literal8), RFC 6855 4 (UTF8).
 *
 * Each message goes from the socket into an unnamed file that stored made; nothing of it is
 * kept in memory.  Bare line feeds become CRLF on the way, because the store keeps what IMAP
 * sends.  When the command is whole the digests are built from the files, and stored is asked, once,
 * to link all of them or none.  Called by the command table, for each literal.  Can fail: the
 * arguments, the disk, stored.  What must stay true: a command holds at most APPEND_MOST files, a
 * user and a worker a few of such commands' (a file is a descriptor here and in stored, that everybody
 * shares), what a user's commands hold on the disk together is bounded (with a URL a few bytes bring a
 * message), and what is asked of stored fits into a few packets.
 *
 * A command costs a sync of the disk, 5 to 15 ms, whatever it brings: so a few more messages in it
 * are what makes an import quick.  They are linked in one turn of stored's writer, 30 to 40 us each, and
 * more than fit into one of its slices would make others wait. */
#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/files.h"
#include "base/log.h"
#include "append.h"
#include "limit.h"
#include "message/sent.h"
#include "store/quota.h"

#define APPEND_MOST  128               /* messages of a command */
#define APPEND_USER  (2 * APPEND_MOST) /* further ones that all APPENDs of a user hold ... */
#define APPEND_ALL   1024              /* ... and those of this worker */
#define APPEND_TIMES 2                 /* bytes of a command, in units of limit.append */
#define APPEND_HELD  4                 /* and of all commands of a user at a time, in the same */
#define APPEND_BYTES (200 * 1024)      /* of a request to stored: for messages ... */
#define APPEND_WORDS (100 * 1024)      /* without their digests, */
#define APPEND_FIXED 160               /* and of that for one, its texts apart */
#define SLICE_US     5000              /* of the loop, between other sessions' turns */

static const struct imap_taker append_taker;
static enum imap_next append_complete(struct imap_server *imap);
static unsigned
    further_hand; /* messages that the APPENDs of this worker hold, the first of each apart */

static void
append_undo(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct append *a = s->imap.data;

	s->user->bringing -= a->total;
	if (a->n > 1) {
		further_hand -= (unsigned)a->n - 1;
		s->user->appending -= (unsigned)a->n - 1;
	}
	if (a->parts)
		catenate_undo(a);
	if (a->parse)
		message_parse_leave(a->parse, &a->m[a->digested].body);
	for (size_t i = 0; i < a->n; i++)
		if (a->m[i].body.fd >= 0)
			store_body_put(imapd.store, &a->m[i].body);
}

/* ---- the arguments ---------------------------------------------------------------------- */

/* What the account has room for, inside a snapshot.  stored judges by the files; here nobody fills the disk
 * with what it is going to refuse.  Somebody else's limits are not known yet. */
static uint64_t
append_allowed(const struct session *s, const struct append *a)
{
	const struct place *p = &a->place;
	struct store_view *v = p->home->view;
	const struct store_record *old = NULL;
	struct store_account use;
	uint64_t room, bytes;

	if (!p->limited || store_find_account(v, p->owner, &use) < 0)
		return UINT64_MAX;
	bytes = store_limits_find(v, p->account, p->limits).bytes;
	if (bytes == 0)
		return UINT64_MAX;
	if (a->replaces && !s->view->owner)
		old = store_get_record(v, s->view->mailbox, a->replaces);
	room = bytes > use.bytes ? bytes - use.bytes : 0;
	return room + (old ? old->size : 0);
}

/* Where all of them go. */
static bool
append_find(struct session *s, struct append *a, struct imap_refusal *no)
{
	struct store_mailbox m = { 0 };
	int r;

	if (a->want.bad_name || place_parse(s, a->want.mailbox, &a->place) < 0) {
		*no = (struct imap_refusal){ IMAP_NO, "CANNOT", "Not a mailbox name" };
		return false;
	}
	r = place_open(&a->place, STORE_R_INSERT, false, &m);
	if (r == 0) {
		a->sent = a->place.own && m.special == STORE_USE_SENT;
		a->allowed = append_allowed(s, a);
		store_end(a->place.home->view);
	}
	if (r == -ENOENT)
		*no = (struct imap_refusal){ IMAP_NO, "TRYCREATE", "No such mailbox" };
	else if (r == -EACCES)
		*no = (struct imap_refusal){ IMAP_NO, "NOPERM", "No right to do this" };
	else if (r == -EBADMSG)
		*no = (struct imap_refusal){ IMAP_NO, "CORRUPTION", "The mailbox is damaged" };
	else if (r < 0)
		*no = (struct imap_refusal){ IMAP_NO, "UNAVAILABLE", "The mailbox cannot be read" };
	else if (m.attrs & STORE_NOSELECT)
		*no = (struct imap_refusal){ IMAP_NO, "CANNOT", "This name holds no messages" };
	return !no->text;
}

/* RFC 3516 4.4: "If the destination mailbox does not support the storage of binary content" */
static struct imap_refusal
append_has_nul(const struct append *a)
{
	return (struct imap_refusal){ IMAP_NO, a->binary ? "UNKNOWN-CTE" : "CANNOT",
		"A message must not contain NUL" };
}

bool
append_grow(struct append *a, uint64_t had, uint64_t size, struct imap_refusal *no)
{
	struct user *u = a->place.s->user;
	const uint64_t most = (uint64_t)conf.append;

	no->kind = IMAP_NO;
	if (a->error)
		*no = (struct imap_refusal){ IMAP_NO, "UNAVAILABLE",
			"The message cannot be written" };
	else if (a->nul)
		*no = append_has_nul(a);
	else if (size > most || had + size > most)
		*no = (struct imap_refusal){ IMAP_NO, "TOOBIG", "The message is too large" };
	else if (a->total + size > APPEND_TIMES * most)
		*no = (struct imap_refusal){ IMAP_NO, "TOOBIG",
			"The messages are too large together" };
	else if (a->total + size > a->allowed)
		*no = (struct imap_refusal){ IMAP_NO, "OVERQUOTA", "The mailbox is full" };
	else if (u->bringing + size > APPEND_HELD * most)
		*no = (struct imap_refusal){ IMAP_NO, "LIMIT", "Too much is on its way" };
	else {
		a->total += size;
		u->bringing += size;
	}
	return !no->text;
}

/* May another message come, with these arguments? */
static bool
append_fits(const struct session *s, struct append *a, struct imap_refusal *no)
{
	no->kind = IMAP_NO;
	no->code = "LIMIT";
	if (limit_messages() && a->n == limit_messages()) { /* RFC 9738 3.1 */
		snprintf(a->code, sizeof(a->code), "MESSAGELIMIT %u", limit_messages());
		no->code = a->code;
		no->text = "Too many messages for one APPEND";
	} else if (!flags_fit(&a->want.flags))
		no->text = "A keyword is too long";
	else if (a->packet > APPEND_WORDS)
		no->text = "Too many keywords";
	else if (a->n == APPEND_MOST)
		no->text = "Too many messages in one command";
	else if (a->n > 0 && (s->user->appending >= APPEND_USER || further_hand >= APPEND_ALL))
		no->text = "Too many messages are on their way";
	return !no->text;
}

/* Room for one more message, with what its arguments say. */
static struct append_message *
append_new(struct session *s, struct append *a)
{
	struct append_message *m;

	if (a->n == a->room) {
		a->room = a->room ? a->room * 2 : 1;
		m = arena_array(&s->imap.arena, a->room, sizeof(*m));
		if (a->n > 0)
			memcpy(m, a->m, a->n * sizeof(*m));
		a->m = m;
	}
	m = &a->m[a->n];
	*m = (struct append_message){ .body.fd = -1,
		.flags = (uint16_t)a->want.flags.system,
		.zone = (int16_t)a->want.zone,
		.at = a->want.at,
		.dated = a->want.dated };
	if (a->n++ > 0) {
		further_hand++;
		s->user->appending++;
	}
	return m;
}

enum imap_next
append_refuse(struct imap_server *imap, const struct imap_refusal *no)
{
	struct append *a = imap->data;

	if (a->announced == APPEND_OVER)
		return imap_server_refuse(imap, no);
	return imap_server_refuse_literal(imap, a->announced, no);
}

/* The file is there: the bytes may come. */
enum imap_next
append_literal(struct imap_server *imap)
{
	struct append *a = imap->data;

	a->left = a->announced;
	a->binary = a->binary || a->want.binary;
	if (imap->lex.sync)
		imap_server_invite(imap);
	imap->input = &append_taker;
	return IMAP_MORE;
}

static void
body_ready(void *arg, const struct store_reply *r)
{
	static const struct imap_refusal away = { IMAP_NO, "UNAVAILABLE",
		"The mail store takes no messages now" };
	struct session *s = arg;
	struct append *a = s->imap.data;

	if (r->verdict.kind == OK)
		imap_server_resume(&s->imap, a->ready(&s->imap));
	else if (a->announced == APPEND_OVER || s->imap.lex.sync)
		imap_server_resume(&s->imap, reply_no_store(s, r, "TRYCREATE"));
	else
		imap_server_resume(&s->imap, append_refuse(&s->imap, &away));
}

struct append *
append_enter(struct imap_server *imap)
{
	struct append *a = arena_new(&imap->arena, sizeof(*a));

	imap->data = a;
	imap->undo = append_undo;
	return a;
}

enum imap_next
append_open(struct imap_server *imap, enum imap_next (*ready)(struct imap_server *))
{
	struct session *s = session_of(imap);
	struct append *a = imap->data;
	struct slice part, keywords;
	struct imap_refusal no = { IMAP_NO, NULL, NULL };
	struct append_message *m;

	keywords = imap_keywords_join(&a->want.flags, &imap->arena);
	a->packet += APPEND_FIXED + keywords.n;
	if (!append_fits(s, a, &no))
		return append_refuse(imap, &no);
	a->last = '\0';
	m = append_new(s, a);
	m->keywords = keywords;
	part = slice_str(a->place.home->name);
	if (store_body_take(imapd.store, part, &m->body) == 0)
		return ready(imap);
	a->ready = ready;
	store_body_start(imapd.store, part, &m->body, &imap->op, body_ready, s);
	return IMAP_WAIT;
}

/* The arguments of a message are in a->want. */
static enum imap_next
append_take(struct imap_server *imap, struct imap_in *in)
{
	static const struct imap_refusal empty = { IMAP_NO, "CANNOT",
		"An empty message cannot be stored" };
	struct append *a = imap->data;
	struct imap_refusal no = { IMAP_NO, NULL, NULL };

	imap->tail = a->want.utf8 ? ")" : NULL;
	if (a->n == 0 && !append_find(session_of(imap), a, &no))
		return append_refuse(imap, &no);
	if (a->want.catenate)
		return catenate_begin(imap, in, a->announced);
	if (!append_grow(a, 0, a->announced, &no))
		return append_refuse(imap, &no);
	return a->announced == 0 ? append_refuse(imap, &empty) : append_open(imap, append_literal);
}

enum imap_next
append_first(struct imap_server *imap, struct imap_in *in, uint64_t literal)
{
	struct append *a = imap->data;

	a->announced = literal;
	if (literal == APPEND_OVER && !a->want.catenate)
		return imap_server_bad(imap, "Literal expected");
	return append_take(imap, in);
}

enum imap_next
append_next(struct imap_server *imap, struct imap_in *in, uint64_t literal)
{
	struct append *a = imap->data;
	struct imap_refusal no = { IMAP_BAD, NULL, NULL };

	a->announced = literal;
	if (literal == APPEND_OVER && in->s.n == 0)
		return append_complete(imap);
	if (a->replaces)
		no.text = "One message replaces one";
	else if (!imap_append_further(in, &a->want))
		no.text = in->why ? in->why : "Syntax error";
	if (literal == APPEND_OVER && !a->want.catenate)
		no.text = "Unexpected text behind the message";
	return no.text ? append_refuse(imap, &no) : append_take(imap, in);
}

enum imap_next
append_rest(struct imap_server *imap, struct imap_in *in)
{
	return catenate_is_open(imap->data) ? catenate_go_on(imap, in, APPEND_OVER) :
					      append_next(imap, in, APPEND_OVER);
}

/* APPEND mailbox 1*([flags] [date] {size})			RFC 3501 6.3.11, RFC 3502 */
enum imap_next
append_begin(struct imap_server *imap, struct imap_in *in, uint64_t size)
{
	struct append *a = imap->data;

	if (a)
		return catenate_is_open(a) ? catenate_go_on(imap, in, size) :
					     append_next(imap, in, size);
	a = append_enter(imap);
	a->announced = size;
	if (!imap_append_parse(in, &a->want)) {
		const struct imap_refusal no = { IMAP_BAD, NULL,
			in->why ? in->why : "Syntax error" };

		return append_refuse(imap, &no);
	}
	return append_first(imap, in, size);
}

/* ---- the bytes ------------------------------------------------------------------------------ */

static void
append_write(struct append *a, const char *p, size_t n)
{
	struct append_message *m = append_current(a);

	if (a->error || n == 0)
		return;
	a->error = -files_write(m->body.fd, p, n);
	m->size += n;
	m->crc = crc32c(m->crc, p, n);
}

/* Bytes of the message.  Pieces without a bare LF go out as they came. */
void
append_add(struct append *a, struct slice s)
{
	size_t from = 0;

	a->nul = a->nul || memchr(s.p, '\0', s.n);
	for (size_t i = slice_find(s, '\n'); i < s.n;) {
		if ((i > 0 ? s.p[i - 1] : a->last) != '\r') {
			append_write(a, s.p + from, i - from);
			append_write(a, "\r", 1);
			from = i;
		}
		i += 1 + slice_find(slice_from(s, i + 1), '\n');
	}
	append_write(a, s.p + from, s.n - from);
	if (s.n > 0)
		a->last = s.p[s.n - 1];
}

/* The folder's use is Sent: what is put there by a client need not be put there by the server. */
static void
append_marked(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct append *a = s->imap.data;

	(void)r; /* a mark that could not be made costs a second copy */
	imap_server_resume(&s->imap,
	    imap_server_finish(&s->imap, "OK", "[APPENDUID %u %s] APPEND completed", a->uidvalidity,
		a->uids));
}

/* False: there is nothing to mark. */
static bool
append_mark(struct session *s, struct append *a)
{
	struct store_question q[STORE_QUESTIONS_MAX] = { { 0 } };
	size_t n = 0;

	for (size_t i = 0; a->sent && i < a->n && n < STORE_QUESTIONS_MAX; i++) {
		q[n].what = STORE_KNOW_MARK;
		q[n].seconds = MESSAGE_SENT_SECONDS;
		n += message_sent_key(a->store[i].cache, q[n].key);
	}
	if (n == 0)
		return false;
	store_know_start(imapd.store, a->place.owner, S(""), q, n, &s->imap.op, append_marked, s);
	return true;
}

static void
appended(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct append *a = s->imap.data;
	struct imap_set uids;
	struct buf set = { 0 };

	if (r->verdict.kind != OK) {
		imap_server_resume(&s->imap, reply_no_store(s, r, "TRYCREATE"));
		return;
	}
	metric_add(M_APPENDED, (int64_t)a->n);
	notify_brought(s, a->place.mailbox, r->uids, r->nuids);
	uids = (struct imap_set){ .r = (struct imap_range *)(uintptr_t)r->uids, .n = r->nuids };
	imap_set_write(&set, &uids);
	a->uidvalidity = r->uidvalidity;
	a->uids = arena_cstr(&s->imap.arena, buf_get(&set));
	if (append_mark(s, a)) {
		buf_fini(&set);
		return;
	}
	imap_server_resume(&s->imap,
	    imap_server_finish(&s->imap, "OK", "[APPENDUID %u %s] APPEND completed", r->uidvalidity,
		buf_cstr(&set)));
	buf_fini(&set);
}

/* All is known: stored may link the files. */
static enum imap_next
append_submit(struct session *s, struct append *a)
{
	if (!place_limits(&a->place))
		return IMAP_WAIT;
	if (a->place.unlimited)
		return imap_server_no(&s->imap, "UNAVAILABLE", a->place.unlimited);
	if (a->replaces && a->place.home != session_home(s))
		return imap_server_no(&s->imap, "CANNOT", "The mailbox is in another partition");
	if (a->replaces) {
		replace_submit(s, a);
		return IMAP_WAIT;
	}
	store_append_start(imapd.store, a->place.mailbox, a->store, a->n, a->place.limits,
	    &s->imap.op, appended, s);
	return IMAP_WAIT;
}

/* A digest is made; when the file could not be mapped there is none, and it is made when needed, as it
 * is of the last of many whose digests do not fit into one request together. */
static void
append_digested(struct session *s, struct append *a)
{
	struct append_message *m = &a->m[a->digested];
	struct slice cache = buf_get(&a->parse->digest);

	if (a->packet + cache.n > APPEND_BYTES)
		cache.n = 0;
	a->packet += cache.n;
	a->store[a->digested++] = (struct store_message){ .body = &m->body,
		.size = (uint32_t)m->size,
		.flags = m->flags,
		.internaldate = m->at,
		.dated = m->dated,
		.zone = m->zone,
		.cache = arena_slice(&s->imap.arena, cache),
		.digest = m->crc,
		.sentday = message_digest_sentday(buf_get(&a->parse->digest)),
		.keywords = m->keywords };
	message_parse_free(&a->parse);
}

static void
append_parsed(void *arg)
{
	struct session *s = arg;

	log_context(s->sid);
	append_digested(s, s->imap.data);
	imap_server_resume(&s->imap, IMAP_PULL);
}

/* A cursor over the messages, which writes nothing: large ones are read on the pool. */
static enum imap_next
append_digest(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct append *a = imap->data;
	uint64_t ends_at = clock_mono_us() + SLICE_US;

	while (a->digested < a->n) {
		struct append_message *m = &a->m[a->digested];

		if (clock_mono_us() > ends_at)
			return IMAP_YIELD;
		a->parse = message_parse_body(imapd.store, &m->body, m->size);
		if (m->size > MESSAGE_LARGE) {
			message_parse_start(a->parse, imapd.loop, &imap->op, s->user->id,
			    append_parsed, s);
			return IMAP_WAIT;
		}
		message_parse_now(a->parse);
		append_digested(s, a);
	}
	return append_submit(s, a);
}

/* The last message is here and nothing stands behind it. */
static enum imap_next
append_complete(struct imap_server *imap)
{
	struct append *a = imap->data;
	const struct imap_refusal nul = append_has_nul(a);

	if (a->error)
		return imap_server_no(imap, "UNAVAILABLE", "The message cannot be written");
	if (a->nul)
		return imap_server_refuse(imap, &nul);
	a->store = arena_array(&imap->arena, a->n, sizeof(*a->store));
	return imap_server_pull(imap, append_digest);
}

static enum imap_next
append_bytes(struct imap_server *imap, struct slice in)
{
	struct append *a = imap->data;
	size_t n = in.n < a->left ? in.n : (size_t)a->left;

	append_add(a, slice(in.p, n));
	a->left -= n;
	stream_take(&imap->line.io, n);
	return a->left > 0 ? IMAP_MORE : imap_server_literal_rest(imap, append_rest);
}

static const struct imap_taker append_taker = { "literal", append_bytes, true };

/* Without a message's literal: all of it may be in parts that are here already. */
enum imap_next
cmd_append(struct imap_server *imap, struct imap_in *in)
{
	struct append *a = append_enter(imap);

	if (!imap_append_parse(in, &a->want))
		return a->want.catenate ? imap_server_syntax(imap, in) :
					  imap_server_bad(imap, "Literal expected");
	return append_first(imap, in, APPEND_OVER);
}
