/* job-item.c: the rows of a file that a job keeps, done one by one.
 *
 * Called by job-run.c.  Owns nothing for longer than a part.  Can fail as a row does, which is a line of the report, and
 * as the directory does, which ends this turn.  Must stay true: what became of a row and that the next one is due are
 * one change, which asserts that this row was due; so a row is done again only when we died between it and its line,
 * and then it is there already.  A part that is done keeps its report alone. */
#include "admin/job-impl.h"
#include "base/mem.h"
#include "json/json.h"

struct part {
	const char *dn;
	struct slice *items;
	size_t n, done;
	bool again; /* somebody was at its next row before us */
};

static uint64_t
item_order(struct slice text)
{
	struct slice rest = slice_from(text, 5); /* {"n": */
	uint64_t n = 0;

	return slice_u64(slice_sub(rest, 0, slice_find(rest, ',')), INT64_MAX, &n) == 0 ? n : 0;
}

/* In their order.  False: there is no such part, or no answer. */
static bool
part_read(struct admin_journal *j, unsigned number, struct part *p, size_t *failed)
{
	static const char *const attrs[] = { "tiermailJobItem", "tiermailJobReport",
		"tiermailJobDone", NULL };
	const struct dir_attribute *at, *report;
	const struct dir_entry *e;
	uint64_t done = 0;

	*p = (struct part){ .dn = arena_printf(&j->a->memory, "cn=%06u,%s", number, j->job->dn.p) };
	if (!admin_search(j->a, p->dn, DIR_SCOPE_BASE, NULL, attrs) || !j->a->out.n)
		return false;
	e = admin_entry_copy(j->a, &j->a->out.entries[0]);
	at = admin_attr(e, "tiermailJobItem");
	report = admin_attr(e, "tiermailJobReport");
	if (slice_u64(admin_value(e, "tiermailJobDone"), INT32_MAX, &done) == 0)
		p->done = (size_t)done;
	p->items = arena_array(&j->a->memory, at ? at->n + 1 : 1, sizeof(*p->items));
	for (p->n = 0; at && p->n < at->n; p->n++) {
		size_t k = p->n;

		for (; k > 0 && item_order(p->items[k - 1]) > item_order(at->values[p->n]); k--)
			p->items[k] = p->items[k - 1];
		p->items[k] = at->values[p->n];
	}
	for (size_t i = 0; report && i < report->n; i++)
		*failed += slice_find_str(report->values[i], S("\"result\":\"failed\"")) <
		    report->values[i].n;
	return true;
}

/* The line, and that the next one is due; with the last one the items go. */
static bool
item_note(struct admin_journal *j, struct part *p, struct slice line)
{
	struct admin_changes c = { 0 };
	struct arena *m = &j->a->memory;
	const char *assertion = arena_printf(m, "(tiermailJobDone=%zu)", p->done);

	admin_set(j->a, &c, DIR_ADD, "tiermailJobReport", line);
	admin_set(j->a, &c, DIR_REPLACE, "tiermailJobDone",
	    slice_str(arena_printf(m, "%zu", p->done + 1)));
	if (p->done + 1 == p->n)
		admin_set_none(j->a, &c, "tiermailJobItem");
	if (!admin_note(j->a, p->dn, assertion, &c)) {
		j->stop = JOB_LOST;
		return false;
	}
	p->done++;
	return true;
}

/* Not of this row: the same would be said of all that follow. */
static bool
item_trouble(const struct admin_problem *problem)
{
	return problem->status == ADMIN_AWAY || problem->status == ADMIN_UNKNOWN ||
	    strcmp(problem->code, "audit") == 0 || strcmp(problem->code, "proxy") == 0;
}

static enum admin_put
item_put(struct admin_journal *j, const struct admin_call *call, const struct json_t *v,
    bool update, struct admin_problem *problem)
{
	const struct json_t *set = json_find(v, S("set"));
	size_t n = json_count(set);
	struct admin_setting *settings = mem_new((n + 1) * sizeof(*settings));
	struct slice object = json_text(json_find(v, S("object")));
	struct admin_row row = { .name = json_text(json_find(v, S("name"))),
		.settings = settings,
		.n = n,
		.object = slice_eq(object, S("org")) ? "org" :
		    slice_eq(object, S("group"))     ? "group" :
						       "user" };
	enum admin_put put;

	for (size_t i = 0; i < n; i++)
		settings[i] = (struct admin_setting){ json_text(json_at(json_at(set, i), 0)),
			json_text(json_at(json_at(set, i), 1)), ADMIN_SET };
	put = admin_bulk_put(j->a->loop, j->a->agent, call, &row, update, problem);
	mem_free(&settings);
	return put;
}

static bool
item_do(struct admin_journal *j, const struct admin_call *call, struct part *p, bool update,
    size_t *failed)
{
	static const struct json_bounds bounds = { 64 * 1024 * 1024, 6, 100000 };
	struct admin_problem problem = { .status = ADMIN_OK, .code = "" };
	enum admin_put put = ADMIN_PUT_FAILED;
	struct slice item = p->items[p->done], text;
	struct json_t *v = NULL;
	struct buf line = { 0 };
	const char *why = "";
	int64_t number = 0;
	bool good;

	if (json_read(item, &bounds, &v, &why) < 0)
		v = NULL; /* somebody else has written it */
	(void)json_get_int(json_find(v, S("line")), 0, UINT32_MAX, &number);
	text = v ? json_text(json_find(v, S("why"))) : slice_str(why);
	if (v && !text.n) {
		put = item_put(j, call, v, update, &problem);
		text = put == ADMIN_PUT_FAILED         ? slice_str(problem.text) :
		    put == ADMIN_PUT_THERE && p->again ? S("perhaps made just before a stop") :
		    put == ADMIN_PUT_THERE             ? S("") :
							 json_text(json_find(v, S("note")));
	}
	if (put == ADMIN_PUT_FAILED && (j->stop != JOB_GO || item_trouble(&problem))) {
		j->problem = problem;
		json_free(&v);
		return false;
	}
	p->again = false;
	*failed += put == ADMIN_PUT_FAILED;
	admin_journal_write(&line, item_order(item), (unsigned)number,
	    json_text(json_find(v, S("name"))), admin_put_word(put), text);
	good = item_note(j, p, buf_get(&line));
	buf_fini(&line);
	json_free(&v);
	return good;
}

bool
admin_job_items(struct admin_journal *j, const struct admin_call *call, bool update, size_t *failed)
{
	bool again = j->again;
	struct part p;

	j->done = 0;
	*failed = 0;
	for (unsigned number = 1; part_read(j, number, &p, failed); number++) {
		p.again = again && p.n;
		again = again && !p.n;
		j->parts = number;
		j->done += p.done;
		while (p.done < p.n) {
			if (!item_do(j, call, &p, update, failed))
				return false;
			j->done++;
			if (admin_journal_due(j) && !admin_journal_note(j))
				return false;
		}
		arena_reset(&j->a->memory); /* the job's own entry is the caller's */
	}
	return j->problem.status == ADMIN_OK;
}
