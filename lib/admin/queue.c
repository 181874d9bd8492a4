/* queue.c: queues of hosts: what jobctl-ctl(8) says of them and does there, for who administers everything.
 *
 * Called by the table of verbs.  Owns nothing.  Can fail as asking a host does; what jobctl refuses is told in its
 * words.  Must stay true: a filter is one of a table, so that no other word reaches jobctl; a change is a line of the
 * audit log, below the base of the directory, where who administers one organisation does not read it. */
#include <errno.h>

#include "admin/admin-impl.h"
#include "admin/config.h"
#include "base/kv.h"

#define QUEUE_MESSAGES 200 /* told, without a limit */

static const char *const queue_filters[] = { "channel", "dest", "state", "older", "newer", "qid",
	"all" };

/* Appends the filters of the operands from `at` on, escaped; false after saying what is none. */
static bool
queue_filter(struct admin *a, size_t at, struct buf *b)
{
	for (size_t i = at; i < a->call->nnames; i++) {
		struct slice word = admin_name(a, i), value = word, name = S("");
		size_t k = 0;

		if (!slice_cut(&value, '=', &name) || slice_find(word, '=') == word.n)
			name = S("");
		while (k < NELEM(queue_filters) && !slice_eq(name, slice_str(queue_filters[k])))
			k++;
		if (k == NELEM(queue_filters) || !value.n)
			return admin_fail(a, ADMIN_BAD, "filter",
			    SFMT ": a filter is channel=, dest=, state=, older=, newer= (seconds), "
				 "qid= or all=1",
			    SARG(word));
		kv_put(b, queue_filters[k], value);
	}
	return true;
}

/* All that jobctl says to a question; false: it does not, or refuses. */
static bool
queue_ask(struct admin *a, struct slice line, struct admin_question *q)
{
	const char *host = admin_host(a, admin_name(a, 0));

	if (!host)
		return false;
	*q = (struct admin_question){ .host = host,
		.daemon = "jobctl",
		.line = arena_cstr(&a->memory, line) };
	if (!admin_hosts_ask(a, q, 1))
		return false;
	if (q->e == -EACCES)
		return admin_fail(a, ADMIN_DENIED, "host", "%s: %s", host, q->why);
	if (q->e < 0 && q->e != -EMSGSIZE)
		return admin_fail(a,
		    a->verb->changes && q->e != -ECONNREFUSED ? ADMIN_UNKNOWN : ADMIN_AWAY,
		    "host-away", "%s: jobctl does not answer: %s", host, q->why);
	return true;
}

/* The last line: "ok", or "error why=...". */
static bool
queue_ended(struct admin *a, const struct admin_question *q, struct slice *last)
{
	struct slice text = slice_trim(q->text), why;
	struct buf b = { 0 };

	*last =
	    slice_from(text, slice_rfind(text, '\n') == text.n ? 0 : slice_rfind(text, '\n') + 1);
	if (slice_starts(*last, S("ok")))
		return true;
	why = kv_find(slice_from(*last, slice_find(*last, ' ')), "why");
	if (!slice_starts(*last, S("error")) || kv_decode(&b, why) < 0)
		(void)admin_fail(a, ADMIN_FAILED, "host", "%s: jobctl says something else",
		    q->host);
	else
		(void)admin_fail(a, ADMIN_BAD, "queue", "%s: " SFMT, q->host, SARG(buf_get(&b)));
	buf_fini(&b);
	return false;
}

/* A line "word key=value ..." becomes a record. */
static void
queue_tell(struct admin *a, const char *host, const char *kind, struct slice line)
{
	struct admin_telling t = { .a = a };
	struct slice rest = slice_from(line, slice_find(line, ' ')), key, value;

	admin_tell_add(&t, "host", slice_str(host));
	while (kv_next(&rest, &key, &value)) {
		const char *name = arena_cstr(&a->telling, key);
		struct buf b = { 0 };
		uint64_t n;

		if (slice_u64(value, INT64_MAX, &n) == 0)
			admin_tell_number(&t, name, n);
		else if (kv_decode(&b, value) == 0)
			admin_tell_add(&t, name, slice_str(arena_cstr(&a->telling, buf_get(&b))));
		buf_fini(&b);
	}
	admin_tell_end(&t, kind);
}

/* Lines that begin with one of these words, `limit` of each kind at most; how many were left out. */
static size_t
queue_lines(struct admin *a, const struct admin_question *q, const char *word, const char *kind,
    size_t limit)
{
	struct slice text = q->text, line;
	size_t n = 0;

	while (slice_find(text, '\n') < text.n && slice_cut(&text, '\n', &line)) {
		if (!slice_starts(line, slice_str(word)) || line.n <= strlen(word) ||
		    line.p[strlen(word)] != ' ')
			continue;
		if (n++ < limit)
			queue_tell(a, q->host, kind, line);
		admin_breathe(a);
	}
	return n > limit ? n - limit : 0;
}

/* ---- what it is -------------------------------------------------------------------------------------- */

/* A host without a jobctl has no queue. */
static void
queue_tell_host(struct admin *a, const struct admin_question *q)
{
	struct admin_telling t = { .a = a };

	if (q->e == -ECONNREFUSED)
		return;
	if (q->e == 0) {
		(void)queue_lines(a, q, "queue", "queue", 1);
		(void)queue_lines(a, q, "channel", "channel", SIZE_MAX);
		return;
	}
	admin_tell_add(&t, "host", slice_str(q->host));
	admin_tell_add(&t, "error", slice_str(q->why));
	admin_tell_end(&t, "queue");
}

