/* Hostile scripts: each ends soon, within its memory, with an error that says which bound it has met, and
 * with the message kept.  Also what a program promises to those who share it. */
#include <errno.h>
#include <pthread.h>
#include "base/clock.h"
#include "mail/header.h"
#include "sieve/sieve.h"
#include "../tap.h"

/* A message within a message. */
#define INNER "Content-Type: message/rfc822\r\n\r\n"

static const char message_text[] =
    "From: a@b.example\r\nSubject: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\r\n"
    "X-Long: 0123456789012345678901234567890123456789012345678901234567890123\r\n" INNER INNER INNER
	INNER INNER INNER INNER INNER INNER INNER "\r\nbody\r\n";

static int
bounds_message(void *arg, struct slice *all)
{
	(void)arg;
	*all = slice_str(message_text);
	return 0;
}

static struct sieve_host
bounds_host(void)
{
	struct sieve_host h = { .message = bounds_message,
		.header = slice_str(message_text),
		.spam = -1 };

	h.header = slice_sub(h.header, 0, header_len(h.header));
	h.size = sizeof(message_text) - 1;
	return h;
}

/* ---- scripts that are made --------------------------------------------------------------------------- */

static void
repeat(struct buf *b, const char *text, unsigned n)
{
	while (n-- > 0)
		buf_str(b, text);
}

static void
make_blocks(struct buf *b)
{
	repeat(b, "if true {", 100000);
}

static void
make_tests(struct buf *b)
{
	buf_str(b, "if ");
	repeat(b, "not ", 200000);
	buf_str(b, "true {}");
}

static void
make_lists(struct buf *b)
{
	buf_str(b, "if ");
	repeat(b, "anyof(", 150000);
}

static void
make_string(struct buf *b)
{
	buf_str(b, "redirect \"");
	repeat(b, "x", 100000);
	buf_str(b, "\";");
}

static void
make_long(struct buf *b)
{
	repeat(b, "# nothing at all in this line\n", 40000);
}

static void
make_steps(struct buf *b)
{
	repeat(b, "keep;", 150000);
}

static void
make_names(struct buf *b)
{
	buf_str(b, "require \"variables\";");
	for (int i = 0; i < 300; i++)
		buf_printf(b, "set \"v%d\" \"\";", i);
}

static void
make_comment(struct buf *b)
{
	repeat(b, "/* ", 300000);
}

/* A list of strings, each of which is copied once. */
static void
make_strings(struct buf *b)
{
	buf_str(b, "if header \"subject\" [\"\\\"\"");
	repeat(b, ",\"\\\"\"", 150000);
	buf_str(b, "] {}");
}

static void
make_braces(struct buf *b)
{
	buf_str(b, "require [\"variables\", \"encoded-character\"];");
	for (int i = 0; i < 16; i++) {
		buf_str(b, "set \"a\" \"");
		repeat(b, "${hex:${", 7500);
		buf_str(b, "\";");
	}
}

static void
make_doubling(struct buf *b)
{
	buf_str(b, "require \"variables\"; set \"a\" \"0123456789\";");
	repeat(b, "set \"a\" \"${a}${a}\";", 40);
}

/* Many variables, none of them too long. */
static void
make_memory(struct buf *b)
{
	buf_str(b, "require \"variables\"; set \"a\" \"0123456789abcdef\";");
	repeat(b, "set \"a\" \"${a}${a}\";", 11);
	for (int i = 0; i < 5000; i++)
		buf_printf(b, "set \"v%d\" \"${a}x\";", i % 200);
}

static void
make_modifiers(struct buf *b)
{
	buf_str(b, "require \"variables\"; set \"a\" \"****************\";");
	repeat(b, "set :quotewildcard \"a\" \"${a}${a}\";", 40);
}

/* The text almost has what follows the star, everywhere. */
static void
make_stars(struct buf *b)
{
	buf_str(b,
	    "require \"variables\"; set \"a\" \"aaaaaaaaaaaaaaaa\"; set \"p\" "
	    "\"aaaaaaaaaaaaaaaa\";");
	repeat(b, "set \"a\" \"${a}${a}\";", 11);
	repeat(b, "set \"p\" \"${p}${p}\";", 8);
	repeat(b, "if string :matches \"${a}\" \"*${p}b*\" { stop; }", 100);
}

