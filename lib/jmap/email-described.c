/* email-described.c: the parts of a message from its BODYSTRUCTURE (RFC 3501 7.4.2), so that a question that is asked
 * of 100,000 messages needs no file of theirs.  See email-structure.h.
 *
 * The lists are made by the same code as those of a tree (email-structure.c), so the two cannot say different
 * things of a message.  The text is our own digest's, but it lies on disk: depth is bounded, and what cannot be
 * read is -EBADMSG. */
#include <errno.h>
#include "jmap/email-impl.h"

#define DEPTH 128 /* more than MIME_DEPTH_MAX */

enum described_kind { DESCRIBED_ATOM, DESCRIBED_STRING, DESCRIBED_LIST };
/* A list without its parentheses, a string without its quotes (escapes stay) or as its literal has it. */
struct described {
	enum described_kind kind;
	struct slice text;
};

/* Octets of the string that begins the text, its quotes or its head included; 0: it has no end. */
static size_t
described_string(struct slice s, struct slice *text)
{
	size_t end;
	uint64_t n;

	if (s.p[0] == '"') {
		for (end = 1; end < s.n && s.p[end] != '"'; end++)
			end += s.p[end] == '\\';
		*text = slice_sub(s, 1, end - 1);
		return end < s.n ? end + 1 : 0;
	}
	end = slice_find(s, '}');
	if (end + 3 > s.n || slice_u64(slice_sub(s, 1, end - 1), UINT32_MAX, &n) < 0 ||
	    n > s.n - end - 3)
		return 0;
	*text = slice_sub(s, end + 3, (size_t)n); /* behind CRLF */
	return end + 3 + (size_t)n;
}

static size_t
described_list(struct slice s)
{
	struct slice text;
	size_t depth = 0, i = 0, n;

	do {
		n = 1;
		if (s.p[i] == '"' || s.p[i] == '{')
			n = described_string(slice_from(s, i), &text);
		else if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')')
			depth--;
		i += n;
	} while (n && depth && i < s.n);
	return n && !depth ? i : 0;
}

/* Takes one element off. */
static bool
described_next(struct slice *s, struct described *e)
{
	size_t n = 0;

	while (s->n && s->p[0] == ' ')
		*s = slice_from(*s, 1);
	if (s->n == 0 || s->p[0] == ')')
		return false;
	if (s->p[0] == '(') {
		n = described_list(*s);
		*e = (struct described){ DESCRIBED_LIST, slice_sub(*s, 1, n ? n - 2 : 0) };
	} else if (s->p[0] == '"' || s->p[0] == '{') {
		e->kind = DESCRIBED_STRING;
		n = described_string(*s, &e->text);
	} else {
		while (n < s->n && !strchr(" ()\"", s->p[n]))
			n++;
		*e = (struct described){ DESCRIBED_ATOM, slice_sub(*s, 0, n) };
	}
	*s = slice_from(*s, n);
	return n;
}

/* A parameter of that name, or a piece of one (RFC 2231 3). */
static bool
described_param(const struct described *list, struct slice name)
{
	struct slice in = list->kind == DESCRIBED_LIST ? list->text : S("");
	struct described key, value;

	while (described_next(&in, &key) && described_next(&in, &value))
		if (slice_istarts(key.text, name) &&
		    (key.text.n == name.n || key.text.p[name.n] == '*'))
			return true;
	return false;
}

static struct slice
described_type(struct arena *a, struct slice type, struct slice subtype)
{
	char *dst = arena_new(a, type.n + 1 + subtype.n);
	size_t n = 0;

	for (size_t i = 0; i < type.n; i++)
		dst[n++] = ascii_lower(type.p[i]);
	dst[n++] = '/';
	for (size_t i = 0; i < subtype.n; i++)
		dst[n++] = ascii_lower(subtype.p[i]);
	return slice(dst, n);
}

/* ("attachment" ("filename" "x")) */
static void
described_disposition(const struct described *e, struct jmap_part *p)
{
	struct slice in = e->kind == DESCRIBED_LIST ? e->text : S("");
	struct described word, params = { 0 };

	if (!described_next(&in, &word))
		return;
	(void)described_next(&in, &params);
	p->attachment = slice_ieq(word.text, S("attachment"));
	p->inlined = slice_ieq(word.text, S("inline"));
	if (described_param(&params, S("filename")))
		p->name = S("");
}

static bool
described_skip(struct slice *in, struct described *e, unsigned n)
{
	while (n-- > 0)
		if (!described_next(in, e))
			return false;
	return true;
}

/* Behind type and subtype: parameters, id, description, encoding, size; lines of text, and the envelope, body and
 * lines of a message, when it could be looked into; MD5; then the disposition. */
static bool
described_single(struct slice in, struct jmap_part *p)
{
	struct described e;
	bool good;

	if (!described_next(&in, &e))
		return false;
	if (described_param(&e, S("name")))
		p->name = S("");
	good = described_skip(&in, &e, 5);
	if (good && e.kind == DESCRIBED_LIST && slice_eq(p->type, S("message/rfc822")))
		good = described_skip(&in, &e, 3);
	else if (good && slice_starts(p->type, S("text/")))
		good = described_next(&in, &e);
	if (good && described_next(&in, &e))
		described_disposition(&e, p);
	return good;
}

static struct jmap_part *
described_part(struct jmap_structure_build *b, struct slice in, struct jmap_part *parent,
    unsigned depth)
{
	struct jmap_part *p = arena_new(b->a, sizeof(*p)), **end = &p->child;
	struct described e = { 0 }, subtype;

	p->parent = parent;
	if (depth == DEPTH || !described_next(&in, &e))
		return NULL;
	p->multipart = e.kind == DESCRIBED_LIST;
	for (; e.kind == DESCRIBED_LIST; end = &(*end)->next) {
		*end = described_part(b, e.text, p, depth + 1);
		if (!*end || !described_next(&in, &e))
			return NULL;
	}
	b->s->all.n += !p->multipart;
	if (p->multipart) {
		p->type = described_type(b->a, S("multipart"), e.text);
		return p;
	}
	if (!described_next(&in, &subtype))
		return NULL;
	p->type = described_type(b->a, e.text, subtype.text);
	return described_single(in, p) ? p : NULL;
}

int
jmap_structure_read(struct slice bodystructure, struct arena *a, struct jmap_structure *s)
{
	struct jmap_structure_build b = { .s = s, .a = a };
	struct described all;

	*s = (struct jmap_structure){ 0 };
	if (!described_next(&bodystructure, &all) || all.kind != DESCRIBED_LIST)
		return -EBADMSG;
	s->root = described_part(&b, all.text, NULL, 0);
	if (!s->root)
		return -EBADMSG;
	jmap_structure_sort(&b, s->all.n);
	s->all.n = 0; /* they have no ids, and cannot be found */
	return 0;
}
