/* ask.c: jobs of the agent, waited for in the fiber, and their failures in words for people.
 *
 * Called by every verb.  Owns nothing: an answer is the agent's until its next job, so who keeps an
 * entry across one copies it (admin_entry_copy).  What can fail is what slapd says; the table below has
 * the one place where that becomes a sentence.  Must stay true: a sentence never tells whether something
 * is there that this person may not see: "not there" and "not for you" are one. */
#include <stdarg.h>
#include <stdio.h>

#include "admin/admin-impl.h"
#include "base/clock.h"
#include "conf/shared.h"

#define TURN_US 5000
#define PAGE    500 /* entries of a page: slapd's ACLs cost about a millisecond for so many */

bool
admin_fail(struct admin *a, enum admin_status status, const char *code, const char *fmt, ...)
{
	va_list ap;

	a->problem->status = status;
	a->problem->code = code;
	va_start(ap, fmt);
	vsnprintf(a->problem->text, sizeof(a->problem->text), fmt, ap);
	va_end(ap);
	return false;
}

struct slice
admin_name(const struct admin *a, size_t i)
{
	return i < a->call->nnames ? a->call->names[i] : S("");
}

const char *
admin_base(void)
{
	return shared.ldap_base;
}

/* ---- jobs ---------------------------------------------------------------------------------- */

static void
admin_answered(void *arg, const struct dir_outcome *o)
{
	struct admin *a = arg;

	a->out = *o;
	fiber_wake(a->fiber);
}

void
admin_breathe(struct admin *a)
{
	if (clock_mono_us() - a->turn_us < TURN_US)
		return;
	fiber_wake(a->fiber);
	fiber_wait();
	a->turn_us = clock_mono_us();
}

enum dir_result
admin_job(struct admin *a, struct dir_job *j)
{
	j->as = a->own ? NULL : a->call->as;
	dir_agent_start(a->agent, j, &a->op, admin_answered, a);
	fiber_wait();
	a->turn_us = clock_mono_us();
	return a->out.result;
}

static const struct {
	enum dir_result result;
	enum admin_status status;
	const char *code, *text; /* %s: what; then the server's words */
	bool why;
} failures[] = {
	{ DIR_R_DENIED, ADMIN_DENIED, "denied", "%s: your role does not allow this", false },
	{ DIR_R_NO_ENTRY, ADMIN_NOT_FOUND, "not-found",
	    "%s: there is no such entry, or you may not see it", false },
	{ DIR_R_EXISTS, ADMIN_EXISTS, "exists", "%s: there is an entry of this name already",
	    false },
	{ DIR_R_CHANGED, ADMIN_CHANGED, "changed",
	    "%s: somebody has changed it meanwhile; look again, then repeat it", false },
	{ DIR_R_CHILDREN, ADMIN_BAD, "not-empty", "%s: there are entries below it", false },
	{ DIR_R_SCHEMA, ADMIN_BAD, "schema", "%s: the directory's schema does not allow this: %s",
	    true },
	{ DIR_R_VALUE, ADMIN_BAD, "value", "%s: the directory does not take this: %s", true },
	{ DIR_R_NO_VALUE, ADMIN_BAD, "no-value", "%s: what is to go is not there: %s", true },
	{ DIR_R_HAS_VALUE, ADMIN_EXISTS, "has-value", "%s: it has this value already: %s", true },
	{ DIR_R_LIMIT, ADMIN_LIMIT, "limit", "%s: more than the directory gives at once: %s",
	    true },
	{ DIR_R_LOGIN, ADMIN_LOGIN, "login", "the directory refuses this login", false },
	{ DIR_R_PROXY, ADMIN_DENIED, "proxy", "the directory does not let us act for this person",
	    false },
	{ DIR_R_READ_ONLY, ADMIN_FAILED, "read-only",
	    "%s: the first server of ldap.provider, or ldap.url, is a replica, which cannot be "
	    "changed",
	    false },
	{ DIR_R_AWAY, ADMIN_AWAY, "away", "%s: the directory does not answer, nothing was done: %s",
	    true },
	{ DIR_R_UNKNOWN, ADMIN_UNKNOWN, "unknown",
	    "%s: the directory did not answer; it may have been done: look first (%s)", true },
	{ DIR_R_OTHER, ADMIN_FAILED, "directory", "%s: the directory says: %s", true },
};

