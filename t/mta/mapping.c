/* Mapping tables: what is read, what comes of a probe, what is refused, what it may cost. */
#include "base/mem.h"
#include "mta/access.h"
#include "mta/general.h"
#include "mta/mapping.h"
#include "../tap.h"
#include "files.h"

static struct mta_mappings *
compile(const char *text, struct mta_notes *notes)
{
	struct file files[] = { { "/m", text }, { "/inc", "INC\n\n  a  b\n" }, { "/1", "</2\n" },
		{ "/2", "</3\n" }, { "/3", "</4\n" }, { "/round", "</m\n" }, { NULL, NULL } };

	return mta_mappings_compile("/m", files_read, files, notes);
}

/* ---- what calls answer ------------------------------------------------------------------- */

static uint64_t counter;
static uint64_t rolled;
static const char *asked_url;

static enum mta_answer
general(void *arg, struct slice key, struct buf *value)
{
	(void)arg;
	if (slice_ieq(key, S("away")))
		return MTA_TEMP;
	if (slice_ieq(key, S("later")))
		return MTA_LATER;
	if (!slice_ieq(key, S("key")))
		return MTA_NO;
	buf_str(value, "value");
	return MTA_YES;
}

static enum mta_answer
url(void *arg, struct slice u, struct buf *value)
{
	static char copy[256];

	(void)arg;
	asked_url = slice_cstr(u, copy, sizeof(copy));
	buf_str(value, "found");
	return slice_find_str(u, S("none")) < u.n ? MTA_NO : MTA_YES;
}

static enum mta_answer
attribute(void *arg, struct slice domain, struct slice name, struct buf *value)
{
	(void)arg;
	buf_printf(value, SFMT "/" SFMT, SARG(domain), SARG(name));
	return slice_eq(domain, S("siroe.com")) ? MTA_YES : MTA_NO;
}

static enum mta_answer
sequence(void *arg, struct slice file, uint64_t *value)
{
	(void)arg;
	*value = counter++;
	return slice_eq(file, S("/seq")) ? MTA_YES : MTA_NO;
}

static uint64_t
dice(void *arg, uint64_t below)
{
	(void)arg;
	(void)below;
	return rolled;
}

static const struct mta_calls calls = { .general = general,
	.url = url,
	.attribute = attribute,
	.sequence = sequence,
	.dice = dice };

/* What comes of a probe: "no", "error: ..." or "FLAGS text". */
static const char *
ask(const struct mta_mappings *m, const char *table, const char *probe, const char *flags)
{
	static struct buf got;
	struct mta_flags in = { 0 };
	struct mta_mapped r;
	enum mta_answer a;

	for (; *flags; flags++)
		mta_flags_add(&in, *flags);
	buf_clear(&got);
	a = mta_mappings_ask(m, &calls, slice_str(table), slice_str(probe), &in, &r);
	if (a == MTA_YES) {
		mta_flags_write(&got, &r.flags);
		buf_printf(&got, " " SFMT, SARG(buf_get(&r.text)));
	} else {
		buf_str(&got,
		    a == MTA_TEMP      ? r.error :
			a == MTA_LATER ? "later" :
			r.failed       ? "failed" :
					 "no");
	}
	if (a == MTA_NO && strcmp(buf_cstr(&r.text), probe) != 0)
		buf_str(&got, ", but the text is not the probe");
	mta_mapped_fini(&r);
	return buf_cstr(&got);
}

/* ---- answers ----------------------------------------------------------------------------- */

#define AUX          "AUX\n\n  yes $Yaux\n  mute aux\n  $(10.0.0.0/8) $Yin\n  deep $|AUX;deep|$Y\n\n"
#define ONE(entries) AUX "T\n\n" entries "\n"

