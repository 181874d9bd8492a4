/* imapd/body.c: the sections of FETCH as "BODY[...]<...> {n}": RFC 3501 6.4.5; decoded parts are
 * binary.c's.
 *
 * Called by fetch.c for each message whose sections the index cannot write at once.  A cursor: it
 * stops when the output is full, when its slice of time is over, and when bytes would have to come
 * from the disk, which is the work pool's.  Reading can fail: before a literal is announced the
 * section is left out and the command ends in NO; within one the connection ends, since bytes that
 * are made up would be told as the message.
 * Cost: of each header its lines plus the names asked for, once, however many sections ask; then
 * what is given out.  What must stay true: memory does not grow with the number of sections. */
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "fetch.h"

#define CHUNK       (64 * 1024)
#define READ_AHEAD  (256 * 1024) /* of one read on the pool */
#define HEADER_READ (64 * 1024)  /* longer headers are mapped */

/* ---- before the first message ----------------------------------------------------------------- */

static bool
is_fields(const struct imap_section *sec)
{
	return sec->kind == IMAP_SECTION_FIELDS || sec->kind == IMAP_SECTION_FIELDS_NOT;
}

/* Does a digest's header answer it? */
static bool
is_kept(const struct imap_section *sec)
{
	if (sec->kind != IMAP_SECTION_FIELDS || sec->npath > 0)
		return false;
	for (size_t i = 0; i < sec->nfields; i++)
		if (!message_digest_keeps(sec->fields[i]))
			return false;
	return true;
}

static int
section_rank(const struct imap_section *sec)
{
	return is_fields(sec) ? 0 : !binary_is(sec) ? 1 : sec->npath > 0 ? 2 : 3;
}

static int
section_cmp_path(const struct imap_section *x, const struct imap_section *y)
{
	for (size_t i = 0; i < x->npath && i < y->npath; i++)
		if (x->path[i] != y->path[i])
			return x->path[i] < y->path[i] ? -1 : 1;
	return x->npath < y->npath ? -1 : x->npath > y->npath;
}

/* Sections of one header follow each other, so that it is scanned once for all of them, and those of
 * one decoded part, by where they begin; parts as they lie in the message.  The order of items is free. */
