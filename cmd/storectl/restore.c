/* storectl restore: accounts from streams of storectl backup.
 *
 * Reads a stream frame by frame and acts on each when it is whole and its checksum is right; so a stream
 * that is cut or changed anywhere gives all that stands before, and the place is told.  restore-message.c
 * puts folders and messages back.  What must stay true: nothing is deleted that the stream does not
 * say is gone from just this mailbox (the same UIDVALIDITY), and nothing is put twice, so that a restore
 * may be run again, over mail that has come meanwhile.  Streams in a directory are restored at the same
 * time, as they were made. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "restore.h"

#define RESTORE_READ (256 * 1024) /* octets that are read at a time */

void
restore_bad(struct restoring *r, const char *why)
{
	char uid[16] = "";

	if (r->m.open)
		snprintf(uid, sizeof(uid), "%u", r->m.uid);
	fprintf(stderr, "storectl: %s: octet %llu: %s%s%s%s%s: %s\n", r->from,
	    (unsigned long long)r->frames.at, *r->account ? r->account : "the beginning",
	    *r->folder ? ": " : "", r->folder, r->m.open ? ": UID " : "", uid, why);
	r->failed++;
}

uint64_t
restore_number(struct slice line, const char *key)
{
	struct slice v = kv_find(line, key);
	uint64_t n;

	return v.p && slice_u64(v, UINT64_MAX, &n) == 0 ? n : 0;
}

uint32_t
restore_number32(struct slice line, const char *key)
{
	uint64_t n = restore_number(line, key);

	return n <= UINT32_MAX ? (uint32_t)n : 0;
}

/* ---- accounts -------------------------------------------------------------------------------- */

static void
restore_account_end(struct restoring *r)
{
	if (r->opened) {
		restore_flush(r);
		if (r->run->exact && r->done && !r->rc) {
			restore_only_subscribed(r);
			restore_only(r);
		}
		have_fini(&r->have);
		put_close(&r->put);
		store_view_free(&r->view);
		store_reader_close(&r->reader);
		asking_close(&r->ask);
	}
	r->opened = r->wanted = r->done = false;
	buf_clear(&r->named);
	buf_clear(&r->subscribed);
	r->mailbox = 0;
	r->folder[0] = '\0';
}

/* A content is in the store now. */
void
restore_placed(void *arg, uint64_t email, uint64_t mailbox, uint32_t uid)
{
	struct restoring *r = arg;
	struct idmap_entry *e = idmap_find(&r->emails, email);

	if (e && !e->uid) {
		e->mailbox = mailbox;
		e->uid = uid;
	}
}

static void
restore_account(struct restoring *r, struct slice line)
{
	char name[STORE_ACCOUNT_MAX + 1];

	restore_account_end(r);
	if (kv_cstr(kv_find(line, "name"), name, sizeof(name)) < 0 ||
	    store_account_check(slice_str(name)) < 0) {
		restore_bad(r, "an account without a name");
		r->rc = EX_DATAERR;
		return;
	}
	r->modseq = restore_number(line, "modseq");
	strcpy(r->account, name);
	r->wanted = !*r->run->account || strcmp(r->run->account, name) == 0;
	r->accounts += r->wanted;
	if (!r->wanted || r->run->dry || r->rc)
		return;
	if (*r->run->to)
		slice_cstr(slice_str(r->run->to), r->account, sizeof(r->account));
	r->rc = storectl_account_ready(r->account, r->run->partition, &r->ask, &r->reader, &r->view,
	    &r->id);
	if (r->rc)
		return;
	put_open(&r->put, &r->ask, r->view, r->ask.partition);
	r->put.placed = restore_placed;
	r->put.placed_arg = r;
	r->opened = true;
	restore_logins(r, line);
}

/* ---- frames ------------------------------------------------------------------------------------- */

static void
restore_begin(struct restoring *r, struct slice line)
{
	uint64_t version = restore_number(line, "version");

	if (r->began || version != BACKUP_VERSION) {
		restore_bad(r, r->began ? "another beginning" : "a version that is not known here");
		r->rc = EX_DATAERR;
	}
	r->began = true;
	r->made_at = restore_number(line, "at");
}

