/* Configuration: types, errors with file:line, sections, includes, prefix, reload, printing. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "../tap.h"

static char dir[] = "/tmp/tiermail-conf-XXXXXX";

static struct {
	char *name, *path, *secret;
	bool flag;
	int64_t number, size, time, mode;
	char **list;
	int color;
} c;

struct thing {
	char *arg, *text;
	int64_t n;
	int private; /* not from the file */
};
static struct thing **things, **fixed;

static const struct conf_key keys[] = {
	{ "name", CONF_STR, &c.name, "nobody", 0, 0, RELOAD, NULL, "A name." },
	{ "path", CONF_PATH, &c.path, "/var/x", 0, 0, RELOAD, NULL, "A path." },
	{ "secret", CONF_SECRET, &c.secret, "", 0, 0, RELOAD, NULL, "A secret." },
	{ "flag", CONF_BOOL, &c.flag, "no", 0, 0, RELOAD, NULL, "A flag." },
	{ "limit.number", CONF_INT, &c.number, "5", -10, 10, RELOAD, NULL, "A number." },
	{ "limit.size", CONF_SIZE, &c.size, "25M", 0, 0, RESTART, NULL, "A size." },
	{ "limit.time", CONF_TIME, &c.time, "90s", 0, 0, RELOAD, NULL, "A time." },
	{ "mode", CONF_MODE, &c.mode, "0640", 0, 0, RELOAD, NULL, "A mode." },
	{ "list", CONF_LIST, &c.list, "a b", 0, 0, RELOAD, NULL, "A list." },
	{ "color", CONF_ENUM, &c.color, "green", 0, 0, RELOAD, "red|green|blue", "A color." },
};
static const struct conf_key thing_keys[] = {
	{ "text", CONF_STR, (void *)offsetof(struct thing, text), NULL, 0, 0, RELOAD, NULL, "T." },
	{ "n", CONF_INT, (void *)offsetof(struct thing, n), "1", 0, 0, RELOAD, NULL, "N." },
};
static const struct conf_key fixed_keys[] = {
	{ "n", CONF_INT, (void *)offsetof(struct thing, n), "1", 0, 0, RESTART, NULL, "N." },
};
static const struct conf_section sections[] = {
	{ "thing", sizeof(struct thing), thing_keys, NELEM(thing_keys), (void ***)&things,
	    offsetof(struct thing, arg), "A thing." },
	{ "fixed", sizeof(struct thing), fixed_keys, NELEM(fixed_keys), (void ***)&fixed,
	    offsetof(struct thing, arg), "A fixed thing." },
};
static const struct conf_schema own = { keys, NELEM(keys), sections, NELEM(sections) };
static const struct conf_schema *const schemas[] = { &conf_shared_schema, &own };

static const char *
write_file(const char *name, const char *text)
{
	static char path[4][100];
	static int n;
	FILE *f;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	f = fopen(path[n], "we");
	must(f);
	fputs(text, f);
	must(fclose(f) == 0);
	return path[n];
}

/* Messages without the directory. */
static char *
shorten(char *why)
{
	struct buf b = { 0 };
	size_t n = strlen(dir) + 1;

	for (char *p = why ? why : mem_str(""); *p; p++) {
		if (strncmp(p, dir, n - 1) == 0 && p[n - 1] == '/')
			p += n;
		buf_char(&b, *p);
	}
	if (b.n && b.p[b.n - 1] == '\n')
		b.n--;
	mem_free(&why);
	return buf_take(&b);
}

static int
read_text(const char *shared_text, const char *text, bool reload, char **why)
{
	const char *one = shared_text ? write_file("tiermail.conf", shared_text) : NULL;
	const char *two = text ? write_file("own.conf", text) : NULL;

	return conf_read(schemas, NELEM(schemas), one, two, reload, why);
}

static void
good(const char *text)
{
	char *why;
	int rc;

	conf_free(schemas, NELEM(schemas));
	rc = read_text(NULL, text, false, &why);
	if (!ok(rc == 0 && !why, "is read"))
		printf("# %s\n", why);
	mem_free(&why);
}

static void
bad(const char *text, const char *want)
{
	char *why;
	int rc = read_text(NULL, text, false, &why);

	eq(rc, -EINVAL, "is refused");
	why = shorten(why);
	is(why, want, "%.*s", (int)strcspn(want, "\n"), want);
	mem_free(&why);
}

