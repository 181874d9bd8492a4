/* storectl undelete: what has been expunged comes back, as long as it has not been purged.
 *
 * The change log of the account says what was expunged when, and the files are there until stored's
 * cleanup_age is over.  Records are not: so a message comes back as a new one, with a new UID (the old
 * one must never mean anything again, RFC 3501 2.3.1.1), dated by its file, and without flags.  What
 * must stay true: nothing comes back twice, and nothing that was only moved.  Called by main; whatever
 * has been put is told, also when stored goes in between. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "daemon/program.h"
#include "message/message.h"
#include "put.h"

struct gone {
	uint64_t mailbox, emailid;
	uint32_t uid;
};
struct undeleting {
	struct asking ask;
	struct store_reader *reader;
	struct store_view *view;
	struct put put;
	const char *account, *folder, *to;
	bool dry, json, quiet, all;
	int64_t since; /* unix seconds */
	uint64_t id;   /* of the account */
	uint64_t restored, bytes, there, elsewhere, purged, homeless, failed;
};

/* ---- what is gone --------------------------------------------------------------------------- */

static int
gone_cmp(const void *a, const void *b)
{
	const struct gone *x = a, *y = b;

	return x->mailbox != y->mailbox ? (x->mailbox < y->mailbox ? -1 : 1) :
					  (x->uid > y->uid) - (x->uid < y->uid);
}

static void
gone_add(struct buf *to, uint64_t mailbox, struct store_gone g)
{
	for (uint32_t uid = g.first; uid >= g.first && uid <= g.last; uid++) {
		const struct gone one = { mailbox, g.emailid ? g.emailid + uid - g.first : 0, uid };

		buf_add(to, &one, sizeof(one));
	}
}

static void
gone_find(struct undeleting *u, struct buf *to)
{
	struct store_change_walk c = { .account = u->id };

	if (store_begin(u->view) < 0)
		exit(EX_OSERR);
	while (store_change_next(u->view, &c))
		for (size_t i = 0; c.kind == STORE_CHANGE_GONE && i < c.count; i++)
			if (c.at >= u->since)
				gone_add(to, c.mailbox, store_change_gone(&c, i));
	store_end(u->view);
	if (to->n)
		qsort(to->p, to->n / sizeof(struct gone), sizeof(struct gone), gone_cmp);
}

/* Is the content in a folder of the account now?  Then it was moved, or there is a copy. */
static bool
gone_is_elsewhere(struct undeleting *u, const struct gone *g)
{
	struct store_place p = { .emailid = g->emailid };
	struct store_mailbox m;
	bool found = false;

	if (u->all || !g->emailid)
		return false;
	if (store_begin(u->view) < 0)
		exit(EX_OSERR);
	while (!found && store_email_next(u->view, &p))
		found = store_get_mailbox(u->view, p.mailbox, &m) == 0 && m.account == u->id;
	store_end(u->view);
	return found;
}

/* ---- back ----------------------------------------------------------------------------------------- */

/* 0, or an exit code: the run is over. */
static int
undelete_one(struct undeleting *u, struct have *have, const struct gone *g)
{
	struct put_meta meta = { 0 };
	struct message m;
	struct stat st;
	uint32_t crc;
	int rc;

	if (gone_is_elsewhere(u, g)) {
		u->elsewhere++;
		return 0;
	}
	message_init(&m, slice(NULL, 0));
	rc = message_open(&m, u->view, g->mailbox, g->uid);
	if (rc == 0 && (rc = fstat(m.fd, &st) < 0 ? -errno : message_map(&m)) == 0) {
		crc = crc32c(0, message_bytes(&m).p, message_bytes(&m).n);
		meta.internaldate = st.st_mtime;
		if (message_is_cut(&m))
			rc = -EIO;
		else if (have_take(have, message_bytes(&m), crc))
			u->there++;
		else {
			u->restored++;
			u->bytes += message_bytes(&m).n;
			rc = u->dry ? 0 : put_message(&u->put, message_bytes(&m), crc, &meta);
		}
	}
	message_close(&m);
	if (rc == -ENOENT)
		u->purged++;
	else if (rc < 0) {
		fprintf(stderr, "storectl: %s: mailbox %llx, UID %u: %s\n", u->account,
		    (unsigned long long)g->mailbox, g->uid, strerror(-rc));
		u->failed++;
	}
	return rc > 0 ? rc : 0;
}

static void
undelete_told(struct undeleting *u, const char *folder, uint64_t messages, uint64_t bytes)
{
	struct buf b = { 0 };

	if (messages == 0)
		return;
	if (u->json) {
		buf_char(&b, '{');
		json_put_cstr(&b, "account", u->account);
		json_put_cstr(&b, "folder", folder);
		json_put_i64(&b, "messages", (int64_t)messages);
		json_put_i64(&b, "bytes", (int64_t)bytes);
		buf_lit(&b, "}\n");
	} else if (!u->quiet)
		buf_printf(&b, "%s\t%s\t%llu\t%llu\n", u->account, folder,
		    (unsigned long long)messages, (unsigned long long)bytes);
	storectl_say(&b);
	buf_fini(&b);
	if (!u->dry)
		log_event(LOG_INFO, "undeleted", "account=%s folder=%s count=%llu bytes=%llu",
		    log_str(u->account), log_str(folder), (unsigned long long)messages,
		    (unsigned long long)bytes);
}

