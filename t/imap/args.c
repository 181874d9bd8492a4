/* The elements of commands: RFC 3501 9. */
#include "../tap.h"
#include "imap/args.h"
#include "imap/change.h"
#include "imap/fetch.h"
#include "imap/list.h"
#include "imap/search.h"
#include "imap/write.h"

static struct arena arena;

static struct imap_in
in(const char *text)
{
	return (struct imap_in){ .s = slice_str(text), .arena = &arena };
}

static const char *
text(struct slice s)
{
	return arena_cstr(&arena, s);
}

static void
strings(void)
{
	struct imap_in i;
	struct slice s;
	bool nil, bad = false;

	i = in("atom]x rest");
	ok(imap_astring(&i, &s) && slice_eq(s, S("atom]x")), "astring may have ]");
	i = in("\"a \\\"b\\\\ c\" x");
	ok(imap_astring(&i, &s), "quoted with escapes");
	is(text(s), "a \"b\\ c", "unescaped");
	i = in("{5}\r\na\r\nbc)");
	ok(imap_string(&i, &s) && slice_eq(s, S("a\r\nbc")) && imap_next_is(&i, ')'), "literal");
	i = in("{5+}\r\nabcd");
	ok(!imap_string(&i, &s), "literal cut short");
	i = in("\"abc");
	ok(!imap_string(&i, &s) && i.why, "quoted without end");
	i = in("\"a\\b\"");
	ok(!imap_string(&i, &s), "bad escape");
	i = in("NIL)");
	ok(imap_nstring(&i, &s, &nil) && nil, "NIL");
	i = in("inbox/Sub");
	ok(imap_mailbox(&i, &s, &bad) && !bad, "mailbox");
	is(text(s), "INBOX/Sub", "INBOX in any case");
	i = in("inboxes");
	ok(imap_mailbox(&i, &s, &bad) && slice_eq(s, S("inboxes")), "only the whole component");
	i = in("\"&bad\"");
	ok(imap_mailbox(&i, &s, &bad) && bad, "no proper modified UTF-7");
	i = in("foo%*/x ");
	ok(imap_list_mailbox(&i, &s) && slice_eq(s, S("foo%*/x")), "list-mailbox");
	i = in("FETCHx");
	ok(!imap_word(&i, "FETCH") && !i.why, "a word ends where it ends");
	i = in("fetch x");
	ok(imap_word(&i, "FETCH") && imap_space(&i), "case of words is ignored");
}

static void
dates(void)
{
	struct imap_in i;
	int32_t day;
	int64_t at;
	int zone;
	struct buf b = { 0 };

	i = in("1-Feb-1994");
	ok(imap_date(&i, &day) && day == 8797, "date");
	i = in("\"31-dec-1969\"");
	ok(imap_date(&i, &day) && day == -1, "quoted date before the epoch");
	i = in("30-Feb-2020");
	ok(!imap_date(&i, &day), "no such day");
	i = in("\"17-Jul-1996 02:44:25 -0700\"");
	ok(imap_date_time(&i, &at, &zone) && at == 837596665 && zone == -420, "date-time");
	imap_write_date_time(&b, at, zone);
	is(buf_cstr(&b), "\"17-Jul-1996 02:44:25 -0700\"", "written again");
	buf_clear(&b);
	i = in("\" 1-Jan-2026 00:00:00 +0530\"");
	ok(imap_date_time(&i, &at, &zone), "one digit of day");
	imap_write_date_time(&b, at, zone);
	is(buf_cstr(&b), "\" 1-Jan-2026 00:00:00 +0530\"", "written with a blank");
	i = in("\"1-Jan-2026 00:00:00\"");
	ok(!imap_date_time(&i, &at, &zone), "zone is needed");
	buf_fini(&b);
}

