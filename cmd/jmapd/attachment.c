/* jmapd/attachment.c: hasAttachment from a BODYSTRUCTURE (RFC 3501 7.4.2), so that a list of emails needs no
 * files.
 *
 * The rules are those of RFC 8621 4.1.4: what is no body part is an attachment, and one that is inline does
 * not count.  The text is our own digest's, but it lies on disk: depth is bounded, and what cannot be read
 * is nothing. */
#include <errno.h>
#include "filter.h"

#define DEPTH 64

struct attachment_part {
	struct slice type, subtype;
	bool attached, inlined, named;
};

static void
attachment_skip(struct slice *s)
{
	while (s->n && s->p[0] == ' ')
		*s = slice_from(*s, 1);
}

/* Takes one element off: a string without its quotes, an atom, or a list with its parentheses. */
static bool
attachment_element(struct slice *s, struct slice *e)
{
	size_t i = 0, depth = 0;

	attachment_skip(s);
	if (s->n == 0 || s->p[0] == ')')
		return false;
	do {
		char c = s->p[i];

		if (c == '"') {
			for (i++; i < s->n && s->p[i] != '"'; i++)
				i += s->p[i] == '\\';
			i++;
		} else if (c == '(' || c == ')') {
			if (c == '(')
				depth++;
			else
				depth--;
			i++;
		} else if (depth) {
			i++;
		} else {
			while (i < s->n && !strchr(" ()\"", s->p[i]))
				i++;
		}
	} while (depth > 0 && i < s->n);
	if (i > s->n || depth > 0)
		return false;
	*e = slice_sub(*s, 0, i);
	*s = slice_from(*s, i);
	if (e->n >= 2 && e->p[0] == '"')
		*e = slice_sub(*e, 1, e->n - 2);
	return true;
}

static struct slice
attachment_inside(struct slice list)
{
	return list.n >= 2 && list.p[0] == '(' ? slice_sub(list, 1, list.n - 2) : S("");
}

/* ("attachment" ("filename" "x")) */
static void
attachment_disposition(struct slice list, struct attachment_part *p)
{
	struct slice in = attachment_inside(list), word = S(""), params = S(""), name, value;

	(void)attachment_element(&in, &word);
	(void)attachment_element(&in, &params);
	p->attached = slice_ieq(word, S("attachment"));
	p->inlined = slice_ieq(word, S("inline"));
	in = attachment_inside(params);
	while (attachment_element(&in, &name) && attachment_element(&in, &value))
		p->named = p->named || slice_istarts(name, S("filename"));
}

/* What follows type and subtype: 5 elements, those of text and of messages, md5, and the disposition. */
static void
attachment_single(struct slice in, struct attachment_part *p)
{
	unsigned skip = 5;
	struct slice e = S(""), params, name, value;

	if (slice_ieq(p->type, S("text")))
		skip = 6;
	else if (slice_ieq(p->type, S("message")) && slice_ieq(p->subtype, S("rfc822")))
		skip = 8;
	if (!attachment_element(&in, &e))
		return;
	params = attachment_inside(e);
	while (attachment_element(&params, &name) && attachment_element(&params, &value))
		p->named = p->named || slice_istarts(name, S("name"));
	for (unsigned i = 1; i <= skip; i++)
		if (!attachment_element(&in, &e))
			return;
	if (attachment_element(&in, &e))
		attachment_disposition(e, p);
}

static bool
attachment_media(const struct attachment_part *p)
{
	return slice_ieq(p->type, S("image")) || slice_ieq(p->type, S("audio")) ||
	    slice_ieq(p->type, S("video"));
}

static bool
attachment_is_text(const struct attachment_part *p)
{
	return slice_ieq(p->type, S("text")) &&
	    (slice_ieq(p->subtype, S("plain")) || slice_ieq(p->subtype, S("html")));
}

/* A signature is not fetched by people. */
static bool
attachment_signature(const struct attachment_part *p)
{
	return slice_ieq(p->subtype, S("pgp-signature")) ||
	    slice_ieq(p->subtype, S("pkcs7-signature")) ||
	    slice_ieq(p->subtype, S("x-pkcs7-signature"));
}

static bool attachment_walk(struct slice list, struct slice within, size_t place, unsigned depth);

static bool
attachment_leaf(const struct attachment_part *p, struct slice within, size_t place)
{
	bool body = !p->attached && (attachment_is_text(p) || attachment_media(p)) &&
	    (place == 0 ||
		(!slice_ieq(within, S("related")) && (attachment_media(p) || !p->named)));

	if (p->inlined || attachment_signature(p))
		return false;
	return !body || (slice_ieq(within, S("alternative")) && !attachment_is_text(p));
}

static bool
attachment_multipart(struct slice in, unsigned depth)
{
	struct slice rest = in, e, subtype = S("");
	size_t place = 0;

	while (attachment_element(&rest, &e))
		if (e.n && e.p[0] != '(') {
			subtype = e;
			break;
		}
	rest = in;
	while (attachment_element(&rest, &e) && e.n && e.p[0] == '(')
		if (attachment_walk(e, subtype, place++, depth + 1))
			return true;
	return false;
}

static bool
attachment_walk(struct slice list, struct slice within, size_t place, unsigned depth)
{
	struct slice in = attachment_inside(list);
	struct attachment_part p = { 0 };

	if (depth > DEPTH || in.n == 0)
		return false;
	if (in.p[0] == '(')
		return attachment_multipart(in, depth);
	if (!attachment_element(&in, &p.type) || !attachment_element(&in, &p.subtype))
		return false;
	attachment_single(in, &p);
	return attachment_leaf(&p, within, place);
}

int
attachment_in(struct slice structure)
{
	if (structure.n == 0)
		return -ENODATA;
	return attachment_walk(structure, S("mixed"), 0, 0);
}
