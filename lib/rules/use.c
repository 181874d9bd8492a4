/* rules/use.c: what a person's script may use where lmtpd runs it; one table for who runs scripts and who takes
 * them, so that none is taken that would not run.  All extensions are at hand at a delivery. */
#include "rules/rules.h"

const struct sieve_options rules_options = { .without = NULL };

/* RFC 6785 3.11: "Their appearance in the "require" control or their use in an IMAP event MUST result in an error
 * condition that will terminate the Sieve script". */
const struct sieve_options rules_options_event = {
	.without = "reject ereject vacation vacation-seconds vnd.dovecot.filter"
};

static bool programs;

void
rules_programs(bool may)
{
	programs = may;
}

struct sieve_options
rules_options_now(const struct sieve_options *o)
{
	struct sieve_options now = *o;

	if (programs)
		sieve_programs(&now);
	return now;
}

void
rules_extensions(struct buf *b)
{
	size_t n = b->n;

	for (size_t i = 0; sieve_extension(i); i++) {
		struct slice without = slice_str(rules_options.without), word;
		bool has = true;

		while (has && slice_word(&without, &word))
			has = !slice_eq(word, slice_str(sieve_extension(i)));
		if (!has)
			continue;
		if (b->n > n)
			buf_char(b, ' ');
		buf_str(b, sieve_extension(i));
	}
	if (programs)
		buf_lit(b, " vnd.dovecot.execute vnd.dovecot.filter vnd.dovecot.pipe");
}
