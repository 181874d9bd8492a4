/* fetch.c: searches: queued, at most 64 outstanding, shared by all who ask the same, timed,
 * asked again once when the connection is lost, and remembered. */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "directory/internal.h"

#define FAIL_BACK_MS 60000 /* an idle connection to a lesser replica is given up after this */

struct slice
fetch_key(struct dir *d, char kind, struct slice local, struct slice name)
{
	buf_clear(&d->scratch);
	buf_char(&d->scratch, kind);
	buf_slice(&d->scratch, local);
	buf_char(&d->scratch, '@');
	buf_slice(&d->scratch, name);
	return buf_get(&d->scratch);
}

/* ---- the end of a search --------------------------------------------------------------- */

static void
fetch_unhook(struct dir *d, struct fetch *f)
{
	map_take(&d->fetches, f->key);
	list_remove(&f->link);
	for (size_t i = 0; i < FLIGHT_MAX && f->msgid; i++) {
		if (d->by_id[i] != f)
			continue;
		d->by_id[i] = NULL;
		d->nflight--;
		f->msgid = 0;
		return;
	}
	d->nwaiting--;
}

static void
fetch_free(struct fetch *f)
{
	f->magic = 0;
	record_unref(&f->domain);
	record_unref(&f->found);
	mem_release(f);
}

/* Everybody who waits goes on; what was found is in the cache or in the asks by now. */
static void
fetch_end(struct dir *d, struct fetch *f, enum say trouble)
{
	struct list waiters;
	struct ask *a;
	char kind = f->key.p[0];

	fetch_unhook(d, f);
	list_init(&waiters);
	list_splice(&waiters, &f->waiters);
	while ((a = list_first(&waiters, struct ask, link))) {
		list_remove(&a->link);
		if (trouble != SAY_OK) {
			ask_say(a, trouble);
			continue;
		}
		if (!f->found)
			ask_say(a, kind == 'd' ? SAY_NO_DOMAIN : SAY_NO_USER);
		else if (kind == 'd')
			a->domain = record_ref(f->found);
		else
			a->user = record_ref(f->found);
		if (f->found)
			ask_step(a);
	}
	fetch_free(f);
}

static void
fetch_found(struct dir *d, struct fetch *f, int code)
{
	uint64_t now = loop_now(d->loop);
	enum say trouble = SAY_OK;

	if (code != LDAP_SUCCESS && code != LDAP_NO_SUCH_OBJECT && code != LDAP_REFERRAL) {
		log_event(LOG_WARN, "ldap_error", "key=%s error=%s", log_value(f->key),
		    log_str(ldap_err2string(code)));
		trouble = SAY_AWAY;
	} else if (f->twice) {
		log_event(LOG_ERROR, "ldap_double", "key=%s", log_value(f->key));
		trouble = SAY_DOUBLE;
	} else if (!f->found && f->bad) {
		trouble = SAY_DOUBLE;
	} else if (f->found) {
		cache_put(&d->cache, f->key, f->found, now, (uint64_t)shared.ldap_cache_age);
	} else {
		cache_put(&d->cache, f->key, NULL, now, (uint64_t)shared.ldap_negative_age);
	}
	fetch_end(d, f, trouble);
}

/* ---- what slapd sends ------------------------------------------------------------------ */

static struct fetch *
fetch_by_id(struct dir *d, int msgid)
{
	for (size_t i = 0; i < FLIGHT_MAX; i++)
		if (d->by_id[i] && d->by_id[i]->msgid == msgid)
			return d->by_id[i];
	return NULL;
}

/* The local part without what follows the first '+'. */
static struct slice
without_tag(struct slice local)
{
	size_t plus = slice_find(local, '+');

	return plus > 0 ? slice_sub(local, 0, plus) : local;
}

