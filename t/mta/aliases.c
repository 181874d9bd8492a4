/* t/mta/aliases.c: the alias file: names, targets, included files, and what is refused. */
#include "base/mem.h"
#include "mta/aliases.h"
#include "files.h"
#include "../tap.h"

static struct mta_aliases *aliases;
static struct mta_notes notes;

static struct mta_aliases *
compile(const char *text)
{
	const struct file files[] = { { "aliases", text },
		{ "/staff", "# who\njane, joe\n\n  ann@x.test\r\n" },
		{ "/nest", ":include:/staff" }, { "/self", "a\n:include:/self\n" },
		{ NULL, NULL } };
	union {
		const struct file *in;
		void *out;
	} u = { .in = files };

	mta_aliases_free(&aliases);
	mta_notes_fini(&notes);
	return aliases = mta_aliases_compile("aliases", files_read, u.out, &notes);
}

/* Who gets the mail: "jane joe |prog". */
static const char *
who(const char *local, const char *domain)
{
	static char text[300];
	const struct mta_alias *a = mta_aliases_find(aliases, slice_str(local), slice_str(domain));
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; a && i < a->n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s" SFMT, i ? " " : "",
		    a->targets[i].kind == MTA_TARGET_ADDRESS  ? "" :
			a->targets[i].kind == MTA_TARGET_FILE ? "file=" :
								"program=",
		    SARG(a->targets[i].text));
	return a ? text : "nobody";
}

static void
refused(const char *text, const char *why)
{
	ok(!compile(text), "refused: %s", why);
	ok(notes.errors.n &&
		slice_find_str(buf_get(&notes.errors), slice_str(why)) < notes.errors.n,
	    "because: %s", why);
}

int
main(void)
{
	ok(compile(
	       "# comment\nroot: jane\nPostMaster:\troot,\n\tjoe@x.test\n  # in between\n ,ann\n"
	       "one@d.test: x\none: y\n\"odd: name\": \"a, b\"@c.test, \"plain\"\n"
	       "staff: :include:/staff, :include: /nest\nwin: a\r\n"),
	    "a file with all of it");
	eq(mta_aliases_count(aliases), 7, "seven names");
	is(who("root", "d.test"), "jane", "a name");
	is(who("ROOT", "d.test"), "jane", "in any case");
	is(who("postmaster", "d.test"), "root joe@x.test ann", "continued, with a comment within");
	is(who("one", "D.test"), "x", "a whole address goes first");
	is(who("one", "e.test"), "y", "then its local part");
	is(who("odd: name", "d.test"), "\"a, b\"@c.test plain", "quotes");
	is(who("staff", "d.test"), "jane joe ann@x.test jane joe ann@x.test", "included files");
	is(who("win", "d.test"), "a", "lines of another system");
	is(who("no", "d.test"), "nobody", "nobody");
	ok(!mta_aliases_find(NULL, S("a"), S("b")), "no file at all");
	ok(compile("p: |prog, \"|prog -x, y\", /var/mail/x, a\n"), "programs and files are kept");
	is(who("p", "d.test"), "program=|prog program=|prog -x, y file=/var/mail/x a",
	    "as what they are");
	eq(notes.nwarnings, 2, "with a warning of those that are no names of programs");
	ok(compile(""), "an empty file");
	eq(mta_aliases_count(aliases), 0, "has no names");
	refused("no colon here\n", "aliases:1: expected");
	refused("a: b\na: c\n", "aliases:2: the name a stands in line 1 already");
	refused(" a: b\n", "white space in front");
	refused("a:\n", "nobody gets the mail of a");
	refused("a: \"b\n", "a quote that does not end");
	refused("a: :include:/gone\n", "/gone");
	refused("a: :include:relative\n", "absolute path");
	refused("a: :include:/self\n", "at most 3 deep");
	refused("a: :fail: no\n", "expected :include:");
	refused(": b\n", "expected");
	ok(!mta_aliases_compile("gone", files_read, &(struct file){ NULL, NULL }, &notes),
	    "a file that is not there");
	mta_aliases_free(&aliases);
	mta_notes_fini(&notes);
	return done();
}
