/* fetch.c: searches: queued, at most 64 outstanding, shared by all who ask the same, timed,
 * asked again once when the connection is lost, and remembered.
 *
 * Owns the one connection for searches and every search on its way; lookup.c joins asks to them and
 * is told by dir_ask_step or dir_ask_say.  Can fail: the server (temporary), the entry (temporary,
 * and logged).  Must stay true: what is not found is believed only when something else was shown
 * (base.c), an ask waits for one search at a time, and none for longer than ldap.timeout.  What binds
 * (auth.c) and what changes entries (modify.c) has connections of its own. */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "directory/directory-impl.h"

#define FAIL_BACK_MS 60000 /* an idle connection to a lesser replica is given up after this */
#define ENTRIES_MAX  8     /* of one answer: two that fit are a fault already */

struct slice
dir_fetch_key(struct dir *d, char kind, struct slice local, struct slice name)
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
	dir_record_unref(&f->domain);
	dir_record_unref(&f->found);
	mem_release(f);
}

/* A proof has shown something: whoever waited for it may go on and believe. */
static void
fetch_proved(struct dir *d, struct ask *a)
{
	if (a->domain)
		dir_base_shown(d, a->domain); /* the search had perhaps another copy */
	dir_ask_step(a);
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
			dir_ask_say(a, trouble);
			continue;
		}
		if (kind == 'p') {
			fetch_proved(d, a);
			continue;
		}
		if (!f->found)
			dir_ask_say(a, kind == 'd' ? SAY_NO_DOMAIN : SAY_NO_USER);
		else if (kind == 'd')
			a->domain = dir_record_ref(f->found);
		else
			a->user = dir_record_ref(f->found);
		if (f->found)
			dir_ask_step(a);
	}
	fetch_free(f);
}

/* Nothing was found, and nothing else has been seen lately: those who wait ask for a proof that
 * there is anything to be seen, and then again. */
static void
fetch_doubt(struct dir *d, struct fetch *f)
{
	struct list waiters;
	struct ask *a;

	fetch_unhook(d, f);
	list_init(&waiters);
	list_splice(&waiters, &f->waiters);
	while ((a = list_first(&waiters, struct ask, link))) {
		list_remove(&a->link);
		if (a->doubted) {
			dir_ask_say(a, SAY_BLIND);
			continue;
		}
		a->doubted = true;
		dir_fetch_join(d, a, 'p');
	}
	fetch_free(f);
}

/* The entry to search below is not there, or not for us: a mistake in the settings, an entry that
 * was just deleted, or a right that is missing; never "there is no such user". */
static void
fetch_no_base(struct dir *d, struct fetch *f, int code)
{
	struct slice key;

	if (!f->domain) {
		fetch_end(d, f, dir_base_result(d, NULL, false, code));
		return;
	}
	log_event(LOG_ERROR, "ldap_error", "key=%s base=%s error=%s", log_value(f->key),
	    log_str(f->domain->base.p), log_str(ldap_err2string(code)));
	key = dir_fetch_key(d, 'd', S(""), f->name);
	dir_cache_put(&d->cache, key, NULL, 0, 0); /* looked at anew by the next */
	fetch_end(d, f, SAY_BLIND);
}

/* Where an entry is asked for by its DN, of a list's member or of a domain, there is none: no trouble of
 * the server. */
static bool
entry_missing(const struct fetch *f, int code)
{
	bool by_dn = f->key.p[0] == 'm' || (f->key.p[0] == 'd' && dir_schema()->by_dn);

	return by_dn &&
	    (code == LDAP_NO_SUCH_OBJECT || code == LDAP_INVALID_DN_SYNTAX ||
		code == LDAP_REFERRAL || code == LDAP_INSUFFICIENT_ACCESS);
}

/* A member of a list that is below our base, and of which the server does not say that it is not there: it may
 * be kept from us.  Where a DN is missing it names the entry above, `matched`, that is there. */
static bool
member_hidden(const struct fetch *f, int code, const char *matched)
{
	struct slice base = slice_str(shared.ldap_base);
	bool ours =
	    f->local.n >= base.n && slice_ieq(slice_from(f->local, f->local.n - base.n), base);

	if (f->key.p[0] != 'm' || f->found || !ours)
		return false;
	return code == LDAP_SUCCESS || code == LDAP_INSUFFICIENT_ACCESS ||
	    (code == LDAP_NO_SUCH_OBJECT && (!matched || !*matched));
}

