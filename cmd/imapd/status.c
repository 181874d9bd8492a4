/* imapd/status.c: STATUS, RFC 3501 6.3.10, with SIZE (RFC 8438), HIGHESTMODSEQ (RFC 7162
 * 3.1.7) and APPENDLIMIT (RFC 7889 4). */
#include <errno.h>

#include "imap/write.h"
#include "session.h"

static const struct {
	const char *name;
	unsigned bit;
} items[] = {
	{ "MESSAGES", STATUS_MESSAGES }, { "RECENT", STATUS_RECENT }, { "UIDNEXT", STATUS_UIDNEXT },
	{ "UIDVALIDITY", STATUS_UIDVALIDITY }, { "UNSEEN", STATUS_UNSEEN },
	{ "HIGHESTMODSEQ", STATUS_HIGHESTMODSEQ }, { "APPENDLIMIT", STATUS_APPENDLIMIT },
	{ "SIZE", STATUS_SIZE },
};

bool
status_items_parse(struct imap_in *in, unsigned *bits)
{
	int more = 1;

	*bits = 0;
	if (!imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in)) {
		size_t i = 0;

		while (i < NELEM(items) && !imap_word(in, items[i].name))
			i++;
		if (i == NELEM(items)) {
			in->why = "Unknown STATUS item";
			return false;
		}
		*bits |= items[i].bit;
	}
	return more == 0;
}

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
	for (size_t i = 0; i < NELEM(items); i++) {
		uint64_t v = 0;

		if (!(bits & items[i].bit))
			continue;
		switch (items[i].bit) {
		case STATUS_MESSAGES: v = m.exists; break;
		case STATUS_RECENT: v = m.recent; break;
		case STATUS_UIDNEXT: v = m.uidnext; break;
		case STATUS_UIDVALIDITY: v = m.uidvalidity; break;
		case STATUS_UNSEEN: v = m.unseen; break;
		case STATUS_HIGHESTMODSEQ: v = m.highestmodseq; break;
		case STATUS_APPENDLIMIT: v = (uint64_t)conf.append; break;
		case STATUS_SIZE: v = m.bytes; break;
		default: break;
		}
		if (!first)
			buf_char(b, ' ');
		first = false;
		buf_str(b, items[i].name);
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
	    !status_items_parse(in, &bits) || !imap_end(in))
		return bad(s, in);
	if (bits & STATUS_HIGHESTMODSEQ)
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
