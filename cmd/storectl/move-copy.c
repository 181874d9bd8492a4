/* storectl move: the copies of an account at another host.
 *
 * Called by move.c.  Each pass is a connection to storectl-serve(8), a line and a stream of storectl backup: the first
 * has all, the next ones what the change log has since the one before.  A folder that was renamed, deleted or made
 * again meanwhile would get a new UIDVALIDITY there: then all that has come goes, and it begins anew.  Must stay
 * true: what is not told as taken is not there for us, and a copy that is not complete goes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/crc.h"
#include "base/mem.h"
#include "daemon/link.h"
#include "move.h"

#define COPY_TRIES  3      /* from the beginning */
#define COPY_PASSES 6      /* before it is frozen */
#define COPY_FEW    100    /* changes, that the last pass takes while it is frozen */
#define ANSWER_MOST 262144 /* octets: what is said is for people */

/* A folder as a pass has found it. */
struct move_folder {
	uint64_t mailbox;
	uint32_t name; /* CRC-32C */
	uint32_t uidvalidity;
};

/* ---- the other host ---------------------------------------------------------------------------- */

static int
link_said(const struct move *m, const char *what, int rc, char **why)
{
	fprintf(stderr, "storectl: %s: %s: %s\n", m->host, what, *why ? *why : strerror(-rc));
	mem_free(why);
	return EX_UNAVAILABLE;
}

static int
link_open(const struct move *m, const char *verb, struct daemon_link **l)
{
	char *line = mem_printf("%s %s %s %s\n", verb, m->host, m->account, m->partition),
	     *why = NULL;
	int rc = daemon_link_open(m->host, m->address, m->port, 0, l, &why);

	if (rc < 0)
		rc = link_said(m, "cannot be reached", rc, &why);
	else if ((rc = daemon_link_write(*l, slice_str(line), &why)) < 0) {
		rc = link_said(m, verb, rc, &why);
		daemon_link_close(l);
	}
	mem_free(&line);
	return rc;
}

/* A line of the answer.  Its code, or -1: it goes on. */
static int
answer_line(struct move *m, struct slice line)
{
	struct slice rest = line, word = S("");
	uint64_t code;

	(void)slice_word(&rest, &word);
	if (slice_eq(word, S("end")))
		return slice_u64(slice_trim(rest), 255, &code) == 0 ? (int)code : EX_PROTOCOL;
	if (slice_eq(word, S("has"))) {
		struct slice n = kv_find(line, "messages"), b = kv_find(line, "bytes");

		if (slice_u64(n, UINT64_MAX, &m->there.messages) < 0 ||
		    slice_u64(b, UINT64_MAX, &m->there.bytes) < 0)
			m->there = (struct move_totals){ UINT64_MAX, UINT64_MAX };
	} else if (line.n)
		fprintf(stderr, "%s: " SFMT "\n", m->host, SARG(line));
	return -1;
}

/* To its end, which says how it went. */
static int
link_answer(struct move *m, struct daemon_link *l)
{
	struct buf in = { 0 };
	size_t most = ANSWER_MOST;
	char *why = NULL;
	int code = -1;
	ssize_t n;

	while (code < 0 && (n = daemon_link_read(l, buf_reserve(&in, 4096), 4096, &why)) > 0) {
		struct slice rest, line;
		size_t at = 0;

		if ((size_t)n > most) {
			n = -EMSGSIZE;
			break;
		}
		most -= (size_t)n;
		in.n += (size_t)n;
		while (code < 0 &&
		    (rest = slice_from(buf_get(&in), at), slice_find(rest, '\n') < rest.n)) {
			(void)slice_cut(&rest, '\n', &line);
			at += line.n + 1;
			code = answer_line(m, line);
		}
		buf_cut(&in, at);
	}
	buf_fini(&in);
	if (code >= 0)
		return code;
	return link_said(m, "its answer is cut off", n < 0 ? (int)n : -ECONNRESET, &why);
}

int
move_ask(struct move *m, const char *verb)
{
	struct daemon_link *l;
	int rc = link_open(m, verb, &l);

	if (rc)
		return rc;
	rc = link_answer(m, l);
	daemon_link_close(&l);
	return rc;
}

int
move_drop(struct move *m)
{
	return move_ask(m, "drop");
}

int
move_whole(struct move *m, const struct store_account *a, bool *whole)
{
	int rc;

	m->there = (struct move_totals){ UINT64_MAX, UINT64_MAX };
	rc = move_ask(m, "has");
	*whole = rc == 0 && m->there.messages == a->messages && m->there.bytes == a->bytes;
	return rc == EX_NOUSER ? 0 : rc;
}

/* ---- a pass ------------------------------------------------------------------------------------ */

