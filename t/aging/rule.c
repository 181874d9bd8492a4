/* t/aging/rule.c: expire rules: what is read, what is refused and where, which hold for a folder, and which
 * messages they take. */
#include "aging/judge.h"
#include "../tap.h"

#define DAY 86400

static struct aging_rules rules, more;
static struct mta_notes notes;

static bool
parse_into(struct aging_rules *r, const char *text, enum aging_level level, const char *scope)
{
	aging_rules_fini(r);
	mta_notes_fini(&notes);
	return aging_rules_parse(r, "rules", slice_str(text), level, slice_str(scope), &notes);
}

static bool
parse(const char *text)
{
	return parse_into(&rules, text, AGING_GLOBAL, "");
}

static void
refused(const char *text, enum aging_level level, const char *why)
{
	ok(!parse_into(&rules, text, level, "ann@x.test"), "refused: %s", why);
	if (!ok(notes.errors.n &&
		    slice_find_str(buf_get(&notes.errors), slice_str(why)) < notes.errors.n,
		"because: %s", why))
		printf("# got: %s", buf_cstr(&notes.errors));
}

/* The names of the rules that hold for a folder of ann@x.test. */
static const char *
hold(const char *folder)
{
	static char text[300];
	const struct aging_rules *sets[] = { &rules, &more };
	const struct aging_place place = { S("primary"), S("ann@x.test"), slice_str(folder) };
	const struct aging_rule *const *r;
	struct buf out = { 0 };
	size_t n = 0;

	aging_rules_select(sets, 2, &place, &out);
	r = (const void *)out.p;
	text[0] = '\0';
	for (size_t i = 0; i < out.n / sizeof(*r); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s" SFMT, n ? " " : "",
		    SARG(r[i]->name));
	buf_fini(&out);
	return text;
}

/* ---- judging ------------------------------------------------------------------------------- */

static bool
header_odd(void *arg, const struct aging_rule *r, const struct aging_message *m)
{
	++*(int *)arg;
	return r->headers.n && m->uid % 2;
}

/* Ten messages of 10, 20 ... 100 bytes, 10, 9 ... 1 days old; those with an even UID are seen.  Of each the
 * number of the rule that takes it, "-" for none. */
static const char *
judge(const char *text, int *asked)
{
	static char taken[16];
	struct aging_message m[10];
	const struct aging_rule *list[8];
	const int64_t now = 20000 * (int64_t)DAY;
	int none = 0;

	if (!parse(text))
		return buf_cstr(&notes.errors);
	for (size_t i = 0; i < rules.n; i++)
		list[i] = &rules.rules[i];
	for (uint32_t i = 0; i < 10; i++)
		m[i] = (struct aging_message){ .uid = i + 1,
			.size = (i + 1) * 10,
			.internaldate = now - (10 - i) * (int64_t)DAY,
			.savedate = (uint32_t)(now - (10 - i) / 2 * (int64_t)DAY),
			.flags = i % 2 ? STORE_SEEN :
			    i == 4     ? STORE_DELETED :
					 0 };
	aging_judge(m, 10, list, rules.n, now, header_odd, asked ? asked : &none);
	for (size_t i = 0; i < 10; i++)
		taken[i] = m[i].taken ? (char)('0' + m[i].taken) :
		    m[i].reported     ? (char)('a' + m[i].reported - 1) :
					'-';
	taken[10] = '\0';
	return taken;
}

#define ALL "R.folderpattern: user/*\n"

