/* Whose \Seen there is where mailboxes do not say it, when stored is configured otherwise than it was.
 *
 * Called at the start, in its one transaction.  To who reads a mailbox of somebody else each message may have changed then,
 * and a client that keeps what it knows must hear of it (RFC 7162 3.1.1: whatever changes a flag moves the modseq): each
 * mailbox to which somebody has been given a right gets the row that it has when its own word is taken back, which has the
 * modseq since when (store/seen.h).  Costs a few rows for each, once.  A store from before there was the choice had one
 * \Seen for all. */
#include "base/log.h"
#include "store/writer/writer-impl.h"

/* The next mailbox behind this one to which somebody has a right; false: there is none. */
static bool
switch_next(struct writer *w, MDB_cursor *c, uint64_t *mailbox)
{
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d;

	store_be64(key, *mailbox + 1); /* 0 is the index */
	if (w->error || mdb_cursor_get(c, &k, &d, MDB_SET_RANGE) != 0 || k.mv_size < 8)
		return false;
	*mailbox = store_get64(k.mv_data);
	return true;
}

/* False: it says itself whose, or cannot be read. */
static bool
switch_box(struct writer *w, uint64_t mailbox)
{
	struct store_annot word = { .login = S(""), .gone = true };
	uint8_t key[STORE_ANNOT_KEY];
	struct buf value = { 0 };
	struct wbox *b;
	uint64_t since;
	bool shared;
	size_t n;

	if (writer_box_find(w, mailbox, &b) < 0 || writer_seen_word(w, b, &shared, &since))
		return false;
	word.modseq = ++b->acct->d.modseq;
	b->acct->annots.counted = false;
	n = store_annot_key(key, b->acct->d.id, b->id, S(""), S(STORE_ANNOT_SHAREDSEEN));
	store_annot_write(&value, &word);
	writer_row_put(w, STORE_T_ANNOT, key, n, value.p, value.n, 0);
	buf_fini(&value);
	writer_seen_switched(w, b, word.modseq);
	writer_account_put(w, b->acct);
	return true;
}

static size_t
switch_all(struct writer *w)
{
	uint64_t mailbox = 0;
	MDB_cursor *c;
	size_t n = 0;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_ACL], &c)))
		return 0;
	while (switch_next(w, c, &mailbox))
		n += switch_box(w, mailbox);
	mdb_cursor_close(c);
	return n;
}

void
writer_seen_configured(struct writer *w)
{
	struct store_disk_sharing d = { .version = STORE_VERSION, .seen = w->config->seen_shared },
				  was = { .seen = 1 };
	struct slice row = writer_row_get(w, STORE_T_META, STORE_SHARING, strlen(STORE_SHARING));
	bool known = row.p && store_value_read(row, 1, &was, sizeof(was)) == 0;
	size_t n = 0;

	if (was.seen != d.seen)
		n = switch_all(w);
	if (n)
		log_event(LOG_WARN, "store_sharing", "partition=%s seen=%s mailboxes=%zu",
		    log_str(w->config->name), d.seen ? "shared" : "own", n);
	if (!known || was.seen != d.seen)
		writer_row_put(w, STORE_T_META, STORE_SHARING, strlen(STORE_SHARING), &d, sizeof(d),
		    0);
}