static void
test_types(void)
{
	good(NULL);
	is(c.name, "nobody", "default text");
	is(c.path, "/var/x", "default path");
	eq(c.size, 25 << 20, "default size");
	eq(c.time, 90000, "default time");
	eq(c.mode, 0640, "default mode");
	eq(c.color, 1, "default word");
	ok(strcmp(c.list[0], "a") == 0 && strcmp(c.list[1], "b") == 0 && !c.list[2],
	    "default list");
	ok(shared.hostname && *shared.hostname, "the host has a name");

	good("name = \"two  words # no comment\" # comment\n"
	     "path = rel/ative\nflag=yes\n[limit]\n number =-3 \nsize= 4k\r\n time = 5d\n");
	is(c.name, "two  words # no comment", "quoted text");
	is(c.path, "/rel/ative", "a relative path");
	ok(c.flag, "flag");
	eq(c.number, -3, "number");
	eq(c.size, 4096, "size");
	eq(c.time, 5 * 86400000LL, "time");
	good("limit.size = 1G\nlist = x, y,z \\\n  w\nname = a\"b c\"d\ncolor = BLUE\nmode = "
	     "2775\n");
	eq(c.size, 1 << 30, "a dotted key");
	is(c.list[3], "w", "a line that goes on");
	is(c.name, "ab cd", "quotes inside");
	eq(c.color, 2, "words ignore case");
	eq(c.mode, 02775, "mode");
	good("name =\nlist = \"\"\n");
	is(c.name, "", "empty text");
	ok(!c.list[0], "empty list");
	good("name = \"a \\\"quoted\\\" \\\\ word\"\n");
	is(c.name, "a \"quoted\" \\ word", "backslashes in quotes");
}

static void
test_errors(void)
{
	bad("nmae = x\n", "own.conf:1: unknown key nmae (did you mean name?)");
	bad("\n\nzzzz = x\n", "own.conf:3: unknown key zzzz");
	bad("name = a\nname = b\n", "own.conf:2: name is already set at own.conf:1");
	bad("[limit]\nnumber = \xd3\x01\n", "own.conf:2: limit.number = ??: not a number");
	bad("[limit]\nnumber = 11\n", "own.conf:2: limit.number = 11: out of range -10 to 10");
	bad("limit.number = many\n", "own.conf:1: limit.number = many: not a number");
	bad("color = gren\n",
	    "own.conf:1: color = gren: not one of red|green|blue (did you mean green?)");
	bad("flag = perhaps\n", "own.conf:1: flag = perhaps: not a yes|no");
	bad("limit.time = 5\n",
	    "own.conf:1: limit.time = 5: not a time (like 500ms, 30s, 5m, 4h, 3d)");
	bad("mode = 0999\n", "own.conf:1: mode = 0999: not a mode (octal, like 0660)");
	bad("[limt]\nnumber = 1\n", "own.conf:1: unknown section limt (did you mean limit?)");
	bad("[thing]\n", "own.conf:1: section needs a name: [thing NAME]");
	bad("[limit x]\n", "own.conf:1: section limit takes no name");
	bad("[thing a]\nn = 2\n", "own.conf:1: [thing a] needs the key text");
	bad("[thing a]\ntext=x\n[thing a]\ntext=y\n",
	    "own.conf:3: section [thing a] is already at own.conf:1");
	bad("[thing a]\ntext=x\nm = 1\n", "own.conf:3: unknown key m");
	bad("[thing a\n", "own.conf:1: a section line is [name] or [name argument]");
	bad("just words\n", "own.conf:1: not a line of the form key = value");
	bad("name = \"open\n", "own.conf:1: a quote is not closed");
	bad("name = x \\", "own.conf:1: the file ends in a line that goes on");
	bad("nmae = 1\nflag = on\nfalg = 3\n",
	    "own.conf:1: unknown key nmae (did you mean name?)\n"
	    "own.conf:3: unknown key falg (did you mean flag?)");
	bad("secret = file:/nonexistent/x\n",
	    "own.conf:1: secret = ...: cannot read /nonexistent/x: No such file or directory");
	bad("include missing.conf\n",
	    "own.conf:1: cannot read missing.conf: No such file or directory");
	bad("include own.conf\n", "own.conf:1: include: this file is being read already");
}

static void
test_all_or_nothing(void)
{
	char *why;

	good("name = before\n");
	bad("name = after\nlimit.number = 99\n",
	    "own.conf:2: limit.number = 99: out of range -10 to 10");
	is(c.name, "before", "an error changes nothing");
	eq(conf_read(schemas, NELEM(schemas), NULL, "/nonexistent/own.conf", false, &why), -ENOENT,
	    "a missing file");
	mem_free(&why);
}

static void
test_shared(void)
{
	char *why;
	int rc;

	conf_free(schemas, NELEM(schemas));
	rc = read_text("prefix = /p/\nlog_level = warn\n[ldap]\nurl = ldap://a ldap://b\n",
	    "log_level = debug\npath = q\n", false, &why);
	eq(rc, 0, "two files");
	mem_free(&why);
	is(shared.rundir, "/p/run/tiermail", "prefix moves default paths");
	is(c.path, "/p/q", "and relative ones");
	eq(shared.log_level, 3, "the own file wins");
	is(shared.ldap_urls[1], "ldap://b", "a list in a section");
	rc = read_text("name = x\n", NULL, false, &why);
	why = shorten(why);
	is(why, "tiermail.conf:1: unknown key name", "the shared file has shared keys only");
	mem_free(&why);
	rc = read_text("prefix = relative\n", NULL, false, &why);
	eq(rc, -EINVAL, "a relative prefix is refused");
	mem_free(&why);
}

