/* Long COPYs and MOVEs: the answer comes before the files, and nobody can tell. */
#include <dirent.h>
#include <lmdb.h>
#include <stdlib.h>

#include "service.h"
#include "store/check.h"

#define MANY 4000 /* messages: more than are linked before a kill right after the answer */
#define CONF "map_size = 1G\nmin_free = 0\nsnapshot_interval = 0\ncleanup_age = 0\n"

static const struct store_limits none;
static const struct store_range all = { 1, UINT32_MAX };
static struct store_view *view;
static uint64_t account, inbox;

/* ---- looking -------------------------------------------------------------------------------- */

static uint64_t
folder(const char *name)
{
	CALL(store_create_start, account, slice_str(name), STORE_USE_NONE);
	return last.mailbox;
}

/* Each message says its number: 4 octets and CRLF. */
static void
fill(uint64_t to, int n)
{
	struct store_body bodies[20];
	struct store_message m[20];
	char text[8];

	for (int i = 0; i < n; i += 20) {
		for (int k = 0; k < 20; k++) {
			snprintf(text, sizeof(text), "%04d\r\n", (i + k) % 10000);
			bodies[k] = body_with(text, 6);
			m[k] = (struct store_message){ .body = &bodies[k],
				.size = 6,
				.cache = S("c") };
		}
		CALL(store_append_start, to, m, 20, none);
	}
}

static struct store_mailbox
box_of(uint64_t id)
{
	struct store_mailbox m = { .exists = UINT32_MAX };

	if (store_begin(view) == 0 && store_get_mailbox(view, id, &m) < 0)
		m.exists = UINT32_MAX;
	store_end(view);
	return m;
}

/* How many messages can be read and say 0, 1, 2 ... */
static uint32_t
readable(uint64_t box)
{
	struct buf runs = { 0 };
	struct store_mailbox m;
	uint32_t good = 0, n = 0;

	if (store_begin(view) < 0 || store_get_mailbox(view, box, &m) < 0)
		return 0;
	store_uid_runs(view, &m, &runs);
	store_end(view);
	for (size_t i = 0; i < runs.n / sizeof(struct store_range); i++) {
		const struct store_range *r = (const struct store_range *)(void *)runs.p + i;

		for (uint32_t uid = r->first; uid <= r->last; uid++, n++) {
			char text[8] = "", want[8];
			int fd = store_open_message(view, box, uid);

			snprintf(want, sizeof(want), "%04u\r\n", n % 10000);
			good += fd >= 0 && read(fd, text, sizeof(text)) == 6 &&
			    memcmp(text, want, 6) == 0;
			if (fd >= 0)
				close(fd);
		}
	}
	buf_fini(&runs);
	return good;
}

/* Files of messages in the directory of a folder of joe. */
static uint32_t
files_of(const char *name)
{
	struct buf b = { 0 };
	uint32_t n = 0;

	store_folder_dir(&b, S("joe@example.test"), slice_str(name));
	for (unsigned hh = 0; hh < 256; hh++) {
		char path[400];
		DIR *d;

		snprintf(path, sizeof(path), "%s/store/partition/primary/%s/%02x", dir,
		    buf_cstr(&b), hh);
		d = opendir(path);
		for (struct dirent *e; d && (e = readdir(d));)
			n += e->d_name[0] != '.';
		if (d)
			closedir(d);
	}
	buf_fini(&b);
	return n;
}

static void
copy_on_finding(void *arg, const char *text)
{
	(void)arg;
	printf("# %s\n", text);
}

static struct store_check
check(void)
{
	struct store_check c = { .found = copy_on_finding };
	char path[200], *why = NULL;

	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	if (store_check_partition(path, slice(NULL, 0), &c, &why) < 0) {
		printf("# %s\n", why);
		mem_free(&why);
		c.findings = 999;
	}
	return c;
}

/* Until the linker has nothing to do, a minute at most in which it makes nothing. */
static bool
settled(void)
{
	uint64_t left = UINT64_MAX, now;

	for (int i = 0; i < 1200 && (now = status_number(" unlinked=")); i++) {
		i = now < left ? 0 : i;
		left = now;
		usleep(50000);
	}
	return status_number(" unlinked=") == 0;
}

static void
start_again(const char *conf)
{
	write_file("stored.conf", conf);
	service_start();
	service_again();
}

/* ---- COPY ------------------------------------------------------------------------------------- */