static const struct {
	const char *text, *probe, *flags, *want, *what;
} cases[] = {
	/* order: top to bottom, the first that matches */
	{ ONE("  a* one\n  ab two\n"), "ab", "", " one", "the first entry that matches" },
	{ ONE("  ab two\n  a* one\n"), "AB", "", " two", "without regard to case" },
	{ ONE("  x y\n"), "z", "", "no", "no entry" },
	{ ONE("  a\n"), "a", "", " ", "an empty template" },
	/* the guide's examples of fields (bgajc) */
	{ ONE("  PSI$%*::*    $1@$0.psi.siroe.com\n"), "PSI%A::B", "", " B@A.psi.siroe.com",
	    "wildcard fields" },
	{ ONE("  PSI$%*::*    $1@$0.psi.siroe.com\n"), "PSI%1234::USER", "",
	    " USER@1234.psi.siroe.com", "again" },
	{ ONE("  PSI$%*::*    $1@$0.psi.siroe.com\n"), "PSIABC::DEF", "", "no",
	    "no match, no change" },
	{ ONE("  *-*  $1$0$1\n"), "a-b", "", " bab", "a field twice" },
	{ ONE("  *  $0$5.\n"), "a", "", " a.", "a field that is not there is empty" },
	/* quoting in templates */
	{ ONE("  a  $$x$ y$%z\n"), "a", "", " $x y%z", "quoted characters" },
	{ ONE("  a$ b  c\n"), "a b", "", " c", "a blank in the pattern" },
	/* case */
	{ ONE("  *  $\\$0$^$0$_$0\n"), "aB", "", " abABaB", "lower, upper, as it is" },
	{ ONE("  *  $^x$0\n"), "a", "", " XA", "text of the template too" },
	/* flags */
	{ ONE("  a  $Yok\n"), "a", "", "Y ok", "a flag" },
	{ ONE("  a  $y$n30|$d\n"), "a", "", "DNY 30|", "letters of either case, anywhere" },
	{ ONE("  a  $<x$>$,\n"), "a", "", ",<> x", "signs" },
	/* $C: on with the next entry (Table 4-15) */
	{ ONE("  a  b$C\n  a x\n  b  c\n"), "a", "", " c", "$C: the output is the new probe" },
	{ ONE("  a  b$C\n  z  c\n"), "a", "", " b", "$C and nothing after it" },
	{ ONE("  *x  $0$Cy\n  *y  $0$C1\n  *  $0.\n"), "ax", "", " a1.", "$C, three in a row" },
	{ ONE("  a  b$C$E\n  b  c\n"), "a", "", " b", "$E behind $C ends" },
	{ ONE("  a  $A$Cb\n  b  $Bc\n"), "a", "", "AB c", "flags of all that contributed" },
	/* $R: from the top */
	{ ONE("  b  $Yend\n  a  b$R\n"), "a", "", "Y end", "$R begins the table again" },
	{ ONE("  *$_.*  $R$0_$1\n"), "a.b.c", "", " a_b_c", "$R until no entry matches" },
	{ ONE("  a  $Ra\n"), "a", "", "$R begins a table more than 100 times", "$R without end" },
	/* $L: once more when the table is used up; $C $E $R cancel that */
	{ ONE("  b  $Yend\n  a  b$L\n  z  z\n"), "a", "", "Y end", "$L: one more pass" },
	{ ONE("  c  $Yend\n  a  b$L\n  b  c$C\n"), "a", "", " c", "a later $C cancels it" },
	{ ONE("  c  $Yend\n  a  b$L\n  b  c\n"), "a", "", " c",
	    "so does a match without a letter" },
	{ ONE("  a  $Lb\n  b  $La\n"), "a", "", "$L begins a table more than 100 times",
	    "$L without end" },
	/* input flags */
	{ ONE("  a  $:Ayes\n  a  no\n"), "a", "A", " yes", "$:A with A set" },
	{ ONE("  a  $:Ayes\n  a  no\n"), "a", "", " no", "$:A: the next entry" },
	{ ONE("  a  $;Ayes\n  a  no\n"), "a", "A", " no", "$;A with A set" },
	{ ONE("  a  $;Tyes\n  a  no\n"), "a", "A", " yes", "$;T with T clear" },
	{ ONE("  a  $:t$Tx\n"), "a", "T", "T x", "$:T tests, $T sets" },
	/* other tables */
	{ ONE("  *  $C$|AUX;$0|$Y$E\n  *  $N\n"), "yes", "", "Y aux", "a table that sets $Y" },
	{ ONE("  *  $C$|AUX;$0|$Y$E\n  *  $N\n"), "mute", "", "N ",
	    "a match without $Y is a failure" },
	{ ONE("  *  $C$|AUX;$0|$Y$E\n  *  $N\n"), "other", "", "N ", "no match is a failure" },
	{ ONE("  *  $C$|NONE;$0|$Y$E\n  *  $N\n"), "yes", "", "N ", "no such table is a failure" },
	{ ONE("  *  $|AUX;$0|$Y\n  *  $N\n"), "other", "", "failed",
	    "without $C in front it ends the table" },
	{ ONE("  *  $|AUX;$0|$C\n  *  $N\n"), "other", "", "failed", "a $C behind is not seen" },
	{ ONE("  *  x$|AUX;10.1.2.3|\n"), "a", "", " xin", "its text takes the place" },
	{ ONE("  *  $^$|aux;yes|\n"), "a", "", " AUX", "names of either case; case applies" },
	{ ONE("  *  $|AUX;deep|\n"), "a", "", "tables call each other more than 10 deep",
	    "tables that call themselves" },
	{ ONE("  *|*  $C$|AUX;$0|$E\n"), "a|b", "", "no", "a bar in the probe; then no entry" },
	/* general database, URL, attribute */
	{ ONE("  *  ${$0}\n"), "key", "", " value", "the general database" },
	{ ONE("  *  ${$0}\n"), "none", "", "failed", "a key that is not there" },
	{ ONE("  *  $C${$0}$E\n  *  [$0]\n"), "none", "", " [none]",
	    "the probe goes on unchanged" },
	{ ONE("  *  ${$0}\n"), "away", "", "what a call asks for cannot be told for now",
	    "for now" },
	{ ONE("  *  ${$0}\n"), "later", "", "later", "later" },
	{ ONE("  *  $]ldap:///o=x?mail?sub?(cn=$0)[\n"), "a", "", " found", "a URL" },
	{ ONE("  *  $]ldap:///none[\n"), "a", "", "failed", "a URL without a result" },
	{ ONE("  *  $}$0,mailHost{\n"), "siroe.com", "", " siroe.com/mailHost",
	    "a domain's attribute" },
	{ ONE("  *  $}$0,mailHost{\n"), "else.com", "", "failed", "a domain without it" },
	/* sequences */
	{ ONE("  *  n$#/seq#\n"), "a", "", " n35", "a sequence" },
	{ ONE("  *  $#/seq|16|4#\n"), "a", "", " 0023", "radix and width" },
	{ ONE("  *  $#/seq|36#\n"), "a", "", " Z", "radix 36" },
	{ ONE("  *  $#/seq|-10||10#\n"), "a", "", " 5", "modulus" },
	{ ONE("  *  $#/other#\n"), "a", "", "failed", "a sequence that is not there" },
	/* networks as keys */
	{ ONE("  $(192.168.1.0/24)  $Y\n  127.0.0.1  $Y\n  *  $N\n"), "192.168.1.9", "", "Y ",
	    "INTERNAL_IP, in" },
	{ ONE("  $(192.168.1.0/24)  $Y\n  127.0.0.1  $Y\n  *  $N\n"), "127.0.0.1", "", "Y ",
	    "INTERNAL_IP, itself" },
	{ ONE("  $(192.168.1.0/24)  $Y\n  127.0.0.1  $Y\n  *  $N\n"), "192.168.2.9", "", "N ",
	    "INTERNAL_IP, out" },
	{ ONE("  $(10.0.0.0/9)  a\n  $(10.0.0.0/8)  b\n"), "10.200.0.1", "", " b",
	    "networks of two sizes" },
	{ ONE("  $(65.0.0.0/8)  a\n  $(97.0.0.0/8)  b\n"), "97.1.1.1", "", " b",
	    "octets that are letters" },
	{ ONE("  ${2001:db8::/32}  v6\n  *  $N\n"), "2001:db8::1", "", " v6", "IPv6" },
	/* the guide's access tables (18.3, 18.6) */
	{ ONE("  TCP|*|25|$(206.184.139.0/24)|*  $Y\n  TCP|*|*|*|*  $N500$ Bad$ idea\n"),
	    "TCP|1.2.3.4|25|206.184.139.12|3000", "", "Y ", "PORT_ACCESS, in" },
	{ ONE("  TCP|*|25|$(206.184.139.0/24)|*  $Y\n  TCP|*|*|*|*  $N500$ Bad$ idea\n"),
	    "TCP|1.2.3.4|25|9.9.9.9|3000", "", "N 500 Bad idea", "PORT_ACCESS, out" },
	{ ONE("  *|postmaster@siroe.com|*|*  $Y\n  *|*|*|postmaster@siroe.com  $Y\n"
	      "  tcp_local|*|tcp_local|*  $NRelaying$ not$ allowed\n"),
	    "tcp_local|a@b|tcp_local|c@d", "", "N Relaying not allowed", "SEND_ACCESS, relaying" },
	{ ONE("  *|postmaster@siroe.com|*|*  $Y\n  *|*|*|postmaster@siroe.com  $Y\n"
	      "  tcp_local|*|tcp_local|*  $NRelaying$ not$ allowed\n"),
	    "tcp_local|a@b|tcp_local|postmaster@siroe.com", "", "Y ",
	    "SEND_ACCESS, the postmaster" },
};

