/* storectl serve: what may be asked by whom.
 *
 * Called by serve.c with the first line of who has shown a certificate.  Owns nothing, cannot fail.  Must stay true: the
 * words are judged as they came, undecoded, so that no other spelling of a verb gets by; what is not in the table is
 * nobody's of another host: what reads or writes files that are named, and what works without stored. */
#include "serve.h"

#include "base/kv.h"
#include "net/tls-role.h"

#define ADMIN TLS_ROLE_BIT(TLS_ROLE_ADMIN)
#define RUN   (ADMIN | TLS_ROLE_BIT(TLS_ROLE_OPERATOR))
#define MOVE  (ADMIN | TLS_ROLE_BIT(TLS_ROLE_MOVE))

/* Operators look, at nobody's mail and at nobody's habits; the first that fits counts. */
static const struct {
	const char *verb, *sub; /* sub: "" = any, or none */
	size_t words;           /* so many in all; 0 = any number */
	unsigned roles;
} verbs[] = {
	{ "account", "list", 0, RUN },
	{ "account", "show", 0, RUN },
	{ "account", "delete", 0, ADMIN },
	{ "account", "rename", 0, ADMIN },
	{ "account", "orphans", 0, ADMIN },
	{ "acl", "", 3, RUN },
	{ "acl", "", 5, ADMIN },
	{ "check", "", 0, RUN },
	{ "expire", "", 0, ADMIN },
	{ "list", "", 0, RUN },
	{ "quota", "report", 0, RUN },
	{ "quota", "recount", 0, ADMIN },
	{ "quota", "warn", 0, ADMIN },
	{ "quota", "set", 0, ADMIN },
	{ "quota", "reset", 0, ADMIN },
	{ "quota", "-r", 0, ADMIN },
	{ "quota", "--recount", 0, ADMIN },
	{ "quota", "", 0, RUN },
	{ "readership", "", 0, ADMIN },
	{ "reconstruct", "", 0, ADMIN },
	{ "rethread", "", 0, ADMIN },
	{ "snapshot", "", 0, ADMIN },
	{ "stats", "", 0, RUN },
	{ "undelete", "", 0, ADMIN },
};

static unsigned
serve_run_roles(struct slice rest)
{
	struct slice key, value, verb = S(""), sub = S("");
	size_t n = 0;

	while (kv_next(&rest, &key, &value)) {
		if (!slice_eq(key, S("w")) || !value.p)
			return 0;
		if (n == 0 && slice_eq(value, S("-q")))
			continue;
		if (n == 0)
			verb = value;
		else if (n == 1)
			sub = value;
		n++;
	}
	for (size_t i = 0; i < NELEM(verbs); i++)
		if (slice_eq(verb, slice_str(verbs[i].verb)) &&
		    (!*verbs[i].sub || slice_eq(sub, slice_str(verbs[i].sub))) &&
		    (verbs[i].words == 0 || verbs[i].words == n))
			return verbs[i].roles;
	return 0;
}

/* All other words are of an account that moves; receive.c knows which there are. */
unsigned
storectl_serve_roles(struct slice line)
{
	struct slice rest = line, word = S("");

	(void)slice_word(&rest, &word);
	return slice_eq(word, S("run")) ? serve_run_roles(slice_trim(rest)) : MOVE;
}
