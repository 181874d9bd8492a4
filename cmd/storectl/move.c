/* storectl move: an account goes to another host, while it is in use; see storectl(8).
 *
 * Owns the steps and their order.  move-copy.c has the copies, which go to storectl-serve(8) of the other host by TLS;
 * account-entry.c asks the directory where the mailbox is.
 *
 *	hold	stored lets nobody else move it
 *	copy	all, then what has changed, until that is little
 *	freeze	stored refuses changes; the last of them is copied, both sides' totals are compared
 *	mark	stored refuses them for good
 *	switch	mailHost in the directory, if it is what it was
 *	tell	the daemons of both hosts forget what they know; sessions end, and come again there
 *
 * Must stay true: the mailbox is whole on one host whenever this ends, and mailHost names that one.  Before the mark
 * what has been frozen thaws with our connection, and the other host's copy is nobody's; behind it the copy is
 * complete, and another run goes on with the switch, when the provider says that it has not been made, and the other
 * host that the copy is still there.  The mark stays until the account is deleted, so that mail which
 * still comes here, by what others remember, waits in their queues and follows. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "daemon/program.h"
#include "directory/filter.h"
#include "directory/modify.h"
#include "move.h"

#define SEEN_MS 10000 /* for a change to be seen at the servers that are asked */

/* ---- stored ------------------------------------------------------------------------------------ */

int
move_freeze(struct move *m, enum store_freeze how)
{
	store_freeze_start(m->ask.client, m->id, how, &m->ask.op, asking_done, &m->ask);
	if (asking_try(&m->ask)) {
		m->totals = (struct move_totals){ m->ask.reply.messages, m->ask.reply.bytes };
		if (how == STORE_FROZEN)
			m->frozen_at = clock_mono_ms();
		return 0;
	}
	fprintf(stderr, "storectl: %s: %s\n", m->account, m->ask.reply.verdict.text);
	return m->ask.reply.code == STORE_CANNOT ? EX_TEMPFAIL : asking_code(&m->ask);
}

/* ---- the directory ----------------------------------------------------------------------------- */

struct move_switch {
	struct loop *loop;
	enum dir_modify_result result;
	char why[256];
};

static void
switch_done(void *arg, const struct dir_modified *d)
{
	struct move_switch *s = arg;

	s->result = d->result;
	slice_cstr(slice_str(d->why), s->why, sizeof(s->why));
	loop_stop(s->loop);
}

/* What asks whether mailHost is this; heap. */
static char *
switch_assertion(const char *mailhost)
{
	struct buf b = { 0 };

	if (mailhost)
		dir_filter_equal(&b, "mailHost", slice_str(mailhost), S(""));
	else
		buf_lit(&b, "(!(mailHost=*))");
	return buf_take(&b);
}

/* mailHost becomes `to` if it is `from`; NULL = none. */
static void
switch_ask(struct move *m, const char *dn, const char *from, const char *to, struct move_switch *s)
{
	const struct slice value = slice_str(to ? to : "");
	const struct dir_change change = { DIR_REPLACE, "mailHost", &value, to ? 1 : 0 };
	char *assertion = switch_assertion(from);
	const struct dir_modify what = { .dn = slice_str(dn),
		.changes = &change,
		.nchanges = 1,
		.assertion = assertion };
	struct dir *dir = dir_new(&m->ask.loop);
	struct dir_writer *w = dir_writer_new(dir, m->dn, m->password);
	struct op op = { 0 };

	*s = (struct move_switch){ .loop = &m->ask.loop, .result = DIR_MODIFY_AWAY };
	dir_modify_start(w, &what, &op, switch_done, s);
	loop_run(&m->ask.loop);
	dir_writer_free(&w);
	dir_free(&dir);
	mem_free(&assertion);
}

/* Where it is, as the provider says, whom a change that changes nothing has to reach: what is read may be
 * of a replica that is behind.  1: as it was found, here; 0: at the other host; or -1 after saying why. */
static int
switch_is_here(struct move *m, const struct account_entry *e)
{
	struct move_switch s;

	switch_ask(m, e->dn, e->mailhost, e->mailhost, &s);
	if (s.result == DIR_MODIFIED)
		return 1;
	if (s.result == DIR_ASSERTION_FAILED) {
		switch_ask(m, e->dn, m->host, m->host, &s);
		if (s.result == DIR_MODIFIED)
			return 0;
	}
	fprintf(stderr, "storectl: %s: where its mailHost is cannot be made sure: %s\n", m->account,
	    s.result == DIR_ASSERTION_FAILED ? "it is neither of the two hosts" : s.why);
	return -1;
}

/* Has the directory the account at the other host?  Waits, when servers that are asked are behind; false also when
 * they do not say. */