static void
make_regex(struct buf *b)
{
	buf_str(b, "require \"regex\"; if header :regex \"subject\" \"^(a+)+$\" { discard; }");
}

/* Each is just below the bound of one. */
static void
make_regexes(struct buf *b)
{
	buf_str(b, "require \"regex\";");
	for (int i = 0; i < 5000; i++)
		buf_str(b, "if header :regex \"x-long\" \"(([0-9]*)*[0-9]){1,1}$\" { } ");
	buf_str(b, "if header :regex \"subject\" \"(a|aa)+$\" { }");
}

static void
make_regex_large(struct buf *b)
{
	buf_str(b,
	    "require \"regex\"; if header :regex \"subject\" \"((a{1,1000}){1,1000}){1,1000}\" { "
	    "}");
}

static void
make_redirects(struct buf *b)
{
	for (int i = 0; i < 100; i++)
		buf_printf(b, "redirect \"u%d@x.example\";", i);
}

static void
make_notifications(struct buf *b)
{
	buf_str(b, "require \"enotify\";");
	for (int i = 0; i < 3; i++)
		buf_printf(b, "redirect \"u%d@x.example\";", i);
	repeat(b, "notify \"mailto:u@x.example\";", 2);
}

static void
make_files(struct buf *b)
{
	buf_str(b, "require \"fileinto\";");
	for (int i = 0; i < 100; i++)
		buf_printf(b, "fileinto \"m%d\";", i);
}

static void
make_reads(struct buf *b)
{
	for (int i = 0; i < 6000; i++) {
		buf_str(b, "if header [\"from\"");
		repeat(b, ",\"from\"", 17);
		buf_str(b, "] \"x\" {}");
	}
}

static void
make_headers(struct buf *b)
{
	buf_str(b, "require [\"editheader\", \"variables\"]; set \"a\" \"0123456789abcdef\";");
	repeat(b, "set \"a\" \"${a}${a}\";", 11);
	repeat(b, "addheader \"X-A\" \"${a}\"; if exists \"x-b\" {}", 5000);
}

static void
make_flags(struct buf *b)
{
	buf_str(b, "require [\"imap4flags\", \"variables\"]; set \"a\" \"f\";");
	for (int i = 0; i < 5000; i++)
		buf_printf(b, "addflag \"a\" \"f%d\";", i);
	repeat(b, "addflag \"a\" \"x y z\";", 20000);
}

static void
make_loops(struct buf *b)
{
	buf_str(b, "require \"foreverypart\";");
	repeat(b, "foreverypart {", 20);
	repeat(b, "}", 20);
}

static void
make_include(struct buf *b)
{
	buf_str(b, "require \"include\"; include \"1\";");
}

/* Script n includes script n + 1 eight times: 8 to the ninth in all. */
static int
bounds_load(void *arg, bool global, struct slice name, struct buf *text)
{
	uint64_t n;

	(void)arg;
	(void)global;
	if (slice_u64(name, 100, &n) < 0)
		return -ENOENT;
	buf_str(text, "require \"include\";");
	for (int i = 0; i < 8 && n < 9; i++)
		buf_printf(text, "include \"%d\";", (int)n + 1);
	return 0;
}

static const struct {
	const char *name;
	void (*make)(struct buf *);
	bool runs;       /* it compiles */
	const char *why; /* it meets this; NULL: nothing */
} scripts[] = {
	{ "blocks in one another", make_blocks, false, "blocks are nested too deep" },
	{ "tests in one another", make_tests, false, "tests are nested too deep" },
	{ "lists of tests in one another", make_lists, false, "tests are nested too deep" },
	{ "a string", make_string, false, "the string is too long" },
	{ "a script", make_long, false, "the script is too long" },
	{ "commands", make_steps, false, "too many commands and tests" },
	{ "names of variables", make_names, false, "too many names" },
	{ "comments in one another", make_comment, false, "the comment has no end" },
	{ "strings in a list", make_strings, true, NULL },
	{ "braces that nothing closes", make_braces, true, NULL },
	{ "a variable that doubles", make_doubling, true, NULL },
	{ "variables", make_memory, true, "memory" },
	{ "modifiers that double", make_modifiers, true, NULL },
	{ "stars", make_stars, true, "work" },
	{ "an expression that explodes", make_regex, true, "steps of a regular expression" },
	{ "many expressions", make_regexes, true, "limit exceeded" },
	{ "an expression that grows", make_regex_large, false, "regular expression is too large" },
	{ "redirects", make_redirects, true, "redirects" },
	{ "redirects and notifications", make_notifications, true, "redirects and notifications" },
	{ "mailboxes", make_files, true, "actions" },
	{ "fields that are read", make_reads, true, "header fields read" },
	{ "a header that grows", make_headers, true, "header fields that are added" },
	{ "flags", make_flags, true, "limit exceeded" },
	{ "loops in one another", make_loops, true, "loops in one another" },
	{ "scripts that include many others", make_include, true, "work" },
};

