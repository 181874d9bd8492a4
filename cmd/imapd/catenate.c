/* imapd/catenate.c: CATENATE, RFC 4469: a message of APPEND or REPLACE that comes in parts: texts, and what
 * URLs name in the account's own mailboxes.
 *
 * Called by append.c for what stands between "CATENATE (" and its ")".  Parts are written to the message's
 * file one after the other, so nothing is kept: a text as any literal is, a URL by a cursor that reads the
 * other message's file and stops when its slice of time is over; what is not in memory is read on the work
 * pool, as its user's share, and so is a message parsed of which a section is wanted.
 * Can fail: the syntax (BAD), a URL that names nothing (BADURL), an error of ours (UNAVAILABLE), which is never
 * told as BADURL.  What must stay true: the text that is parsed lies in the lexer's buffer, which stands
 * still until the next byte of input is taken, and none is while a URL is read.
 * Cost of a command: at most PARTS_MOST messages parsed, of limit.append each, one at a time; and what is
 * written, which append_grow() bounds.  Memory: one message's tree, and a piece of a selection of fields. */
#include <errno.h>

#include "append.h"
#include "base/log.h"
#include "imap/url.h"
#include "message/feed.h"
#include "message/fields.h"
#include "place.h"

#define PARTS_MOST 256         /* of a command */
#define URL_MOST   4096        /* bytes of a URL that comes as a literal */
#define URL_SHOWN  512         /* bytes of one in an answer */
#define PIECE      (64 * 1024) /* bytes read in one go */

struct catenate {
	struct imap_in in; /* what is still to be parsed */
	bool list;         /* "(" was there and ")" was not, */
	bool some;         /* and a part */
	unsigned n;        /* parts of all messages */
	char *literal;     /* a URL that comes as one, */
	size_t length;     /* as far as it is here; */
	bool pending;      /* all of it is */
	/* the URL that is read */
	struct slice text;
	struct imap_url url;
	uint64_t mailbox;
	bool open;
	struct message_feed feed;
	struct message_parse *tree; /* the pool has the message */
	uint64_t left;              /* bytes still to be copied */
	struct message_fields fields;
	struct message_picked picked;
	bool scanned;
	uint64_t skip; /* bytes of the selection that are not wanted */
};

static void
source_close(struct catenate *c)
{
	if (c->open)
		message_feed_close(&c->feed);
	message_picked_fini(&c->picked);
	c->picked = (struct message_picked){ 0 };
	c->open = false;
}

void
catenate_undo(struct append *a)
{
	a->parts->tree = NULL; /* it frees itself */
	source_close(a->parts);
}

bool
catenate_is_open(const struct append *a)
{
	return a->parts && a->parts->list;
}

static enum imap_next
catenate_bad(struct imap_server *imap, const char *why)
{
	const struct imap_refusal no = { IMAP_BAD, NULL, why };

	return append_refuse(imap, &no);
}

static enum imap_next
catenate_unavailable(struct imap_server *imap)
{
	static const struct imap_refusal no = { IMAP_NO, "UNAVAILABLE",
		"A message of a URL cannot be read" };

	return append_refuse(imap, &no);
}

/* A message of ours that cannot be read. */
static enum imap_next
source_failed(struct imap_server *imap, struct catenate *c, int error)
{
	log_event(LOG_ERROR, "message_missing", "mailbox=%llu uid=%u error=%s",
	    (unsigned long long)c->mailbox, c->url.uid, log_str(strerror(-error)));
	return catenate_unavailable(imap);
}

/* "BADURL" SP url-resp-text: what may not stand in an answer is encoded as in a URL.	RFC 4469 4 */
static enum imap_next
url_refuse(struct imap_server *imap, const struct catenate *c)
{
	struct imap_refusal no = { IMAP_NO, NULL, "The URL names nothing here" };
	struct buf b = { 0 };

	buf_lit(&b, "BADURL ");
	for (size_t i = 0; i < c->text.n && i < URL_SHOWN; i++) {
		char ch = c->text.p[i];

		if (ch <= ' ' || ch == '\x7f' || strchr("]\\\"", ch))
			buf_printf(&b, "%%%02X", (unsigned)(unsigned char)ch);
		else
			buf_char(&b, ch);
	}
	no.code = arena_cstr(&imap->arena, buf_get(&b));
	buf_fini(&b);
	return append_refuse(imap, &no);
}

/* ---- what a URL names ---------------------------------------------------------------------- */

