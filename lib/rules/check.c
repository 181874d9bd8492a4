/* rules/check.c: is a text a script that lmtpd would run?
 *
 * Scripts belong to strangers: compiling never runs on the loop, and is a person's share of the pool.  Called by
 * who takes scripts (ManageSieve, JMAP).  Owns the text until the answer; a check whose asker has gone ends on its
 * thread and is freed there after.  Must stay true: what is right here is right where it runs, so the options are
 * those of rules/use.c. */
#include "base/mem.h"
#include "base/utf8.h"
#include "net/work.h"
#include "rules/rules.h"

/* A script that is looked at; a thread's while that lasts. */
struct check {
	rules_checked done;
	void *arg;
	char *text; /* heap */
	size_t n;
	struct buf errors; /* what is wrong with it; empty: nothing */
};

static void
check_free(void *arg)
{
	struct check *c = arg;

	mem_free(&c->text);
	buf_fini(&c->errors);
	mem_release(c);
}

/* On a thread. */
static void
check_run(void *arg)
{
	struct check *c = arg;
	struct slice text = { c->text, c->n };
	struct sieve_errors errors = { 0 };
	struct sieve_options o = rules_options_now(&rules_options);
	struct sieve_program *p = NULL;
	unsigned n = 0;

	o.name = "script";
	if (!utf8_valid(text))
		buf_lit(&c->errors, "script:1:1: it is not UTF-8");
	else
		p = sieve_compile(text, &o, &errors);
	for (const struct sieve_error *e = errors.first; !p && e && n < RULES_ERRORS; e = e->next) {
		if (n++)
			buf_lit(&c->errors, "\r\n");
		sieve_error_write(&c->errors, e);
	}
	if (!p && c->errors.n == 0)
		buf_lit(&c->errors, "script:1:1: it cannot be compiled");
	sieve_program_free(&p);
	sieve_errors_fini(&errors);
}

static void
check_done(void *arg)
{
	struct check *c = arg;

	c->done(c->arg, buf_get(&c->errors));
	check_free(c);
}

void
rules_check_start(struct loop *l, struct op *op, struct slice account, struct slice text,
    rules_checked done, void *arg)
{
	struct check *c = mem_new(sizeof(*c));

	c->done = done;
	c->arg = arg;
	c->text = mem_strn(text.p, text.n);
	c->n = text.n;
	work_start_for(l, op, slice_hash(account) | 1, check_run, check_done, check_free, c);
}
