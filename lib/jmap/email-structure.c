/* email-structure.c: RFC 8621 4.1.4's algorithm over a MIME tree.
 *
 * Called once for each message whose bodies, attachments or hasAttachment are asked for, on the loop or on
 * the pool.  Nothing can fail: mime.h's bounds make of any message a tree of at most MIME_PARTS_MAX parts
 * and MIME_DEPTH_MAX levels, which is how deep this recurses.  What must stay true: the lists are those that
 * the RFC's own code makes, in its order; ids do not depend on what was asked for, since they are parts of
 * blob ids that clients keep. */
#include "jmap/email-impl.h"

/* ---- the parts ------------------------------------------------------------------------------------- */

static struct slice
structure_type(const struct mime_part *p, struct arena *a)
{
	char *dst = arena_new(a, p->type.n + 1 + p->subtype.n);
	size_t n = 0;

	for (size_t i = 0; i < p->type.n; i++)
		dst[n++] = ascii_lower(p->type.p[i]);
	dst[n++] = '/';
	for (size_t i = 0; i < p->subtype.n; i++)
		dst[n++] = ascii_lower(p->subtype.p[i]);
	return slice(dst, n);
}

static struct slice
structure_name(const struct mime_part *p, struct arena *a)
{
	struct slice name;

	if (param_get(&p->dparams, S("filename"), a, &name) ||
	    param_get(&p->params, S("name"), a, &name))
		return name;
	return slice(NULL, 0);
}

static struct jmap_part *
structure_part(struct jmap_structure_build *b, const struct mime_part *mime,
    struct jmap_part *parent)
{
	struct jmap_part *p = arena_new(b->a, sizeof(*p));

	p->mime = mime;
	p->parent = parent;
	p->type = structure_type(mime, b->a);
	p->name = structure_name(mime, b->a);
	p->attachment = slice_ieq(mime->disposition, S("attachment"));
	p->inlined = slice_ieq(mime->disposition, S("inline"));
	p->multipart = mime->kind == MIME_MULTIPART;
	if (mime->kind != MIME_MULTIPART) {
		b->s->all.p[b->s->all.n++] = p;
		p->id = (uint32_t)b->s->all.n;
	}
	return p;
}

/* Parents before children, as they stand in the message. */
static struct jmap_part *
structure_tree(struct jmap_structure_build *b, const struct mime_part *mime,
    struct jmap_part *parent)
{
	struct jmap_part *p = structure_part(b, mime, parent), **end = &p->child;

	if (mime->kind == MIME_MULTIPART)
		for (const struct mime_part *c = mime->child; c; c = c->next) {
			*end = structure_tree(b, c, p);
			end = &(*end)->next;
		}
	return p;
}

/* ---- the lists, 4.1.4 ---------------------------------------------------------------------------------- */

/* A list, or none where the RFC's code has null: "nothing more goes there". */
struct structure_lists {
	struct jmap_parts *text, *html;
};

static void
parts_push(struct jmap_parts *list, struct jmap_part *p)
{
	if (list)
		list->p[list->n++] = p;
}

static bool
part_is(const struct jmap_part *p, struct slice type)
{
	return slice_eq(p->type, type);
}

/* isInlineMediaType */
static bool
part_is_media(const struct jmap_part *p)
{
	return slice_starts(p->type, S("image/")) || slice_starts(p->type, S("audio/")) ||
	    slice_starts(p->type, S("video/"));
}

/* isInline: a part of the body rather than an attachment. */
static bool
part_is_body(const struct jmap_part *p, bool first, bool related)
{
	if (p->attachment ||
	    !(part_is(p, S("text/plain")) || part_is(p, S("text/html")) || part_is_media(p)))
		return false;
	return first || (!related && (part_is_media(p) || !p->name.p));
}

/* One part of the body, which is of the multipart `in` or below an alternative. */
static void
structure_body(struct jmap_structure_build *b, struct jmap_part *p, bool alternative, bool within,
    struct structure_lists *to)
{
	struct jmap_parts *attachments = &b->s->attachments;

