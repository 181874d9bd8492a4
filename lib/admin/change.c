/* change.c: changes of entries: asserted, told or done, and written to the audit log.
 *
 * Called by every verb that changes something, and nothing else here changes anything.  Can fail as
 * any job can (ask.c), and before anything is done when the log cannot be written: what nobody could
 * read about later does not happen.  Must stay true: a change goes out with the assertion that the entry
 * is as the verb has read it; with dry_run nothing goes out.  */
#include <stdlib.h>

#include "admin/admin-impl.h"
#include "base/mem.h"

/* A later replacement of the same attribute is the one that counts: a user's own quota before the package's. */
static void
change_forget(struct admin_changes *c, const char *attribute)
{
	for (size_t i = 0; i + 1 < c->n; i++)
		if (c->v[i].how == DIR_REPLACE && strcmp(c->v[i].attribute, attribute) == 0) {
			memmove(&c->v[i], &c->v[i + 1], (c->n - i - 1) * sizeof(*c->v));
			c->n--;
			return;
		}
}

/* Room doubles whenever it is used up, at powers of two: a caller's list may have 20,000 values. */
static void
change_value(struct admin *a, struct dir_change *change, struct slice value)
{
	struct slice *values = (struct slice *)(uintptr_t)change->values;
	size_t n = change->nvalues;

	if ((n & (n - 1)) == 0) {
		values = arena_array(&a->memory, n ? n * 2 : 1, sizeof(*values));
		if (n)
			memcpy(values, change->values, n * sizeof(*values));
		change->values = values;
	}
	values[n] = arena_slice(&a->memory, value);
	change->nvalues = n + 1;
}

void
admin_set(struct admin *a, struct admin_changes *c, enum dir_how how, const char *attribute,
    struct slice value)
{
	struct dir_change *last = c->n ? &c->v[c->n - 1] : NULL;

	if (how == DIR_REPLACE) {
		change_forget(c, attribute);
		last = c->n ? &c->v[c->n - 1] : NULL;
	}
	if (!last || last->how != how || strcmp(last->attribute, attribute) != 0 ||
	    !last->nvalues) {
		if (c->n == c->room) {
			struct dir_change *v = arena_array(&a->memory, c->room + 32, sizeof(*v));

			if (c->n && c->v)
				memcpy(v, c->v, c->n * sizeof(*v));
			c->v = v;
			c->room += 32;
		}
		last = &c->v[c->n++];
		*last = (struct dir_change){ how, attribute, NULL, 0 };
	}
	change_value(a, last, value);
}

void
admin_set_none(struct admin *a, struct admin_changes *c, const char *attribute)
{
	admin_set(a, c, DIR_REPLACE, attribute, S(""));
	c->v[c->n - 1].nvalues = 0;
	c->v[c->n - 1].values = NULL;
}

/* ---- telling what would be done ---------------------------------------------------------------- */

static bool
admin_would(struct admin *a, const char *op, const char *dn, const struct dir_change *c, size_t n)
{
	static const char
	    *const signs[] = { [DIR_ADD] = "+=", [DIR_DELETE] = "-=", [DIR_REPLACE] = "=" };
	struct admin_telling t = { .a = a };

	admin_tell_add(&t, "would", slice_str(op));
	admin_tell_add(&t, "dn", slice_str(dn));
	for (size_t i = 0; i < n; i++) {
		const char *name = op[0] == 'c' ? "" : signs[c[i].how];

		if (!c[i].nvalues)
			admin_tell_list(&t, "set",
			    slice_str(arena_printf(&a->memory, "%s%s", c[i].attribute, name)));
		for (size_t k = 0; k < c[i].nvalues; k++)
			admin_tell_list(&t, "set",
			    slice_str(arena_printf(&a->memory, "%s%s" SFMT, c[i].attribute,
				*name ? name : "=",
				SARG(admin_secret(slice_str(c[i].attribute)) ? S("(secret)") :
									       c[i].values[k]))));
	}
	admin_tell_end(&t, "change");
	return true;
}

/* ---- doing it ------------------------------------------------------------------------------------ */

static bool
admin_done(struct admin *a, struct dir_job *j, const char *op, const char *what)
{
	enum dir_result r;

	if (!admin_audit_ready(a, j))
		return false;
	r = admin_job(a, j);
	admin_audit(a, op, j->dn, j->changes, j->nchanges, a->out.n ? &a->out.entries[0] : NULL, r);
	return admin_job_failed(a, r, what);
}

/* "(entryCSN=...)" of the version that the caller has seen, else of what the verb has. */
static const char *
admin_assertion(struct admin *a, const struct dir_entry *e)
{
	struct slice csn = e ? admin_value(e, "entryCSN") : S("");
	struct buf b = { 0 };
	char *s;

	if (!csn.n)
		return NULL;
	dir_filter_equal(&b, "entryCSN", csn, S(""));
	s = arena_cstr(&a->memory, buf_get(&b));
	buf_fini(&b);
	return s;
}