/* What one script costs and ends with; the message is kept whatever it is. */
static void
script_try(size_t i)
{
	struct sieve_limits limits = sieve_limits_default;
	struct sieve_options options = { .limits = &limits, .load = bounds_load };
	struct sieve_errors errors = { 0 };
	struct sieve_result result = { 0 };
	struct sieve_host host = bounds_host();
	struct buf text = { 0 };
	uint64_t start = clock_thread_us();
	struct sieve_program *p;
	const char *why = NULL;

	limits.cpu_ms = 60000; /* the other bounds come first, however slow the build is */
	scripts[i].make(&text);
	p = sieve_compile(buf_get(&text), &options, &errors);
	ok(!p == !scripts[i].runs, "%s: %s", scripts[i].name,
	    scripts[i].runs ? "compiles" : "does not compile");
	if (p) {
		sieve_run(p, &host, &result);
		why = result.error ? result.error->text : NULL;
		ok(!scripts[i].why ||
			(result.error && result.error->bound && result.nactions == 1 &&
			    result.actions->kind == SIEVE_KEEP && result.actions->implicit),
		    "and the message is kept");
		ok(result.memory < 70 * 1024 * 1024, "in %zu octets", result.memory);
	} else if (errors.first) {
		why = errors.first->text;
	}
	ok(!scripts[i].why ? !why : why && strstr(why, scripts[i].why), "says why: %s",
	    why ? why : "nothing");
	start = (clock_thread_us() - start) / 1000;
	ok(start < 20000, "after %llu ms", (unsigned long long)start);
	sieve_result_fini(&result);
	sieve_program_free(&p);
	sieve_errors_fini(&errors);
	buf_fini(&text);
}

/* ---- a program is shared ---------------------------------------------------------------------------------- */

static struct sieve_program *shared_program;

static void *
share_run(void *arg)
{
	int *wrong = arg;

	for (int i = 0; i < 300; i++) {
		struct sieve_result result = { 0 };
		struct sieve_host host = bounds_host();

		sieve_run(shared_program, &host, &result);
		*wrong += result.error || result.nactions != 2 ||
		    !slice_eq(result.actions->where, S("aaaa!"));
		sieve_result_fini(&result);
	}
	return NULL;
}

static void
test_shared(void)
{
	struct sieve_options options = { 0 };
	struct sieve_errors errors = { 0 };
	pthread_t threads[4];
	int wrong[4] = { 0 };

	shared_program =
	    sieve_compile(S("require [\"fileinto\", \"variables\", \"regex\", \"copy\"];"
			    "if header :regex \"subject\" \"(a{4}.)$\" { fileinto :copy \"${1}\"; }"
			    "if header :matches \"subject\" \"a*\" { set \"x\" \"${1}\"; keep; }"),
		&options, &errors);
	ok(shared_program && !errors.n, "compiles");
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, share_run, &wrong[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	eq(wrong[0] + wrong[1] + wrong[2] + wrong[3], 0, "four threads run one program at a time");
	sieve_program_free(&shared_program);
	sieve_errors_fini(&errors);
}

/* Who has no store knows which scripts to leave. */
static void
test_store(void)
{
	static const struct {
		const char *script;
		bool store;
	} cases[] = { { "keep;", false }, { "require \"fileinto\"; fileinto \"x\";", false },
		{ "require \"mailbox\"; if mailboxexists \"x\" {}", true },
		{ "require \"duplicate\"; if false {} elsif duplicate {}", true } };

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct sieve_options options = { 0 };
		struct sieve_errors errors = { 0 };
		struct sieve_program *p =
		    sieve_compile(slice_str(cases[i].script), &options, &errors);

		ok(p && sieve_program_needs_store(p) == cases[i].store, "%s", cases[i].script);
		sieve_program_free(&p);
		sieve_errors_fini(&errors);
	}
}