bool
admin_job_failed(struct admin *a, enum dir_result r, const char *what)
{
	for (size_t i = 0; i < NELEM(failures); i++) {
		char text[400];

		if (failures[i].result != r)
			continue;
		if (strncmp(failures[i].text, "%s: ", 4) != 0)
			return admin_fail(a, failures[i].status, failures[i].code, "%s",
			    failures[i].text);
		snprintf(text, sizeof(text), "%s", failures[i].text + 4);
		if (failures[i].why) /* all these end in the one %s, perhaps with a bracket */
			text[strcspn(text, "%")] = '\0';
		return failures[i].why ?
		    admin_fail(a, failures[i].status, failures[i].code, "%s: %s%s%s", what, text,
			a->out.why, r == DIR_R_UNKNOWN ? ")" : "") :
		    admin_fail(a, failures[i].status, failures[i].code, "%s: %s", what, text);
	}
	return true;
}

bool
admin_job_ok(struct admin *a, struct dir_job *j, const char *what)
{
	return admin_job_failed(a, admin_job(a, j), what);
}

bool
admin_search(struct admin *a, const char *base, enum dir_scope scope, const char *filter,
    const char *const *attrs)
{
	struct dir_job j = { .task = DIR_SEARCH,
		.dn = base,
		.scope = scope,
		.filter = filter,
		.attrs = attrs };
	enum dir_result r = admin_job(a, &j);

	if (r == DIR_R_NO_ENTRY) {
		a->out.n = 0;
		return true;
	}
	return admin_job_failed(a, r, base);
}

bool
admin_each(struct admin *a, const char *base, enum dir_scope scope, const char *filter,
    const char *const *attrs, bool (*fn)(struct admin *, const struct dir_entry *, void *),
    void *arg)
{
	struct dir_job j = { .task = DIR_SEARCH,
		.dn = base,
		.scope = scope,
		.filter = filter,
		.attrs = attrs,
		.page = PAGE };
	char cookie[256];

	do {
		enum dir_result r = admin_job(a, &j);

		if (r == DIR_R_NO_ENTRY)
			return true;
		if (!admin_job_failed(a, r, base))
			return false;
		for (size_t i = 0; i < a->out.n; i++, admin_breathe(a))
			if (!fn(a, &a->out.entries[i], arg))
				return a->problem->status == ADMIN_OK;
		if (a->out.cookie.n > sizeof(cookie))
			return admin_fail(a, ADMIN_FAILED, "directory",
			    "the directory's cookie is too long");
		memcpy(cookie, a->out.cookie.p, a->out.cookie.n);
		j.cookie = slice(cookie, a->out.cookie.n);
		if (j.cookie.n && !admin_hold(a))
			return false;
	} while (j.cookie.n);
	return true;
}

/* "uid:caseIgnoreOrderingMatch": most attributes have no ordering of their own (RFC 2891 1.1). */
static bool
admin_sort_key(struct admin *a, unsigned object, const char *sort, const char **key)
{
	const char *name = sort && *sort == '-' ? sort + 1 : sort;
	const struct admin_field *f = name ? admin_field_find(object, slice_str(name)) : NULL;
	const char *attribute = f ? f->attribute : NULL;

	*key = NULL;
	if (!sort)
		return true;
	if (object == ADMIN_USER && strcmp(name, "user") == 0)
		attribute = "uid";
	if (!attribute || (f && f->many))
		return admin_fail(a, ADMIN_BAD, "sort", "%s: a list is not sorted by this", name);
	*key = arena_printf(&a->memory, "%s%s:caseIgnoreOrderingMatch", name == sort ? "" : "-",
	    attribute);
	return true;
}

