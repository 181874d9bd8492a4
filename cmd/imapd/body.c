/* imapd/body.c: the sections of FETCH, from the message's file: RFC 3501 6.4.5.
 *
 * Bytes go from the page cache into the output by pread.  Only what is not cached goes through
 * the work pool, so that one cold message does not hold up a thousand warm ones. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "fetch.h"
#include "imap/structure.h"
#include "net/work.h"

#define CHUNK (64 * 1024)
#define COLD_CHUNK (256 * 1024)
#define LARGE (512 * 1024) /* messages above are parsed beside the loop */

/* ---- open and close ------------------------------------------------------------------------ */

void
body_close(struct fetch *f)
{
	if (f->map)
		munmap(f->map, f->size);
	if (f->fd >= 0)
		close(f->fd);
	arena_reset(&f->arena);
	f->map = NULL;
	f->mime = NULL;
	f->fd = -1;
	f->section = 0;
	f->begun = false;
	buf_clear(&f->header);
}

/* Parsing the whole file: for messages without a cache record, or too odd for one.  A large one
 * is parsed on the work pool; everything it makes is in here, so the session may go first. */
struct parsing {
	struct session *s;
	unsigned items; /* of them, what is to be written */
	void *map;
	size_t size;
	struct arena arena;
	struct mime *mime;
	struct slice envelope, structure;
};

static void
parsing_run(void *arg)
{
	struct parsing *g = arg;
	struct buf b = { 0 };

	g->mime = arena_new(&g->arena, sizeof(*g->mime));
	mime_parse(g->map ? slice(g->map, g->size) : S(""), &g->arena, g->mime);
	if (g->items & IMAP_FETCH_ENVELOPE) {
		imap_envelope_write(&b, mime_header(g->mime, g->mime->root), &g->arena);
		g->envelope = arena_slice(&g->arena, buf_get(&b));
		buf_clear(&b);
	}
	if (g->items & (IMAP_FETCH_BODY | IMAP_FETCH_BODYSTRUCTURE)) {
		imap_structure_write(&b, g->mime, g->mime->root, true, &g->arena);
		g->structure = arena_slice(&g->arena, buf_get(&b));
	}
	buf_fini(&b);
}

static void
parsing_drop(void *arg)
{
	struct parsing *g = arg;

	if (g->map)
		munmap(g->map, g->size);
	arena_reset(&g->arena);
	mem_release(g);
}

/* What was made becomes the message's. */
static void
adopt(struct fetch *f, struct parsing *g)
{
	f->arena = g->arena;
	f->map = g->map;
	f->mime = g->mime;
	if (g->envelope.p) {
		f->cache.has |= IMAP_HAS_ENVELOPE;
		f->cache.envelope = g->envelope;
	}
	if (g->structure.p) {
		f->cache.has |= IMAP_HAS_STRUCTURE;
		f->cache.structure = g->structure;
	}
	mem_release(g);
}

static struct parsing *
parsing_new(struct session *s, const struct fetch *f)
{
	struct parsing *g = mem_new(sizeof(*g));

	*g = (struct parsing){ .s = s, .items = f->want.items, .size = f->size };
	if (f->size > 0)
		g->map = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, f->fd, 0);
	if (g->map == MAP_FAILED)
		g->map = NULL;
	return g;
}

static bool
needs_parse(const struct fetch *f)
{
	unsigned has = f->cache.has;

	if (has == 0)
		return true;
	if ((f->want.items & IMAP_FETCH_ENVELOPE && !(has & IMAP_HAS_ENVELOPE)) ||
	    (f->want.items & (IMAP_FETCH_BODY | IMAP_FETCH_BODYSTRUCTURE) &&
		!(has & IMAP_HAS_STRUCTURE)))
		return true;
	for (size_t i = 0; i < f->want.nsections; i++)
		if (f->want.sections[i].npath > 0 && !(has & IMAP_HAS_PARTS))
			return true;
	return false;
}

/* All that FETCH wants beside the sections. */
static void
write_items(struct session *s, struct fetch *f)
{
	struct store_mailbox m = { 0 };
	uint32_t seq = view_seq(s->view, f->rec.uid);

	if (f->rec.keywords && store_begin(reader(s)) == 0) {
		if (store_get_mailbox(reader(s), s->view->mailbox, &m) < 0)
			m.nkeywords = 0;
		fetch_write_items(s, f, &f->rec, seq, &f->cache, &m);
		store_end(reader(s));
	} else {
		fetch_write_items(s, f, &f->rec, seq, &f->cache, &m);
	}
}