bool
admin_queue_list(struct admin *a)
{
	const char *one = NULL;
	struct admin_question *q;
	size_t n = 0;

	if (!admin_whole(a) || (admin_name(a, 0).n && !(one = admin_host(a, admin_name(a, 0)))))
		return false;
	while (admin_conf.hosts && admin_conf.hosts[n])
		n++;
	n = one ? 1 : n;
	q = arena_array(&a->memory, n + 1, sizeof(*q));
	for (size_t i = 0; i < n; i++)
		q[i] = (struct admin_question){ .host = one ?
			    one :
			    arena_cstr(&a->memory, slice_str(admin_conf.hosts[i])),
			.daemon = "jobctl",
			.line = "queue status" };
	if (!admin_hosts_ask(a, q, n))
		return false;
	for (size_t i = 0; i < n; i++)
		queue_tell_host(a, &q[i]);
	return true;
}

bool
admin_queue_top(struct admin *a)
{
	struct admin_question q;
	struct buf b = { 0 };
	struct slice last;
	bool good;

	buf_lit(&b, "queue top");
	if (admin_name(a, 1).n)
		kv_put(&b, "channel", admin_name(a, 1));
	good = admin_whole(a) && queue_ask(a, buf_get(&b), &q) && queue_ended(a, &q, &last);
	buf_fini(&b);
	if (good)
		(void)queue_lines(a, &q, "dest", "destination", SIZE_MAX);
	return good;
}

bool
admin_queue_messages(struct admin *a)
{
	size_t limit = a->call->limit ? a->call->limit : QUEUE_MESSAGES, left;
	struct admin_telling t = { .a = a };
	struct admin_question q;
	struct buf b = { 0 };
	struct slice last;
	bool good;

	buf_lit(&b, "queue list");
	if (a->call->nnames == 1)
		buf_lit(&b, " all=1");
	good = admin_whole(a) && queue_filter(a, 1, &b) && queue_ask(a, buf_get(&b), &q) &&
	    (q.e == -EMSGSIZE || queue_ended(a, &q, &last));
	buf_fini(&b);
	if (!good)
		return false;
	left = queue_lines(a, &q, "msg", "message", limit);
	if (left || q.e == -EMSGSIZE) { /* the latter: so many at least */
		admin_tell_number(&t, "left", left);
		admin_tell_end(&t, "more");
	}
	return true;
}

/* ---- what is done ------------------------------------------------------------------------------------ */

static void
queue_tell_done(struct admin *a, const char *kind, const char *host, struct slice last)
{
	struct slice rest = slice_from(last, slice_find(last, ' '));
	static const char *const counts[] = { "n", "aside" };
	struct admin_telling t = { .a = a };
	uint64_t n;

	admin_tell_add(&t, "host", slice_str(host));
	admin_tell_add(&t, strcmp(kind, "change") == 0 ? "would" : "verb",
	    slice_str(a->verb->verb));
	for (size_t i = 0; i < NELEM(counts); i++)
		if (slice_u64(kv_find(rest, counts[i]), INT64_MAX, &n) == 0)
			admin_tell_number(&t, counts[i], n);
	admin_tell_end(&t, kind);
}

/* How many it would be of. */
static bool
queue_dry(struct admin *a, struct slice filter)
{
	struct admin_question q;
	struct buf b = { 0 };
	struct slice last;
	bool good;

	buf_printf(&b, "queue list" SFMT, SARG(filter));
	good = queue_ask(a, buf_get(&b), &q);
	buf_fini(&b);
	if (!good || q.e == -EMSGSIZE)
		return good ? admin_fail(a, ADMIN_LIMIT, "limit",
				  "%s: too many messages to be counted here", q.host) :
			      false;
	if (!queue_ended(a, &q, &last))
		return false;
	queue_tell_done(a, "change", q.host, last);
	return true;
}

bool
admin_queue_do(struct admin *a)
{
	struct buf b = { 0 }, filter = { 0 };
	struct dir_change change = { .attribute = "queue", .how = DIR_REPLACE };
	struct dir_job job = { .changes = &change, .nchanges = 1 };
	struct admin_question q;
	struct slice last, value;
	bool good = admin_whole(a) && queue_filter(a, 1, &filter);

	if (good && a->call->dry_run) {
		good = queue_dry(a, buf_get(&filter));
	} else if (good) {
		buf_printf(&b, "queue %s" SFMT, a->verb->verb, SARG(buf_get(&filter)));
		value = slice_str(arena_printf(&a->memory, SFMT " %s" SFMT, SARG(admin_name(a, 0)),
		    a->verb->verb, SARG(buf_get(&filter))));
		change.values = &value;
		change.nvalues = 1;
		good = admin_audit_ready(a, &job);
		if (good) {
			a->out.why = "";
			good = queue_ask(a, buf_get(&b), &q) && queue_ended(a, &q, &last);
			admin_audit(a, "queue", admin_base(), &change, 1, NULL,
			    good                                    ? DIR_R_OK :
				a->problem->status == ADMIN_UNKNOWN ? DIR_R_UNKNOWN :
				a->problem->status == ADMIN_DENIED  ? DIR_R_DENIED :
								      DIR_R_OTHER);
		}
		if (good)
			queue_tell_done(a, "queue", q.host, last);
	}
	buf_fini(&b);
	buf_fini(&filter);
	return good;
}
