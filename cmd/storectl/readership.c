/* storectl readership: who has read a folder that is shared, how much of it, and when last.
 *
 * Shows what the index says each reader has marked for himself (store/seen.h); asks nobody.  A folder may have as many
 * readers as there are people, so the snapshot is a new one after some of them: one who comes or goes meanwhile may be
 * shown or not. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#include "base/json.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "mail/date.h"
#include "store/config.h"
#include "storectl.h"

#define READERS_SLICE                                                                              \
	100 /* of a snapshot: for each of them the folder's runs of UIDs are looked at */

struct readership {
	const char *account, *folder; /* NULL: all folders */
	bool json, known, met;
	int64_t
	    since; /* unix seconds: who has marked nothing since then is left out; 0 = nobody is */
};

static void
readership_say(const struct readership *r, struct slice folder, const struct store_mailbox *m,
    const struct store_read_by *by)
{
	struct buf b = { 0 }, from = { 0 }, at = { 0 };

	if (by->from)
		date_iso_write(&from, by->from, 0);
	if (by->at)
		date_iso_write(&at, by->at, 0);
	if (r->json) {
		buf_char(&b, '{');
		json_put_cstr(&b, "account", r->account);
		json_put_str(&b, "folder", folder);
		json_put_str(&b, "reader", by->login);
		json_put_i64(&b, "seen", by->seen);
		json_put_i64(&b, "messages", m->exists);
		json_put_str(&b, "first", buf_get(&from));
		json_put_str(&b, "last", buf_get(&at));
		buf_lit(&b, "}\n");
	} else
		buf_printf(&b, "%-32.*s %8u %8u  %-20s %-20s  " SFMT "\n", SARG(by->login),
		    by->seen, m->exists, from.n ? buf_cstr(&from) : "-", at.n ? buf_cstr(&at) : "-",
		    SARG(folder));
	storectl_say(&b);
	buf_fini(&b);
	buf_fini(&from);
	buf_fini(&at);
}

static void
readership_folder(struct readership *r, struct store_view *v, uint64_t mailbox, struct slice folder)
{
	char login[STORE_ACCOUNT_MAX + 1] = "";
	struct store_mailbox m;
	bool more = true;

	while (more && store_get_mailbox(v, mailbox, &m) == 0) {
		struct store_read_by by = { .login = slice_str(login) };

		for (size_t n = 0; more && n < READERS_SLICE; n++) {
			more = store_reader_next(v, &m, &by);
			if (more && by.at >= r->since)
				readership_say(r, folder, &m, &by);
		}
		if (more)
			slice_cstr(by.login, login, sizeof(login));
		if (store_refresh(v) < 0)
			exit(EX_OSERR);
	}
}

/* All folders, or the one. */
static void
readership_account(struct readership *r, struct store_view *v, uint64_t account)
{
	char canonical[STORE_NAME_MAX + 1] = "", name[STORE_NAME_MAX + 1] = "";
	struct store_folder f = { .account = account };
	uint64_t mailbox;

	if (r->folder) {
		r->met = store_name_check(slice_str(r->folder), canonical) == 0 &&
		    store_find_mailbox(v, account, slice_str(canonical), &mailbox) == 0;
		if (r->met)
			readership_folder(r, v, mailbox, slice_str(canonical));
		return;
	}
	r->met = true;
	while (store_next_folder(v, &f)) {
		slice_cstr(f.name, name, sizeof(name)); /* the name is the snapshot's */
		f.name = slice_str(name);
		if (f.mailbox)
			readership_folder(r, v, f.mailbox, f.name);
	}
}

static int
readership_partition(void *arg, const char *name, const char *path)
{
	struct readership *r = arg;
	struct store_reader *reader;
	struct store_account a;
	struct store_view *v;
	char *why = NULL;

	if (store_reader_open(path, &reader, &why) < 0) {
		fprintf(stderr, "storectl: partition %s: %s\n", name, why);
		exit(EX_NOINPUT);
	}
	v = store_view_new(reader);
	if (store_begin(v) < 0)
		exit(EX_OSERR);
	if (store_find_account(v, slice_str(r->account), &a) == 0) {
		r->known = true;
		readership_account(r, v, a.id);
	}
	store_view_free(&v);
	store_reader_close(&reader);
	return r->known;
}

static bool
readership_option(struct readership *r, int argc, char **argv, int *i)
{
	uint64_t days;

	if (strcmp(argv[*i], "-j") == 0 || strcmp(argv[*i], "--json") == 0) {
		r->json = true;
		return true;
	}
	if ((strcmp(argv[*i], "-d") != 0 && strcmp(argv[*i], "--days") != 0) || *i + 1 == argc ||
	    slice_u64(slice_str(argv[*i + 1]), 36500, &days) < 0)
		return false;
	++*i;
	r->since = (int64_t)time(NULL) - (int64_t)days * 86400;
	return true;
}

int
storectl_readership(int argc, char **argv, bool quiet)
{
	struct readership r = { .account = NULL };
	struct buf head = { 0 };

	for (int i = 1; i < argc; i++)
		if (readership_option(&r, argc, argv, &i))
			continue;
		else if (r.folder || argv[i][0] == '-')
			return program_usage();
		else if (r.account)
			r.folder = argv[i];
		else
			r.account = argv[i];
	if (!r.account)
		return program_usage();
	if (!r.json && !quiet) {
		buf_printf(&head, "%-32s %8s %8s  %-20s %-20s  %s\n", "READER", "SEEN", "MESSAGES",
		    "FIRST", "LAST", "FOLDER");
		storectl_say(&head);
		buf_fini(&head);
	}
	(void)store_conf_partitions(readership_partition, &r);
	if (r.met)
		return 0;
	fprintf(stderr, "storectl: %s: no such %s\n", r.known ? r.folder : r.account,
	    r.known ? "folder" : "account");
	return r.known ? EX_DATAERR : EX_NOUSER;
}