static void
answers(void)
{
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct mta_notes notes = { 0 };
		struct mta_mappings *m = compile(cases[i].text, &notes);

		counter = 35;
		if (ok(m, "%s: %s", cases[i].what, buf_cstr(&notes.errors)))
			is(ask(m, "T", cases[i].probe, cases[i].flags), cases[i].want, "%s",
			    cases[i].what);
		mta_notes_fini(&notes);
		mta_mappings_free(&m);
	}
}

/* $?x?: x of a hundred. */
static void
chances(void)
{
	static const struct {
		const char *entry;
		uint64_t roll;
		const char *want;
	} t[] = { { "  *  $?30?in\n  *  out\n", 299999, " in" },
		{ "  *  $C$?30?in$E\n  *  out\n", 300000, " out" },
		{ "  *  $?30?in\n  *  out\n", 300000, "failed" }, { "  *  $?0?in\n", 0, "failed" },
		{ "  *  $?100?in\n", 999999, " in" }, { "  *  $?0.5?in\n", 4999, " in" },
		{ "  *  $?0.5?in\n", 5000, "failed" } };

	for (size_t i = 0; i < NELEM(t); i++) {
		struct mta_notes notes = { 0 };
		char *text = mem_printf("T\n\n%s", t[i].entry);
		struct mta_mappings *m = compile(text, &notes);

		rolled = t[i].roll;
		is(m ? ask(m, "T", "a", "") : buf_cstr(&notes.errors), t[i].want, "%s at %llu",
		    t[i].entry, (unsigned long long)rolled);
		mem_free(&text);
		mta_notes_fini(&notes);
		mta_mappings_free(&m);
	}
}