/* How well a user fits: 3 by uid, 2 by the address, 1 by the address without its tag. */
static int
user_rank(const struct fetch *f, const struct dir_user *u)
{
	struct slice tagless = without_tag(f->local);
	int rank = 0;

	if (f->key.p[0] == 'l' && slice_ieq(u->uid, f->local))
		return 3;
	for (size_t i = 0; i < u->naddresses; i++) {
		struct slice a = u->addresses[i];
		size_t at = slice_rfind(a, '@');
		struct slice local = slice_sub(a, 0, at), name = slice_from(a, at + 1);

		if (!slice_ieq(name, f->name) && !slice_ieq(name, f->domain->domain.name))
			continue;
		if (slice_ieq(local, f->local))
			return 2;
		if (f->key.p[0] == 'r' && slice_ieq(local, tagless))
			rank = 1;
	}
	return rank;
}

static void
fetch_entry(struct dir *d, struct fetch *f, LDAPMessage *m)
{
	LDAP *ld = conn_ldap(d->conn);
	const char *why = NULL;
	struct record *r;
	int rank = 1;

	r = f->domain ? record_user(ld, m, &f->domain->domain, &why) : record_domain(ld, m, &why);
	if (!r) {
		if (why)
			log_event(LOG_ERROR, "ldap_bad_entry", "key=%s why=%s", log_value(f->key),
			    log_str(why));
		f->bad |= why != NULL;
		return;
	}
	if (f->domain)
		rank = user_rank(f, &r->user);
	if (rank > f->rank) {
		record_unref(&f->found);
		f->found = r;
		f->rank = rank;
		f->twice = false;
		return;
	}
	f->twice |= rank == f->rank;
	record_unref(&r);
}

static void fetch_send(struct dir *d);

static void
on_message(struct conn *c, void *data, LDAPMessage *m)
{
	struct dir *d = CAST(data, struct dir, DIR_MAGIC);
	struct fetch *f = fetch_by_id(d, ldap_msgid(m));
	int code = LDAP_OTHER;

	if (!f) /* abandoned */
		return;
	if (ldap_msgtype(m) == LDAP_RES_SEARCH_ENTRY) {
		fetch_entry(d, f, m);
	} else if (ldap_msgtype(m) == LDAP_RES_SEARCH_RESULT) {
		if (ldap_parse_result(conn_ldap(c), m, &code, NULL, NULL, NULL, NULL, 0))
			code = LDAP_OTHER;
		fetch_found(d, f, code);
		fetch_send(d);
	}
}

/* ---- sending --------------------------------------------------------------------------- */

/* The filter of a user: all the ways to write the address, in one search. */
static void
user_filter(struct buf *b, const struct fetch *f)
{
	static const char *const attrs[] = { "mail", "mailAlternateAddress",
		"mailEquivalentAddress" };
	struct slice locals[2] = { f->local, without_tag(f->local) };
	struct slice names[2] = { f->name, f->domain->domain.name };
	bool login = f->key.p[0] == 'l';
	size_t nlocals = login || slice_eq(locals[0], locals[1]) ? 1 : 2;
	size_t nnames = slice_eq(names[0], names[1]) ? 1 : 2;

	buf_lit(b, "(|");
	if (login)
		filter_equal(b, "uid", f->local, S(""));
	for (size_t l = 0; l < nlocals; l++)
		for (size_t n = 0; n < nnames; n++)
			for (size_t i = 0; i < NELEM(attrs); i++)
				filter_equal(b, attrs[i], locals[l], names[n]);
	buf_char(b, ')');
}

static void
domain_filter(struct buf *b, const struct fetch *f)
{
	buf_lit(b, "(|");
	filter_equal(b, "sunPreferredDomain", f->name, S(""));
	filter_equal(b, "associatedDomain", f->name, S(""));
	buf_char(b, ')');
}

/* libldap takes the list of attributes as char ** but does not write to it. */
static char **
attr_list(const char *const *attrs)
{
	union {
		const char *const *in;
		char **out;
	} u = { .in = attrs };

	return u.out;
}

