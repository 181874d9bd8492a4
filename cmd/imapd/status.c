/* imapd/status.c: STATUS, RFC 3501 6.3.10, with SIZE (RFC 8438), HIGHESTMODSEQ (RFC 7162
 * 3.1.7) and APPENDLIMIT (RFC 7889 4). */
#include <errno.h>

#include "imap/list.h"
#include "imap/write.h"
#include "session.h"

bool
status_write(struct session *s, struct slice name, uint64_t mailbox, unsigned bits)
{
	struct store_mailbox m;
	struct buf *b = out(s);
	bool first = true;

	if (store_get_mailbox(reader(s), mailbox, &m) < 0 || m.attrs & STORE_NOSELECT)
		return false;
	buf_lit(b, "* STATUS ");
	imap_write_mailbox(b, name);
	buf_lit(b, " (");
	for (unsigned i = 0; i < IMAP_STATUS_ITEMS; i++) {
		uint64_t v = 0;

		if (!(bits >> i & 1))
			continue;
		switch (1u << i) {
		case IMAP_STATUS_MESSAGES: v = m.exists; break;
		case IMAP_STATUS_RECENT: v = m.recent; break;
		case IMAP_STATUS_UIDNEXT: v = m.uidnext; break;
		case IMAP_STATUS_UIDVALIDITY: v = m.uidvalidity; break;
		case IMAP_STATUS_UNSEEN: v = m.unseen; break;
		case IMAP_STATUS_HIGHESTMODSEQ: v = m.highestmodseq; break;
		case IMAP_STATUS_APPENDLIMIT: v = (uint64_t)conf.append; break;
		case IMAP_STATUS_SIZE: v = m.bytes; break;
		default: break;
		}
		if (!first)
			buf_char(b, ' ');
		first = false;
		buf_str(b, imap_status_names[i]);
		buf_char(b, ' ');
		buf_u64(b, v);
	}
	buf_lit(b, ")\r\n");
	return true;
}

enum next
cmd_status(struct session *s, struct imap_in *in)
{
	char canonical[STORE_NAME_MAX + 1];
	bool bad_name = false, found;
	struct slice name;
	unsigned bits;
	uint64_t id;

	if (!imap_space(in) || !imap_mailbox(in, &name, &bad_name) || !imap_space(in) ||
	    !imap_status_parse(in, &bits) || !imap_end(in))
		return bad(s, in);
	if (bits & IMAP_STATUS_HIGHESTMODSEQ)
		s->condstore = true; /* RFC 7162 3.1: an enabling command */
	if (bad_name || store_name_check(name, canonical) < 0)
		return finish(s, "NO", "[CANNOT] Not a mailbox name");
	if (store_begin(reader(s)) < 0)
		return finish(s, "NO", "[UNAVAILABLE] The mail store cannot be read");
	found = store_find_mailbox(reader(s), s->user->id, slice_str(canonical), &id) == 0 &&
	    status_write(s, slice_str(canonical), id, bits);
	store_end(reader(s));
	return found ? finish(s, "OK", "STATUS completed") :
		       finish(s, "NO", "[NONEXISTENT] No such mailbox");
}
