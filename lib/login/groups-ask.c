/* login/groups-ask.c: one account's turn: which lists it is in.
 *
 *	his entry -> the lists that search by URL, when what is known of them is old -> the lists that name him ->
 *	each URL below whose base he is: does it find him? -> the domain of each list: is that its list?
 *
 * Called by groups.c.  Owns, of a door, one connection to the directory as the daemon's own account.  Can fail: the
 * directory.  Must stay true: a list has no other name than one of the domain below which its entry is, whatever who
 * administers another writes; and the work for one account is bounded, by GROUPS_URLS and STORE_GROUPS_MOST, however many
 * lists there are. */
#include <string.h>

#include "base/mem.h"
#include "conf/shared.h"
#include "directory/filter.h"
#include "directory/search.h"
#include "login/groups-impl.h"

#define GROUPS_ADDRESSES 64 /* of an account that are looked for in lists */

static void groups_urls_look(struct login_grouper *n);

void
login_groups_found_free(struct groups_found *f)
{
	mem_free(&f->name);
	mem_free(&f->dn);
}

/* ---- what is asked ----------------------------------------------------------------------------------- */

/* True: it is no answer. */
static bool
groups_away(struct login_grouper *n, const struct dir_outcome *o)
{
	if (o->result != DIR_R_AWAY && o->result != DIR_R_UNKNOWN && o->result != DIR_R_LOGIN)
		return false;
	login_groups_failed(n, o->why, true);
	if (o->result ==
	    DIR_R_LOGIN) /* the account's password was changed, and with it the settings */
		dir_agent_free(&n->agent);
	return true;
}

/* Does the directory say nothing of anybody?  An entry that is no good (4.3.5) is one person's, or list's, alone. */
static bool
groups_nobody(const struct verdict *v)
{
	return v->subject != 3 || v->detail != 5;
}

#define GROUPS_CLASS "(|(objectClass=inetMailGroup)(objectClass=mailGroup))"

static void
groups_ask(struct login_grouper *n, const char *dn, enum dir_scope scope, const char *filter,
    const char *const *attrs, unsigned page, dir_agent_done done)
{
	struct dir_job job = { .task = DIR_SEARCH,
		.dn = dn,
		.scope = scope,
		.filter = filter,
		.attrs = attrs,
		.page = page };

	if (!n->agent)
		n->agent = dir_agent_reader(n->door->dir, shared.ldap_bind_dn,
		    shared.ldap_bind ? NULL : shared.ldap_password);
	dir_agent_start(n->agent, &job, &n->op, done, n);
}

static struct slice
groups_value(const struct dir_entry *e, const char *name, size_t i)
{
	for (size_t k = 0; k < e->n; k++)
		if (slice_ieq(e->attrs[k].name, slice_str(name)))
			return i < e->attrs[k].n ? e->attrs[k].values[i] : S("");
	return S("");
}

/* A DN as it can be compared: in lower case, without blanks behind commas. */
static char *
groups_dn_key(struct slice dn)
{
	char *key = mem_strn(dn.p, dn.n), *to = key;

	for (size_t i = 0; i < dn.n; i++)
		if (dn.p[i] != ' ' || i == 0 || dn.p[i - 1] != ',')
			*to++ = ascii_lower(dn.p[i]);
	*to = '\0';
	return key;
}

/* Where the DN begins that `base` is the end of, both as groups_dn_key writes them; SIZE_MAX: it is not. */
static size_t
groups_dn_below(const char *dn, const char *base)
{
	size_t n = strlen(dn), nbase = strlen(base);

	if (nbase > n || strcmp(dn + n - nbase, base) != 0 ||
	    (nbase > 0 && n > nbase && dn[n - nbase - 1] != ','))
		return SIZE_MAX;
	return n - nbase;
}

