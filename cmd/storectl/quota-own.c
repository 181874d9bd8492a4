/* storectl quota set, reset: limits that the store keeps itself, of an account in place of the directory's and of a
 * folder (store/quota.h); and what quota report says of them.
 *
 * A change is a request to stored in nobody's name, as imapd makes for the administrators of SETQUOTA; what comes in is
 * judged by it from then on.  Can fail: the names; stored.  Must stay true: what a report shows says who has set it and
 * when, for it holds against the directory until it is reset. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "conf/conf.h"
#include "daemon/program.h"
#include "mail/date.h"
#include "quota.h"
#include "storectl.h"

/* ---- report ---------------------------------------------------------------------------------------- */

static void
own_json(struct buf *b, const struct store_quota *q)
{
	struct buf at = { 0 };

	date_iso_write(&at, q->at, 0);
	json_put_i64(b, "limit", (int64_t)q->bytes);
	json_put_i64(b, "message_limit", (int64_t)q->messages);
	json_put_cstr(b, "set_by", q->by);
	json_put_str(b, "set_at", buf_get(&at));
	buf_fini(&at);
}

static void
own_text(struct buf *b, const struct store_quota *q)
{
	buf_printf(b, " of %llu messages, %llu bytes (0: no limit), set by %s at ",
	    (unsigned long long)q->messages, (unsigned long long)q->bytes, q->by);
	date_iso_write(b, q->at, 0);
}

void
quota_own_add(struct buf *b, bool json, struct store_view *v, uint64_t account)
{
	struct store_quota q;

	if (store_quota_find(v, account, 0, &q) < 0)
		return;
	if (json)
		own_json(b, &q);
	else
		own_text(b, &q);
}

static void
own_folder(bool json, struct slice account, const struct store_mailbox *m,
    const struct store_quota *q)
{
	struct buf b = { 0 };

	if (json) {
		buf_char(&b, '{');
		json_put_str(&b, "account", account);
		json_put_str(&b, "folder", m->name);
		json_put_i64(&b, "messages", m->exists);
		json_put_i64(&b, "bytes", (int64_t)m->bytes);
		own_json(&b, q);
		buf_char(&b, '}');
	} else {
		buf_printf(&b, "  %-30.*s %-12s %10u %14llu", SARG(m->name), "folder", m->exists,
		    (unsigned long long)m->bytes);
		own_text(&b, q);
	}
	printf("%s\n", buf_cstr(&b));
	buf_fini(&b);
}

void
quota_own_folders(bool json, struct store_view *v, struct slice name, uint64_t account)
{
	struct store_annot_walk w;
	struct store_annot a;
	struct store_quota q;
	struct store_mailbox m;

	store_annot_walk_account(&w, account, 1);
	while (store_annot_next(v, &w, &a))
		if (!a.gone && !a.login.n && slice_eq(a.name, S(STORE_ANNOT_QUOTA)) &&
		    store_quota_parse(a.value, &q) == 0 && store_get_mailbox(v, a.mailbox, &m) == 0)
			own_folder(json, name, &m, &q);
}

/* ---- set, reset ------------------------------------------------------------------------------------ */

struct own_run {
	const char *account, *folder; /* folder NULL: the account */
	bool reset;
	struct store_quota q;
};

/* Who asks, as this host knows him. */
static void
own_by(struct store_quota *q)
{
	const struct passwd *pw = getpwuid(getuid());

	snprintf(q->by, sizeof(q->by), "storectl (%s)", pw ? pw->pw_name : "unknown user");
	q->at = clock_now();
}

/* 0, or an exit code after saying why. */
static int
own_find(const struct own_run *r, uint64_t *account, uint64_t *mailbox)
{
	char canonical[STORE_NAME_MAX + 1], partition[PARTITION_ROOM];
	struct store_reader *reader;
	struct store_view *v;
	int rc = storectl_account_find(r->account, &reader, &v, account, partition);

	if (rc)
		return rc;
	*mailbox = 0;
	if (r->folder) {
		rc = store_begin(v) < 0 ? -EIO : store_name_check(slice_str(r->folder), canonical);
		if (rc == 0)
			rc = store_find_mailbox(v, *account, slice_str(canonical), mailbox);
		store_end(v);
	}
	store_view_free(&v);
	store_reader_close(&reader);
	if (rc == 0)
		return 0;
	fprintf(stderr, "storectl: %s: %s: %s\n", r->account, r->folder,
	    rc == -EIO || rc == -EBADMSG ? "cannot be read" : "no such folder");
	return EX_DATAERR;
}

static int
own_set(struct own_run *r)
{
	struct store_annotation one = { .name = S(STORE_ANNOT_QUOTA),
		.shared = true,
		.gone = r->reset };
	uint64_t account, mailbox;
	struct buf value = { 0 };
	struct asking ask;
	int rc = own_find(r, &account, &mailbox);

	if (rc)
		return rc;
	own_by(&r->q);
	store_quota_write(&value, &r->q);
	if (!r->reset)
		one.value = buf_get(&value);
	asking_open(&ask);
	store_annotate_start(ask.client, account, mailbox, &one, 1, &ask.op, asking_done, &ask);
	asking_wait(&ask, r->account);
	asking_close(&ask);
	buf_fini(&value);
	return 0;
}

/* "10M": a number of at least 1, for 0 is no limit. */
static bool
own_number(const char *text, uint64_t *n)
{
	int64_t v;

	if (conf_parse_size(slice_str(text), &v) < 0 || v < 1) {
		fprintf(stderr, "storectl: %s: not a limit\n", text);
		return false;
	}
	*n = (uint64_t)v;
	return true;
}

int
storectl_quota_own(int argc, char **argv)
{
	struct own_run r = { .reset = strcmp(argv[0], "reset") == 0 };
	bool good = true;

	for (int i = 1; i < argc; i++) {
		bool bytes = strcmp(argv[i], "-b") == 0 || strcmp(argv[i], "--bytes") == 0;
		bool messages = strcmp(argv[i], "-m") == 0 || strcmp(argv[i], "--messages") == 0;

		if (!r.reset && (bytes || messages) && i + 1 < argc)
			good = own_number(argv[++i], bytes ? &r.q.bytes : &r.q.messages) && good;
		else if (argv[i][0] == '-' || r.folder)
			return program_usage();
		else if (r.account)
			r.folder = argv[i];
		else
			r.account = argv[i];
	}
	if (!good)
		return EX_USAGE;
	/* Without a number: no limit at all, which for a folder is what it is without. */
	if (!r.account || (r.folder && !r.reset && !r.q.bytes && !r.q.messages))
		return program_usage();
	return own_set(&r);
}