static enum imap_next catenate_go(struct imap_server *imap);

static enum imap_next
source_over(struct imap_server *imap, struct catenate *c)
{
	source_close(c);
	return catenate_go(imap);
}

/* So many bytes are there; of them, as PARTIAL says, how many are wanted?  *skip: not the first ones. */
static uint64_t
source_wanted(const struct imap_url *u, uint64_t len, uint64_t *skip)
{
	*skip = !u->partial ? 0 : u->offset < len ? u->offset : len;
	len -= *skip;
	return u->partial && !u->to_end && u->length < len ? u->length : len;
}

static void
source_warmed(void *arg)
{
	struct session *s = arg;
	struct append *a = s->imap.data;

	log_context(s->sid);
	message_feed_back(&a->parts->feed);
	imap_server_resume(&s->imap, IMAP_PULL);
}

/* A cursor: bytes of the file. */
static enum imap_next
source_copy(struct imap_server *imap)
{
	static char piece[PIECE];
	struct session *s = session_of(imap);
	struct append *a = imap->data;
	struct catenate *c = a->parts;

	while (c->left > 0) {
		ssize_t got;

		if (line_session_spent(&imap->line))
			return IMAP_YIELD;
		got = message_feed_read(&c->feed, piece, c->left < PIECE ? c->left : PIECE);
		if (got == -EAGAIN) {
			message_feed_warm(&c->feed, imapd.loop, &imap->op, s->user->id,
			    source_warmed, s);
			return IMAP_WAIT;
		}
		if (got <= 0)
			return source_failed(imap, c, got < 0 ? (int)got : -ENODATA);
		append_add(a, slice(piece, (size_t)got));
		c->left -= (uint64_t)got;
	}
	return source_over(imap, c);
}

/* A cursor: a selection of header fields. */
static enum imap_next
source_pick(struct imap_server *imap)
{
	struct append *a = imap->data;
	struct catenate *c = a->parts;
	struct imap_refusal no = { IMAP_NO, NULL, NULL };
	struct buf piece = { 0 };

	while (!c->scanned) {
		c->scanned = !message_pick_scan(&c->picked);
		if (!c->scanned && line_session_spent(&imap->line))
			return IMAP_YIELD;
		if (!c->scanned)
			continue;
		c->left = source_wanted(&c->url, message_pick_open(&c->picked, 0), &c->skip);
		if (!append_grow(a, append_current(a)->size, c->left, &no))
			return append_refuse(imap, &no);
	}
	while (c->left > 0 && c->skip > 0) {
		uint64_t n = c->skip < PIECE ? c->skip : PIECE;

		if (line_session_spent(&imap->line))
			return IMAP_YIELD;
		message_pick_skip(&c->picked, n);
		c->skip -= n;
	}
	while (c->left > 0 && !line_session_spent(&imap->line)) {
		size_t got =
		    message_pick_read(&c->picked, &piece, c->left < PIECE ? c->left : PIECE);

		append_add(a, buf_get(&piece));
		buf_clear(&piece);
		c->left = got > 0 ? c->left - got : 0;
	}
	buf_fini(&piece);
	if (message_is_cut(&c->feed.message))
		return source_failed(imap, c, -EIO);
	return c->left > 0 ? IMAP_YIELD : source_over(imap, c);
}

/* All of the file, or the section that lies there. */
static enum imap_next
source_start(struct imap_server *imap, const struct message_extent *e)
{
	struct append *a = imap->data;
	struct catenate *c = a->parts;
	struct imap_refusal no = { IMAP_NO, NULL, NULL };
	uint64_t skip;

	c->left = source_wanted(&c->url, e->len, &skip);
	if (!append_grow(a, append_current(a)->size, c->left, &no))
		return append_refuse(imap, &no);
	c->feed.at = e->at + skip;
	return imap_server_pull(imap, source_copy);
}

static bool
is_selection(const struct imap_section *sec)
{
	return sec->kind == IMAP_SECTION_FIELDS || sec->kind == IMAP_SECTION_FIELDS_NOT;
}