static void
test_grammar(void)
{
	const struct aging_rule *r;

	ok(parse("# comment\n\n"
		 "Trash.folderpattern: user/%/Trash\nTrash.MessageDays:  7 \r\n"
		 "Big.folderpattern:user/*\nBig.messagesize: 5M\n  Big.messagesizedays: 3\n"
		 "Big.messageheader.Subject: Win: now\nTrash.action: fileinto:inbox/old\n"
		 "Big.seen: and\nBig.deleted: no\nBig.regexp: 0\nBig.exclusive: 1\n"),
	    "a file with all of it");
	eq(rules.n, 2, "two rules, however their lines are mixed");
	r = rules.rules;
	eq(r[0].messagedays, 7, "days");
	eq(r[0].action, AGING_MOVE, "an action");
	ok(slice_eq(r[0].to, S("INBOX/old")), "with a canonical folder");
	eq(r[1].messagesize, 5 << 20, "a size");
	eq(r[1].by,
	    AGING_BY_SIZE | AGING_BY_GRACE | AGING_BY_HEADER | AGING_BY_SEEN | AGING_BY_DELETED,
	    "criteria");
	ok(r[1].seen && !r[1].deleted && r[1].exclusive, "and words");
	eq(r[1].line, 5, "where it begins");
	ok(parse("") && rules.n == 0, "an empty file");
	ok(parse(ALL "R.foldersize: 8388607T"), "a large size");
}

static void
test_refused(void)
{
	refused("R.folderpattern: user/*\nR.mesagedays: 1\n", AGING_GLOBAL,
	    "rules:2: there is no attribute \"mesagedays\", did you mean messagedays");
	refused("R.seen: or\n", AGING_GLOBAL, "for \"or\" make two rules");
	refused("R.regexp: 1\n", AGING_GLOBAL, "no regular expressions");
	refused("R.sieve: discard;\n", AGING_GLOBAL, "sieve");
	refused("R.action: archive\n", AGING_GLOBAL, "no archive");
	refused("R.action: fileinto:a//b\n", AGING_GLOBAL, "name of a folder");
	refused("R.messagedays: -1\n", AGING_GLOBAL, "1 to 36500, not \"-1\"");
	refused("R.messagedays: 99999999999999999999\n", AGING_GLOBAL, "1 to 36500");
	refused("R.foldersize: 16777216T\n", AGING_GLOBAL, "a size as");
	refused("R.foldersize: M\n", AGING_GLOBAL, "a size as");
	refused("R.foldersize:\n", AGING_GLOBAL, "a size as");
	refused("R.folderpattern: */Trash\n", AGING_GLOBAL, "begins with user/");
	refused("R.messagedays: 1\n", AGING_GLOBAL, "rules:1: the rule R has no folderpattern");
	refused(ALL, AGING_GLOBAL, "no criterion");
	refused(ALL "R.messagesizedays: 3\n", AGING_GLOBAL, "without messagesize");
	refused(ALL "R.seen: and\nR.seen: and\n", AGING_GLOBAL,
	    "rules:3: the rule R has seen already");
	refused("messagedays: 3\n", AGING_GLOBAL, "expected RULE.ATTRIBUTE: VALUE");
	refused("R.messageheader.: x\n", AGING_GLOBAL, "name of a header field");
	refused("R.messageheader.Subject:\n", AGING_GLOBAL, "name of a header field");
	refused("[folder Sent]\n", AGING_GLOBAL, "in an account's file alone");
	refused("[folder a//b]\n", AGING_USER, "expected [folder NAME]");
	refused("R.messagedays: 1\nR.exclusive: 1\n", AGING_OWN, "cannot be exclusive");
	refused("R.messagedays: x\nQ.seen: y\n", AGING_USER, "rules:2: expected and, yes or no");
}

