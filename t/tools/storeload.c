/* storeload: deliveries into stored, as fast as it takes them, for benches and crash tests.
 *
 *	storeload load SOCKET MESSAGES USERS INFLIGHT SIZE RECIPIENTS SEED   acknowledgements on stdout
 *	storeload verify PARTITION                      reads those lines, looks for each message
 *	storeload dump PARTITION                        all that the index and the files say
 *
 * A message whose answer is temporary is sent again under the same duplicate key, as
 * channel-master would.  An acknowledgement is `account mailbox uid number`; uid 0 means that
 * stored had it already. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/client.h"
#include "store/read.h"
#include "store/thread.h"

#define RCPT_MAX 100

static struct loop loop;
static struct store_client *client;
static unsigned long messages, users, inflight, size, recipients, next_number, finished, retries,
    seed;
static char *filler;

struct slot {
	struct op op;
	struct timer timer;
	struct store_body body;
	unsigned long number;
	bool done[RCPT_MAX];
};

static void deliver(struct slot *s);

static char *
account_of(const struct slot *s, unsigned long i, char name[64])
{
	snprintf(name, 64, "user%04lu@example.test", (s->number * recipients + i) % users + 1);
	return name;
}

static void
next(struct slot *s)
{
	if (next_number == messages)
		return;
	s->number = next_number++;
	memset(s->done, 0, sizeof(s->done));
	deliver(s);
}

static void
on_timer(struct timer *t)
{
	deliver(CONTAINER(t, struct slot, timer));
}

static void
again(struct slot *s)
{
	retries++;
	timer_start(&s->timer, 20, 0);
}

static void
on_delivered(void *arg, const struct store_reply *r)
{
	struct slot *s = arg;
	size_t k = 0;
	bool all = true;

	for (unsigned long i = 0; i < recipients; i++) {
		const struct store_result *res;
		char name[64];

		if (s->done[i])
			continue;
		res = r->verdict.kind == OK && k < r->nresults ? &r->results[k++] : NULL;
		if (!res || res->verdict.kind == TEMP) {
			all = false;
			continue;
		}
		s->done[i] = true;
		if (res->verdict.kind == OK)
			printf("%s %llx %u %lu\n", account_of(s, i, name),
			    (unsigned long long)res->mailbox, res->uid, s->number);
	}
	if (!all) {
		again(s);
		return;
	}
	if (++finished == messages)
		loop_stop(&loop);
	else
		next(s);
}

/* What stands for a digest: each message of a user but every fifth answers the one before it, and every tenth names
 * one that never comes. */
static struct slice
cache_of(const struct slot *s, struct buf *b)
{
	unsigned long turn = s->number / users;
	struct store_refs refs = { .subject = 1 };
	char id[64];

	snprintf(id, sizeof(id), "%lu-%lu", seed, s->number);
	refs.id = store_ref_hash(slice_str(id));
	if (turn % 10 == 9) {
		snprintf(id, sizeof(id), "%lu-%lu-none", seed, s->number);
		store_refs_add(&refs, store_ref_hash(slice_str(id)));
	}
	if (turn % 5) {
		snprintf(id, sizeof(id), "%lu-%lu", seed, s->number - users);
		store_refs_add(&refs, store_ref_hash(slice_str(id)));
	}
	buf_add(b, filler, size < 700 ? size : 700);
	store_refs_write(b, &refs);
	return buf_get(b);
}

static void
send_body(struct slot *s)
{
	struct store_target t[RCPT_MAX];
	char names[RCPT_MAX][64], key[64];
	size_t n = 0;
	int len = snprintf(filler, 64, "Subject: number %lu\r\n", s->number);
	struct store_message m = { .body = &s->body, .size = (uint32_t)size };
	static struct buf cache;

	filler[len] = 'x';
	buf_clear(&cache);
	m.cache = cache_of(s, &cache);
	if (write(s->body.fd, filler, size) != (ssize_t)size) {
		store_body_put(client, &s->body);
		again(s);
		return;
	}
	snprintf(key, sizeof(key), "%lu-%lu", seed, s->number);
	for (unsigned long i = 0; i < recipients; i++) {
		if (s->done[i])
			continue;
		t[n] = (struct store_target){ .account = slice_str(account_of(s, i, names[n])) };
		store_dup_key(slice_str(key), t[n].account, t[n].dup);
		n++;
	}
	store_deliver_start(client, &m, t, n, &s->op, on_delivered, s);
}

