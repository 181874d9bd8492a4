/* storectl rethread: the mail that accounts had before threads were kept joins them.
 *
 * stored, which parses no mail, puts into threads what comes; what is there is read here, from the digests and,
 * where these do not say, from the files' headers, and given to stored some messages at a time, so that others wait
 * for milliseconds.  Without an account, those are taken that have not been through yet; so a run that was stopped goes
 * on.  What comes meanwhile is in threads already, and joins or is joined.  A message that cannot be read stays
 * alone and is told; its account is done all the same, for it may never be read again. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "account.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "message/message.h"
#include "message/refs.h"

#define SOME 256 /* messages in a request: some milliseconds of the writer */

struct rethread_run {
	const char *account; /* "" = those that need it */
	bool json, dry, quiet;
	struct asking ask;
	uint64_t met;
	bool failed;
	/* of the account in hand */
	struct store_view *view;
	uint64_t messages, joined, unread;
	struct store_message m[SOME];
	struct buf refs[SOME];
	size_t n;
};

/* ---- messages -------------------------------------------------------------------------------- */

/* From the file.  Ends the snapshot. */
static int
refs_of_file(struct rethread_run *r, uint64_t mailbox, uint32_t uid, struct store_refs *refs)
{
	struct message m;
	int rc;

	message_init(&m, slice(NULL, 0));
	rc = message_open(&m, r->view, mailbox, uid);
	if (rc == 0)
		rc = message_map(&m);
	if (rc == 0) {
		message_refs_header(message_bytes(&m), refs);
		rc = message_is_cut(&m) ? -EIO : 0;
	}
	message_close(&m);
	return rc;
}

/* Asks stored for those in hand.  An exit code. */
static int
rethread_flush(struct rethread_run *r, uint64_t mailbox)
{
	if (r->n == 0)
		return 0;
	store_end(r->view);
	store_rethread_start(r->ask.client, mailbox, r->m, r->n, &r->ask.op, asking_done, &r->ask);
	r->n = 0;
	if (!asking_try(&r->ask)) {
		if (r->ask.reply.code == STORE_NOMAILBOX) /* deleted meanwhile */
			return 0;
		fprintf(stderr, "storectl: %s\n", r->ask.reply.verdict.text);
		return asking_code(&r->ask);
	}
	r->joined += r->ask.reply.uid;
	return 0;
}

static int
rethread_message(struct rethread_run *r, uint64_t mailbox, uint32_t uid, uint64_t emailid)
{
	struct store_refs refs;
	int rc = message_refs_record(store_get_cache(r->view, emailid), &refs);

	if (rc < 0)
		rc = refs_of_file(r, mailbox, uid, &refs);
	if (rc < 0 && rc != -ENOENT) {
		fprintf(stderr, "storectl: mailbox %llx: uid %u cannot be read: %s\n",
		    (unsigned long long)mailbox, uid, strerror(-rc));
		r->unread++;
	}
	if (rc < 0)
		return 0;
	r->messages++;
	buf_clear(&r->refs[r->n]);
	store_refs_write(&r->refs[r->n], &refs);
	r->m[r->n] = (struct store_message){ .uid = uid, .cache = buf_get(&r->refs[r->n]) };
	return ++r->n == SOME ? rethread_flush(r, mailbox) : 0;
}

/* ---- folders --------------------------------------------------------------------------------- */

static void
rethread_look(struct rethread_run *r)
{
	if (store_refresh(r->view) < 0)
		exit(EX_OSERR);
}

/* The messages of the next block, from *uid on; n = 0: there is none. */
static size_t
rethread_block(struct rethread_run *r, uint64_t mailbox, uint32_t *uid,
    struct store_record room[STORE_BLOCK])
{
	const struct store_record *rec;
	struct store_blocks b;
	size_t n = 0;

	rethread_look(r);
	store_blocks_init(&b, r->view, mailbox, *uid, UINT32_MAX);
	b.parts = STORE_RECORDS;
	rec = store_blocks_next(&b, &n);
	if (!rec)
		return 0;
	memcpy(room, rec, n * sizeof(*rec));
	*uid = room[n - 1].uid + 1;
	return n;
}

static int
rethread_folder(struct rethread_run *r, uint64_t mailbox)
{
	struct store_record room[STORE_BLOCK];
	uint32_t uid = 1;
	size_t n;
	int rc = 0;

	while (rc == 0 && (n = rethread_block(r, mailbox, &uid, room)) > 0)
		for (size_t i = 0; i < n && rc == 0; i++) {
			rethread_look(r);
			rc = rethread_message(r, mailbox, room[i].uid, room[i].emailid);
		}
	if (rc == 0)
		rc = rethread_flush(r, mailbox);
	store_end(r->view);
	return rc;
}