static enum imap_next
source_section(struct imap_server *imap, struct catenate *c)
{
	static const enum mime_section kinds[] = {
		[IMAP_SECTION_ALL] = MIME_BODY,
		[IMAP_SECTION_HEADER] = MIME_HEADER,
		[IMAP_SECTION_FIELDS] = MIME_HEADER,
		[IMAP_SECTION_FIELDS_NOT] = MIME_HEADER,
		[IMAP_SECTION_TEXT] = MIME_TEXT,
		[IMAP_SECTION_MIME] = MIME_MIME,
	};
	const struct imap_section *sec = &c->url.section;
	struct message_extent e;
	int rc = message_section(&c->feed.message, sec->path, sec->npath, kinds[sec->kind], &e);

	if (rc == -ENOENT)
		return url_refuse(imap, c);
	if (rc < 0)
		return source_failed(imap, c, rc);
	if (!is_selection(sec))
		return source_start(imap, &e);
	c->fields = (struct message_fields){ 0 };
	(void)message_fields_add(&c->fields, sec->fields, sec->nfields,
	    sec->kind == IMAP_SECTION_FIELDS_NOT, &imap->arena);
	/* The tree has just been made of the map: it is in memory. */
	message_pick_start(&c->picked, &c->fields,
	    slice_sub(message_bytes(&c->feed.message), e.at, e.len));
	c->scanned = false;
	return imap_server_pull(imap, source_pick);
}

static void
source_parsed(void *arg)
{
	struct session *s = arg;
	struct append *a = s->imap.data;
	struct catenate *c = a->parts;
	int error = c->tree->error;

	log_context(s->sid);
	c->feed.message = c->tree->message;
	c->tree->message = (struct message){ .fd = -1 };
	message_parse_free(&c->tree);
	imap_server_resume(&s->imap,
	    error < 0 ? source_failed(&s->imap, c, error) : source_section(&s->imap, c));
}

/* A mailbox that the URL names is one's own; else it is the selected one. */
static struct store_view *
source_reader(struct session *s, const struct catenate *c)
{
	return c->url.mailbox.p ? session_own(s) : session_reader(s);
}

/* Finds the message.  0; -ENOENT: the URL names none; or an error of ours. */
static int
source_find(struct session *s, struct catenate *c)
{
	char canonical[STORE_NAME_MAX + 1];
	struct store_view *v = source_reader(s, c);
	struct store_mailbox m;
	int rc, named = -ENOENT;

	if (c->url.mailbox.p ? store_name_check(c->url.mailbox, canonical) < 0 : !s->view)
		return -ENOENT;
	rc = store_begin(v);
	if (rc < 0)
		return rc;
	if (c->url.mailbox.p)
		rc = named = store_find_mailbox(v, s->user->id, slice_str(canonical), &c->mailbox);
	else
		c->mailbox = s->view->mailbox;
	if (rc == 0)
		rc = store_get_mailbox(v, c->mailbox, &m);
	if (rc == -ENOENT && named == 0) /* its name is there, in the same snapshot */
		rc = -EBADMSG;
	if (rc == 0 &&
	    ((c->url.uidvalidity && c->url.uidvalidity != m.uidvalidity) ||
		!store_get_record(v, c->mailbox, c->url.uid)))
		rc = -ENOENT;
	store_end(v);
	return rc;
}

/* The URL in c->text. */
static enum imap_next
source_open(struct imap_server *imap, struct catenate *c)
{
	struct session *s = session_of(imap);
	const struct imap_section *sec = &c->url.section;
	struct message_extent all = { 0, 0 };
	int rc = imap_url_parse(c->text, &imap->arena, &c->url) ? source_find(s, c) : -ENOENT;

	if (rc == 0) {
		rc = message_feed_open(&c->feed, source_reader(s, c), c->mailbox, c->url.uid);
		c->open = rc == 0;
	}
	if (rc == -ENOENT)
		return url_refuse(imap, c);
	if (rc < 0)
		return catenate_unavailable(imap);
	if (sec->kind == IMAP_SECTION_ALL && sec->npath == 0) {
		all.len = (uint32_t)c->feed.message.size;
		return source_start(imap, &all);
	}
	c->tree = message_parse_new(MESSAGE_WANT_TREE);
	c->tree->message = c->feed.message;
	c->feed.message = (struct message){ .fd = -1 };
	message_parse_start(c->tree, imapd.loop, &imap->op, s->user->id, source_parsed, s);
	return IMAP_WAIT;
}

/* ---- the list ------------------------------------------------------------------------------------ */

/* Is the literal that is announced the next thing? */
static bool
literal_is_next(const struct append *a)
{
	const struct imap_in *in = &a->parts->in;

	return a->announced != APPEND_OVER && imap_next_is(in, '{') && slice_rfind(in->s, '{') == 0;
}

