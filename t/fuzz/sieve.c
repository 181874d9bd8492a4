/* A Sieve script and a message: the input is the script up to a line "@@", and the message.  What
 * compiles is run, within bounds small enough that each of them is met. */
#include <errno.h>
#include <stdlib.h>
#include "mail/header.h"
#include "sieve/sieve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct sieve_limits fuzz_limits = {
	.script_bytes = 65536,
	.scripts = 4,
	.steps = 2000,
	.nesting = 15,
	.string_bytes = 4096,
	.variables = 128,
	.work = 20000,
	.memory = 4 * 1024 * 1024,
	.header_reads = 1000,
	.header_added = 16384,
	.cpu_ms = 1000,
	.actions = 16,
	.redirects = 4,
	.includes = 3,
	.regex_matches = 1000,
	.regex_bytes = 65536,
};

static int
fuzz_message(void *arg, struct slice *all)
{
	*all = *(struct slice *)arg;
	return 0;
}

static bool
fuzz_envelope(void *arg, enum sieve_envelope part, size_t i, struct slice *value)
{
	(void)arg;
	*value = part == SIEVE_FROM ? S("a+b@example.org") : S("");
	return i == 0;
}

static enum sieve_yes
fuzz_mailbox(void *arg, enum sieve_mailbox_by by, struct slice what, struct slice in)
{
	(void)arg;
	return (enum sieve_yes)(((size_t)by + what.n + in.n) % 3);
}

static enum sieve_yes
fuzz_pair(void *arg, struct slice a, struct slice b)
{
	(void)arg;
	return (enum sieve_yes)((a.n + b.n) % 3);
}

static bool
fuzz_environment(void *arg, struct slice name, struct slice *value)
{
	(void)arg;
	*value = S("COPY");
	return name.n % 2;
}

static bool
fuzz_program(void *arg, struct slice name)
{
	(void)arg;
	return name.n > 0;
}

/* By the length of its name: it fails, writes nothing, what it was given, a field more, or what is no message; or far too
 * much. */
static int
fuzz_execute(void *arg, const struct sieve_execute *x, struct buf *out)
{
	(void)arg;
	if (x->nargs > 16 || (x->filters && !out))
		abort();
	if (!out || x->name.n % 6 < 2)
		return x->name.n % 6 == 0;
	if (x->name.n % 6 == 3)
		buf_lit(out, "X-Field: a\nSubject: =?utf-8?q?b?=\n");
	if (x->name.n % 6 == 4)
		buf_lit(out, "no message\n\n");
	for (size_t i = 0; x->name.n % 6 == 5 && i < x->most; i += 4)
		buf_lit(out, "a:b\n");
	buf_slice(out, x->input);
	return out->n <= x->most ? 0 : 1;
}

/* What is included is the script itself, or nothing. */
static int
fuzz_load(void *arg, bool global, struct slice name, struct buf *text)
{
	if (name.n % 3 == 0)
		return global ? -EIO : -ENOENT;
	buf_slice(text, *(struct slice *)arg);
	return 0;
}

/* Every action has what its kind needs; a run that failed has the implicit keep alone. */
static void
fuzz_look(const struct sieve_result *r)
{
	size_t n = 0;

	for (const struct sieve_action *a = r->actions; a; a = a->next, n++) {
		if (a->kind >= SIEVE_ACTS || (a->kind == SIEVE_FILEINTO && !a->where.n))
			abort();
		if (a->header.n && !slice_ends(a->header, S("\r\n")))
			abort();
	}
	if (n != r->nactions || n > fuzz_limits.actions + 1)
		abort();
	if (r->error && (n != 1 || r->actions->kind != SIEVE_KEEP || r->actions->header.n))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice all = slice((const char *)data, n);
	size_t at = slice_find_str(all, S("\n@@\n"));
	struct slice script = slice_sub(all, 0, at), message = slice_from(all, at + 4);
	static const struct slice flags[] = { { "\\Seen", 5 }, { "$Todo", 5 } };
	struct sieve_options options = { .limits = &fuzz_limits,
		.load = fuzz_load,
		.arg = &script };
	struct sieve_host host = { .message = fuzz_message,
		.envelope = fuzz_envelope,
		.mailbox = fuzz_mailbox,
		.duplicate = fuzz_pair,
		.list = fuzz_pair,
		.environment = fuzz_environment,
		.program = fuzz_program,
		.execute = fuzz_execute,
		.event = n % 4 == 0,
		.flags = flags,
		.nflags = n % 3,
		.spam = (int)(n % 102) - 1,
		.now = 1796000000,
		.arg = &message };
	struct sieve_errors errors = { 0 };
	struct sieve_result result = { 0 };
	struct sieve_program *p;

	sieve_programs(&options);
	p = sieve_compile(script, &options, &errors);

	if (!p == !errors.n)
		abort();
	host.header = slice_sub(message, 0, header_len(message));
	host.size = message.n;
	if (p) {
		sieve_run(p, &host, &result);
		fuzz_look(&result);
		sieve_result_fini(&result);
	}
	sieve_program_free(&p);
	sieve_errors_fini(&errors);
	return 0;
}
