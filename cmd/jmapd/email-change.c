/* jmapd/email-change.c: patches of emails, and the requests that carry them out.  See email-change.h.
 *
 * Called by Email/set and by EmailSubmission's onSuccessUpdateEmail.  What can fail: a patch, in words; a
 * request, by what stored says, for the emails in it.  A keyword is added to, and taken from, every message of
 * the email (jmapd(8), One email in several places). */
#include "email-change.h"
#include <stdlib.h>
#include "base/mem.h"
#include "set.h"
#include "store/client.h"

struct change_entry {
	uint32_t uid, item;
};
struct change_op {
	struct change_op *next;
	enum change_kind kind;
	uint64_t mailbox, to;
	enum store_how how;
	uint16_t flags;
	struct slice keywords; /* separated by a blank */
	struct change_entry *entries;
	size_t n, room;
};

/* Emails that change in many ways, in many mailboxes, make many requests: they are found by a key. */
static struct slice
change_op_key(const struct change_op *op, struct buf *b)
{
	buf_clear(b);
	buf_add(b, &op->kind, sizeof(op->kind));
	buf_add(b, &op->mailbox, sizeof(op->mailbox));
	buf_add(b, &op->to, sizeof(op->to));
	buf_add(b, &op->how, sizeof(op->how));
	buf_add(b, &op->flags, sizeof(op->flags));
	buf_slice(b, op->keywords);
	return buf_get(b);
}

static struct change_op *
change_op_find(struct call *c, struct email_changes *ch, const struct change_op *like)
{
	struct buf key = { 0 };
	struct change_op *op = map_get(&ch->ops, change_op_key(like, &key));

	if (!op) {
		op = arena_new(&c->arena, sizeof(*op));
		*op = *like;
		op->keywords = arena_slice(&c->arena, like->keywords);
		(void)map_put(&ch->ops, arena_slice(&c->arena, buf_get(&key)), op);
		if (ch->last[op->kind])
			ch->last[op->kind]->next = op;
		else
			ch->first[op->kind] = op;
		ch->last[op->kind] = op;
	}
	buf_fini(&key);
	return op;
}

static void
change_add_uid(struct call *c, struct email_changes *ch, const struct change_op *like, uint32_t uid,
    size_t item)
{
	struct change_op *op = change_op_find(c, ch, like);

	if (op->n == op->room) {
		struct change_entry *more =
		    arena_array(&c->arena, op->room ? 2 * op->room : 4, sizeof(*more));

		if (op->n)
			memcpy(more, op->entries, op->n * sizeof(*more));
		op->entries = more;
		op->room = op->room ? 2 * op->room : 4;
	}
	op->entries[op->n++] = (struct change_entry){ uid, (uint32_t)item };
}

static void
change_refuse(struct email_changes *ch, size_t item, const char *type, const char *property,
    const char *why)
{
	if (ch->items[item].error)
		return;
	ch->items[item].error = type;
	ch->items[item].property = property;
	ch->items[item].why = why;
}

/* ---- a patch (RFC 8620 5.3) ---------------------------------------------------------------------- */

struct patched {
	bool keywords_whole, mailboxes_whole;
	uint16_t add, remove;               /* flags */
	struct buf add_words, remove_words; /* keywords */
	struct folder **to;                 /* all that it is to be in */
	size_t nto;
};

static void
patched_word(struct buf *b, struct slice word)
{
	if (b->n)
		buf_char(b, ' ');
	buf_slice(b, word);
}

static void
patched_keyword(struct patched *p, struct slice word, bool set)
{
	uint16_t flag = email_flag(word);

	if (flag && set)
		p->add |= flag;
	else if (flag)
		p->remove |= flag;
	else
		patched_word(set ? &p->add_words : &p->remove_words, word);
}

