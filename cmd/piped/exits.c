/* piped/exits.c: how a program ended, as a verdict: sysexits.h, as Postfix's pipe(8) and sendmail have it.
 *
 * Called by run.c for each result; pure.  Must stay true: what only an administrator's or a
 * programmer's mistake can bring about is temporary, so that no mail is returned for it; permanent are
 * those codes alone by which a program says that the message or the address is at fault. */
#include <string.h>
#include <sysexits.h>
#include "piped.h"

/* The first line, cleaned: what the program wrote may be anything. */
static const char *
exits_words(const struct order_result *r, const char *instead, char to[ORDER_SAID + 1])
{
	size_t n = 0;

	for (; n < r->nsaid; n++)
		to[n] = r->said[n] >= 0x20 && r->said[n] < 0x7f ? r->said[n] : '?';
	to[n] = '\0';
	return n ? to : instead;
}

static struct verdict
exits_code(const struct order_result *r, const char *program)
{
	char room[ORDER_SAID + 1];

	switch (r->code) {
	case 0: return verdict(OUT_PIPE_DONE, program);
	case EX_DATAERR: return verdict(OUT_PIPE_DATA, program, exits_words(r, "malformed", room));
	case EX_NOUSER:
		return verdict(OUT_PIPE_NO_USER, program, exits_words(r, "no such user", room));
	case EX_NOHOST:
		return verdict(OUT_PIPE_NO_HOST, program, exits_words(r, "no such host", room));
	case EX_UNAVAILABLE:
		return verdict(OUT_PIPE_UNABLE, program, exits_words(r, "not available", room));
	case EX_PROTOCOL:
		return verdict(OUT_PIPE_PROTOCOL, program, exits_words(r, "protocol", room));
	case EX_NOPERM:
		return verdict(OUT_PIPE_DENIED, program, exits_words(r, "not permitted", room));
	case EX_TEMPFAIL:
		return verdict(OUT_PIPE_LATER, program, exits_words(r, "try later", room));
	default: return verdict(OUT_PIPE_EXIT, r->code, program, exits_words(r, "no words", room));
	}
}

struct verdict
exits_verdict(const struct order_result *r, const char *program)
{
	switch ((enum order_how)r->how) {
	case ORDER_EXITED: return exits_code(r, program);
	case ORDER_SIGNALLED: return verdict(OUT_PIPE_SIGNAL, program, r->code);
	case ORDER_TIME: return verdict(OUT_PIPE_SLOW, program);
	case ORDER_OUTPUT: return verdict(OUT_PIPE_OUTPUT, program);
	case ORDER_LIST: return verdict(OUT_PIPE_NONE, program);
	case ORDER_USER: return verdict(OUT_PIPE_USER, program);
	case ORDER_SETUP:
	case ORDER_EXEC: return verdict(OUT_PIPE_RUN, program, strerror(r->code));
	case ORDER_SYSTEM: return verdict(OUT_PIPE_SYSTEM, strerror(r->code));
	}
	return verdict(OUT_PIPE_LOST);
}