static bool
admin_list_cookie(struct admin *a, struct admin_page *page)
{
	if (a->out.cookie.n > sizeof(page->cookie))
		return admin_fail(a, ADMIN_FAILED, "directory",
		    "the directory's cookie is too long");
	memcpy(page->cookie, a->out.cookie.p, a->out.cookie.n);
	page->n = a->out.cookie.n;
	return true;
}

/* The entries of these names, in their order, as far as the person sees them: one by one, for a filter of
 * many names is tried on each entry with each of them. */
static bool
admin_list_read(struct admin *a, const struct dir_job *list, const char *const *dns, size_t n,
    bool (*fn)(struct admin *, const struct dir_entry *, void *))
{
	size_t told = 0;

	for (size_t i = 0; i < n; i++) {
		if (!admin_search(a, dns[i], DIR_SCOPE_BASE, list->filter, list->attrs))
			return false;
		if (a->out.n) /* else it has gone meanwhile, or is not for this person */
			(void)fn(a, &a->out.entries[0], &told);
	}
	return true;
}

/* slapd looks at the access rules of each entry of a list before it puts them in order, and of each that an index says
 * may fit a word (of a word's beginning it has four letters, with which all logins may begin): for somebody whose role
 * is one among many that takes seconds of 100,000.  Our own account has a short way through the rules: it is told
 * names, and what they have is read as the person, who so sees nothing that is not for him. */
static bool
admin_list_names(struct admin *a, const struct dir_job *list, struct dir_job *j,
    bool (*fn)(struct admin *, const struct dir_entry *, void *))
{
	static const char *const none[] = { "1.1", NULL };
	struct admin_page *page = a->call->page;
	const char **dns;
	bool good;
	size_t n;

	j->attrs = none;
	j->page = j->page < PAGE ? j->page : PAGE; /* what the services' limits are for */
	a->own = true;
	good = admin_job_ok(a, j, j->dn);
	a->own = false;
	if (!good || !admin_list_cookie(a, page))
		return false;
	dns = arena_array(&a->memory, a->out.n + 1, sizeof(*dns));
	for (n = 0; n < a->out.n; n++)
		dns[n] = arena_cstr(&a->memory, a->out.entries[n].dn);
	return admin_list_read(a, list, dns, n, fn);
}

static bool
admin_list_page(struct admin *a, struct dir_job *list, bool own,
    bool (*fn)(struct admin *, const struct dir_entry *, void *))
{
	struct admin_page *page = a->call->page;
	struct dir_job j = *list;
	size_t n = 0;

	j.page = a->call->limit;
	j.cookie = slice(page->cookie, page->n);
	if (own && (j.sort || admin_name(a, 1).n) && a->call->as)
		return admin_list_names(a, list, &j, fn);
	if (!admin_job_ok(a, &j, j.dn) || !admin_list_cookie(a, page))
		return false;
	for (size_t i = 0; i < a->out.n; i++, admin_breathe(a))
		(void)fn(a, &a->out.entries[i], &n);
	return true;
}

struct window {
	const char **dns;
	size_t n;
	struct admin_window *w;
};

static void
window_entry(struct admin *a, struct window *win, const struct dir_entry *e)
{
	size_t i = win->w->total++;

	if (i >= win->w->skip && win->n < win->w->want)
		win->dns[win->n++] = arena_cstr(&a->memory, e->dn);
	admin_breathe(a);
}

