/* filter.c: the grammar of RFC 7644 figure 1, by descent.
 *
 * Called for what a client writes as filter and path.  Owns nothing.  Can fail with a reason.  Must stay true:
 * each call takes at least one octet or ends, and depth and tests are counted before anything is kept. */
#include <errno.h>

#include "base/json.h"
#include "json/json.h"
#include "scim/filter.h"

struct scim_reader {
	struct slice rest;
	struct arena *memory;
	unsigned depth, tests;
	const char *why;
};

static const char *const ops[] = {
	[SCIM_EQ] = "eq",
	[SCIM_NE] = "ne",
	[SCIM_CO] = "co",
	[SCIM_SW] = "sw",
	[SCIM_EW] = "ew",
	[SCIM_GT] = "gt",
	[SCIM_GE] = "ge",
	[SCIM_LT] = "lt",
	[SCIM_LE] = "le",
	[SCIM_PR] = "pr",
};

static const struct scim_filter *scim_read_or(struct scim_reader *r, bool inside);

static const struct scim_filter *
scim_read_bad(struct scim_reader *r, const char *why)
{
	r->why = r->why ? r->why : why;
	return NULL;
}

static void
scim_blanks(struct scim_reader *r)
{
	while (r->rest.n && *r->rest.p == ' ')
		r->rest = slice_from(r->rest, 1);
}

static bool
scim_takes(struct scim_reader *r, char c)
{
	scim_blanks(r);
	if (!r->rest.n || *r->rest.p != c)
		return false;
	r->rest = slice_from(r->rest, 1);
	return true;
}

