/* follow/query.c: which lines are meant.
 *
 * Owns the conditions.  A message has to fit all of them, each by one of its lines: sender and recipient stand in
 * different ones.  Called by story.c.  A value alone shows what it
 * is: "<...>" a Message-ID, with an at sign an address of sender or recipient, else an id.  Must stay true: an
 * address fits in any case of its letters, an id and a Message-ID only as it is. */
#include <string.h>

#include "base/mem.h"
#include "follow/follow-impl.h"

struct follow_field {
	const char *key;
	const char *names[6]; /* of the log's fields; one of them has to fit */
	bool any_case;
	bool sessions; /* clients' are meant too, not only messages */
};
static const struct follow_field fields[] = {
	{ "id", { "qid", "sid", "as", "was", NULL }, false, true },
	{ "qid", { "qid", "as", NULL }, false, false },
	{ "sid", { "sid", "was", NULL }, false, true },
	{ "msgid", { "msgid", NULL }, false, false },
	{ "from", { "from", NULL }, true, false },
	{ "to", { "to", "forward", "via", NULL }, true, false },
	{ "address", { "from", "to", "forward", "via", NULL }, true, false },
	{ "user", { "user", "login", NULL }, true, true },
	{ "peer", { "peer", NULL }, false, true },
};

static const struct follow_field *
query_field(struct slice key)
{
	for (size_t i = 0; i < NELEM(fields); i++)
		if (slice_eq(key, slice_str(fields[i].key)))
			return &fields[i];
	return NULL;
}

bool
follow_condition(struct follow *f, const char *word)
{
	struct slice v = slice_str(word), key = slice_sub(v, 0, slice_find(v, '='));
	const struct follow_field *field = key.n < v.n ? query_field(key) : NULL;

	if (f->nconditions == FOLLOW_CONDITIONS) {
		buf_printf(&f->why, "no more than %d conditions\n", FOLLOW_CONDITIONS);
		return false;
	}
	if (field)
		v = slice_from(v, key.n + 1);
	else
		field = query_field(*word == '<' ? S("msgid") :
			slice_find(v, '@') < v.n ? S("address") :
						   S("id"));
	/* An address may hold an equals sign; an id may not, so that is a key which is mistyped. */
	if (v.n == 0 || (slice_eq(slice_str(field->key), S("id")) && slice_find(v, '=') < v.n)) {
		buf_printf(&f->why, "%s: of id, qid, sid, msgid, from, to, address, user, peer\n",
		    word);
		return false;
	}
	f->conditions[f->nconditions++] = (struct follow_condition_of){ field, v };
	return true;
}

bool
follow_in_time(const struct follow *f, const struct logline *l)
{
	if (f->since.n && slice_cmp(l->ts, f->since) < 0)
		return false;
	return !f->until.n || slice_cmp(slice_sub(l->ts, 0, f->until.n), f->until) <= 0;
}

/* A Message-ID may be given without its brackets, and a peer without its port. */
static bool
query_same(const struct follow_field *f, struct slice has, struct slice wanted)
{
	if (f->any_case)
		return slice_ieq(has, wanted);
	if (slice_eq(slice_str(f->key), S("msgid")) && slice_starts(has, S("<")) &&
	    !slice_starts(wanted, S("<")))
		has = slice_sub(has, 1, has.n - 2);
	if (slice_eq(slice_str(f->key), S("peer")) && slice_starts(has, wanted) && has.n > wanted.n)
		return has.p[wanted.n] == ':';
	return slice_eq(has, wanted);
}

static bool
query_one(struct follow *f, const struct follow_condition_of *c, const struct logline *l)
{
	for (const char *const *name = c->field->names; *name; name++)
		if (logline_get(l, *name, &f->value) &&
		    query_same(c->field, buf_get(&f->value), c->value))
			return true;
	return false;
}

unsigned
follow_all(const struct follow *f)
{
	return (1u << f->nconditions) - 1;
}

unsigned
follow_fits(struct follow *f, const struct logline *l, bool *session)
{
	unsigned fits = 0;

	*session = false;
	for (size_t i = 0; i < f->nconditions; i++) {
		if (!query_one(f, &f->conditions[i], l))
			continue;
		fits |= 1u << i;
		*session |= f->conditions[i].field->sessions;
	}
	return fits;
}
