/* jmapd/filter.c: the conditions of Email/query.  See filter.h.
 *
 * Called by email-query.c and snippet.c.  Reading can fail: an unknown condition is unsupportedFilter, a wrong
 * value invalidArguments.  Must stay true: what a candidate's `known` says was asked inside a snapshot;
 * outside of one nothing else than texts is asked. */
#include "filter.h"
#include "multi.h"
#include <errno.h>
#include <stdlib.h>
#include "base/mem.h"
#include "jmap/email-structure.h"
#include "jmap/snippet.h"

enum filter_value { V_MAILBOX, V_MAILBOXES, V_DATE, V_SIZE, V_KEYWORD, V_BOOL, V_TEXT, V_HEADER };
struct filter_word {
	struct slice name;
	enum filter_value value;
	enum message_answer (*ask)(const struct filter *, struct filter_candidate *);
	enum message_place place; /* V_TEXT */
	const char *field;        /* V_TEXT of MESSAGE_IN_FIELD */
};

static enum message_answer
filter_answer(bool yes)
{
	return yes ? MESSAGE_YES : MESSAGE_NO;
}

struct email *
filter_email(struct filter_candidate *x)
{
	if (x->email)
		return x->email;
	x->email = arena_new(x->arena, sizeof(*x->email));
	/* One that has just been seen may be gone in no snapshot but this one's: it has a place. */
	if (email_load(x->c, x->r->emailid, x->arena, x->email) < 0)
		x->email->flags = x->r->flags;
	return x->email;
}

/* ---- conditions of the index ------------------------------------------------------------------- */

static bool
filter_in(const struct filter *f, uint64_t objectid)
{
	size_t lo = 0, hi = f->nmailboxes;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->mailboxes[mid] < objectid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->nmailboxes && f->mailboxes[lo] == objectid;
}

static enum message_answer
ask_in_mailbox(const struct filter *f, struct filter_candidate *x)
{
	const struct email *e;

	if (filter_in(f, x->folder->objectid))
		return MESSAGE_YES;
	if (!multi_has(x->c, x->r->emailid))
		return MESSAGE_NO;
	e = filter_email(x);
	for (size_t i = 0; i < e->nplaces; i++)
		if (filter_in(f, e->places[i].folder->objectid))
			return MESSAGE_YES;
	return MESSAGE_NO;
}

/* In one at least that is not listed. */
static enum message_answer
ask_other_than(const struct filter *f, struct filter_candidate *x)
{
	const struct email *e;

	if (!filter_in(f, x->folder->objectid))
		return MESSAGE_YES;
	if (!multi_has(x->c, x->r->emailid))
		return MESSAGE_NO;
	e = filter_email(x);
	for (size_t i = 0; i < e->nplaces; i++)
		if (!filter_in(f, e->places[i].folder->objectid))
			return MESSAGE_YES;
	return MESSAGE_NO;
}

static enum message_answer
ask_before(const struct filter *f, struct filter_candidate *x)
{
	return filter_answer(x->r->internaldate < f->value);
}

static enum message_answer
ask_after(const struct filter *f, struct filter_candidate *x)
{
	return filter_answer(x->r->internaldate >= f->value);
}

static enum message_answer
ask_min_size(const struct filter *f, struct filter_candidate *x)
{
	return filter_answer(x->r->size >= f->value);
}

static enum message_answer
ask_max_size(const struct filter *f, struct filter_candidate *x)
{
	return filter_answer(x->r->size < f->value);
}

/* The place in hand has the keyword. */
static bool
filter_place_has(const struct filter *f, const struct filter_candidate *x)
{
	if (f->value)
		return x->r->flags & f->value;
	for (unsigned i = 0; x->r->keywords && i < x->folder->nkeywords; i++)
		if ((x->r->keywords >> i & 1) && slice_ieq(x->folder->keywords[i], f->text))
			return true;
	return false;
}

