/* regex.c: regular expressions (draft-ietf-sieve-regex) by pcre2, which lives here only.
 *
 * The draft means POSIX extended expressions; pcre2 reads those and more.  Its matcher gives up after
 * limits.regex_matches steps, which becomes an error of the run: an expression that explodes costs
 * milliseconds.  But it counts anew for each place of the text that it begins at, and a step may look at
 * all of the text: so every item of an expression calls us, is counted as work, and the run's time is
 * looked at.  No JIT: it would ignore the limit on depth, and need memory that is writable and
 * executable in a process that reads mail.  Expressions without variables are compiled with the script,
 * and what is wrong in them is told where it stands; a few octets can be a large program, so that all of a
 * script together have a bound (limits.regex_bytes). */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "base/mem.h"
#include "sieve/match.h"

#define REGEX_PATTERN_MAX 4096 /* octets */
#define REGEX_HEAP_KIB    4096 /* of one match */
#define REGEX_WORK        32   /* that a match counts, beside the text */
#define REGEX_ITEMS       2048 /* between two looks at the time, in a text of a line or two */

struct sieve_regex {
	struct sieve_regex *next;
	pcre2_code *code;
};

/* What the matches of a run use in turn. */
struct regex_data {
	pcre2_match_data *data;
	pcre2_match_context *context;
	/* Of the match at hand: */
	struct sieve_run *run;
	const struct sieve_call *call;
	unsigned items, every; /* that have been tried; that many are a look at the time */
};

const struct sieve_regex *
sieve_regex_new(struct sieve_regex **list, struct slice pattern, bool caseless, char *why,
    size_t room)
{
	uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOTALL |
	    PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT |
	    (caseless ? PCRE2_CASELESS : 0);
	struct sieve_regex *x;
	pcre2_code *code;
	PCRE2_SIZE at;
	int e;

	*why = '\0';
	if (pattern.n > REGEX_PATTERN_MAX) {
		slice_cstr(S("it is too long"), why, room);
		return NULL;
	}
	code = pcre2_compile((PCRE2_SPTR)(pattern.n ? pattern.p : ""), pattern.n, options, &e, &at,
	    NULL);
	if (!code) {
		pcre2_get_error_message(e, (PCRE2_UCHAR *)why, room);
		return NULL;
	}
	x = mem_new(sizeof(*x));
	x->code = code;
	x->next = *list;
	return *list = x;
}

size_t
sieve_regex_octets(const struct sieve_regex *x)
{
	size_t n = 0;

	pcre2_pattern_info(x->code, PCRE2_INFO_SIZE, &n);
	return n;
}

void
sieve_regex_free(struct sieve_regex *x)
{
	while (x) {
		struct sieve_regex *next = x->next;

		pcre2_code_free(x->code);
		mem_free(&x);
		x = next;
	}
}

/* An item of the expression is tried: not 0 ends the match. */
static int
item_tried(pcre2_callout_block *block, void *arg)
{
	struct regex_data *d = arg;

	(void)block;
	if (++d->items < d->every)
		return 0;
	d->items = 0;
	d->run->check_at = d->run->work;
	return sieve_spend(d->run, d->call, d->every / 4 + 1) ? 0 : PCRE2_ERROR_CALLOUT;
}

static struct regex_data *
data_of(struct sieve_run *r)
{
	struct regex_data *d = r->regex_data;

	if (d)
		return d;
	d = r->regex_data = mem_new(sizeof(*d));
	d->data = pcre2_match_data_create(SIEVE_MATCH_VALUES, NULL);
	d->context = pcre2_match_context_create(NULL);
	pcre2_set_match_limit(d->context, r->limits->regex_matches);
	pcre2_set_depth_limit(d->context, r->limits->regex_matches / 10 + 1);
	pcre2_set_heap_limit(d->context, REGEX_HEAP_KIB);
	pcre2_set_callout(d->context, item_tried, d);
	return d;
}

void
sieve_regex_data_free(void **p)
{
	struct regex_data *d = *p;

	if (!d)
		return;
	pcre2_match_data_free(d->data);
	pcre2_match_context_free(d->context);
	mem_free(p);
}

static void
groups_take(struct sieve_run *r, struct regex_data *d, struct slice text, int groups)
{
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(d->data);

	r->nmatches = groups > 0 ? (unsigned)groups : SIEVE_MATCH_VALUES;
	for (unsigned i = 0; i < r->nmatches; i++)
		r->matches[i] = at[2 * i] == PCRE2_UNSET ?
		    S("") :
		    slice_sub(text, at[2 * i], at[2 * i + 1] - at[2 * i]);
}

bool
sieve_regex_match(struct sieve_run *r, const struct sieve_call *c, const struct sieve_regex *x,
    struct slice text, bool capture)
{
	struct regex_data *d = data_of(r);
	int n;

	r->check_at = r->work; /* a match may be long: look at the time */
	if (!sieve_spend(r, c, REGEX_WORK + text.n / 64))
		return false;
	d->run = r;
	d->call = c;
	d->every = (unsigned)(REGEX_ITEMS / (1 + text.n / 1024)) + 1;
	n = pcre2_match(x->code, (PCRE2_SPTR)(text.n ? text.p : ""), text.n, 0, 0, d->data,
	    d->context);
	if (n == PCRE2_ERROR_NOMATCH)
		return false;
	if (n < 0) /* the first reason stays: ours, when it was the callout */
		return sieve_exceed(r, c, "steps of a regular expression");
	if (capture)
		groups_take(r, d, text, n);
	return true;
}