static void
flags(void)
{
	struct imap_in i;
	struct imap_flags f;
	char p[64];

	i = in("(\\Seen \\deleted $Label1 other)");
	ok(imap_flag_list(&i, false, &f) && f.system == (IMAP_SEEN | IMAP_DELETED) && f.nkeywords == 2,
	    "flag list");
	i = in("()");
	ok(imap_flag_list(&i, false, &f) && f.system == 0 && f.nkeywords == 0, "empty");
	i = in("\\Seen foo");
	ok(imap_flag_list(&i, true, &f) && f.system == IMAP_SEEN && f.nkeywords == 1, "bare");
	i = in("(\\Recent)");
	ok(!imap_flag_list(&i, true, &f), "\\Recent is not for clients");
	i = in("(\\Bogus)");
	ok(!imap_flag_list(&i, true, &f), "unknown system flag");
	*imap_flags_at(p, 0) = 0;
	is(p, "", "no flags");
	*imap_flags_at(p, 63) = 0;
	is(p, "\\Seen \\Answered \\Flagged \\Deleted \\Draft \\Recent", "all flags");
	*imap_u64_at(p, UINT64_MAX) = 0;
	is(p, "18446744073709551615", "largest number");
	*imap_u32_at(p, 0) = 0;
	is(p, "0", "zero");
	*imap_u32_at(p, 1009) = 0;
	is(p, "1009", "a middle zero");
}

/* FETCH items as written back by imap_section_write, or the reason. */
static const char *
fetch(const char *s)
{
	static char line[400];
	struct imap_in i = in(s);
	struct imap_fetch f;
	struct buf b = { 0 };

	if (!imap_fetch_parse(&i, &f) || !imap_end(&i)) {
		snprintf(line, sizeof(line), "error: %s", i.why);
		return line;
	}
	buf_printf(&b, "%x", f.items);
	for (size_t k = 0; k < f.nsections; k++) {
		buf_char(&b, ' ');
		buf_str(&b, f.sections[k].peek ? "peek " : "");
		imap_section_write(&b, &f.sections[k]);
	}
	if (f.changedsince)
		buf_printf(&b, " since %llu", (unsigned long long)f.since);
	slice_cstr(buf_get(&b), line, sizeof(line));
	buf_fini(&b);
	return line;
}

static void
fetches(void)
{
	is(fetch("ALL"), "1e", "macro");
	is(fetch("full"), "3e", "macro in lower case");
	is(fetch("(ALL)"), "error: Unknown FETCH item", "no macro in a list");
	is(fetch("FLAGS"), "2", "one item without parentheses");
	is(fetch("(UID FLAGS RFC822.SIZE BODY BODYSTRUCTURE)"), "6b", "items");
	is(fetch("(BODY[] BODY.PEEK[1.2.MIME])"), "0 BODY[] peek BODY[1.2.MIME]", "sections");
	is(fetch("BODY[HEADER.FIELDS (Subject \"X y\")]<0.100>"),
	    "0 BODY[HEADER.FIELDS (Subject \"X y\")]<0>", "fields and partial");
	is(fetch("BODY[3.HEADER.FIELDS.NOT (To)]"), "0 BODY[3.HEADER.FIELDS.NOT (To)]", "not");
	is(fetch("(RFC822 RFC822.HEADER RFC822.TEXT)"), "0 RFC822 peek RFC822.HEADER RFC822.TEXT",
	    "old items");
	is(fetch("(FLAGS) (CHANGEDSINCE 12345)"), "82 since 12345", "CHANGEDSINCE implies MODSEQ");
	is(fetch("BODY[MIME]"), "error: Bad section", "MIME needs a part");
	is(fetch("BODY[1.]"), "error: Bad section", "dot at the end");
	is(fetch("BODY[0]"), "error: Number must not be zero", "part 0");
	is(fetch("BODY[]<5>"), "error: Bad partial", "partial needs a length");
	is(fetch("()"), "error: Unknown FETCH item", "empty list");
	is(fetch("FLAGS UID"), "error: Unexpected text after the arguments", "two without list");
}

static void
dump(struct buf *b, const struct imap_key *k)
{
	buf_printf(b, "%d", k->op);
	if (k->first) {
		buf_char(b, '(');
		for (const struct imap_key *c = k->first; c; c = c->next) {
			if (c != k->first)
				buf_char(b, ' ');
			dump(b, c);
		}
		buf_char(b, ')');
	}
	if (k->text.n)
		buf_printf(b, "'%.*s'", (int)k->text.n, k->text.p);
}

static const char *
search(const char *s)
{
	static char line[400];
	struct imap_in i = in(s);
	struct imap_search q;
	struct buf b = { 0 };

	if (!imap_search_parse(&i, &q)) {
		snprintf(line, sizeof(line), "error: %s", i.why);
		return line;
	}
	if (q.bad_charset)
		return "badcharset";
	if (q.esearch)
		buf_printf(&b, "ret %x ", q.ret);
	dump(&b, q.key);
	slice_cstr(buf_get(&b), line, sizeof(line));
	buf_fini(&b);
	return line;
}