static void
quoting(void)
{
	struct mta_notes notes = { 0 };
	struct mta_mappings *m = compile("T\n\n  *  $=$]ldap:///?mail?sub?(cn=$0)[\n", &notes);

	is(ask(m, "T", "a*(b)\\", ""), " found", "$= in front of a URL");
	is(asked_url, "ldap:///?mail?sub?(cn=a\\2a\\28b\\29\\5c)",
	    "what is substituted is quoted (RFC 4515 3)");
	mta_notes_fini(&notes);
	mta_mappings_free(&m);
}

/* ---- files ------------------------------------------------------------------------------- */

static const struct {
	const char *text, *said; /* NULL: it loads */
} files[] = {
	{ "! a comment\nT\n! another\n\n  a b\n! a third\n  c d\n\nU\n\n  a b\n", NULL },
	{ "T\n\n  a b\n\n\n\nU\n\n  a b\n", NULL },
	{ "T\n\n\n", NULL },
	{ "", NULL },
	{ "T\n\n  a \\\n   b\n", NULL },
	{ "</inc\n\nT\n\n  a b\n", NULL },
	{ "T\n\n  a b\n\nt\n\n  a b\n", "/m:5: there is a table T already" },
	{ "T\n  a b\n", "/m:2: expected a blank line behind the name of a table" },
	{ "  a b\n", "/m:1: an entry without a table" },
	{ "T\n\n  a b\n\n  c d\n", "/m:5: an entry without a table" },
	{ "T\n\n  a b c\n", "/m:3: expected the end of the line behind the template, not `c'" },
	{ "T U\n\n  a b\n", "/m:1: expected the name of a table alone" },
	{ "1T\n\n  a b\n", "/m:1: the name of a table begins with a letter" },
	{ "T\n\n  $(1.2 b\n", "/m:3: pattern `$(1.2': expected the end of an address" },
	{ "T\n\n  a $\n", "/m:3: template `$': a `$' at the end" },
	{ "T\n\n  a $[x,y,z]\n", "$[image,routine,argument] calls code of a site" },
	{ "T\n\n  a $|T,x|\n", "expected `;' between table and probe" },
	{ "T\n\n  a $|T;x\n", "expected `|' at the end" },
	{ "T\n\n  a ${x\n", "expected `}'" },
	{ "T\n\n  a $]x\n", "expected `['" },
	{ "T\n\n  a $}x,y\n", "expected `{'" },
	{ "T\n\n  a $}x{\n", "expected `,' between domain" },
	{ "T\n\n  a $#f|1#\n", "expected a radix" },
	{ "T\n\n  a $#f|10|99#\n", "expected a width" },
	{ "T\n\n  a $#f|10|9|0#\n", "expected a modulus" },
	{ "T\n\n  a $##\n", "expected a file" },
	{ "T\n\n  a $?101?\n", "expected a percentage" },
	{ "T\n\n  a $?x?\n", "expected a percentage" },
	{ "T\n\n  a $:\n", "expected a flag" },
	{ "<inc\n", "/m:1: expected an absolute path behind `<'" },
	{ "</none\n", "/m:1: /none: No such file" },
	{ "</m\n", "/m includes itself" },
	{ "</round\n", "/round:1: /m includes itself" },
	{ "</1\n", "files are included 3 levels deep at most" },
};