static void
test_copy(void)
{
	uint64_t to = folder("Copies"), second = folder("Second");
	struct store_range one = { 17, 17 };

	eq(CALL(store_copy_start, inbox, &all, 1, to, none), OK, "a long COPY");
	ok(last.nuids == 1 && last_uids[0].first == 1 && last_uids[0].last == MANY &&
		last.nto == 1 && last_to[0].first == 1 && last_to[0].last == MANY,
	    "names sources and copies");
	eq(CALL(store_copy_start, to, &all, 1, second, none), OK, "a copy of the copies");
	eq(CALL(store_copy_start, to, &one, 1, second, none), OK, "and of one of them");
	service_stop(SIGKILL);
	printf("# %u and %u files are there\n", files_of("Copies"), files_of("Second"));
	ok(files_of("Copies") + files_of("Second") < 2 * MANY + 1,
	    "killed before all files are made");
	eq(readable(to), MANY, "all copies can be read");
	eq(readable(second), MANY, "and the copies of copies");
	eq(check().findings, 0, "the check finds nothing missing");
	start_again(CONF);
	ok(settled(), "the next start makes the files");
	eq(files_of("Copies"), MANY, "all of them");
	eq(files_of("Second"), MANY + 1, "of both");
	eq(readable(second), MANY, "with the right content");
	eq(check().findings, 0, "the check finds nothing");
	eq(CALL(store_expunge_start, second, &all, 1, true), OK, "one folder is emptied");
}

static unsigned cut_answers;

static void
cut_on_answer(void *arg, const struct store_reply *r)
{
	(void)arg;
	cut_answers += r->verdict.kind == TEMP;
}

static void
test_refused(void)
{
	uint64_t to = folder("Refused"), used = 0;
	struct store_limits limits = { .bytes = 0 };

	CALL(store_copy_start, inbox, &(struct store_range){ 1, 1 }, 1, to, none);
	used = last.messages;
	limits.messages = used + MANY - 1;
	eq(CALL(store_copy_start, inbox, &all, 1, to, limits), TEMP, "a long COPY over the quota");
	eq(last.code, STORE_OVERQUOTA, "is refused");
	eq(box_of(to).exists, 1, "as a whole");
	limits.messages = used + MANY;
	eq(CALL(store_copy_start, inbox, &all, 1, to, limits), OK, "one more message is allowed");
	eq(last.messages, used + MANY, "then it fits");
	eq(CALL(store_expunge_start, to, &all, 1, true), OK, "and away");
}

/* ---- MOVE -------------------------------------------------------------------------------------- */

/* With cleanup_age = 0 the purge is after the sources at once. */
static void
test_move(void)
{
	uint64_t from = folder("Copies"), to = folder("Moved");

	CALL(store_account_start, S("joe@example.test"), S(""));
	if (store_begin(view) < 0 || store_find_mailbox(view, account, S("Copies"), &from) < 0)
		ok(false, "the folder is there");
	store_end(view);
	eq(CALL(store_move_start, from, &all, 1, to), OK, "a long MOVE");
	eq(last.nuids ? last_uids[0].last : 0, MANY, "of all");
	service_stop(SIGKILL);
	printf("# %u files are there\n", files_of("Moved"));
	eq(readable(to), MANY, "all can be read after a kill");
	eq(box_of(from).exists, 0, "nothing is left behind");
	eq(check().findings, 0, "the check finds nothing");
	start_again(CONF);
	ok(settled(), "the next start makes the files");
	ok(AWAIT(files_of("Copies") == 0) && files_of("Moved") == MANY, "then the sources go");
	eq(readable(to), MANY, "and the content stays");
	eq(check().findings, 0, "the check finds nothing");
}

static void
test_folders(void)
{
	uint64_t to = folder("Gone"), old = 0;

	CALL(store_copy_start, inbox, &all, 1, to, none);
	eq(CALL(store_delete_start, account, S("Gone")), OK,
	    "the folder of copies is deleted at once");
	/* Its own content: with the last of the files, which are where they were moved from and in a
	 * directory that goes as a whole, go the digests. */
	old = folder("Only");
	fill(old, 1000);
	to = folder("Away");
	CALL(store_move_start, old, &all, 1, to);
	eq(CALL(store_delete_start, account, S("Away")), OK,
	    "one with all that there was is deleted");
	to = folder("Renamed");
	CALL(store_copy_start, inbox, &all, 1, to, none);
	eq(CALL(store_rename_start, account, S("Renamed"), S("Else/Where")), OK, "another renamed");
	eq(readable(to), MANY, "whose copies can be read");
	eq(CALL(store_rename_start, account, S("INBOX"), S("Old")), OK, "INBOX, their source, too");
	if (store_begin(view) == 0)
		ok(store_find_mailbox(view, account, S("Old"), &old) == 0, "it has a new name");
	store_end(view);
	ok(box_of(inbox).exists == 0 && readable(old) == MANY, "and its messages are there");
	ok(settled(), "all files are made");
	(void)AWAIT(!check().waiting);
	ok(readable(to) == MANY && readable(old) == MANY, "and right");
	eq(check().findings, 0, "the check finds nothing");
}

