/* line.c: the requests of the job protocol: bytes to struct and struct to bytes.
 *
 * Pure; called by jobctl, its feeders, masters and tools.  What fails is the other side's line:
 * -EBADMSG and why.  Keys that are not known are passed over, because the two ends may be of
 * different versions; what is missing has the default of the struct.  Slices point into the
 * line. */
#include <errno.h>
#include "job/line.h"

struct slice
job_verb(struct slice line, struct slice *rest)
{
	size_t n = slice_find(line, ' ');

	*rest = slice_from(line, n);
	return slice(line.p, n);
}

static int
job_line_fail(const char **why, const char *text)
{
	*why = text;
	return -EBADMSG;
}

/* One `key=value` for the parsers below: does it have this key, and a number in range? */
static bool
is_key(struct slice key, const char *name)
{
	return key.n == strlen(name) && memcmp(key.p, name, key.n) == 0;
}

static bool
job_line_number(struct slice value, uint64_t max, uint64_t *v)
{
	return value.p && slice_u64(value, max, v) == 0;
}

/* ---- new ------------------------------------------------------------------------------- */

void
job_new_write(struct buf *b, const struct job_new *n)
{
	buf_lit(b, "new");
	kv_put_raw(b, "channel", n->channel);
	kv_put_raw(b, "file", n->file);
	kv_put(b, "dest", n->dest);
	kv_put_u64(b, "size", n->size);
	kv_put_u64(b, "nrcpt", n->nrcpt);
	kv_put_u64(b, "prio", (uint64_t)n->prio);
	kv_put_i64(b, "at", n->at);
	if (n->release)
		kv_put_i64(b, "release", n->release);
	if (n->by)
		kv_put_i64(b, "by", n->by);
	buf_char(b, '\n');
}

int
job_new_parse(struct slice rest, struct job_new *n, const char **why)
{
	struct slice k, v;
	uint64_t u;

	*n = (struct job_new){ .prio = 1, .nrcpt = 1 };
	while (kv_next(&rest, &k, &v)) {
		if (is_key(k, "channel"))
			n->channel = v;
		else if (is_key(k, "file"))
			n->file = v;
		else if (is_key(k, "dest"))
			n->dest = v;
		else if (is_key(k, "size")) {
			if (!job_line_number(v, INT64_MAX, &n->size))
				return job_line_fail(why, "bad size");
		} else if (is_key(k, "nrcpt")) {
			if (!job_line_number(v, 1000000, &u))
				return job_line_fail(why, "bad nrcpt");
			n->nrcpt = (uint32_t)u;
		} else if (is_key(k, "prio")) {
			if (!job_line_number(v, 2, &u))
				return job_line_fail(why, "bad prio");
			n->prio = (int)u;
		} else if (is_key(k, "at")) {
			if (!job_line_number(v, UINT32_MAX, &u))
				return job_line_fail(why, "bad at");
			n->at = (int64_t)u;
		} else if (is_key(k, "release")) {
			if (!job_line_number(v, UINT32_MAX, &u))
				return job_line_fail(why, "bad release");
			n->release = (int64_t)u;
		} else if (is_key(k, "by")) {
			if (!job_line_number(v, UINT32_MAX, &u))
				return job_line_fail(why, "bad by");
			n->by = (int64_t)u;
		}
	}
	if (n->channel.n == 0 || n->channel.n > 64 || n->file.n == 0 || n->file.n > 64)
		return job_line_fail(why, "channel and file are needed");
	if (n->dest.n == 0 || n->dest.n > JOB_DEST_MAX)
		return job_line_fail(why, "dest is missing or too long");
	return 0;
}

/* ---- hello ----------------------------------------------------------------------------- */

void
job_hello_write(struct buf *b, const struct job_hello *h)
{
	buf_lit(b, "hello");
	kv_put(b, "who", h->who);
	kv_put_u64(b, "pid", h->pid);
	if (h->channel.n) {
		kv_put(b, "channel", h->channel);
		kv_put_u64(b, "slots", h->slots);
	}
	buf_char(b, '\n');
}

int
job_hello_parse(struct slice rest, struct job_hello *h, const char **why)
{
	struct slice k, v;
	uint64_t u;

	*h = (struct job_hello){ .slots = 1 };
	while (kv_next(&rest, &k, &v)) {
		if (is_key(k, "who"))
			h->who = v;
		else if (is_key(k, "channel"))
			h->channel = v;
		else if (is_key(k, "pid")) {
			if (!job_line_number(v, INT32_MAX, &u))
				return job_line_fail(why, "bad pid");
			h->pid = (uint32_t)u;
		} else if (is_key(k, "slots")) {
			if (!job_line_number(v, 10000, &u) || u == 0)
				return job_line_fail(why, "bad slots");
			h->slots = (uint32_t)u;
		}
	}
	return 0;
}

/* ---- work ------------------------------------------------------------------------------ */

static const char *const actions[] = { "deliver", "notice", "expire", "return", "reroute", "late" };

