/* mime.c: builds the tree in one pass over the lines.
 *
 * The parts that are open form a chain from the root to `cur`; the multiparts among them whose
 * last boundary has not come stand on `stack`.  A line is looked at for boundaries (only when
 * it begins with "--"), for the empty line that ends a header, and is otherwise only counted.
 * A boundary closes the chain up to its multipart; each part is closed once. */
#include "base/scan.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/token.h"

#define BOUNDARY_MAX 200 /* RFC 2046 5.1.1 says 70 */

struct build {
	struct mime *m;
	struct arena *a;
	struct mime_part *cur; /* the deepest open part */
	bool in_header;        /* of cur */
	size_t lf;             /* line ends before the current position */
	size_t depth;          /* multiparts on the stack */
	struct {
		struct mime_part *part;
		struct slice boundary;
	} stack[MIME_DEPTH_MAX + 1];
	uint32_t hashes[MIME_DEPTH_MAX + 1]; /* of the boundaries on the stack */
};

static uint32_t
boundary_hash(struct slice s)
{
	return (uint32_t)slice_hash(s);
}

static void
set_type(struct mime_part *p, struct slice type, struct slice subtype)
{
	p->type = type;
	p->subtype = subtype;
}

static void
set_plain(struct mime_part *p)
{
	set_type(p, S("text"), S("plain"));
	p->params = (struct param_list){ 0 };
}

/* What a limit keeps from being looked into. */
static void
set_opaque(struct build *b, struct mime_part *p)
{
	set_type(p, S("application"), S("octet-stream"));
	b->m->cut = true;
}

static struct mime_part *
add_part(struct build *b, struct mime_part *parent, size_t at)
{
	struct mime_part *p = arena_new(b->a, sizeof(*p)), **end;

	p->parent = parent;
	p->header_at = p->body_at = at;
	if (parent) {
		p->depth = parent->depth + 1;
		/* `next` of a multipart still open points to its last child: see close_part */
		if (parent->nchild++ == 0) {
			parent->child = p;
		} else {
			end = &parent->next->next;
			*end = p;
		}
		parent->next = p;
	}
	b->m->nparts++;
	return p;
}

static void
begin_header(struct build *b, struct mime_part *parent, size_t at)
{
	b->cur = add_part(b, parent, at);
	b->in_header = true;
}

/* ---- the header of a part --------------------------------------------------------------- */

static void
content_type(struct build *b, struct mime_part *p, struct slice v)
{
	struct slice type, subtype;

	type = token_take(&v);
	if (!token_char(&v, '/'))
		return;
	subtype = token_take(&v);
	if (type.n == 0 || subtype.n == 0)
		return;
	set_type(p, type, subtype);
	param_list_parse(v, b->a, &p->params);
}

static void
content_field(struct build *b, struct mime_part *p, struct slice name, struct slice value)
{
	struct slice v = header_unfold(value, b->a), *plain = NULL;

	if (slice_ieq(name, S("Type"))) {
		if (p->type.n == 0) {
			set_plain(p); /* stays when it cannot be read */
			content_type(b, p, v);
		}
	} else if (slice_ieq(name, S("Transfer-Encoding"))) {
		if (p->encoding.n == 0)
			p->encoding = token_take(&v);
	} else if (slice_ieq(name, S("Disposition"))) {
		if (p->disposition.n == 0 && (p->disposition = token_take(&v)).n > 0)
			param_list_parse(v, b->a, &p->dparams);
	} else if (slice_ieq(name, S("ID"))) {
		plain = &p->id;
	} else if (slice_ieq(name, S("Description"))) {
		plain = &p->description;
	} else if (slice_ieq(name, S("MD5"))) {
		plain = &p->md5;
	} else if (slice_ieq(name, S("Location"))) {
		plain = &p->location;
	} else if (slice_ieq(name, S("Language"))) {
		plain = &p->language;
	}
	if (plain && plain->n == 0)
		*plain = v;
}

static void
read_fields(struct build *b, struct mime_part *p)
{
	struct slice at = mime_header(b->m, p);
	struct header_field f;

	while (header_next(&at, &f))
		if (slice_istarts(f.name, S("Content-")))
			content_field(b, p, slice_from(f.name, 8), f.value);
	if (p->type.n == 0) {
		if (p->parent && mime_type_is(p->parent, S("multipart"), S("digest")))
			set_type(p, S("message"), S("rfc822"));
		else
			set_plain(p);
	}
}

static bool
encoding_is_identity(const struct mime_part *p)
{
	return p->encoding.n == 0 || slice_ieq(p->encoding, S("7bit")) ||
	    slice_ieq(p->encoding, S("8bit")) || slice_ieq(p->encoding, S("binary"));
}

static bool
room_below(const struct build *b, const struct mime_part *p)
{
	return p->depth + 1 < MIME_DEPTH_MAX && b->m->nparts < MIME_PARTS_MAX;
}

static void
open_multipart(struct build *b, struct mime_part *p)
{
	struct slice boundary;

	if (!param_find(&p->params, S("boundary"), &boundary))
		boundary = slice(NULL, 0);
	while (
	    boundary.n && (boundary.p[boundary.n - 1] == ' ' || boundary.p[boundary.n - 1] == '\t'))
		boundary.n--; /* no line can end with it */
	if (boundary.n == 0 || boundary.n > BOUNDARY_MAX) {
		set_plain(p);
		return;
	}
	if (!room_below(b, p)) {
		set_opaque(b, p);
		return;
	}
	p->kind = MIME_MULTIPART;
	b->stack[b->depth].part = p;
	b->hashes[b->depth] = boundary_hash(boundary);
	b->stack[b->depth++].boundary = boundary;
}