static int
section_cmp(const void *a, const void *b)
{
	const struct imap_section *x = a, *y = b;
	int order = section_rank(x) - section_rank(y);

	if (order != 0 || (!is_fields(x) && !binary_is(x)))
		return order;
	order = section_cmp_path(x, y);
	if (order != 0 || is_fields(x))
		return order;
	if (x->kind != y->kind)
		return x->kind == IMAP_SECTION_BINARY_SIZE ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* A size that is asked for again is told once; they stand together. */
static void
section_drop_sizes(struct imap_fetch *want)
{
	size_t n = 0;

	for (size_t i = 0; i < want->nsections; i++) {
		const struct imap_section *sec = &want->sections[i];

		if (n > 0 && sec->kind == IMAP_SECTION_BINARY_SIZE &&
		    want->sections[n - 1].kind == IMAP_SECTION_BINARY_SIZE &&
		    section_cmp_path(&want->sections[n - 1], sec) == 0)
			continue;
		want->sections[n++] = *sec;
	}
	want->nsections = n;
}

void
body_sections(struct session *s, struct fetch *f)
{
	bool kept = true, sorts = false;

	f->digest_fields = f->want.nsections > 0;
	for (size_t i = 0; i < f->want.nsections; i++) {
		struct imap_section *sec = &f->want.sections[i];

		f->digest_fields = f->digest_fields && is_kept(sec);
		sorts = sorts || binary_is(sec);
		if (!is_fields(sec))
			continue;
		kept = kept && (sec->npath > 0 || is_kept(sec));
		sorts = sorts || sec->npath > 0;
		sec->selection = message_fields_add(&f->fields, sec->fields, sec->nfields,
		    sec->kind == IMAP_SECTION_FIELDS_NOT, &s->imap.arena);
	}
	/* One that needs the file's header has it scanned, and the others with it. */
	for (size_t i = 0; i < f->want.nsections; i++)
		f->want.sections[i].kept = kept && is_kept(&f->want.sections[i]);
	if (!sorts)
		return;
	qsort(f->want.sections, f->want.nsections, sizeof(*f->want.sections), section_cmp);
	section_drop_sizes(&f->want);
}

/* ---- open and close ------------------------------------------------------------------------ */

void
body_close(struct fetch *f)
{
	binary_close(f);
	message_close(&f->message);
	buf_clear(&f->header);
	f->open = f->items_written = false;
}

/* What the digest cannot tell of this message.  `large`: it would be work for the pool. */
static unsigned
body_wants(const struct fetch *f, bool large)
{
	const struct message_digest *d = &f->message.digest;
	uint64_t items = f->want.items;
	unsigned want = d->has == 0 ? MESSAGE_WANT_TREE : 0;

	if (items & IMAP_FETCH_BIT(FETCH_ENVELOPE) && !(d->has & MESSAGE_HAS_ENVELOPE))
		want |= MESSAGE_WANT_ENVELOPE;
	if (items & (IMAP_FETCH_BIT(FETCH_BODY) | IMAP_FETCH_BIT(FETCH_BODYSTRUCTURE)) &&
	    !(d->has & MESSAGE_HAS_STRUCTURE))
		want |= MESSAGE_WANT_STRUCTURE;
	if (items & IMAP_FETCH_BIT(FETCH_PREVIEW) && !(f->want.lazy && large))
		want |= MESSAGE_WANT_PREVIEW;
	for (size_t i = 0; i < f->want.nsections; i++)
		if (f->want.sections[i].npath > 0 &&
		    (binary_is(&f->want.sections[i]) || !(d->has & MESSAGE_HAS_PARTS)))
			want |= MESSAGE_WANT_TREE;
	return want;
}

/* All that FETCH wants beside the sections. */
static void
body_write_items(struct session *s, struct fetch *f)
{
	struct store_mailbox m = { 0 };
	struct imap_fetch_row row = { .s = s,
		.rec = &f->rec,
		.seq = s->imap.uidonly ? f->rec.uid : view_seq(s->view, f->rec.uid),
		.digest = &f->message.digest,
		.preview = f->message.preview,
		.mailbox = &m };

	f->items_written = true;
	if (!f->rec.keywords || session_snapshot(s) < 0) {
		fetch_write_items(f, &row);
		return;
	}
	if (store_get_mailbox(session_reader(s), s->view->mailbox, &m) < 0)
		m.nkeywords = 0;
	fetch_write_items(f, &row);
	store_end(session_reader(s));
}

static void
body_log(const struct fetch *f, int error)
{
	log_event(LOG_ERROR, "message_missing", "mailbox=%llu uid=%u error=%s",
	    (unsigned long long)f->mailbox, f->rec.uid, log_str(strerror(-error)));
}

/* The message comes back from where it was parsed, or read.  What could not be read must not be looked
 * at in the map either: that kills. */
static void
body_take_back(struct fetch *f, struct message_parse *p)
{
	f->message = p->message;
	p->message = (struct message){ .fd = -1 };
	if (f->items_written) {
		f->warm_error = p->error;
	} else if (p->error < 0) {
		body_log(f, p->error);
		f->error = p->error;
		body_close(f);
	}
	message_parse_free(&p);
}

static void
body_parsed(void *arg)
{
	struct session *s = arg;
	struct fetch *f = s->imap.data;
	struct message_parse *p = f->parse;

	log_context(s->sid);
	f->parse = NULL;
	body_take_back(f, p);
	imap_server_resume(&s->imap, IMAP_PULL);
}

/* Hands the message to the pool; the cursor goes on by itself. */
static enum imap_next
body_hand_over(struct session *s, struct fetch *f, struct message_parse *p)
{
	f->parse = p;
	message_parse_start(p, imapd.loop, &s->imap.op, s->user->id, body_parsed, s);
	return IMAP_WAIT;
}

static struct message_parse *
body_give(struct fetch *f, unsigned want)
{
	struct message_parse *p = message_parse_new(want);

	p->message = f->message;
	f->message = (struct message){ .fd = -1 };
	return p;
}

enum imap_next
body_open(struct session *s, struct fetch *f, struct slice record)
{
	struct message_parse *p;
	unsigned want;
	bool large;
	int rc;

	message_init(&f->message, record);
	f->open = true;
	f->mailbox = s->view->mailbox;
	f->section = 0;
	f->stage = SECTION_BEGINS;
	f->scanned = (struct message_extent){ 0, 0 };
	f->warm_from = f->warm_to = 0;
	f->warm_error = 0;
	if (f->digest_fields && f->message.digest.has & MESSAGE_HAS_HEADER &&
	    fetch_digest_has(f, &f->message.digest)) {
		store_end(session_reader(s));
		return IMAP_NEXT;
	}
	/* This ends the snapshot. */
	rc = message_open(&f->message, session_reader(s), s->view->mailbox, f->rec.uid);
	if (rc < 0) {
		if (rc == -ENOENT)
			f->missing = true;
		else
			f->error = rc;
		body_close(f);
		return IMAP_CLOSE;
	}
	large =
	    f->message.size > MESSAGE_LARGE || !message_in_memory(&f->message, 0, f->message.size);
	want = body_wants(f, large);
	if (want == 0)
		return IMAP_NEXT;
	p = body_give(f, want);
	if (large)
		return body_hand_over(s, f, p);
	message_parse_now(p);
	body_take_back(f, p);
	return f->open ? IMAP_NEXT : IMAP_CLOSE;
}

/* ---- one section ------------------------------------------------------------------------------ */

/* Bytes at..to are read on the pool first when they are not in memory.  Once: they may be gone
 * again, and then are waited for. */
bool
body_is_cold(struct fetch *f, uint64_t at, uint64_t len)
{
	return (at < f->warm_from || f->warm_to < at + len) &&
	    !message_in_memory(&f->message, at, len);
}

enum imap_next
body_warm(struct session *s, struct fetch *f, uint64_t at, uint64_t len)
{
	struct message_parse *p = body_give(f, MESSAGE_WANT_BYTES);

	p->from = f->warm_from = at;
	p->to = f->warm_to = at + len;
	return body_hand_over(s, f, p);
}

/* A file's header in memory.  0 or -errno. */
static int
load_header(struct fetch *f, const struct message_extent *e, struct slice *header)
{
	ssize_t n;
	char *p;
	int rc;

	if (!f->message.map.p && e->len <= HEADER_READ) {
		buf_clear(&f->header);
		p = buf_reserve(&f->header, (size_t)e->len + 1);
		n = pread(f->message.fd, p, e->len, (off_t)e->at);
		if (n != (ssize_t)e->len)
			return n < 0 ? -errno : -EIO;
		f->header.n = (size_t)n;
		*header = buf_get(&f->header);
		return 0;
	}
	rc = message_map(&f->message);
	if (rc == 0)
		*header = slice_sub(message_bytes(&f->message), e->at, e->len);
	return rc;
}

/* RFC 3501 6.4.5, BODY[]<>; with NUL in it, literal8 (RFC 3516 4.2). */
void
body_announce(struct session *s, struct fetch *f, const struct imap_section *sec, uint64_t len,
    bool nul)
{
	struct buf *b = session_out(s);
	uint64_t skip = sec->partial ? sec->start < len ? sec->start : len : 0;

	len -= skip;
	if (sec->partial && len > sec->len)
		len = sec->len;
	f->skip = f->picks ? skip : 0;
	f->off += skip;
	f->left = len;
	f->stage = SECTION_SENDS;
	imap_section_write(b, sec);
	buf_str(b, nul ? " ~{" : " {");
	buf_u64(b, len);
	buf_lit(b, "}\r\n");
}

void
body_nil(struct session *s, struct fetch *f, const struct imap_section *sec)
{
	imap_section_write(session_out(s), sec);
	buf_lit(session_out(s), " NIL");
	f->left = 0;
	f->stage = SECTION_SENDS;
}

void
body_skip_section(struct fetch *f)
{
	f->section++;
	f->stage = SECTION_BEGINS;
}

static void
section_fail(struct fetch *f, int error)
{
	body_log(f, error);
	f->error = error;
	body_skip_section(f);
}

/* HEADER.FIELDS: the header is found, and scanned unless the last section was of it too. */
static enum imap_next
fields_begin(struct session *s, struct fetch *f, const struct imap_section *sec)
{
	const struct message_extent kept = { UINT32_MAX,
		1 }; /* the digest's: no place in the file */
	struct message_extent e = kept;
	struct slice header = f->message.digest.header;
	int rc;

	if (!(sec->kept && f->message.digest.has & MESSAGE_HAS_HEADER)) {
		rc = message_section(&f->message, sec->path, sec->npath, MIME_HEADER, &e);
		if (rc < 0) {
			body_nil(s, f, sec);
			return IMAP_NEXT;
		}
		if (body_is_cold(f, e.at, e.len))
			return body_warm(s, f, e.at, e.len);
	}
	f->stage = SECTION_SCANS;
	if (f->scanned.at == e.at && f->scanned.len == e.len && e.len > 0)
		return IMAP_NEXT; /* what is scanned is not scanned again */
	if (e.at != kept.at && (rc = load_header(f, &e, &header)) < 0) {
		section_fail(f, rc);
		return IMAP_NEXT;
	}
	f->scanned = e;
	message_pick_start(&f->picked, &f->fields, header);
	return IMAP_NEXT;
}

static enum imap_next
section_begin(struct session *s, struct fetch *f, const struct imap_section *sec)
{
	static const enum mime_section kinds[] = {
		[IMAP_SECTION_ALL] = MIME_BODY,
		[IMAP_SECTION_HEADER] = MIME_HEADER,
		[IMAP_SECTION_TEXT] = MIME_TEXT,
		[IMAP_SECTION_MIME] = MIME_MIME,
		[IMAP_SECTION_BINARY] = MIME_BODY,
	};
	struct message_extent e;
	bool all = sec->npath == 0 && (sec->kind == IMAP_SECTION_ALL || binary_is(sec));

	f->picks = is_fields(sec);
	if (f->picks)
		return fields_begin(s, f, sec);
	if (binary_is(sec) && sec->npath > 0)
		return binary_begin(s, f, sec);
	if (!all && message_section(&f->message, sec->path, sec->npath, kinds[sec->kind], &e) < 0) {
		body_nil(s, f, sec);
		return IMAP_NEXT;
	}
	if (sec->kind == IMAP_SECTION_BINARY_SIZE) {
		binary_tell_size(s, f, sec, f->message.size);
		return IMAP_NEXT;
	}
	f->off = all ? 0 : e.at;
	body_announce(s, f, sec, all ? f->message.size : e.len, false);
	return IMAP_NEXT;
}

/* ---- bytes ---------------------------------------------------------------------------------------- */

static enum imap_next
section_broken(struct session *s, struct fetch *f)
{
	log_event(LOG_ERROR, "message_short", "sid=%s uid=%u missing=%llu", s->sid, f->rec.uid,
	    (unsigned long long)f->left);
	return IMAP_CLOSE;
}

/* The next bytes of a section of the file. */
static enum imap_next
section_send(struct session *s, struct fetch *f)
{
	size_t n = f->left < CHUNK ? (size_t)f->left : CHUNK;
	struct iovec iov = { .iov_base = buf_reserve(session_out(s), n), .iov_len = n };
	ssize_t got;

	if (!iov.iov_base)
		return IMAP_CLOSE;
	got = preadv2(f->message.fd, &iov, 1, (off_t)f->off, RWF_NOWAIT);
	if (got < 0 && errno == EAGAIN && (f->off < f->warm_from || f->warm_to < f->off + n))
		return body_warm(s, f, f->off, f->left < READ_AHEAD ? f->left : READ_AHEAD);
	if (got < 0 && errno != EIO)
		got = pread(f->message.fd, iov.iov_base, n, (off_t)f->off);
	if (got <= 0)
		return section_broken(s, f);
	session_out(s)->n += (size_t)got;
	f->off += (uint64_t)got;
	f->left -= (uint64_t)got;
	return IMAP_NEXT;
}

/* The next bytes of a selection, or those before it that a partial fetch leaves out. */
static void
fields_send(struct session *s, struct fetch *f)
{
	if (f->skip > 0) {
		uint64_t n = f->skip < CHUNK ? f->skip : CHUNK;

		message_pick_skip(&f->picked, n);
		f->skip -= n;
		return;
	}
	f->left -= message_pick_read(&f->picked, session_out(s),
	    f->left < CHUNK ? (size_t)f->left : CHUNK);
}

/* The pool could not read what the section needs: it is left out, unless its literal is announced. */
static enum imap_next
section_unread(struct session *s, struct fetch *f)
{
	const int error = f->warm_error;

	f->warm_error = 0;
	f->warm_from = f->warm_to = 0;
	if (f->stage == SECTION_DECODES || f->stage == SECTION_SENDS)
		return section_broken(s, f);
	section_fail(f, error);
	return IMAP_NEXT;
}

static enum imap_next
section_step(struct session *s, struct fetch *f)
{
	const struct imap_section *sec = &f->want.sections[f->section];

	if (message_is_cut(&f->message))
		f->warm_error = -EIO;
	if (f->warm_error < 0)
		return section_unread(s, f);
	switch (f->stage) {
	case SECTION_BEGINS: return section_begin(s, f, sec);
	case SECTION_SCANS:
		if (!message_pick_scan(&f->picked))
			body_announce(s, f, sec, message_pick_open(&f->picked, sec->selection),
			    false);
		return IMAP_NEXT;
	case SECTION_COUNTS:
	case SECTION_DECODES: return binary_step(s, f, sec);
	case SECTION_SENDS:
		if (f->left > 0 && f->picks) {
			fields_send(s, f);
			return IMAP_NEXT;
		}
		if (f->left > 0)
			return section_send(s, f);
		buf_char(session_out(s), ' ');
		f->section++;
		f->stage = SECTION_BEGINS;
		return IMAP_NEXT;
	}
	return IMAP_CLOSE;
}

enum imap_next
body_more(struct session *s, struct fetch *f)
{
	if (!f->items_written)
		body_write_items(s, f);
	for (unsigned n = 0; f->section < f->want.nsections; n++) {
		bool decodes = f->stage == SECTION_COUNTS || f->stage == SECTION_DECODES;
		enum imap_next next;

		if (session_out(s)->n >= STREAM_HIGH)
			return IMAP_FULL;
		if (n % 16 == 15 && clock_mono_us() > f->ends_at)
			return IMAP_YIELD;
		next = section_step(s, f);
		if (next != IMAP_NEXT)
			return next;
		if (decodes && clock_mono_us() > f->ends_at)
			return IMAP_YIELD; /* a piece may take a ms */
	}
	return IMAP_NEXT;
}

void
body_write_kept(struct session *s, struct fetch *f, struct slice header)
{
	message_pick_start(&f->picked, &f->fields, header);
	while (message_pick_scan(&f->picked))
		;
	f->picks = true;
	for (size_t i = 0; i < f->want.nsections; i++) {
		const struct imap_section *sec = &f->want.sections[i];

		body_announce(s, f, sec, message_pick_open(&f->picked, sec->selection), false);
		while (f->left > 0)
			fields_send(s, f);
		buf_char(session_out(s), ' ');
	}
}