static void
loads(void)
{
	for (size_t i = 0; i < NELEM(files); i++) {
		struct mta_notes notes = { 0 };
		struct mta_mappings *m = compile(files[i].text, &notes);

		if (!files[i].said)
			ok(m && notes.nerrors == 0, "it loads: %s", buf_cstr(&notes.errors));
		else
			ok(!m && strstr(buf_cstr(&notes.errors), files[i].said), "it says %s (%s)",
			    files[i].said, buf_cstr(&notes.errors));
		mta_notes_fini(&notes);
		mta_mappings_free(&m);
	}
}

static void
warnings(void)
{
	struct mta_notes notes = { 0 };
	struct mta_mappings *m = compile("T\n\n  a* $1\n  b $|NONE;x|\n", &notes);
	size_t n;

	ok(m, "warnings alone do not hinder");
	ok(strstr(buf_cstr(&notes.warnings), "/m:3: the template has the number of a wildcard"),
	    "a field too many");
	ok(strstr(buf_cstr(&notes.warnings), "/m:4: there is no table NONE"),
	    "a table that is not there");
	is(mta_mappings_name(m, 0, &n), "T", "tables have names");
	eq(n, 2, "and entries");
	ok(!mta_mappings_name(m, 1, &n), "one table");
	is(ask(m, "U", "a", ""), "no", "a table that there is not");
	mta_notes_fini(&notes);
	mta_mappings_free(&m);
}

