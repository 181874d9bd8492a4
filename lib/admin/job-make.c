/* job-make.c: a call becomes an entry, and the rows of a file become items below it.
 *
 * Called by the table of verbs.  Owns the table of what can be a job.  Can fail as changes do, and where the call is
 * none.  Must stay true: nobody does a job before all of it is kept ("making"); no password is kept, which whoever reads
 * the database could read; and who administers nothing makes none, nor anybody more than JOBS_MOST. */
#include "admin/job-impl.h"
#include "base/json.h"
#include "base/random.h"

#define JOBS_MOST 200 /* of one person, with those that are over */
#define ROWS_MOST                                                                                  \
	(8 * 1024 *                                                                                \
	    1024) /* octets of all rows of a job: the directory has room for other things, too */
#define MAKING_MS (10 * 60 * 1000) /* then it was not kept whole */

static const struct job_kind kinds[] = {
	{ "import", "", JOB_IMPORT, false },
	{ "org", "purge", JOB_ABOVE_ORG, true },
	{ "org", "readdress", JOB_ABOVE_ORG, false },
	{ "user", "move", JOB_ABOVE_ORG, true },
	{ "user", "rename", JOB_ORG, false },
	{ "user", "purge", JOB_ORG, true },
	{ "group", "rename", JOB_ORG, false },
	{ "package", "apply", JOB_BASE, false },
};

const struct job_kind *
admin_job_kind(struct slice object, struct slice verb)
{
	for (size_t i = 0; i < NELEM(kinds); i++)
		if (slice_eq(object, slice_str(kinds[i].object)) &&
		    (!*kinds[i].verb || slice_eq(verb, slice_str(kinds[i].verb))))
			return &kinds[i];
	return NULL;
}

/* ---- values ----------------------------------------------------------------------------------------------- */

void
admin_job_value(struct admin *a, struct job_values *list, const struct buf *text)
{
	if (list->n == list->room) {
		struct slice *v = arena_array(&a->memory, list->room * 2 + 128, sizeof(*v));

		if (list->n)
			memcpy(v, list->v, list->n * sizeof(*v));
		list->v = v;
		list->room = list->room * 2 + 128;
	}
	list->v[list->n++] = arena_slice(&a->memory, buf_get(text));
	list->octets += text->n;
}

bool
admin_job_part(struct admin *a, const char *job, unsigned number, const struct dir_entry *over,
    const struct job_values *items, const struct job_values *report)
{
	const char *name = arena_printf(&a->memory, "%06u", number);
	const struct dir_attribute *at = admin_attr(over, "tiermailJobOver");
	struct admin_changes c = { 0 };

	admin_set(a, &c, DIR_ADD, "objectClass", S("tiermailJobPart"));
	admin_set(a, &c, DIR_ADD, "cn", slice_str(name));
	for (size_t i = 0; at && i < at->n; i++)
		admin_set(a, &c, DIR_ADD, "tiermailJobOver", at->values[i]);
	for (size_t i = 0; items && i < items->n; i++)
		admin_set(a, &c, DIR_ADD, "tiermailJobItem", items->v[i]);
	if (items)
		admin_set(a, &c, DIR_ADD, "tiermailJobDone", S("0"));
	for (size_t i = 0; report && i < report->n; i++)
		admin_set(a, &c, DIR_ADD, "tiermailJobReport", report->v[i]);
	return admin_note_create(a, arena_printf(&a->memory, "cn=%s,%s", name, job), &c);
}

/* ---- rows of a file ----------------------------------------------------------------------------------------- */

struct rows {
	struct admin *a;
	struct job_values list;
	bool secret; /* one has a password */
	bool full;
};

/* {"n":1,"line":2,"object":"user","name":"jane@example.com","set":[["quota","1G"]],"note":""} */
static void
rows_one(void *arg, const struct admin_row *row)
{
	struct rows *r = arg;
	struct buf b = { 0 };

	admin_breathe(r->a);
	r->secret = r->secret || row->secret.n;
	r->full = r->full || r->list.octets > ROWS_MOST;
	if (r->full)
		return;
	buf_char(&b, '{');
	json_put_i64(&b, "n", (int64_t)r->list.n + 1);
	json_put_i64(&b, "line", row->line);
	json_put_cstr(&b, "object", row->object);
	json_put_str(&b, "name", row->name);
	json_put_cstr(&b, "why", row->why);
	json_put_cstr(&b, "note", row->note);
	json_put_array(&b, "set");
	for (size_t i = 0; i < row->n; i++) {
		json_element(&b);
		buf_char(&b, '[');
		json_str(&b, row->settings[i].name);
		json_element(&b);
		json_str(&b, row->settings[i].value);
		buf_char(&b, ']');
	}
	buf_lit(&b, "]}");
	admin_job_value(r->a, &r->list, &b);
	buf_fini(&b);
}