static const char *
patched_keywords(struct patched *p, const struct email *e, const struct json_t *v)
{
	struct json_walk w = { 0 };
	bool yes = false;

	p->keywords_whole = true;
	if (!json_is(v, JSON_KIND_OBJECT) || json_count(v) > EMAIL_KEYWORDS)
		return "an object of 256 keywords at most is needed";
	while (json_next(v, &w)) {
		if (!jmap_keyword_ok(w.name) || !json_get_bool(w.value, &yes) || !yes)
			return "keywords, each with the value true";
		patched_keyword(p, w.name, true);
	}
	p->remove =
	    (uint16_t)((STORE_SEEN | STORE_ANSWERED | STORE_FLAGGED | STORE_DRAFT) & ~p->add);
	for (size_t i = 0; i < e->nkeywords; i++) {
		bool kept = false;

		w = (struct json_walk){ 0 };
		while (!kept && json_next(v, &w))
			kept = slice_ieq(w.name, e->keywords[i]);
		if (!kept)
			patched_keyword(p, e->keywords[i], false);
	}
	return NULL;
}

static bool
patched_into(struct patched *p, struct folder *f)
{
	for (size_t i = 0; i < p->nto; i++)
		if (p->to[i] == f)
			return false;
	p->to[p->nto++] = f;
	return true;
}

static const char *
patched_mailboxes(struct call *c, struct patched *p, const struct json_t *v)
{
	struct json_walk w = { 0 };
	bool yes = false;

	p->mailboxes_whole = true;
	p->nto = 0;
	if (!json_is(v, JSON_KIND_OBJECT) || json_count(v) == 0)
		return "an email is in one mailbox at least";
	if (json_count(v) > EMAIL_MAILBOXES)
		return "more mailboxes than maxMailboxesPerEmail";
	while (json_next(v, &w)) {
		struct folder *f = folders_find_id(c, w.name);

		if (!f || (f->attrs & STORE_NOSELECT) || !json_get_bool(w.value, &yes) || !yes)
			return "there is no such mailbox, or its value is not true";
		(void)patched_into(p, f);
	}
	return NULL;
}

static const char *
patched_mailbox(struct call *c, struct patched *p, struct slice id, const struct json_t *v)
{
	struct folder *f = folders_find_id(c, id);
	bool yes = false;

	if (!f || (f->attrs & STORE_NOSELECT))
		return "there is no such mailbox";
	if (json_is(v, JSON_KIND_NULL)) {
		for (size_t i = 0; i < p->nto; i++)
			if (p->to[i] == f)
				p->to[i--] = p->to[--p->nto];
		return NULL;
	}
	if (!json_get_bool(v, &yes) || !yes)
		return "true or null is needed";
	if (p->nto == EMAIL_MAILBOXES)
		return "more mailboxes than maxMailboxesPerEmail";
	(void)patched_into(p, f);
	return NULL;
}

/* One member: a property, or a path into one.  NULL, or what is wrong. */
static const char *
patched_member(struct call *c, struct patched *p, const struct email *e, struct slice path,
    const struct json_t *v, const char **property)
{
	char token[JMAP_ID_MOST + 1];
	struct slice rest;
	bool yes = false;
	size_t n;

	*property = slice_starts(path, S("mailboxIds")) ? "mailboxIds" : "keywords";
	if (slice_eq(path, S("keywords")))
		return patched_keywords(p, e, v);
	if (slice_eq(path, S("mailboxIds")))
		return patched_mailboxes(c, p, v);
	rest = slice_from(path, slice_find(path, '/'));
	if (rest.n == 0 || rest.n > JMAP_ID_MOST || json_pointer_next(&rest, token, &n) <= 0 ||
	    rest.n > 0) {
		*property = arena_cstr(&c->arena, slice_sub(path, 0, JMAP_ID_MOST));
		return "only keywords and mailboxIds can be changed";
	}
	if (slice_starts(path, S("mailboxIds/")))
		return p->mailboxes_whole ? "it is given whole, and in part" :
					    patched_mailbox(c, p, slice(token, n), v);
	if (!slice_starts(path, S("keywords/"))) {
		*property = arena_cstr(&c->arena, slice_sub(path, 0, JMAP_ID_MOST));
		return "only keywords and mailboxIds can be changed";
	}
	if (p->keywords_whole)
		return "they are given whole, and in part";
	if (!jmap_keyword_ok(slice(token, n)) ||
	    (!json_is(v, JSON_KIND_NULL) && (!json_get_bool(v, &yes) || !yes)))
		return "a keyword, with true or null";
	patched_keyword(p, arena_slice(&c->arena, slice(token, n)), yes);
	return NULL;
}

