/* What somebody has in mailboxes of others: rights, what he has seen, annotations of his own.
 *
 * Reads all partitions once, whoever many are looked for, and asks stored for each mailbox in which one of them has
 * something.  A snapshot is of one account's folders.  A run that was cut off is run again. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "account.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/acl.h"
#include "store/annot.h"
#include "store/config.h"

struct leaving {
	struct map names;
	struct buf list; /* struct leaving_one */
};
struct leaving_one {
	uint64_t mailbox;
	const char *name; /* of `names` */
};

static void
leaving_add(struct leaving *l, uint64_t mailbox, struct slice login)
{
	struct leaving_one one = { .mailbox = mailbox, .name = map_get(&l->names, login) };
	const struct leaving_one *last = (const void *)(l->list.p + l->list.n);

	if (!one.name)
		return;
	for (size_t i = l->list.n / sizeof(one); i > 0 && (--last)->mailbox == mailbox; i--)
		if (last->name == one.name)
			return;
	buf_add(&l->list, &one, sizeof(one));
}

static void
leaving_mailbox(struct leaving *l, struct store_view *v, uint64_t account, uint64_t mailbox)
{
	struct slice identifier = slice(NULL, 0), login = slice(NULL, 0);
	struct store_annot_walk w;
	struct store_annot a;
	uint32_t rights;

	while (store_acl_next(v, mailbox, &identifier, &rights))
		leaving_add(l, mailbox,
		    slice_from(identifier, slice_starts(identifier, S("-")) ? 1 : 0));
	while (store_reader_login(v, mailbox, &login))
		leaving_add(l, mailbox, login);
	store_annot_walk(&w, account, mailbox);
	w.heads = true;
	while (store_annot_next(v, &w, &a))
		if (a.login.n)
			leaving_add(l, mailbox, a.login);
}

static int
leaving_partition(void *arg, const char *partition, const char *path)
{
	char name[STORE_ACCOUNT_MAX + 1] = "", *why = NULL;
	struct leaving *l = arg;
	struct store_account a;
	struct store_reader *r;
	struct store_view *v;
	bool more = true;

	if (store_reader_open(path, &r, &why) < 0) {
		fprintf(stderr, "storectl: partition %s: %s\n", partition, why);
		exit(EX_NOINPUT);
	}
	v = store_view_new(r);
	while (more) {
		struct slice at = slice_str(name);
		struct store_folder f;

		if (store_begin(v) < 0)
			exit(EX_OSERR);
		more = store_next_account(v, &at, &a);
		if (more) {
			slice_cstr(at, name, sizeof(name));
			f = (struct store_folder){ .account = a.id };
			while (store_next_folder(v, &f))
				if (f.mailbox)
					leaving_mailbox(l, v, a.id, f.mailbox);
		}
		store_end(v);
	}
	store_view_free(&v);
	store_reader_close(&r);
	return 0;
}

int
account_leave(struct asking *ask, const char *const *names, size_t n, const char *to)
{
	struct leaving l = { .list = { 0 } };
	const struct leaving_one *one;
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		map_put(&l.names, slice_str(names[i]), (void *)(uintptr_t)names[i]);
	if (n)
		(void)store_conf_partitions(leaving_partition, &l);
	one = (const void *)l.list.p;
	for (size_t i = 0; i < l.list.n / sizeof(*one) && rc != EX_UNAVAILABLE; i++) {
		store_leave_start(ask->client, one[i].mailbox, slice_str(one[i].name),
		    slice_str(to), &ask->op, asking_done, ask);
		if (asking_try(ask) ||
		    ask->reply.code == STORE_NOMAILBOX) /* it has gone meanwhile */
			continue;
		fprintf(stderr, "storectl: %s: mailbox %llx: %s\n", one[i].name,
		    (unsigned long long)one[i].mailbox, ask->reply.verdict.text);
		rc = asking_code(ask);
	}
	buf_fini(&l.list);
	map_fini(&l.names);
	return rc;
}