static void
on_body(void *arg, const struct store_reply *r)
{
	struct slot *s = arg;

	if (r->verdict.kind == OK)
		send_body(s);
	else
		again(s);
}

static void
deliver(struct slot *s)
{
	if (store_body_take(client, S(""), &s->body) == 0)
		send_body(s);
	else
		store_body_start(client, S(""), &s->body, &s->op, on_body, s);
}

static int
load(char **arg)
{
	struct slot *slots;
	uint64_t began;
	double took;

	messages = strtoul(arg[1], NULL, 10);
	users = strtoul(arg[2], NULL, 10);
	inflight = strtoul(arg[3], NULL, 10);
	size = strtoul(arg[4], NULL, 10);
	recipients = strtoul(arg[5], NULL, 10);
	seed = strtoul(arg[6], NULL, 10);
	if (!messages || !users || !inflight || size < 64 || !recipients || recipients > RCPT_MAX)
		return 2;
	filler = mem_new(size + 64);
	memset(filler, 'x', size);
	loop_init(&loop);
	client = store_client_new(&loop, arg[0], "storeload");
	slots = mem_array(inflight, sizeof(*slots));
	began = clock_mono_us();
	for (unsigned long i = 0; i < inflight; i++) {
		timer_init(&slots[i].timer, &loop, on_timer);
		next(&slots[i]);
	}
	loop_run(&loop);
	took = (double)(clock_mono_us() - began) / 1e6;
	fprintf(stderr,
	    "%lu messages, %lu recipients each: %.2f s, %.0f messages/s, %.0f deliveries/s, "
	    "%lu retries\n",
	    messages, recipients, took, (double)messages / took,
	    (double)(messages * recipients) / took, retries);
	return fflush(stdout) == 0 ? 0 : 1;
}

/* Every acknowledged message is in the mailbox, under its uid, whole. */
static int
verify(const char *partition)
{
	struct store_reader *r;
	struct store_view *v;
	char *why = NULL, line[300];
	unsigned long n = 0, bad = 0;

	if (store_reader_open(partition, &r, &why) < 0) {
		fprintf(stderr, "%s\n", why);
		return 2;
	}
	v = store_view_new(r);
	while (fgets(line, sizeof(line), stdin)) {
		char name[64], want[64], text[64] = "";
		unsigned long long mailbox;
		unsigned long number;
		unsigned uid;
		int fd;

		if (sscanf(line, "%63s %llx %u %lu", name, &mailbox, &uid, &number) != 4)
			continue; /* a line that was cut off */
		n++;
		if (uid == 0)
			continue;
		snprintf(want, sizeof(want), "Subject: number %lu\r\n", number);
		if (store_begin(v) < 0 || !store_get_record(v, mailbox, uid)) {
			printf("%s: uid %u is not in the index\n", name, uid);
			bad++;
		}
		store_end(v);
		fd = store_open_message(v, mailbox, uid);
		if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0 ||
		    strncmp(text, want, strlen(want)) != 0) {
			printf("%s: uid %u is not number %lu\n", name, uid, number);
			bad++;
		}
		if (fd >= 0)
			close(fd);
	}
	printf("%lu acknowledged, %lu not there\n", n, bad);
	store_view_free(&v);
	store_reader_close(&r);
	return bad ? 1 : 0;
}

/* ---- dump --------------------------------------------------------------------------------------- */

/* CRC-32C of a message's file; -1: it cannot be read. */
static long long
file_crc(struct store_view *v, uint64_t mailbox, uint32_t uid)
{
	int fd = store_open_message(v, mailbox, uid);
	uint32_t crc = 0;
	char bytes[65536];
	ssize_t n = -1;

	while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0)
		crc = crc32c(crc, bytes, (size_t)n);
	if (fd >= 0)
		close(fd);
	return n < 0 ? -1 : (long long)crc;
}

