/* body.c: the test of the body (RFC 5173).
 *
 * :raw is the body as it came; :content looks at the parts of some types, their encodings undone; :text
 * at all parts of text.  Markup is left as it is: 5.3 allows that, and what a rule says it looks for is
 * then what is there. */
#include "sieve/message.h"

enum { TRANSFORM_RAW = 1, TRANSFORM_TEXT };
enum { SLOT_TRANSFORM = 1, SLOT_TYPES };

/* "", "type" or "type/subtype"; other forms match nothing (5.2). */
static bool
type_matches(const struct mime_part *p, struct slice want)
{
	size_t slash = slice_find(want, '/');

	if (want.n == 0)
		return true;
	if (slash == want.n)
		return slice_ieq(p->type, want);
	return slice_ieq(p->type, slice_sub(want, 0, slash)) &&
	    slice_ieq(p->subtype, slice_from(want, slash + 1));
}

static bool
type_wanted(struct sieve_run *r, const struct sieve_call *c, const struct mime_part *p)
{
	const struct sieve_arg *types = sieve_arg(c, SLOT_TYPES);

	if (!types)
		return slice_ieq(p->type, S("text"));
	for (size_t i = 0; i < types->n; i++)
		if (type_matches(p, sieve_expand(r, &types->items[i])))
			return true;
	return false;
}

/* Without the last line: the boundary that stands there. */
static struct slice
without_boundary(struct slice s)
{
	size_t at = slice_rfind(slice_trim(s), '\n');

	return at < s.n && slice_starts(slice_from(s, at + 1), S("--")) ? slice_sub(s, 0, at) :
	    slice_starts(s, S("--"))                                    ? S("") :
									  s;
}

/* What a multipart has in front of its first part and behind its last one (5.2). */
static bool
multipart_match(struct sieve_matching *m, const struct mime *mime, const struct mime_part *p)
{
	const struct mime_part *first = p->child, *last = first;
	struct slice all = mime_body(mime, p), front, back;
	size_t end;

	while (last && last->next)
		last = last->next;
	if (!first)
		return sieve_match_text(m, all);
	front = slice_sub(all, 0, first->header_at - p->body_at);
	end = last->body_at + last->body_len - p->body_at;
	back = slice_trim(slice_from(all, end));
	back = slice_from(back, slice_find(back, '\n') + 1);
	return sieve_match_text(m, without_boundary(front)) || sieve_match_text(m, back);
}

static bool
part_match(struct sieve_matching *m, const struct mime *mime, const struct mime_part *p)
{
	if (p->kind == MIME_MULTIPART)
		return multipart_match(m, mime, p);
	if (p->kind == MIME_MESSAGE && p->child)
		return sieve_match_text(m, mime_header(mime, p->child));
	return sieve_match_value(m, sieve_part_text(m->run, m->call, p));
}

static void
parts_match(struct sieve_matching *m)
{
	const struct mime *mime = sieve_message_mime(m->run, m->call);
	const struct sieve_arg *types = sieve_arg(m->call, SLOT_TYPES);
	bool text = !types;

	for (const struct mime_part *p = mime ? mime->root : NULL; p; p = mime_next(mime, p)) {
		if (!sieve_spend(m->run, m->call, 1 + (text ? 0 : types->n / 4)))
			return;
		if (type_wanted(m->run, m->call, p) && (!text || p->kind == MIME_LEAF) &&
		    part_match(m, mime, p))
			return;
	}
}

/* A header without the empty line has no body, not even an empty one (4). */
static bool
body_there(struct slice all)
{
	return header_len(all) < all.n || slice_ends(all, S("\n\r\n")) ||
	    slice_ends(all, S("\n\n")) || slice_eq(all, S("\r\n")) || slice_eq(all, S("\n"));
}

static bool
body_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct sieve_arg *transform = sieve_arg(c, SLOT_TRANSFORM);
	struct slice all = sieve_message_all(r, c);
	struct sieve_matching m;

	sieve_match_begin(&m, r, c);
	if (!all.p || !body_there(all))
		return sieve_match_end(&m);
	if (transform && transform->number == TRANSFORM_RAW)
		sieve_match_text(&m, slice_from(all, header_len(all)));
	else
		parts_match(&m);
	return sieve_match_end(&m);
}

/* What wildcards meet here is in no variable (6). */
static bool
body_check(struct sieve_compiler *c, struct sieve_call *call)
{
	(void)c;
	call->match.capture = false;
	return true;
}

static const struct sieve_tag tags_body[] = {
	{ ":raw", .group = SIEVE_GROUP_1, .slot = SLOT_TRANSFORM, .value = TRANSFORM_RAW },
	{ ":text", .group = SIEVE_GROUP_1, .slot = SLOT_TRANSFORM, .value = TRANSFORM_TEXT },
	{ ":content", NULL, SIEVE_LIST, SIEVE_GROUP_1, .slot = SLOT_TYPES },
	{ .name = NULL },
};
static const struct sieve_tag *const body_tags[] = { sieve_tags_match, tags_body, NULL };

const struct sieve_word sieve_words_body[] = {
	{ "body", SIEVE_TEST, "body", "l", body_tags, 0, .check = body_check, .run = body_run },
	{ .name = NULL },
};