/* ---- its requests ----------------------------------------------------------------------------------- */

static void
change_flags(struct call *c, struct email_changes *ch, size_t item, const struct email *e,
    const struct patched *p)
{
	struct change_op add = { .kind = CHANGE_FLAGS,
		.how = STORE_ADD,
		.flags = p->add,
		.keywords = buf_get(&p->add_words) };
	struct change_op remove = { .kind = CHANGE_FLAGS,
		.how = STORE_REMOVE,
		.flags = p->remove,
		.keywords = buf_get(&p->remove_words) };

	for (size_t i = 0; i < e->nplaces; i++) {
		add.mailbox = remove.mailbox = e->places[i].folder->mailbox;
		if (add.flags || add.keywords.n)
			change_add_uid(c, ch, &add, e->places[i].uid, item);
		if (remove.flags || remove.keywords.n)
			change_add_uid(c, ch, &remove, e->places[i].uid, item);
	}
}

static bool
change_stays(const struct patched *p, const struct folder *f)
{
	for (size_t i = 0; i < p->nto; i++)
		if (p->to[i] == f)
			return true;
	return false;
}

static bool
change_is_in(const struct email *e, const struct folder *f)
{
	for (size_t i = 0; i < e->nplaces; i++)
		if (e->places[i].folder == f)
			return true;
	return false;
}

/* A message that goes becomes one that comes, by a move, where there are both. */
static void
change_mailboxes(struct call *c, struct email_changes *ch, size_t item, const struct email *e,
    const struct patched *p)
{
	size_t leaves = 0;

	while (leaves < e->nplaces && change_stays(p, e->places[leaves].folder))
		leaves++;
	for (size_t i = 0; i < p->nto; i++) {
		const struct email_place *from = &e->places[leaves < e->nplaces ? leaves : 0];
		struct change_op op = { .kind = leaves < e->nplaces ? CHANGE_MOVE : CHANGE_COPY,
			.mailbox = from->folder->mailbox,
			.to = p->to[i]->mailbox };

		if (change_is_in(e, p->to[i]))
			continue;
		change_add_uid(c, ch, &op, from->uid, item);
		if (op.kind == CHANGE_MOVE)
			for (leaves++;
			     leaves < e->nplaces && change_stays(p, e->places[leaves].folder);)
				leaves++;
	}
	for (; leaves < e->nplaces; leaves++) {
		struct change_op op = { .kind = CHANGE_EXPUNGE,
			.mailbox = e->places[leaves].folder->mailbox };

		if (!change_stays(p, e->places[leaves].folder))
			change_add_uid(c, ch, &op, e->places[leaves].uid, item);
	}
}

void
email_change_update(struct call *c, struct email_changes *ch, size_t item, const struct email *e,
    const struct json_t *patch)
{
	struct patched p = { 0 };
	struct json_walk w = { 0 };
	const char *why = NULL, *property = NULL;

	p.to = arena_array(&c->arena, EMAIL_MAILBOXES + e->nplaces + 1, sizeof(struct folder *));
	if (json_count(patch) > EMAIL_KEYWORDS + EMAIL_MAILBOXES) {
		change_refuse(ch, item, "invalidPatch", NULL, "too many changes of one email");
		return;
	}
	for (size_t i = 0; i < e->nplaces; i++)
		(void)patched_into(&p, e->places[i].folder);
	while (!why && json_next(patch, &w))
		why = patched_member(c, &p, e, w.name, w.value, &property);
	if (!why && p.nto == 0) {
		why = "an email is in one mailbox at least";
		property = "mailboxIds";
	}
	if (why) {
		change_refuse(ch, item, "invalidProperties", property, why);
	} else {
		change_flags(c, ch, item, e, &p);
		change_mailboxes(c, ch, item, e, &p);
	}
	buf_fini(&p.add_words);
	buf_fini(&p.remove_words);
}

