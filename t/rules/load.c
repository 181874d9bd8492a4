/* Scripts of files: as they are, within their bound; and what is no script is told in one line. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rules/rules.h"
#include "../tap.h"

static char dir[] = "/tmp/rules-load-XXXXXX";

static const char *
path(const char *name)
{
	static char p[128];

	snprintf(p, sizeof(p), "%s/%s", dir, name);
	return p;
}

static const char *
put(const char *name, const char *text)
{
	FILE *f = fopen(path(name), "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
	return path(name);
}

/* What is read of it; or NULL, and then `says` stands in the reason, which is one line. */
static void
reads(const char *p, size_t most, const char *want, const char *says)
{
	struct buf text = { 0 }, why = { 0 };
	bool good = rules_file_read(p, most, &text, &why);

	if (want)
		ok(good && why.n == 0 && slice_eq(buf_get(&text), slice_str(want)), "%s is read",
		    p);
	else
		ok(!good && strstr(buf_cstr(&why), says) && strstr(buf_cstr(&why), p) &&
			!strchr(buf_cstr(&why), '\n'),
		    "%s: %s", p, buf_cstr(&why));
	buf_fini(&text);
	buf_fini(&why);
}

static void
compiles(const char *text, const char *says)
{
	struct sieve_options o = rules_options;
	struct buf why = { 0 };
	struct sieve_program *p;

	o.name = "name";
	p = rules_compile(slice_str(text), &o, &why);
	ok(says ? !p && strcmp(buf_cstr(&why), says) == 0 : p && why.n == 0, "%s: %s", text,
	    buf_cstr(&why));
	sieve_program_free(&p);
	buf_fini(&why);
}

int
main(void)
{
	if (!mkdtemp(dir))
		abort();
	reads(put("a", "keep;\n"), 100, "keep;\n", NULL);
	reads(put("empty", ""), 100, "", NULL);
	reads(put("full", "keep;\n"), 6, "keep;\n", NULL);
	reads(put("large", "keep;\n"), 5, NULL, "more than 5 octets");
	reads(path("none"), 100, NULL, "No such file");
	reads(dir, 100, NULL, "Is a directory");
	reads("/dev/null", 100, "", NULL);
	reads("/dev/zero", 100000, NULL, "more than 100000 octets");
	if (mkfifo(path("pipe"), 0600) < 0)
		abort();
	alarm(10); /* whoever opens it and waits */
	reads(path("pipe"), 100, NULL, "it is no file");
	compiles("keep;", NULL);
	compiles("keep; nosuch;", "name:1:7: there is no command nosuch");
	for (const char **n = (const char *[]){ "a", "empty", "full", "large", "pipe", NULL }; *n;
	     n++)
		unlink(path(*n));
	rmdir(dir);
	return done();
}