#define READER      "reader@store.test" /* of everybody's mailboxes */
#define READER_SEEN 0x4000              /* a flag: he has seen it */

/* The records, and what the reader has seen of them; they are copied out: no snapshot is kept while files are read.  The
 * mailbox is as the reader has it, whose modseq is the larger one. */
static bool
dump_records(struct store_view *v, uint64_t id, struct store_mailbox *m, struct buf *list)
{
	const struct store_record *rec;
	struct store_record *all;
	struct store_blocks b;
	size_t n, at = 0;

	if (store_refresh(v) < 0)
		return false;
	store_blocks_init(&b, v, id, 1, UINT32_MAX);
	while ((rec = store_blocks_next(&b, &n)))
		buf_add(list, rec, n * sizeof(*rec));
	store_end(v);
	if (store_begin_as(v, S(READER)) < 0 || store_get_mailbox(v, id, m) < 0)
		return false;
	all = (void *)list->p;
	store_blocks_init(&b, v, id, 1, UINT32_MAX);
	while ((rec = store_blocks_next(&b, &n)))
		for (size_t i = 0; i < n && at < list->n / sizeof(*all); i++, at++)
			if (rec[i].uid == all[at].uid && rec[i].flags & STORE_SEEN)
				all[at].flags |= READER_SEEN;
	return true;
}

static void
dump_folder(struct store_view *v, uint64_t id, struct slice account, struct slice name)
{
	struct buf list = { 0 };
	struct store_mailbox m;

	if (!dump_records(v, id, &m, &list)) {
		buf_fini(&list);
		return;
	}
	printf("folder " SFMT " " SFMT " %llx %u %u %llu\n", SARG(account), SARG(name),
	    (unsigned long long)id, m.uidvalidity, m.uidnext, (unsigned long long)m.highestmodseq);
	store_end(v);
	for (size_t at = 0; at < list.n; at += sizeof(struct store_record)) {
		struct store_record r;

		memcpy(&r, list.p + at, sizeof(r));
		printf("message %u %u %llu %lld\n", r.uid, r.flags, (unsigned long long)r.modseq,
		    file_crc(v, id, r.uid));
	}
	buf_fini(&list);
}

static int
dump(const char *partition)
{
	struct store_reader *r;
	struct store_view *v;
	struct store_account a;
	char *why = NULL, account[STORE_ACCOUNT_MAX + 1] = "", name[STORE_NAME_MAX + 1];
	struct slice next = { 0 };

	if (store_reader_open(partition, &r, &why) < 0) {
		fprintf(stderr, "%s\n", why);
		return 2;
	}
	v = store_view_new(r);
	while (store_refresh(v) == 0 && store_next_account(v, &next, &a)) {
		struct store_folder f = { .account = a.id };

		slice_cstr(next, account, sizeof(account));
		next = slice_str(account);
		while (store_next_folder(v, &f)) {
			slice_cstr(f.name, name, sizeof(name));
			f.name = slice_str(name);
			dump_folder(v, f.mailbox, next, f.name);
			if (store_refresh(v) < 0)
				break;
		}
	}
	store_view_free(&v);
	store_reader_close(&r);
	return fflush(stdout) == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	log_init("storeload", LOG_TO_STDERR, LOG_ERROR);
	if (argc == 9 && strcmp(argv[1], "load") == 0)
		return load(argv + 2);
	if (argc == 3 && strcmp(argv[1], "verify") == 0)
		return verify(argv[2]);
	if (argc == 3 && strcmp(argv[1], "dump") == 0)
		return dump(argv[2]);
	fprintf(stderr,
	    "usage: storeload load SOCKET MESSAGES USERS INFLIGHT SIZE RECIPIENTS SEED\n"
	    "       storeload verify PARTITION\n"
	    "       storeload dump PARTITION\n");
	return 2;
}
