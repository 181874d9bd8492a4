/* storectl reconstruct, the first step: the account's own records.
 *
 * Files can only be compared with an index that leads to them.  Where the record of the account, of a
 * folder's name or of a mailbox is damaged, stored refuses everything about it; it is asked here to
 * make them again.  We look, because that may mean all mailboxes of the partition, and stored's writer
 * has no time for that; stored looks once more at what we name before it changes anything. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/mem.h"
#include "store/config.h"
#include "store/mend.h"
#include "storectl.h"

struct mending {
	struct asking *ask;
	struct store_view *view;
	struct store_mending what;
	struct slice account;
	unsigned mended;
};

static void
mend_begin(struct mending *g)
{
	if (store_refresh(g->view) < 0)
		exit(EX_OSERR);
}

static void
mend_heard(void *arg, const struct store_mailbox *m)
{
	struct mending *g = arg;

	g->what.id = m->account;
	if (m->highestmodseq > g->what.modseq)
		g->what.modseq = m->highestmodseq;
	if (m->uidvalidity > g->what.uidvalidity)
		g->what.uidvalidity = m->uidvalidity;
	if (g->what.folder.n && slice_eq(m->name, g->what.folder))
		g->what.mailbox = m->id;
}

/* One record: the account's, or that of a folder. */
static void
mend_one(struct mending *g, struct slice folder)
{
	struct slice partition = g->what.partition;

	g->what = (struct store_mending){ .partition = partition,
		.account = g->account,
		.folder = folder };
	mend_begin(g);
	store_mend_walk(g->view, g->account, mend_heard, g);
	store_end(g->view);
	if (!g->what.id && !folder.n) {
		fprintf(stderr,
		    "storectl: " SFMT ": its record is damaged, and so is that of each of its "
		    "mailboxes: storectl recover\n",
		    SARG(g->account));
		exit(EX_DATAERR);
	}
	store_mend_start(g->ask->client, &g->what, &g->ask->op, asking_done, g->ask);
	asking_wait(g->ask, folder.n ? "mailbox" : "account");
	g->mended += g->ask->reply.uid;
}

/* The folders that are no good, each behind the other with a NUL. */
static void
mend_folders(struct mending *g, uint64_t account)
{
	struct store_folder f = { .account = account };
	struct buf bad = { 0 };
	struct slice rest, name;

	mend_begin(g);
	while (store_next_folder(g->view, &f))
		if (store_mend_look(g->view, account, g->account, f.name) < 0) {
			buf_slice(&bad, f.name);
			buf_char(&bad, '\0');
		}
	store_end(g->view);
	rest = buf_get(&bad);
	while (slice_cut(&rest, '\0', &name))
		if (name.n)
			mend_one(g, name);
	buf_fini(&bad);
}

static int
mend_in(void *arg, const char *partition, const char *path)
{
	struct mending *g = arg;
	struct store_reader *r;
	struct store_account a;
	char *why = NULL;
	int rc;

	if (store_reader_open(path, &r, &why) < 0) { /* it is made, when it is the account's */
		mem_free(&why);
		return 0;
	}
	g->view = store_view_new(r);
	g->what.partition = slice_str(partition);
	mend_begin(g);
	rc = store_find_account(g->view, g->account, &a);
	store_end(g->view);
	if (rc == -EBADMSG) {
		mend_one(g, S(""));
		a.id = g->ask->reply.account;
		rc = 0;
	}
	if (rc == 0)
		mend_folders(g, a.id);
	store_view_free(&g->view);
	store_reader_close(&r);
	return 0;
}

unsigned
mend(struct asking *ask, const char *account)
{
	struct mending g = { .ask = ask, .account = slice_str(account) };

	store_conf_partitions(mend_in, &g);
	return g.mended;
}