/* ---- bounds ------------------------------------------------------------------------------ */

static void
bounds(void)
{
	struct mta_notes notes = { 0 };
	struct buf text = { 0 }, probe = { 0 };
	struct mta_mappings *m;

	buf_str(&text, "GROW\n\n  *  $R$0$0\n\nBOMB\n\n");
	for (int i = 0; i < 2000; i++)
		buf_printf(&text, "  **$0*$1*a%d*a*$0*b%%  $Y\n", i % 10);
	for (int i = 0; i < 3000; i++)
		buf_char(&probe, 'a');
	m = compile(buf_cstr(&text), &notes);
	ok(m, "they load: %s", buf_cstr(&notes.errors));
	is(ask(m, "GROW", "ab", ""), "a result has more than 4096 octets", "a result that grows");
	is(ask(m, "BOMB", buf_cstr(&probe), ""), "a pattern takes too many steps", "a bomb");
	for (int i = 0; i < 1200; i++)
		buf_char(&probe, 'a');
	is(ask(m, "GROW", buf_cstr(&probe), ""), "a probe has more than 4096 octets",
	    "a long probe");
	mta_mappings_free(&m);
	mta_notes_fini(&notes);
	buf_fini(&text);
	buf_fini(&probe);
}

/* Ten thousand entries of each kind: the one that matches is found, and it is the first. */
static void
many(void)
{
	struct mta_notes notes = { 0 };
	struct buf text = { 0 };
	struct mta_mappings *m;

	buf_str(&text, "T\n\n");
	for (int i = 0; i < 10000; i++)
		buf_printf(&text,
		    "  w%d  whole%d\n  h%d|*  head%d\n  *@d%d  tail%d\n  $(10.%d.%d.0/24)  net%d\n",
		    i, i, i, i, i, i, i / 256, i % 256, i);
	buf_str(&text, "  w777|*  late\n  *  rest$0\n");
	m = compile(buf_cstr(&text), &notes);
	ok(m, "40,000 entries load: %s", buf_cstr(&notes.errors));
	is(ask(m, "T", "W9999", ""), " whole9999", "a whole text");
	is(ask(m, "T", "h8|x", ""), " head8", "a head");
	is(ask(m, "T", "x@d77", ""), " tail77", "a tail");
	is(ask(m, "T", "10.3.7.200", ""), " net775", "a network");
	is(ask(m, "T", "w777|a", ""), " late", "the last but one");
	is(ask(m, "T", "h8|x@d3", ""), " tail3", "the first of two that match");
	is(ask(m, "T", "none", ""), " restnone", "the last");
	mta_mappings_free(&m);
	mta_notes_fini(&notes);
	buf_fini(&text);
}

/* ---- access ------------------------------------------------------------------------------ */

static const struct {
	const char *table, *template, *want;
} access_cases[] = {
	{ "PORT_ACCESS", "$Y", "accept" },
	{ "PORT_ACCESS", "$N550$ no", "close text=550 no" },
	{ "PORT_ACCESS", "", "accept" },
	{ "SEND_ACCESS", "", "none" },
	{ "SEND_ACCESS", "$Y", "allow" },
	/* the guide's three lines that are identical (18.3) */
	{ "SEND_ACCESS", "30|Relaying$ not$ allowed$D$N",
	    "reject delay=30 text=Relaying not allowed" },
	{ "SEND_ACCESS", "$N30|Relaying$ not$ allowed$D",
	    "reject delay=30 text=Relaying not allowed" },
	{ "SEND_ACCESS", "30|$N$DRelaying$ not$ allowed",
	    "reject delay=30 text=Relaying not allowed" },
	{ "SEND_ACCESS", "$NUnknown$ user", "reject text=Unknown user" },
	{ "SEND_ACCESS", "$Fx", "reject text=x" },
	{ "SEND_ACCESS", "$X$N5.7.1|not$ here", "reject code=5.7.1 text=not here" },
	{ "SEND_ACCESS", "$H", "hold" },
	{ "SEND_ACCESS", "$B", "bitbucket" },
	{ "SEND_ACCESS", "$V", "discard" },
	{ "SEND_ACCESS", "$Z", "jettison" },
	{ "FROM_ACCESS", "$Jnew@siroe.com|$K$Ysender@siroe.com",
	    "allow env_from=new@siroe.com sender=sender@siroe.com" },
	{ "FROM_ACCESS", "$Y$D-50", "allow delay=-50" },
	{ "SEND_ACCESS", "$Na|b", "reject text=a|b" },
	{ "SEND_ACCESS", "$Ttag|$Y$A$ X-H:$ y", "allow tag=tag header= X-H: y" },
	{ "MAIL_ACCESS", "$Ndelay=30|code=5.7.1|Go$ away",
	    "reject delay=30 code=5.7.1 text=Go away" },
	{ "MAIL_ACCESS", "$N$D$X5.7.0|4|code=5.7.1|Go", "reject delay=5.7.0 code=5.7.1 text=Go" },
};

