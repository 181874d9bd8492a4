/* lists.c: external lists of scripts (RFC 6134): mailing lists of the directory, by their addresses, and the person's
 * address books.
 *
 *	whose address is it? -> the list: its addresses and entries -> each of its URLs, on that entry alone
 *
 * Called by ask.c on the loop for a question that a script has, and gives back to it.  A list is named
 * "mailto:ADDRESS"; whom it names itself is a member: by address, by entry, or by an LDAP URL.  Lists in lists are not
 * gone through: that has no bound that a delivery could keep.  Can fail: the directory, for now; then the delivery
 * comes again.  One operation is under way at a time, the session's. */
#include "base/log.h"
#include "base/must.h"
#include "directory/search.h"
#include "filter.h"
#include "mail/address.h"

#define SCHEME   "mailto:"
#define BOOKS    "urn:ietf:params:sieve:addrbook:" /* RFC 6134 2.5, 2.6: or ":addrbook:" */
#define BOOKS_US ":addrbook:"
#define DEFAULT  "default" /* which book that is depends on the client: here all of them */
#define URLS_MAX 16        /* of a list that are asked; more find nobody */

/* A question under way; in the filter's arena. */
struct lookup {
	struct filter *f;
	const struct asked *asked;
	struct slice dn, mail; /* of the entry that the value is an address of; empty: of none */
	struct slice urls[URLS_MAX];
	size_t n, at;
	void (*done)(struct filter *f, const struct verdict *v, bool yes);
};

bool
lists_name(struct slice list, struct slice *address)
{
	*address = slice_from(list, sizeof(SCHEME) - 1);
	return slice_istarts(list, S(SCHEME)) && slice_rfind(*address, '@') < address->n;
}

/* The name of an address book; false: it is none. */
static bool
lists_book(struct slice list, struct slice *book)
{
	bool brief = slice_istarts(list, S(BOOKS_US));

	*book = slice_from(list, (brief ? sizeof(BOOKS_US) : sizeof(BOOKS)) - 1);
	return lmtpd.pab && (brief || slice_istarts(list, S(BOOKS))) && book->n;
}

bool
lists_may_be(struct slice list)
{
	struct slice name;

	return lists_name(list, &name) || lists_book(list, &name);
}

static void
lookup_over(struct lookup *l, const struct verdict *v, bool yes)
{
	struct verdict ok = { .kind = OK };

	l->done(l->f, v ? v : &ok, yes);
}

/* ---- by URL ------------------------------------------------------------------------------------- */

static void
url_encode(struct buf *b, struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
			buf_char(b, (char)c);
		else
			buf_printf(b, "%%%02x", c);
	}
}

/* Is the entry where the URL looks?  Below its base, or it, as the scope says (RFC 4511 4.5.1.2). */
static bool
url_reaches(struct slice dn, struct slice base, int scope)
{
	size_t above = dn.n - base.n;
	struct slice rest = slice_sub(dn, 0, above);

	if (base.n > dn.n || !slice_ieq(slice_from(dn, above), base))
		return false;
	if (above == 0)
		return scope != 1;
	rest.n -= rest.p[rest.n - 1] == ',';
	return base.n == 0 ||
	    (above > 1 && dn.p[above - 1] == ',' &&
		(scope > 1 || (scope == 1 && slice_find(rest, ',') == rest.n)));
}

static void lookup_next_url(struct lookup *l);

static void
url_found(void *arg, const struct dir_page *page)
{
	struct lookup *l = arg;
	bool more = page->more, yes = page->n > 0;

	if (more) /* of one entry there is one page */
		op_cancel(&l->f->session->op);
	if (yes)
		lookup_over(l, NULL, true);
	else if (page->v.kind == TEMP)
		lookup_over(l, &page->v, false);
	else
		lookup_next_url(l);
}

/* The URL's filter on the entry of the value alone; false: it does not look there. */
static bool
url_ask(struct lookup *l, struct slice url)
{
	const char *base, *filter, *why;
	struct buf parts = { 0 }, ask = { 0 };
	int scope;
	bool reaches = dir_url_parse(url, &parts, &base, &scope, &filter, &why) == 0 &&
	    url_reaches(l->dn, slice_str(base), scope);

	if (reaches) {
		buf_lit(&ask, "ldap:///");
		url_encode(&ask, l->dn);
		buf_lit(&ask, "??base?");
		url_encode(&ask, slice_str(filter));
		dir_search_start(lmtpd.dir, buf_get(&ask), &l->f->session->op, url_found, l);
	}
	buf_fini(&parts);
	buf_fini(&ask);
	return reaches;
}

