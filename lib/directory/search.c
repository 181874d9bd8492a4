/* search.c: the addresses that an LDAP URL finds, page by page (search.h).
 *
 * Owns a connection for each search, because a page's cookie is good on its own connection only, and a
 * long search must not stand before other people's questions.  Called by expand/ for lists.  Can fail:
 * the server, the URL, a limit of the server; all temporary, and logged where somebody must mend it.
 * Must stay true: `done` is never called from inside a start; no page is asked for before it is wanted;
 * no more than SEARCHES_MAX have a connection, the others wait for theirs, SEARCHES_WAIT at most. */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "directory/directory-impl.h"
#include "directory/search.h"

#define SEARCH_MAGIC  0x73726368U
#define SEARCHES_MAX  16
#define SEARCHES_WAIT 1000

struct search {
	uint32_t magic;
	struct list link; /* dir.by_url */
	struct dir *dir;
	struct op *op; /* NULL: cancelled */
	dir_search_done done;
	void *arg;
	struct conn *conn;
	struct server *server;
	uint64_t began_at;
	bool was_up, begun; /* begun: counts among SEARCHES_MAX */
	int msgid;
	struct buf url; /* its parts */
	const char *base, *filter;
	int scope;
	char *text; /* the URL, for the log */
	struct berval cookie;
	struct buf bytes; /* addresses of the page, end to end */
	size_t *ends;     /* where each ends */
	size_t n, room;
	struct slice *list;
	struct verdict v;
	struct timer timer;
	struct later later;
};

/* ---- the URL -------------------------------------------------------------------------------- */

/* Appends s decoded, and a NUL. */
static bool
url_decode(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			int hi = i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1;
			int lo = i + 2 < s.n ? ascii_hex(s.p[i + 2]) : -1;

			if (hi < 0 || lo < 0 || (hi == 0 && lo == 0))
				return false;
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		buf_char(b, c);
	}
	buf_char(b, '\0');
	return true;
}

static bool
url_scope(struct slice s, int *scope)
{
	static const struct {
		const char *word;
		int scope;
	} words[] = { { "", LDAP_SCOPE_BASE }, { "base", LDAP_SCOPE_BASE },
		{ "one", LDAP_SCOPE_ONELEVEL }, { "sub", LDAP_SCOPE_SUBTREE } };

	for (size_t i = 0; i < NELEM(words); i++)
		if (slice_ieq(s, slice_str(words[i].word))) {
			*scope = words[i].scope;
			return true;
		}
	return false;
}

int
dir_url_parse(struct slice url, struct buf *b, const char **base, int *scope, const char **filter,
    const char **why)
{
	struct slice part[5] = { S(""), S(""), S(""), S(""), S("") };
	size_t at;

	*why = "an LDAP URL of a list is ldap:///base?attributes?scope?filter, without a host";
	if (!slice_istarts(url, S("ldap:///")))
		return -EINVAL;
	url = slice_from(url, 8);
	for (size_t i = 0; i < NELEM(part) && slice_cut(&url, '?', &part[i]); i++)
		;
	if (part[4].n || url.n || !url_scope(part[2], scope)) /* an extension (RFC 4516 2) */
		return -EINVAL;
	buf_clear(b);
	if (!url_decode(b, part[0]))
		return -EINVAL;
	at = b->n;
	if (!url_decode(b, part[3].n ? part[3] : S("(objectClass=*)")))
		return -EINVAL;
	*base = b->p;
	*filter = b->p + at;
	return 0;
}

/* ---- the end -------------------------------------------------------------------------------- */

static void
search_closed(struct timer *timer)
{
	struct search *s = CONTAINER(timer, struct search, timer);

	s->magic = 0;
	mem_release(s);
}

static void page_begin(struct search *s);

/* Whoever waits longest has the place that is free. */
static void
search_next(struct dir *d)
{
	struct search *s;

	list_each(s, &d->by_url, struct search, link)
	{
		if (d->nurls_begun >= SEARCHES_MAX)
			return;
		if (!s->begun && s->v.kind == VERDICT_NONE)
			page_begin(s);
	}
}

static void
search_free(struct search *s)
{
	struct dir *d = s->dir;

	if (s->op)
		op_done(s->op);
	list_remove(&s->link);
	d->nby_url--;
	d->nurls_begun -= s->begun;
	later_cancel(&s->later);
	dir_conn_close(&s->conn);
	buf_fini(&s->url);
	buf_fini(&s->bytes);
	mem_free(&s->ends);
	mem_free(&s->list);
	mem_free(&s->text);
	mem_free(&s->cookie.bv_val);
	timer_close(&s->timer, search_closed);
	search_next(d);
}

