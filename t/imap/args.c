/* The elements of commands: RFC 3501 9. */
#include "../tap.h"
#include "imap/args.h"
#include "imap/change.h"
#include "tables.h"
#include "imap/list.h"
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
	char text[IMAP_DATE_TIME_MAX + 1] = "";
	struct imap_day known = { 0 };

	i = in("1-Feb-1994");
	ok(imap_date(&i, &day) && day == 8797, "date");
	i = in("\"31-dec-1969\"");
	ok(imap_date(&i, &day) && day == -1, "quoted date before the epoch");
	i = in("30-Feb-2020");
	ok(!imap_date(&i, &day), "no such day");
	i = in("\"17-Jul-1996 02:44:25 -0700\"");
	ok(imap_date_time(&i, &at, &zone) && at == 837596665 && zone == -420, "date-time");
	*imap_date_time_at(text, at, zone, &known) = '\0';
	is(text, "\"17-Jul-1996 02:44:25 -0700\"", "written again");
	i = in("\" 1-Jan-2026 00:00:00 +0530\"");
	ok(imap_date_time(&i, &at, &zone), "one digit of day");
	*imap_date_time_at(text, at, zone, &known) = '\0';
	is(text, "\" 1-Jan-2026 00:00:00 +0530\"", "written with a blank");
	*imap_date_time_at(text, at - 1, zone, &known) = '\0';
	is(text, "\"31-Dec-2025 23:59:59 +0530\"", "a second before it is another day");
	*imap_date_time_at(text, at - 1, zone + 1, &known) = '\0';
	is(text, "\" 1-Jan-2026 00:00:59 +0531\"", "but not in the next zone");
	*imap_date_time_at(text, -1, 0, &known) = '\0';
	is(text, "\"31-Dec-1969 23:59:59 +0000\"", "before the epoch");
	*imap_date_time_at(text, 0, 0, &(struct imap_day){ 0 }) = '\0';
	is(text, "\" 1-Jan-1970 00:00:00 +0000\"", "the epoch, with nothing known");
	i = in("\"1-Jan-2026 00:00:00\"");
	ok(!imap_date_time(&i, &at, &zone), "zone is needed");
	i = in("\"31-Dec-9999 23:59:59 +0000\"");
	ok(imap_date_time(&i, &at, &zone), "the last second");
	i = in("\"31-Dec-9999 23:59:59 -0001\"");
	ok(!imap_date_time(&i, &at, &zone), "none is behind it, in any zone");
	i = in("\" 1-Jan-0000 00:00:00 +0000\"");
	ok(imap_date_time(&i, &at, &zone), "the first");
	i = in("\" 1-Jan-0000 00:00:00 +0001\"");
	ok(!imap_date_time(&i, &at, &zone), "nor before it");
}