static void
accesses(void)
{
	for (size_t i = 0; i < NELEM(access_cases); i++) {
		struct mta_notes notes = { 0 };
		struct mta_mapped r;
		struct mta_access a;
		struct buf got = { 0 };
		char *text =
		    mem_printf("%s\n\n  x  %s\n", access_cases[i].table, access_cases[i].template);
		struct mta_mappings *m = compile(text, &notes);
		struct slice value;
		const char *name;

		if (!ok(m &&
			    mta_mappings_ask(m, NULL, slice_str(access_cases[i].table), S("x"),
				NULL, &r) == MTA_YES,
			"%s loads", access_cases[i].template))
			continue;
		mta_access_decode(slice_str(access_cases[i].table), &r, &a);
		buf_str(&got, mta_access_name(a.action));
		for (size_t k = 0; mta_access_argument(&a, k, &name, &value); k++)
			if (value.p)
				buf_printf(&got, " %s=" SFMT, name, SARG(value));
		is(buf_cstr(&got), access_cases[i].want, "%s", access_cases[i].template);
		buf_fini(&got);
		mem_free(&text);
		mta_mapped_fini(&r);
		mta_notes_fini(&notes);
		mta_mappings_free(&m);
	}
}

/* ---- the general database ---------------------------------------------------------------- */

static void
generals(void)
{
	struct file good[] = { { "/g", "! keys\nKey  a value \nb\tc\n\n" }, { NULL, NULL } };
	struct file twice[] = { { "/g", "a b\nA c\n" }, { NULL, NULL } };
	struct file bare[] = { { "/g", "a\n" }, { NULL, NULL } };
	struct mta_notes notes = { 0 };
	struct mta_general *g = mta_general_compile("/g", files_read, good, &notes);
	struct buf v = { 0 };

	ok(g && mta_general_keys(g) == 2, "two keys");
	eq(mta_general_find(g, S("kEY"), &v), MTA_YES, "a key in any case");
	is(buf_cstr(&v), "a value", "its value is the rest of the line");
	eq(mta_general_find(g, S("none"), &v), MTA_NO, "no such key");
	eq(mta_general_find(NULL, S("key"), &v), MTA_NO, "no database, no key");
	mta_general_free(&g);
	g = mta_general_compile("/g", files_read, twice, &notes);
	ok(!g && strstr(buf_cstr(&notes.errors), "/g:2: the key a stands in /g:1 already"),
	    "a key twice");
	mta_notes_fini(&notes);
	g = mta_general_compile("/g", files_read, bare, &notes);
	ok(!g && strstr(buf_cstr(&notes.errors), "/g:1: expected a value behind the key a"),
	    "no value");
	mta_notes_fini(&notes);
	buf_fini(&v);
}

int
main(void)
{
	answers();
	chances();
	quoting();
	loads();
	warnings();
	bounds();
	many();
	accesses();
	generals();
	return done();
}
