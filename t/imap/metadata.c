/* Arguments of GETMETADATA, SETMETADATA and LIST's METADATA; which entries are meant; values. */
#include "../tap.h"
#include "imap/metadata.h"

static struct arena arena;
static struct imap_getmetadata g;
static struct imap_setmetadata s;

static bool
get(const char *text)
{
	struct imap_in in = { .s = slice_str(text), .arena = &arena };

	return imap_getmetadata_parse(&in, &g);
}

static bool
set(struct slice text)
{
	struct imap_in in = { .s = text, .arena = &arena };

	return imap_setmetadata_parse(&in, &s);
}

static bool
means(const char *asked, unsigned depth, const char *name)
{
	const struct imap_entry e = { .name = slice_str(asked) };

	return imap_entry_means(&e, depth, false, slice_str(name));
}

int
main(void)
{
	static const char *const bad[] = { "", " ", " INBOX", " INBOX ", " INBOX ()", " INBOX a",
		" INBOX /other", " INBOX /privat", " INBOX /privatex", " INBOX /private/",
		" INBOX /private//a", " INBOX \"/private/*\"", " INBOX \"/private/%\"",
		" INBOX \"/private/a b\"", " () INBOX /private/a", " (DEPTH) INBOX /private/a",
		" (DEPTH 3) INBOX /private/a", " (MAXSIZE) INBOX /private/a",
		" (MAXSIZE x) INBOX /private/a", " (MAXSIZE 1)", " INBOX (/private/a",
		" INBOX (/private/a  /private/b)", " INBOX /private/a x",
		" (DEPTH 1) INBOX (DEPTH 1) /private/a" };
	struct buf b = { 0 }, many = { 0 };

	ok(get(" INBOX /private/Comment") && slice_eq(g.mailbox, S("INBOX")) && g.entries.n == 1 &&
		slice_eq(g.entries.list[0].name, S("/comment")) && !g.entries.list[0].shared &&
		g.depth == 0 && !g.limited,
	    "one entry, in lower case");
	ok(get(" (MAXSIZE 1024 DEPTH infinity) \"\" (/SHARED /private/a)") && g.mailbox.n == 0 &&
		g.limited && g.maxsize == 1024 && g.depth == IMAP_DEPTH_INFINITY &&
		g.entries.n == 2 && g.entries.list[0].shared && g.entries.list[0].name.n == 0,
	    "options in front");
	ok(get(" INBOX (depth 1) (/shared/a)") && g.depth == 1, "options behind the mailbox");
	ok(get(" INBOX ({9}\r\n/shared/a)") && get(" INBOX (\"/shared/a\")"), "entries as strings");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(!get(bad[i]), "none: GETMETADATA%s", bad[i]);
	ok(set(S(" INBOX (/private/a NIL /shared/b \"\" /shared/c ~{3}\r\na\0b)")) &&
		s.entries.n == 3 && !s.entries.list[0].value.p && s.entries.list[1].value.p &&
		s.entries.list[1].value.n == 0 && slice_eq(s.entries.list[2].value, S("a\0b")),
	    "NIL, an empty value, one with a NUL");
	ok(!set(S(" INBOX (/shared/c {3}\r\na\0b)")),
	    "a NUL in a literal that is none of eight bits");
	ok(!set(S(" INBOX (/shared/c ~{4}\r\na\0b)")) && !set(S(" INBOX (/shared/c ~x)")) &&
		!set(S(" INBOX (/shared \"x\")")) && !set(S(" INBOX (/shared/c \"x\") x")),
	    "what is none");
	ok(!set(S(" INBOX (/private/a \"x\" /private/A \"y\")")) &&
		set(S(" INBOX (/private/a \"x\" /shared/a \"y\")")),
	    "none is set twice");
	for (int i = 0; i <= IMAP_ENTRIES_MAX; i++)
		buf_printf(&many, "%s/private/a%d", i ? " " : " INBOX (", i);
	buf_char(&many, ')');
	ok(!get(buf_cstr(&many)), "too many entries");

	ok(means("/a", 0, "/a") && !means("/a", 0, "/a/b") && !means("/a", 0, "/ab"), "depth 0");
	ok(means("/a", 1, "/a") && means("/a", 1, "/a/b") && !means("/a", 1, "/a/b/c") &&
		!means("/a", 1, "/ab") && means("", 1, "/a") && !means("", 1, "/a/b"),
	    "depth 1");
	ok(means("/a", 2, "/a/b/c") && !means("/a", 2, "/b/a") && means("", 2, "/x/y/z"),
	    "all below");
	ok(!imap_entry_means(&(struct imap_entry){ .name = S("/a") }, 0, true, S("/a")),
	    "private is not shared");

	imap_entry_write(&b, true, S("/a(b"));
	buf_char(&b, ' ');
	imap_value_write(&b, slice(NULL, 0));
	buf_char(&b, ' ');
	imap_value_write(&b, S("a\0"));
	ok(slice_eq(buf_get(&b), S("\"/shared/a(b\" NIL ~{2}\r\na\0")), "as they are written");
	buf_fini(&b);
	buf_fini(&many);
	arena_reset(&arena);
	return done();
}
