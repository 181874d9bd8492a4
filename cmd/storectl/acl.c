/* storectl acl: who may do what with a folder, shown and set.
 *
 * Shows from the index; a change is a request to stored, for no login, so that everything may be given
 * that the setting share_anyone keeps people from giving. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/mem.h"
#include "daemon/program.h"
#include "store/acl.h"
#include "store/config.h"
#include "storectl.h"

struct acl_look {
	const char *account, *folder;
	bool show;
	uint64_t mailbox; /* 0 = not met */
	bool known;       /* the account is */
};

static void
acl_show(struct store_view *v, const struct acl_look *l)
{
	struct slice identifier = slice(NULL, 0);
	struct buf rights = { 0 };
	uint32_t r;

	store_rights_write(&rights, STORE_R_ALL);
	printf("%-40s %s\n", l->account, buf_cstr(&rights));
	while (store_acl_next(v, l->mailbox, &identifier, &r)) {
		buf_clear(&rights);
		store_rights_write(&rights, r);
		printf("%-40.*s %s\n", SARG(identifier), buf_cstr(&rights));
	}
	buf_fini(&rights);
}

static int
acl_look(void *arg, const char *name, const char *path)
{
	struct acl_look *l = arg;
	char canonical[STORE_NAME_MAX + 1], *why = NULL;
	struct store_reader *r;
	struct store_account a;
	struct store_view *v;

	if (store_reader_open(path, &r, &why) < 0) {
		fprintf(stderr, "storectl: partition %s: %s\n", name, why);
		exit(EX_NOINPUT);
	}
	v = store_view_new(r);
	if (store_begin(v) < 0)
		exit(EX_OSERR);
	if (store_find_account(v, slice_str(l->account), &a) == 0) {
		l->known = true;
		if (store_name_check(slice_str(l->folder), canonical) < 0 ||
		    store_find_mailbox(v, a.id, slice_str(canonical), &l->mailbox) < 0)
			l->mailbox = 0;
		else if (l->show)
			acl_show(v, l);
	}
	store_view_free(&v);
	store_reader_close(&r);
	return l->known;
}

int
storectl_acl(const char *account, const char *folder, const char *identifier, const char *rights)
{
	struct acl_look l = { .account = account, .folder = folder, .show = !identifier };
	enum store_how how = STORE_SET;
	struct asking a;
	uint32_t r = 0;

	if (rights && (*rights == '+' || *rights == '-'))
		how = *rights++ == '+' ? STORE_ADD : STORE_REMOVE;
	if (rights && !store_rights_parse(slice_str(rights), &r)) {
		fprintf(stderr, "storectl: %s: rights are letters of %s\n", rights, STORE_RIGHTS);
		return EX_USAGE;
	}
	(void)store_conf_partitions(acl_look, &l);
	if (!l.mailbox) {
		fprintf(stderr, "storectl: %s: no such %s\n", l.known ? folder : account,
		    l.known ? "folder" : "account");
		return l.known ? EX_DATAERR : EX_NOUSER;
	}
	if (!identifier)
		return 0;
	asking_open(&a);
	store_acl_start(a.client, l.mailbox, slice_str(identifier), how, r, &a.op, asking_done, &a);
	asking_wait(&a, folder);
	asking_close(&a);
	return 0;
}
