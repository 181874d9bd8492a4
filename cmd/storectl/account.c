/* account.c: an account, found in its partition and opened to be read, and changed where that is wanted.
 *
 * Called by the commands that look after one account.  Fails in words; what is opened for a change asks
 * stored, which may make the account. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/files.h"
#include "base/mem.h"
#include "store/config.h"
#include "storectl.h"

void
storectl_say(struct buf *line)
{
	if (line->n)
		(void)!files_write(STDOUT_FILENO, line->p, line->n);
	buf_clear(line);
}

/* Where an account is, without asking stored. */
struct account_look {
	const char *account;
	struct store_reader *reader;
	struct store_view *view;
	uint64_t id;
	char *partition; /* of 256 bytes */
	int rc;
};

static int
account_look(void *arg, const char *name, const char *path)
{
	struct account_look *l = arg;
	struct store_account a;
	char *why = NULL;

	if (store_reader_open(path, &l->reader, &why) < 0) {
		fprintf(stderr, "storectl: partition %s: %s\n", name, why);
		mem_free(&why);
		l->rc = EX_NOINPUT;
		return 0;
	}
	l->view = store_view_new(l->reader);
	if (store_begin(l->view) == 0 &&
	    store_find_account(l->view, slice_str(l->account), &a) == 0) {
		l->id = a.id;
		slice_cstr(slice_str(name), l->partition, PARTITION_ROOM);
		store_end(l->view);
		return 1;
	}
	store_view_free(&l->view);
	store_reader_close(&l->reader);
	return 0;
}

int
storectl_account_find(const char *account, struct store_reader **r, struct store_view **v,
    uint64_t *id, char *partition)
{
	struct account_look l = { .account = account, .partition = partition };

	if (!store_conf_partitions(account_look, &l)) {
		fprintf(stderr, "storectl: %s: no such account\n", account);
		return l.rc ? l.rc : EX_NOUSER;
	}
	*r = l.reader;
	*v = l.view;
	*id = l.id;
	return 0;
}

bool
storectl_account_is(const char *account)
{
	char partition[PARTITION_ROOM];
	struct account_look l = { .account = account, .partition = partition };

	if (store_conf_partitions(account_look, &l) <= 0)
		return false;
	store_view_free(&l.view);
	store_reader_close(&l.reader);
	return true;
}

int
storectl_account_ready(const char *account, const char *partition, struct asking *a,
    struct store_reader **r, struct store_view **v, uint64_t *id)
{
	char *why = NULL;

	if (store_account_check(slice_str(account)) < 0) {
		fprintf(stderr, "storectl: %s: not the name of an account\n", account);
		return EX_NOUSER;
	}
	asking_open(a);
	store_account_start(a->client, slice_str(account), slice_str(partition), &a->op,
	    asking_done, a);
	if (!asking_try(a)) {
		int rc = asking_code(a);

		fprintf(stderr, "storectl: %s: %s\n", account, a->reply.verdict.text);
		asking_close(a);
		return rc;
	}
	*id = a->reply.account;
	if (store_reader_open(a->path, r, &why) < 0) {
		fprintf(stderr, "storectl: %s\n", why);
		mem_free(&why);
		asking_close(a);
		return EX_NOINPUT;
	}
	*v = store_view_new(*r);
	return 0;
}