static void
parsing_done(void *arg)
{
	struct parsing *g = arg;
	struct session *s = g->s;
	struct fetch *f = s->data;

	log_context(s->sid);
	adopt(f, g);
	write_items(s, f);
	session_resume(s, session_pull(s));
}

enum next
body_open(struct session *s, struct fetch *f)
{
	struct parsing *g;
	struct stat st;

	/* This ends the snapshot: f->rec and f->record are copies. */
	f->fd = store_open_message(reader(s), s->view->mailbox, f->rec.uid);
	if (f->fd < 0 || fstat(f->fd, &st) < 0) {
		log_event(LOG_WARN, "message_missing", "sid=%s mailbox=%llu uid=%u error=%s", s->sid,
		    (unsigned long long)s->view->mailbox, f->rec.uid,
		    strerror(f->fd < 0 ? -f->fd : errno));
		body_close(f);
		return CLOSE;
	}
	f->size = (uint64_t)st.st_size;
	if (imap_cache_parse(buf_get(&f->record), &f->cache) < 0 || f->cache.size != f->size)
		f->cache = (struct imap_cache){ 0 };
	if (needs_parse(f)) {
		g = parsing_new(s, f);
		if (f->size > LARGE) {
			work_start(imapd.loop, &s->op, parsing_run, parsing_done, parsing_drop, g);
			return WAIT;
		}
		parsing_run(g);
		adopt(f, g);
	}
	write_items(s, f);
	return NEXT;
}

/* ---- finding a section ----------------------------------------------------------------------- */

/* Where the bytes of a section lie (of HEADER.FIELDS: those of the header).  False: there is no
 * such part, which is NIL. */
static bool
locate(const struct fetch *f, const struct imap_section *sec, struct imap_extent *e)
{
	static const enum mime_section kinds[] = {
		[IMAP_SECTION_ALL] = MIME_BODY,      [IMAP_SECTION_HEADER] = MIME_HEADER,
		[IMAP_SECTION_FIELDS] = MIME_HEADER, [IMAP_SECTION_FIELDS_NOT] = MIME_HEADER,
		[IMAP_SECTION_TEXT] = MIME_TEXT,     [IMAP_SECTION_MIME] = MIME_MIME,
	};
	struct imap_part part;
	struct slice bytes;

	if (sec->npath == 0 && sec->kind == IMAP_SECTION_ALL) {
		*e = (struct imap_extent){ 0, (uint32_t)f->size };
		return true;
	}
	if (f->mime) {
		if (mime_section(f->mime, sec->path, sec->npath, kinds[sec->kind], &bytes) < 0)
			return false;
		*e = (struct imap_extent){ (uint32_t)(bytes.p - f->mime->msg.p), (uint32_t)bytes.n };
		return true;
	}
	if (sec->npath == 0) {
		uint32_t n = f->cache.header_len;

		*e = sec->kind == IMAP_SECTION_TEXT ?
		    (struct imap_extent){ n, (uint32_t)f->size - n } :
		    (struct imap_extent){ 0, n };
		return true;
	}
	if (imap_cache_part(&f->cache, sec->path, sec->npath, &part) < 0)
		return false;
	switch (kinds[sec->kind]) {
	case MIME_BODY: *e = part.body; return true;
	case MIME_HEADER: *e = part.header; return part.message;
	case MIME_TEXT: *e = part.text; return part.message;
	case MIME_MIME: *e = part.mime; return true;
	}
	return false;
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* A read that would wait for the disk, on a pool thread. */
struct cold {
	struct session *s;
	int fd;
	uint64_t off;
	size_t n;
	ssize_t got;
	char *p;
};

static void
cold_run(void *arg)
{
	struct cold *c = arg;

	c->got = pread(c->fd, c->p, c->n, (off_t)c->off);
	if (c->got < 0)
		c->got = -errno;
}

static void
cold_drop(void *arg)
{
	struct cold *c = arg;

	close(c->fd);
	mem_release(c->p);
	mem_release(c);
}

/* The literal's length is promised: what the file does not have is made up with blanks. */
static void
pad(struct session *s, struct fetch *f)
{
	size_t n = f->left < CHUNK ? (size_t)f->left : CHUNK;
	char *p = buf_reserve(out(s), n);

	log_event(LOG_ERROR, "message_short", "sid=%s uid=%u missing=%llu", s->sid, f->rec.uid,
	    (unsigned long long)f->left);
	if (!p)
		return;
	memset(p, ' ', n);
	out(s)->n += n;
	f->left -= n;
}

static void
cold_done(void *arg)
{
	struct cold *c = arg;
	struct session *s = c->s;
	struct fetch *f = s->data;

	if (c->got > 0) {
		buf_add(out(s), c->p, (size_t)c->got);
		f->off += (uint64_t)c->got;
		f->left -= (uint64_t)c->got;
	} else {
		pad(s, f);
	}
	cold_drop(c);
	session_resume(s, session_pull(s));
}

static enum next
cold_start(struct session *s, struct fetch *f)
{
	struct cold *c = mem_new(sizeof(*c));

	c->s = s;
	c->fd = dup(f->fd);
	c->off = f->off;
	c->n = f->left < COLD_CHUNK ? (size_t)f->left : COLD_CHUNK;
	c->p = mem_grow(NULL, c->n, 1);
	work_start(imapd.loop, &s->op, cold_run, cold_done, cold_drop, c);
	return WAIT;
}

/* Sends what is left of the section's bytes. */
static enum next
send_bytes(struct session *s, struct fetch *f)
{
	while (f->left > 0) {
		size_t n = f->left < CHUNK ? (size_t)f->left : CHUNK;
		struct iovec iov = { .iov_len = n };
		ssize_t got;

		if (out(s)->n >= STREAM_HIGH)
			return FULL;
		iov.iov_base = buf_reserve(out(s), n);
		if (!iov.iov_base)
			return CLOSE;
		got = preadv2(f->fd, &iov, 1, (off_t)f->off, RWF_NOWAIT);
		if (got < 0 && errno == EAGAIN)
			return cold_start(s, f);
		if (got < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL))
			got = pread(f->fd, iov.iov_base, n, (off_t)f->off);
		if (got <= 0) {
			pad(s, f);
			continue;
		}
		out(s)->n += (size_t)got;
		f->off += (uint64_t)got;
		f->left -= (uint64_t)got;
	}
	return NEXT;
}

