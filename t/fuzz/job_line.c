/* Fuzz: lines of the job protocol.  What reads must be written and read back the same. */
#include "base/must.h"
#include "job/count.h"
#include "job/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct slice
again(struct buf *b, struct slice *verb)
{
	struct slice rest;

	must(b->n > 0 && b->p[b->n - 1] == '\n' && slice_find(buf_get(b), '\n') == b->n - 1);
	*verb = job_verb(slice_sub(buf_get(b), 0, b->n - 1), &rest);
	return rest;
}

static void
try_count(struct slice rest, struct buf *b)
{
	uint64_t n[JOB_COUNTS], m[JOB_COUNTS];
	struct slice verb;

	job_count_parse(rest, n);
	job_count_write(b, n);
	rest = again(b, &verb);
	must(slice_eq(verb, S("count")));
	job_count_parse(rest, m);
	must(memcmp(n, m, sizeof(n)) == 0);
}

static void
try_new(struct slice rest, struct buf *b)
{
	struct job_new n, m;
	struct slice verb;
	const char *why;

	if (job_new_parse(rest, &n, &why) < 0)
		return;
	job_new_write(b, &n);
	/* An escaped destination is escaped once more by the writer and may be too long then. */
	if (job_new_parse(again(b, &verb), &m, &why) == 0)
		must(m.size == n.size && m.nrcpt == n.nrcpt && m.prio == n.prio && m.at == n.at &&
		    slice_eq(m.file, n.file));
}

static void
try_work(struct slice rest, struct buf *b)
{
	struct job_work w, v;
	struct slice verb;
	const char *why;
	int e;

	if (job_work_parse(rest, &w, &why) < 0)
		return;
	job_work_write(b, &w);
	e = job_work_parse(again(b, &verb), &v, &why);
	must(e == 0 && v.id == w.id && v.action == w.action && v.backoff == w.backoff &&
	    slice_eq(v.dest, w.dest) && slice_eq(v.file, w.file) && v.check == w.check);
}

static void
try_result(struct slice first, struct slice rest, struct buf *b)
{
	struct job_result r, s;
	struct slice verb;
	const char *why;
	int e;

	if (job_result_parse(first, rest, &r, &why) < 0)
		return;
	job_result_write(b, &r);
	rest = again(b, &verb);
	e = job_result_parse(verb, rest, &s, &why);
	must(e == 0 && s.id == r.id && s.end == r.end && s.site == r.site);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice all = slice((const char *)data, n), line, rest, verb;
	struct buf b = { 0 };
	struct job_hello h;
	const char *why;
	char dest[64];

	while (slice_cut(&all, '\n', &line)) {
		verb = job_verb(line, &rest);
		buf_clear(&b);
		try_new(rest, &b);
		buf_clear(&b);
		try_work(rest, &b);
		buf_clear(&b);
		try_result(verb, rest, &b);
		buf_clear(&b);
		try_count(rest, &b);
		(void)!job_hello_parse(rest, &h, &why);
		(void)!kv_cstr(kv_find(rest, "dest"), dest, sizeof(dest));
		buf_clear(&b);
		if (kv_decode(&b, line) == 0)
			must(b.n <= line.n);
	}
	buf_fini(&b);
	return 0;
}