static void
test_include(void)
{
	char text[200];

	(void)write_file("more.conf", "color = red\n[thing b]\ntext = from include\n");
	good("[limit]\ninclude more.conf\nnumber = 7\n");
	ok(c.color == 0 && c.number == 7, "include, and the section goes on behind it");
	is(things[0]->text, "from include", "sections in included files");
	(void)write_file("word", "hidden words\nsecond line\n");
	snprintf(text, sizeof(text), "secret = file:%s/word\n", dir);
	good(text);
	is(c.secret, "hidden words", "a secret from a file");
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	good("secret = credential:word\n");
	is(c.secret, "hidden words", "a credential of the unit");
	setenv("CREDENTIALS_DIRECTORY", "", 1);
	bad("secret = credential:tiermail.no-such\n",
	    "own.conf:1: secret = ...: cannot read /etc/credstore/tiermail.no-such: No such file "
	    "or directory");
	unsetenv("CREDENTIALS_DIRECTORY");
	bad("secret = credential:tiermail.no-such\n",
	    "own.conf:1: secret = ...: cannot read /etc/credstore/tiermail.no-such: No such file "
	    "or directory");
}

static void
test_sections(void)
{
	good("[thing one]\ntext = 1\n[thing two]\ntext = 2\nn = 22\n[limit]\nnumber = 1\n");
	ok(things[0] && things[1] && !things[2], "two things");
	is(things[1]->arg, "two", "the argument");
	eq(things[1]->n, 22, "a number");
	eq(things[0]->n, 1, "a default");
	eq(c.number, 1, "a plain section behind them");
}

static void
test_reload(void)
{
	struct thing *one;
	const char *name, *text;
	char *why;
	int rc;

	good("name = same\nlimit.size = 1K\n[thing one]\ntext = 1\n[thing two]\ntext=2\n[fixed "
	     "f]\n");
	one = things[0];
	one->private = 77;
	name = c.name;
	text = one->text;
	rc = read_text(NULL,
	    "name = same\nlimit.size = 2K\nlimit.time = 1s\n[thing three]\ntext=3\n"
	    "[thing one]\ntext=changed\n[fixed g]\n",
	    true, &why);
	eq(rc, 0, "reload");
	ok(c.name == name, "what is the same stays where it is");
	eq(c.size, 1024, "a restart key keeps its value");
	eq(c.time, 1000, "another changes");
	ok(things[1] == one && one->private == 77, "a section keeps its struct");
	is(one->text, "changed", "and has new values");
	is(text, "1", "the old value is still readable");
	is(things[0]->text, "3", "a new section");
	ok(!things[2], "one is gone");
	ok(fixed[0] && !fixed[1] && strcmp(fixed[0]->arg, "f") == 0, "fixed sections stay");
	why = shorten(why);
	is(why,
	    "own.conf:2: limit.size has changed: needs a restart\n"
	    "own.conf:8: [fixed g] is new: needs a restart\n[fixed f] is gone: needs a restart",
	    "and it is said");
	mem_free(&why);
	rc = read_text(NULL, "name = other\nrubbish\n", true, &why);
	ok(rc == -EINVAL && strcmp(c.name, "same") == 0, "a bad reload changes nothing");
	mem_free(&why);
}

static void
test_print(void)
{
	struct buf out = { 0 }, again = { 0 };
	char *why;

	good("name = \"a # b\"\nsecret = hush\nlist = p q\nlimit.time = 2h\n[thing t]\ntext = \" "
	     "x\"\n");
	conf_print(schemas, NELEM(schemas), &out);
	ok(strstr(buf_cstr(&out), "limit.time = 2h"), "printed with units");
	ok(!strstr(buf_cstr(&out), "hush"), "secrets are not printed");
	ok(strstr(buf_cstr(&out), "own.conf:1\n"), "with their origin");
	ok(strstr(buf_cstr(&out), "mode = 0640"), "modes");
	conf_free(schemas, NELEM(schemas));
	eq(read_text(NULL, buf_cstr(&out), false, &why), 0, "what is printed can be read");
	mem_free(&why);
	is(c.name, "a # b", "and is the same");
	is(things[0]->text, " x", "in sections too");
	conf_describe(schemas, NELEM(schemas), &again);
	ok(strstr(buf_cstr(&again), "limit.size\tsize\t25M\trestart\tA size.\n"), "described");
	ok(strstr(buf_cstr(&again), "[thing].text\ttext\t-\treload\tT.\n"), "also sections");
	buf_fini(&out);
	buf_fini(&again);
}

int
main(void)
{
	char cmd[100];

	must(mkdtemp(dir) && chdir(dir) == 0);
	test_types();
	test_errors();
	test_all_or_nothing();
	test_shared();
	test_include();
	test_sections();
	test_reload();
	test_print();
	conf_free(schemas, NELEM(schemas));
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd) == 0 ? done() : 1;
}
