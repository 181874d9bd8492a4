/* jmapmail: messages to Emails of JMAP and back, without a store.
 *
 *	jmapmail get ARGUMENTS	messages on standard input, each after a line with its octets; for each a line
 *				of JSON, with the properties that ARGUMENTS of Email/get ask for
 *	jmapmail compose	a line of JSON for each Email; for each a message, after a line with its octets;
 *				0 octets: it is refused (why: standard error).  A blob is its id.
 *
 * For t/flow/email_json.t, where python's email package judges, and for a look by hand. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "jmap/compose.h"
#include "jmap/email-write.h"

static const struct json_bounds bounds = { 64 << 20, 100, 1000000 };

static void
usage(void)
{
	(void)fprintf(stderr, "usage: jmapmail get ARGUMENTS | compose\n");
	exit(2);
}

static void
say(const struct buf *b)
{
	if (b->n && fwrite(b->p, 1, b->n, stdout) != b->n)
		exit(1);
}

static void
show(const struct jmap_email_want *w, struct slice msg)
{
	struct arena a = { 0 };
	struct jmap_structure s;
	struct jmap_email e;
	struct buf out = { 0 };
	struct mime m;

	mime_parse(msg, &a, &m);
	jmap_structure_make(&m, &a, &s);
	buf_char(&out, '{');
	jmap_email_start(&e, w, mime_header(&m, m.root), &s, S("M"), true);
	while (jmap_email_next(&e, &out))
		;
	jmap_email_end(&e);
	buf_lit(&out, "}\n");
	say(&out);
	buf_fini(&out);
	arena_reset(&a);
}

static int
get(const char *args)
{
	struct arena a = { 0 };
	struct json_t *v = NULL;
	struct jmap_email_want w;
	const char *why = "";
	char line[32], *msg;

	if (json_read(slice_str(args), &bounds, &v, &why) < 0 ||
	    jmap_email_want_read(v, false, &a, &w, &why) < 0) {
		(void)fprintf(stderr, "jmapmail: %s\n", why);
		return 2;
	}
	while (fgets(line, sizeof(line), stdin)) {
		size_t n = strtoul(line, NULL, 10);

		msg = mem_new(n + 1);
		if (fread(msg, 1, n, stdin) != n)
			return 1;
		show(&w, slice(msg, n));
		mem_free(&msg);
	}
	json_free(&v);
	arena_reset(&a);
	return 0;
}

static ssize_t
blob_read(void *arg, size_t i, uint64_t at, struct buf *to)
{
	const struct jmap_compose *c = arg;
	struct slice rest = slice_from(c->blobs[i], at);

	buf_slice(to, rest);
	return (ssize_t)rest.n;
}

static void
compose(struct slice text)
{
	static const struct jmap_compose_facts facts = { 1796063400, 60, { "UNIQUE", 6 },
		{ "x.example", 9 } };
	struct arena a = { 0 };
	struct json_t *v = NULL;
	struct jmap_compose c = { 0 };
	struct jmap_compose_blobs blobs = { blob_read, &c };
	struct buf out = { 0 };
	const char *why = "";

	if (json_read(text, &bounds, &v, &why) < 0) {
		(void)fprintf(stderr, "jmapmail: %s\n", why);
	} else if (jmap_compose_read(&c, v, &facts, &a) < 0) {
		for (size_t i = 0; i < c.nwrong; i++)
			(void)fprintf(stderr, SFMT ": %s\n", SARG(c.wrong[i].path), c.wrong[i].why);
	} else {
		while (jmap_compose_next(&c, &blobs, &out) > 0)
			;
	}
	jmap_compose_end(&c);
	(void)printf("%zu\n", out.n);
	say(&out);
	json_free(&v);
	buf_fini(&out);
	arena_reset(&a);
}

int
main(int argc, char **argv)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (argc == 3 && strcmp(argv[1], "get") == 0)
		return get(argv[2]);
	if (argc != 2 || strcmp(argv[1], "compose") != 0)
		usage();
	while ((n = getline(&line, &room, stdin)) > 0)
		compose(slice_trim(slice(line, (size_t)n)));
	free(line);
	return 0;
}
