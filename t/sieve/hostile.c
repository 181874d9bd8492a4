/* Hostile scripts together with hostile messages: what is little in each of them and much in both.  Each run
 * ends soon, within its memory, and with the message kept when a bound was met. */
#include "base/clock.h"
#include "mail/header.h"
#include "sieve/sieve.h"
#include "../tap.h"

static int
message_all(void *arg, struct slice *all)
{
	*all = *(struct slice *)arg;
	return 0;
}

static void
repeat(struct buf *b, const char *text, unsigned n)
{
	while (n-- > 0)
		buf_str(b, text);
}

/* ---- scripts ------------------------------------------------------------------------------------------ */

/* Each is just below the bound of one. */
static void
make_regex_octets(struct buf *b)
{
	buf_str(b, "require \"regex\"; if header :regex \"subject\" [\"x\"");
	repeat(b, ",\"(?:a){1000}\"", 10000);
	buf_str(b, "] {}");
}

/* Few steps from each place of a text, and many places. */
static void
make_regex_places(struct buf *b)
{
	buf_str(b,
	    "require [\"regex\", \"body\"];"
	    "if body :raw :regex \"a{0,300}a{0,300}[bc]\" { discard; }");
}

/* Few steps, each of which looks at half of the text. */
static void
make_regex_back(struct buf *b)
{
	buf_str(b,
	    "require [\"regex\", \"body\"];"
	    "if body :raw :regex \"(a*)\\\\1[bc]\" { discard; }");
}

static void
make_numbers(struct buf *b)
{
	buf_str(b,
	    "require [\"body\", \"relational\", \"comparator-i;ascii-numeric\"];"
	    "if body :raw :value \"lt\" :comparator \"i;ascii-numeric\" [\"1\"");
	repeat(b, ",\"1\"", 50000);
	buf_str(b, "] { discard; }");
}

static void
make_absent(struct buf *b)
{
	buf_str(b, "if header [\"x-absent\"");
	repeat(b, ",\"x-absent\"", 50000);
	buf_str(b, "] \"\" { discard; }");
}

static void
make_types(struct buf *b)
{
	buf_str(b, "require \"body\"; if body :content [\"a/b\"");
	repeat(b, ",\"a/b\"", 100000);
	buf_str(b, "] \"\" { discard; }");
}

static void
make_methods(struct buf *b)
{
	buf_str(b,
	    "require [\"foreverypart\", \"enotify\"];"
	    "foreverypart { if valid_notify_method [\"mailto:a@b.example\"");
	repeat(b, ",\"mailto:a@b.example\"", 30000);
	buf_str(b, "] {} }");
}

static void
make_params(struct buf *b)
{
	buf_str(b, "require \"mime\"; if header :mime :param [\"x\"");
	repeat(b, ",\"x\"", 100000);
	buf_str(b, "] \"content-type\" \"\" { discard; }");
}

/* What was met is longer than any string may be. */
static void
make_met(struct buf *b)
{
	buf_str(b,
	    "require [\"variables\", \"enotify\", \"fileinto\"];"
	    "if header :matches \"x-long\" \"*\" {");
	repeat(b, "set :quotewildcard :encodeurl \"a\" \"${1}\"; set \"b\" \"${1}${1}\";", 50);
	buf_str(b, "if string :matches \"${1}\" \"*b*\" { discard; } }");
}

/* ---- messages ----------------------------------------------------------------------------------------- */

static void
message_line(struct buf *b)
{
	buf_str(b, "Subject: a\r\n\r\n");
	repeat(b, "aaaaaaaaaa", 10000);
}

static void
message_digits(struct buf *b)
{
	buf_str(b, "Subject: a\r\n\r\n");
	repeat(b, "1111111111", 100000);
}

static void
message_fields(struct buf *b)
{
	repeat(b, "X-A: a\r\n", 100000);
	buf_str(b, "\r\n");
}

static void
message_params(struct buf *b)
{
	repeat(b, "Content-Type: a/b; a=b; c=d; e=f\r\n", 2000);
	buf_str(b, "\r\n");
}

static void
message_long(struct buf *b)
{
	buf_str(b, "X-Long: ");
	repeat(b, "1111111111", 100000);
	buf_str(b, "\r\n\r\n");
}

static void
message_parts(struct buf *b)
{
	buf_str(b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	repeat(b, "--b\r\n\r\n", 9000);
}

/* ---- both ----------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*script)(struct buf *), (*message)(struct buf *);
	const char *why; /* the bound that is met; NULL: none */
	unsigned
	    cpu_ms; /* 0: so much that the other bounds come first, however slow the build is */
} pairs[] = {
	{ "an expression from many places", make_regex_places, message_line, "work", 0 },
	{ "an expression that looks back", make_regex_back, message_line, "processor time", 200 },
	{ "expressions that grow", make_regex_octets, message_line,
	    "the script's regular expressions are too large", 0 },
	{ "long numbers", make_numbers, message_digits, "work", 0 },
	{ "names of fields that are not there", make_absent, message_fields, "work", 0 },
	{ "addresses in each part", make_methods, message_parts, "work", 0 },
	{ "names of parameters", make_params, message_params, "work", 0 },
	{ "types of parts", make_types, message_parts, "work", 0 },
	{ "what was met", make_met, message_long, NULL, 0 },
};

static void
pair_run(const struct sieve_program *p, struct slice *message, struct sieve_result *result)
{
	struct sieve_host host = { .message = message_all,
		.header = slice_sub(*message, 0, header_len(*message)),
		.size = message->n,
		.arg = message,
		.spam = -1 };

	sieve_run(p, &host, result);
	ok(!result->error ||
		(result->error->bound && result->nactions == 1 &&
		    result->actions->kind == SIEVE_KEEP && result->actions->implicit),
	    "the message is kept");
	ok(result->memory < 70 * 1024 * 1024, "in %zu octets", result->memory);
	ok(result->arena.total < 1024, "of which %zu are left", result->arena.total);
}

static void
pair_try(size_t i)
{
	struct sieve_limits limits = sieve_limits_default;
	struct sieve_options options = { .limits = &limits };
	struct sieve_errors errors = { 0 };
	struct sieve_result result = { 0 };
	struct buf script = { 0 }, message = { 0 };
	uint64_t start = clock_thread_us();
	struct sieve_program *p;
	struct slice mail;
	const char *why;

	limits.cpu_ms = pairs[i].cpu_ms ? pairs[i].cpu_ms : 60000;
	pairs[i].script(&script);
	pairs[i].message(&message);
	mail = buf_get(&message);
	p = sieve_compile(buf_get(&script), &options, &errors);
	if (p)
		pair_run(p, &mail, &result);
	why = errors.first ? errors.first->text : result.error ? result.error->text : NULL;
	ok(!pairs[i].why ? !why : why && strstr(why, pairs[i].why), "%s: %s", pairs[i].name,
	    why ? why : "nothing");
	start = (clock_thread_us() - start) / 1000;
	ok(start < 20000, "after %llu ms", (unsigned long long)start);
	sieve_result_fini(&result);
	sieve_program_free(&p);
	sieve_errors_fini(&errors);
	buf_fini(&script);
	buf_fini(&message);
}

int
main(void)
{
	for (size_t i = 0; i < NELEM(pairs); i++)
		pair_try(i);
	return done();
}
