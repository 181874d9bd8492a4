/* pab/list.c: the whole tree of a person read, and made where there is none yet.
 *
 *	LIST -> found: done; nobody's: TAKE -> LIST; without a book: FIRST -> LIST
 *	     -> none: ROOT -> FIRST (the first book) -> LIST
 *	              ROOT -> its place is missing: ABOVE, as pab.dn, from the top -> ROOT
 *
 * A tree has the entryUUID of its person (tiermailPabOf), which slapd looks at before it shows anything: who gets a name
 * that another had before reads nothing of the other's.  What another has made meanwhile is taken for made.  Entries that are neither books nor contacts, or whose uid
 * is no id, are passed over.  Owns nothing but the ask.  Fails as slapd says, or when the tree is larger than is read.
 * Cost: the tree, and its sorting. */
#include <stdlib.h>
#include "pab/pab-impl.h"

enum { LIST, TAKE, ROOT, ABOVE, FIRST };

/* ---- what slapd says, as entries ------------------------------------------------------------ */

static struct slice
entry_one(const struct dir_entry *e, const char *name)
{
	for (size_t i = 0; i < e->n; i++)
		if (slice_ieq(e->attrs[i].name, slice_str(name)) && e->attrs[i].n)
			return e->attrs[i].values[0];
	return S("");
}

static const struct dir_attribute *
entry_all(const struct dir_entry *e, const char *name)
{
	for (size_t i = 0; i < e->n; i++)
		if (slice_ieq(e->attrs[i].name, slice_str(name)))
			return &e->attrs[i];
	return NULL;
}

static bool
entry_is(const struct dir_entry *e, const char *class)
{
	const struct dir_attribute *a = entry_all(e, "objectClass");

	for (size_t i = 0; a && i < a->n; i++)
		if (slice_ieq(a->values[i], slice_str(class)))
			return true;
	return false;
}

/* "20261130215301.123456Z...", also without a fraction; 0: it is none. */
static int64_t
time_us(struct slice s)
{
	struct slice seconds = slice_sub(s, 0, 14), fraction = S("");
	char text[16];
	int64_t at;
	uint64_t us = 0;

	(void)snprintf(text, sizeof(text), SFMT "Z", SARG(seconds));
	if (seconds.n != 14 || !dir_time_parse(slice_str(text), &at))
		return 0;
	if (s.n >= 21 && s.p[14] == '.')
		fraction = slice_sub(s, 15, 6);
	if (fraction.n && slice_u64(fraction, 999999, &us) < 0)
		us = 0;
	return at * 1000000 + (int64_t)us;
}

static bool
entry_read(const struct dir_entry *from, struct pab_entry *e)
{
	const struct dir_attribute *books = entry_all(from, "tiermailBook");

	*e = (struct pab_entry){ .kind = PAB_BOOK,
		.id = entry_one(from, "uid"),
		.csn = entry_one(from, "entryCSN"),
		.content = entry_one(from, "tiermailContactData"),
		.created_us = time_us(entry_one(from, "createTimestamp")) };
	e->changed_us = time_us(e->csn);
	if (entry_is(from, "tiermailContact")) {
		e->kind = PAB_CARD;
		e->books = books ? books->values : NULL;
		e->nbooks = books ? books->n : 0;
	} else if (!entry_is(from, "tiermailAddressBook")) {
		return false;
	}
	return pab_id_ok(e->id) && pab_id_kind(e->id) == e->kind && e->csn.n;
}

static bool
listing_gone_read(struct slice s, struct pab_gone *g)
{
	struct slice number, created;
	uint64_t at;

	if (!slice_word(&s, &number) || !slice_word(&s, &g->id) || !slice_word(&s, &created) ||
	    slice_u64(number, UINT64_MAX, &g->number) < 0 || !pab_id_ok(g->id) ||
	    slice_u64(created, INT64_MAX, &at) < 0)
		return false;
	g->created_us = (int64_t)at;
	return true;
}

static int
entry_cmp(const void *x, const void *y)
{
	const struct pab_entry *a = x, *b = y;

	return a->kind != b->kind ? (int)a->kind - (int)b->kind : slice_cmp(a->id, b->id);
}

static int
listing_gone_cmp(const void *x, const void *y)
{
	const struct pab_gone *a = x, *b = y;

	return a->number < b->number ? -1 : a->number > b->number ? 1 : slice_cmp(a->id, b->id);
}

static void
listing_gone(struct pab_ask *k, const struct dir_entry *root, struct pab_listed *l)
{
	const struct dir_attribute *a = entry_all(root, "tiermailGone");
	struct pab_gone *gone = arena_array(&k->arena, (a ? a->n : 0) + 1, sizeof(*gone));

	for (size_t i = 0; a && i < a->n; i++)
		l->ngone += listing_gone_read(a->values[i], &gone[l->ngone]);
	qsort(gone, l->ngone, sizeof(*gone), listing_gone_cmp);
	l->gone = gone;
	l->csn = entry_one(root, "entryCSN");
}