/* The version that the caller names is looked at here, so that it holds for whatever a verb does first.  Not again:
 * the steps behind that find the version of the step before. */
static bool
admin_version_fits(struct admin *a, const struct dir_entry *e, const char *what)
{
	if (!a->call->version || !e || a->fits)
		return true;
	a->fits = slice_eq(admin_value(e, "entryCSN"), slice_str(a->call->version));
	if (a->fits)
		return true;
	a->out.why = "";
	return admin_job_failed(a, DIR_R_CHANGED, what);
}

bool
admin_modify(struct admin *a, const char *dn, const struct dir_entry *e,
    const struct admin_changes *c, const char *what)
{
	const char **before = arena_array(&a->memory, c->n + 1, sizeof(*before));
	struct dir_job j = { .task = DIR_MODIFY,
		.dn = dn,
		.assertion = admin_assertion(a, e),
		.changes = c->v,
		.nchanges = c->n,
		.before = before };

	if (!c->n)
		return admin_fail(a, ADMIN_BAD, "nothing", "%s: there is nothing to change", what);
	if (!admin_version_fits(a, e, what))
		return false;
	for (size_t i = 0; i < c->n; i++)
		before[i] = c->v[i].attribute;
	if (a->call->dry_run)
		return admin_would(a, "modify", dn, c->v, c->n);
	return admin_done(a, &j, "modify", what);
}

bool
admin_create(struct admin *a, const char *dn, const struct admin_changes *c, const char *what)
{
	struct dir_job j = { .task = DIR_CREATE, .dn = dn, .changes = c->v, .nchanges = c->n };

	if (a->call->dry_run)
		return admin_would(a, "create", dn, c->v, c->n);
	return admin_done(a, &j, "create", what);
}

bool
admin_remove(struct admin *a, const char *dn, const struct dir_entry *e, const char *what)
{
	static const char *const all[] = { "*", NULL };
	struct dir_job j = { .task = DIR_REMOVE,
		.dn = dn,
		.assertion = admin_assertion(a, e),
		.before = all };

	if (!admin_version_fits(a, e, what))
		return false;
	if (a->call->dry_run)
		return admin_would(a, "remove", dn, NULL, 0);
	return admin_done(a, &j, "remove", what);
}

struct tree {
	const char **dns;
	size_t n, room;
};

static bool
tree_one(struct admin *a, const struct dir_entry *e, void *arg)
{
	struct tree *t = arg;

	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 64;
		t->dns = mem_grow(t->dns, t->room, sizeof(*t->dns));
	}
	t->dns[t->n++] = arena_cstr(&a->memory, e->dn);
	return true;
}

/* Deeper ones first: a search gives an entry before those below it, but order is nowhere promised. */
static int
tree_deeper(const void *one, const void *two)
{
	size_t n1 = strlen(*(const char *const *)one), n2 = strlen(*(const char *const *)two);

	return n1 < n2 ? 1 : n1 > n2 ? -1 : 0;
}

bool
admin_remove_tree(struct admin *a, const struct dir_entry *e, bool steps, const char *what)
{
	static const char *const none[] = { "1.1", NULL };
	struct tree t = { 0 };
	bool good = admin_version_fits(a, e, what) &&
	    admin_each(a, e->dn.p, DIR_SCOPE_SUB, "(objectClass=*)", none, tree_one, &t);

	if (good && t.n)
		qsort(t.dns, t.n, sizeof(*t.dns), tree_deeper);
	if (good && steps)
		admin_steps(a, t.n, false);
	for (size_t i = 0; good && i < t.n; i++)
		good = admin_remove(a, t.dns[i], i + 1 == t.n ? e : NULL, what) &&
		    (!steps || admin_step(a));
	mem_release(t.dns);
	return good;
}

bool
admin_rename(struct admin *a, const char *dn, const struct dir_entry *e, const char *rdn,
    const char *superior, const char *what)
{
	struct slice to[2] = { slice_str(rdn), slice_str(superior) };
	struct dir_change change = { DIR_REPLACE, "dn", to, superior ? 2 : 1 };
	struct dir_job j = { .task = DIR_RENAME,
		.dn = dn,
		.assertion = admin_assertion(a, e),
		.rdn = rdn,
		.superior = superior,
		.changes = &change,
		.nchanges = 1 };

	if (!admin_version_fits(a, e, what))
		return false;
	if (a->call->dry_run)
		return admin_would(a, "rename", dn, &change, 1);
	return admin_done(a, &j, "rename", what);
}

bool
admin_password(struct admin *a, const char *dn, const struct dir_entry *e, struct slice password,
    const char *what)
{
	struct dir_job j = { .task = DIR_PASSWORD, .dn = dn, .password = password };

	if (!admin_version_fits(a, e, what))
		return false;
	if (a->call->dry_run)
		return admin_would(a, "password", dn, NULL, 0);
	return admin_done(a, &j, "password", what);
}
