/* job.c: jobs as people see them: looked at, stopped, begun again, taken away.
 *
 * Called by the table of verbs.  Owns nothing.  Can fail as searches and changes do; whose job it is, slapd's
 * rules say.  Must stay true: a person writes what is wanted (tiermailJobWish), and who does the job writes what it is,
 * so that neither undoes what the other has written. */
#include "admin/job-impl.h"
#include "base/civil.h"
#include "base/clock.h"
#include "json/json.h"

#define TRIES 20

static const char *const job_all[] = { "*", "creatorsName", "createTimestamp", "modifyTimestamp",
	"entryCSN", NULL };

const char *
admin_job_base(struct admin *a)
{
	return arena_printf(&a->memory, "ou=Jobs,%s", admin_base());
}

char *
admin_job_time(struct arena *m, int64_t ms)
{
	struct civil t = civil_from_unix(clock_now() + (ms + 999) / 1000);

	return arena_printf(m, "%04d%02d%02d%02d%02d%02dZ", (int)t.year, t.month, t.day, t.hour,
	    t.minute, t.second);
}

bool
admin_job_find(struct admin *a, struct slice id, const struct dir_entry **e)
{
	struct buf dn = { 0 };
	bool good;

	buf_lit(&dn, "cn=");
	admin_dn_value(&dn, id);
	buf_printf(&dn, ",%s", admin_job_base(a));
	good = admin_search(a, buf_cstr(&dn), DIR_SCOPE_BASE, "(objectClass=tiermailJob)", job_all);
	buf_fini(&dn);
	if (!good)
		return false;
	if (!a->out.n)
		return admin_fail(a, ADMIN_NOT_FOUND, "not-found",
		    SFMT ": there is no such job, or you may not see it", SARG(id));
	*e = admin_entry_copy(a, &a->out.entries[0]);
	return true;
}

/* ---- telling ------------------------------------------------------------------------------------------------ */

static void
job_tell_names(struct admin_telling *t, struct slice call)
{
	static const struct json_bounds bounds = { 65536, 4, 100 };
	const struct json_t *names;
	struct json_t *v = NULL;
	const char *why;

	if (json_read(call, &bounds, &v, &why) < 0)
		return;
	names = json_find(v, S("names"));
	for (size_t i = 0; i < json_count(names); i++)
		admin_tell_list(t, "name",
		    slice_str(arena_cstr(&t->a->telling, json_text(json_at(names, i)))));
	json_free(&v);
}

static bool
job_tell(struct admin *a, const struct dir_entry *e, void *arg)
{
	static const struct {
		const char *attribute, *name;
		bool number;
	} shown[] = {
		{ "tiermailJobWish", "wish", false },
		{ "tiermailJobDone", "done", true },
		{ "tiermailJobTotal", "total", true },
		{ "tiermailJobText", "text", false },
		{ "tiermailJobHolder", "holder", false },
		{ "createTimestamp", "created", false },
		{ "modifyTimestamp", "modified", false },
	};
	struct admin_telling t = { .a = a };
	size_t *n = arg;

	admin_tell_add(&t, "job", admin_value(e, "cn"));
	admin_tell_add(&t, "verb", admin_value(e, "tiermailJobVerb"));
	job_tell_names(&t, admin_value(e, "tiermailJobCall"));
	admin_tell_add(&t, "who", admin_dn_name(&a->telling, admin_value(e, "creatorsName")));
	admin_tell_add(&t, "state", admin_value(e, "tiermailJobState"));
	for (size_t i = 0; i < NELEM(shown); i++) {
		struct slice v = admin_value(e, shown[i].attribute);

		if (!v.n)
			continue;
		admin_tell_add(&t, shown[i].name, v);
		t.pairs[t.n - 1].number = shown[i].number;
	}
	admin_tell_end(&t, "job");
	return !n || !a->call->limit || ++*n < a->call->limit;
}

bool
admin_job_list(struct admin *a)
{
	const char *filter = "(objectClass=tiermailJob)";
	struct buf b = { 0 };
	struct admin_org org;
	size_t n = 0;

	if (admin_name(a, 0).n) {
		if (!admin_find_org(a, admin_name(a, 0), &org))
			return false;
		buf_printf(&b, "(&%s", filter);
		dir_filter_equal(&b, "tiermailJobOver", slice_str(org.dn), S(""));
		buf_char(&b, ')');
		filter = arena_cstr(&a->memory, buf_get(&b));
		buf_fini(&b);
	}
	return admin_each(a, admin_job_base(a), DIR_SCOPE_ONE, filter, job_all, job_tell, &n);
}

bool
admin_job_show(struct admin *a)
{
	const struct dir_entry *e;

	return admin_job_find(a, admin_name(a, 0), &e) && job_tell(a, e, NULL);
}

/* ---- the report --------------------------------------------------------------------------------------------- */

struct report {
	struct slice word; /* of results, or empty: all */
	size_t n;
};

static bool
report_line(struct admin *a, struct slice text, struct report *r)
{
	static const struct json_bounds bounds = { 65536, 4, 100 };
	struct admin_telling t = { .a = a };
	struct json_t *v = NULL;
	const char *why;
	int64_t n = 0;

	if (json_read(text, &bounds, &v, &why) < 0)
		return true;
	if (!r->word.n || slice_eq(json_text(json_find(v, S("result"))), r->word)) {
		(void)json_get_int(json_find(v, S("line")), 0, JSON_INT_MOST, &n);
		admin_tell_number(&t, "line", (uint64_t)n);
		admin_tell_add(&t, "name", json_text(json_find(v, S("name"))));
		admin_tell_add(&t, "result", json_text(json_find(v, S("result"))));
		if (json_text(json_find(v, S("text"))).n)
			admin_tell_add(&t, "text", json_text(json_find(v, S("text"))));
		admin_tell_end(&t, "row");
		r->n++;
	}
	json_free(&v);
	return !a->call->limit || r->n < a->call->limit;
}