static int
rethread_folders(struct rethread_run *r, uint64_t account)
{
	struct store_folder f = { .account = account };
	struct buf name = { 0 };
	uint64_t inbox = 0;
	int rc = 0;

	rethread_look(r);
	while (rc == 0 && store_next_folder(r->view, &f)) {
		uint64_t mailbox = f.mailbox;

		buf_clear(&name);
		buf_slice(&name, f.name);
		if (slice_eq(f.name, S("INBOX")))
			inbox = mailbox;
		if (mailbox)
			rc = rethread_folder(r, mailbox);
		rethread_look(r);
		f.name = buf_get(&name);
	}
	store_end(r->view);
	if (rc == 0 && inbox) { /* the end: nobody's state of before is good */
		store_rethread_start(r->ask.client, inbox, NULL, 0, &r->ask.op, asking_done,
		    &r->ask);
		if (!asking_try(&r->ask)) {
			fprintf(stderr, "storectl: %s\n", r->ask.reply.verdict.text);
			rc = asking_code(&r->ask);
		}
	}
	buf_fini(&name);
	return rc;
}

/* ---- accounts -------------------------------------------------------------------------------- */

static void
rethread_say(const struct rethread_run *r, struct slice name)
{
	struct buf b = { 0 };

	if (r->json) {
		buf_char(&b, '{');
		json_put_str(&b, "account", name);
		json_put_i64(&b, "messages", (int64_t)r->messages);
		json_put_i64(&b, "joined", (int64_t)r->joined);
		json_put_i64(&b, "unreadable", (int64_t)r->unread);
		buf_lit(&b, "}\n");
	} else if (r->dry)
		buf_printf(&b, SFMT ": to be done, %llu messages\n", SARG(name),
		    (unsigned long long)r->messages);
	else if (!r->quiet)
		buf_printf(&b, SFMT ": %llu messages, %llu joined a thread\n", SARG(name),
		    (unsigned long long)r->messages, (unsigned long long)r->joined);
	if (b.n)
		storectl_say(&b);
	buf_fini(&b);
}

static int
rethread_in(struct rethread_run *r, const char *name)
{
	char partition[PARTITION_ROOM];
	struct store_reader *reader;
	uint64_t id;
	int rc = storectl_account_find(name, &reader, &r->view, &id, partition);

	if (rc)
		return rc;
	rc = rethread_folders(r, id);
	store_view_free(&r->view);
	store_reader_close(&reader);
	return rc;
}

static int
rethread_each(void *arg, const char *partition UNUSED, struct slice name,
    const struct store_account *a)
{
	struct rethread_run *r = arg;
	char account[STORE_ACCOUNT_MAX + 1];
	int rc = 0;

	if (*r->account ? !slice_eq(name, slice_str(r->account)) : a->threads_at || a->moved_at)
		return 0;
	r->met++;
	r->messages = r->joined = r->unread = 0;
	slice_cstr(name, account, sizeof(account));
	if (r->dry)
		r->messages = a->messages;
	else
		rc = rethread_in(r, account);
	r->failed |= rc != 0 || r->unread > 0;
	if (rc == 0 && !r->dry)
		log_event(LOG_INFO, "rethreaded",
		    "account=%s messages=%llu joined=%llu failed=%llu", log_str(account),
		    (unsigned long long)r->messages, (unsigned long long)r->joined,
		    (unsigned long long)r->unread);
	if (rc == 0)
		rethread_say(r, slice_str(account));
	/* What is wrong with one account must not keep the others from it. */
	return *r->account || rc == EX_UNAVAILABLE ? rc : 0;
}

static int
rethread_all(struct rethread_run *r)
{
	int rc;

	if (!r->dry)
		asking_open(&r->ask);
	rc = account_walk(rethread_each, r);
	if (!r->dry)
		asking_close(&r->ask);
	if (rc == 0 && *r->account && !r->met) {
		fprintf(stderr, "storectl: %s: no such account\n", r->account);
		rc = EX_NOUSER;
	}
	for (size_t i = 0; i < SOME; i++)
		buf_fini(&r->refs[i]);
	return rc == 0 && r->failed ? 1 : rc;
}

int
storectl_rethread(int argc, char **argv, bool quiet)
{
	static const struct option longs[] = { { "dry-run", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' }, { 0 } };
	struct rethread_run *r = mem_new(sizeof(*r));
	int rc;

	r->quiet = quiet;
	r->account = "";
	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "nj", longs, NULL)) >= 0;)
		if (c == 'n')
			r->dry = true;
		else if (c == 'j')
			r->json = true;
		else
			return program_usage();
	if (argc - optind > 1)
		return program_usage();
	if (argc > optind)
		r->account = argv[optind];
	rc = rethread_all(r);
	mem_free(&r);
	return rc;
}