/* One place decides where it can: without $seen the email is not seen, with any other keyword it has it. */
static bool
filter_has_keyword(const struct filter *f, struct filter_candidate *x)
{
	if (f->value == STORE_SEEN && !(x->r->flags & STORE_SEEN))
		return false;
	if (!multi_has(x->c, x->r->emailid))
		return filter_place_has(f, x);
	if (f->value && f->value != STORE_SEEN && (x->r->flags & f->value))
		return true;
	return email_has(filter_email(x), f->text);
}

static enum message_answer
ask_has_keyword(const struct filter *f, struct filter_candidate *x)
{
	return filter_answer(filter_has_keyword(f, x));
}

static enum message_answer
ask_not_keyword(const struct filter *f, struct filter_candidate *x)
{
	return filter_answer(!filter_has_keyword(f, x));
}

#define THREAD_LOOKED 2000 /* emails of a thread that are asked */

void
thread_memo_fini(struct thread_memo *m)
{
	idset_fini(&m->yes);
	idset_fini(&m->no);
}

static bool
filter_thread_look(struct call *c, uint64_t thread, struct slice keyword, bool all)
{
	struct arena scratch = { 0 };
	uint64_t id = 0;
	bool answer = all;

	for (unsigned n = 0; n < THREAD_LOOKED && answer == all &&
	     store_thread_next(call_view(c), call_folders(c)->boxes.account, thread, &id);
	     n++) {
		struct email e;

		if (email_load(c, id, &scratch, &e) == 0)
			answer = email_has(&e, keyword) == all ? answer : !all;
		arena_reset(&scratch);
	}
	return answer;
}

bool
filter_thread_has(struct call *c, uint64_t thread, struct slice keyword, bool all,
    struct thread_memo *memo)
{
	bool answer;

	if (idset_has(&memo->yes, thread) || idset_has(&memo->no, thread))
		return idset_has(&memo->yes, thread);
	answer = filter_thread_look(c, thread, keyword, all);
	(void)idset_add(answer ? &memo->yes : &memo->no, thread);
	return answer;
}

static enum message_answer
ask_all_in_thread(const struct filter *f, struct filter_candidate *x)
{
	return filter_answer(filter_thread_has(x->c, x->r->threadid, f->text, true, f->memo));
}

static enum message_answer
ask_some_in_thread(const struct filter *f, struct filter_candidate *x)
{
	return filter_answer(filter_thread_has(x->c, x->r->threadid, f->text, false, f->memo));
}

static enum message_answer
ask_none_in_thread(const struct filter *f, struct filter_candidate *x)
{
	return filter_answer(!filter_thread_has(x->c, x->r->threadid, f->text, false, f->memo));
}

static enum message_answer
ask_attachment(const struct filter *f, struct filter_candidate *x)
{
	struct slice record = store_get_cache(call_view(x->c), x->r->emailid);
	struct message_digest d;
	struct jmap_structure s;
	bool has = message_digest_parse(record, &d) == 0 && (d.has & MESSAGE_HAS_STRUCTURE) &&
	    jmap_structure_read(d.structure, x->arena, &s) == 0 &&
	    jmap_structure_has_attachment(&s);

	return filter_answer(has == (f->value != 0));
}

/* ---- texts --------------------------------------------------------------------------------------- */

/* All words must be there. */
static enum message_answer
ask_text(const struct filter *f, struct filter_candidate *x)
{
	enum message_answer all = MESSAGE_YES;

	for (uint32_t i = 0; i < f->nkeys; i++) {
		enum message_answer a = MESSAGE_UNKNOWN;

		if (x->match)
			a = message_match_get(x->match, f->key + i);
		else if (x->digest.n)
			a = message_query_digest(x->query, f->key + i, x->digest);
		if (a == MESSAGE_NO)
			return a;
		if (a == MESSAGE_UNKNOWN)
			all = a;
	}
	return all;
}