static void
fetch_found(struct dir *d, struct fetch *f, int code, const char *matched)
{
	uint64_t now = loop_now(d->loop);
	enum say trouble = SAY_OK;

	if (f->key.p[0] == 'p') {
		fetch_end(d, f, dir_base_result(d, f->domain, f->shown, code));
		return;
	}
	if (!f->bad && member_hidden(f, code, matched)) {
		log_event(LOG_ERROR, "ldap_bad_entry", "key=%s why=%s", log_value(f->key),
		    log_str("it may not be read"));
		f->bad = true;
	}
	if (entry_missing(f, code))
		code = LDAP_SUCCESS;
	if (code == LDAP_NO_SUCH_OBJECT) {
		fetch_no_base(d, f, code);
		return;
	}
	if (code != LDAP_SUCCESS) {
		log_event(LOG_WARN, "ldap_error", "key=%s error=%s", log_value(f->key),
		    log_str(ldap_err2string(code)));
		trouble = SAY_AWAY;
	} else if (f->twice) {
		log_event(LOG_ERROR, "ldap_double", "key=%s", log_value(f->key));
		trouble = SAY_DOUBLE;
	} else if (!f->found && f->bad) {
		trouble = SAY_DOUBLE;
	} else if (f->found) {
		if (f->key.p[0] != 'm')
			dir_base_shown(d, f->domain);
		dir_cache_put(&d->cache, f->key, f->found, now, (uint64_t)shared.ldap_cache_age);
	} else if (!dir_base_believed(d, f->domain)) {
		fetch_doubt(d, f);
		return;
	} else {
		dir_cache_put(&d->cache, f->key, NULL, now, (uint64_t)shared.ldap_negative_age);
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

static struct record *
fetch_record(const struct dir *d, const struct fetch *f, LDAP *ld, LDAPMessage *m, const char **why)
{
	unsigned kinds = dir_match_kinds(d, f);

	switch (f->key.p[0]) {
	case 'd': return dir_record_domain(ld, m, kinds, f->name, why);
	case 'm': return dir_record_member(ld, m, why);
	default: return dir_record_entry(ld, m, kinds, &f->domain->domain, why);
	}
}

static void
fetch_entry(struct dir *d, struct fetch *f, LDAPMessage *m)
{
	LDAP *ld = dir_conn_ldap(d->conn);
	const char *why = NULL;
	struct record *r;
	int rank = 1;

	if (f->key.p[0] == 'p') {
		f->shown = true;
		return;
	}
	r = fetch_record(d, f, ld, m, &why);
	if (!r) {
		if (why)
			log_event(LOG_ERROR, "ldap_bad_entry", "key=%s why=%s", log_value(f->key),
			    log_str(why));
		f->bad |= !!why;
		return;
	}
	if (f->domain)
		rank = dir_match_rank(f, r);
	if (rank == 0) {
		dir_record_unref(&r);
		return;
	}
	if (rank > f->rank) {
		dir_record_unref(&f->found);
		f->found = r;
		f->rank = rank;
		f->twice = false;
		return;
	}
	f->twice |= rank == f->rank;
	dir_record_unref(&r);
}

static void fetch_send(struct dir *d);

static void
on_message(struct conn *c, void *data, LDAPMessage *m)
{
	struct dir *d = CAST(data, struct dir, DIR_MAGIC);
	struct fetch *f = fetch_by_id(d, ldap_msgid(m));
	char *matched = NULL;
	int code = LDAP_OTHER;

	if (!f) /* abandoned */
		return;
	if (ldap_msgtype(m) == LDAP_RES_SEARCH_ENTRY) {
		fetch_entry(d, f, m);
	} else if (ldap_msgtype(m) == LDAP_RES_SEARCH_RESULT) {
		if (ldap_parse_result(dir_conn_ldap(c), m, &code, &matched, NULL, NULL, NULL, 0))
			code = LDAP_OTHER;
		daemon_directory_answered(clock_mono_us() - f->sent_us);
		fetch_found(d, f, code, matched);
		ldap_memfree(matched);
		fetch_send(d);
	}
}

/* ---- sending --------------------------------------------------------------------------- */

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
	static const char *const nothing[] = { LDAP_NO_ATTRS, NULL };
	bool proof = f->key.p[0] == 'p';
	int scope;
	const char *base = dir_match_where(f, &d->where, &scope);

	buf_clear(&d->scratch);
	if (proof)
		dir_base_filter(&d->scratch, f->domain);
	else
		dir_match_filter(&d->scratch, f);
	return ldap_search_ext(dir_conn_ldap(d->conn), base, scope, buf_cstr(&d->scratch),
		   attr_list(proof ? nothing : dir_record_attrs(dir_match_kinds(d, f))), 0, NULL,
		   NULL, NULL, proof || scope == LDAP_SCOPE_BASE ? 1 : ENTRIES_MAX,
		   &f->msgid) == LDAP_SUCCESS;
}

static void conn_begin(struct dir *d);

/* Ends the connection: what is in flight waits again, as if nothing of it had been answered. */
static void
take_back(struct dir *d)
{
	struct fetch *f;

	if (d->conn)
		dir_conn_close(&d->conn);
	d->server = NULL;
	memset(d->by_id, 0, sizeof(d->by_id));
	while ((f = list_last(&d->flight, struct fetch, link))) {
		list_remove(&f->link);
		list_push_front(&d->waiting, &f->link);
		f->msgid = 0;
		f->rank = 0;
		f->twice = f->bad = f->shown = false;
		dir_record_unref(&f->found);
		d->nwaiting++;
	}
	d->nflight = 0;
}

/* The connection is of no use any more: what is in flight is asked again, once.  A server
 * that was up and only closed (an idle limit, a restart) is tried again at once; one that we
 * cannot reach, or that hangs, is left alone for a while. */
static void
dir_fetch_conn_lost(struct dir *d, const char *why, bool blame)
{
	log_event(LOG_WARN, "ldap_down", "server=%s why=%s", log_str(d->server->url), log_str(why));
	if (blame || !d->up_at)
		dir_server_failed(d->server, loop_now(d->loop), d->began_at);
	take_back(d);
	conn_begin(d);
}

/* The time at which f's server is left for another one, while there is one and f has not been there:
 * half of its own, so that the other has the rest. */
static uint64_t
fetch_patience(const struct dir *d, const struct fetch *f)
{
	return f->until - (d->nservers > 1 && f->tries < 2 ? (uint64_t)shared.ldap_timeout / 2 : 0);
}

/* Sends what waits, as far as 64 outstanding allow. */
static void
fetch_send(struct dir *d)
{
	struct fetch *f;

	while (dir_conn_up(d->conn) && d->nflight < FLIGHT_MAX &&
	    (f = list_first(&d->waiting, struct fetch, link))) {
		if (f->tries++ >= 2) { /* it may be what kills the server */
			fetch_end(d, f, SAY_AWAY);
			continue;
		}
		if (!search_send(d, f)) {
			f->msgid = 0;
			dir_fetch_conn_lost(d, "cannot send a search", false);
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
		f->sent_us = clock_mono_us();
		d->nwaiting--;
		d->nflight++;
		d->searches++;
		dir_wake_at(d, fetch_patience(d, f));
	}
}

static void
on_up(struct conn *c UNUSED, void *data)
{
	struct dir *d = CAST(data, struct dir, DIR_MAGIC);

	dir_server_good(d->server);
	d->up_at = loop_now(d->loop);
	log_event(LOG_INFO, "ldap_up", "server=%s", log_str(d->server->url));
	dir_fetch_check(d); /* mistakes show now, not with the first mail */
	fetch_send(d);
}

static void
on_down(struct conn *c UNUSED, void *data, const char *why)
{
	struct dir *d = CAST(data, struct dir, DIR_MAGIC);

	d->conn = NULL; /* it frees itself */
	dir_fetch_conn_lost(d, why, false);
}

static const struct conn_events search_events = { on_up, on_message, on_down };

/* Connects when somebody waits; when there is nowhere to connect to, nor soon, they are told. */
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
		d->conn = dir_conn_service(d->loop, dir_names(d, d->server), d->server,
		    dir_connect_ms(d), &search_events, d);
		return;
	}
	if (dir_server_wait(d))
		return;
	while ((f = list_first(&d->waiting, struct fetch, link)))
		fetch_end(d, f, SAY_AWAY);
}

