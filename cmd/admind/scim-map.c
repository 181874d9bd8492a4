/* admind/scim-map.c: records of verbs become resources; what has changed of a resource becomes settings.
 *
 * Called by scim-do.c.  Owns nothing: all is in the run's memory.  Nothing can fail but by bounds.  Must stay true:
 * what is not changed is not set, so that a client which knows less than the directory takes nothing away. */
#include "base/mem.h"
#include "scim.h"

/* Settings that are one row and one text. */
static const struct {
	const struct scim_schema *schema;
	size_t row;
	const char *setting;
	bool shown_only;
} singles[] = {
	{ &scim_user, SCIM_USER_EXTERNAL, "external-id", false },
	{ &scim_user, SCIM_USER_GIVEN, "given", false },
	{ &scim_user, SCIM_USER_LANGUAGE, "language", false },
	{ &scim_user, SCIM_USER_QUOTA, "quota", false },
	{ &scim_user, SCIM_USER_PACKAGE, "package", false },
	{ &scim_user, SCIM_USER_FAMILY, "surname", true },
	{ &scim_user, SCIM_USER_FORMATTED, "name", true },
	{ &scim_user, SCIM_USER_DISPLAY, "name", true },
	{ &scim_user, SCIM_USER_HOST, "host", true },
	{ &scim_user, SCIM_USER_ID, "id", true },
	{ &scim_user, SCIM_USER_NAME, "user", true },
	{ &scim_group, SCIM_GROUP_EXTERNAL, "external-id", false },
	{ &scim_group, SCIM_GROUP_DISPLAY, "display", false },
	{ &scim_group, SCIM_GROUP_MAIL, "mail", true },
	{ &scim_group, SCIM_GROUP_ID, "id", true },
};

void
admind_scim_set(struct scim_run *r, struct scim_settings *s, const char *name, struct slice value,
    enum admin_how how)
{
	if (s->n == s->room) {
		struct admin_setting *v = arena_array(&r->memory, s->room * 2 + 32, sizeof(*v));

		if (s->n)
			memcpy(v, s->v, s->n * sizeof(*v));
		s->v = v;
		s->room = s->room * 2 + 32;
	}
	s->v[s->n++] =
	    (struct admin_setting){ slice_str(name), arena_slice(&r->memory, value), how };
}

/* ---- records ------------------------------------------------------------------------------------------- */

/* 20261224180000Z -> 2026-12-24T18:00:00Z */
static struct slice
map_time(struct scim_run *r, struct slice s)
{
	if (s.n < 14)
		return S("");
	return slice_str(arena_printf(&r->memory, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s.p, s.p + 4,
	    s.p + 6, s.p + 8, s.p + 10, s.p + 12));
}

static void
map_element(struct scim_resource *r, size_t row, struct slice value, const char *type, bool primary)
{
	struct scim_value *v = scim_add(r, row);

	if (!v)
		return;
	v->value = arena_slice(r->memory, value);
	v->type = slice_str(type);
	v->primary = primary;
}

static void
map_pair(struct scim_found *f, struct scim_resource *r, const struct admin_pair *p)
{
	struct slice name = slice_str(p->name);
	bool user = f->schema == &scim_user;

	for (size_t i = 0; i < NELEM(singles); i++)
		if (singles[i].schema == f->schema && slice_eq(name, slice_str(singles[i].setting)))
			scim_put(r, singles[i].row, p->value);
	if (user && slice_eq(name, S("mail")))
		map_element(r, SCIM_USER_EMAILS, p->value, "work", true);
	else if (user && slice_eq(name, S("alias")))
		map_element(r, SCIM_USER_EMAILS, p->value, "work", false);
	else if (user && slice_eq(name, S("phone")))
		map_element(r, SCIM_USER_PHONES, p->value, "work", false);
	else if (!user && slice_eq(name, S("member")))
		map_element(r, SCIM_GROUP_MEMBERS, p->value, "", false);
	else if (slice_eq(name, S("created")))
		r->created = map_time(f->run, p->value);
	else if (slice_eq(name, S("modified")))
		r->modified = map_time(f->run, p->value);
}

