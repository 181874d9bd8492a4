/* storectl receive: what a host that moves an account here asks, on standard input; storectl-serve(8) has the words.
 *
 *	take HOST ACCOUNT PARTITION	a stream (tiermail-backup(5)) follows, as which the account is to be then;
 *					"-": the default partition
 *	drop HOST ACCOUNT -		what has come of it goes
 *	has HOST ACCOUNT -		what there is of it
 *	forget HOST ACCOUNT -		its home is here now: what daemons know of it is old
 *	run w=WORD ...			no move: the command that an operator wants here (serve-run.c)
 *
 * HOST is whom the other side takes this host for: what will be in mailHost.
 *
 * What is found out is said in lines, the last of which is "end CODE", an exit code.  Must stay true: nothing is taken
 * or dropped of an account that the directory has on this host, so that no mailbox in use is ever changed, nor of one
 * that has mail and has neither come from another host (stored keeps that it comes, until it is at home) nor been moved to
 * one: the directory may be wrong, or have been changed without moving it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "account.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "restore.h"
#include "serve.h"

/* Not an octet more: the stream follows. */
static bool
receive_line(char *line, size_t room)
{
	for (size_t n = 0; n < room; n++) {
		ssize_t got;

		while ((got = read(STDIN_FILENO, line + n, 1)) < 0 && errno == EINTR)
			;
		if (got != 1)
			return false;
		if (line[n] == '\n') {
			line[n] = '\0';
			return true;
		}
	}
	return false;
}

/* Has the directory the account elsewhere?  0, or an exit code after saying why not. */
static int
receive_is_elsewhere(const char *account)
{
	struct account_entry e;
	struct loop loop;
	int rc = 0;

	loop_init(&loop);
	if (!account_entry_get(&loop, account, &e))
		rc = EX_TEMPFAIL;
	else if (!e.there) {
		fprintf(stderr, "storectl: %s: the directory has no such account\n", account);
		rc = EX_NOUSER;
	} else if (!e.mailhost || slice_ieq(slice_str(e.mailhost), slice_str(shared.hostname))) {
		fprintf(stderr, "storectl: %s: its mailHost is this host: nothing is changed\n",
		    account);
		rc = EX_NOPERM;
	}
	account_entry_fini(&e);
	loop_fini(&loop);
	return rc;
}

/* As it is now: 0, or an exit code after saying why. */
static int
receive_look(const char *account, struct store_account *a)
{
	char partition[PARTITION_ROOM];
	struct store_reader *r;
	struct store_view *v;
	uint64_t id;
	int rc = storectl_account_find(account, &r, &v, &id, partition);

	if (rc)
		return rc;
	if (store_begin(v) < 0 || store_find_account(v, slice_str(account), a) < 0)
		exit(EX_OSERR);
	store_end(v);
	store_view_free(&v);
	store_reader_close(&r);
	return 0;
}

/* What it has now, for who has sent it to compare. */
static int
receive_has(const char *account)
{
	struct store_account a;
	int rc = receive_look(account, &a);

	if (rc == 0)
		printf("has messages=%llu bytes=%llu folders=%u\n", (unsigned long long)a.messages,
		    (unsigned long long)a.bytes, a.mailboxes);
	return rc;
}

static int
receive_is_used(const char *account, const struct store_account *a)
{
	fprintf(stderr,
	    "storectl: %s: has %llu messages here, which are not a copy: rename or delete it "
	    "first\n",
	    account, (unsigned long long)a->messages);
	return EX_CANTCREAT;
}

/* COMING or COME. */
static int
receive_note(struct asking *ask, const char *account, uint64_t id, enum store_freeze how)
{
	store_freeze_start(ask->client, id, how, &ask->op, asking_done, ask);
	if (asking_try(ask))
		return 0;
	fprintf(stderr, "storectl: %s: %s\n", account, ask->reply.verdict.text);
	return ask->reply.code == STORE_CANNOT ? EX_CANTCREAT : asking_code(ask);
}

/* It is there, and a copy. */
static int
receive_coming(const char *account, const char *partition)
{
	struct store_reader *r;
	struct store_view *v;
	struct asking ask;
	uint64_t id;
	int rc = storectl_account_ready(account, partition, &ask, &r, &v, &id);

	if (rc)
		return rc;
	rc = receive_note(&ask, account, id, STORE_COMING);
	store_view_free(&v);
	store_reader_close(&r);
	asking_close(&ask);
	return rc;
}

static int
receive_take(const char *account, const char *partition)
{
	const struct restore_run run = { .account = account,
		.to = "",
		.partition = partition,
		.quiet = true,
		.exact = true };
	int rc = receive_is_elsewhere(account);

	if (rc == 0)
		rc = receive_coming(account, partition);
	if (rc == 0)
		rc = restore_stream(&run, "-");
	return rc ? rc : receive_has(account);
}

static int
receive_drop(const char *account)
{
	const struct account_run run = { .quiet = true };
	struct store_account a;
	struct asking ask;
	int rc = receive_is_elsewhere(account);

	if (rc || !storectl_account_is(account))
		return rc;
	if ((rc = receive_look(account, &a)) != 0)
		return rc;
	if (a.messages && !a.coming_at && !a.moved_at)
		return receive_is_used(account, &a);
	asking_open(&ask);
	rc = account_erase(&run, &ask, account, a.id);
	asking_close(&ask);
	return rc;
}

static int
receive_forget(const char *account)
{
	struct store_account a;
	struct asking ask;
	int rc = 0;

	account_forget(account);
	if (!storectl_account_is(account))
		return 0;
	if ((rc = receive_look(account, &a)) != 0 || !a.coming_at)
		return rc;
	asking_open(&ask);
	rc = receive_note(&ask, account, a.id, STORE_COME);
	asking_close(&ask);
	return rc;
}

int
storectl_receive(int argc UNUSED, char **argv UNUSED, bool quiet UNUSED)
{
	char line[SERVE_LINE], account[STORE_ACCOUNT_MAX + 1], partition[PARTITION_ROOM];
	struct slice rest, verb = S(""), host = S(""), name = S(""), where = S("");
	int rc = EX_PROTOCOL;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!receive_line(line, sizeof(line)))
		return EX_PROTOCOL;
	rest = slice_str(line);
	(void)slice_word(&rest, &verb);
	if (slice_eq(verb, S("run"))) {
		rc = storectl_run_asked(slice_trim(rest));
		printf("end %d\n", rc);
		return rc;
	}
	(void)slice_word(&rest, &host);
	(void)slice_word(&rest, &name);
	(void)slice_word(&rest, &where);
	slice_cstr(name, account, sizeof(account));
	slice_cstr(slice_eq(where, S("-")) ? S("") : where, partition, sizeof(partition));
	if (!slice_ieq(host, slice_str(shared.hostname)))
		fprintf(stderr, "storectl: this is %s\n", shared.hostname);
	else if (store_account_check(name) < 0)
		fprintf(stderr, "storectl: not the name of an account\n");
	else if (slice_eq(verb, S("take")))
		rc = receive_take(account, partition);
	else if (slice_eq(verb, S("drop")))
		rc = receive_drop(account);
	else if (slice_eq(verb, S("has")))
		rc = receive_has(account);
	else if (slice_eq(verb, S("forget")))
		rc = receive_forget(account);
	printf("end %d\n", rc);
	return rc;
}
