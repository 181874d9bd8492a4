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
#include "place.h"
#include "source.h"

#define PARTS_MOST 256  /* of a command */
#define URL_MOST   4096 /* bytes of a URL that comes as a literal */
#define URL_SHOWN  512  /* bytes of one in an answer */

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
	struct source source;
};

void
catenate_undo(struct append *a)
{
	source_close(&a->parts->source);
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

/* A cursor: the bytes, as they come. */
static enum imap_next
url_copy(struct imap_server *imap)
{
	struct append *a = imap->data;
	struct catenate *c = a->parts;
	struct buf piece = { 0 };
	enum source_went went = SOURCE_READY;

	while (went == SOURCE_READY && c->source.left > 0) {
		if (line_session_spent(&imap->line)) {
			went = SOURCE_YIELDS;
			break;
		}
		buf_clear(&piece);
		went = source_bytes(&c->source, &piece);
		append_add(a, buf_get(&piece));
	}
	buf_fini(&piece);
	switch (went) {
	case SOURCE_YIELDS: return IMAP_YIELD;
	case SOURCE_WAITS: return IMAP_WAIT;
	case SOURCE_NONE:
	case SOURCE_FAILED: return catenate_unavailable(imap);
	case SOURCE_READY: break;
	}
	source_close(&c->source);
	return catenate_go(imap);
}

/* A cursor: until it is known how much there is. */
static enum imap_next
url_open(struct imap_server *imap)
{
	struct append *a = imap->data;
	struct catenate *c = a->parts;
	struct imap_refusal no = { IMAP_NO, NULL, NULL };

	switch (source_go(&c->source)) {
	case SOURCE_YIELDS: return IMAP_YIELD;
	case SOURCE_WAITS: return IMAP_WAIT;
	case SOURCE_NONE: return url_refuse(imap, c);
	case SOURCE_FAILED: return catenate_unavailable(imap);
	case SOURCE_READY: break;
	}
	if (!append_grow(a, append_current(a)->size, c->source.left, &no))
		return append_refuse(imap, &no);
	return imap_server_pull(imap, url_copy);
}

/* A mailbox that the URL names is one's own; else it is the selected one. */
static struct store_view *
url_reader(struct session *s, const struct catenate *c)
{
	return c->url.mailbox.p ? session_own(s) : session_reader(s);
}

/* Finds the message.  0; -ENOENT: the URL names none; or an error of ours. */
static int
url_find(struct session *s, struct catenate *c)
{
	char canonical[STORE_NAME_MAX + 1];
	struct store_view *v = url_reader(s, c);
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
url_begin(struct imap_server *imap, struct catenate *c)
{
	struct session *s = session_of(imap);
	int rc = imap_url_parse(c->text, &imap->arena, &c->url) ? url_find(s, c) : -ENOENT;

	if (rc == -ENOENT)
		return url_refuse(imap, c);
	if (rc < 0)
		return catenate_unavailable(imap);
	source_begin(&c->source, s, &c->url, url_reader(s, c), c->mailbox);
	return imap_server_pull(imap, url_open);
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
		return url_begin(imap, c);
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
		return url_begin(imap, c);
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
