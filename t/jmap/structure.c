/* textBody, htmlBody, attachments and hasAttachment: RFC 8621 4.1.4's algorithm.
 *
 * A message is written as its tree: m, a, r are multipart/mixed, /alternative and /related with their parts in
 * brackets; p text/plain, h text/html, i image/jpeg, x application/x-excel, f message/rfc822, c text/calendar,
 * s application/pgp-signature; "-" behind a part is Content-Disposition inline, "+" attachment, "=" a name.
 * Parts are told by their ids, which are numbers in the order of the leaves. */
#include "../tap.h"
#include "imap/structure.h"
#include "jmap/email-structure.h"

static struct buf msg, out;
static struct arena arena;

static const char *
type_of(char c)
{
	switch (c) {
	case 'm': return "multipart/mixed";
	case 'a': return "multipart/alternative";
	case 'r': return "multipart/related";
	case 'p': return "text/plain";
	case 'h': return "Text/HTML";
	case 'i': return "image/jpeg";
	case 'x': return "application/x-excel";
	case 'f': return "message/rfc822";
	case 'c': return "text/calendar";
	default: return "application/pgp-signature";
	}
}

static const char *
put_part(const char *s, unsigned depth)
{
	char c = *s++;
	const char *disposition = *s == '-' ? "inline" : "attachment";
	bool disposed = *s == '-' || *s == '+';

	buf_printf(&msg, "Content-Type: %s; boundary=b%u", type_of(c), depth);
	s += disposed;
	if (*s == '=') {
		buf_str(&msg, "; name=n");
		s++;
	}
	buf_str(&msg, "\r\n");
	if (disposed)
		buf_printf(&msg, "Content-Disposition: %s\r\n", disposition);
	buf_str(&msg, c == 'f' ? "\r\nSubject: in\r\n\r\nx\r\n" : "\r\nx\r\n");
	if (*s != '(')
		return s;
	for (s++; *s != ')';) {
		buf_printf(&msg, "--b%u\r\n", depth);
		s = put_part(s, depth + 1);
	}
	buf_printf(&msg, "--b%u--\r\n", depth);
	return s + 1;
}

static void
put_list(const char *name, const struct jmap_parts *l)
{
	buf_printf(&out, "%s", name);
	for (size_t i = 0; i < l->n; i++)
		buf_printf(&out, "%s%u", i ? "," : "", l->p[i]->id);
}

static const char *
lists(const char *tree, struct jmap_structure *s)
{
	struct mime *m;

	arena_reset(&arena);
	buf_clear(&msg);
	buf_clear(&out);
	(void)put_part(tree, 0);
	m = arena_new(&arena, sizeof(*m));
	mime_parse(buf_get(&msg), &arena, m);
	jmap_structure_make(m, &arena, s);
	put_list("", &s->text);
	put_list(" / ", &s->html);
	put_list(" / ", &s->attachments);
	return buf_cstr(&out);
}

