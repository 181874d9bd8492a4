/* admind/scim-members.c: members of a group, and groups of a user: names and DNs become ids.
 *
 * Called by scim-do.c in its fiber.  Owns nothing: all is in the run's memory.  Can fail as the verbs do that it asks.
 * Must stay true: a list of thousands is asked for MEMBERS_AT_ONCE at a time, and others run between. */
#include "directory/filter.h"
#include "scim.h"

#define MEMBERS_AT_ONCE 100

struct members {
	struct scim_run *run;
	bool ids_given; /* values of the list are ids, else names */
	struct scim_list *list;
	struct scim_index index;
	struct scim_list ids; /* by element: what it becomes */
};

static void
members_found(void *arg, const struct admin_record *rec)
{
	struct members *m = arg;
	struct slice name = admin_record_get(rec, rec->kind), id = admin_record_get(rec, "id");
	bool user = strcmp(rec->kind, "user") == 0;
	struct scim_value *v = scim_index_find(&m->index, m->list, m->ids_given ? id : name), *to;
	struct slice display = admin_record_get(rec, user ? "name" : "display");

	if (!v || !id.n || !admind_scim_within(m->run, name))
		return;
	to = &m->ids.v[v - m->list->v];
	to->value = arena_slice(&m->run->memory, id);
	to->type = user ? S("User") : S("Group");
	to->display = arena_slice(&m->run->memory, display.n ? display : name);
	to->ref = slice_str(arena_printf(&m->run->memory, SFMT "/%s/" SFMT, SARG(m->run->base),
	    user ? scim_user.path : scim_group.path, SARG(id)));
}

/* Those of one kind, some at a time. */
static bool
members_ask(struct members *m, bool user, size_t from, size_t to, struct scim_error *e)
{
	struct scim_verb v = { .object = user ? "user" : "group",
		.verb = "list",
		.names = { m->run->tenant },
		.record = members_found,
		.arg = m };
	struct buf b = { 0 };
	bool good, any = false;

	if (m->ids_given && user) /* who is deleted is not there */
		buf_lit(&b, "(!(inetUserStatus=deleted))");
	buf_lit(&b, "(|");
	for (size_t i = from; i < to; i++) {
		struct slice name = m->list->v[i].value;

		if (m->ids.v[i].value.n || (!m->ids_given && !admind_scim_within(m->run, name)))
			continue;
		if (m->ids_given)
			dir_filter_equal(&b, "entryUUID", name, S(""));
		else
			dir_filter_equal(&b, user ? "uid" : "cn",
			    slice_sub(name, 0, slice_rfind(name, '@')), S(""));
		any = true;
	}
	buf_char(&b, ')');
	v.filter = arena_cstr(&m->run->memory, buf_get(&b));
	good = !any || admind_scim_run(m->run, &v, e);
	buf_fini(&b);
	return good;
}

static bool
members_find(struct members *m, struct scim_error *e)
{
	size_t n = m->list->n;

	scim_index_make(&m->index, m->list, 0, &m->run->memory);
	m->ids.v = arena_array(&m->run->memory, n + 1, sizeof(*m->ids.v));
	for (size_t i = 0; i < n; i += MEMBERS_AT_ONCE) {
		size_t to = i + MEMBERS_AT_ONCE < n ? i + MEMBERS_AT_ONCE : n;

		if (!members_ask(m, true, i, to, e) || !members_ask(m, false, i, to, e))
			return false;
	}
	return true;
}

bool
admind_scim_ids_are_here(struct scim_run *r, struct scim_list *ids, struct scim_error *e)
{
	struct members m = { .run = r, .ids_given = true, .list = ids };

	if (!members_find(&m, e))
		return false;
	for (size_t i = 0; i < ids->n; i++) {
		/* One that is there twice has been found once. */
		const struct scim_value *v = scim_index_find(&m.index, ids, ids->v[i].value);

		if (!v || !m.ids.v[v - ids->v].value.n)
			return scim_fail(e, 400, "invalidValue",
			    "members: there is no " SFMT " here", SARG(ids->v[i].value));
	}
	return true;
}

/* Who is not of this organisation, or not to be seen, is not told, and not taken away either. */
bool
admind_scim_name_members(struct scim_run *r, struct scim_resource *group, struct scim_error *e)
{
	struct scim_list *l = &group->rows[SCIM_GROUP_MEMBERS];
	struct members m = { .run = r, .list = l };
	size_t kept = 0;

	if (!l->n)
		return true;
	if (!members_find(&m, e))
		return false;
	for (size_t i = 0; i < l->n; i++)
		if (m.ids.v[i].value.n)
			m.ids.v[kept++] = m.ids.v[i];
	l->v = m.ids.v;
	l->n = l->room = kept;
	return true;
}

/* Groups that name a user. */
bool
admind_scim_name_groups(struct scim_run *r, struct scim_resource *user, struct slice dn,
    struct scim_error *e)
{
	struct scim_found f = { .run = r, .schema = &scim_group };
	struct scim_verb v = { .object = "group",
		.verb = "list",
		.names = { r->tenant },
		.record = admind_scim_found,
		.arg = &f };
	struct buf b = { 0 };

	dir_filter_equal(&b, "uniqueMember", dn, S(""));
	v.filter = arena_cstr(&r->memory, buf_get(&b));
	buf_fini(&b);
	if (!admind_scim_run(r, &v, e))
		return false;
	for (size_t i = 0; i < f.n; i++) {
		struct scim_value *g = scim_add(user, SCIM_USER_GROUPS);

		if (!g)
			break;
		g->value = scim_get(&f.v[i], SCIM_GROUP_ID);
		g->display = scim_get(&f.v[i], SCIM_GROUP_DISPLAY);
		g->ref = f.v[i].location;
	}
	return true;
}
