/* job-note.c: what is written while a job is done: how far it is, until when we hold it, and a report.
 *
 * Called by job-run.c, job-item.c and, between two steps, by the verbs (admin_step).  Owns the lines of a report that
 * are not written yet.  Can fail: somebody wants the job to stop, somebody else holds it by now, the directory is away;
 * then it stops behind the step that is done.  Must stay true: each note asserts (RFC 4528) that we hold the
 * job still; notes are no changes of what people have, so the audit log has the job's making and its steps, not these. */
#include "admin/config.h"
#include "admin/job-impl.h"
#include "base/clock.h"
#include "base/json.h"

#define NOTE_MS 1000

bool
admin_note(struct admin *a, const char *dn, const char *assertion, const struct admin_changes *c)
{
	struct dir_job j = { .task = DIR_MODIFY,
		.dn = dn,
		.assertion = assertion,
		.changes = c->v,
		.nchanges = c->n };

	return admin_job_ok(a, &j, "the job");
}

bool
admin_note_create(struct admin *a, const char *dn, const struct admin_changes *c)
{
	struct dir_job j = { .task = DIR_CREATE, .dn = dn, .changes = c->v, .nchanges = c->n };

	return admin_job_ok(a, &j, "the job");
}

/* ---- the report --------------------------------------------------------------------------------------------- */

void
admin_journal_write(struct buf *out, uint64_t n, unsigned line, struct slice name,
    const char *result, struct slice text)
{
	buf_char(out, '{');
	json_put_i64(out, "n", (int64_t)n);
	json_put_i64(out, "line", line);
	json_put_str(out, "name", name);
	json_put_cstr(out, "result", result);
	if (text.n)
		json_put_str(out, "text", text);
	buf_char(out, '}');
}

void
admin_journal_line(struct admin_journal *j, unsigned line, struct slice name, const char *result,
    struct slice text)
{
	if (j->lines == JOB_ITEMS) { /* of one step: the last ones are the ones that tell most */
		buf_clear(&j->report);
		j->lines = 0;
	}
	admin_journal_write(&j->report, ++j->lines, line, name, result, text);
	buf_char(&j->report, '\n'); /* which is in no JSON text as it stands */
}

static bool
journal_lines(struct admin_journal *j)
{
	struct job_values list = { .n = 0 };
	struct slice rest = buf_get(&j->report), line;
	struct buf one = { 0 };

	if (!j->lines)
		return true;
	while (slice_cut(&rest, '\n', &line))
		if (line.n) {
			buf_clear(&one);
			buf_slice(&one, line);
			admin_job_value(j->a, &list, &one);
		}
	buf_fini(&one);
	if (!admin_job_part(j->a, j->job->dn.p, j->parts + 1, j->job, NULL, &list))
		return false;
	j->parts++;
	j->lines = 0;
	buf_clear(&j->report);
	return true;
}

/* ---- notes ---------------------------------------------------------------------------------------------------- */

static char *
journal_ours(struct admin_journal *j, bool wished)
{
	struct buf b = { 0 };
	char *s;

	buf_lit(&b, "(&");
	dir_filter_equal(&b, "tiermailJobHolder", slice_str(j->holder), S(""));
	buf_str(&b, wished ? ")" : "(!(tiermailJobWish=*)))");
	s = arena_cstr(&j->a->memory, buf_get(&b));
	buf_fini(&b);
	return s;
}

static void
journal_counts(struct admin_journal *j, struct admin_changes *c)
{
	struct arena *m = &j->a->memory;

	admin_set(j->a, c, DIR_REPLACE, "tiermailJobDone",
	    slice_str(arena_printf(m, "%llu", (unsigned long long)j->done)));
	if (j->total)
		admin_set(j->a, c, DIR_REPLACE, "tiermailJobTotal",
		    slice_str(arena_printf(m, "%llu", (unsigned long long)j->total)));
}

/* A note was refused: for a wish, or is the job another's by now? */
static void
journal_why(struct admin_journal *j)
{
	static const char *const attrs[] = { "tiermailJobWish", "tiermailJobHolder", NULL };
	const struct dir_entry *e;
	struct slice wish;

	j->stop = JOB_LOST;
	if (j->problem.status != ADMIN_CHANGED)
		return;
	j->problem.status = ADMIN_OK;
	if (!admin_search(j->a, j->job->dn.p, DIR_SCOPE_BASE, NULL, attrs) || !j->a->out.n)
		return;
	e = &j->a->out.entries[0];
	wish = admin_value(e, "tiermailJobWish");
	if (slice_eq(admin_value(e, "tiermailJobHolder"), slice_str(j->holder)) && wish.n)
		j->stop = slice_eq(wish, S("pause")) ? JOB_PAUSE : JOB_CANCEL;
}

/* May the person have it done still? */
static bool
journal_person(struct admin_journal *j)
{
	const char *wrong = admin_job_is_persons(j->job) ? admin_job_person(j->own, j->job) : NULL;

	if (!wrong)
		return true;
	j->stop = *wrong ? JOB_OVER : JOB_LOST;
	j->why = *wrong ? wrong : NULL;
	return false;
}

bool
admin_journal_due(const struct admin_journal *j)
{
	return clock_mono_ms() - j->told_ms >= NOTE_MS || j->lines >= JOB_ITEMS / 2 ||
	    (j->leave && *j->leave);
}

bool
admin_journal_note(struct admin_journal *j)
{
	struct admin_changes c = { 0 };

	journal_counts(j, &c);
	admin_set(j->a, &c, DIR_REPLACE, "tiermailJobUntil",
	    slice_str(admin_job_time(&j->a->memory, admin_conf.job_lease)));
	if (!journal_lines(j) || !admin_note(j->a, j->job->dn.p, journal_ours(j, false), &c))
		journal_why(j);
	else if (!journal_person(j))
		;
	else if (j->leave && *j->leave)
		j->stop = JOB_LEAVE;
	j->told_ms = clock_mono_ms();
	return j->stop == JOB_GO;
}

bool
admin_journal_end(struct admin_journal *j, const char *state, const char *text)
{
	struct admin_changes c = { 0 };

	journal_counts(j, &c);
	admin_set(j->a, &c, DIR_REPLACE, "tiermailJobState", slice_str(state));
	if (text && *text)
		admin_set(j->a, &c, DIR_REPLACE, "tiermailJobText", slice_str(text));
	else
		admin_set_none(j->a, &c, "tiermailJobText");
	admin_set_none(j->a, &c, "tiermailJobWish");
	admin_set_none(j->a, &c, "tiermailJobHolder");
	admin_set_none(j->a, &c, "tiermailJobUntil");
	return journal_lines(j) && admin_note(j->a, j->job->dn.p, journal_ours(j, true), &c);
}

void
admin_journal_fini(struct admin_journal *j)
{
	buf_fini(&j->report);
}

/* ---- steps of verbs --------------------------------------------------------------------------------------------- */

void
admin_steps(struct admin *a, size_t n, bool all)
{
	struct admin_journal *j = a->call->journal;

	if (!j)
		return;
	if (all)
		j->done = 0; /* those that need nothing are counted again */
	j->total = j->done + n;
}

bool
admin_hold(struct admin *a)
{
	struct admin_journal *j = a->call->journal;

	return !j || !admin_journal_due(j) || admin_journal_note(j) ||
	    admin_fail(a, ADMIN_CHANGED, "stopped", "the job is to stop here");
}

bool
admin_step(struct admin *a)
{
	struct admin_journal *j = a->call->journal;

	if (j)
		j->done++;
	return admin_hold(a);
}