/* The header of cur ends, its body begins at `at`; a message inside begins at once. */
static void
end_header(struct build *b, size_t at)
{
	struct mime_part *p = b->cur;

	p->header_len = at - p->header_at;
	p->body_at = at;
	p->lines = b->lf; /* until close_part: line ends before the body */
	b->in_header = false;
	read_fields(b, p);
	if (slice_ieq(p->type, S("multipart"))) {
		open_multipart(b, p);
	} else if (mime_type_is(p, S("message"), S("rfc822")) ||
	    mime_type_is(p, S("message"), S("global"))) {
		if (!encoding_is_identity(p)) { /* not allowed, and not readable: RFC 2046 5.2.1 */
			set_type(p, S("application"), S("octet-stream"));
		} else if (!room_below(b, p)) {
			set_opaque(b, p);
		} else {
			p->kind = MIME_MESSAGE;
			begin_header(b, p, at);
		}
	}
}

/* ---- the ends of parts ------------------------------------------------------------------ */

/* The body of cur ends at `end`, before which there are `lf` line ends; cur becomes its
 * parent. */
static void
close_part(struct build *b, size_t end, size_t lf)
{
	struct mime_part *p = b->cur, *empty;

	if (end <= p->body_at) {
		p->body_len = p->lines = 0;
	} else {
		p->body_len = end - p->body_at;
		p->lines = lf - p->lines + (b->m->msg.p[end - 1] != '\n');
	}
	if (p->kind == MIME_MULTIPART && p->nchild == 0) {
		empty = add_part(b, p, p->body_at + p->body_len);
		set_plain(empty);
		empty->next = NULL;
	}
	p->next = NULL; /* was the last child; now the next sibling, set when it comes */
	b->cur = p->parent;
}

/* A line that begins with "--": which multipart on the stack does it belong to?  Innermost
 * first, so that of equal boundaries the innermost counts.  By hash: a quarter of a megabyte of
 * such lines below a hundred open multiparts took 200 ms when each was compared. */
static bool
match_boundary(const struct build *b, struct slice line, size_t *level, bool *last)
{
	struct slice shorter;
	uint32_t whole, closing;

	line = slice_from(line, 2);
	while (line.n &&
	    (line.p[line.n - 1] == ' ' || line.p[line.n - 1] == '\t' || line.p[line.n - 1] == '\r'))
		line.n--; /* transport padding */
	if (line.n > BOUNDARY_MAX + 2)
		return false;
	*last = slice_ends(line, S("--"));
	shorter = slice(line.p, *last ? line.n - 2 : line.n);
	whole = boundary_hash(line);
	closing = boundary_hash(shorter);
	for (size_t k = b->depth; k-- > 0;) {
		if (b->hashes[k] != whole && b->hashes[k] != closing)
			continue;
		*level = k;
		if (slice_eq(b->stack[k].boundary, line)) {
			*last = false;
			return true;
		}
		if (slice_eq(b->stack[k].boundary, shorter))
			return true; /* and the last one, since `shorter` is */
	}
	return false;
}

/* The boundary of stack[level] stands at `at`, its line ends at `next`. */
static void
take_boundary(struct build *b, size_t level, bool last, size_t at, size_t next)
{
	const char *p = b->m->msg.p;
	struct mime_part *multi = b->stack[level].part;
	size_t end = at, lf = b->lf;

	while (b->in_header)
		end_header(b, at);
	if (end > 0 && p[end - 1] == '\n') { /* the line end before it is the boundary's */
		end--;
		lf--;
		if (end > 0 && p[end - 1] == '\r')
			end--;
	}
	while (b->cur != multi)
		close_part(b, end, lf);
	b->depth = last ? level : level + 1;
	if (last)
		return; /* the epilogue, until an outer boundary comes */
	if (b->m->nparts >= MIME_PARTS_MAX)
		b->m->cut = true;
	else
		begin_header(b, multi, next);
}

/* From the line at `at` of a body over many that are no boundaries, to one that may be. */
static size_t
skip_lines(struct build *b, size_t at)
{
	struct slice s = slice_from(b->m->msg, at);
	size_t last;

	if (b->depth && s.p[0] == '-')
		return at;
	s.n = scan_lines(s, b->depth ? '-' : '\0', &b->lf);
	last = slice_rfind(s, '\n');
	return last < s.n ? at + last + 1 : at;
}

void
mime_parse(struct slice msg, struct arena *a, struct mime *m)
{
	struct build b = { .m = m, .a = a };
	size_t at = 0, level;
	bool last;

	*m = (struct mime){ .msg = msg };
	begin_header(&b, NULL, 0);
	m->root = b.cur;
	while (at < msg.n) {
		const char *line, *lf;
		size_t next, len;

		if (!b.in_header)
			at = skip_lines(&b, at);
		line = msg.p + at;
		lf = memchr(line, '\n', msg.n - at);
		next = lf ? (size_t)(lf - msg.p) + 1 : msg.n;
		len = next - at - (lf ? 1 : 0);
		if (b.depth && len > 2 && line[0] == '-' && line[1] == '-' &&
		    match_boundary(&b, slice(line, len), &level, &last)) {
			take_boundary(&b, level, last, at, next);
			b.lf += !!lf;
		} else {
			b.lf += !!lf;
			if (b.in_header && lf && (len == 0 || (len == 1 && *line == '\r')))
				end_header(&b, next);
		}
		at = next;
	}
	while (b.in_header)
		end_header(&b, msg.n);
	while (b.cur)
		close_part(&b, msg.n, b.lf);
}