static bool
scim_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
scim_name_char(char c)
{
	return scim_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Takes a word when it stands there, with a blank or a bracket behind it. */
static bool
scim_takes_word(struct scim_reader *r, const char *word)
{
	size_t n = strlen(word);

	scim_blanks(r);
	if (!slice_istarts(r->rest, slice_str(word)) ||
	    (r->rest.n > n && r->rest.p[n] != ' ' && r->rest.p[n] != '('))
		return false;
	r->rest = slice_from(r->rest, n);
	return true;
}

/* ---- paths ------------------------------------------------------------------------------------- */

static bool
scim_name(struct slice s)
{
	if (s.n && *s.p == '$')
		s = slice_from(s, 1);
	for (size_t i = 0; i < s.n; i++)
		if (!scim_name_char(s.p[i]))
			return false;
	return s.n && scim_letter(*s.p);
}

int
scim_path_parse(struct slice text, struct scim_path *path, const char **why)
{
	size_t colon = slice_rfind(text, ':'), dot;
	struct slice name = colon < text.n ? slice_from(text, colon + 1) : text;

	*path = (struct scim_path){ .urn = colon < text.n ? slice_sub(text, 0, colon) : S("") };
	dot = slice_find(name, '.');
	path->attribute = slice_sub(name, 0, dot);
	path->sub = dot < name.n ? slice_from(name, dot + 1) : S("");
	*why = "a path is malformed";
	if (colon < text.n && !slice_istarts(text, S("urn:")))
		return -EBADMSG;
	for (size_t i = 0; i < path->urn.n; i++)
		if (!scim_name_char(path->urn.p[i]) && !strchr(":.", path->urn.p[i]))
			return -EBADMSG;
	return scim_name(path->attribute) && (dot == name.n || scim_name(path->sub)) ? 0 : -EBADMSG;
}

/* As far as characters of a path go. */
static bool
scim_read_path(struct scim_reader *r, struct scim_path *path)
{
	size_t n = 0;

	scim_blanks(r);
	while (n < r->rest.n &&
	    (scim_name_char(r->rest.p[n]) || r->rest.p[n] == ':' || r->rest.p[n] == '.' ||
		r->rest.p[n] == '$'))
		n++;
	if (scim_path_parse(slice_sub(r->rest, 0, n), path, &r->why) < 0)
		return false;
	r->why = NULL;
	r->rest = slice_from(r->rest, n);
	return true;
}

/* ---- values -------------------------------------------------------------------------------------- */

/* A text of JSON: json/ knows its escapes. */
static bool
scim_read_string(struct scim_reader *r, struct scim_filter *f)
{
	static const struct json_bounds bounds = { 65536, 1, 1 };
	struct json_t *v = NULL;
	struct slice text;
	size_t n = 1;
	bool good;

	while (n < r->rest.n && r->rest.p[n] != '"')
		n += r->rest.p[n] == '\\' ? 2 : 1;
	if (n >= r->rest.n)
		return scim_read_bad(r, "a text has no end");
	good = json_read(slice_sub(r->rest, 0, n + 1), &bounds, &v, &r->why) == 0 &&
	    json_get_str(v, &text);
	if (good) {
		f->literal = SCIM_STRING;
		f->value = arena_slice(r->memory, text);
		r->rest = slice_from(r->rest, n + 1);
	}
	json_free(&v);
	return good;
}

/* -1.5e3 and the like; a bare word is none. */
static bool
scim_number(struct slice s)
{
	static const struct json_bounds bounds = { 64, 1, 1 };
	struct json_t *v = NULL;
	const char *why;
	bool good = json_read(s, &bounds, &v, &why) == 0 &&
	    (json_is(v, JSON_KIND_INT) || json_is(v, JSON_KIND_REAL));

	json_free(&v);
	return good;
}

static bool
scim_read_value(struct scim_reader *r, struct scim_filter *f)
{
	size_t n = 0;

	scim_blanks(r);
	if (r->rest.n && *r->rest.p == '"')
		return scim_read_string(r, f);
	while (n < r->rest.n && !strchr(" )]", r->rest.p[n]))
		n++;
	f->value = slice_sub(r->rest, 0, n);
	if (slice_eq(f->value, S("true")))
		f->literal = SCIM_TRUE;
	else if (slice_eq(f->value, S("false")))
		f->literal = SCIM_FALSE;
	else if (slice_eq(f->value, S("null")))
		f->literal = SCIM_NULL;
	else if (scim_number(f->value))
		f->literal = SCIM_NUMBER;
	else
		return scim_read_bad(r,
		    "a value is a text in quotes, a number, true, false or null");
	r->rest = slice_from(r->rest, n);
	return true;
}

/* ---- tests ----------------------------------------------------------------------------------------- */

static struct scim_filter *
scim_node(struct scim_reader *r, enum scim_node node, const struct scim_filter *left,
    const struct scim_filter *right)
{
	struct scim_filter *f = arena_new(r->memory, sizeof(*f));

	f->node = node;
	f->left = left;
	f->right = right;
	return f;
}

static const struct scim_filter *
scim_read_test(struct scim_reader *r, bool inside)
{
	struct scim_filter *f = scim_node(r, SCIM_TEST, NULL, NULL);

	if (++r->tests > SCIM_FILTER_TESTS)
		return scim_read_bad(r, "it has too many tests");
	if (!scim_read_path(r, &f->path))
		return NULL;
	if (r->rest.n && *r->rest.p == '[') {
		if (inside || f->path.sub.n)
			return scim_read_bad(r, "brackets cannot be there");
		r->rest = slice_from(r->rest, 1);
		f->node = SCIM_VALUES;
		f->left = scim_read_or(r, true);
		return !f->left        ? NULL :
		    scim_takes(r, ']') ? f :
					 scim_read_bad(r, "a ] is missing");
	}
	for (size_t i = 0; i < NELEM(ops); i++) {
		if (!scim_takes_word(r, ops[i]) &&
		    /* pr may be the last, before a bracket */
		    !(i == SCIM_PR && slice_istarts(r->rest, S("pr")) && r->rest.n > 2 &&
			strchr(")]", r->rest.p[2]) && (r->rest = slice_from(r->rest, 2), true)))
			continue;
		f->op = (enum scim_op)i;
		return i == SCIM_PR || scim_read_value(r, f) ? f : NULL;
	}
	return scim_read_bad(r, "one of eq ne co sw ew gt ge lt le pr is expected");
}

static const struct scim_filter *
scim_read_unit(struct scim_reader *r, bool inside)
{
	struct slice before = r->rest;
	bool negated = scim_takes_word(r, "not");
	const struct scim_filter *f;

	if (!scim_takes(r, '(')) {
		r->rest = before; /* an attribute may be called so */
		return scim_read_test(r, inside);
	}
	if (++r->depth > SCIM_FILTER_DEPTH)
		return scim_read_bad(r, "it has too many brackets in each other");
	f = scim_read_or(r, inside);
	r->depth--;
	if (!f || !scim_takes(r, ')'))
		return scim_read_bad(r, "a ) is missing");
	return negated ? scim_node(r, SCIM_NOT, f, NULL) : f;
}

static const struct scim_filter *
scim_read_and(struct scim_reader *r, bool inside)
{
	const struct scim_filter *f = scim_read_unit(r, inside), *right;

	while (f && scim_takes_word(r, "and")) {
		right = scim_read_unit(r, inside);
		f = right ? scim_node(r, SCIM_AND, f, right) : NULL;
	}
	return f;
}

static const struct scim_filter *
scim_read_or(struct scim_reader *r, bool inside)
{
	const struct scim_filter *f = scim_read_and(r, inside), *right;

	while (f && scim_takes_word(r, "or")) {
		right = scim_read_and(r, inside);
		f = right ? scim_node(r, SCIM_OR, f, right) : NULL;
	}
	return f;
}

int
scim_filter_parse(struct slice text, struct arena *a, const struct scim_filter **f,
    const char **why)
{
	struct scim_reader r = { .rest = text, .memory = a };

	*f = scim_read_or(&r, false);
	scim_blanks(&r);
	if (*f && r.rest.n)
		*f = scim_read_bad(&r, "something stands behind its end");
	*why = r.why ? r.why : "it is malformed";
	return *f ? 0 : -EBADMSG;
}

int
scim_target_parse(struct slice text, struct arena *a, struct scim_path *path,
    const struct scim_filter **f, const char **why)
{
	struct scim_reader r = { .rest = text, .memory = a };

	*f = NULL;
	*why = "a path is malformed";
	if (slice_find(text, '[') == text.n)
		return scim_path_parse(text, path, why);
	if (!scim_read_path(&r, path) || path->sub.n || !scim_takes(&r, '['))
		return -EBADMSG;
	*f = scim_read_or(&r, true);
	if (!*f || !scim_takes(&r, ']')) {
		*why = r.why ? r.why : "a ] is missing";
		return -EBADMSG;
	}
	if (r.rest.n && *r.rest.p == '.')
		path->sub = slice_from(r.rest, 1);
	return !r.rest.n || scim_name(path->sub) ? 0 : -EBADMSG;
}

/* ---- back to a text ------------------------------------------------------------------------------------ */

static void
scim_path_write(struct buf *b, const struct scim_path *p)
{
	buf_slice(b, p->urn);
	if (p->urn.n)
		buf_char(b, ':');
	buf_slice(b, p->attribute);
	if (p->sub.n)
		buf_char(b, '.');
	buf_slice(b, p->sub);
}

void
scim_filter_write(struct buf *b, const struct scim_filter *f)
{
	switch (f->node) {
	case SCIM_AND:
	case SCIM_OR:
		buf_char(b, '(');
		scim_filter_write(b, f->left);
		buf_str(b, f->node == SCIM_AND ? " and " : " or ");
		scim_filter_write(b, f->right);
		buf_char(b, ')');
		return;
	case SCIM_NOT:
		buf_lit(b, "not (");
		scim_filter_write(b, f->left);
		buf_char(b, ')');
		return;
	case SCIM_VALUES:
		scim_path_write(b, &f->path);
		buf_char(b, '[');
		scim_filter_write(b, f->left);
		buf_char(b, ']');
		return;
	case SCIM_TEST: break;
	}
	scim_path_write(b, &f->path);
	buf_printf(b, " %s", ops[f->op]);
	if (f->op == SCIM_PR)
		return;
	buf_char(b, ' ');
	if (f->literal == SCIM_STRING)
		json_str(b, f->value);
	else
		buf_slice(b, f->value);
}