void
job_work_write(struct buf *b, const struct job_work *w)
{
	buf_lit(b, "work");
	kv_put_u64(b, "id", w->id);
	kv_put_raw(b, "file", w->file);
	kv_put_raw(b, "dest", w->dest);
	kv_put_u64(b, "attempt", w->attempt);
	kv_put_u64(b, "backoff", w->backoff);
	if (w->action != JOB_DELIVER)
		kv_put_raw(b, "action", slice_str(actions[w->action]));
	if (w->notice)
		kv_put_u64(b, "notice", w->notice);
	if (w->check)
		buf_lit(b, " check=1");
	buf_char(b, '\n');
}

static int
parse_action(struct slice v)
{
	for (size_t i = 0; i < NELEM(actions); i++)
		if (slice_eq(v, slice_str(actions[i])))
			return (int)i;
	return -1;
}

/* The 32-bit numbers of a line, as a table: key and place. */
struct field {
	const char *key;
	uint32_t *v;
};

/* 1 when the key is one of them, 0 when it is none, -EBADMSG when its value is bad. */
static int
job_line_take_number(struct slice k, struct slice v, const struct field *f, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t u;

		if (!is_key(k, f[i].key))
			continue;
		if (!job_line_number(v, UINT32_MAX, &u))
			return -EBADMSG;
		*f[i].v = (uint32_t)u;
		return 1;
	}
	return 0;
}

int
job_work_parse(struct slice rest, struct job_work *w, const char **why)
{
	const struct field fields[] = { { "id", &w->id }, { "attempt", &w->attempt },
		{ "backoff", &w->backoff }, { "notice", &w->notice } };
	struct slice k, v;
	int e;

	*w = (struct job_work){ 0 };
	while (kv_next(&rest, &k, &v)) {
		if ((e = job_line_take_number(k, v, fields, NELEM(fields))) < 0)
			return job_line_fail(why, "bad number");
		if (e)
			continue;
		if (is_key(k, "file"))
			w->file = v;
		else if (is_key(k, "dest"))
			w->dest = v;
		else if (is_key(k, "check"))
			w->check = slice_eq(v, S("1"));
		else if (is_key(k, "action")) {
			if ((e = parse_action(v)) < 0)
				return job_line_fail(why, "unknown action");
			w->action = (enum job_action)e;
		}
	}
	if (w->file.n == 0 || w->file.n > 64 || w->dest.n == 0)
		return job_line_fail(why, "file and dest are needed");
	return 0;
}

/* ---- results --------------------------------------------------------------------------- */

static const char *const ends[] = { "done", "retry", "drop", "noted", "held" };
static const char *const sites[] = { "ok", "fail", "none" };

void
job_result_write(struct buf *b, const struct job_result *r)
{
	buf_str(b, ends[r->end]);
	kv_put_u64(b, "id", r->id);
	if (r->end == JOB_RETRY)
		kv_put_i64(b, "next", r->next);
	if (r->end == JOB_DROP && r->after)
		kv_put_u64(b, "after", r->after);
	if (r->end == JOB_DROP && r->judged)
		kv_put_u64(b, "judged", 1);
	if (r->site != JOB_SITE_OK)
		kv_put_raw(b, "site", slice_str(sites[r->site]));
	if (r->mx.n)
		kv_put(b, "mx", r->mx);
	if (r->suspend) {
		kv_put_u64(b, "suspend", r->suspend);
		kv_put(b, "rule", r->rule);
	}
	buf_char(b, '\n');
}

int
job_result_parse(struct slice verb, struct slice rest, struct job_result *r, const char **why)
{
	const struct field fields[] = { { "id", &r->id }, { "after", &r->after },
		{ "suspend", &r->suspend } };
	struct slice k, v;
	bool id = false, next = false;
	uint64_t u;
	size_t i;
	int e;

	*r = (struct job_result){ 0 };
	for (i = 0; i < NELEM(ends) && !slice_eq(verb, slice_str(ends[i])); i++)
		;
	if (i == NELEM(ends))
		return job_line_fail(why, "unknown verb");
	r->end = (enum job_end)i;
	while (kv_next(&rest, &k, &v)) {
		if ((e = job_line_take_number(k, v, fields, NELEM(fields))) < 0)
			return job_line_fail(why, "bad number");
		if (e) {
			id |= is_key(k, "id");
		} else if (is_key(k, "next")) {
			if (!job_line_number(v, UINT32_MAX, &u))
				return job_line_fail(why, "bad next");
			r->next = (int64_t)u;
			next = true;
		} else if (is_key(k, "judged")) {
			r->judged = slice_eq(v, S("1"));
		} else if (is_key(k, "rule")) {
			r->rule = v;
		} else if (is_key(k, "mx")) {
			if (v.n > JOB_MX_MAX)
				return job_line_fail(why, "mx is too long");
			r->mx = v;
		} else if (is_key(k, "site")) {
			for (i = 0; i < NELEM(sites) && !slice_eq(v, slice_str(sites[i])); i++)
				;
			if (i == NELEM(sites))
				return job_line_fail(why, "bad site");
			r->site = (enum job_site)i;
		}
	}
	if (!id || (r->end == JOB_RETRY && !next))
		return job_line_fail(why, "id (and next, of retry) are needed");
	return 0;
}