static void
searches(void)
{
	struct buf b = { 0 };
	char want[100];

	snprintf(want, sizeof(want), "%d(%d)", IMAP_KEY_AND, IMAP_KEY_ALL);
	is(search(" ALL"), want, "ALL");
	snprintf(want, sizeof(want), "%d(%d %d'hello')", IMAP_KEY_AND, IMAP_KEY_FLAGS, IMAP_KEY_BODY);
	is(search(" BODY Hello SEEN"), want, "cheap keys first, text folded");
	snprintf(want, sizeof(want), "%d(%d(%d %d(%d)))", IMAP_KEY_AND, IMAP_KEY_OR, IMAP_KEY_SEQ,
	    IMAP_KEY_NOT, IMAP_KEY_FLAGS);
	is(search(" OR 1:* NOT DELETED"), want, "operators");
	snprintf(want, sizeof(want), "%d(%d(%d %d))", IMAP_KEY_AND, IMAP_KEY_AND, IMAP_KEY_SEQ,
	    IMAP_KEY_UID);
	is(search(" (1 UID 2)"), want, "group");
	snprintf(want, sizeof(want), "ret 4 %d(%d)", IMAP_KEY_AND, IMAP_KEY_ALL);
	is(search(" RETURN () ALL"), want, "empty RETURN means ALL");
	snprintf(want, sizeof(want), "ret b %d(%d'\xc3\xa4')", IMAP_KEY_AND, IMAP_KEY_FIELD);
	is(search(" RETURN (MIN MAX COUNT) CHARSET ISO-8859-1 SUBJECT {1}\r\n\xc4"), want,
	    "RETURN, charset, literal, folding");
	is(search(" CHARSET KOI8-R ALL"), "badcharset", "unknown charset");
	is(search(" MODSEQ \"/flags/\\\\draft\" all 620162338") + 0, search(" MODSEQ 620162338"),
	    "MODSEQ with an entry");
	is(search(" NEWS"), "error: Unknown search key", "unknown key");
	is(search(""), "error: Missing argument", "nothing");
	is(search(" NOT"), "error: Missing argument", "no operand");
	is(search(" SINCE 1-1-2020"), "error: Bad date", "bad date");
	buf_char(&b, ' ');
	for (int i = 0; i < 5000; i++)
		buf_char(&b, '(');
	is(search(buf_cstr(&b)), "error: Too deeply nested", "parentheses without end");
	buf_clear(&b);
	for (int i = 0; i < 5000; i++)
		buf_str(&b, " NOT");
	is(search(buf_cstr(&b)), "error: Too deeply nested", "NOT without end");
	buf_clear(&b);
	for (int i = 0; i < 5000; i++)
		buf_str(&b, " ALL");
	is(search(buf_cstr(&b)), "error: Too many search keys", "keys without end");
	buf_fini(&b);
}

static void
headers(void)
{
	static const char h[] = "Subject: a\r\n b\r\nTo: c\r\nX: y\r\nsubject : again\r\n\r\nbody";
	struct slice fields[] = { S("SUBJECT"), S("nothing") };
	struct buf b = { 0 };

	imap_header_pick(&b, slice_str(h), fields, 2, false);
	is(buf_cstr(&b), "Subject: a\r\n b\r\nsubject : again\r\n\r\n", "HEADER.FIELDS");
	buf_clear(&b);
	imap_header_pick(&b, slice_str(h), fields, 2, true);
	is(buf_cstr(&b), "To: c\r\nX: y\r\n\r\n", "HEADER.FIELDS.NOT");
	buf_fini(&b);
}