/* clang-format off */
static const struct filter_word filter_words[] = {
	{ S("inMailbox"),          V_MAILBOX,   ask_in_mailbox, 0, NULL },
	{ S("inMailboxOtherThan"), V_MAILBOXES, ask_other_than, 0, NULL },
	{ S("before"),             V_DATE,      ask_before, 0, NULL },
	{ S("after"),              V_DATE,      ask_after, 0, NULL },
	{ S("minSize"),            V_SIZE,      ask_min_size, 0, NULL },
	{ S("maxSize"),            V_SIZE,      ask_max_size, 0, NULL },
	{ S("allInThreadHaveKeyword"),  V_KEYWORD, ask_all_in_thread, 0, NULL },
	{ S("someInThreadHaveKeyword"), V_KEYWORD, ask_some_in_thread, 0, NULL },
	{ S("noneInThreadHaveKeyword"), V_KEYWORD, ask_none_in_thread, 0, NULL },
	{ S("hasKeyword"),         V_KEYWORD,   ask_has_keyword, 0, NULL },
	{ S("notKeyword"),         V_KEYWORD,   ask_not_keyword, 0, NULL },
	{ S("hasAttachment"),      V_BOOL,      ask_attachment, 0, NULL },
	{ S("text"),               V_TEXT,      ask_text, MESSAGE_IN_TEXT, NULL },
	{ S("from"),               V_TEXT,      ask_text, MESSAGE_IN_FIELD, "from" },
	{ S("to"),                 V_TEXT,      ask_text, MESSAGE_IN_FIELD, "to" },
	{ S("cc"),                 V_TEXT,      ask_text, MESSAGE_IN_FIELD, "cc" },
	{ S("bcc"),                V_TEXT,      ask_text, MESSAGE_IN_FIELD, "bcc" },
	{ S("subject"),            V_TEXT,      ask_text, MESSAGE_IN_FIELD, "subject" },
	{ S("body"),               V_TEXT,      ask_text, MESSAGE_IN_BODY, NULL },
	{ S("header"),             V_HEADER,    ask_text, MESSAGE_IN_FIELD, NULL },
};
/* clang-format on */

/* ---- the tree -------------------------------------------------------------------------------------- */

static enum message_answer
filter_condition(const struct filter *f, struct filter_candidate *x)
{
	enum message_answer a;

	if (f->word->value == V_TEXT || f->word->value == V_HEADER)
		return f->word->ask(f, x);
	if (!x->snapshot || x->known[f->number] != MESSAGE_UNKNOWN)
		return (enum message_answer)x->known[f->number];
	a = f->word->ask(f, x);
	x->known[f->number] = (uint8_t)a;
	return a;
}

static enum message_answer
filter_ask(const struct filter *f, struct filter_candidate *x)
{
	/* NOT is true when none of its conditions is (RFC 8620 5.5). */
	enum message_answer stop = f->op == FILTER_AND ? MESSAGE_NO : MESSAGE_YES;
	bool unknown = false;

	if (f->op == FILTER_CONDITION)
		return filter_condition(f, x);
	for (const struct filter *i = f->first; i; i = i->next) {
		enum message_answer a = filter_ask(i, x);

		if (a == stop)
			return filter_answer(f->op == FILTER_OR);
		unknown = unknown || a == MESSAGE_UNKNOWN;
	}
	return unknown ? MESSAGE_UNKNOWN : filter_answer(f->op != FILTER_OR);
}