/* False: it is none that an ACL could name, or not active. */
static bool
groups_read(const struct dir_entry *e, struct groups_found *f)
{
	char canonical[STORE_IDENTIFIER_MAX + 1];
	struct slice status = groups_value(e, "inetMailGroupStatus", 0);
	struct buf b = { 0 };
	int rc;

	if (status.n && !slice_ieq(status, S("active")))
		return false;
	buf_lit(&b, STORE_GROUP);
	buf_slice(&b, groups_value(e, "mail", 0));
	rc = store_identifier_check(buf_get(&b), canonical);
	buf_fini(&b);
	if (rc < 0)
		return false;
	f->name = mem_str(canonical + sizeof(STORE_GROUP) - 1);
	f->dn = groups_dn_key(e->dn);
	return true;
}

static void
groups_add(struct login_grouper *n, struct groups_found f)
{
	if (n->nfound < STORE_GROUPS_MOST) {
		n->found[n->nfound++] = f;
		return;
	}
	n->unsure = true;
	login_groups_found_free(&f);
}

static struct groups_found
groups_found_copy(const struct groups_found *f)
{
	return (struct groups_found){ mem_str(f->name), mem_str(f->dn) };
}

/* ---- whose lists they are ------------------------------------------------------------------------------- */

static void groups_check(struct login_grouper *n);

static void
groups_domain(void *arg, const struct dir_answer *a)
{
	struct login_grouper *n = arg;
	struct groups_found *f = &n->found[n->checked];
	char *base;

	if (a->v.kind == TEMP) {
		login_groups_failed(n, a->v.text, groups_nobody(&a->v));
		return;
	}
	base = groups_dn_key(a->domain ? a->domain->base : S(""));
	if (*base && groups_dn_below(f->dn, base) != SIZE_MAX) {
		n->checked++;
	} else {
		login_groups_found_free(f);
		*f = n->found[--n->nfound];
	}
	mem_free(&base);
	groups_check(n);
}

static void
groups_check(struct login_grouper *n)
{
	struct slice name;

	if (n->checked == n->nfound) {
		login_groups_settle(n);
		return;
	}
	name = slice_str(n->found[n->checked].name);
	dir_domain_start(n->door->dir, slice_from(name, slice_rfind(name, '@') + 1), &n->op,
	    groups_domain, n);
}

/* ---- lists that search --------------------------------------------------------------------------------- */

/* Is this person in the part of the directory that the URL searches?  Whether it finds him there, the directory says. */
static bool
groups_url_covers(const struct groups_url *u, const char *dn)
{
	size_t at = groups_dn_below(dn, u->base);

	if (at == SIZE_MAX)
		return false;
	if (at == 0)
		return u->scope != DIR_SCOPE_ONE;
	return u->scope == DIR_SCOPE_SUB ||
	    (u->scope == DIR_SCOPE_ONE && slice_find(slice_str(dn), ',') + 1 >= at);
}

static void
groups_url_looked(void *arg, const struct dir_outcome *o)
{
	struct login_grouper *n = arg;

	if (groups_away(n, o))
		return;
	/* A filter that the directory does not take finds nobody. */
	if (o->result == DIR_R_OK && o->n > 0)
		groups_add(n, groups_found_copy(&n->urls[n->at].list));
	n->at++;
	groups_urls_look(n);
}

static void
groups_urls_look(struct login_grouper *n)
{
	static const char *const none[] = { "1.1", NULL };

	while (n->at < n->nurls && !groups_url_covers(&n->urls[n->at], n->dn))
		n->at++;
	if (n->at == n->nurls)
		groups_check(n);
	else
		groups_ask(n, n->dn, DIR_SCOPE_BASE, n->urls[n->at].filter, none, 0,
		    groups_url_looked);
}

static void
groups_url_add(struct login_grouper *n, const struct groups_found *list, struct slice url)
{
	const char *base, *filter, *why;
	struct buf b = { 0 };
	int scope;

	/* What is none is told where the list expands. */
	if (dir_url_parse(url, &b, &base, &scope, &filter, &why) < 0) {
		buf_fini(&b);
		return;
	}
	if (n->nurls == GROUPS_URLS)
		n->urls_unsure = true;
	else
		n->urls[n->nurls++] = (struct groups_url){ groups_found_copy(list),
			groups_dn_key(slice_str(base)), mem_str(filter), scope };
	buf_fini(&b);
}

