/* storectl backup: what others have seen of a folder, reader by reader.
 *
 * Called by backup-account.c behind the folder's messages, so that there is what is marked when the stream is taken back.
 * A folder that anyone may read can have as many readers as there are people: each is a snapshot of its own. */
#include <stdlib.h>
#include <sysexits.h>

#include "backup.h"

#define SEEN_RANGES 10000 /* of a frame: at most 22 octets each */

/* One reader.  All of it, though it is a later backup: what is no longer seen is not in it, and that it says all is said.
 * The first one is put back beside what he has marked since. */
static void
backup_reader(struct backing *b, struct slice login, const struct buf *ranges, bool later)
{
	const struct store_range *r = (const void *)ranges->p;
	size_t n = ranges->n / sizeof(*r), i = 0;
	struct buf uids = { 0 };

	do {
		bool whole = later && i == 0;

		buf_clear(&uids);
		for (size_t end = i + SEEN_RANGES; i < n && i < end; i++)
			buf_printf(&uids, "%s%u:%u", uids.n ? "," : "", r[i].first, r[i].last);
		buf_lit(&b->line, "seen");
		kv_put(&b->line, "login", login);
		kv_put_u64(&b->line, "whole", whole);
		kv_put(&b->line, "uids", buf_get(&uids));
		backup_frame(b, BACKUP_SEEN);
	} while (i < n);
	buf_fini(&uids);
}

void
backup_readers(struct backing *b, uint64_t mailbox, uint64_t since)
{
	char login[STORE_ACCOUNT_MAX + 1] = "";
	struct buf ranges = { 0 };
	struct store_mailbox m;
	bool more = true;

	while (more && !b->rc) {
		struct store_read_by by = { .login = slice_str(login) };

		if (store_begin(b->view) < 0)
			exit(EX_OSERR);
		buf_clear(&ranges);
		more = store_get_mailbox(b->view, mailbox, &m) == 0 &&
		    store_reader_next(b->view, &m, &by);
		if (more) {
			store_reader_seen(b->view, mailbox, by.login, &ranges);
			slice_cstr(by.login, login, sizeof(login));
		}
		store_end(b->view);
		if (more && by.modseq >= since)
			backup_reader(b, slice_str(login), &ranges, since > 0);
	}
	buf_fini(&ranges);
}