static void
found_grow(struct scim_found *f)
{
	struct arena *m = &f->run->memory;
	size_t room = f->room ? f->room * 2 : 8;
	struct scim_resource *v = arena_array(m, room, sizeof(*v));
	struct slice *texts = arena_array(m, room * 3, sizeof(*texts));

	if (f->n) {
		memcpy(v, f->v, f->n * sizeof(*v));
		memcpy(texts, f->names, f->n * sizeof(*texts));
		memcpy(texts + room, f->dns, f->n * sizeof(*texts));
		memcpy(texts + 2 * room, f->versions, f->n * sizeof(*texts));
	}
	f->v = v;
	f->names = texts;
	f->dns = texts + room;
	f->versions = texts + 2 * room;
	f->room = room;
}

void
admind_scim_found(void *found, const struct admin_record *record)
{
	struct scim_found *f = found;
	bool user = f->schema == &scim_user;
	struct arena *m = &f->run->memory;
	struct scim_resource *r;
	struct slice name = admin_record_get(record, record->kind), login;

	if (strcmp(record->kind, user ? "user" : "group") != 0)
		return;
	if (f->n == f->room)
		found_grow(f);
	r = &f->v[f->n];
	scim_resource_init(r, f->schema, m);
	for (size_t i = 0; i < record->n; i++)
		map_pair(f, r, &record->pairs[i]);
	login = admin_record_get(record, "login");
	if (user)
		scim_put(r, SCIM_USER_ACTIVE,
		    !login.n || slice_ieq(login, S("active")) ? S("true") : S("false"));
	else if (!r->rows[SCIM_GROUP_DISPLAY].n)
		scim_put(r, SCIM_GROUP_DISPLAY, slice_sub(name, 0, slice_rfind(name, '@')));
	f->deleted = user && slice_ieq(login, S("deleted"));
	f->names[f->n] = arena_slice(m, name);
	f->dns[f->n] = slice_str(arena_cstr(m, admin_record_get(record, "dn")));
	f->versions[f->n] = slice_str(arena_cstr(m, admin_record_get(record, "version")));
	r->version = slice_str(arena_printf(m, "W/\"" SFMT "\"", SARG(f->versions[f->n])));
	r->location =
	    slice_str(arena_printf(m, SFMT "/%s/" SFMT, SARG(f->run->base), f->schema->path,
		SARG(scim_get(r, user ? (size_t)SCIM_USER_ID : (size_t)SCIM_GROUP_ID))));
	f->n++;
}

/* ---- changes --------------------------------------------------------------------------------------------- */

static bool
map_same(const struct scim_list *a, const struct scim_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!slice_eq(a->v[i].value, b->v[i].value) || a->v[i].primary != b->v[i].primary)
			return false;
	return true;
}

static bool
map_changed(const struct scim_resource *before, const struct scim_resource *wished, size_t row)
{
	return !map_same(&before->rows[row], &wished->rows[row]);
}

/* cn and sn are always there: from what is said, as far as it is. */
static void
map_names(struct scim_run *r, const struct scim_resource *before, const struct scim_resource *w,
    struct scim_settings *s)
{
	struct slice given = scim_get(w, SCIM_USER_GIVEN), family = scim_get(w, SCIM_USER_FAMILY),
		     name, user = scim_get(w, SCIM_USER_NAME);
	bool display = map_changed(before, w, SCIM_USER_DISPLAY);

	name = scim_get(w, display ? SCIM_USER_DISPLAY : SCIM_USER_FORMATTED);
	if (display && !name.n)
		name = scim_get(w, SCIM_USER_FORMATTED);
	if (!name.n)
		name = scim_get(w, SCIM_USER_DISPLAY);
	if (!name.n && (given.n || family.n))
		name = slice_str(arena_printf(&r->memory, SFMT "%s" SFMT, SARG(given),
		    given.n && family.n ? " " : "", SARG(family)));
	if (!name.n)
		name = slice_sub(user, 0, slice_rfind(user, '@'));
	if (!slice_eq(name, scim_get(before, SCIM_USER_DISPLAY)))
		admind_scim_set(r, s, "name", name, ADMIN_SET);
	if (!map_changed(before, w, SCIM_USER_FAMILY) && before->rows[SCIM_USER_FAMILY].n)
		return;
	if (!family.n)
		family = slice_from(name,
		    slice_rfind(name, ' ') < name.n ? slice_rfind(name, ' ') + 1 : 0);
	admind_scim_set(r, s, "surname", family, ADMIN_SET);
}

/* The primary address is the one that says so, else the one that was, else the first. */
static void
map_emails(struct scim_run *r, const struct scim_resource *before, const struct scim_resource *w,
    struct scim_settings *s)
{
	const struct scim_list *l = &w->rows[SCIM_USER_EMAILS];
	struct slice primary = S(""), was = S("");
	size_t n = 0;

