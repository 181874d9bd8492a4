/* admind/scim-do.c: an operation on users or groups, by verbs of lib/admin.
 *
 *	POST	create, members	GET	show, list		DELETE	delete
 *	PUT, PATCH	show -> wished -> rename, modify, password; what was done is undone when a later one fails
 *
 * Called in the fiber of a request, by scim.c and, many times, by scim-bulk.c.  Owns nothing.  Can fail with an
 * error of RFC 7644 3.12, or as the verb did.  Must stay true: the tenant is one organisation, and an id of another
 * one is no id here; a change is made to the version that was seen. */
#include "scim.h"

/* ---- verbs ------------------------------------------------------------------------------------------------ */

static bool
do_problem(const struct admin_problem *p, struct scim_error *e)
{
	static const char *const types[ADMIN_STATUSES] = {
		[ADMIN_BAD] = "invalidValue",
		[ADMIN_EXISTS] = "uniqueness",
		[ADMIN_LIMIT] = "tooMany",
	};
	int status = admin_status_http(p->status);

	if (status == 401) /* our own account was refused */
		status = 500;
	return scim_fail(e, p->status == ADMIN_LIMIT ? 400 : (unsigned)status, types[p->status],
	    "%s", p->text);
}

bool
admind_scim_run(struct scim_run *r, const struct scim_verb *v, struct scim_error *e)
{
	const struct admin_verb *verb = admin_verb_find(slice_str(v->object), slice_str(v->verb));
	struct admin_problem problem;
	struct admin_call call = { .names = v->names,
		.nnames = v->names[1].n ? 2 : 1,
		.settings = v->settings ? v->settings->v : NULL,
		.nsettings = v->settings ? v->settings->n : 0,
		.secret = v->secret,
		.version = v->version,
		.filter = v->filter,
		.window = v->window,
		.who = r->who,
		.from = r->from,
		.as = r->as,
		.record = v->record,
		.arg = v->arg };

	admin_run(r->loop, r->agent->agent, verb, &call, &problem);
	if (verb->changes && problem.status == ADMIN_OK)
		dir_forget(admind.dir, v->names[0]);
	return problem.status == ADMIN_OK || do_problem(&problem, e);
}

/* ---- one resource -------------------------------------------------------------------------------------------- */

bool
admind_scim_within(const struct scim_run *r, struct slice name)
{
	return slice_ieq(slice_from(name, slice_rfind(name, '@') + 1), r->tenant);
}

static bool
do_is_id(struct slice id)
{
	for (size_t i = 0; i < id.n; i++)
		if (id.p[i] != '-' && ascii_hex(id.p[i]) < 0)
			return false;
	return id.n == 36;
}

/* By id, or by a name of the tenant. */
static bool
do_show(struct scim_run *r, const struct scim_schema *s, struct slice id, struct scim_found *f,
    struct scim_error *e)
{
	struct scim_verb v = { .object = s == &scim_user ? "user" : "group",
		.verb = "show",
		.names = { id },
		.record = admind_scim_found,
		.arg = f };

	*f = (struct scim_found){ .run = r, .schema = s };
	if (!admind_scim_run(r, &v, e))
		return false;
	if (f->n == 1 && admind_scim_within(r, f->names[0]) && !f->deleted)
		return true;
	return scim_fail(e, 404, NULL, SFMT ": there is no such %s here", SARG(id), s->name);
}

const char *
admind_scim_dn(struct scim_run *r, struct slice id)
{
	struct scim_error e;
	struct scim_found f;

	if (!do_is_id(id) ||
	    (!do_show(r, &scim_user, id, &f, &e) && !do_show(r, &scim_group, id, &f, &e)))
		return NULL;
	return f.dns[0].p;
}

/* ---- answers --------------------------------------------------------------------------------------------------- */

static bool
do_complete(struct scim_found *f, size_t i, const struct scim_choice *c, struct scim_error *e)
{
	if (f->schema == &scim_user)
		return !scim_shown(c, f->schema, SCIM_USER_GROUPS) ||
		    admind_scim_name_groups(f->run, &f->v[i], f->dns[i], e);
	return !scim_shown(c, f->schema, SCIM_GROUP_MEMBERS) ||
	    admind_scim_name_members(f->run, &f->v[i], e);
}