/* Files can have 65,000 names: from there on copies are copies. */
static uint64_t
test_names(void)
{
	uint64_t box = folder("Doubled");
	bool good = true;

	fill(box, 20);
	CALL(store_expunge_start, box, &(struct store_range){ 2, 20 }, 1, true);
	for (uint32_t n = 1; n < 70000; n *= 2)
		good &= CALL(store_copy_start, box, &all, 1, box, none) == OK;
	ok(good, "one message doubled 17 times");
	eq(box_of(box).exists, 131072, "is many");
	ok(settled(), "whose files are made");
	(void)AWAIT(!check().waiting);
	eq(files_of("Doubled"), 131072, "each");
	eq(check().findings, 0, "and good");
	return box;
}

/* Rows of a table that have the mailbox's id at this place of their key.  In a child, for no process
 * may open an index twice. */
static int
rows_of(const char *table, uint64_t mailbox, size_t at)
{
	char path[200];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/store/partition/primary/index", dir);
	pid = fork();
	if (pid == 0) {
		MDB_env *env;
		MDB_txn *txn;
		MDB_dbi dbi;
		MDB_cursor *c;
		MDB_val k, d;
		int n = 0;

		if (mdb_env_create(&env) || mdb_env_set_maxdbs(env, 40) ||
		    mdb_env_open(env, path, MDB_RDONLY | MDB_NOLOCK, 0) ||
		    mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) ||
		    mdb_dbi_open(txn, table, 0, &dbi) || mdb_cursor_open(txn, dbi, &c))
			_exit(100);
		while (n < 50 && mdb_cursor_get(c, &k, &d, MDB_NEXT) == 0)
			n += k.mv_size >= at + 8 && store_get64((char *)k.mv_data + at) == mailbox;
		_exit(n);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Killed before it is shown: nothing is left of it. */
static void
test_cut(uint64_t from)
{
	uint64_t to = 0, modseq = 0, slices, began;
	uint32_t uidnext = 0;
	char name[20];
	struct op op;
	bool cut = false;

	service_stop(SIGTERM);
	for (int i = 0; !cut && i < 10; i++) { /* who is held up when he should kill is too late */
		start_again(CONF "slice = 0\n"); /* each 32 messages are a slice, and a commit */
		snprintf(name, sizeof(name), "Cut%d", i);
		to = folder(name);
		modseq = box_of(to).highestmodseq;
		uidnext = box_of(to).uidnext;
		slices = box_of(from).exists / 32;
		began = status_number(" batches=");
		cut_answers = 0;
		store_copy_start(client, from, &all, 1, to, none, &op, cut_on_answer, NULL);
		(void)ping(); /* it is on its way: so many slices to look, and as many to write */
		while (status_number(" batches=") < began + slices + slices / 4)
			usleep(1000);
		service_stop(SIGKILL);
		cut = rows_of("email", to, 8) && rows_of("pending", to, 0);
	}
	ok(cut, "a long COPY is cut off when it has begun to write");
	start_again(CONF);
	eq(cut_answers, 1, "and fails");
	ok(box_of(to).exists == 0 && box_of(to).uidnext == uidnext &&
		box_of(to).highestmodseq == modseq,
	    "it has not been");
	ok(rows_of("email", to, 8) == 0 && rows_of("pending", to, 0) == 0, "nor has it left a row");
	eq(check().findings, 0, "the check finds nothing");
	eq(CALL(store_copy_start, from, &(struct store_range){ 1, 1000 }, 1, to, none), OK,
	    "once more");
	ok(box_of(to).exists == 1 + 980 && settled() && files_of(name) == 981, "then it is whole");
	eq(check().findings, 0, "and right");
}

int
main(int argc, char **argv)
{
	struct store_reader *reader;
	char socket_path[100], *why;

	(void)argc;
	log_init("copy", LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv[0])) {
		printf("1..0 # SKIP stored is not built\n");
		return 0;
	}
	service_prepare(CONF);
	service_start();
	loop_init(&loop);
	snprintf(socket_path, sizeof(socket_path), "%s/stored.sock", dir);
	client = store_client_new(&loop, socket_path, "copy");
	CALL(store_account_start, S("ann@example.test"), S(""));
	CALL(store_account_start, S("joe@example.test"), S(""));
	account = last.account;
	inbox = last.mailbox;
	if (store_reader_open(last_path, &reader, &why) < 0)
		abort();
	view = store_view_new(reader);
	fill(inbox, MANY);
	test_copy();
	test_refused();
	test_move();
	test_folders();
	test_cut(test_names());
	store_view_free(&view);
	store_reader_close(&reader);
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_stop(SIGTERM);
	service_remove();
	return done();
}
