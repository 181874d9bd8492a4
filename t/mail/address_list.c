/* Address lists of header fields: the forms of RFC 5322 and its appendix A, what mail in the
 * wild adds, and what only an attacker writes. */
#include "../tap.h"
#include "mail/address.h"

/* Each item as name|route|mailbox|host in brackets, groups as {name ... }. */
static const struct {
	const char *in, *out;
	/* clang-format off */
} lists[] = {
	{ "", "" },
	{ " \r\n\t ", "" },
	{ "a@b.c", "[||a|b.c]" },
	{ "a@b.c, d@e.f", "[||a|b.c][||d|e.f]" },
	{ "John Doe <jdoe@machine.example>", "[John Doe||jdoe|machine.example]" },
	{ "\"Joe Q. Public\" <john.q.public@example.com>", "[Joe Q. Public||john.q.public|example.com]" },
	{ "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
	    "[Mary Smith||mary|x.test][||jdoe|example.org][Who?||one|y.test]" },
	{ "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
	    "[||boss|nil.test][Giant; \"Big\" Box||sysservices|example.net]" },
	{ "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
	    "{A Group[Ed Jones||c|a.test][||joe|where.test][John||jdoe|one.test]}" },
	{ "Undisclosed recipients:;", "{Undisclosed recipients}" },
	{ "undisclosed-recipients:;, x@y.z", "{undisclosed-recipients}[||x|y.z]" },
	{ "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
	    "[Pete||pete|silly.test]" },
	{ "A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,\r\n"
	  " joe@example.org,\r\n John <jdoe@one.test> (my dear friend); (the end of the group)",
	    "{A Group[Chris Jones||c|public.example][||joe|example.org][John||jdoe|one.test]}" },
	{ "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "{Hidden recipients}" },
	{ "Joe Q. Public <john.q.public@example.com>", "[Joe Q. Public||john.q.public|example.com]" },
	{ "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
	    "[Mary Smith|@node.test|mary|example.net][||jdoe|test.example]" },
	{ "<@a,@b:c@d>", "[|@a,@b|c|d]" },
	{ "user@host (Full Name)", "[Full Name||user|host]" },
	{ "user@host (a \\( b)", "[a ( b||user|host]" },
	{ "(c) user@host", "[c||user|host]" },
	{ "\"quoted local\"@host", "[||quoted local|host]" },
	{ "\"a\".b@host", "[||a.b|host]" },
	{ "a . b @ c . d", "[||a.b|c.d]" },
	{ "x@[192.0.2.1]", "[||x|[192.0.2.1]]" },
	{ "=?utf-8?q?a?= =?utf-8?q?b?= <x@y>", "[=?utf-8?q?a?= =?utf-8?q?b?=||x|y]" },
	{ "\xc3\xa4 <\xc3\xb6@y>", "[\xc3\xa4||\xc3\xb6|y]" },
	{ "\"folded\r\n name\" <x@y>", "[folded name||x|y]" },
	/* the wild */
	{ "foo@bar.com <foo@bar.com>", "[foo@bar.com||foo|bar.com]" },
	{ "user", "[||user|]" },
	{ "Just A Name", "[||Just A Name|]" },
	{ "<>", "[|||]" },
	{ "Mailer <>", "[Mailer|||]" },
	{ "a@b@c.d", "[||a@b|c.d]" },
	{ "a@b <c@d> rubbish e@f, g@h", "[a@b||c|d][||g|h]" },
	{ ",,,a@b,,", "[||a|b]" },
	{ "a@b; c@d", "[||a|b][||c|d]" },
	{ "<a@b, c@d", "[||a|b][||c|d]" },
	{ "x <a@b", "[x||a|b]" },
	{ "g: a@b", "{g[||a|b]}" },
	{ "g: h: a@b;", "{g[||h:a|b]}" },
	{ "\"unfinished <a@b>", "[||unfinished <a@b>|]" },
	{ "(unfinished <a@b>", "" },
	{ ") a@b (", "[||a|b]" },
	{ "a@", "[||a|]" },
	{ "@b", "[|||b]" },
	{ "[[[", "[||[[[|]" },
	{ "\"\\", "[||\\|]" },
	{ "<<<<a@b>>>>", "[||a|b]" },
};
/* clang-format on */

static const char *
shown(const struct address_list *l)
{
	static struct buf b;

	buf_clear(&b);
	for (size_t i = 0; i < l->n; i++) {
		const struct address_item *it = &l->items[i];

		if (it->kind == ADDRESS_GROUP_START)
			buf_printf(&b, "{" SFMT, SARG(it->mailbox));
		else if (it->kind == ADDRESS_GROUP_END)
			buf_lit(&b, "}");
		else
			buf_printf(&b, "[" SFMT "|" SFMT "|" SFMT "|" SFMT "]", SARG(it->name),
			    SARG(it->route), SARG(it->mailbox), SARG(it->host));
	}
	return buf_cstr(&b);
}

int
main(void)
{
	static const char *const seeds[] = { "(", "\"", "<", "@", ",", ":", "a:", "a@b,", "\\",
		"<@:", "((()", "[", ";:", "<a", "a;" };
	struct arena a = { 0 };
	struct address_list l;
	struct buf b = { 0 };
	bool sane = true;

	for (size_t i = 0; i < NELEM(lists); i++) {
		address_list_parse(slice_str(lists[i].in), 100, &a, &l);
		is(shown(&l), lists[i].out, "list %zu", i);
		arena_reset(&a);
	}
	address_list_parse(S("a@b, c@d, e@f"), 2, &a, &l);
	ok(l.n == 2 && l.cut, "cut at the limit, and said so");
	address_list_parse(S("a@b, c@d "), 2, &a, &l);
	ok(l.n == 2 && !l.cut, "exactly the limit is no cut");
	address_list_parse(S("g:a@b,c@d,e@f;"), 2, &a, &l);
	ok(l.cut && l.items[l.n - 1].kind == ADDRESS_GROUP_END, "a cut group is closed");
	arena_reset(&a);
	for (size_t i = 0; i < NELEM(seeds); i++) {
		buf_clear(&b);
		while (b.n < 1000000)
			buf_str(&b, seeds[i]);
		address_list_parse(buf_get(&b), 1000, &a, &l);
		sane &= l.n <= 1002 && a.total < 64u << 20;
		arena_reset(&a);
	}
	ok(sane, "a megabyte of each nasty thing takes bounded time and memory");
	buf_fini(&b);
	return done();
}