static const struct {
	const char *tree, *want, *what;
	/* clang-format off */
} cases[] = {
	{ "m(p-m(a(m(p-i-p-)r(hi))i+xf)p-)", "1,2,3,4,10 / 1,5,10 / 3,6,7,8,9", "the RFC's example" },
	{ "p", "1 / 1 / ", "text alone" },
	{ "h", "1 / 1 / ", "HTML alone" },
	{ "i", "1 / 1 / ", "a picture alone" },
	{ "i+", " /  / 1", "a picture that is an attachment" },
	{ "x", " /  / 1", "an attachment alone" },
	{ "p+", " /  / 1", "text that is an attachment" },
	{ "p=", "1 / 1 / ", "text with a name, and first" },
	{ "f", " /  / 1", "a message alone" },
	{ "a(ph)", "1 / 2 / ", "alternatives" },
	{ "a(p)", "1 / 1 / ", "only text in them" },
	{ "a(h)", "1 / 1 / ", "only HTML in them" },
	{ "a(phc)", "1 / 2 / 3", "a third alternative" },
	{ "a(pr(hii))", "1 / 2 / 3,4", "pictures of the HTML" },
	{ "r(hi)", "1 / 1 / 2", "related alone" },
	{ "r(a(ph)i)", "1 / 2 / 3", "alternatives in related" },
	{ "r(ih)", "1 / 1 / 2", "related that begins with a picture" },
	{ "m(ph)", "1,2 / 1,2 / ", "text and HTML one after the other" },
	{ "m(pp=)", "1 / 1 / 2", "text with a name, and not first" },
	{ "m(pp-=)", "1 / 1 / 2", "the same, although inline" },
	{ "m(pi)", "1,2 / 1,2 / ", "a picture in the text" },
	{ "m(pi=)", "1,2 / 1,2 / ", "the same with a name" },
	{ "m(pi+)", "1 / 1 / 2", "a picture beside it" },
	{ "m(px)", "1 / 1 / 2", "text and an attachment" },
	{ "m(xp)", "2 / 2 / 1", "the attachment first" },
	{ "m(a(ph)x)", "1 / 2 / 3", "alternatives and an attachment" },
	{ "m(a(pr(hi))x)", "1 / 2 / 3,4", "related in alternative in mixed" },
	{ "m(r(a(ph)i)x)", "1 / 2 / 3,4", "alternative in related in mixed" },
	{ "m(a(ph)p)", "1,3 / 2,3 / ", "a footer of a list" },
	{ "m(a(ph)a(ph))", "1,3 / 2,4 / ", "alternatives twice" },
	{ "a(a(ph)h)", "1 / 2,3 / ", "alternatives in alternatives" },
	{ "a(m(pip)h)", "1,2,3 / 4 / 2", "a picture within the text's side" },
	{ "a(pm(hih))", "1 / 2,3,4 / 3", "a picture within the HTML's side" },
	{ "a(pi)", "1 / 1 / 2", "a picture is no alternative" },
	{ "a(x)", " /  / 1", "no text among alternatives" },
	{ "m(pf)", "1 / 1 / 2", "a message behind the text" },
	{ "m(m(m(p)))", "1 / 1 / ", "deep" },
	{ "m(ps)", "1 / 1 / 2", "signed" },
	{ "m(c)", " /  / 1", "a calendar" },
	{ "r(x)", " /  / 1", "related without text" },
	{ "m(i-i-)", "1,2 / 1,2 / ", "pictures inline" },
};
static const struct {
	const char *tree;
	bool want;
} attachments[] = {
	{ "p", false }, { "m(px)", true }, { "m(px-)", false }, { "a(pr(hi-))", false },
	{ "a(pr(hi))", true }, { "m(ps)", false }, { "m(pf)", true }, { "m(pi)", false },
	{ "m(pi+)", true }, { "x", true }, { "m(pp=)", true },
};
/* clang-format on */

static void
test_parts(void)
{
	struct jmap_structure s;
	char tree[20010];
	size_t n = 0;

	(void)lists("m(p-r(h=i+))", &s);
	eq(s.all.n, 3, "multiparts have no id");
	ok(s.root->id == 0 && s.root->child->id == 1, "the root, and the first part");
	is(buf_cstr(&out), "1,2 / 1,2 / 3", "lists");
	ok(slice_eq(s.all.p[1]->type, S("text/html")), "types are in lower case");
	ok(slice_eq(s.all.p[1]->name, S("n")) && !s.all.p[0]->name.p, "names");
	ok(s.all.p[0]->inlined && s.all.p[2]->attachment && !s.all.p[1]->attachment,
	    "dispositions");
	ok(jmap_structure_find(&s, S("3")) == s.all.p[2], "found by its id");
	ok(!jmap_structure_find(&s, S("4")) && !jmap_structure_find(&s, S("0")) &&
		!jmap_structure_find(&s, S("")) && !jmap_structure_find(&s, S("01")) &&
		!jmap_structure_find(&s, S("1x")) && !jmap_structure_find(&s, S("-1")),
	    "not found by another");
	ok(slice_eq(jmap_part_charset(s.all.p[0]), S("us-ascii")) &&
		!jmap_part_charset(s.all.p[2]).p,
	    "charsets that nobody says");

	/* as many parts as there may be, and as deep */
	tree[n++] = 'm';
	tree[n++] = '(';
	while (n < 15000) {
		tree[n] = "px"[n % 2];
		n++;
	}
	tree[n++] = ')';
	tree[n] = '\0';
	(void)lists(tree, &s);
	ok(s.mime->cut && s.all.n == MIME_PARTS_MAX - 1, "too many parts");
	for (n = 0; n < 400; n += 2)
		memcpy(tree + n, n % 4 ? "a(" : "m(", 2);
	tree[n++] = 'p';
	memset(tree + n, ')', 200);
	tree[n + 200] = '\0';
	(void)lists(tree, &s);
	ok(s.mime->cut && s.all.n == 1, "too deep");
}

/* ---- from a BODYSTRUCTURE ------------------------------------------------------------------------------- */