static bool
search_send(struct dir *d, struct fetch *f)
{
	const char *base = f->domain ? f->domain->base.p : shared.ldap_base;
	const char *const *attrs = f->domain ? record_user_attrs : record_domain_attrs;

	buf_clear(&d->scratch);
	if (f->domain)
		user_filter(&d->scratch, f);
	else
		domain_filter(&d->scratch, f);
	return ldap_search_ext(conn_ldap(d->conn), base, LDAP_SCOPE_SUBTREE, buf_cstr(&d->scratch),
	    attr_list(attrs), 0, NULL, NULL, NULL, 8, &f->msgid) == LDAP_SUCCESS;
}

static void conn_begin(struct dir *d);

/* Ends the connection: what is in flight waits again, as if nothing of it had been answered. */
static void
take_back(struct dir *d)
{
	struct fetch *f;

	if (d->conn)
		conn_close(&d->conn);
	d->server = NULL;
	memset(d->by_id, 0, sizeof d->by_id);
	while ((f = list_last(&d->flight, struct fetch, link))) {
		list_remove(&f->link);
		list_push_front(&d->waiting, &f->link);
		f->msgid = 0;
		f->rank = 0;
		f->twice = f->bad = false;
		record_unref(&f->found);
		d->nwaiting++;
	}
	d->nflight = 0;
}

/* The connection is of no use any more: what is in flight is asked again, once.  A server
 * that was up and only closed (an idle limit, a restart) is tried again at once; one that we
 * cannot reach, or that hangs, is left alone for a while. */
static void
conn_lost(struct dir *d, const char *why, bool blame)
{
	log_event(LOG_WARN, "ldap_down", "server=%s why=%s", log_str(d->server->url), log_str(why));
	if (blame || !d->up_at)
		server_failed(d->server, loop_now(d->loop), d->began_at);
	take_back(d);
	conn_begin(d);
}

/* Sends what waits, as far as 64 outstanding allow. */
static void
fetch_send(struct dir *d)
{
	struct fetch *f;

	while (conn_up(d->conn) && d->nflight < FLIGHT_MAX &&
	    (f = list_first(&d->waiting, struct fetch, link))) {
		if (f->tries++ >= 2) { /* it may be what kills the server */
			fetch_end(d, f, SAY_AWAY);
			continue;
		}
		if (!search_send(d, f)) {
			f->msgid = 0;
			conn_lost(d, "cannot send a search", false);
			return;
		}
		for (size_t i = 0; i < FLIGHT_MAX; i++) {
			if (d->by_id[i])
				continue;
			d->by_id[i] = f;
			break;
		}
		list_remove(&f->link);
		list_push(&d->flight, &f->link);
		d->nwaiting--;
		d->nflight++;
		d->searches++;
	}
}

static void
on_up(struct conn *c UNUSED, void *data)
{
	struct dir *d = CAST(data, struct dir, DIR_MAGIC);

	server_good(d->server);
	d->up_at = loop_now(d->loop);
	log_event(LOG_INFO, "ldap_up", "server=%s", log_str(d->server->url));
	fetch_send(d);
}

static void
on_down(struct conn *c UNUSED, void *data, const char *why)
{
	struct dir *d = CAST(data, struct dir, DIR_MAGIC);

	d->conn = NULL; /* it frees itself */
	conn_lost(d, why, false);
}

static const struct conn_events search_events = { on_up, on_message, on_down };

/* Connects when somebody waits; when there is nowhere to connect to, they are told. */
static void
conn_begin(struct dir *d)
{
	struct fetch *f;

	if (d->conn || list_empty(&d->waiting))
		return;
	d->server = dir_server(d);
	d->up_at = 0;
	d->began_at = loop_now(d->loop);
	if (d->server) {
		bool bind = shared.ldap_bind_dn && shared.ldap_bind_dn[0];

		d->conn = conn_new(d->loop, d->server, bind ? shared.ldap_bind_dn : NULL,
		    shared.ldap_password, (uint64_t)shared.ldap_timeout, &search_events, d);
		return;
	}
	while ((f = list_first(&d->waiting, struct fetch, link)))
		fetch_end(d, f, SAY_AWAY);
}

