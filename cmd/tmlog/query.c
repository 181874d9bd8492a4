/* tmlog/query.c: which lines are meant.
 *
 * Owns the conditions.  A message has to fit all of them, each by one of its lines: sender and recipient stand in
 * different ones.  Called by main.c and story.c.  A value alone shows what it
 * is: "<...>" a Message-ID, with an at sign an address of sender or recipient, else an id.  Must stay true: an
 * address fits in any case of its letters, an id and a Message-ID only as it is. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tmlog.h"

#define QUERY_MOST 16

struct field {
	const char *key;
	const char *names[6]; /* of the log's fields; one of them has to fit */
	bool any_case;
	bool sessions; /* clients' are meant too, not only messages */
};
static const struct field fields[] = {
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

static struct condition {
	const struct field *field;
	struct slice value;
} conditions[QUERY_MOST];
static size_t nconditions;
static struct slice since, until;
static struct buf value;

bool
query_empty(void)
{
	return nconditions == 0;
}

void
query_since(const char *ts)
{
	since = slice_str(ts);
}

void
query_until(const char *ts)
{
	until = slice_str(ts);
}

static const struct field *
query_field(struct slice key)
{
	for (size_t i = 0; i < NELEM(fields); i++)
		if (slice_eq(key, slice_str(fields[i].key)))
			return &fields[i];
	return NULL;
}

bool
query_add(const char *word)
{
	struct slice v = slice_str(word), key = slice_sub(v, 0, slice_find(v, '='));
	const struct field *f = key.n < v.n ? query_field(key) : NULL;

	if (nconditions == QUERY_MOST) {
		fprintf(stderr, "tmlog: no more than %d conditions\n", QUERY_MOST);
		return false;
	}
	if (f)
		v = slice_from(v, key.n + 1);
	else
		f = query_field(*word == '<'     ? S("msgid") :
			slice_find(v, '@') < v.n ? S("address") :
						   S("id"));
	/* An address may hold an equals sign; an id may not, so that is a key which is mistyped. */
	if (v.n == 0 || (slice_eq(slice_str(f->key), S("id")) && slice_find(v, '=') < v.n)) {
		fprintf(stderr,
		    "tmlog: %s: of id, qid, sid, msgid, from, to, address, user, peer\n", word);
		return false;
	}
	conditions[nconditions++] = (struct condition){ f, v };
	return true;
}

bool
query_in_time(const struct logline *l)
{
	if (since.n && slice_cmp(l->ts, since) < 0)
		return false;
	return !until.n || slice_cmp(slice_sub(l->ts, 0, until.n), until) <= 0;
}

/* A Message-ID may be given without its brackets, and a peer without its port. */
static bool
query_same(const struct field *f, struct slice has, struct slice wanted)
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
query_one(const struct condition *c, const struct logline *l)
{
	for (const char *const *name = c->field->names; *name; name++)
		if (logline_get(l, *name, &value) &&
		    query_same(c->field, buf_get(&value), c->value))
			return true;
	return false;
}

unsigned
query_all(void)
{
	return (1u << nconditions) - 1;
}

unsigned
query_fits(const struct logline *l, bool *session)
{
	unsigned fits = 0;

	*session = false;
	for (size_t i = 0; i < nconditions; i++) {
		if (!query_one(&conditions[i], l))
			continue;
		fits |= 1u << i;
		*session |= conditions[i].field->sessions;
	}
	return fits;
}
