/* Filters of mailboxes. */
#include "../tap.h"
#include "imap/sources.h"

static struct arena arena;
static struct imap_sources s;

static bool
parse(const char *text)
{
	struct imap_in in = { .s = slice_str(text), .arena = &arena };

	return imap_sources_parse(&in, &s) && in.s.n == 0;
}

static bool
has(const char *text, const char *name)
{
	return parse(text) && imap_sources_named(&s, slice_str(name));
}

int
main(void)
{
	static const char *const bad[] = { "", "()", "(x)", "(selected", "selected)",
		"(selected  inboxes)", "(mailboxes)", "(mailboxes ())", "(mailboxes (a)",
		"(subtree a b)", "(subtree-two a)", "(selected-delayed)", "(selected) x",
		"(personal (x))" };

	ok(parse("(selected)") && s.selected && imap_sources_selected_alone(&s),
	    "the selected one");
	ok(parse("(Personal SUBSCRIBED inboxes)") && s.personal && s.subscribed && s.inboxes &&
		!s.selected && s.n == 0,
	    "any case");
	ok(parse("(selected selected)") && imap_sources_selected_alone(&s), "twice");
	ok(parse("(mailboxes a selected)") && !imap_sources_selected_alone(&s), "with another");
	ok(has("(mailboxes a)", "a") && !has("(mailboxes a)", "a/b") && !has("(mailboxes a)", "b"),
	    "one by its name");
	ok(has("(mailboxes (a \"b c\" inbox))", "b c") &&
		has("(mailboxes (a \"b c\" inbox))", "INBOX"),
	    "several");
	ok(has("(subtree a)", "a") && has("(subtree a)", "a/b") && has("(subtree a)", "a/b/c"),
	    "a tree");
	ok(!has("(subtree a)", "ab") && !has("(subtree a)", "b/a"), "and what is none of it");
	ok(has("(subtree-one a)", "a") && has("(subtree-one a)", "a/b") &&
		!has("(subtree-one a)", "a/b/c"),
	    "its first level");
	ok(has("(subtree \"\")", "a/b") && !has("(subtree-one \"\")", "a/b") &&
		has("(subtree-one \"\")", "a"),
	    "above all");
	ok(!has("(mailboxes \"\")", "a"), "no mailbox is called nothing");
	ok(has("(mailboxes &AOQ-)", "\xc3\xa4") && !has("(mailboxes &x)", "&x"),
	    "names are modified UTF-7");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(!parse(bad[i]), "none: %s", bad[i]);
	arena_reset(&arena);
	return done();
}