static void
restore_end(struct restoring *r)
{
	restore_account_end(r);
	r->ended = true;
}

/* One that is whole. */
static void
restore_frame(struct restoring *r, const struct backup_frame *f)
{
	if (!r->began && f->kind != BACKUP_BEGIN) {
		restore_bad(r, "not the beginning of a backup");
		r->rc = EX_DATAERR;
		return;
	}
	if (r->m.open && f->kind != BACKUP_OCTETS) {
		restore_bad(r, "a message whose octets end too early");
		r->rc = EX_DATAERR;
		return;
	}
	switch (f->kind) {
	case BACKUP_BEGIN: restore_begin(r, f->text); break;
	case BACKUP_ACCOUNT: restore_account(r, f->text); break;
	case BACKUP_FOLDER: restore_folder(r, f->text); break;
	case BACKUP_RIGHTS: restore_rights(r, f->text); break;
	case BACKUP_ANNOTATION: restore_annotation(r, f->text); break;
	case BACKUP_MARK: restore_mark(r, f->text); break;
	case BACKUP_SUBSCRIPTION: restore_subscription(r, f->text); break;
	case BACKUP_MESSAGE: restore_message(r, f->text); break;
	case BACKUP_OCTETS: restore_octets(r, f->text); break;
	case BACKUP_STATE: restore_state(r, f->text); break;
	case BACKUP_GONE: restore_gone(r, f->text); break;
	case BACKUP_SEEN: restore_seen(r, f->text); break;
	case BACKUP_DONE:
		restore_flush(r);
		r->done = true;
		break;
	case BACKUP_END: restore_end(r); break;
	default:
		if (f->kind >= 'a' && f->kind <= 'z')
			break;
		restore_bad(r, "a frame of a kind that is not known here");
		r->rc = EX_DATAERR;
	}
}

/* ---- the stream -------------------------------------------------------------------------------------- */