static bool
do_tell(struct scim_run *r, const struct scim_request *q, struct slice name, unsigned status,
    struct scim_answer *a, struct scim_error *e)
{
	struct scim_choice c;
	struct scim_found f;

	if (!scim_choose(&c, q->schema, q->attributes, q->excluded, e) ||
	    !do_show(r, q->schema, name, &f, e) || !do_complete(&f, 0, &c, e))
		return false;
	a->status = status;
	buf_slice(&a->etag, f.v[0].version);
	if (status == 201 || q->method != HTTP_VERB_GET)
		buf_slice(&a->at, f.v[0].location);
	if (q->method == HTTP_VERB_GET && q->if_none.n &&
	    http_etag_in(q->if_none, f.v[0].version, true)) {
		a->status = 304;
		return true;
	}
	scim_write(&a->body, &f.v[0], &c);
	return true;
}

static bool
do_sort(const struct scim_request *q, struct scim_run *r, const char **sort, struct scim_error *e)
{
	static const struct {
		const char *path, *user, *group;
	} keys[] = { { "userName", "user", NULL }, { "displayName", "name", "display" },
		{ "name.formatted", "name", NULL }, { "name.familyName", "surname", NULL },
		{ "name.givenName", "given", NULL }, { "emails", "mail", NULL },
		{ "emails.value", "mail", NULL }, { "externalId", "external-id", "external-id" },
		{ "preferredLanguage", "language", NULL } };
	bool user = q->schema == &scim_user;

	*sort = NULL;
	if (!q->sort.n)
		return true;
	for (size_t i = 0; i < NELEM(keys); i++) {
		const char *key = user ? keys[i].user : keys[i].group;
		struct slice path = q->sort, urn = slice_str(q->schema->urn);

		if (slice_istarts(path, urn) && path.n > urn.n && path.p[urn.n] == ':')
			path = slice_from(path, urn.n + 1);
		if (!key || !slice_ieq(path, slice_str(keys[i].path)))
			continue;
		*sort = arena_printf(&r->memory, "%s%s", q->descending ? "-" : "", key);
		return true;
	}
	return scim_fail(e, 400, "invalidPath", "sortBy: a list is not sorted by " SFMT,
	    SARG(q->sort));
}

static bool
do_list(struct scim_run *r, const struct scim_request *q, struct scim_answer *a,
    struct scim_error *e)
{
	struct scim_found f = { .run = r, .schema = q->schema };
	struct admin_window w = { .skip = q->start - 1, .want = q->count };
	struct scim_verb v = { .object = q->schema == &scim_user ? "user" : "group",
		.verb = "list",
		.names = { r->tenant },
		.window = &w,
		.record = admind_scim_found,
		.arg = &f };
	struct scim_choice c;

	if (!scim_choose(&c, q->schema, q->attributes, q->excluded, e) ||
	    !admind_scim_filter(r, q->schema, q->filter, &v.filter, e) ||
	    !do_sort(q, r, &w.sort, e) || !admind_scim_run(r, &v, e))
		return false;
	a->status = 200;
	buf_lit(&a->body, "{\"schemas\":[\"" SCIM_URN_MESSAGES "ListResponse\"]");
	json_put_i64(&a->body, "totalResults", (int64_t)w.total);
	json_put_i64(&a->body, "startIndex", (int64_t)q->start);
	json_put_i64(&a->body, "itemsPerPage", (int64_t)f.n);
	json_put_array(&a->body, "Resources");
	for (size_t i = 0; i < f.n && !a->body.full; i++) {
		if (!do_complete(&f, i, &c, e))
			return false;
		json_element(&a->body);
		scim_write(&a->body, &f.v[i], &c);
	}
	buf_lit(&a->body, "]}");
	return true;
}

/* ---- changes -------------------------------------------------------------------------------------------------- */

static bool
do_json(struct slice text, struct json_t **v, struct scim_error *e)
{
	static const struct json_bounds bounds = { SCIM_BODY_MOST, 10, 100000 };
	const char *why;

	return json_read(text, &bounds, v, &why) == 0 ||
	    scim_fail(e, 400, "invalidSyntax", "%s", why);
}

