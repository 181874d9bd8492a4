/* extension.c: the capabilities that a script may require (RFC 5228 6.2), as rows.
 *
 * What stands here is announced by whoever speaks ManageSieve, and can be relied on whole: a row comes with
 * the words that it needs.  A capability is a bit in the compiler, so that what a word needs is one
 * comparison; comparators are capabilities too (RFC 5228 2.7.3).  Callers bring capabilities of their
 * own, whose bits come behind these. */
#include "sieve/sieve-impl.h"

static const struct {
	const char *name, *implies; /* one that it has within it */
} extensions[] = {
	{ "body", NULL },                         /* RFC 5173 */
	{ "comparator-i;ascii-casemap", NULL },   /* RFC 5228 2.7.3 */
	{ "comparator-i;ascii-numeric", NULL },   /* RFC 4790 9.1 */
	{ "comparator-i;octet", NULL },           /* RFC 5228 2.7.3 */
	{ "comparator-i;unicode-casemap", NULL }, /* RFC 5051 */
	{ "copy", NULL },                         /* RFC 3894 */
	{ "date", NULL },                         /* RFC 5260 */
	{ "duplicate", NULL },                    /* RFC 7352 */
	{ "editheader", NULL },                   /* RFC 5293 */
	{ "encoded-character", NULL },            /* RFC 5228 2.4.2.4 */
	{ "enotify", NULL },                      /* RFC 5435 */
	{ "envelope", NULL },                     /* RFC 5228 5.4 */
	{ "envelope-dsn", NULL },                 /* RFC 6009 3 */
	{ "environment", NULL },                  /* RFC 5183 */
	{ "ereject", NULL },                      /* RFC 5429 */
	{ "extlists", NULL },                     /* RFC 6134 */
	{ "extracttext", NULL },                  /* RFC 5703 7 */
	{ "fcc", NULL },                          /* RFC 8580 */
	{ "fileinto", NULL },                     /* RFC 5228 4.1 */
	{ "foreverypart", NULL },                 /* RFC 5703 3 */
	{ "ihave", NULL },                        /* RFC 5463 */
	{ "imap4flags", NULL },                   /* RFC 5232 */
	{ "imapsieve", NULL },                    /* RFC 6785 */
	{ "include", NULL },                      /* RFC 6609 */
	{ "index", NULL },                        /* RFC 5260 6 */
	{ "mailbox", NULL },                      /* RFC 5490 3 */
	{ "mailboxid", NULL },                    /* RFC 9042 */
	{ "mime", NULL },                         /* RFC 5703 4 */
	{ "redirect-dsn", NULL },                 /* RFC 6009 4 */
	{ "regex", NULL },                        /* draft-ietf-sieve-regex */
	{ "reject", NULL },                       /* RFC 5429 */
	{ "relational", NULL },                   /* RFC 5231 */
	{ "spamtest", NULL },                     /* RFC 5235 3.2 */
	{ "spamtestplus", "spamtest" },           /* RFC 5235 3.2 */
	{ "special-use", "mailbox" },             /* RFC 8579 */
	{ "subaddress", NULL },                   /* RFC 5233 */
	{ "vacation", NULL },                     /* RFC 5230 */
	{ "vacation-seconds", "vacation" },       /* RFC 6131 */
	{ "variables", NULL },                    /* RFC 5229 */
	{ "virustest", NULL },                    /* RFC 5235 3.3 */
	{ "vnd.dovecot.environment",
	    "environment" }, /* Pigeonhole: spec-bosch-sieve-dovecot-environment */
};
_Static_assert(NELEM(extensions) < 60, "a bit for each, and some for callers");

const char *
sieve_extension(size_t i)
{
	return i < NELEM(extensions) ? extensions[i].name : NULL;
}

uint64_t
sieve_extension_bit(const struct sieve_compiler *c, struct slice name)
{
	const char *const *more = c->options->extensions;

	for (size_t i = 0; i < NELEM(extensions); i++)
		if (slice_eq(name, slice_str(extensions[i].name)))
			return 1ull << i;
	for (size_t i = 0; more && more[i] && NELEM(extensions) + i < 64; i++)
		if (slice_eq(name, slice_str(more[i])))
			return 1ull << (NELEM(extensions) + i);
	return 0;
}

uint64_t
sieve_extension_find(const struct sieve_compiler *c, struct slice name)
{
	uint64_t bit = sieve_extension_bit(c, name);

	if (bit & c->without)
		return 0;
	for (size_t i = 0; i < NELEM(extensions); i++)
		if (bit == 1ull << i && extensions[i].implies)
			bit |= sieve_extension_bit(c, slice_str(extensions[i].implies));
	return bit;
}

bool
sieve_extension_any(const struct sieve_compiler *c, const char *names)
{
	struct slice rest = slice_str(names), name;

	if (!names)
		return true;
	while (slice_word(&rest, &name))
		if (sieve_extension_bit(c, name) & c->required)
			return true;
	return false;
}

bool
sieve_required(const struct sieve_compiler *c, const char *extension)
{
	return sieve_extension_any(c, extension);
}