static void
test_select(void)
{
	struct buf bomb = { 0 };

	ok(parse("A.folderpattern: user/%/Trash\nA.messagedays: 1\n"
		 "B.folderpattern: user/*@x.test/*\nB.messagedays: 1\n"
		 "C.folderpattern: user/%/%\nC.messagedays: 1\nC.action: fileinto:Old\n"),
	    "rules for all");
	ok(parse_into(&more,
	       "D.messagedays: 2\nE.folderpattern: Se%\nE.seen: and\n"
	       "[folder Sent]\nD.messagedays: 3\nD.exclusive: 1\n",
	       AGING_USER, "ann@x.test"),
	    "and for an account");
	is(hold("Trash"), "A B C D", "the pattern of one folder");
	is(hold("a/b"), "B D", "%% is one component");
	is(hold("Old"), "B D", "nothing is moved to where it is");
	is(hold("Sent"), "D", "an exclusive rule is alone");
	eq(more.n, 3, "a name may come again below [folder]");
	ok(parse_into(&more, "X.messagedays: 1\n", AGING_USER, "joe@x.test"), "somebody else's");
	is(hold("Sent"), "B C", "do not hold");
	ok(parse_into(&more, "X.folderpattern: user/*\nX.messagedays: 1\n", AGING_PARTITION, "two"),
	    "nor another partition's");
	is(hold("Sent"), "B C", "do");
	ok(parse_into(&more, "X.folderpattern: user/*\nX.messagedays: 1\n", AGING_PARTITION,
	       "primary"),
	    "this one's");
	is(hold("Sent"), "B C X", "does");

	/* what a matcher that goes back would take for ever with */
	buf_str(&bomb, "R.messagedays: 1\nR.folderpattern: user/*");
	while (bomb.n < 950)
		buf_str(&bomb, "a*a%");
	buf_str(&bomb, "b\n");
	ok(parse(buf_cstr(&bomb)), "a pattern of many wildcards");
	buf_clear(&bomb);
	while (bomb.n < STORE_NAME_MAX)
		buf_char(&bomb, 'a');
	for (int i = 0; i < 1000; i++)
		(void)hold(buf_cstr(&bomb));
	is(hold(buf_cstr(&bomb)), "X", "is asked a thousand long names and matches none");
	buf_fini(&bomb);
}

static void
test_judge(void)
{
	int asked = 0;

	is(judge(ALL "R.messagedays: 4\n", NULL), "1111111---", "age");
	is(judge(ALL "R.savedays: 4\n", NULL), "111-------", "time in the folder");
	is(judge(ALL "R.messagecount: 3\n", NULL), "1111111---", "the newest three stay");
	is(judge(ALL "R.foldersize: 270\n", NULL), "1111111---", "the newest that fit stay");
	is(judge(ALL "R.foldersize: 269\n", NULL), "11111111--", "and one that does not fit goes");
	is(judge(ALL "R.messagesize: 60\n", NULL), "------1111", "size: more than");
	is(judge(ALL "R.messagesize: 20\nR.messagesizedays: 3\n", NULL), "--111-----",
	    "size, with days of grace");
	is(judge(ALL "R.seen: and\n", NULL), "-1-1-1-1-1", "seen");
	is(judge(ALL "R.seen: no\n", NULL), "1-1-1-1-1-", "not seen");
	is(judge(ALL "R.deleted: and\n", NULL), "----1-----", "deleted");
	is(judge(ALL "R.seen: and\nR.messagecount: 5\nR.messagedays: 8\n", NULL), "-1--------",
	    "all criteria must be met");
	is(judge(ALL "R.messagedays: 6\nR.messageheader.Subject: x\n", &asked), "1-1-1-----",
	    "a header");
	eq(asked, 5, "is asked only of what is left");
	is(judge(ALL "R.seen: and\nQ.folderpattern: user/*\nQ.messagecount: 3\n", NULL),
	    "2121-1-1-1", "a rule sees what those before it leave");
	is(judge(ALL "R.messagedays: 9\nR.action: report\nQ.folderpattern: user/*\nQ.seen: and\n",
	       NULL),
	    "a2-2-2-2-2", "what is reported stays for others");
}

int
main(void)
{
	test_grammar();
	test_refused();
	test_select();
	test_judge();
	aging_rules_fini(&rules);
	aging_rules_fini(&more);
	mta_notes_fini(&notes);
	return done();
}