static void
flags(void)
{
	struct imap_in i;
	struct imap_flags f;
	char p[64];
	bool good = true;

	i = in("(\\Seen \\deleted $Label1 other)");
	ok(imap_flag_list(&i, false, &f) && f.system == (IMAP_SEEN | IMAP_DELETED) &&
		f.nkeywords == 2,
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
	*imap_u32_at(p, UINT32_MAX) = 0;
	is(p, "4294967295", "the largest of 32 bits");
	for (uint64_t v = 1; v <= 1000000000; v *= 10)
		for (uint64_t n = v - 1; n <= v + 1; n++) {
			char want[16];

			snprintf(want, sizeof(want), "%u", (unsigned)n);
			*imap_u32_at(p, (uint32_t)n) = 0;
			good = good && strcmp(p, want) == 0;
		}
	ok(good, "numbers around each power of ten");
	snprintf(p, sizeof(p), "x1099y");
	ok(imap_count_up(p + 1, p + 5), "a number is counted up");
	is(p, "x1100y", "in its place");
	snprintf(p, sizeof(p), "x999y");
	ok(!imap_count_up(p + 1, p + 4) && p[0] == 'x' && p[4] == 'y',
	    "one that needs another digit is not, and nothing around it changes");
}

/* FETCH items as written back by imap_section_write, or the reason. */
static const char *
fetch(const char *s)
{
	static char line[400];
	struct imap_in i = in(s);
	struct imap_fetch f;
	struct buf b = { 0 };

	if (!TEST_FETCH(&i, &f) || !imap_end(&i)) {
		snprintf(line, sizeof(line), "error: %s", i.why);
		return line;
	}
	buf_printf(&b, "%x", (unsigned)f.items);
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

/* So many times the same item, and its kind does not matter. */
static void
fetch_limit(const char *item)
{
	struct buf b = { 0 };

	buf_lit(&b, "(UID");
	for (size_t n = 1; n < IMAP_ITEMS_MAX; n++) {
		buf_char(&b, ' ');
		buf_str(&b, item);
	}
	buf_lit(&b, ")");
	ok(!slice_starts(slice_str(fetch(buf_cstr(&b))), S("error")), "as many %s as may be", item);
	b.n--;
	buf_printf(&b, " %s)", item);
	is(fetch(buf_cstr(&b)), "error: Too many items", "one more %s", item);
	buf_fini(&b);
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
	is(fetch("(BINARY[1.2]<3.4> BINARY.PEEK[] BINARY.SIZE[2] BINARY.SIZE[2.1] BINARY.SIZE[2])"),
	    "0 BINARY[1.2]<3> peek BINARY[] peek BINARY.SIZE[2] peek BINARY.SIZE[2.1] peek "
	    "BINARY.SIZE[2]",
	    "decoded parts");
	fetch_limit("BINARY.SIZE[1]");
	fetch_limit("BINARY.PEEK[1]<0.1>");
	fetch_limit("FLAGS");
	is(fetch("BINARY[1.MIME]"), "error: ] expected", "of parts alone");
	is(fetch("BINARY[1.]"), "error: Bad section", "with a dot at the end");
	is(fetch("BINARY.SIZE[1]<0.1>"), "error: Unexpected text after the arguments",
	    "a size is not in part");
	is(fetch("UID (CHANGEDSINCE 7 VANISHED)"), "81 since 7", "VANISHED");
	is(fetch("UID (VANISHED)"), "error: VANISHED needs CHANGEDSINCE", "not alone");
	is(fetch("UID (VANISHED VANISHED CHANGEDSINCE 7)"), "error: Unknown FETCH modifier",
	    "nor twice");
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
	static const char *const ops[] = {
		[IMAP_KEY_AND] = "and",
		[IMAP_KEY_OR] = "or",
		[IMAP_KEY_NOT] = "not",
	};

	if (k->op == IMAP_KEY_WORD)
		buf_str(b, k->word->name ? k->word->name : "SET");
	else
		buf_str(b, ops[k->op]);
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

	if (!TEST_SEARCH(&i, &q)) {
		snprintf(line, sizeof(line), "error: %s", i.why);
		return line;
	}
	if (q.bad_charset)
		return "badcharset";
	imap_search_order(q.key);
	if (q.update)
		buf_printf(&b, "update" SFMT " ", SARG(q.update_atts));
	if (q.saved)
		buf_lit(&b, "saved ");
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

	is(search(" ALL"), "and(ALL)", "ALL");
	is(search(" BODY Hello SUBJECT x SEEN"), "and(SEEN SUBJECT'x' BODY'hello')",
	    "cheap keys first, text folded");
	is(search(" OR 1:* NOT DELETED"), "and(or(SET not(DELETED)))", "operators");
	is(search(" OR (BODY x SEEN) NOT DELETED"), "and(or(not(DELETED) and(SEEN BODY'x')))",
	    "operators by their dearest key");
	is(search(" (1 UID 2)"), "and(and(SET UID))", "group");
	is(search(" RETURN () ALL"), "ret 4 and(ALL)", "empty RETURN means ALL");
	is(search(" RETURN (MIN MAX COUNT) CHARSET ISO-8859-1 SUBJECT {1}\r\n\xc4"),
	    "ret b and(SUBJECT'a\xcc\x88')", "RETURN, charset, literal, folding");
	is(search(" RETURN (UPDATE COUNT CONTEXT) ALL"), "update ret 8 and(ALL)", "UPDATE");
	is(search(" RETURN (UPDATE) ALL"), "update ret 4 and(ALL)", "UPDATE alone means ALL");
	is(search(" RETURN (UPDATE (uid body.peek[header.fields (\"a)\" b)]) MIN) ALL"),
	    "update(uid body.peek[header.fields (\"a)\" b)]) ret 1 and(ALL)", "with data items");
	is(search(" RETURN (UPDATE(uid)) ALL"), "update(uid) ret 4 and(ALL)", "without a space");
	is(search(" RETURN (UPDATE UPDATE) ALL"), "error: UPDATE once", "twice");
	is(search(" RETURN (UPDATE (uid"), "error: Data items expected", "without an end");
	is(search(" UID $"), "saved and(UID)", "a saved result");
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

static bool
pattern_matches(const char *text, struct slice name, bool fold)
{
	struct imap_pattern p;

	imap_pattern_compile(&p, &arena, slice_str(text));
	return imap_pattern_matches(&p, name, fold);
}

/* The same answers where the positions take many words, and no time for what used to take most. */
static void
long_patterns(void)
{
	char text[IMAP_PATTERN_MAX + 2], name[256];
	struct imap_pattern p;
	size_t yes = 0;

	for (size_t n = 60; n < 200; n++) {
		memset(text, 'a', n);
		memcpy(text + n, "*z", 3);
		memset(name, 'a', n);
		memcpy(name + n, "/b/z", 5);
		yes += pattern_matches(text, slice_str(name), false);
		name[n - 1] = 'b';
		yes += pattern_matches(text, slice_str(name), false) ? 1000 : 0;
		text[n] = '%';
		name[n - 1] = 'a';
		yes += pattern_matches(text, slice_str(name), false) ? 1000 : 0;
	}
	eq(yes, 140, "patterns around the words' ends");
	memset(text, 'a', IMAP_PATTERN_MAX + 1);
	text[IMAP_PATTERN_MAX + 1] = '\0';
	ok(!pattern_matches(text, slice_str(text), false), "too long for a pattern");
	for (size_t i = 0; i < IMAP_PATTERN_MAX; i++)
		text[i] = i % 2 ? 'a' : '*';
	text[IMAP_PATTERN_MAX] = '\0';
	memset(name, 'a', 255);
	imap_pattern_compile(&p, &arena, slice_str(text));
	yes = 0;
	for (int i = 0; i < 10000; i++)
		yes += imap_pattern_matches(&p, slice(name, 255), false);
	eq(yes, 0, "10,000 names and the longest pattern: seconds by position, 50 ms by words");
}

static void
lists(void)
{
	static const struct {
		const char *pattern, *name;
		bool yes;
		/* clang-format off */
	} cases[] = {
		{ "*", "a/b", true },      { "%", "a/b", false },    { "%", "a", true },
		{ "a/%", "a/b", true },    { "a/%", "a/b/c", false }, { "a*c", "a/b/c", true },
		{ "%/%", "a/b", true },    { "%%", "a", true },      { "", "", true },
		{ "", "a", false },        { "a", "A", false },      { "*b*", "aba", true },
		{ "a%c", "abbc", true },   { "*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
		{ "%*%", "a/b", true },    { "*%", "a/b", true },    { "a%*", "b", false },
		{ "%/*b", "a/c/b", true }, { "%b*d", "a/bcd", false }, { "ab", "abc", false },
	};
	/* clang-format on */
	struct imap_list l;
	struct imap_in i;
	unsigned items;

	for (size_t k = 0; k < NELEM(cases); k++)
		ok(pattern_matches(cases[k].pattern, slice_str(cases[k].name), false) ==
			cases[k].yes,
		    "\"%s\" and \"%s\"", cases[k].pattern, cases[k].name);
	ok(pattern_matches("inb%", S("INBOX"), true), "case ignored");
	long_patterns();
	i = in(" \"\" \"\"");
	ok(imap_list_parse(&i, table_status, NELEM(table_status), &l) && l.root, "the root");
	i = in(" a/ %");
	ok(imap_list_parse(&i, table_status, NELEM(table_status), &l) && l.npatterns == 1 &&
		slice_eq(l.patterns[0].text, S("a/%")),
	    "reference in front");
	i = in(
	    " (SUBSCRIBED RECURSIVEMATCH) \"\" (a \"b c\" &bad) RETURN (CHILDREN STATUS (SIZE))");
	ok(imap_list_parse(&i, table_status, NELEM(table_status), &l) && l.only_subscribed &&
		l.recursive && l.npatterns == 2 && l.say_status && l.status == IMAP_STATUS_BIT(1),
	    "extended");
	i = in(" () \"\" \"\"");
	ok(imap_list_parse(&i, table_status, NELEM(table_status), &l) && !l.root,
	    "an extended LIST has no root");
	i = in(" (RECURSIVEMATCH) \"\" *");
	ok(!imap_list_parse(&i, table_status, NELEM(table_status), &l), "RECURSIVEMATCH alone");
	i = in(" \"\" * RETURN");
	ok(!imap_list_parse(&i, table_status, NELEM(table_status), &l), "RETURN of nothing");
	i = in(" \"\" * RETURN (METADATA /shared/a METADATA /shared/b)");
	ok(!imap_list_parse(&i, table_status, NELEM(table_status), &l), "METADATA twice");
	i = in(" \"\" *");
	ok(imap_lsub_parse(&i, &l) && l.npatterns == 1, "LSUB");
	i = in("(MESSAGES highestmodseq)");
	ok(imap_status_parse(&i, table_status, NELEM(table_status), &items) &&
		items == (IMAP_STATUS_BIT(0) | IMAP_STATUS_BIT(2)),
	    "STATUS items");
	i = in("()");
	ok(!imap_status_parse(&i, table_status, NELEM(table_status), &items), "no items");
}

static void
changes(void)
{
	struct imap_store st;
	struct imap_append a;
	struct imap_in i;
	uint32_t n;

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
	i = in(" 17 box (x) {5}");
	ok(imap_replace_parse(&i, &n, &a) && n == 17 && a.flags.nkeywords == 1, "REPLACE");
	i = in(" * {5}");
	ok(!imap_replace_parse(&i, &n, &a) && n == 0, "REPLACE of the last, without a mailbox");
	i = in(" 1:2 box {5}");
	ok(!imap_replace_parse(&i, &n, &a), "REPLACE of two");
	i = in(" (\\Seen) {5}");
	ok(imap_append_further(&i, &a) && a.flags.system == IMAP_SEEN && a.at == 0,
	    "a further message");
	i = in(" {5}");
	ok(imap_append_further(&i, &a) && a.flags.system == 0, "has its own flags");
	i = in("{5}");
	ok(!imap_append_further(&i, &a), "and a space before it");
	ok(!a.binary && !a.utf8, "a plain one");
	i = in(" (x) ~{5}");
	ok(imap_append_further(&i, &a) && a.binary && !a.utf8, "literal8");
	i = in(" UTF8 (~{5}");
	ok(imap_append_further(&i, &a) && a.binary && a.utf8, "with UTF8");
	i = in(" UTF8 ({5}");
	ok(!imap_append_further(&i, &a) && i.why, "which needs literal8");
	i = in(" UTF8(~{5}");
	ok(!imap_append_further(&i, &a) && i.why, "and its blank");
	i = in(" ~ {5}");
	ok(!imap_append_further(&i, &a) && i.why, "~ stands before the brace");
}

static void
objects(void)
{
	struct imap_create c;
	struct slice s;
	struct imap_in i;
	char id[IMAP_OBJECTID];

	i = in("M_-9 ");
	ok(imap_objectid(&i, &s) && slice_eq(s, S("M_-9")), "an object id");
	i = in("\"M\"");
	ok(!imap_objectid(&i, &s) && i.why, "is no string");
	(void)imap_objectid_at(id, 'M', 0xfedcba9876543210);
	ok(slice_eq(slice(id, sizeof(id)), S("Mfedcba9876543210")), "ours is written");
	ok(imap_objectid_number(slice(id, sizeof(id)), 'M') == 0xfedcba9876543210, "and read");
	ok(imap_objectid_number(slice(id, sizeof(id)), 'T') == 0, "with its letter");
	ok(imap_objectid_number(slice(id, sizeof(id) - 1), 'M') == 0, "all of it");
	ok(imap_objectid_number(S("MFEDCBA9876543210"), 'M') == 0, "in its case");
	ok(imap_objectid_number(S("Mgggggggggggggggg"), 'M') == 0, "and its digits");
	i = in("");
	ok(imap_create_parse(&i, &c) && !c.said, "CREATE of a name alone");
	i = in(" (USE (\\Sent))");
	ok(imap_create_parse(&i, &c) && c.said && c.nuses == 1 && slice_eq(c.use, S("Sent")),
	    "with a use");
	i = in(" (USE ())");
	ok(imap_create_parse(&i, &c) && c.said && c.nuses == 0, "with none");
	i = in(" (USE (\\))");
	ok(!imap_create_parse(&i, &c) && i.why, "with half of one");
	i = in(" (SIZE 3)");
	ok(!imap_create_parse(&i, &c), "with something else");
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
	imap_write_mailbox(&b, S("\xc3\xb8 &"), false);
	buf_char(&b, ' ');
	imap_write_nstring(&b, slice(NULL, 0));
	is(buf_cstr(&b), "\"a\\\"b\\\\\" {4}\r\na\r\nb atom \"nil\" \"\" \"&APg- &-\" NIL",
	    "writers");
	buf_clear(&b);
	imap_write_mailbox(&b, S("\xc3\xb8 \"&"), true);
	buf_char(&b, ' ');
	imap_write_mailbox(&b, S("a&b"), true);
	buf_char(&b, ' ');
	imap_write_mailbox(&b, S("a\xff"), true);
	is(buf_cstr(&b), "\"\xc3\xb8 \\\"&\" a&b {2}\r\na\xff", "names in UTF-8");
	buf_fini(&b);
}

static void
names(void)
{
	struct imap_in i = in("\"&APg-\" \"\xc3\xb8\"");
	struct slice s;
	bool bad = false;

	ok(imap_mailbox(&i, &s, &bad) && !bad && slice_eq(s, S("\xc3\xb8")), "modified UTF-7");
	ok(imap_space(&i) && imap_mailbox(&i, &s, &bad) && bad, "is all that is read");
	i = in("\"&APg-\" \"iNbOx/\xc3\xb8\" \"\xc3\"");
	i.utf8 = true;
	bad = false;
	ok(imap_mailbox(&i, &s, &bad) && !bad && slice_eq(s, S("&APg-")), "UTF-8: as it stands");
	ok(imap_space(&i) && imap_mailbox(&i, &s, &bad) && !bad && slice_eq(s, S("INBOX/\xc3\xb8")),
	    "INBOX is INBOX");
	ok(imap_space(&i) && imap_mailbox(&i, &s, &bad) && bad, "what is no UTF-8 is no name");
}

int
main(void)
{
	names();
	strings();
	dates();
	flags();
	fetches();
	searches();
	lists();
	changes();
	objects();
	writers();
	arena_reset(&arena);
	return done();
}