static bool
switch_is_seen(struct move *m)
{
	uint64_t until = clock_mono_ms() + SEEN_MS;
	const struct timespec pause = { 0, 100000000 };
	bool seen = false;

	do {
		struct account_entry e;

		seen = account_entry_get(&m->ask.loop, m->account, &e) && e.mailhost &&
		    slice_ieq(slice_str(e.mailhost), slice_str(m->host));
		account_entry_fini(&e);
	} while (!seen && clock_mono_ms() < until && nanosleep(&pause, NULL) == 0);
	return seen;
}

/* It is known to be here.  0, or an exit code: then mailHost is as it was, and the mark is gone, or (EX_TEMPFAIL) it is
 * not known. */
static int
move_switch(struct move *m, const struct account_entry *e)
{
	struct move_switch s;

	switch_ask(m, e->dn, e->mailhost, m->host, &s);
	if (s.result == DIR_MODIFIED || (s.result == DIR_UNKNOWN && switch_is_seen(m)))
		return 0;
	if (s.result == DIR_UNKNOWN) {
		fprintf(stderr,
		    "storectl: %s: whether mailHost has been changed is not known (%s): run this "
		    "again\n",
		    m->account, s.why);
		return EX_TEMPFAIL;
	}
	fprintf(stderr, "storectl: %s: mailHost is not changed: %s; the mailbox stays here\n",
	    m->account, s.result == DIR_ASSERTION_FAILED ? "it is not what it was" : s.why);
	(void)move_freeze(m, STORE_THAWED);
	(void)move_drop(m);
	return s.result == DIR_DENIED ? EX_NOPERM : EX_UNAVAILABLE;
}

/* ---- the steps --------------------------------------------------------------------------------- */

static void
move_say(const struct move *m, uint64_t frozen_ms)
{
	struct buf b = { 0 };

	if (m->json) {
		buf_char(&b, '{');
		json_put_cstr(&b, "account", m->account);
		json_put_cstr(&b, "to", m->host);
		json_put_i64(&b, "messages", (int64_t)m->totals.messages);
		json_put_i64(&b, "bytes", (int64_t)m->totals.bytes);
		json_put_i64(&b, "passes", (int64_t)m->passes);
		json_put_i64(&b, "frozen_ms", (int64_t)frozen_ms);
		buf_lit(&b, "}\n");
	} else if (!m->quiet)
		buf_printf(&b,
		    "%s: moved to %s, %llu messages, %llu bytes, in %u passes; frozen for %llu "
		    "ms\n",
		    m->account, m->host, (unsigned long long)m->totals.messages,
		    (unsigned long long)m->totals.bytes, m->passes, (unsigned long long)frozen_ms);
	storectl_say(&b);
	buf_fini(&b);
	log_event(LOG_INFO, "moved",
	    "account=%s to=%s count=%llu bytes=%llu passes=%u frozen_ms=%llu", log_str(m->account),
	    log_str(m->host), (unsigned long long)m->totals.messages,
	    (unsigned long long)m->totals.bytes, m->passes, (unsigned long long)frozen_ms);
}

/* mailHost has been changed, now or by an earlier run. */
static int
move_tell(struct move *m)
{
	uint64_t frozen_ms = m->frozen_at ? clock_mono_ms() - m->frozen_at : 0;

	if (!switch_is_seen(m))
		fprintf(stderr,
		    "storectl: %s: the directory still shows the old mailHost: sessions come back "
		    "when it "
		    "does not\n",
		    m->account);
	account_forget(m->account);
	move_say(m, frozen_ms);
	return move_ask(m, "forget");
}

static int
move_from_the_start(struct move *m, const struct account_entry *e)
{
	int rc = move_copy(m);

	if (rc == 0 && (rc = move_freeze(m, STORE_MOVED)) != 0)
		(void)move_drop(m);
	return rc ? rc : move_switch(m, e);
}

/* An earlier run has marked it: whether it has come further is known by nobody but the provider, and whether it has taken
 * the copy back, because it was not told of the mark, by the other host. */
static int
move_go_on(struct move *m, const struct account_entry *e, const struct store_account *a)
{
	int rc, here = switch_is_here(m, e);
	bool whole;

	if (here <= 0)
		return here < 0 ? EX_TEMPFAIL : 0;
	if ((rc = move_whole(m, a, &whole)) != 0)
		return rc;
	m->totals = (struct move_totals){ a->messages, a->bytes };
	if (whole)
		return move_switch(m, e);
	rc = move_freeze(m, STORE_THAWED);
	return rc ? rc : move_from_the_start(m, e);
}

static int
move_here(struct move *m, const struct account_entry *e, const struct store_account *a)
{
	int rc = a->moved_at ? move_go_on(m, e, a) : move_from_the_start(m, e);

	return rc ? rc : move_tell(m);
}

