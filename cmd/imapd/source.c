/* imapd/source.c: reading what a URL names, RFC 5092 7, RFC 4467 6.
 *
 * Owns: the message while it is read.  Called by cursors of CATENATE and URLFETCH.  Can fail: what is not there, which
 * is the client's, apart from what cannot be read, which is ours.  Must stay true: nothing waits for a disk on the loop;
 * what is not in memory is read on the work pool, as its user's share, and so is a message parsed of which a section is
 * wanted.  Cost: a message parsed, and the bytes that are given.  Memory: one message's tree, and the lines of a
 * selection of fields. */
#include "source.h"

#include <errno.h>

#include "base/log.h"

void
source_begin(struct source *c, struct session *s, const struct imap_url *u,
    struct store_view *reader, uint64_t mailbox)
{
	*c = (struct source){ .session = s, .url = u, .reader = reader, .mailbox = mailbox };
}

void
source_close(struct source *c)
{
	c->tree = NULL; /* it frees itself */
	if (c->open)
		message_feed_close(&c->feed);
	message_picked_fini(&c->picked);
	*c = (struct source){ 0 };
}

static enum source_went
source_failed(const struct source *c, int error)
{
	log_event(LOG_ERROR, "message_missing", "mailbox=%llu uid=%u error=%s",
	    (unsigned long long)c->mailbox, c->url->uid, log_str(strerror(-error)));
	return SOURCE_FAILED;
}

/* So many bytes are there; of them, as PARTIAL says, how many are wanted?  Skips those before. */
static uint64_t
source_wanted(const struct imap_url *u, uint64_t len, uint64_t *skip)
{
	*skip = !u->partial ? 0 : u->offset < len ? u->offset : len;
	len -= *skip;
	return u->partial && !u->to_end && u->length < len ? u->length : len;
}

/* All of the file, or the section that lies there. */
static enum source_went
source_extent(struct source *c, const struct message_extent *e)
{
	uint64_t skip;

	c->left = source_wanted(c->url, e->len, &skip);
	c->feed.at = e->at + skip;
	c->stage = SOURCE_READS;
	return SOURCE_READY;
}

static bool
is_selection(const struct imap_section *sec)
{
	return sec->kind == IMAP_SECTION_FIELDS || sec->kind == IMAP_SECTION_FIELDS_NOT;
}

static enum source_went
source_section(struct source *c)
{
	static const enum mime_section kinds[] = {
		[IMAP_SECTION_ALL] = MIME_BODY,
		[IMAP_SECTION_HEADER] = MIME_HEADER,
		[IMAP_SECTION_FIELDS] = MIME_HEADER,
		[IMAP_SECTION_FIELDS_NOT] = MIME_HEADER,
		[IMAP_SECTION_TEXT] = MIME_TEXT,
		[IMAP_SECTION_MIME] = MIME_MIME,
	};
	const struct imap_section *sec = &c->url->section;
	struct message_extent e;
	int rc = message_section(&c->feed.message, sec->path, sec->npath, kinds[sec->kind], &e);

	if (rc == -ENOENT)
		return SOURCE_NONE;
	if (rc < 0)
		return source_failed(c, rc);
	if (!is_selection(sec))
		return source_extent(c, &e);
	(void)message_fields_add(&c->fields, sec->fields, sec->nfields,
	    sec->kind == IMAP_SECTION_FIELDS_NOT, &c->session->imap.arena);
	/* The tree has just been made of the map: it is in memory. */
	message_pick_start(&c->picked, &c->fields,
	    slice_sub(message_bytes(&c->feed.message), e.at, e.len));
	c->picks = true;
	c->stage = SOURCE_SCANS;
	return SOURCE_YIELDS;
}

static void
source_parsed(void *arg)
{
	struct source *c = arg;

	log_context(c->session->sid);
	c->error = c->tree->error;
	c->feed.message = c->tree->message;
	c->tree->message = (struct message){ .fd = -1 };
	message_parse_free(&c->tree);
	c->stage = SOURCE_PARSED;
	imap_server_resume(&c->session->imap, IMAP_PULL);
}

static enum source_went
source_open(struct source *c)
{
	const struct imap_section *sec = &c->url->section;
	struct message_extent all = { 0, 0 };
	int rc = message_feed_open(&c->feed, c->reader, c->mailbox, c->url->uid);

	c->open = rc == 0;
	if (rc == -ENOENT)
		return SOURCE_NONE;
	if (rc < 0)
		return source_failed(c, rc);
	if (sec->kind == IMAP_SECTION_ALL && sec->npath == 0) {
		all.len = (uint32_t)c->feed.message.size;
		return source_extent(c, &all);
	}
	c->tree = message_parse_new(MESSAGE_WANT_TREE);
	c->tree->message = c->feed.message;
	c->feed.message = (struct message){ .fd = -1 };
	c->stage = SOURCE_PARSES;
	message_parse_start(c->tree, imapd.loop, &c->session->imap.op, c->session->user->id,
	    source_parsed, c);
	return SOURCE_WAITS;
}

static enum source_went
source_scan(struct source *c)
{
	while (message_pick_scan(&c->picked))
		if (line_session_spent(&c->session->imap.line))
			return SOURCE_YIELDS;
	c->left = source_wanted(c->url, message_pick_open(&c->picked, 0), &c->skip);
	c->stage = SOURCE_READS;
	return SOURCE_READY;
}

enum source_went
source_go(struct source *c)
{
	switch (c->stage) {
	case SOURCE_OPENS: return source_open(c);
	case SOURCE_PARSES: return SOURCE_WAITS;
	case SOURCE_PARSED: return c->error < 0 ? source_failed(c, c->error) : source_section(c);
	case SOURCE_SCANS: return source_scan(c);
	case SOURCE_READS: break;
	}
	return SOURCE_READY;
}

/* ---- the bytes -------------------------------------------------------------------------------------- */

static void
source_warmed(void *arg)
{
	struct source *c = arg;

	log_context(c->session->sid);
	message_feed_back(&c->feed);
	imap_server_resume(&c->session->imap, IMAP_PULL);
}

static enum source_went
source_read_file(struct source *c, struct buf *out)
{
	size_t n = c->left < SOURCE_PIECE ? (size_t)c->left : SOURCE_PIECE;
	ssize_t got = message_feed_read(&c->feed, buf_reserve(out, n), n);

	if (got == -EAGAIN) {
		message_feed_warm(&c->feed, imapd.loop, &c->session->imap.op, c->session->user->id,
		    source_warmed, c);
		return SOURCE_WAITS;
	}
	if (got <= 0)
		return source_failed(c, got < 0 ? (int)got : -ENODATA);
	out->n += (size_t)got;
	c->left -= (uint64_t)got;
	return SOURCE_READY;
}

static enum source_went
source_read_fields(struct source *c, struct buf *out)
{
	size_t got;

	while (c->skip > 0) {
		uint64_t n = c->skip < SOURCE_PIECE ? c->skip : SOURCE_PIECE;

		if (line_session_spent(&c->session->imap.line))
			return SOURCE_YIELDS;
		message_pick_skip(&c->picked, n);
		c->skip -= n;
	}
	got = message_pick_read(&c->picked, out,
	    c->left < SOURCE_PIECE ? (size_t)c->left : SOURCE_PIECE);
	if (message_is_cut(&c->feed.message) || got == 0)
		return source_failed(c, -EIO);
	c->left -= got;
	return SOURCE_READY;
}

enum source_went
source_bytes(struct source *c, struct buf *out)
{
	return c->picks ? source_read_fields(c, out) : source_read_file(c, out);
}