	for (size_t i = 0; i < before->rows[SCIM_USER_EMAILS].n; i++)
		if (before->rows[SCIM_USER_EMAILS].v[i].primary)
			was = before->rows[SCIM_USER_EMAILS].v[i].value;
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].primary)
			primary = l->v[i].value;
	for (size_t i = 0; !primary.n && i < l->n; i++)
		if (slice_ieq(l->v[i].value, was))
			primary = was;
	if (!primary.n)
		primary = l->n ? l->v[0].value : scim_get(w, SCIM_USER_NAME);
	admind_scim_set(r, s, "mail", primary, ADMIN_SET);
	for (size_t i = 0; i < l->n; i++) {
		if (slice_ieq(l->v[i].value, primary))
			continue;
		admind_scim_set(r, s, "alias", l->v[i].value, ADMIN_SET);
		n++;
	}
	if (!n && before->rows[SCIM_USER_EMAILS].n)
		admind_scim_set(r, s, "alias", S(""), ADMIN_SET);
}

static void
map_phones(struct scim_run *r, const struct scim_resource *w, struct scim_settings *s)
{
	const struct scim_list *l = &w->rows[SCIM_USER_PHONES];

	for (size_t i = 0; i < l->n; i++)
		admind_scim_set(r, s, "phone", l->v[i].value, ADMIN_SET);
	if (!l->n)
		admind_scim_set(r, s, "phone", S(""), ADMIN_SET);
}

void
admind_scim_changes(struct scim_run *r, const struct scim_resource *before,
    const struct scim_resource *w, struct scim_settings *s)
{
	for (size_t i = 0; i < NELEM(singles); i++) {
		struct slice value = scim_get(w, singles[i].row);

		if (singles[i].schema == w->schema && !singles[i].shown_only &&
		    !slice_eq(value, scim_get(before, singles[i].row)))
			admind_scim_set(r, s, singles[i].setting, value, ADMIN_SET);
	}
	if (w->schema != &scim_user)
		return;
	map_names(r, before, w, s);
	if (map_changed(before, w, SCIM_USER_EMAILS))
		map_emails(r, before, w, s);
	if (map_changed(before, w, SCIM_USER_PHONES))
		map_phones(r, w, s);
	if (w->rows[SCIM_USER_ACTIVE].n && map_changed(before, w, SCIM_USER_ACTIVE))
		admind_scim_set(r, s, "login",
		    slice_eq(scim_get(w, SCIM_USER_ACTIVE), S("true")) ? S("active") :
									 S("inactive"),
		    ADMIN_SET);
}

void
admind_scim_members(struct scim_run *r, const struct scim_resource *before,
    const struct scim_resource *w, struct scim_settings *s)
{
	const struct scim_list *was = &before->rows[SCIM_GROUP_MEMBERS],
			       *is = &w->rows[SCIM_GROUP_MEMBERS];
	struct scim_index had, has;

	scim_index_make(&had, was, 0, &r->memory);
	scim_index_make(&has, is, 0, &r->memory);
	for (size_t i = 0; i < is->n; i++)
		if (!scim_index_find(&had, was, is->v[i].value))
			admind_scim_set(r, s, "member", is->v[i].value, ADMIN_ADD);
	for (size_t i = 0; i < was->n; i++)
		if (!scim_index_find(&has, is, was->v[i].value))
			admind_scim_set(r, s, "member", was->v[i].value, ADMIN_TAKE);
}

/* "Sales & Marketing" -> sales-marketing@example.com */
struct slice
admind_scim_address(struct scim_run *r, const struct scim_resource *group)
{
	struct slice mail = scim_get(group, SCIM_GROUP_MAIL),
		     name = scim_get(group, SCIM_GROUP_DISPLAY);
	struct buf b = { 0 };
	bool gap = false;

	if (mail.n)
		return mail;
	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_') {
			gap = b.n > 0;
			continue;
		}
		if (gap)
			buf_char(&b, '-');
		gap = false;
		buf_char(&b, c);
	}
	mail = b.n && b.n <= 64 ?
	    slice_str(arena_printf(&r->memory, SFMT "@" SFMT, SARG(buf_get(&b)), SARG(r->tenant))) :
	    S("");
	buf_fini(&b);
	return mail;
}