/* The preferred replica may be back. */
static void
fail_back(struct dir *d, uint64_t now)
{
	if (!dir_conn_up(d->conn) || d->server == d->servers || d->nflight ||
	    now < d->up_at + FAIL_BACK_MS || dir_server(d) >= d->server)
		return;
	dir_conn_close(&d->conn);
	d->server = NULL;
}

/* A search for key = kind local "@" name; it waits to be sent. */
static struct fetch *
fetch_new(struct dir *d, struct slice key, size_t nlocal, struct record *domain)
{
	struct fetch *f = mem_new(sizeof(*f) + key.n);

	f->magic = FETCH_MAGIC;
	memcpy(f->text, key.p, key.n);
	f->key = slice(f->text, key.n);
	f->local = slice_sub(f->key, 1, nlocal);
	f->name = slice_from(f->key, nlocal + 2);
	f->domain = domain ? dir_record_ref(domain) : NULL;
	f->until = loop_now(d->loop) + (uint64_t)shared.ldap_timeout;
	list_init(&f->waiters);
	list_init(&f->link);
	list_push(&d->waiting, &f->link);
	map_put(&d->fetches, f->key, f);
	d->nwaiting++;
	dir_wake_at(d, f->until);
	return f;
}

void
dir_fetch_check(struct dir *d)
{
	struct slice key = dir_fetch_key(d, 'p', S(""), S(""));

	if (map_get(&d->fetches, key) || d->nwaiting >= WAITING_MAX)
		return;
	(void)fetch_new(d, key, 0, NULL);
	if (d->conn)
		fetch_send(d);
	else
		conn_begin(d);
}