static void
search_cancel(struct op *op)
{
	struct search *s = CAST(op->impl, struct search, SEARCH_MAGIC);

	s->op = NULL;
	op->impl = NULL;
	search_free(s);
}

/* Tells of a page, or of the end. */
static void
search_tell(struct later *later)
{
	struct search *s =
	    CAST(CONTAINER(later, struct search, later), struct search, SEARCH_MAGIC);
	struct dir_page page = { .v = s->v,
		.n = s->n,
		.more = s->v.kind == OK && s->cookie.bv_len };
	dir_search_done done = s->done;
	void *arg = s->arg;
	size_t at = 0;

	s->list = mem_grow(s->list, s->n + 1, sizeof(*s->list));
	for (size_t i = 0; i < s->n; i++) {
		s->list[i] = slice(s->bytes.p + at, s->ends[i] - at);
		at = s->ends[i];
	}
	page.addresses = s->list;
	s->n = 0;
	if (page.more) {
		done(arg, &page); /* which may cancel, or ask for more */
		return;
	}
	op_done(s->op);
	s->op = NULL;
	done(arg, &page);
	search_free(s);
}

static void
search_end(struct search *s, struct verdict v, const char *why)
{
	if (why)
		log_event(LOG_ERROR, "ldap_url", "url=%s why=%s", log_str(s->text), log_str(why));
	s->v = v;
	if (v.kind != OK)
		s->n = 0;
	timer_stop(&s->timer);
	later_run(&s->later, s->dir->loop, search_tell);
}

/* ---- what slapd sends ------------------------------------------------------------------------ */

static void
search_entry(struct search *s, LDAPMessage *m)
{
	const char *why;
	struct record *r = dir_record_member(dir_conn_ldap(s->conn), m, &why);

	if (r && r->mail.n) {
		if (s->n == s->room) {
			s->room = s->room ? s->room * 2 : 64;
			s->ends = mem_grow(s->ends, s->room, sizeof(*s->ends));
		}
		buf_slice(&s->bytes, r->mail);
		s->ends[s->n++] = s->bytes.n;
	}
	dir_record_unref(&r);
}

/* The cookie of the next page; empty: this was the last. */
static void
search_cookie(struct search *s, LDAPControl **controls)
{
	LDAPControl *c =
	    controls ? ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL) : NULL;
	struct berval cookie = { 0, NULL };
	ber_int_t estimate;

	mem_free(&s->cookie.bv_val);
	s->cookie.bv_len = 0;
	if (!c ||
	    ldap_parse_pageresponse_control(dir_conn_ldap(s->conn), c, &estimate, &cookie) !=
		LDAP_SUCCESS)
		return;
	if (cookie.bv_len) {
		s->cookie.bv_val = mem_strn(cookie.bv_val, cookie.bv_len);
		s->cookie.bv_len = cookie.bv_len;
	}
	ber_memfree(cookie.bv_val);
}

static void
search_result(struct search *s, LDAPMessage *m)
{
	LDAPControl **controls = NULL;
	int code = LDAP_OTHER;

	if (ldap_parse_result(dir_conn_ldap(s->conn), m, &code, NULL, NULL, NULL, &controls, 0) !=
	    LDAP_SUCCESS)
		code = LDAP_OTHER;
	s->msgid = 0;
	if (code == LDAP_SUCCESS) {
		search_cookie(s, controls);
		search_end(s, verdict(OUT_RCPT_OK), NULL);
	} else if (code == LDAP_BUSY || code == LDAP_UNAVAILABLE) {
		search_end(s, verdict(OUT_DIR_AWAY), NULL);
	} else {
		search_end(s, verdict(OUT_GROUP_URL), ldap_err2string(code));
	}
	ldap_controls_free(controls);
}

