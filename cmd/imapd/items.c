/* imapd/items.c: the items of FETCH: a table of what each needs and how it is written.
 *
 * Called by fetch.c inside a snapshot, and by body.c outside.  Nothing can fail.  What must stay
 * true: the room that is reserved holds all items that write through `at`, since FETCH 1:* FLAGS
 * over 500,000 messages cannot afford a look at the buffer for each byte.  An item that comes with
 * a later RFC is a row here. */
#include "fetch.h"
#include "imap/structure.h"
#include "imap/write.h"

/* Room that the numbers and dates of one message can take, keywords apart, with all names. */
#define ITEMS_MAX 512

/* Literals of the table's writers. */
#define PUT(row, lit) (memcpy((row)->at, "" lit, sizeof(lit) - 1), (row)->at += sizeof(lit) - 1)

/* Between writers that use `at` and those that use the buffer. */
static struct buf *
row_to_buf(struct imap_fetch_row *row)
{
	struct buf *b = session_out(row->s);

	b->n = (size_t)(row->at - b->p);
	return b;
}

static void
row_from_buf(struct imap_fetch_row *row)
{
	row->at = buf_reserve(session_out(row->s), row->room);
}

static void
item_uid(struct imap_fetch_row *row)
{
	PUT(row, "UID ");
	row->at = imap_u32_at(row->at, row->rec->uid);
	PUT(row, " ");
}

static void
item_modseq(struct imap_fetch_row *row)
{
	PUT(row, "MODSEQ (");
	row->at = imap_u64_at(row->at, row->rec->modseq);
	PUT(row, ") ");
}

static void
item_internaldate(struct imap_fetch_row *row)
{
	PUT(row, "INTERNALDATE ");
	row->at = imap_date_time_at(row->at, row->rec->internaldate, row->rec->zone, &row->day);
	PUT(row, " ");
}

static void
item_emailid(struct imap_fetch_row *row)
{
	PUT(row, "EMAILID (");
	row->at = imap_objectid_at(row->at, SESSION_EMAILID, row->rec->emailid);
	PUT(row, ") ");
}

static void
item_threadid(struct imap_fetch_row *row)
{
	if (row->rec->threadid == 0) {
		PUT(row, "THREADID NIL ");
		return;
	}
	PUT(row, "THREADID (");
	row->at = imap_objectid_at(row->at, SESSION_THREADID, row->rec->threadid);
	PUT(row, ") ");
}

static void
item_savedate(struct imap_fetch_row *row)
{
	if (row->rec->savedate == 0) {
		PUT(row, "SAVEDATE NIL ");
		return;
	}
	PUT(row, "SAVEDATE ");
	row->at = imap_date_time_at(row->at, row->rec->savedate, 0, &row->saved);
	PUT(row, " ");
}

static void
item_size(struct imap_fetch_row *row)
{
	PUT(row, "RFC822.SIZE ");
	row->at = imap_u32_at(row->at, row->rec->size);
	PUT(row, " ");
}

static void
item_flags(struct imap_fetch_row *row)
{
	const struct store_record *r = row->rec;
	unsigned system = r->flags & STORE_FLAGS_ALL;
	struct buf *b;

	PUT(row, "FLAGS ");
	if (r->keywords) {
		b = row_to_buf(row);
		view_flags_write(b, row->s->view, r, row->mailbox);
		buf_char(b, ' ');
		row_from_buf(row);
		return;
	}
	if (view_is_recent(row->s->view, r->uid))
		system |= IMAP_RECENT;
	PUT(row, "(");
	row->at = imap_flags_at(row->at, system);
	PUT(row, ") ");
}

static void
item_envelope(struct imap_fetch_row *row)
{
	PUT(row, "ENVELOPE ");
	row->at = message_digest_envelope(row->digest, row->at);
	PUT(row, " ");
}

static void
item_body(struct imap_fetch_row *row)
{
	struct buf *b = row_to_buf(row);

	buf_lit(b, "BODY ");
	imap_body_from_structure(b, row->digest->structure);
	buf_char(b, ' ');
	row_from_buf(row);
}

static void
item_bodystructure(struct imap_fetch_row *row)
{
	PUT(row, "BODYSTRUCTURE ");
	memcpy(row->at, row->digest->structure.p, row->digest->structure.n);
	row->at += row->digest->structure.n;
	PUT(row, " ");
}

/* Not made: NIL; made, and there is no text: "".			RFC 8970 3.2, 4.1 */
static void
item_preview(struct imap_fetch_row *row)
{
	struct buf *b = row_to_buf(row);

	buf_lit(b, "PREVIEW ");
	imap_write_nstring(b, row->preview);
	buf_char(b, ' ');
	row_from_buf(row);
}