/* The preferred replica may be back. */
static void
fail_back(struct dir *d, uint64_t now)
{
	if (!conn_up(d->conn) || d->server == d->servers || d->nflight ||
	    now < d->up_at + FAIL_BACK_MS || dir_server(d) >= d->server)
		return;
	conn_close(&d->conn);
	d->server = NULL;
}

static struct fetch *
fetch_new(struct dir *d, struct ask *a, char kind, struct slice key)
{
	struct fetch *f = mem_new(sizeof *f + key.n);

	f->magic = FETCH_MAGIC;
	memcpy(f->text, key.p, key.n);
	f->key = slice(f->text, key.n);
	f->name = slice_from(f->key, key.n - a->name.n);
	f->local = slice_sub(f->key, 1, kind == 'd' ? 0 : a->local.n);
	if (kind != 'd')
		f->domain = record_ref(a->domain);
	f->until = loop_now(d->loop) + (uint64_t)shared.ldap_timeout;
	list_init(&f->waiters);
	list_init(&f->link);
	return f;
}

void
fetch_join(struct dir *d, struct ask *a, char kind)
{
	struct slice key = fetch_key(d, kind, kind == 'd' ? S("") : a->local, a->name);
	struct fetch *f = map_get(&d->fetches, key);

	if (f) {
		list_push(&f->waiters, &a->link);
		return;
	}
	if (d->nwaiting >= WAITING_MAX || (!d->conn && !dir_server(d))) {
		ask_say(a, SAY_AWAY);
		return;
	}
	f = fetch_new(d, a, kind, key);
	list_push(&f->waiters, &a->link);
	list_push(&d->waiting, &f->link);
	map_put(&d->fetches, f->key, f);
	d->nwaiting++;
	dir_wake_at(d, f->until);
	fail_back(d, loop_now(d->loop));
	if (d->conn)
		fetch_send(d);
	else
		conn_begin(d);
}

/* ---- time ------------------------------------------------------------------------------ */

/* A search that is not answered in time says so; a server that has sent nothing since it was
 * asked is taken for hung, and left. */
void
fetch_expire(struct dir *d, uint64_t now)
{
	bool hung = false;
	struct fetch *f;

	while ((f = list_first(&d->flight, struct fetch, link)) && f->until <= now) {
		d->timeouts++;
		hung |= conn_heard(d->conn) <= f->until - (uint64_t)shared.ldap_timeout;
		ldap_abandon_ext(conn_ldap(d->conn), f->msgid, NULL, NULL);
		fetch_end(d, f, SAY_AWAY);
	}
	while ((f = list_first(&d->waiting, struct fetch, link)) && f->until <= now)
		fetch_end(d, f, SAY_AWAY);
	if (hung && d->conn)
		conn_lost(d, "no answer in time", true);
	else
		fetch_send(d);
}

uint64_t
fetch_next(struct dir *d)
{
	struct fetch *f = list_first(&d->flight, struct fetch, link);
	struct fetch *w = list_first(&d->waiting, struct fetch, link);
	uint64_t next = f ? f->until : UINT64_MAX;

	return w && w->until < next ? w->until : next;
}

void
fetch_lost(struct dir *d)
{
	take_back(d);
}

void
fetch_resume(struct dir *d)
{
	conn_begin(d);
}

void
fetch_close(struct dir *d)
{
	struct fetch *f;
	struct ask *a;

	fetch_lost(d);
	while ((f = list_first(&d->waiting, struct fetch, link))) {
		while ((a = list_first(&f->waiters, struct ask, link)))
			ask_free(a);
		fetch_unhook(d, f);
		fetch_free(f);
	}
	map_fini(&d->fetches);
}