/* The root comes with its children. */
static void
listing_read(struct pab_ask *k, const struct dir_outcome *o, struct pab_listed *l)
{
	struct pab_entry *entries = arena_array(&k->arena, o->n + 1, sizeof(*entries));

	for (size_t i = 0; i < o->n; i++)
		if (entry_is(&o->entries[i], "tiermailPab"))
			listing_gone(k, &o->entries[i], l);
		else
			l->n += entry_read(&o->entries[i], &entries[l->n]);
	qsort(entries, l->n, sizeof(*entries), entry_cmp);
	l->entries = entries;
}

/* ---- the steps ---------------------------------------------------------------------------------- */

static void
listing_end(struct pab_ask *k, const struct dir_outcome *o)
{
	struct pab_listed l = { .result = o->result, .why = o->why };

	if (o->result == DIR_R_CHANGED)
		l.why = "they are another's, who had this name before (pabctl remove)";
	if (o->result == DIR_R_OK)
		listing_read(k, o, &l);
	pab_ask_done(k);
	k->listed(k->arg, &l);
	pab_ask_free(k);
}

static void
listing_send(struct pab_ask *k)
{
	static const char *const some[] = { "objectClass", "uid", "entryCSN", "createTimestamp",
		"tiermailBook", "tiermailGone", "tiermailPabOf", NULL };
	static const char *const all[] = { "objectClass", "uid", "entryCSN", "createTimestamp",
		"tiermailBook", "tiermailGone", "tiermailPabOf", "tiermailContactData", NULL };

	k->step = LIST;
	pab_ask_job(k,
	    &(struct dir_job){ .task = DIR_SEARCH,
		.dn = k->root,
		.as = k->as,
		.scope = DIR_SCOPE_SUB,
		.filter = "(|(objectClass=tiermailContact)(objectClass=tiermailAddressBook)"
			  "(objectClass=tiermailPab))",
		.assertion = pab_ask_theirs(k),
		.attrs = k->contents ? all : some });
}

/* The value of a DN's first RDN; DNs of people are plain (tiermail-directory(7)). */
static struct slice
rdn_value(const char *dn)
{
	struct slice s = slice_str(dn), rdn = slice(s.p, slice_find(s, ','));

	return slice_from(rdn, slice_find(rdn, '=') + 1);
}

static void
listing_make(struct pab_ask *k, unsigned step, const char *dn, const char *as, const char *class,
    const char *attribute, const struct dir_change *more, size_t nmore)
{
	struct slice classes[1] = { slice_str(class) }, values[1] = { rdn_value(dn) };
	struct dir_change c[4] = { { DIR_ADD, "objectClass", classes, 1 },
		{ DIR_ADD, attribute, values, 1 } };

	for (size_t i = 0; i < nmore; i++)
		c[2 + i] = more[i];
	k->step = step;
	pab_ask_job(k,
	    &(struct dir_job){ .task = DIR_CREATE,
		.dn = dn,
		.as = as,
		.changes = c,
		.nchanges = 2 + nmore });
}

static void
listing_root(struct pab_ask *k)
{
	const struct dir_change of = { DIR_ADD, "tiermailPabOf", &k->life, 1 };

	listing_make(k, ROOT, k->root, k->as, "tiermailPab", "uid", &of, k->life.n ? 1 : 0);
}

/* Is it nobody's? */
static bool
listing_free(const struct pab_ask *k, const struct dir_outcome *o)
{
	for (size_t i = 0; k->life.n && !k->taken && i < o->n; i++)
		if (entry_is(&o->entries[i], "tiermailPab"))
			return entry_one(&o->entries[i], "tiermailPabOf").n == 0;
	return false;
}

/* Is there no book any more, or none yet, whose maker has died in the middle? */
static bool
listing_bookless(const struct pab_ask *k, const struct dir_outcome *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (entry_is(&o->entries[i], "tiermailAddressBook"))
			return false;
	return !k->booked;
}

static void
listing_take(struct pab_ask *k)
{
	const struct dir_change of = { DIR_ADD, "tiermailPabOf", &k->life, 1 };

	k->step = TAKE;
	k->taken = true;
	pab_ask_job(k,
	    &(struct dir_job){ .task = DIR_MODIFY,
		.dn = k->root,
		.as = k->as,
		.changes = &of,
		.nchanges = 1 });
}

