/* storectl import: mail of other systems into an account.
 *
 * Reads the command line and keeps the counts; import-maildir.c and import-mbox.c find the messages.  The
 * account may be in use, and the source is never changed.  A message that the folder has already, octet by
 * octet, is not put again, so that a run that was cut off is simply run again.  What cannot be read is told
 * with its place, the rest goes on, and the exit code says that something is missing. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "import.h"

_Static_assert(MAILDIR_SEEN == (int)STORE_SEEN && MAILDIR_ANSWERED == (int)STORE_ANSWERED &&
	MAILDIR_FLAGGED == (int)STORE_FLAGGED && MAILDIR_DELETED == (int)STORE_DELETED &&
	MAILDIR_DRAFT == (int)STORE_DRAFT,
    "flags of files are those of the store");

#define IMPORT_TOLD 1000 /* messages between two words on a terminal */

void
import_bad(struct importing *i, const char *where, const char *why)
{
	fprintf(stderr, "storectl: %s: %s\n", where, why);
	i->failed++;
}

/* ---- a folder ------------------------------------------------------------------------------------- */

bool
import_folder(struct importing *i, struct slice name)
{
	struct slice add = slice_str(i->below);
	struct buf whole = { 0 };
	uint64_t mailbox = 0;
	bool good = true;

	if (i->rc || (i->rc = put_flush(&i->put)))
		return false;
	buf_slice(&whole, add);
	if (add.n && name.n)
		buf_char(&whole, STORE_SEPARATOR);
	buf_slice(&whole, name);
	if (store_name_check(buf_get(&whole), i->folder) < 0 ||
	    !store_name_new_ok(slice_str(i->folder))) {
		import_bad(i, buf_cstr(&whole),
		    "not a name for a folder; its mail is not imported");
		good = false;
	} else if (i->dry) {
		if (store_begin(i->view) == 0)
			(void)!store_find_mailbox(i->view, i->account, slice_str(i->folder),
			    &mailbox);
		store_end(i->view);
	} else
		i->rc = put_target(&i->ask, i->view, i->account, slice_str(i->folder), &mailbox);
	buf_fini(&whole);
	if (!good || i->rc)
		return false;
	have_fini(&i->have);
	if (have_load(&i->have, i->view, mailbox) < 0)
		exit(EX_OSERR);
	put_folder(&i->put, mailbox, i->folder);
	i->folders++;
	return true;
}

bool
import_message(struct importing *i, struct slice text, const struct put_meta *meta,
    const char *where)
{
	uint32_t crc;

	if (text.n == 0 || text.n >= UINT32_MAX) {
		import_bad(i, where, text.n ? "larger than a message can be" : "empty");
		return true;
	}
	crc = crc32c(0, text.p, text.n);
	if (have_take(&i->have, text, crc)) {
		i->there++;
		return true;
	}
	if (!i->dry)
		i->rc = put_message(&i->put, text, crc, meta);
	if (i->rc == 0) {
		i->messages++;
		i->bytes += text.n;
		if (i->progress && i->messages % IMPORT_TOLD == 0)
			fprintf(stderr, "\r%s: %llu messages ", i->folder,
			    (unsigned long long)i->messages);
	}
	return i->rc == 0;
}

/* ---- the account ------------------------------------------------------------------------------------- */

static void
import_summary(struct importing *i)
{
	struct buf b = { 0 };

	if (i->progress && i->messages >= IMPORT_TOLD)
		fputc('\n', stderr);
	if (i->json) {
		buf_char(&b, '{');
		json_put_cstr(&b, "account", i->name);
		json_put_i64(&b, "folders", (int64_t)i->folders);
		json_put_i64(&b, "messages", (int64_t)i->messages);
		json_put_i64(&b, "bytes", (int64_t)i->bytes);
		json_put_i64(&b, "there", (int64_t)i->there);
		json_put_i64(&b, "failed", (int64_t)i->failed);
		buf_lit(&b, "}\n");
	} else if (!i->quiet)
		buf_printf(&b,
		    "%s: %llu messages %s in %llu folders, %llu bytes; %llu are there already, "
		    "%llu not imported\n",
		    i->name, (unsigned long long)i->messages, i->dry ? "to come" : "have come",
		    (unsigned long long)i->folders, (unsigned long long)i->bytes,
		    (unsigned long long)i->there, (unsigned long long)i->failed);
	storectl_say(&b);
	buf_fini(&b);
	if (!i->dry)
		log_event(LOG_INFO, "imported",
		    "account=%s folders=%llu count=%llu bytes=%llu there=%llu failed=%llu",
		    log_str(i->name), (unsigned long long)i->folders,
		    (unsigned long long)i->messages, (unsigned long long)i->bytes,
		    (unsigned long long)i->there, (unsigned long long)i->failed);
}

static int
import_run(struct importing *i, import_fn *from, const char *path)
{
	int rc = storectl_account_ready(i->name, "", &i->ask, &i->reader, &i->view, &i->account);

	if (rc)
		return rc;
	log_level(LOG_INFO);
	put_open(&i->put, &i->ask, i->view, i->ask.partition);
	from(i, path);
	if (i->rc == 0)
		i->rc = put_flush(&i->put);
	if (i->rc) { /* what is on disk is known */
		i->messages = i->put.messages;
		i->bytes = i->put.bytes_put;
	}
	import_summary(i);
	have_fini(&i->have);
	put_close(&i->put);
	store_view_free(&i->view);
	store_reader_close(&i->reader);
	asking_close(&i->ask);
	return i->rc ? i->rc : i->failed ? EX_DATAERR : 0;
}

int
storectl_import(int argc, char **argv, bool quiet)
{
	static const struct option longs[] = { { "dry-run", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' }, { "from", required_argument, NULL, 'F' },
		{ "folder", required_argument, NULL, 'f' }, { 0 } };
	static const struct {
		const char *name;
		import_fn *from;
	} formats[] = { { "maildir", import_maildir }, { "maildir++", import_maildirpp },
		{ "mbox", import_mbox } };
	struct importing i = { .quiet = quiet, .below = "", .progress = isatty(STDERR_FILENO) };
	import_fn *from = NULL;

	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "njf:", longs, NULL)) >= 0;)
		if (c == 'n')
			i.dry = true;
		else if (c == 'j')
			i.json = true;
		else if (c == 'f')
			i.below = optarg;
		else if (c == 'F') {
			for (size_t k = 0; k < NELEM(formats); k++)
				from =
				    strcmp(optarg, formats[k].name) == 0 ? formats[k].from : from;
		} else
			return program_usage();
	if (argc - optind != 2 || !from)
		return program_usage();
	i.name = argv[optind];
	return import_run(&i, from, argv[optind + 1]);
}