#define RFC3501 "RFC 3501 6.4.5"
#define CACHE   IMAP_NEED_CACHE
/* clang-format off */
const struct imap_fetch_item fetch_items[] = {
	/*                       name             parse               need   write              source */
	[FETCH_UID]           = { "UID",           NULL,               0,     item_uid,           RFC3501 },
	[FETCH_MODSEQ]        = { "MODSEQ",        NULL,               0,     item_modseq,        "RFC 7162 3.1.4" },
	[FETCH_EMAILID]       = { "EMAILID",       NULL,               0,     item_emailid,       "RFC 8474 5.1" },
	[FETCH_THREADID]      = { "THREADID",      NULL,               0,     item_threadid,      "RFC 8474 5.2" },
	[FETCH_INTERNALDATE]  = { "INTERNALDATE",  NULL,               0,     item_internaldate,  RFC3501 },
	[FETCH_SAVEDATE]      = { "SAVEDATE",      NULL,               0,     item_savedate,      "RFC 8514 4.2" },
	[FETCH_SIZE]          = { "RFC822.SIZE",   NULL,               0,     item_size,          RFC3501 },
	[FETCH_FLAGS]         = { "FLAGS",         NULL,               0,     item_flags,         RFC3501 },
	[FETCH_ENVELOPE]      = { "ENVELOPE",      NULL,               CACHE, item_envelope,      RFC3501 },
	[FETCH_BODY]          = { "BODY",          NULL,               CACHE, item_body,          RFC3501 },
	[FETCH_BODYSTRUCTURE] = { "BODYSTRUCTURE", NULL,               CACHE, item_bodystructure, RFC3501 },
	[FETCH_PREVIEW]       = { "PREVIEW",       imap_fetch_preview, IMAP_NEED_BODY, item_preview, "RFC 8970" },
	[FETCH_SECTIONS]      = { "BODY[",         imap_fetch_section, 0,     NULL,               RFC3501 },
	                        { "BODY.PEEK[",    imap_fetch_section, 0,     NULL,               RFC3501 },
	                        { "BINARY[",       imap_fetch_binary,  0,     NULL,               "RFC 3516 4.2" },
	                        { "BINARY.PEEK[",  imap_fetch_binary,  0,     NULL,               "RFC 3516 4.2" },
	                        { "BINARY.SIZE[",  imap_fetch_binary,  0,     NULL,               "RFC 3516 4.3" },
	                        { "RFC822",        imap_fetch_rfc822,  0,     NULL,               RFC3501 },
	                        { "RFC822.HEADER", imap_fetch_rfc822,  0,     NULL,               RFC3501 },
	                        { "RFC822.TEXT",   imap_fetch_rfc822,  0,     NULL,               RFC3501 },
};
/* clang-format on */
const size_t fetch_nitems = NELEM(fetch_items);

void
fetch_write_items(struct fetch *f, struct imap_fetch_row *row)
{
	uint64_t items = f->want.items;

	if (f->marked.n > 0 && imap_set_has(&f->marked, row->rec->uid))
		items |= IMAP_FETCH_BIT(FETCH_FLAGS) |
		    (row->s->condstore ? IMAP_FETCH_BIT(FETCH_MODSEQ) : 0);
	row->room = ITEMS_MAX;
	if (items & IMAP_FETCH_BIT(FETCH_ENVELOPE))
		row->room += message_digest_envelope_room(row->digest);
	if (items & IMAP_FETCH_BIT(FETCH_BODYSTRUCTURE))
		row->room += row->digest->structure.n;
	row_from_buf(row);
	PUT(row, "* ");
	row->at = imap_u32_at(row->at, row->seq);
	row->at = fetch_verb_at(row->at, row->s);
	for (; items != 0; items &= items - 1)
		fetch_items[__builtin_ctzll(items)].write(row);
	row_to_buf(row);
}

void
fetch_close_items(struct session *s, uint32_t uid)
{
	struct buf *b = session_out(s);

	if (b->n > 0 && b->p[b->n - 1] == ' ') {
		b->n--;
	} else { /* all was left out, and nothing is no answer */
		buf_lit(b, "UID ");
		buf_u64(b, uid);
	}
	buf_lit(b, ")\r\n");
}

/* ---- rows one after the other ------------------------------------------------------------------ */

/* A whole mailbox is asked for its flags whenever a client comes.  Of such rows the numbers are those
 * of the row before counted up, and what stands behind them is one of few texts. */