/* More octets.  False: there are none. */
static bool
restore_read(struct restoring *r)
{
	char *p = buf_reserve(&r->in, RESTORE_READ);
	ssize_t n;

	while ((n = read(r->fd, p, RESTORE_READ)) < 0 && errno == EINTR)
		;
	if (n < 0) {
		fprintf(stderr, "storectl: %s: %s\n", r->from,
		    errno == EAGAIN ? "nothing comes any more" : strerror(errno));
		r->rc = EX_IOERR;
	}
	r->in.n += n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* All frames up to the end, or to where it is no stream any more. */
static void
restore_frames(struct restoring *r)
{
	struct backup_frame f;
	const char *why;
	size_t used = 0;

	while (!r->rc && !r->ended) {
		int n = backup_read(&r->frames, slice_from(buf_get(&r->in), used), &f, &why);

		if (n > 0) {
			used += (size_t)n;
			restore_frame(r, &f);
		} else if (n < 0) {
			restore_bad(r, why);
			r->rc = EX_DATAERR;
		} else {
			buf_cut(&r->in, used);
			used = 0;
			if (!restore_read(r) && !r->rc) {
				restore_bad(r, "the stream ends here, without its end");
				r->rc = EX_DATAERR;
			}
		}
	}
}

static void
restore_summary(const struct restoring *r)
{
	struct buf b = { 0 };

	if (r->run->json) {
		buf_char(&b, '{');
		json_put_cstr(&b, "from", r->from);
		json_put_i64(&b, "accounts", (int64_t)r->accounts);
		json_put_i64(&b, "folders", (int64_t)r->folders);
		json_put_i64(&b, "messages", (int64_t)r->messages);
		json_put_i64(&b, "merged", (int64_t)r->merged);
		json_put_i64(&b, "there", (int64_t)r->there);
		json_put_i64(&b, "states", (int64_t)r->states);
		json_put_i64(&b, "gone", (int64_t)r->gone);
		json_put_i64(&b, "failed", (int64_t)r->failed);
		json_put_i64(&b, "octets", (int64_t)r->frames.at);
		buf_lit(&b, "}\n");
	} else if (!r->run->quiet)
		buf_printf(&b,
		    "%s: %llu accounts, %llu folders: %llu messages %s, %llu under new UIDs, %llu "
		    "were "
		    "there, %llu changed, %llu gone; %llu mistakes\n",
		    r->from, (unsigned long long)r->accounts, (unsigned long long)r->folders,
		    (unsigned long long)r->messages, r->run->dry ? "in the stream" : "restored",
		    (unsigned long long)r->merged, (unsigned long long)r->there,
		    (unsigned long long)r->states, (unsigned long long)r->gone,
		    (unsigned long long)r->failed);
	storectl_say(&b);
	buf_fini(&b);
	if (!r->run->dry)
		log_event(LOG_INFO, "restored",
		    "from=%s accounts=%llu count=%llu merged=%llu there=%llu states=%llu gone=%llu "
		    "failed=%llu",
		    log_str(r->from), (unsigned long long)r->accounts,
		    (unsigned long long)r->messages, (unsigned long long)r->merged,
		    (unsigned long long)r->there, (unsigned long long)r->states,
		    (unsigned long long)r->gone, (unsigned long long)r->failed);
}

int
restore_stream(const struct restore_run *run, const char *from)
{
	struct restoring r = { .run = run, .from = from, .fd = STDIN_FILENO };

	if (strcmp(from, "-") != 0)
		r.fd = open(from, O_RDONLY | O_CLOEXEC);
	if (r.fd < 0) {
		fprintf(stderr, "storectl: %s: %s\n", from, strerror(errno));
		return EX_NOINPUT;
	}
	restore_frames(&r);
	restore_account_end(&r);
	restore_summary(&r);
	if (!r.rc && *run->account && !r.accounts) {
		fprintf(stderr, "storectl: %s: %s is not in it\n", from, run->account);
		r.rc = EX_NOUSER;
	}
	if (r.fd != STDIN_FILENO)
		close(r.fd);
	buf_fini(&r.in);
	buf_fini(&r.m.keywords);
	buf_fini(&r.m.octets);
	buf_fini(&r.named);
	buf_fini(&r.subscribed);
	buf_fini(&r.annotation);
	idmap_fini(&r.emails);
	return r.rc ? r.rc : r.failed ? 1 : 0;
}

/* ---- streams of a directory --------------------------------------------------------------------------- */

static int
restore_all(const struct restore_run *run, const char *dir)
{
	struct dirent **list;
	int n = scandir(dir, &list, NULL, alphasort), rc = 0;
	unsigned streams = 0;

	for (int i = 0; i < n; i++) {
		fflush(NULL);
		if (slice_ends(slice_str(list[i]->d_name), S(".tmb")) && ++streams) {
			pid_t pid = fork();

			if (pid == 0)
				exit(
				    restore_stream(run, mem_printf("%s/%s", dir, list[i]->d_name)));
			if (pid < 0) {
				fprintf(stderr, "storectl: %s/%s: %s\n", dir, list[i]->d_name,
				    strerror(errno));
				rc = EX_OSERR;
			}
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	for (int status = 0; wait(&status) > 0;)
		if (rc == 0)
			rc = WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
	if (!streams) {
		fprintf(stderr, "storectl: %s: there is no stream in it\n", dir);
		return EX_NOINPUT;
	}
	return rc;
}

int
storectl_restore(int argc, char **argv, bool quiet)
{
	static const struct option longs[] = { { "account", required_argument, NULL, 'a' },
		{ "dry-run", no_argument, NULL, 'n' }, { "json", no_argument, NULL, 'j' },
		{ "to", required_argument, NULL, 't' }, { 0 } };
	struct restore_run run = { .quiet = quiet, .account = "", .to = "", .partition = "" };
	struct stat st;

	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "a:njt:", longs, NULL)) >= 0;)
		if (c == 'a')
			run.account = optarg;
		else if (c == 'n')
			run.dry = true;
		else if (c == 'j')
			run.json = true;
		else if (c == 't')
			run.to = optarg;
		else
			return program_usage();
	if (argc - optind != 1 || (*run.to && !*run.account))
		return program_usage();
	log_level(LOG_INFO);
	if (stat(argv[optind], &st) == 0 && S_ISDIR(st.st_mode))
		return restore_all(&run, argv[optind]);
	return restore_stream(&run, argv[optind]);
}