/* {"n":12,...: lines of a part in their order */
static uint64_t
report_order(struct slice text)
{
	uint64_t n;

	return slice_starts(text, S("{\"n\":")) &&
		slice_u64(slice_sub(slice_from(text, 5), 0, slice_find(slice_from(text, 5), ',')),
		    INT64_MAX, &n) == 0 ?
	    n :
	    0;
}

static bool
report_part(struct admin *a, const struct dir_entry *e, struct report *r)
{
	const struct dir_attribute *at = admin_attr(e, "tiermailJobReport");
	size_t n = at ? at->n : 0;
	struct slice *v = arena_array(&a->memory, n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++) {
		size_t k = i;

		for (; k > 0 && report_order(v[k - 1]) > report_order(at->values[i]); k--)
			v[k] = v[k - 1];
		v[k] = at->values[i];
	}
	for (size_t i = 0; i < n; i++)
		if (!report_line(a, v[i], r))
			return false;
	return true;
}

/* Their names first, so that no page of the directory is held while lines are told. */
bool
admin_job_report(struct admin *a)
{
	static const char *const attrs[] = { "tiermailJobReport", NULL };
	struct report r = { .word = admin_name(a, 1) };
	const struct dir_entry *e;
	bool some = true;

	if (!admin_job_find(a, admin_name(a, 0), &e))
		return false;
	for (unsigned i = 1; some; i++) {
		const char *dn = arena_printf(&a->memory, "cn=%06u,%s", i, e->dn.p);

		if (!admin_search(a, dn, DIR_SCOPE_BASE, NULL, attrs))
			return false;
		some = a->out.n && report_part(a, admin_entry_copy(a, &a->out.entries[0]), &r);
		admin_breathe(a);
	}
	return true;
}

/* ---- wishes --------------------------------------------------------------------------------------------------- */

static bool
job_over(const struct dir_entry *e)
{
	struct slice state = admin_value(e, "tiermailJobState");

	return slice_eq(state, S("done")) || slice_eq(state, S("failed")) ||
	    slice_eq(state, S("cancelled"));
}

/* Who does the job writes into it all the time: what is wanted of it is wanted still. */
static bool
job_try(struct admin *a, bool (*change)(struct admin *, const struct dir_entry *))
{
	const struct dir_entry *e;

	for (int i = 0; i < TRIES; i++) {
		a->problem->status = ADMIN_OK;
		if (!admin_job_find(a, admin_name(a, 0), &e))
			return false;
		if (change(a, e))
			return true;
		if (a->problem->status != ADMIN_CHANGED || a->call->version)
			return false;
	}
	return false;
}

static bool
job_wish(struct admin *a, const struct dir_entry *e)
{
	bool cancel = strcmp(a->verb->verb, "cancel") == 0;
	struct admin_changes c = { 0 };

	if (job_over(e) || (!cancel && slice_eq(admin_value(e, "tiermailJobState"), S("paused"))))
		return admin_fail(a, ADMIN_BAD, "job-state", SFMT ": the job is " SFMT " already",
		    SARG(admin_name(a, 0)), SARG(admin_value(e, "tiermailJobState")));
	admin_set(a, &c, DIR_REPLACE, "tiermailJobWish", slice_str(a->verb->verb));
	return admin_modify(a, e->dn.p, e, &c, arena_cstr(&a->memory, admin_name(a, 0)));
}

bool
admin_job_wish(struct admin *a)
{
	return job_try(a, job_wish);
}

static bool
job_resume(struct admin *a, const struct dir_entry *e)
{
	struct slice state = admin_value(e, "tiermailJobState");
	bool stopped = slice_eq(state, S("paused")) || slice_eq(state, S("failed"));
	struct admin_changes c = { 0 };

	if (!stopped && (job_over(e) || !admin_value(e, "tiermailJobWish").n))
		return admin_fail(a, ADMIN_BAD, "job-state",
		    SFMT ": the job is " SFMT ": there is nothing to resume",
		    SARG(admin_name(a, 0)), SARG(state));
	if (stopped)
		admin_set(a, &c, DIR_REPLACE, "tiermailJobState", S("waiting"));
	if (admin_attr(e, "tiermailJobWish"))
		admin_set_none(a, &c, "tiermailJobWish");
	if (admin_attr(e, "tiermailJobText"))
		admin_set_none(a, &c, "tiermailJobText");
	return admin_modify(a, e->dn.p, e, &c, arena_cstr(&a->memory, admin_name(a, 0)));
}

/* Whoever resumes it has it done in the name of who has made it: nobody else may. */
bool
admin_job_resume(struct admin *a)
{
	return job_try(a, job_resume);
}

/* Not one that goes on: its report would say nothing of what it has done since. */
bool
admin_job_delete(struct admin *a)
{
	const struct dir_entry *e;

	if (!admin_job_find(a, admin_name(a, 0), &e))
		return false;
	if (!job_over(e))
		return admin_fail(a, ADMIN_BAD, "job-state",
		    SFMT ": the job is " SFMT ": cancel it first", SARG(admin_name(a, 0)),
		    SARG(admin_value(e, "tiermailJobState")));
	return admin_remove_tree(a, e, false, arena_cstr(&a->memory, admin_name(a, 0)));
}