#define HEAD_MOST   40 /* of what ends with the numbers */
#define MODSEQ_MOST (sizeof("MODSEQ () ") + IMAP_U64_MAX)
_Static_assert(sizeof("* 4294967295 UIDFETCH (UID 4294967295 ") <= HEAD_MOST, "a head fits");
_Static_assert(sizeof("FLAGS ())\r\n") + IMAP_SYSTEM_FLAGS_MAX <= FETCH_TAIL_MOST, "a tail fits");

bool
fetch_plain(const struct fetch *f)
{
	const uint64_t items =
	    IMAP_FETCH_BIT(FETCH_UID) | IMAP_FETCH_BIT(FETCH_MODSEQ) | IMAP_FETCH_BIT(FETCH_FLAGS);

	return f->want.nsections == 0 && !(f->want.items & ~items) && f->marked.n == 0 &&
	    !f->want.changedsince;
}

/* The end of a row whose record has no keywords. */
static size_t
tail_of(const struct fetch *f, const struct view *v, const struct store_record *r,
    struct fetch_tails *tails)
{
	unsigned system = r->flags & STORE_FLAGS_ALL;
	size_t i = system;

	if (v->nrecents > 0 && view_is_recent(v, r->uid)) {
		system |= IMAP_RECENT;
		i += STORE_FLAGS_ALL + 1;
	}
	if (tails->n[i] == 0) {
		char *p = tails->text[i], *e = p;

		if (f->want.items & IMAP_FETCH_BIT(FETCH_FLAGS)) {
			memcpy(e, "FLAGS (", 7);
			e = imap_flags_at(e + 7, system);
			*e++ = ')';
		}
		memcpy(e, ")\r\n", 3);
		tails->n[i] = (uint8_t)(e + 3 - p);
	}
	return i;
}

size_t
fetch_write_next(const struct fetch *f, struct imap_fetch_row *row, struct fetch_tails *tails,
    size_t n, uint32_t last)
{
	const bool modseq = f->want.items & IMAP_FETCH_BIT(FETCH_MODSEQ);
	const size_t blank = f->want.items & IMAP_FETCH_BIT(FETCH_FLAGS) ? 0 : 1;
	struct buf *b = session_out(row->s);
	const struct store_record *r = row->rec + 1, *end = r + n;
	size_t seq_end, uid = 0, uid_end = 0, head_n;
	char head[HEAD_MOST], *p, *e;

	if (n == 0 || r->uid != row->rec->uid + 1)
		return 0;
	p = buf_reserve(b, n * (HEAD_MOST + MODSEQ_MOST + FETCH_TAIL_MOST));
	if (!p)
		return 0;
	memcpy(head, "* ", 2);
	e = imap_u32_at(head + 2, row->seq);
	seq_end = (size_t)(e - head);
	e = fetch_verb_at(e, row->s);
	if (f->want.items & IMAP_FETCH_BIT(FETCH_UID)) {
		memcpy(e, "UID ", 4);
		e += 4;
		uid = (size_t)(e - head);
		e = imap_u32_at(e, row->rec->uid);
		uid_end = (size_t)(e - head);
		*e++ = ' ';
	}
	head_n = (size_t)(e - head);
	for (; r < end && r->uid == r[-1].uid + 1 && r->uid <= last && !r->keywords; r++) {
		size_t tail = tail_of(f, row->s->view, r, tails);

		if (!imap_count_up(head + 2, head + seq_end) ||
		    (uid && !imap_count_up(head + uid, head + uid_end)))
			break;
		memcpy(p, head, HEAD_MOST);
		p += head_n;
		if (modseq) {
			memcpy(p, "MODSEQ (", 8);
			p = imap_u64_at(p + 8, r->modseq);
			memcpy(p, ") ", 2);
			p += 2;
		}
		p -= blank;
		memcpy(p, tails->text[tail], FETCH_TAIL_MOST);
		p += tails->n[tail];
	}
	b->n = (size_t)(p - b->p);
	n = (size_t)(r - row->rec) - 1;
	row->rec += n;
	row->seq += (uint32_t)n;
	return n;
}

bool
fetch_digest_has(const struct fetch *f, const struct message_digest *d)
{
	if (f->want.items & IMAP_FETCH_BIT(FETCH_PREVIEW))
		return false;
	if (f->want.items & IMAP_FETCH_BIT(FETCH_ENVELOPE) && !(d->has & MESSAGE_HAS_ENVELOPE))
		return false;
	return !(f->want.items &
		   (IMAP_FETCH_BIT(FETCH_BODY) | IMAP_FETCH_BIT(FETCH_BODYSTRUCTURE))) ||
	    d->has & MESSAGE_HAS_STRUCTURE;
}