	if (alternative) {
		if (part_is(p, S("text/plain")))
			parts_push(to->text, p);
		else if (part_is(p, S("text/html")))
			parts_push(to->html, p);
		else
			parts_push(attachments, p);
		return;
	}
	if (within && part_is(p, S("text/plain")))
		to->html = NULL;
	if (within && part_is(p, S("text/html")))
		to->text = NULL;
	parts_push(to->text, p);
	parts_push(to->html, p);
	if ((!to->text || !to->html) && part_is_media(p))
		parts_push(attachments, p);
}

/* An alternative of one kind only shows that as the other too. */
static void
structure_fill(struct structure_lists *to, size_t ntext, size_t nhtml)
{
	size_t text = to->text->n, html = to->html->n;

	if (ntext == text && nhtml != html)
		for (size_t i = nhtml; i < html; i++)
			parts_push(to->text, to->html->p[i]);
	if (nhtml == html && ntext != text)
		for (size_t i = ntext; i < text; i++)
			parts_push(to->html, to->text->p[i]);
}

/* parseStructure, for the parts from `first` on.  `to` is a copy, as the RFC's parameters are: what a level
 * sets to null, only it and those below it do without. */
static void
structure_lists(struct jmap_structure_build *b, struct jmap_part *first, struct slice subtype,
    bool within, struct structure_lists to)
{
	bool alternative = slice_eq(subtype, S("alternative"));
	size_t ntext = to.text ? to.text->n : 0, nhtml = to.html ? to.html->n : 0;

	for (struct jmap_part *p = first; p; p = p->next) {
		if (p->multipart) {
			struct slice sub = slice_from(p->type, S("multipart/").n);

			structure_lists(b, p->child, sub, within || slice_eq(sub, S("alternative")),
			    to);
		} else if (part_is_body(p, p == first, slice_eq(subtype, S("related")))) {
			structure_body(b, p, alternative, within, &to);
		} else {
			parts_push(&b->s->attachments, p);
		}
	}
	if (alternative && to.text && to.html)
		structure_fill(&to, ntext, nhtml);
}

void
jmap_structure_sort(struct jmap_structure_build *b, size_t parts)
{
	struct jmap_structure *s = b->s;
	struct jmap_parts *const lists[] = { &s->text, &s->html, &s->attachments };

	/* a part comes into each list once: into one of its own kind, or by structure_fill, which
	 * leaves nothing to fill for the levels above */
	for (size_t i = 0; i < NELEM(lists); i++)
		lists[i]->p = arena_array(b->a, parts, sizeof(*lists[i]->p));
	structure_lists(b, s->root, S("mixed"), false,
	    (struct structure_lists){ &s->text, &s->html });
	for (size_t i = 0; i < s->text.n; i++)
		s->text.p[i]->in_text = true;
	for (size_t i = 0; i < s->html.n; i++)
		s->html.p[i]->in_html = true;
}

void
jmap_structure_make(const struct mime *m, struct arena *a, struct jmap_structure *s)
{
	struct jmap_structure_build b = { .s = s, .a = a };

	*s = (struct jmap_structure){ .mime = m };
	s->all.p = arena_array(a, m->nparts, sizeof(*s->all.p));
	s->root = structure_tree(&b, m->root, NULL);
	jmap_structure_sort(&b, m->nparts);
}

/* ---- questions ------------------------------------------------------------------------------------------ */

bool
jmap_structure_has_attachment(const struct jmap_structure *s)
{
	for (size_t i = 0; i < s->attachments.n; i++) {
		const struct jmap_part *p = s->attachments.p[i];

		if (!p->inlined && !part_is(p, S("application/pgp-signature")) &&
		    !part_is(p, S("application/pkcs7-signature")) &&
		    !part_is(p, S("application/x-pkcs7-signature")))
			return true;
	}
	return false;
}

struct jmap_part *
jmap_structure_find(const struct jmap_structure *s, struct slice id)
{
	uint64_t n;

	if (id.n == 0 || id.p[0] == '0' || slice_u64(id, s->all.n, &n) < 0)
		return NULL;
	return s->all.p[n - 1];
}

bool
jmap_part_is_text(const struct jmap_part *p)
{
	return slice_starts(p->type, S("text/"));
}

struct slice
jmap_part_charset(const struct jmap_part *p)
{
	struct slice charset;

	if (param_find(&p->mime->params, S("charset"), &charset) && charset.n > 0)
		return charset;
	return jmap_part_is_text(p) ? S("us-ascii") : slice(NULL, 0);
}