static void
same_list(const char *tree, const char *name, const struct jmap_parts *a,
    const struct jmap_parts *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = slice_eq(a->p[i]->type, b->p[i]->type) &&
		    !a->p[i]->name.p == !b->p[i]->name.p && a->p[i]->inlined == b->p[i]->inlined;
	if (!same)
		ok(same, "%s: the same %s (%zu, %zu)", tree, name, a->n, b->n);
}

/* The message of the tree, as its BODYSTRUCTURE tells it. */
static void
test_described(const char *tree)
{
	struct jmap_structure whole, told;
	struct buf b = { 0 };

	(void)lists(tree, &whole);
	imap_structure_write(&b, whole.mime, whole.mime->root, true, &arena);
	if (jmap_structure_read(buf_get(&b), &arena, &told) < 0) {
		ok(false, "%s is read: %s", tree, buf_cstr(&b));
	} else {
		same_list(tree, "texts", &whole.text, &told.text);
		same_list(tree, "HTML", &whole.html, &told.html);
		same_list(tree, "attachments", &whole.attachments, &told.attachments);
	}
	buf_fini(&b);
}

static void
random_tree(struct buf *b, uint32_t *seed, unsigned depth)
{
	unsigned n;

	*seed = *seed * 1664525 + 1013904223;
	n = *seed >> 24;
	if (depth < 4 && n % 3 == 0) {
		buf_char(b, "mar"[n / 3 % 3]);
		buf_char(b, '(');
		for (unsigned i = 0; i <= n / 9 % 4; i++)
			random_tree(b, seed, depth + 1);
		buf_char(b, ')');
		return;
	}
	buf_char(b, "phixfcs"[n / 3 % 7]);
	*seed = *seed * 1664525 + 1013904223;
	n = *seed >> 24;
	if (n % 3)
		buf_char(b, n % 3 == 1 ? '-' : '+');
	if (n & 64)
		buf_char(b, '=');
}

static void
test_all_described(void)
{
	struct jmap_structure s;
	struct buf tree = { 0 };
	uint32_t seed = 1;

	for (size_t i = 0; i < NELEM(cases); i++)
		test_described(cases[i].tree);
	for (size_t i = 0; i < NELEM(attachments); i++)
		test_described(attachments[i].tree);
	for (unsigned i = 0; i < 3000; i++) {
		buf_clear(&tree);
		random_tree(&tree, &seed, 0);
		test_described(buf_cstr(&tree));
		arena_reset(&arena);
	}
	buf_fini(&tree);
	ok(jmap_structure_read(S("(\"application\" \"x\" (\"name\" {5}\r\na\")b() NIL NIL \"7bit\" "
				 "1 NIL "
				 "(\"attachment\" (\"filename*0*\" \"x\\\"(\")) NIL)"),
	       &arena, &s) == 0 &&
		s.attachments.n == 1 && s.attachments.p[0]->attachment &&
		s.attachments.p[0]->name.p,
	    "literals and quoted quotes");
	static const char *const bad[] = { "", "(", "()", "NIL", "(\"a\" \"b", "(\"a\")",
		"((\"a\" \"b\")", "(\"a\" \"b\" ({9}\r\nx) NIL NIL NIL 1)", "(\"a\" \"b\" NIL)",
		"({" };

	for (size_t i = 0; i < NELEM(bad); i++)
		ok(jmap_structure_read(slice_str(bad[i]), &arena, &s) < 0, "refused: %s", bad[i]);
	buf_clear(&msg);
	for (unsigned i = 0; i < 100000; i++)
		buf_char(&msg, '(');
	ok(jmap_structure_read(buf_get(&msg), &arena, &s) < 0, "refused: too deep");
	for (unsigned i = 0; i < 100000; i++)
		buf_char(&msg, ')');
	ok(jmap_structure_read(buf_get(&msg), &arena, &s) < 0, "refused: too deep, and closed");
}

int
main(void)
{
	struct jmap_structure s;

	for (size_t i = 0; i < NELEM(cases); i++)
		is(lists(cases[i].tree, &s), cases[i].want, "%s: %s", cases[i].what, cases[i].tree);
	for (size_t i = 0; i < NELEM(attachments); i++) {
		(void)lists(attachments[i].tree, &s);
		ok(jmap_structure_has_attachment(&s) == attachments[i].want, "hasAttachment: %s",
		    attachments[i].tree);
	}
	test_parts();
	test_all_described();
	buf_fini(&msg);
	buf_fini(&out);
	arena_reset(&arena);
	return done();
}
