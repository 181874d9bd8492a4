/* The job protocol's lines: what is written is read, what is bad is refused. */
#include "../tap.h"
#include "job/line.h"

static struct slice
rest_of(struct buf *b, const char *verb)
{
	struct slice rest, v = job_verb(slice_sub(buf_get(b), 0, b->n - 1), &rest);

	ok(slice_eq(v, slice_str(verb)), "verb %s", verb);
	return rest;
}

static void
round_trips(void)
{
	struct job_new n = { S("tcp_lmtp"), S("ZZ1qx0abcdefghi00.00"), S("store 1"), 123456789012,
		3, 2, 1763800000, 1763900000, 1763900001 },
		       n2;
	struct job_hello h = { .channel = S("tcp_local"), .who = S("x"), .pid = 7, .slots = 16 },
			 h2;
	struct job_work w = { .id = 5,
		.file = S("ZZ1qx0abcdefghi00.00"),
		.dest = S("store%201"),
		.action = JOB_NOTICE,
		.attempt = 4,
		.backoff = 3600,
		.notice = 2,
		.check = true },
			w2;
	struct job_result r = { .id = 9,
		.end = JOB_RETRY,
		.site = JOB_SITE_FAIL,
		.next = 1763803600 },
			  r2;
	struct slice rest, verb;
	struct buf b = { 0 };
	const char *why;

	job_new_write(&b, &n);
	eq(job_new_parse(rest_of(&b, "new"), &n2, &why), 0, "reads");
	ok(slice_eq(n2.channel, n.channel) && slice_eq(n2.file, n.file) && n2.size == n.size &&
		n2.nrcpt == 3 && n2.prio == 2 && n2.at == n.at && n2.release == n.release &&
		n2.by == n.by,
	    "every field");
	ok(slice_eq(n2.dest, S("store%201")), "the destination stays escaped");
	buf_clear(&b);
	job_hello_write(&b, &h);
	eq(job_hello_parse(rest_of(&b, "hello"), &h2, &why), 0, "reads");
	ok(slice_eq(h2.channel, h.channel) && h2.pid == 7 && h2.slots == 16, "every field");
	buf_clear(&b);
	job_work_write(&b, &w);
	eq(job_work_parse(rest_of(&b, "work"), &w2, &why), 0, "reads");
	ok(w2.id == 5 && slice_eq(w2.file, w.file) && slice_eq(w2.dest, w.dest) &&
		w2.action == JOB_NOTICE && w2.attempt == 4 && w2.backoff == 3600 &&
		w2.notice == 2 && w2.check,
	    "every field");
	for (int end = JOB_DONE; end <= JOB_HELD; end++) {
		buf_clear(&b);
		r.end = (enum job_end)end;
		r.after = end == JOB_DROP ? 30 : 0;
		r.suspend = end == JOB_RETRY ? 7200 : 0;
		r.rule = S("busy");
		r.mx = end == JOB_DONE ? S("mx.example/2/0a1b2c3d") : S("");
		job_result_write(&b, &r);
		verb = job_verb(slice_sub(buf_get(&b), 0, b.n - 1), &rest);
		eq(job_result_parse(verb, rest, &r2, &why), 0, SFMT " reads", SARG(verb));
		ok(r2.id == 9 && r2.end == r.end && r2.site == JOB_SITE_FAIL &&
			r2.after == r.after && r2.suspend == r.suspend && slice_eq(r2.mx, r.mx) &&
			slice_eq(r2.rule, r.suspend ? S("busy") : S("")) &&
			(end != JOB_RETRY || r2.next == r.next),
		    "every field");
	}
	buf_fini(&b);
}

static void
refusals(void)
{
	static const char *const news[] = { "", " channel=x file=y",
		" channel=x file=y dest=", " channel=x file=y dest=z size=-1",
		" channel=x file=y dest=z prio=3", " channel=x file=y dest=z at=99999999999999",
		" channel=x file=y dest=z release=soon" };
	static const char *const works[] = { "", " id=1 file=x", " id=x file=x dest=y",
		" id=1 file=x dest=y action=dance", " id=4294967296 file=x dest=y" };
	static const char *const results[] = { "done", "retry id=1", "done id=", "fly id=1",
		"done id=1 site=perhaps", "retry id=1 next=soon" };
	const char *why;
	int bad;

	for (size_t i = 0; i < NELEM(news); i++) {
		struct job_new n;

		bad = job_new_parse(slice_str(news[i]), &n, &why); /* before why is read */
		ok(bad < 0, "new%s: %s", news[i], why);
	}
	for (size_t i = 0; i < NELEM(works); i++) {
		struct job_work w;

		bad = job_work_parse(slice_str(works[i]), &w, &why); /* before why is read */
		ok(bad < 0, "work%s: %s", works[i], why);
	}
	for (size_t i = 0; i < NELEM(results); i++) {
		struct slice rest, verb = job_verb(slice_str(results[i]), &rest);
		struct job_result r;

		bad = job_result_parse(verb, rest, &r, &why); /* before why is read */
		ok(bad < 0, "%s: %s", results[i], why);
	}
}

int
main(void)
{
	round_trips();
	refusals();
	return done();
}