/* The folder that the messages of a mailbox go to: false when there is none, or another was wanted. */
static bool
undelete_target(struct undeleting *u, uint64_t mailbox, char *name, uint64_t *to, int *rc)
{
	struct store_mailbox m;
	bool there, wanted;

	if (store_begin(u->view) < 0)
		exit(EX_OSERR);
	there = store_get_mailbox(u->view, mailbox, &m) == 0 && m.account == u->id;
	wanted = !*u->folder || (there && slice_eq(m.name, slice_str(u->folder)));
	if (there)
		slice_cstr(m.name, name, STORE_NAME_MAX + 1);
	store_end(u->view);
	*to = mailbox;
	if (!wanted)
		return false;
	if (*u->to) {
		strcpy(name, u->to);
		if (u->dry)
			*to = 0;
		else
			*rc = put_target(&u->ask, u->view, u->id, slice_str(u->to), to);
		return *rc == 0;
	}
	return there;
}

/* All messages that are gone from one mailbox. */
static int
undelete_mailbox(struct undeleting *u, const struct gone *g, size_t n)
{
	uint64_t before = u->restored, bytes = u->bytes, to;
	char name[STORE_NAME_MAX + 1] = "";
	struct have have = { 0 };
	int rc = 0;

	if (!undelete_target(u, g->mailbox, name, &to, &rc)) {
		u->homeless += !*name && !*u->folder ? n : 0;
		return rc;
	}
	if (have_load(&have, u->view, to) < 0)
		exit(EX_OSERR);
	put_folder(&u->put, to, name);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = undelete_one(u, &have, &g[i]);
	if (rc == 0)
		rc = put_flush(&u->put);
	if (rc) { /* what is on disk is known */
		u->restored = u->put.messages;
		u->bytes = u->put.bytes_put;
	}
	undelete_told(u, name, u->restored - before, u->bytes - bytes);
	have_fini(&have);
	return rc;
}

static void
undelete_summary(const struct undeleting *u)
{
	struct buf b = { 0 };

	if (u->json) {
		buf_str(&b, "{\"summary\":true");
		json_put_i64(&b, "restored", (int64_t)u->restored);
		json_put_i64(&b, "bytes", (int64_t)u->bytes);
		json_put_i64(&b, "there", (int64_t)u->there);
		json_put_i64(&b, "elsewhere", (int64_t)u->elsewhere);
		json_put_i64(&b, "purged", (int64_t)u->purged);
		json_put_i64(&b, "homeless", (int64_t)u->homeless);
		json_put_i64(&b, "failed", (int64_t)u->failed);
		buf_lit(&b, "}\n");
	} else if (!u->quiet)
		buf_printf(&b,
		    "%s: %llu messages %s back, %llu bytes; %llu are there already, %llu in "
		    "another "
		    "folder, %llu purged, %llu of deleted folders, %llu unreadable\n",
		    u->account, (unsigned long long)u->restored, u->dry ? "would come" : "are",
		    (unsigned long long)u->bytes, (unsigned long long)u->there,
		    (unsigned long long)u->elsewhere, (unsigned long long)u->purged,
		    (unsigned long long)u->homeless, (unsigned long long)u->failed);
	storectl_say(&b);
	buf_fini(&b);
}

/* ---- the account ------------------------------------------------------------------------------------ */

static int
undelete_run(struct undeleting *u)
{
	const struct gone *g;
	struct buf all = { 0 };
	size_t n;
	char partition[PARTITION_ROOM];
	int rc = storectl_account_find(u->account, &u->reader, &u->view, &u->id, partition);

	if (rc)
		return rc;
	log_level(LOG_INFO);
	if (!u->dry)
		asking_open(&u->ask);
	put_open(&u->put, &u->ask, u->view, partition);
	gone_find(u, &all);
	g = (const void *)all.p;
	n = all.n / sizeof(*g);
	for (size_t i = 0, same; i < n && rc == 0; i += same) {
		for (same = 1; i + same < n && g[i + same].mailbox == g[i].mailbox; same++)
			;
		rc = undelete_mailbox(u, g + i, same);
	}
	undelete_summary(u);
	buf_fini(&all);
	if (!u->dry) {
		put_close(&u->put);
		asking_close(&u->ask);
	}
	store_view_free(&u->view);
	store_reader_close(&u->reader);
	return rc ? rc : u->failed ? 1 : 0;
}

int
storectl_undelete(int argc, char **argv, bool quiet)
{
	static const struct option longs[] = { { "dry-run", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' }, { "all", no_argument, NULL, 'a' },
		{ "folder", required_argument, NULL, 'f' }, { "to", required_argument, NULL, 't' },
		{ "within", required_argument, NULL, 'w' }, { 0 } };
	struct undeleting u = { .quiet = quiet, .folder = "", .to = "" };
	char to[STORE_NAME_MAX + 1];
	int64_t ms;

	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "njaf:t:w:", longs, NULL)) >= 0;)
		if (c == 'n')
			u.dry = true;
		else if (c == 'j')
			u.json = true;
		else if (c == 'a')
			u.all = true;
		else if (c == 'f')
			u.folder = optarg;
		else if (c == 't' && store_name_check(slice_str(optarg), to) == 0)
			u.to = to;
		else if (c == 'w' && conf_parse_time(slice_str(optarg), &ms) == 0)
			u.since = clock_now() - ms / 1000;
		else
			return program_usage();
	if (argc - optind != 1)
		return program_usage();
	u.account = argv[optind];
	return undelete_run(&u);
}