enum message_answer
filters_match(const struct filters *f, struct filter_candidate *x)
{
	return f->root ? filter_ask(f->root, x) : MESSAGE_YES;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

struct filter_reading {
	struct call *c;
	struct filters *f;
	const char *why;  /* it is wrong: */
	const char *type; /* the error's */
};

static struct filter *
filter_node_new(struct filter_reading *r, enum filter_op op)
{
	struct filter *f;

	if (r->f->n == FILTER_MOST) {
		r->type = "unsupportedFilter";
		r->why = "filter: too many conditions";
		return NULL;
	}
	f = arena_new(&r->c->arena, sizeof(*f));
	f->op = op;
	f->number = r->f->n++;
	return f;
}

static bool
filter_wrong(struct filter_reading *r, const char *why)
{
	r->type = "invalidArguments";
	r->why = why;
	return false;
}

static void
filter_add_text(struct filter_reading *r, struct filter *f, struct slice name, struct slice text)
{
	struct filter_texts *t = r->f->texts;
	struct jmap_terms terms = { 0 };

	jmap_terms_add(&terms, text, &t->arena);
	f->nkeys = (uint32_t)(terms.n ? terms.n : 1);
	for (size_t i = 0; i < f->nkeys; i++) {
		uint32_t key = message_query_add(&t->query, f->word->place, name,
		    terms.n ? terms.term[i] : S(""), &t->arena);

		if (i == 0)
			f->key = key;
	}
	r->f->has_texts = true;
}

static bool
filter_header(struct filter_reading *r, struct filter *f, const struct json_t *v)
{
	struct slice name = json_text(json_at(v, 0)), value = json_text(json_at(v, 1));

	if (!name.p || name.n == 0 || json_count(v) > 2 || (json_count(v) == 2 && !value.p))
		return filter_wrong(r, "filter: header is an array of a name, and perhaps a text");
	name = arena_slice(&r->f->texts->arena, name);
	filter_add_text(r, f, name, value.p ? value : S(""));
	return true;
}

static int
filter_cmp_ids(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool
filter_mailboxes(struct filter_reading *r, struct filter *f, const struct json_t *v)
{
	size_t n = json_is(v, JSON_KIND_ARRAY) ? json_count(v) : 1;

	f->mailboxes = arena_array(&r->c->arena, n + 1, sizeof(*f->mailboxes));
	for (size_t i = 0; i < n; i++) {
		struct slice id = json_text(json_is(v, JSON_KIND_ARRAY) ? json_at(v, i) : v);

		if (!id.p)
			return filter_wrong(r, "filter: a mailbox is named by its id");
		/* One that is not there has nothing in it. */
		f->mailboxes[f->nmailboxes++] = jmap_id_parse(call_created(r->c, id), JMAP_MAILBOX);
	}
	qsort(f->mailboxes, f->nmailboxes, sizeof(*f->mailboxes), filter_cmp_ids);
	return true;
}

static bool
filter_value(struct filter_reading *r, struct filter *f, const struct json_t *v)
{
	struct slice text = json_text(v);
	bool flag;

	if (f->word->value == V_MAILBOX || f->word->value == V_MAILBOXES ||
	    f->word->value == V_KEYWORD)
		r->f->has_places = true;
	switch (f->word->value) {
	case V_MAILBOX:
		return text.p ? filter_mailboxes(r, f, v) :
				filter_wrong(r, "filter: inMailbox is an id");
	case V_MAILBOXES:
		return json_is(v, JSON_KIND_ARRAY) ? filter_mailboxes(r, f, v) :
						     filter_wrong(r, "filter: an array of ids");
	case V_DATE:
		return (text.p && jmap_date_parse(text, &f->value)) ||
		    filter_wrong(r, "filter: a date is written 2026-11-30T00:00:00Z");
	case V_SIZE:
		return json_get_int(v, 0, JSON_INT_MOST, &f->value) ||
		    filter_wrong(r, "filter: a size is a whole number");
	case V_KEYWORD:
		if (!text.p || !jmap_keyword_ok(text))
			return filter_wrong(r, "filter: a keyword is needed");
		f->text = text;
		if (slice_find_str(f->word->name, S("InThread")) < f->word->name.n) {
			if (r->f->nthreads == FILTER_THREADS) {
				r->type = "unsupportedFilter";
				r->why = "filter: too many conditions on threads";
				return false;
			}
			f->memo = &r->f->memos[r->f->nthreads++];
		}
		f->value = email_flag(text);
		return true;
	case V_BOOL:
		if (!json_get_bool(v, &flag))
			return filter_wrong(r, "filter: true or false is needed");
		f->value = flag;
		return true;
	case V_TEXT:
		if (!text.p)
			return filter_wrong(r, "filter: a text is needed");
		filter_add_text(r, f, f->word->field ? slice_str(f->word->field) : S(""), text);
		return true;
	case V_HEADER: break;
	}
	return filter_header(r, f, v);
}

/* The members of a FilterCondition: all of them must hold. */
static struct filter *
filter_read_condition(struct filter_reading *r, const struct json_t *v)
{
	struct filter *all = filter_node_new(r, FILTER_AND), **end = all ? &all->first : NULL;
	struct json_walk w = { 0 };

	while (all && json_next(v, &w)) {
		struct filter *f = filter_node_new(r, FILTER_CONDITION);
		size_t k = 0;

		while (k < NELEM(filter_words) && !slice_eq(w.name, filter_words[k].name))
			k++;
		if (k == NELEM(filter_words)) {
			r->type = "unsupportedFilter";
			r->why = "filter: there is no such condition";
		}
		if (!f || r->why)
			return NULL;
		f->word = &filter_words[k];
		if (!filter_value(r, f, w.value))
			return NULL;
		*end = f;
		end = &f->next;
	}
	return all;
}

static struct filter *
filter_read(struct filter_reading *r, const struct json_t *v)
{
	struct slice op = json_text(json_find(v, S("operator")));
	const struct json_t *list = json_find(v, S("conditions"));
	struct filter *f, **end;

	if (!json_is(v, JSON_KIND_OBJECT) ||
	    (json_find(v, S("operator")) && (!op.p || !json_is(list, JSON_KIND_ARRAY)))) {
		(void)filter_wrong(r,
		    "filter: an object, or an operator with an array of conditions");
		return NULL;
	}
	if (!op.p)
		return filter_read_condition(r, v);
	if (!slice_eq(op, S("AND")) && !slice_eq(op, S("OR")) && !slice_eq(op, S("NOT"))) {
		(void)filter_wrong(r, "filter: an operator is AND, OR or NOT");
		return NULL;
	}
	f = filter_node_new(r,
	    op.p[0] == 'A'     ? FILTER_AND :
		op.p[0] == 'O' ? FILTER_OR :
				 FILTER_NOT);
	end = f ? &f->first : NULL;
	for (size_t i = 0; f && i < json_count(list); i++) {
		*end = filter_read(r, json_at(list, i));
		if (!*end)
			return NULL;
		end = &(*end)->next;
	}
	return f;
}

/* The one mailbox that everything must be in, so that no other need be walked through. */
static uint64_t
filter_only(const struct filter *f)
{
	uint64_t only = 0;

	if (f->op == FILTER_CONDITION)
		return f->word->value == V_MAILBOX ? f->mailboxes[0] : 0;
	for (const struct filter *i = f->op == FILTER_AND ? f->first : NULL; i && !only;
	     i = i->next)
		only = filter_only(i);
	return only;
}

void
filter_texts_drop(struct filter_texts *t)
{
	if (!t || --t->refs > 0)
		return;
	arena_reset(&t->arena);
	mem_release(t);
}

void
filters_fini(struct filters *f)
{
	for (size_t i = 0; i < f->nthreads; i++)
		thread_memo_fini(&f->memos[i]);
	filter_texts_drop(f->texts);
}

bool
filters_read(struct call *c, const struct json_t *v, struct filters *f, enum call_next *next)
{
	struct filter_reading r = { .c = c, .f = f };

	*f = (struct filters){ .texts = mem_new(sizeof(*f->texts)) };
	f->texts->refs = 1;
	if (json_none(v))
		return true;
	f->root = filter_read(&r, v);
	if (!f->root) {
		*next = call_error(c, r.type, r.why);
		return false;
	}
	message_query_ready(&f->texts->query, &f->texts->arena);
	f->mailbox = filter_only(f->root);
	/* That alone: the walk through the mailbox is all there is to ask. */
	if (f->mailbox && f->root->op == FILTER_AND && f->root->first && !f->root->first->next &&
	    f->root->first->op == FILTER_CONDITION) {
		f->root = NULL;
		f->has_places = false;
	}
	return true;
}
