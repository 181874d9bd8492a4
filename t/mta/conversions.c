/* t/mta/conversions.c: the file conversions: entries, which one is for a part, and what is refused. */
#include <errno.h>
#include "base/mem.h"
#include "mta/conversions.h"
#include "files.h"
#include "../tap.h"

static struct mta_conversions *set;
static struct mta_notes notes;

static struct mta_conversions *
compile(const char *text)
{
	const struct file files[] = { { "conversions", text }, { NULL, NULL } };
	union {
		const struct file *in;
		void *out;
	} u = { .in = files };

	mta_conversions_free(&set);
	mta_notes_fini(&notes);
	return set = mta_conversions_compile("conversions", files_read, u.out, &notes);
}

static struct slice
parameter(void *arg, bool disposition, struct slice name)
{
	const char *value = arg;

	return slice_ieq(name, disposition ? S("filename") : S("name")) ? slice_str(value) :
									  (struct slice){ 0 };
}

/* The command of the entry for a part, "delete", or "none". */
static const char *
asked(const char *source, const char *channel, const char *type, const char *subtype, char *name)
{
	static char out[100];
	struct mta_conversion_part p = { .source = slice_str(source),
		.channel = slice_str(channel),
		.type = slice_str(type),
		.subtype = slice_str(subtype),
		.subject = S("The Subject"),
		.arg = name,
		.parameter = parameter };
	const struct mta_conversion *e = mta_conversion_find(set, &p);

	return !e ? "none" : e->delete ? "delete" : slice_cstr(e->command, out, sizeof(out));
}

static void
entries(void)
{
	char none[] = "", exe[] = "Run.EXE";
	const struct mta_conversion *e;

	ok(compile(
	       "! a comment\n"
	       "in-chan=tcp_*; OUT-CHANNEL=ims-ms; in-type=application; in-subtype=ms-word;\n"
	       "  out-type=text; out-subtype=\"plain\"; out-mode=block; parameter-copy-0=*;\n"
	       "  command=\"one\"\n"
	       "in-type=image; in-subtype=*; delete=1;\n"
	       "\n"
	       "in-parameter-name-0=name; in-parameter-value-0=*.exe; command=two\n"
	       "in-dparameter-name-3=filename; in-dparameter-value-3=*.com; command=three;\n\n\n"
	       "in-subject=*subject; in-type=text; \\\n   out-description=\"a;b \\\" \\\\\"; \\\n "
	       "command=four"),
	    "a file");
	eq(notes.nwarnings, 2, "two parameters that have no effect");
	is(asked("tcp_local", "ims-ms", "APPLICATION", "MS-Word", none), "one",
	    "channels and types");
	is(asked("local", "ims-ms", "application", "ms-word", none), "none",
	    "from another channel");
	is(asked("tcp_local", "x", "application", "ms-word", none), "none", "to another");
	is(asked("x", "x", "image", "gif", none), "delete", "the end of an entry by a blank line");
	is(asked("x", "x", "application", "y", exe), "two", "a parameter, in any case");
	is(asked("x", "x", "text", "y", none), "four", "the subject");
	e = mta_conversion_at(set, 5);
	ok(!e, "there are five");
	e = mta_conversion_at(set, 0);
	ok(e && slice_eq(e->out_type, S("text")) && slice_eq(e->out_subtype, S("plain")) &&
		e->line == 2,
	    "what is made of it, and where it stands");
	e = mta_conversion_at(set, 4);
	ok(e && slice_eq(e->out_description, S("a;b \" \\")), "a value in quotes");
	ok(compile("") && !mta_conversion_at(set, 0), "an empty file");
	is(asked("a", "b", "c", "d", none), "none", "says nothing");
}

static void
refuse(const char *text, const char *want)
{
	ok(!compile(text) && notes.nerrors == 1, "refused: %.40s", text);
	is(buf_cstr(&notes.errors), want, "with the reason");
}

static void
refused(void)
{
	refuse("in-type=x\n", "conversions:1: an entry needs command, delete=1 or relabel=1\n");
	refuse("in-type=x; comand=y; delete=1\n",
	    "conversions:1: comand is no parameter of a conversion\n");
	refuse("in-type=x; command=\"/bin/cat x\"\n",
	    "conversions:1: command is the name of a program of piped.conf, not a command line: "
	    "/bin/cat x\n");
	refuse("in-type=x;\n  out-type=text; command=y\n",
	    "conversions:2: out-type and out-subtype are said together\n");
	refuse("delete=1; in-type=\"x\n", "conversions:1: a value is not ended\n");
	refuse("delete=1; in-type\n", "conversions:1: expected name=value\n");
	refuse("command=x; delete=2\n", "conversions:1: delete is 0 or 1\n");
	refuse("command=x; out-type=\"a b\"; out-subtype=c\n",
	    "conversions:1: a b/c is no type of a part\n");
}

int
main(void)
{
	entries();
	refused();
	mta_conversions_free(&set);
	mta_notes_fini(&notes);
	return done();
}