/* Their names alone are counted; entries are read of those that are wanted. */
static bool
admin_list_window(struct admin *a, struct dir_job *j,
    bool (*fn)(struct admin *, const struct dir_entry *, void *))
{
	static const char *const none[] = { "1.1", NULL };
	struct window win = { .w = a->call->window };
	const char *const *attrs = j->attrs;
	char cookie[ADMIN_COOKIE];

	win.dns = arena_array(&a->memory, win.w->want + 1, sizeof(*win.dns));
	win.w->total = 0;
	j->attrs = none;
	j->page = PAGE;
	do {
		if (!admin_job_ok(a, j, j->dn))
			return false;
		for (size_t i = 0; i < a->out.n; i++)
			window_entry(a, &win, &a->out.entries[i]);
		if (a->out.cookie.n > sizeof(cookie))
			return admin_fail(a, ADMIN_FAILED, "directory",
			    "the directory's cookie is too long");
		memcpy(cookie, a->out.cookie.p, a->out.cookie.n);
		j->cookie = slice(cookie, a->out.cookie.n);
	} while (j->cookie.n);
	j->attrs = attrs;
	return admin_list_read(a, j, win.dns, win.n, fn);
}

bool
admin_list(struct admin *a, unsigned object, const char *base, enum dir_scope scope,
    const char *filter, bool (*fn)(struct admin *, const struct dir_entry *, void *))
{
	struct dir_job j = { .task = DIR_SEARCH,
		.dn = base,
		.scope = scope,
		.filter = filter,
		.attrs = admin_field_attrs(a, object) };
	size_t n = 0;

	if (a->call->filter)
		j.filter = filter = arena_printf(&a->memory, "(&%s%s)", filter, a->call->filter);
	if (a->call->window)
		return admin_sort_key(a, object, a->call->window->sort, &j.sort) &&
		    admin_list_window(a, &j, fn);
	if (!a->call->page || !a->call->limit)
		return admin_each(a, base, scope, filter, j.attrs, fn, &n);
	return admin_sort_key(a, object, a->call->page->sort, &j.sort) &&
	    admin_list_page(a, &j, !a->call->filter && object & (ADMIN_USER | ADMIN_GROUP), fn);
}

static bool
admin_count_one(struct admin *a UNUSED, const struct dir_entry *e UNUSED, void *arg)
{
	++*(size_t *)arg;
	return true;
}

bool
admin_count(struct admin *a, const char *base, const char *filter, size_t *n)
{
	static const char *const none[] = { "1.1", NULL }; /* RFC 4511 4.5.1.8 */

	*n = 0;
	return admin_each(a, base, DIR_SCOPE_SUB, filter, none, admin_count_one, n);
}

/* ---- entries --------------------------------------------------------------------------------- */

const struct dir_entry *
admin_entry_copy(struct admin *a, const struct dir_entry *e)
{
	struct dir_entry *copy = arena_new(&a->memory, sizeof(*copy));
	struct dir_attribute *attrs = arena_array(&a->memory, e->n + 1, sizeof(*attrs));

	for (size_t i = 0; i < e->n; i++) {
		struct slice *v = arena_array(&a->memory, e->attrs[i].n + 1, sizeof(*v));

		for (size_t k = 0; k < e->attrs[i].n; k++)
			v[k] = slice(arena_cstr(&a->memory, e->attrs[i].values[k]),
			    e->attrs[i].values[k].n);
		attrs[i] = (struct dir_attribute){ arena_slice(&a->memory, e->attrs[i].name), v,
			e->attrs[i].n };
	}
	*copy = (struct dir_entry){ slice(arena_cstr(&a->memory, e->dn), e->dn.n), attrs, e->n };
	return copy;
}

const struct dir_attribute *
admin_attr(const struct dir_entry *e, const char *name)
{
	for (size_t i = 0; e && i < e->n; i++)
		if (slice_ieq(e->attrs[i].name, slice_str(name)))
			return &e->attrs[i];
	return NULL;
}

struct slice
admin_value(const struct dir_entry *e, const char *name)
{
	const struct dir_attribute *at = admin_attr(e, name);

	return at && at->n ? at->values[0] : S("");
}

bool
admin_has(const struct dir_entry *e, const char *name, struct slice value)
{
	const struct dir_attribute *at = admin_attr(e, name);

	for (size_t i = 0; at && i < at->n; i++)
		if (slice_ieq(at->values[i], value))
			return true;
	return false;
}
