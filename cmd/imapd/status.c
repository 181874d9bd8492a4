/* imapd/status.c: STATUS, RFC 3501 6.3.10, also as a part of LIST (RFC 5819).
 *
 * Owns: the table of items.  Called by the command and by list.c, inside a snapshot.  Can fail:
 * the mailbox may be gone or damaged, which are two answers.  Must stay true: every value comes
 * from the mailbox's record, none by a walk over its messages, since clients ask it of all
 * folders at once; but for DELETED-STORAGE, which nobody asks without need.  An item of a later RFC is a row here. */
#include <errno.h>

#include "imap/list.h"
#include "imap/write.h"
#include "place.h"

struct imap_status_row {
	struct store_mailbox m;
	struct store_view *v;
};

static void
status_messages(struct buf *b, const struct imap_status_row *r)
{
	buf_u64(b, r->m.exists);
}

static void
status_recent(struct buf *b, const struct imap_status_row *r)
{
	buf_u64(b, r->m.recent);
}

static void
status_uidnext(struct buf *b, const struct imap_status_row *r)
{
	buf_u64(b, r->m.uidnext);
}

static void
status_uidvalidity(struct buf *b, const struct imap_status_row *r)
{
	buf_u64(b, r->m.uidvalidity);
}

static void
status_unseen(struct buf *b, const struct imap_status_row *r)
{
	buf_u64(b, store_unseen(r->v, &r->m));
}

static void
status_highestmodseq(struct buf *b, const struct imap_status_row *r)
{
	buf_u64(b, r->m.highestmodseq);
}

static void
status_appendlimit(struct buf *b, const struct imap_status_row *r)
{
	(void)r;
	buf_u64(b, (uint64_t)conf.append);
}

static void
status_size(struct buf *b, const struct imap_status_row *r)
{
	buf_u64(b, r->m.bytes);
}

static void
status_mailboxid(struct buf *b, const struct imap_status_row *r)
{
	session_write_mailboxid(b, &r->m);
}

static void
status_deleted(struct buf *b, const struct imap_status_row *r)
{
	buf_u64(b, r->m.deleted);
}

/* Bytes that an EXPUNGE would give back.  The one value that no record has: it is a walk over the
 * index, to the last of the messages that are deleted, and nothing where none is. */
static void
status_deleted_storage(struct buf *b, const struct imap_status_row *r)
{
	uint32_t left = r->m.deleted;
	struct store_blocks blocks;
	const struct store_record *rec;
	uint64_t bytes = 0;
	size_t n;

	store_blocks_init(&blocks, r->v, r->m.id, 1, UINT32_MAX);
	while (left > 0 && (rec = store_blocks_next(&blocks, &n)))
		for (size_t i = 0; i < n; i++)
			if (rec[i].flags & STORE_DELETED) {
				bytes += rec[i].size;
				left -= left > 0;
			}
	buf_u64(b, bytes);
}

/* In the order of the answer. */
const struct imap_status_item status_items[] = {
	[STATUS_MESSAGES] = { "MESSAGES", status_messages, false, "RFC 3501 6.3.10" },
	[STATUS_RECENT] = { "RECENT", status_recent, false, "RFC 3501 6.3.10" },
	[STATUS_UIDNEXT] = { "UIDNEXT", status_uidnext, false, "RFC 3501 6.3.10" },
	[STATUS_UIDVALIDITY] = { "UIDVALIDITY", status_uidvalidity, false, "RFC 3501 6.3.10" },
	[STATUS_UNSEEN] = { "UNSEEN", status_unseen, false, "RFC 3501 6.3.10" },
	[STATUS_HIGHESTMODSEQ] = { "HIGHESTMODSEQ", status_highestmodseq, true, "RFC 7162 3.1.7" },
	{ "APPENDLIMIT", status_appendlimit, false, "RFC 7889 4" },
	{ "SIZE", status_size, false, "RFC 8438" },
	{ "MAILBOXID", status_mailboxid, false, "RFC 8474 4.3" },
	{ "DELETED", status_deleted, false, "RFC 9208 4.1.4" },
	{ "DELETED-STORAGE", status_deleted_storage, false, "RFC 9208 4.1.4" },
};
const size_t status_nitems = NELEM(status_items);

void
status_asked(struct session *s, unsigned items)
{
	for (size_t i = 0; i < status_nitems; i++)
		if (items & IMAP_STATUS_BIT(i) && status_items[i].condstore)
			session_condstore(s);
}

int
status_write(struct session *s, struct store_view *v, struct slice name, uint64_t mailbox,
    unsigned items)
{
	struct imap_status_row row = { .v = v };
	struct buf *b = session_out(s);
	bool first = true;
	int r = store_get_mailbox(v, mailbox, &row.m);

	if (r < 0)
		return r;
	if (row.m.attrs & STORE_NOSELECT)
		return -ENOENT;
	buf_lit(b, "* STATUS ");
	session_write_mailbox(s, name);
	buf_lit(b, " (");
	for (size_t i = 0; i < status_nitems; i++) {
		if (!(items & IMAP_STATUS_BIT(i)))
			continue;
		if (!first)
			buf_char(b, ' ');
		first = false;
		buf_str(b, status_items[i].name);
		buf_char(b, ' ');
		status_items[i].write(b, &row);
	}
	buf_lit(b, ")\r\n");
	return 0;
}

enum imap_next
cmd_status(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	bool bad_name = false;
	struct store_mailbox m;
	struct slice name;
	struct place p;
	unsigned items;
	int r;

	if (!imap_space(in) || !imap_mailbox(in, &name, &bad_name) || !imap_space(in) ||
	    !imap_status_parse(in, status_items, status_nitems, &items) || !imap_end(in))
		return imap_server_syntax(imap, in);
	status_asked(s, items);
	if (bad_name || place_parse(s, name, &p) < 0)
		return imap_server_no(imap, "CANNOT", "Not a mailbox name");
	r = place_open(&p, STORE_R_READ, false, &m);
	if (r == 0) {
		r = status_write(s, p.home->view, p.name, p.mailbox, items);
		store_end(p.home->view);
	}
	if (r < 0)
		return reply_no_mailbox(imap, r, "NONEXISTENT");
	return imap_server_finish(imap, "OK", "STATUS completed");
}