/* "TEXT" SP literal, with literal8 (RFC 3516 4.4); "UTF8" SP "(" literal8 ")" (RFC 6855 4) */
static enum imap_next
part_text(struct imap_server *imap, bool utf8)
{
	struct append *a = imap->data;
	struct imap_in *in = &a->parts->in;
	struct imap_refusal no = { IMAP_NO, NULL, NULL };

	a->want.binary = imap_char(in, '~');
	if (!literal_is_next(a) || (utf8 && !a->want.binary))
		return catenate_bad(imap, "Literal expected");
	imap->tail = utf8 ? ")" : NULL;
	if (!append_grow(a, append_current(a)->size, a->announced, &no))
		return append_refuse(imap, &no);
	return append_literal(imap);
}

static enum imap_next
url_bytes(struct imap_server *imap, struct slice in)
{
	struct append *a = imap->data;
	struct catenate *c = a->parts;
	size_t n = in.n < a->left ? in.n : (size_t)a->left;

	if (n)
		memcpy(c->literal + c->length, in.p, n);
	c->length += n;
	a->left -= n;
	stream_take(&imap->line.io, n);
	c->pending = a->left == 0;
	return a->left > 0 ? IMAP_MORE : imap_server_literal_rest(imap, append_rest);
}

static const struct imap_taker url_taker = { "literal", url_bytes, true };

/* "URL" SP astring */
static enum imap_next
part_url(struct imap_server *imap)
{
	struct append *a = imap->data;
	struct catenate *c = a->parts;

	if (!literal_is_next(a)) {
		if (!imap_astring(&c->in, &c->text))
			return catenate_bad(imap, c->in.why ? c->in.why : "URL expected");
		return source_open(imap, c);
	}
	if (a->announced > URL_MOST)
		return catenate_bad(imap, "The URL is too long");
	c->literal = arena_array(&imap->arena, URL_MOST, 1);
	c->length = 0;
	a->left = a->announced;
	imap->tail = NULL;
	if (imap->lex.sync)
		imap_server_invite(imap);
	imap->input = &url_taker;
	return IMAP_MORE;
}

/* ")": the message is whole. */
static enum imap_next
list_close(struct imap_server *imap)
{
	static const struct imap_refusal empty = { IMAP_NO, "CANNOT",
		"An empty message cannot be stored" };
	struct append *a = imap->data;
	struct imap_in in = a->parts->in;

	a->parts->list = false;
	if (append_current(a)->size == 0 && !a->error)
		return append_refuse(imap, &empty);
	return append_next(imap, &in, a->announced);
}

/* What comes next in the list. */
static enum imap_next
catenate_go(struct imap_server *imap)
{
	static const struct imap_refusal many = { IMAP_NO, "LIMIT", "Too many parts" };
	struct append *a = imap->data;
	struct catenate *c = a->parts;
	struct imap_in *in = &c->in;

	if (c->pending) { /* a URL that came as a literal */
		c->pending = false;
		c->text = slice(c->literal, c->length);
		return source_open(imap, c);
	}
	if (c->some && imap_char(in, ')'))
		return list_close(imap);
	if (c->some && !imap_space(in))
		return catenate_bad(imap, "Another part expected, or )");
	c->some = true;
	if (++c->n > PARTS_MOST)
		return append_refuse(imap, &many);
	if (imap_word(in, "TEXT") && imap_space(in))
		return part_text(imap, false);
	if (imap_word(in, "UTF8") && imap_space(in) && imap_char(in, '('))
		return part_text(imap, true);
	if (imap_word(in, "URL") && imap_space(in))
		return part_url(imap);
	return catenate_bad(imap, "TEXT or URL expected");
}

/* append-data =/ "CATENATE" SP "(" cat-part *(SP cat-part) ")"			RFC 4469 5 */
enum imap_next
catenate_begin(struct imap_server *imap, struct imap_in *in, uint64_t literal)
{
	struct append *a = imap->data;

	if (!a->parts)
		a->parts = arena_new(&imap->arena, sizeof(*a->parts));
	a->announced = literal;
	a->parts->in = *in;
	a->parts->list = true;
	a->parts->some = false;
	return append_open(imap, catenate_go);
}

enum imap_next
catenate_go_on(struct imap_server *imap, struct imap_in *in, uint64_t literal)
{
	struct append *a = imap->data;

	a->announced = literal;
	a->parts->in = *in;
	return catenate_go(imap);
}