/* With the tenant's domain where it has none; in another one it is not ours. */
static bool
do_user_name(struct scim_run *r, struct scim_resource *w, struct scim_error *e)
{
	struct slice name = scim_get(w, SCIM_USER_NAME);

	if (slice_find(name, '@') == name.n)
		scim_put(w, SCIM_USER_NAME,
		    slice_str(
			arena_printf(&r->memory, SFMT "@" SFMT, SARG(name), SARG(r->tenant))));
	else if (!admind_scim_within(r, name))
		return scim_fail(e, 400, "invalidValue", "userName: " SFMT " is not of " SFMT,
		    SARG(name), SARG(r->tenant));
	return true;
}

/* Ids are looked for among ours, so that nobody becomes a member by the name of another organisation. */
static bool
do_member_ids(struct scim_run *r, const struct scim_settings *s, struct scim_error *e)
{
	struct scim_list ids = { .v = arena_array(&r->memory, s->n + 1, sizeof(*ids.v)) };

	for (size_t i = 0; i < s->n; i++) {
		if (!slice_eq(s->v[i].name, S("member")) || s->v[i].how != ADMIN_ADD)
			continue;
		ids.v[ids.n++].value = s->v[i].value;
		if (!do_is_id(s->v[i].value))
			return scim_fail(e, 400, "invalidValue",
			    "members: there is no " SFMT " here", SARG(s->v[i].value));
	}
	return admind_scim_ids_are_here(r, &ids, e);
}

static bool
do_create(struct scim_run *r, const struct scim_request *q, struct scim_answer *a,
    struct scim_error *e)
{
	bool user = q->schema == &scim_user, good;
	struct scim_resource w, nothing;
	struct scim_settings s = { .n = 0 };
	struct scim_verb v = { .object = user ? "user" : "group",
		.verb = "create",
		.settings = &s };
	struct json_t *json = NULL;

	scim_resource_init(&w, q->schema, &r->memory);
	scim_resource_init(&nothing, q->schema, &r->memory);
	good = do_json(q->body, &json, e) && scim_read(&w, json, e) &&
	    (!user || do_user_name(r, &w, e));
	json_free(&json);
	if (!good)
		return false;
	v.names[0] = user ? scim_get(&w, SCIM_USER_NAME) : admind_scim_address(r, &w);
	if (!v.names[0].n)
		return scim_fail(e, 400, "invalidValue",
		    "displayName: it makes no address; give mail of %s", q->schema->extension);
	if (!admind_scim_within(r, v.names[0]))
		return scim_fail(e, 400, "invalidValue", "mail: " SFMT " is not of " SFMT,
		    SARG(v.names[0]), SARG(r->tenant));
	admind_scim_changes(r, &nothing, &w, &s);
	if (user)
		v.secret = scim_get(&w, SCIM_USER_PASSWORD);
	else
		admind_scim_members(r, &nothing, &w, &s);
	return do_member_ids(r, &s, e) && admind_scim_run(r, &v, e) &&
	    do_tell(r, q, v.names[0], 201, a, e);
}

/* What a PUT does not say: is as it was for what a client may not know, else it goes (RFC 7644 3.5.1). */
static void
do_put_rest(const struct scim_resource *before, struct scim_resource *w)
{
	for (size_t i = 0; i < w->schema->n; i++) {
		const struct scim_attribute *at = &w->schema->rows[i];

		if (at->access == SCIM_READ_ONLY || at->access == SCIM_IMMUTABLE ||
		    (!w->rows[i].given &&
			(at->extension ||
			    (w->schema == &scim_user &&
				(i == SCIM_USER_EMAILS || i == SCIM_USER_ACTIVE)))))
			w->rows[i] = before->rows[i];
	}
}

static bool
do_wished(struct scim_run *r, const struct scim_request *q, const struct scim_resource *before,
    struct scim_resource *w, struct scim_error *e)
{
	struct json_t *json = NULL;
	bool good;

	if (q->method == HTTP_VERB_PUT)
		scim_resource_init(w, q->schema, &r->memory);
	else
		scim_copy(w, before);
	good = do_json(q->body, &json, e) &&
	    (q->method == HTTP_VERB_PUT ? scim_read(w, json, e) : scim_patch(w, json, e));
	json_free(&json);
	if (good && q->method == HTTP_VERB_PUT)
		do_put_rest(before, w);
	return good && (q->schema != &scim_user || do_user_name(r, w, e));
}