struct pass_out {
	struct move *move;
	struct daemon_link *link;
	char *why;
	bool renamed; /* folders that the last stream had are not in this one as they were */
};

/* Both are in the order of names: is each of `old` among `now`? */
static bool
folders_stay(const struct buf *old, const struct buf *now)
{
	const struct move_folder *o = (const void *)old->p, *f = (const void *)now->p;
	size_t n = old->n / sizeof(*o), count = now->n / sizeof(*f), k = 0;

	for (size_t i = 0; i < n; i++) {
		while (k < count && memcmp(&f[k], &o[i], sizeof(*o)) != 0)
			k++;
		if (k == count)
			return false;
	}
	return true;
}

/* What the stream has counts, not what there is before and behind it: a name may go and come back meanwhile. */
static void
pass_listed(void *arg, const struct backup_folder *f, size_t n)
{
	struct pass_out *o = arg;
	struct buf list = { 0 };

	for (size_t i = 0; i < n; i++) {
		const struct move_folder e = { .mailbox = f[i].mailbox,
			.name = crc32c(0, f[i].name, strlen(f[i].name)),
			.uidvalidity = f[i].uidvalidity };

		buf_add(&list, &e, sizeof(e));
	}
	o->renamed = !folders_stay(&o->move->folders, &list);
	buf_fini(&o->move->folders);
	o->move->folders = list;
}

static int
pass_write(void *arg, struct slice bytes)
{
	struct pass_out *o = arg;

	return daemon_link_write(o->link, bytes, &o->why);
}

static int
pass_stream(struct move *m, struct pass_out *o)
{
	const struct backup_run run = { .partition = "",
		.account = m->account,
		.state = "",
		.quiet = true,
		.always = true };
	struct backing b = { .run = &run,
		.to = m->host,
		.fd = -1,
		.write = pass_write,
		.listed = pass_listed,
		.write_arg = o,
		.view = m->view,
		.before = m->seen };
	int rc;

	backup_begin(&b);
	backup_account(&b, m->account);
	if (!b.rc)
		backup_end(&b);
	m->changes = b.messages + b.states;
	rc = b.rc ? b.rc : b.failed ? EX_IOERR : 0;
	idmap_fini(&b.before);
	idmap_fini(&b.seen);
	m->seen = b.after;
	backup_fini(&b);
	return rc;
}

/* 0, an exit code, or -1: begin anew. */
static int
pass_run(struct move *m)
{
	struct pass_out o = { .move = m };
	int rc = link_open(m, "take", &o.link), said;

	if (rc)
		return rc;
	m->passes++;
	m->there = (struct move_totals){ UINT64_MAX, UINT64_MAX };
	rc = pass_stream(m, &o);
	mem_free(&o.why); /* it has been told in other words; the other side may say why */
	said = link_answer(m, o.link);
	daemon_link_close(&o.link);
	return o.renamed ? -1 : said ? said : rc;
}

/* ---- all of it --------------------------------------------------------------------------------- */

void
move_copy_fini(struct move *m)
{
	idmap_fini(&m->seen);
	m->seen = (struct idmap){ 0 };
	buf_fini(&m->folders);
}

/* 0, an exit code, or -1: folders have changed, begin anew. */
static int
copy_most(struct move *m)
{
	int rc = move_drop(m);

	move_copy_fini(m);
	m->changes = UINT64_MAX;
	for (unsigned pass = 0; rc == 0 && pass < COPY_PASSES && m->changes > COPY_FEW; pass++)
		rc = pass_run(m);
	return rc;
}

static int
copy_last(struct move *m)
{
	int rc = move_freeze(m, STORE_FROZEN);

	if (rc)
		return rc;
	rc = pass_run(m);
	if (rc == 0 &&
	    (m->there.messages != m->totals.messages || m->there.bytes != m->totals.bytes)) {
		fprintf(stderr,
		    "storectl: %s: there are %llu messages, %llu bytes here, %llu and %llu at %s\n",
		    m->account, (unsigned long long)m->totals.messages,
		    (unsigned long long)m->totals.bytes, (unsigned long long)m->there.messages,
		    (unsigned long long)m->there.bytes, m->host);
		rc = EX_SOFTWARE;
	}
	if (rc)
		(void)!move_freeze(m, STORE_THAWED);
	return rc;
}

int
move_copy(struct move *m)
{
	int rc = -1;

	for (unsigned n = 0; rc < 0 && n < COPY_TRIES; n++) {
		rc = copy_most(m);
		if (rc == 0)
			rc = copy_last(m);
	}
	if (rc < 0) {
		fprintf(stderr, "storectl: %s: its folders are renamed and deleted all the time\n",
		    m->account);
		rc = EX_TEMPFAIL;
	}
	if (rc)
		(void)!move_drop(m);
	return rc;
}
