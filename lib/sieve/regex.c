/* regex.c: regular expressions (draft-ietf-sieve-regex) by pcre2, which lives here only.
 *
 * The draft means POSIX extended expressions; pcre2 reads those and more.  Its matcher gives up after
 * limits.regex_matches steps, which becomes an error of the run: an expression that explodes costs
 * milliseconds.  No JIT: it would ignore the limit on depth, and need memory that is writable and
 * executable in a process that reads mail.  Expressions without variables are compiled with the script,
 * and what is wrong in them is told where it stands. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "base/mem.h"
#include "sieve/match.h"

#define REGEX_PATTERN_MAX 4096 /* octets */
#define REGEX_HEAP_KIB    4096 /* of one match */
#define REGEX_WORK        32   /* that a match counts, beside the text */

struct sieve_regex {
	struct sieve_regex *next;
	pcre2_code *code;
};

/* What the matches of a run use in turn. */
struct regex_data {
	pcre2_match_data *data;
	pcre2_match_context *context;
};

const struct sieve_regex *
sieve_regex_new(struct sieve_regex **list, struct slice pattern, bool caseless, char *why,
    size_t room)
{
	uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOTALL |
	    PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | (caseless ? PCRE2_CASELESS : 0);
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
	n = pcre2_match(x->code, (PCRE2_SPTR)(text.n ? text.p : ""), text.n, 0, 0, d->data,
	    d->context);
	if (n == PCRE2_ERROR_NOMATCH)
		return false;
	if (n < 0)
		return sieve_exceed(r, c, "steps of a regular expression");
	if (capture)
		groups_take(r, d, text, n);
	return true;
}