/* rename, modify, password: in this order, each undone when a later one fails. */
static bool
do_user_change(struct scim_run *r, struct scim_found *f, const struct scim_resource *w,
    struct slice *name, struct scim_error *e)
{
	const struct scim_resource *before = &f->v[0];
	struct slice fresh = scim_get(w, SCIM_USER_NAME), secret = scim_get(w, SCIM_USER_PASSWORD);
	struct scim_settings s = { .n = 0 }, back = { .n = 0 };
	struct scim_verb rename = { .object = "user",
		.verb = "rename",
		.names = { f->names[0], fresh },
		.version = f->versions[0].p };
	struct scim_verb modify = { .object = "user", .verb = "modify", .settings = &s };
	struct scim_verb password = { .object = "user", .verb = "password", .secret = secret };
	bool renamed = !slice_ieq(fresh, f->names[0]), modified, good;
	struct scim_error ignored;

	admind_scim_changes(r, before, w, &s);
	admind_scim_changes(r, w, before, &back);
	modified = s.n > 0;
	if (renamed && !admind_scim_run(r, &rename, e))
		return false;
	*name = modify.names[0] = password.names[0] = renamed ? fresh : f->names[0];
	modify.version = renamed ? NULL : f->versions[0].p;
	good = !modified || admind_scim_run(r, &modify, e);
	modified = modified && good;
	good = good && (!secret.n || admind_scim_run(r, &password, e));
	if (good)
		return true;
	modify.settings = &back;
	modify.version = rename.version = NULL;
	if (renamed) { /* the addresses, too, as they were */
		struct scim_resource now = modified ? *w : *before;
		struct scim_value theirs = { .value = fresh };

		now.rows[SCIM_USER_EMAILS] = (struct scim_list){ .v = &theirs, .n = 1 };
		back.n = 0;
		admind_scim_changes(r, &now, before, &back);
	}
	rename.names[0] = fresh;
	rename.names[1] = f->names[0];
	if (renamed && admind_scim_run(r, &rename, &ignored))
		modify.names[0] = f->names[0];
	if ((modified || renamed) && back.n)
		(void)admind_scim_run(r, &modify, &ignored);
	return false;
}

static bool
do_group_change(struct scim_run *r, struct scim_found *f, const struct scim_resource *w,
    struct scim_error *e)
{
	struct scim_settings s = { .n = 0 };
	struct scim_verb modify = { .object = "group",
		.verb = "modify",
		.names = { f->names[0] },
		.settings = &s,
		.version = f->versions[0].p };

	admind_scim_changes(r, &f->v[0], w, &s);
	admind_scim_members(r, &f->v[0], w, &s);
	return !s.n || (do_member_ids(r, &s, e) && admind_scim_run(r, &modify, e));
}

static bool
do_fits(const struct scim_request *q, const struct scim_found *f, struct scim_error *e)
{
	return !q->if_match.n || http_etag_in(q->if_match, f->v[0].version, true) ||
	    scim_fail(e, 412, NULL,
		"Somebody has changed it meanwhile; look again, then repeat it.");
}

static bool
do_change(struct scim_run *r, const struct scim_request *q, struct scim_answer *a,
    struct scim_error *e)
{
	struct scim_resource w;
	struct scim_found f;
	struct slice name;

	if (!do_show(r, q->schema, q->id, &f, e) || !do_fits(q, &f, e))
		return false;
	if (q->schema == &scim_group && !admind_scim_name_members(r, &f.v[0], e))
		return false;
	name = f.names[0];
	if (!do_wished(r, q, &f.v[0], &w, e))
		return false;
	if (!(q->schema == &scim_user ? do_user_change(r, &f, &w, &name, e) :
					do_group_change(r, &f, &w, e)))
		return false;
	/* A list of thousands is not told for each member that comes (RFC 7644 3.5.2). */
	if (q->schema == &scim_user || q->method == HTTP_VERB_PUT || q->attributes.n ||
	    q->excluded.n)
		return do_tell(r, q, name, 200, a, e);
	a->status = 204;
	return true;
}

static bool
do_delete(struct scim_run *r, const struct scim_request *q, struct scim_answer *a,
    struct scim_error *e)
{
	struct scim_found f;
	struct scim_verb v = { .object = q->schema == &scim_user ? "user" : "group",
		.verb = "delete" };

	if (!do_show(r, q->schema, q->id, &f, e) || !do_fits(q, &f, e))
		return false;
	v.names[0] = f.names[0];
	v.version = f.versions[0].p;
	a->status = 204;
	return admind_scim_run(r, &v, e);
}