static enum sieve_yes
unknown_mailbox(void *arg, enum sieve_mailbox_by by, struct slice what, struct slice in)
{
	(void)arg;
	(void)by;
	(void)what;
	(void)in;
	return SIEVE_UNKNOWN;
}

static int
broken_message(void *arg, struct slice *all)
{
	(void)arg;
	(void)all;
	return -EIO;
}

/* An error of ours is no "no": neither branch is taken. */
static void
test_unknown(void)
{
	static const char *const cases[] = {
		"require \"mailbox\"; if mailboxexists \"x\" { discard; } else { discard; }",
		"require \"body\"; if body \"x\" { discard; } else { discard; }",
		"require \"foreverypart\"; foreverypart { } discard;",
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct sieve_options options = { 0 };
		struct sieve_errors errors = { 0 };
		struct sieve_result result = { 0 };
		struct sieve_host host = bounds_host();
		struct sieve_program *p = sieve_compile(slice_str(cases[i]), &options, &errors);

		host.mailbox = unknown_mailbox;
		host.message = broken_message;
		sieve_run(p, &host, &result);
		ok(result.error && !result.error->bound && result.nactions == 1 &&
			result.actions->kind == SIEVE_KEEP,
		    "what cannot be known ends the run: %s",
		    result.error ? result.error->text : "it did not");
		sieve_result_fini(&result);
		sieve_program_free(&p);
		sieve_errors_fini(&errors);
	}
}

/* What a sender chooses is bounded too: fields without number, text that grows when it is compared. */
static struct buf sent;

static int
sent_message(void *arg, struct slice *all)
{
	(void)arg;
	*all = buf_get(&sent);
	return 0;
}

static void
sent_try(const char *script, const char *name)
{
	struct sieve_limits limits = sieve_limits_default;
	struct sieve_options options = { .limits = &limits };
	struct sieve_errors errors = { 0 };
	struct sieve_result result = { 0 };
	struct sieve_host host = { .message = sent_message, .spam = -1 };
	struct sieve_program *p = sieve_compile(slice_str(script), &options, &errors);

	limits.cpu_ms = 60000;
	host.header = slice_sub(buf_get(&sent), 0, header_len(buf_get(&sent)));
	host.size = sent.n;
	sieve_run(p, &host, &result);
	ok(result.error && result.error->bound && result.nactions == 1, "%s: %s", name,
	    result.error ? result.error->text : "no bound was met");
	ok(result.memory < 140 * 1024 * 1024 && result.cpu_us < 20000000,
	    "in %zu octets and %llu ms", result.memory, (unsigned long long)result.cpu_us / 1000);
	sieve_result_fini(&result);
	sieve_program_free(&p);
	sieve_errors_fini(&errors);
	buf_fini(&sent);
}

static void
test_sent(void)
{
	repeat(&sent, "a:\r\n", 2000000);
	buf_str(&sent, "\r\nbody\r\n");
	sent_try("if header \"b\" \"c\" { discard; }", "fields without number");
	buf_str(&sent, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
	repeat(&sent, "\xef\xb7\xba",
	    4000000); /* one character of three octets, of eighteen in the form */
	sent_try("require [\"body\", \"comparator-i;unicode-casemap\"];"
		 "if body :comparator \"i;unicode-casemap\" :matches \"*c\" { discard; }",
	    "text that grows");
}

/* The processor's time ends what nothing else does. */
static void
test_time(void)
{
	struct sieve_limits limits = sieve_limits_default;
	struct sieve_options options = { .limits = &limits };
	struct sieve_errors errors = { 0 };
	struct sieve_result result = { 0 };
	struct sieve_host host = bounds_host();
	struct sieve_program *p;
	struct buf text = { 0 };

	make_stars(&text);
	limits.cpu_ms = 20;
	limits.work = UINT64_MAX / 2;
	p = sieve_compile(buf_get(&text), &options, &errors);
	sieve_run(p, &host, &result);
	is(result.error ? result.error->text : "", "limit exceeded: processor time", "after 20 ms");
	sieve_result_fini(&result);
	sieve_program_free(&p);
	sieve_errors_fini(&errors);
	buf_fini(&text);
}

int
main(void)
{
	for (size_t i = 0; i < NELEM(scripts); i++)
		script_try(i);
	test_shared();
	test_store();
	test_unknown();
	test_sent();
	test_time();
	return done();
}