/* Headers are small: read at once. */
static struct slice
load_header(struct fetch *f, const struct imap_extent *e)
{
	char *p;
	ssize_t n;

	if (f->map)
		return slice((const char *)f->map + e->at, e->len);
	buf_clear(&f->header);
	p = buf_reserve(&f->header, (size_t)e->len + 1);
	n = p ? pread(f->fd, p, e->len, (off_t)e->at) : 0;
	f->header.n = n > 0 ? (size_t)n : 0;
	return buf_get(&f->header);
}

/* Cuts to the partial range and announces the literal.  RFC 3501 6.4.5, BODY[]<> */
static void
announce(struct session *s, const struct imap_section *sec, uint64_t *at, uint64_t *len)
{
	struct buf *b = out(s);

	if (sec->partial) {
		uint64_t skip = sec->start < *len ? sec->start : *len;

		*at += skip;
		*len -= skip;
		if (*len > sec->len)
			*len = sec->len;
	}
	buf_char(b, '{');
	buf_u64(b, *len);
	buf_lit(b, "}\r\n");
}

static void
begin_section(struct session *s, struct fetch *f, const struct imap_section *sec)
{
	struct imap_extent e;
	uint64_t at = 0, len;

	f->begun = true;
	f->left = 0;
	imap_section_write(out(s), sec);
	buf_char(out(s), ' ');
	if (!locate(f, sec, &e)) {
		buf_lit(out(s), "NIL");
		return;
	}
	if (sec->kind == IMAP_SECTION_FIELDS || sec->kind == IMAP_SECTION_FIELDS_NOT) {
		struct buf picked = { 0 };

		imap_header_pick(&picked, load_header(f, &e), sec->fields, sec->nfields,
		    sec->kind == IMAP_SECTION_FIELDS_NOT);
		len = picked.n;
		announce(s, sec, &at, &len);
		buf_add(out(s), picked.p + at, (size_t)len);
		buf_fini(&picked);
		return;
	}
	f->off = e.at;
	len = e.len;
	announce(s, sec, &f->off, &len);
	f->left = len;
}

enum next
body_more(struct session *s, struct fetch *f)
{
	for (; f->section < f->want.nsections; f->section++, f->begun = false) {
		enum next next;

		if (!f->begun)
			begin_section(s, f, &f->want.sections[f->section]);
		next = send_bytes(s, f);
		if (next != NEXT)
			return next;
		buf_char(out(s), ' ');
	}
	return NEXT;
}