static void
lists(void)
{
	static const struct {
		const char *pattern, *name;
		bool yes;
	} cases[] = {
		{ "*", "a/b", true },      { "%", "a/b", false },    { "%", "a", true },
		{ "a/%", "a/b", true },    { "a/%", "a/b/c", false }, { "a*c", "a/b/c", true },
		{ "%/%", "a/b", true },    { "%%", "a", true },      { "", "", true },
		{ "", "a", false },        { "a", "A", false },      { "*b*", "aba", true },
		{ "a%c", "abbc", true },   { "*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	};
	struct imap_list l;
	struct imap_in i;
	unsigned items;

	for (size_t k = 0; k < NELEM(cases); k++)
		ok(imap_pattern_matches(slice_str(cases[k].pattern), slice_str(cases[k].name), false) ==
			cases[k].yes,
		    "\"%s\" and \"%s\"", cases[k].pattern, cases[k].name);
	ok(imap_pattern_matches(S("inb%"), S("INBOX"), true), "case ignored");
	i = in(" \"\" \"\"");
	ok(imap_list_parse(&i, &l) && l.root, "the root");
	i = in(" a/ %");
	ok(imap_list_parse(&i, &l) && l.npatterns == 1 && slice_eq(l.patterns[0], S("a/%")),
	    "reference in front");
	i = in(" (SUBSCRIBED RECURSIVEMATCH) \"\" (a \"b c\" &bad) RETURN (CHILDREN STATUS (SIZE))");
	ok(imap_list_parse(&i, &l) && l.only_subscribed && l.recursive && l.npatterns == 2 &&
		l.say_status && l.status == IMAP_STATUS_SIZE,
	    "extended");
	i = in(" () \"\" \"\"");
	ok(imap_list_parse(&i, &l) && !l.root, "an extended LIST has no root");
	i = in(" (RECURSIVEMATCH) \"\" *");
	ok(!imap_list_parse(&i, &l), "RECURSIVEMATCH alone");
	i = in(" \"\" * RETURN");
	ok(!imap_list_parse(&i, &l), "RETURN of nothing");
	i = in(" \"\" *");
	ok(imap_lsub_parse(&i, &l) && l.npatterns == 1, "LSUB");
	i = in("(MESSAGES highestmodseq)");
	ok(imap_status_parse(&i, &items) &&
		items == (IMAP_STATUS_MESSAGES | IMAP_STATUS_HIGHESTMODSEQ),
	    "STATUS items");
	i = in("()");
	ok(!imap_status_parse(&i, &items), "no items");
}

static void
changes(void)
{
	struct imap_store st;
	struct imap_append a;
	struct imap_in i;

	i = in(" 1:* (UNCHANGEDSINCE 5) -FLAGS.SILENT (\\Seen a b)");
	ok(imap_store_parse(&i, &st) && st.how == IMAP_REMOVE && st.silent && st.conditional &&
		st.unchangedsince == 5 && st.flags.system == IMAP_SEEN,
	    "STORE");
	is(text(imap_keywords_join(&st.flags, &arena)), "a b", "keywords");
	i = in(" 1 flags \\Seen");
	ok(imap_store_parse(&i, &st) && st.how == IMAP_REPLACE && !st.silent, "FLAGS bare");
	i = in(" 1 +FLAG (a)");
	ok(!imap_store_parse(&i, &st), "a wrong word");
	i = in(" 1 (CHANGEDSINCE 5) FLAGS ()");
	ok(!imap_store_parse(&i, &st), "a wrong modifier");
	i = in(" box (\\Draft x) \" 1-Jan-2026 00:00:00 +0000\" {5}");
	ok(imap_append_parse(&i, &a) && slice_eq(a.mailbox, S("box")) &&
		a.flags.system == IMAP_DRAFT && a.at == 1767225600,
	    "APPEND");
	i = in(" box {5+}");
	ok(imap_append_parse(&i, &a) && a.at == 0, "APPEND of nothing else");
	i = in(" box (x)");
	ok(!imap_append_parse(&i, &a), "APPEND without a literal");
}

static void
writers(void)
{
	struct buf b = { 0 };

	imap_write_string(&b, S("a\"b\\"));
	buf_char(&b, ' ');
	imap_write_string(&b, S("a\r\nb"));
	buf_char(&b, ' ');
	imap_write_astring(&b, S("atom"));
	buf_char(&b, ' ');
	imap_write_astring(&b, S("nil"));
	buf_char(&b, ' ');
	imap_write_astring(&b, S(""));
	buf_char(&b, ' ');
	imap_write_mailbox(&b, S("\xc3\xb8 &"));
	buf_char(&b, ' ');
	imap_write_nstring(&b, slice(NULL, 0));
	is(buf_cstr(&b), "\"a\\\"b\\\\\" {4}\r\na\r\nb atom \"nil\" \"\" \"&APg- &-\" NIL", "writers");
	buf_fini(&b);
}

int
main(void)
{
	strings();
	dates();
	flags();
	fetches();
	searches();
	headers();
	lists();
	changes();
	writers();
	arena_reset(&arena);
	return done();
}