static void
search_message(struct conn *c UNUSED, void *data, LDAPMessage *m)
{
	struct search *s = CAST(data, struct search, SEARCH_MAGIC);

	if (ldap_msgid(m) != s->msgid)
		return;
	if (ldap_msgtype(m) == LDAP_RES_SEARCH_ENTRY)
		search_entry(s, m);
	else if (ldap_msgtype(m) == LDAP_RES_SEARCH_RESULT)
		search_result(s, m);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void
page_ask(struct search *s)
{
	static char mail[] = "mail";
	char *attrs[] = { mail, NULL };
	LDAP *ld = dir_conn_ldap(s->conn);
	LDAPControl *page = NULL, *controls[2] = { NULL, NULL };
	int e;

	buf_clear(&s->bytes);
	s->n = 0;
	e = ldap_create_page_control(ld, DIR_PAGE, s->cookie.bv_len ? &s->cookie : NULL, 0, &page);
	controls[0] = page;
	if (e == LDAP_SUCCESS)
		e = ldap_search_ext(ld, s->base, s->scope, s->filter, attrs, 0, controls, NULL,
		    NULL, LDAP_NO_LIMIT, &s->msgid);
	ldap_control_free(page);
	if (e == LDAP_SUCCESS)
		timer_start(&s->timer, (uint64_t)shared.ldap_timeout, 0);
	else if (e == LDAP_FILTER_ERROR || e == LDAP_PARAM_ERROR)
		search_end(s, verdict(OUT_GROUP_URL), ldap_err2string(e));
	else
		search_end(s, verdict(OUT_DIR_AWAY), NULL);
}

static void
search_up(struct conn *c UNUSED, void *data)
{
	struct search *s = CAST(data, struct search, SEARCH_MAGIC);

	s->was_up = true;
	dir_server_good(s->server);
	page_ask(s);
}

static void
search_down(struct conn *c UNUSED, void *data, const char *why)
{
	struct search *s = CAST(data, struct search, SEARCH_MAGIC);

	s->conn = NULL; /* it frees itself */
	log_event(LOG_WARN, "ldap_down", "server=%s why=%s", log_str(s->server->url), log_str(why));
	if (!s->was_up)
		dir_server_failed(s->server, loop_now(s->dir->loop), s->began_at);
	search_end(s, verdict(OUT_DIR_AWAY), NULL);
}

static const struct conn_events search_conn_events = { search_up, search_message, search_down };

static void
search_on_timeout(struct timer *timer)
{
	struct search *s =
	    CAST(CONTAINER(timer, struct search, timer), struct search, SEARCH_MAGIC);

	dir_conn_close(&s->conn);
	search_end(s, verdict(OUT_DIR_AWAY), NULL);
}

static void
page_begin(struct search *s)
{
	struct dir *d = s->dir;

	s->begun = true;
	d->nurls_begun++;
	s->server = dir_server(d);
	if (!s->server) {
		search_end(s, verdict(OUT_DIR_AWAY), NULL);
		return;
	}
	s->began_at = loop_now(d->loop);
	s->conn = dir_conn_service(d->loop, dir_names(d, s->server), s->server,
	    (uint64_t)shared.ldap_timeout, &search_conn_events, s);
}

void
dir_search_start(struct dir *d, struct slice url, struct op *op, dir_search_done done, void *arg)
{
	struct search *s = mem_new(sizeof(*s));
	const char *why;

	s->magic = SEARCH_MAGIC;
	s->dir = d;
	s->op = op;
	s->done = done;
	s->arg = arg;
	op->impl = s;
	op->cancel = search_cancel;
	list_init(&s->link);
	list_push(&d->by_url, &s->link);
	d->nby_url++;
	later_init(&s->later);
	timer_init(&s->timer, d->loop, search_on_timeout);
	s->text = mem_strn(url.p, url.n);
	if (dir_url_parse(url, &s->url, &s->base, &s->scope, &s->filter, &why) < 0)
		search_end(s, verdict(OUT_GROUP_URL), why);
	else if (d->nby_url > SEARCHES_WAIT)
		search_end(s, verdict(OUT_DIR_AWAY), NULL);
	else if (d->nurls_begun < SEARCHES_MAX)
		page_begin(s);
}

void
dir_search_more(struct op *op)
{
	struct search *s = CAST(op->impl, struct search, SEARCH_MAGIC);

	if (s->conn)
		page_ask(s);
	else
		search_end(s, verdict(OUT_DIR_AWAY), NULL);
}

void
dir_searches_hang_up(struct dir *d)
{
	struct search *s;

	list_each(s, &d->by_url, struct search, link)
	{
		dir_conn_close(&s->conn);
		s->server = NULL;
		if (s->begun && (s->msgid || !s->was_up))
			search_end(s, verdict(OUT_DIR_AWAY), NULL);
	}
}

void
dir_searches_close(struct dir *d)
{
	struct search *s;

	d->nurls_begun = SEARCHES_MAX; /* nobody is next */
	while ((s = list_first(&d->by_url, struct search, link))) {
		s->begun = false;
		search_free(s);
	}
}