void
dir_fetch_join(struct dir *d, struct ask *a, char kind)
{
	bool proof = kind == 'p';
	struct slice local = kind == 'd' || proof ? S("") : a->local;
	struct slice name = !proof ? a->name : a->domain ? a->domain->domain.name : S("");
	struct slice key = dir_fetch_key(d, kind, local, name);
	struct fetch *f = map_get(&d->fetches, key);

	if (proof && !a->domain && dir_base_hopeless(d)) {
		dir_ask_say(a, SAY_BLIND);
		return;
	}
	if (f) {
		list_push(&f->waiters, &a->link);
		return;
	}
	if (d->nwaiting >= WAITING_MAX || (!d->conn && !dir_server(d) && !dir_server_wait(d))) {
		dir_ask_say(a, SAY_AWAY);
		return;
	}
	f = fetch_new(d, key, local.n, kind == 'd' ? NULL : a->domain);
	list_push(&f->waiters, &a->link);
	fail_back(d, loop_now(d->loop));
	if (d->conn)
		fetch_send(d);
	else
		conn_begin(d);
}

/* ---- time ------------------------------------------------------------------------------ */

/* Has the server sent nothing since f was wanted? */
static bool
fetch_hung(const struct dir *d, const struct fetch *f)
{
	return dir_conn_heard(d->conn) <= f->until - (uint64_t)shared.ldap_timeout;
}

/* A search that is not answered in time says so; a server that has sent nothing since it was
 * asked is taken for hung, and left. */
void
dir_fetch_expire(struct dir *d, uint64_t now)
{
	bool hung = false;
	struct fetch *f = list_first(&d->flight, struct fetch, link);

	if (f && f->until > now && fetch_patience(d, f) <= now && fetch_hung(d, f)) {
		d->timeouts++;
		dir_fetch_conn_lost(d, "no answer in time", true);
	}
	while ((f = list_first(&d->flight, struct fetch, link)) && f->until <= now) {
		d->timeouts++;
		hung |= fetch_hung(d, f);
		ldap_abandon_ext(dir_conn_ldap(d->conn), f->msgid, NULL, NULL);
		fetch_end(d, f, SAY_AWAY);
	}
	while ((f = list_first(&d->waiting, struct fetch, link)) && f->until <= now)
		fetch_end(d, f, SAY_AWAY);
	if (hung && d->conn)
		dir_fetch_conn_lost(d, "no answer in time", true);
	else if (d->conn)
		fetch_send(d);
	else
		conn_begin(d);
}

uint64_t
dir_fetch_next(struct dir *d)
{
	struct fetch *f = list_first(&d->flight, struct fetch, link);
	struct fetch *w = list_first(&d->waiting, struct fetch, link);
	uint64_t next = !f ? UINT64_MAX : fetch_hung(d, f) ? fetch_patience(d, f) : f->until;

	return w && w->until < next ? w->until : next;
}

void
dir_fetch_lost(struct dir *d)
{
	take_back(d);
}

void
dir_fetch_resume(struct dir *d)
{
	conn_begin(d);
}

void
dir_fetch_close(struct dir *d)
{
	struct fetch *f;
	struct ask *a;

	dir_fetch_lost(d);
	while ((f = list_first(&d->waiting, struct fetch, link))) {
		while ((a = list_first(&f->waiters, struct ask, link)))
			dir_ask_free(a);
		fetch_unhook(d, f);
		fetch_free(f);
	}
	map_fini(&d->fetches);
}