/* ---- a request --------------------------------------------------------------------------------------------------- */

static bool
do_text(const struct json_t *v, const char *name, struct scim_run *r, struct slice *out,
    struct scim_error *e)
{
	const struct json_t *at = json_find(v, slice_str(name));

	if (json_none(at))
		return true;
	if (!json_get_str(at, out))
		return scim_fail(e, 400, "invalidSyntax", "%s: a text is expected", name);
	*out = arena_slice(&r->memory, *out);
	return true;
}

static void
do_words(const struct json_t *v, const char *name, struct scim_run *r, struct slice *out)
{
	const struct json_t *at = json_find(v, slice_str(name));
	struct buf b = { 0 };

	for (size_t i = 0; json_is(at, JSON_KIND_ARRAY) && i < json_count(at); i++) {
		if (i)
			buf_char(&b, ',');
		buf_slice(&b, json_text(json_at(at, i)));
	}
	*out = arena_slice(&r->memory, buf_get(&b));
	buf_fini(&b);
}

static bool
do_search_read(struct scim_run *r, struct scim_request *q, const struct json_t *v,
    struct scim_error *e)
{
	struct slice order = S("");
	int64_t start = 1, count = SCIM_PAGE_MOST;

	if (!json_is(v, JSON_KIND_OBJECT) || !do_text(v, "filter", r, &q->filter, e) ||
	    !do_text(v, "sortBy", r, &q->sort, e) || !do_text(v, "sortOrder", r, &order, e))
		return e->status ? false :
				   scim_fail(e, 400, "invalidSyntax", "an object is expected");
	do_words(v, "attributes", r, &q->attributes);
	do_words(v, "excludedAttributes", r, &q->excluded);
	(void)json_get_int(json_find(v, S("startIndex")), -JSON_INT_MOST, JSON_INT_MOST, &start);
	(void)json_get_int(json_find(v, S("count")), -JSON_INT_MOST, JSON_INT_MOST, &count);
	q->start = start < 1 ? 1 : (uint64_t)start;
	q->count = count < 0 ? 0 : count > SCIM_PAGE_MOST ? SCIM_PAGE_MOST : (uint64_t)count;
	q->descending = slice_ieq(order, S("descending"));
	return true;
}

bool
admind_scim_search(struct scim_run *r, struct scim_request *q, struct scim_error *e)
{
	struct json_t *v = NULL;
	bool good = do_json(q->body, &v, e) && do_search_read(r, q, v, e);

	json_free(&v);
	return good;
}

static bool
do_method(struct scim_run *r, const struct scim_request *q, struct scim_answer *a,
    struct scim_error *e)
{
	bool one = q->id.n > 0;

	if (one && !do_is_id(q->id) && !q->me)
		return scim_fail(e, 404, NULL, "There is nothing of this id.");
	switch ((unsigned)q->method) {
	case HTTP_VERB_GET: return one ? do_tell(r, q, q->id, 200, a, e) : do_list(r, q, a, e);
	case HTTP_VERB_POST:
		if (!one)
			return q->search ? do_list(r, q, a, e) : do_create(r, q, a, e);
		break;
	case HTTP_VERB_PUT:
	case HTTP_VERB_PATCH:
		if (one)
			return do_change(r, q, a, e);
		break;
	case HTTP_VERB_DELETE:
		if (one)
			return do_delete(r, q, a, e);
		break;
	default: break;
	}
	return scim_fail(e, 405, NULL, "This is not done there.");
}

void
admind_scim_answer_fini(struct scim_answer *a)
{
	buf_fini(&a->body);
	buf_fini(&a->etag);
	buf_fini(&a->at);
}

void
admind_scim_do(struct scim_run *r, const struct scim_request *q, struct scim_answer *a)
{
	struct scim_error e = { .status = 0 };
	struct scim_request with = *q;
	bool good = (!q->search || admind_scim_search(r, &with, &e)) && do_method(r, &with, a, &e);

	if (good && a->body.full)
		good = scim_fail(&e, 400, "tooMany", "The answer is too large; use count.");
	if (good)
		return;
	buf_clear(&a->body);
	buf_clear(&a->etag);
	buf_clear(&a->at);
	a->status = e.status;
	scim_error_write(&a->body, &e);
}