static void
listing_first_book(struct pab_ask *k)
{
	static const struct slice name[1] = { { "Contacts", 8 } },
				  content[1] = { { "{\"name\":\"Contacts\"}", 19 } };
	static const struct dir_change more[] = { { DIR_ADD, "cn", name, 1 },
		{ DIR_ADD, "tiermailContactData", content, 1 } };

	k->booked = true;
	listing_make(k, FIRST, arena_printf(&k->arena, "uid=" PAB_DEFAULT ",%s", k->root), k->as,
	    "tiermailAddressBook", "uid", more, NELEM(more));
}

/* The entry `up` levels above the root; NULL: that is pab.base. */
static const char *
listing_above(const struct pab_ask *k, unsigned up)
{
	const char *at = k->root;

	while (up-- && at) {
		at = strchr(at, ',');
		at = at ? at + 1 : NULL;
	}
	return at && strlen(at) > strlen(pab_conf.base) ? at : NULL;
}

/* From the top down to the one above the root. */
static void
listing_make_above(struct pab_ask *k)
{
	const char *dn = listing_above(k, k->up);
	bool unit = strncmp(dn, "ou=", 3) == 0;

	listing_make(k, ABOVE, dn, NULL, unit ? "organizationalUnit" : "organization",
	    unit ? "ou" : "o", NULL, 0);
}

static bool
listing_made(const struct dir_outcome *o)
{
	return o->result == DIR_R_OK || o->result == DIR_R_EXISTS;
}

/* That something is missing is said as that, or as what one may not see. */
static bool
listing_missing(const struct dir_outcome *o)
{
	return o->result == DIR_R_NO_ENTRY || o->result == DIR_R_DENIED;
}

static void
listing_answer(struct pab_ask *k, const struct dir_outcome *o)
{
	if (k->step == LIST && o->result == DIR_R_NO_ENTRY && !k->up) {
		listing_root(k);
	} else if (k->step == LIST && o->result == DIR_R_OK && listing_free(k, o)) {
		listing_take(k);
	} else if (k->step == LIST && o->result == DIR_R_OK && listing_bookless(k, o)) {
		listing_first_book(k);
	} else if (k->step == TAKE) { /* whoever has it now */
		listing_send(k);
	} else if (k->step == ROOT && listing_made(o)) {
		k->up = k->up ? k->up : 1;
		listing_first_book(k);
	} else if (k->step == ROOT && listing_missing(o) && !k->up) {
		while (listing_above(k, k->up + 1))
			k->up++;
		if (k->up)
			listing_make_above(k);
		else
			listing_end(k, o);
	} else if (k->step == ABOVE && listing_made(o)) {
		if (--k->up == 0) {
			k->up = 1;
			listing_root(k);
		} else {
			listing_make_above(k);
		}
	} else if (k->step == FIRST && listing_made(o)) {
		listing_send(k);
	} else {
		listing_end(k, o);
	}
}

void
pab_list_start(struct pab *p, struct slice person, struct slice life, bool contents, struct op *op,
    pab_listed_done done, void *arg)
{
	struct pab_ask *k = pab_ask_new(p, person, op, arg);

	k->life = arena_slice(&k->arena, life);
	k->listed = done;
	k->contents = contents;
	k->begin = listing_send;
	k->answer = listing_answer;
	k->fail = listing_end;
	pab_ask_start(k);
}

/* ---- kept ----------------------------------------------------------------------------------------- */

static const struct slice *
listed_copy_slices(const struct slice *from, size_t n, struct arena *a)
{
	struct slice *to = arena_array(a, n + 1, sizeof(*to));

	for (size_t i = 0; i < n; i++)
		to[i] = arena_slice(a, from[i]);
	return to;
}

struct pab_listed *
pab_listed_copy(const struct pab_listed *l, struct arena *a)
{
	struct pab_listed *copy = arena_new(a, sizeof(*copy));
	struct pab_entry *e = arena_array(a, l->n + 1, sizeof(*e));
	struct pab_gone *g = arena_array(a, l->ngone + 1, sizeof(*g));

	*copy = *l;
	copy->why = arena_str(a, l->why);
	copy->csn = arena_slice(a, l->csn);
	for (size_t i = 0; i < l->n; i++) {
		e[i] = l->entries[i];
		e[i].id = arena_slice(a, e[i].id);
		e[i].csn = arena_slice(a, e[i].csn);
		e[i].content = arena_slice(a, e[i].content);
		e[i].books = listed_copy_slices(e[i].books, e[i].nbooks, a);
	}
	for (size_t i = 0; i < l->ngone; i++) {
		g[i] = l->gone[i];
		g[i].id = arena_slice(a, g[i].id);
	}
	copy->entries = e;
	copy->gone = g;
	return copy;
}

const struct pab_entry *
pab_listed_find(const struct pab_listed *l, enum pab_kind kind, struct slice id)
{
	struct pab_entry key = { .kind = kind, .id = id };

	return l->n ? bsearch(&key, l->entries, l->n, sizeof(key), entry_cmp) : NULL;
}
