/* Copies whose files are still to be made: rows of `pending`, read.
 *
 * Called by readers for a file that is not there, by the check for the same, and by stored's writer,
 * linker and purger.  A row that is damaged is none.  Nothing else can fail. */
#include <errno.h>
#include <string.h>

#include "store/pending.h"

void
store_pending_key(uint8_t key[12], uint64_t mailbox, uint32_t uid)
{
	store_be64(key, mailbox);
	store_be32(key + 8, uid);
}

size_t
store_pending_runs(const struct store_pending *p)
{
	return p->runs.n / sizeof(struct store_gone);
}

struct store_gone
store_pending_run(const struct store_pending *p, size_t i)
{
	struct store_gone g;

	memcpy(&g, p->runs.p + i * sizeof(g), sizeof(g));
	return g;
}

int
store_pending_parse(struct slice key, struct slice value, struct store_pending *p)
{
	struct store_disk_pending head;
	uint64_t sum = 0;

	if (key.n != 12 || value.n < sizeof(head))
		return -EBADMSG;
	memcpy(&head, value.p, sizeof(head));
	*p = (struct store_pending){ .mailbox = store_get64(key.p),
		.first = store_get32(key.p + 8),
		.messages = head.messages,
		.shown = head.shown,
		.source = head.source,
		.runs = slice_from(value, sizeof(head)) };
	if (p->runs.n != head.count * sizeof(struct store_gone))
		return -EBADMSG;
	for (size_t i = 0; i < head.count; i++) {
		struct store_gone g = store_pending_run(p, i);

		if (g.first == 0 || g.last < g.first)
			return -EBADMSG;
		sum += (uint64_t)g.last - g.first + 1;
	}
	if (sum != head.messages || sum > UINT32_MAX - p->first)
		return -EBADMSG;
	return 0;
}

/* The row that begins at this UID or is the last one before it. */
static bool
pending_at(MDB_cursor *c, uint64_t mailbox, uint32_t uid, struct store_pending *p)
{
	uint8_t key[12];
	MDB_val k = { sizeof(key), key }, d;
	int rc;

	store_pending_key(key, mailbox, uid);
	rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	if (rc == MDB_NOTFOUND)
		rc = mdb_cursor_get(c, &k, &d, MDB_LAST);
	else if (rc == 0 && (k.mv_size != sizeof(key) || memcmp(k.mv_data, key, sizeof(key)) != 0))
		rc = mdb_cursor_get(c, &k, &d, MDB_PREV);
	return rc == 0 &&
	    store_pending_parse(slice(k.mv_data, k.mv_size), slice(d.mv_data, d.mv_size), p) == 0 &&
	    p->mailbox == mailbox && uid >= p->first && uid - p->first < p->messages;
}

bool
store_pending_find(MDB_cursor *c, uint64_t mailbox, uint32_t uid, uint64_t *source_mailbox,
    uint32_t *source_uid)
{
	struct store_pending p;
	uint32_t left;

	if (!pending_at(c, mailbox, uid, &p) || !p.shown)
		return false;
	left = uid - p.first;
	for (size_t i = 0; i < store_pending_runs(&p); i++) {
		struct store_gone g = store_pending_run(&p, i);

		if (left <= g.last - g.first) {
			*source_mailbox = p.source;
			*source_uid = g.first + left;
			return true;
		}
		left -= g.last - g.first + 1;
	}
	return false;
}