static bool
rows_read(struct admin *a, struct rows *r)
{
	struct slice text;

	r->a = a;
	if (!admin_setting(a, "text", &text) || !text.n)
		return admin_fail(a, ADMIN_BAD, "text",
		    "import: the setting text has the table, or the LDIF");
	if (!admin_bulk_read(text, rows_one, r, a->problem))
		return false;
	if (r->secret)
		return admin_fail(a, ADMIN_BAD, "password",
		    "a job keeps no passwords: give their hashes (hash), or have diradm import "
		    "the file");
	if (r->full)
		return admin_fail(a, ADMIN_LIMIT, "rows",
		    "a job keeps %u MB of rows: give it in several", ROWS_MOST >> 20);
	return r->list.n || admin_fail(a, ADMIN_BAD, "text", "there is no row in it");
}

static bool
rows_keep(struct admin *a, const char *dn, const struct dir_entry *over, const struct rows *r)
{
	unsigned number = 0;

	for (size_t i = 0, k; i < r->list.n; i = k) {
		struct job_values some = { .v = r->list.v + i };

		for (k = i; k < r->list.n && some.n < JOB_ITEMS && some.octets < JOB_OCTETS; k++) {
			some.octets += r->list.v[k].n;
			some.n++;
		}
		if (!admin_job_part(a, dn, ++number, over, &some, NULL))
			return false;
		admin_breathe(a);
	}
	return true;
}

/* ---- who may, and over what ---------------------------------------------------------------------------------- */

static bool
make_may(struct admin *a)
{
	const char *dn = a->call->as ? a->call->as + strlen("dn:") : NULL;
	struct buf role = { 0 }, mine = { 0 };
	size_t n = 0;
	bool good;

	if (!dn)
		return true;
	buf_lit(&role,
	    "(&(objectClass=groupOfNames)(|(cn=Top-Level Admins)(cn=Provider Admins)"
	    "(cn=Organization Admins))");
	dir_filter_equal(&role, "member", slice_str(dn), S(""));
	buf_lit(&role, ")");
	buf_lit(&mine, "(&(objectClass=tiermailJob)");
	dir_filter_equal(&mine, "creatorsName", slice_str(dn), S(""));
	buf_lit(&mine, ")");
	a->own = true;
	good = admin_count(a, admin_base(), buf_cstr(&role), &n);
	a->own = false;
	if (good && !n)
		good = admin_fail(a, ADMIN_DENIED, "denied", "job: your role does not allow this");
	good = good && admin_count(a, admin_job_base(a), buf_cstr(&mine), &n);
	if (good && n >= JOBS_MOST)
		good = admin_fail(a, ADMIN_LIMIT, "jobs",
		    "you have %zu jobs: delete some that are over", n);
	buf_fini(&role);
	buf_fini(&mine);
	return good;
}

/* The organisation and its provider, or what is above it. */
static bool
make_over(struct admin *a, struct slice name, bool above, struct admin_changes *c)
{
	struct admin_org org;
	struct slice domain = slice_from(name,
			 slice_rfind(name, '@') < name.n ? slice_rfind(name, '@') + 1 : 0),
		     up;

	if (!name.n) {
		admin_set(a, c, DIR_ADD, "tiermailJobOver", slice_str(admin_base()));
		return true;
	}
	if (!admin_find_org(a, domain, &org))
		return false;
	up = slice_str(org.dn);
	for (size_t at = 0; at < up.n; at += up.p[at] == '\\' ? 2 : 1)
		if (up.p[at] == ',') {
			up = slice_from(up, at + 1);
			break;
		}
	if (!above)
		admin_set(a, c, DIR_ADD, "tiermailJobOver", slice_str(org.dn));
	if (above || !slice_ieq(up, slice_str(admin_base())))
		admin_set(a, c, DIR_ADD, "tiermailJobOver", up);
	return true;
}

/* Of a user that the verb is about: its id, by which it is known when the name is another. */
static bool
make_id(struct admin *a, struct slice name, struct buf *call)
{
	const struct dir_entry *e;

	if (slice_rfind(name, '@') == name.n)
		return true;
	if (!admin_find_user(a, name, NULL, &e))
		return false;
	json_put_str(call, "id", admin_value(e, "entryUUID"));
	return true;
}

static bool
make_asker(struct admin *a, struct admin_changes *c)
{
	static const char *const attrs[] = { "entryUUID", NULL };
	bool good;

	if (!a->call->as)
		return true;
	a->own = true;
	good = admin_search(a, a->call->as + strlen("dn:"), DIR_SCOPE_BASE, NULL, attrs);
	a->own = false;
	if (good && a->out.n)
		admin_set(a, c, DIR_ADD, "tiermailJobAsker",
		    admin_value(&a->out.entries[0], "entryUUID"));
	return good;
}

/* ---- the entry ------------------------------------------------------------------------------------------------- */

/* {"names":["a.example"],"update":true,"id":"..."} */
static bool
make_call(struct admin *a, const struct job_kind *k, size_t first, struct buf *b)
{
	struct slice update;

	buf_char(b, '{');
	json_put_array(b, "names");
	for (size_t i = first; i < a->call->nnames; i++) {
		json_element(b);
		json_str(b, admin_name(a, i));
	}
	buf_char(b, ']');
	if (admin_setting(a, "update", &update))
		json_put_bool(b, "update", slice_eq(update, S("yes")));
	if (strcmp(k->object, "user") == 0 && !make_id(a, admin_name(a, first), b))
		return false;
	buf_char(b, '}');
	return true;
}