static void
groups_urls_forget(struct login_grouper *n)
{
	while (n->nurls) {
		struct groups_url *u = &n->urls[--n->nurls];

		login_groups_found_free(&u->list);
		mem_free(&u->base);
		mem_free(&u->filter);
	}
	n->urls_unsure = false;
}

static void groups_lists(struct login_grouper *n);

static void
groups_urls_answered(void *arg, const struct dir_outcome *o)
{
	static const char *const attrs[] = { "memberURL", "mgrpDeliverTo" };
	struct login_grouper *n = arg;
	struct slice url;

	if (groups_away(n, o))
		return;
	if (o->result != DIR_R_OK) {
		login_groups_failed(n, o->why, true);
		return;
	}
	groups_urls_forget(n);
	for (size_t i = 0; i < o->n; i++) {
		struct groups_found list;

		if (!groups_read(&o->entries[i], &list))
			continue;
		for (size_t a = 0; a < NELEM(attrs); a++)
			for (size_t k = 0; (url = groups_value(&o->entries[i], attrs[a], k)).n; k++)
				groups_url_add(n, &list, url);
		login_groups_found_free(&list);
	}
	n->urls_unsure |= o->cookie.n > 0;
	n->urls_ms = loop_now(n->door->loop);
	groups_lists(n);
}

static void
groups_urls_ask(struct login_grouper *n)
{
	static const char *const attrs[] = { "mail", "inetMailGroupStatus", "memberURL",
		"mgrpDeliverTo", NULL };

	groups_ask(n, shared.ldap_base, DIR_SCOPE_SUB,
	    "(&" GROUPS_CLASS "(|(memberURL=*)(mgrpDeliverTo=*)))", attrs, GROUPS_URLS + 1,
	    groups_urls_answered);
}

/* ---- lists that name him ---------------------------------------------------------------------------------- */

static void
groups_lists_answered(void *arg, const struct dir_outcome *o)
{
	struct login_grouper *n = arg;
	struct groups_found list;

	if (groups_away(n, o))
		return;
	if (o->result != DIR_R_OK) {
		login_groups_failed(n, o->why, false);
		return;
	}
	for (size_t i = 0; i < o->n; i++)
		if (groups_read(&o->entries[i], &list))
			groups_add(n, list);
	n->unsure |= o->cookie.n > 0 || n->urls_unsure;
	groups_urls_look(n);
}

static void
groups_lists(struct login_grouper *n)
{
	static const char *const attrs[] = { "mail", "inetMailGroupStatus", NULL };

	groups_ask(n, shared.ldap_base, DIR_SCOPE_SUB, n->filter, attrs, STORE_GROUPS_MOST + 1,
	    groups_lists_answered);
}

static char *
groups_filter(const struct dir_user *u)
{
	struct buf b = { 0 };
	size_t most = u->naddresses < GROUPS_ADDRESSES ? u->naddresses : GROUPS_ADDRESSES;

	buf_lit(&b, "(&" GROUPS_CLASS "(|");
	dir_filter_equal(&b, "uniqueMember", u->dn, S(""));
	for (size_t i = 0; i < most; i++)
		dir_filter_equal(&b, "mgrpRFC822MailMember", u->addresses[i], S(""));
	buf_lit(&b, "))");
	return buf_take(&b);
}

static void
groups_entry(void *arg, const struct dir_answer *a)
{
	struct login_grouper *n = arg;
	const struct dir_user *u = a->v.kind == OK ? a->user : NULL;

	if (a->v.kind == TEMP) {
		login_groups_failed(n, a->v.text, groups_nobody(&a->v));
		return;
	}
	if (!u || !slice_eq(u->account, slice(n->now->account, n->now->n))) {
		n->unsure = true; /* he is nobody, or somebody else, by now */
		login_groups_settle(n);
		return;
	}
	n->dn = groups_dn_key(u->dn);
	n->filter = groups_filter(u);
	n->unsure = u->naddresses > GROUPS_ADDRESSES;
	if (login_groups_fresh(n, n->urls_ms))
		groups_lists(n);
	else
		groups_urls_ask(n);
}

void
login_groups_ask(struct login_grouper *n)
{
	dir_login_start(n->door->dir, slice(n->now->account, n->now->n), &n->op, groups_entry, n);
}