static void
lookup_next_url(struct lookup *l)
{
	while (l->dn.n && l->at < l->n)
		if (url_ask(l, l->urls[l->at++]))
			return;
	lookup_over(l, NULL, false);
}

/* ---- the list ------------------------------------------------------------------------------------ */

static bool
lookup_has(const struct dir_values *values, struct slice one)
{
	for (size_t i = 0; one.n && i < values->n; i++)
		if (slice_ieq(values->v[i], one))
			return true;
	return false;
}

static void
list_found(void *arg, const struct dir_answer *a)
{
	struct lookup *l = arg;
	const struct dir_group *g = a->group;

	if (a->v.kind == TEMP) {
		lookup_over(l, &a->v, false);
	} else if (a->v.kind != OK || !g || !l->asked->value.p) {
		lookup_over(l, NULL, a->v.kind == OK && g);
	} else if (lookup_has(&g->rfc822, l->asked->value) || lookup_has(&g->rfc822, l->mail) ||
	    lookup_has(&g->members, l->dn)) {
		lookup_over(l, NULL, true);
	} else {
		for (; l->n < URLS_MAX && l->n < g->urls.n; l->n++)
			l->urls[l->n] = arena_slice(&l->f->arena, g->urls.v[l->n]);
		lookup_next_url(l);
	}
}

static void
lookup_address(struct lookup *l, struct slice address, dir_done done)
{
	size_t at = slice_rfind(address, '@');

	dir_entry_start(lmtpd.dir, slice_sub(address, 0, at), slice_from(address, at + 1),
	    &l->f->session->op, done, l);
}

static void
lookup_list(struct lookup *l)
{
	struct slice address;

	must(lists_name(l->asked->list, &address));
	lookup_address(l, address, list_found);
}

/* Not by the address that catches all of its domain. */
static bool
user_has(const struct dir_user *u, struct slice address)
{
	for (size_t i = 0; i < u->naddresses; i++)
		if (slice_ieq(u->addresses[i], address))
			return true;
	return false;
}

static void
value_found(void *arg, const struct dir_answer *a)
{
	struct lookup *l = arg;

	if (a->v.kind == TEMP) {
		lookup_over(l, &a->v, false);
		return;
	}
	if (a->v.kind == OK && a->user && user_has(a->user, l->asked->value)) {
		l->dn = arena_slice(&l->f->arena, a->user->dn);
		l->mail = arena_slice(&l->f->arena, a->user->mail);
	}
	lookup_list(l);
}

/* ---- address books ----------------------------------------------------------------------------------- */

static void
book_looked(void *arg, enum dir_result r, const char *why)
{
	struct lookup *l = arg;
	struct verdict v = verdict(OUT_DIR_AWAY);

	if (r == DIR_R_OK || r == DIR_R_NO_ENTRY) {
		lookup_over(l, NULL, r == DIR_R_OK);
		return;
	}
	log_event(LOG_WARN, "sieve_list", "sid=%s user=%s list=%s error=%s", l->f->session->sid,
	    log_value(l->f->people[l->f->at].account), log_value(l->asked->list), log_str(why));
	lookup_over(l, &v, false);
}

/* A contact's address is what a header or an envelope says, or an entry of the book. */
static void
lookup_book(struct lookup *l, struct slice book)
{
	bool all = slice_ieq(book, S(DEFAULT));

	if (all && !l->asked->value.p) {
		lookup_over(l, NULL, true);
		return;
	}
	if (l->asked->value.p && !l->asked->value.n) {
		lookup_over(l, NULL, false);
		return;
	}
	pab_has_start(lmtpd.pab, l->f->people[l->f->at].dn, l->f->people[l->f->at].uuid,
	    all ? S("") : book, l->asked->value.p ? l->asked->value : S(""), &l->f->session->op,
	    book_looked, l);
}

void
lists_ask(struct filter *f, const struct asked *asked,
    void (*done)(struct filter *f, const struct verdict *v, bool yes))
{
	struct lookup *l = arena_new(&f->arena, sizeof(*l));
	struct slice book;

	*l = (struct lookup){ .f = f, .asked = asked, .done = done };
	if (lists_book(asked->list, &book))
		lookup_book(l, book);
	else if (asked->value.p && slice_rfind(asked->value, '@') < asked->value.n)
		lookup_address(l, asked->value, value_found);
	else
		lookup_list(l);
}