static bool
make_good(struct admin *a, const struct job_kind *k, size_t first)
{
	const struct admin_verb *v =
	    *k->verb ? admin_verb_find(slice_str(k->object), slice_str(k->verb)) : NULL;
	size_t n = a->call->nnames - first;

	for (size_t i = 0; i < a->call->nsettings; i++) {
		struct slice name = a->call->settings[i].name;

		if (v || !(slice_eq(name, S("text")) || slice_eq(name, S("update"))))
			return admin_fail(a, ADMIN_BAD, "setting",
			    SFMT ": there is no such setting of this job", SARG(name));
	}
	if (v ? n < v->min || n > v->max : n > 1)
		return admin_fail(a, ADMIN_BAD, "operands", "%s %s: %s is expected", k->object,
		    k->verb, v ? v->operands : "[DOMAIN]");
	return true;
}

/* "making", so that nobody takes it; then its parts; then it waits. */
static bool
make_keep(struct admin *a, const struct job_kind *k, struct admin_changes *c, const struct rows *r)
{
	struct dir_entry over = { 0 };
	struct dir_attribute at = { .name = S("tiermailJobOver") };
	struct admin_changes waits = { 0 };
	struct admin_telling t = { .a = a };
	char id[14];
	const char *dn;

	(void)random_id(id);
	dn = arena_printf(&a->memory, "cn=%s,%s", id, admin_job_base(a));
	admin_set(a, c, DIR_ADD, "cn", slice_str(id));
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->v[i].attribute, "tiermailJobOver") == 0) {
			at.values = c->v[i].values;
			at.n = c->v[i].nvalues;
		}
	over.attrs = &at;
	over.n = 1;
	if (!admin_create(a, dn, c, id))
		return a->problem->status == ADMIN_NOT_FOUND ?
		    admin_fail(a, ADMIN_FAILED, "no-jobs",
			"the directory has no ou=Jobs, or its access rules are of before there "
			"were jobs: diradm init says what is lacking") :
		    false;
	if (a->call->dry_run)
		return true;
	if (k->place == JOB_IMPORT) {
		if (!rows_keep(a, dn, &over, r))
			return false;
		admin_set(a, &waits, DIR_REPLACE, "tiermailJobState", S("waiting"));
		admin_set_none(a, &waits, "tiermailJobUntil");
		if (!admin_note(a, dn, NULL, &waits))
			return false;
	}
	admin_tell_add(&t, "job", slice_str(id));
	admin_tell_add(&t, "verb",
	    slice_str(
		arena_printf(&a->telling, "%s%s%s", k->object, *k->verb ? " " : "", k->verb)));
	admin_tell_add(&t, "state", S("waiting"));
	admin_tell_end(&t, "job");
	return true;
}

bool
admin_job_create(struct admin *a)
{
	const struct job_kind *k = admin_job_kind(admin_name(a, 0), admin_name(a, 1));
	size_t first = k && *k->verb ? 2 : 1;
	struct admin_changes c = { 0 };
	struct rows rows = { .a = a };
	struct buf call = { 0 };
	struct slice about;
	bool good;

	if (!k)
		return admin_fail(a, ADMIN_BAD, "job",
		    SFMT " " SFMT ": this is no job: it is done at once, or is nothing",
		    SARG(admin_name(a, 0)), SARG(admin_name(a, 1)));
	about = k->place == JOB_BASE ? admin_name(a, 3) : admin_name(a, first);
	if (!make_good(a, k, first) || !make_may(a) ||
	    !make_over(a, about, k->place == JOB_ABOVE_ORG, &c) ||
	    (k->place == JOB_IMPORT && !rows_read(a, &rows)))
		return false;
	good = make_call(a, k, first, &call);
	admin_set(a, &c, DIR_ADD, "objectClass", S("tiermailJob"));
	admin_set(a, &c, DIR_ADD, "tiermailJobVerb",
	    slice_str(arena_printf(&a->memory, "%s%s%s", k->object, *k->verb ? " " : "", k->verb)));
	admin_set(a, &c, DIR_ADD, "tiermailJobCall", buf_get(&call));
	admin_set(a, &c, DIR_ADD, "tiermailJobState",
	    k->place == JOB_IMPORT ? S("making") : S("waiting"));
	if (k->place == JOB_IMPORT)
		admin_set(a, &c, DIR_ADD, "tiermailJobUntil",
		    slice_str(admin_job_time(&a->memory, MAKING_MS)));
	admin_set(a, &c, DIR_ADD, "tiermailJobDone", S("0"));
	if (rows.list.n)
		admin_set(a, &c, DIR_ADD, "tiermailJobTotal",
		    slice_str(arena_printf(&a->memory, "%zu", rows.list.n)));
	buf_fini(&call);
	return good && make_asker(a, &c) && make_keep(a, k, &c, &rows);
}
