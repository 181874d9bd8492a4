/* storectl account rename: a person has another login, and keeps the mailbox.
 *
 * Reads the partitions for what others give to the old name, and passes that on to the new one when stored has
 * renamed the account.  A run that was cut off behind the renaming goes on when it is asked
 * for again. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "account.h"
#include "base/mem.h"
#include "store/acl.h"
#include "store/config.h"

/* A folder of another that gives rights to the old name. */
struct account_gift {
	uint64_t mailbox;
	uint32_t rights;
	bool negative;
};
struct account_gifts {
	const char *from;
	struct buf list; /* struct account_gift */
};

static void
gifts_of(struct account_gifts *g, struct store_view *v, uint64_t account, const char *identifier,
    bool negative)
{
	struct store_folder f = { .account = account };

	while (store_next_folder(v, &f)) {
		struct account_gift gift = { .mailbox = f.mailbox, .negative = negative };

		if (store_acl_find(v, f.mailbox, slice_str(identifier), &gift.rights) == 0)
			buf_add(&g->list, &gift, sizeof(gift));
	}
}

static int
gifts_partition(void *arg, const char *partition, const char *path)
{
	struct account_gifts *g = arg;
	char *negative = mem_printf("-%s", g->from), *why = NULL;
	struct slice name = slice(NULL, 0);
	struct store_account a;
	struct store_reader *r;
	struct store_view *v;

	if (store_reader_open(path, &r, &why) < 0) {
		fprintf(stderr, "storectl: partition %s: %s\n", partition, why);
		exit(EX_NOINPUT);
	}
	v = store_view_new(r);
	if (store_begin(v) < 0)
		exit(EX_OSERR);
	while (store_next_account(v, &name, &a)) {
		gifts_of(g, v, a.id, g->from, false);
		gifts_of(g, v, a.id, negative, true);
	}
	store_view_free(&v);
	store_reader_close(&r);
	mem_free(&negative);
	return 0;
}

static int
gift_set(struct asking *ask, uint64_t mailbox, const char *identifier, enum store_how how,
    uint32_t rights)
{
	store_acl_start(ask->client, mailbox, slice_str(identifier), how, rights, &ask->op,
	    asking_done, ask);
	if (asking_try(ask))
		return 0;
	fprintf(stderr, "storectl: %s: mailbox %llx: %s\n", identifier, (unsigned long long)mailbox,
	    ask->reply.verdict.text);
	return 1;
}

/* What others give to the old name they give to the new one: first that, so that nothing is lost when it ends
 * between the two. */
static int
gifts_pass(struct asking *ask, const char *from, const char *to)
{
	struct account_gifts g = { .from = from };
	const struct account_gift *gift;
	int rc = 0;

	(void)store_conf_partitions(gifts_partition, &g);
	gift = (const void *)g.list.p;
	for (size_t i = 0; i < g.list.n / sizeof(*gift); i++) {
		char *old = mem_printf("%s%s", gift[i].negative ? "-" : "", from);
		char *new = mem_printf("%s%s", gift[i].negative ? "-" : "", to);

		rc |= gift_set(ask, gift[i].mailbox, new, STORE_ADD, gift[i].rights) ||
		    gift_set(ask, gift[i].mailbox, old, STORE_SET, 0);
		mem_free(&old);
		mem_free(&new);
	}
	buf_fini(&g.list);
	return rc;
}

/* The person may have logged in under the new name already: an account that has no message stands in nobody's
 * way.  stored looks itself whether it has one. */
static int
rename_make_room(struct asking *ask, const char *to)
{
	int rc;
	uint64_t id = account_id(to, false, &rc);

	if (!id)
		return rc;
	store_erase_start(ask->client, id, slice_str(to), true, &ask->op, asking_done, ask);
	if (asking_try(ask)) {
		account_forget(to);
		return 0;
	}
	fprintf(stderr, "storectl: %s: %s\n", to, ask->reply.verdict.text);
	return ask->reply.code == STORE_CANNOT ? EX_CANTCREAT : asking_code(ask);
}

int
account_rename(struct account_run *run)
{
	struct asking ask;
	uint64_t id;
	int rc;

	if (store_account_check(slice_str(run->to)) < 0) {
		fprintf(stderr, "storectl: %s: not the name of an account\n", run->to);
		return EX_USAGE;
	}
	if (!storectl_account_is(run->account) && storectl_account_is(run->to)) {
		asking_open(&ask); /* it has been: what may be left */
		rc = gifts_pass(&ask, run->account, run->to);
		asking_close(&ask);
		return rc;
	}
	if (!(id = account_id(run->account, true, &rc)))
		return rc;
	asking_open(&ask);
	rc = rename_make_room(&ask, run->to);
	if (rc == 0) {
		store_rename_account_start(ask.client, id, slice_str(run->account),
		    slice_str(run->to), &ask.op, asking_done, &ask);
		if (asking_try(&ask)) {
			account_forget(run->account);
			account_done(run, "renamed", run->account, run->to, &ask.reply);
			rc = gifts_pass(&ask, run->account, run->to);
		} else {
			fprintf(stderr, "storectl: %s: %s\n", run->account, ask.reply.verdict.text);
			rc = ask.reply.code == STORE_EXISTS ? EX_CANTCREAT : asking_code(&ask);
		}
	}
	asking_close(&ask);
	return rc;
}