/* The copy goes, and the account is in use here. */
static int
move_back(struct move *m, const struct account_entry *e, const struct store_account *a)
{
	int rc, here;

	if (a->moved_at && !m->dn) {
		fprintf(stderr,
		    "storectl: %s: it may have moved: -D and -y are needed to make sure\n",
		    m->account);
		return EX_USAGE;
	}
	if (a->moved_at && (here = switch_is_here(m, e)) <= 0) {
		if (here == 0)
			fprintf(stderr, "storectl: %s: its mailHost is %s, move it from there\n",
			    m->account, m->host);
		return here < 0 ? EX_TEMPFAIL : EX_DATAERR;
	}
	rc = move_drop(m);
	return rc || !a->moved_at ? rc : move_freeze(m, STORE_THAWED);
}

static int
move_run(struct move *m, const struct store_account *a)
{
	struct account_entry e;
	bool there;
	int rc;

	if (!account_entry_get(&m->ask.loop, m->account, &e))
		return EX_TEMPFAIL;
	there = e.mailhost && slice_ieq(slice_str(e.mailhost), slice_str(m->host));
	if (!e.there) {
		fprintf(stderr, "storectl: %s: the directory has no such account\n", m->account);
		rc = EX_NOUSER;
	} else if (e.mailhost && !there &&
	    !slice_ieq(slice_str(e.mailhost), slice_str(shared.hostname))) {
		fprintf(stderr, "storectl: %s: its mailHost is %s\n", m->account, e.mailhost);
		rc = EX_DATAERR;
	} else if (there && (m->back || !a->moved_at)) {
		fprintf(stderr, "storectl: %s: its mailHost is %s, %s\n", m->account, e.mailhost,
		    m->back ? "move it from there" : "and it was not this command that moved it");
		rc = EX_DATAERR;
	} else if (m->back)
		rc = move_back(m, &e, a);
	else
		rc = there ? move_tell(m) : move_here(m, &e, a);
	account_entry_fini(&e);
	return rc;
}

/* ---- the command line -------------------------------------------------------------------------- */

/* The first line; heap, or NULL after saying why. */
static char *
move_password(const char *path)
{
	char line[1024] = "";
	FILE *f = fopen(path, "re");

	if (!f || !fgets(line, sizeof(line), f)) {
		fprintf(stderr, "storectl: %s: no password can be read\n", path);
		if (f)
			fclose(f);
		return NULL;
	}
	fclose(f);
	line[strcspn(line, "\r\n")] = '\0';
	return mem_str(line);
}

static bool
move_host_ok(const char *host)
{
	return *host && !host[strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-")];
}

static int
move_opened(struct move *m)
{
	struct store_account a;
	int rc = storectl_account_find(m->account, &m->reader, &m->view, &m->id, m->here);

	if (rc)
		return rc;
	asking_open(&m->ask);
	if ((rc = move_freeze(m, STORE_HELD)) == 0) { /* from here on it is as we find it */
		if (store_begin(m->view) < 0 ||
		    store_find_account(m->view, slice_str(m->account), &a) < 0)
			exit(EX_OSERR);
		store_end(m->view);
		rc = move_run(m, &a);
	}
	asking_close(&m->ask); /* with it goes what is frozen for us */
	store_view_free(&m->view);
	store_reader_close(&m->reader);
	move_copy_fini(m);
	return rc;
}

int
storectl_move(int argc, char **argv, bool quiet)
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' },
		{ "back", no_argument, NULL, 'b' }, { "address", required_argument, NULL, 'A' },
		{ "port", required_argument, NULL, 'P' },
		{ "partition", required_argument, NULL, 'p' },
		{ "bind-dn", required_argument, NULL, 'D' },
		{ "password-file", required_argument, NULL, 'y' }, { 0 } };
	struct move m = { .quiet = quiet, .port = MOVE_PORT, .partition = "-" };
	const char *file = NULL;
	uint64_t port;
	int rc;

	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "A:bD:jp:P:y:", longs, NULL)) >= 0;)
		switch (c) {
		case 'A': m.address = optarg; break;
		case 'b': m.back = true; break;
		case 'D': m.dn = optarg; break;
		case 'j': m.json = true; break;
		case 'p': m.partition = optarg; break;
		case 'P':
			if (slice_u64(slice_str(optarg), 65535, &port) < 0)
				return program_usage();
			m.port = (int)port;
			break;
		case 'y': file = optarg; break;
		default: return program_usage();
		}
	if (argc - optind != 2 || !m.dn != !file || (!m.back && !m.dn))
		return program_usage();
	m.account = argv[optind];
	m.host = argv[optind + 1];
	m.address = m.address ? m.address : m.host;
	if (!move_host_ok(m.host) || slice_ieq(slice_str(m.host), slice_str(shared.hostname))) {
		fprintf(stderr, "storectl: %s: not the name, in lower case, of another host\n",
		    m.host);
		return EX_USAGE;
	}
	if (file && !(m.password = move_password(file)))
		return EX_NOINPUT;
	log_level(LOG_INFO);
	rc = move_opened(&m);
	mem_free(&m.password);
	return rc;
}
