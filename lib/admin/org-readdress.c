/* org-readdress.c: an organisation goes by another of its domains.
 *
 * Called by the table of verbs.  Owns nothing.  Can fail as changes do; an address that is somebody's is told, and the
 * next one follows.  Must stay true: mail finds everybody after each change, for both domains are the organisation's
 * and the old address stays; uid and organisation stay as they are, so mailboxes and logins do; doing it again goes on
 * where it stopped. */
#include "admin/admin-impl.h"
#include "base/mem.h"

struct addressed {
	const struct dir_entry **v;
	size_t n, room;
};

static bool
readdress_found(struct admin *a, const struct dir_entry *e, void *arg)
{
	struct addressed *r = arg;

	if (r->n == r->room) {
		r->room = r->room ? r->room * 2 : 64;
		r->v = mem_grow(r->v, r->room, sizeof(*r->v));
	}
	r->v[r->n++] = admin_entry_copy(a, e);
	return true;
}

/* *kept: the address is another's, so that this one stays. */
static bool
readdress_one(struct admin *a, const struct admin_org *org, const struct dir_entry *e,
    struct slice domain, bool *kept)
{
	struct slice old = admin_value(e, "mail"), at = slice_from(old, slice_rfind(old, '@') + 1),
		     address = slice_str(arena_printf(&a->memory, SFMT "@" SFMT,
			 SARG(slice_sub(old, 0, slice_rfind(old, '@'))), SARG(domain)));
	struct admin_changes c = { 0 };

	*kept = false;
	if (!admin_org_has(org, at))
		return true; /* of a domain that is none of the organisation's */
	if (!admin_address_free(a, org, address, e->dn.p)) {
		if (a->problem->status != ADMIN_EXISTS)
			return false;
		admin_say(a, "note", old, "keeps its address: %s", a->problem->text);
		a->problem->status = ADMIN_OK;
		*kept = true;
		return true;
	}
	admin_set(a, &c, DIR_REPLACE, "mail", address);
	if (admin_has(e, "mailAlternateAddress", address))
		admin_set(a, &c, DIR_DELETE, "mailAlternateAddress", address);
	if (!admin_has(e, "mailAlternateAddress", old))
		admin_set(a, &c, DIR_ADD, "mailAlternateAddress", old);
	return admin_modify(a, e->dn.p, e, &c, arena_cstr(&a->memory, old));
}

bool
admin_org_readdress(struct admin *a)
{
	static const char *const attrs[] = { "mail", "mailAlternateAddress", "entryCSN", NULL };
	struct slice domain = admin_name(a, 1);
	struct addressed r = { .n = 0 };
	struct buf filter = { 0 };
	struct admin_org org;
	size_t done = 0;
	bool good, kept;

	if (!admin_find_org(a, admin_name(a, 0), &org))
		return false;
	if (!admin_org_has(&org, domain))
		return admin_fail(a, ADMIN_BAD, "foreign-domain",
		    SFMT ": this is no domain of " SFMT ": org modify " SFMT " alias+=" SFMT
			 " makes it one",
		    SARG(domain), SARG(org.domain), SARG(org.domain), SARG(domain));
	buf_lit(&filter,
	    "(&(|(objectClass=inetMailUser)(objectClass=inetMailGroup))(mail=*)(!(mail=*@");
	dir_filter_value(&filter, domain);
	buf_lit(&filter, ")))");
	good = admin_each(a, org.dn, DIR_SCOPE_SUB, arena_cstr(&a->memory, buf_get(&filter)), attrs,
	    readdress_found, &r);
	buf_fini(&filter);
	if (good)
		admin_steps(a, r.n, false);
	for (size_t i = 0; good && i < r.n; i++) {
		good = readdress_one(a, &org, r.v[i], domain, &kept) && admin_step(a);
		done += good && !kept;
	}
	if (good)
		admin_say(a, "note", org.domain, "%zu have an address in " SFMT " now, of %zu",
		    done, SARG(domain), r.n);
	mem_release(r.v);
	return good;
}