void
email_change_destroy(struct call *c, struct email_changes *ch, size_t item, const struct email *e)
{
	for (size_t i = 0; i < e->nplaces; i++) {
		struct change_op op = { .kind = CHANGE_EXPUNGE,
			.mailbox = e->places[i].folder->mailbox };

		change_add_uid(c, ch, &op, e->places[i].uid, item);
	}
}

/* ---- carried out --------------------------------------------------------------------------------------- */

static int
change_cmp_uids(const void *a, const void *b)
{
	const struct change_entry *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* The UIDs of the emails that are still good, as runs. */
static struct store_range *
change_ranges(struct call *c, const struct email_changes *ch, struct change_op *op, size_t *n)
{
	struct store_range *r = arena_array(&c->arena, op->n + 1, sizeof(*r));

	qsort(op->entries, op->n, sizeof(*op->entries), change_cmp_uids);
	*n = 0;
	for (size_t i = 0; i < op->n; i++) {
		uint32_t uid = op->entries[i].uid;

		if (ch->items[op->entries[i].item].error || (*n && r[*n - 1].last == uid))
			continue;
		if (*n && r[*n - 1].last + 1 == uid)
			r[*n - 1].last = uid;
		else
			r[(*n)++] = (struct store_range){ uid, uid };
	}
	return r;
}

static void
change_done(void *arg, const struct store_reply *r)
{
	struct call *c = arg;
	struct email_changes *ch = c->changes;

	if (r->code != STORE_DONE)
		for (size_t i = 0; i < ch->running->n; i++)
			change_refuse(ch, ch->running->entries[i].item, set_error_of(r->code), NULL,
			    arena_str(&c->arena, r->verdict.text));
	ch->running = NULL;
	call_resume(c, CALL_AGAIN);
}

/* What its owner may keep is not known to a guest's request. */
static void
change_not_copied(struct email_changes *ch, const struct change_op *op)
{
	for (size_t i = 0; i < op->n; i++)
		change_refuse(ch, op->entries[i].item, "forbidden", "mailboxIds",
		    "copies are made in the user's own account alone");
}

static void
change_start(struct call *c, const struct change_op *op, const struct store_range *r, size_t n)
{
	struct store_client *store = jmapd.store;
	const struct store_limits limits = call_user(c)->limits;
	struct store_change change = { .how = op->how,
		.flags = op->flags,
		.keywords = op->keywords };

	switch (op->kind) {
	case CHANGE_FLAGS:
		store_flags_start(store, op->mailbox, r, n, &change, call_op(c), change_done, c);
		break;
	case CHANGE_COPY:
		store_copy_start(store, op->mailbox, r, n, op->to, limits, call_op(c), change_done,
		    c);
		break;
	case CHANGE_MOVE:
		store_move_start(store, op->mailbox, r, n, op->to, call_op(c), change_done, c);
		break;
	case CHANGE_EXPUNGE:
	case CHANGE_KINDS:
		store_expunge_start(store, op->mailbox, r, n, true, call_op(c), change_done, c);
		break;
	}
}

enum call_next
email_change_go(struct call *c, struct email_changes *ch)
{
	while (ch->kind < CHANGE_KINDS) {
		struct change_op *op = ch->first[ch->kind];
		struct store_range *r;
		size_t n;

		if (!op) {
			ch->kind++;
			continue;
		}
		ch->first[ch->kind] = op->next;
		r = change_ranges(c, ch, op, &n);
		if (n == 0)
			continue;
		if (op->kind == CHANGE_COPY && c->of.guest) {
			change_not_copied(ch, op);
			continue;
		}
		ch->running = op;
		c->changes = ch;
		change_start(c, op, r, n);
		return CALL_WAIT;
	}
	return CALL_DONE;
}

void
email_change_fini(struct email_changes *ch)
{
	map_fini(&ch->ops);
}
