/* pop3/server-impl.h: what server.c and server-auth.c share; nobody else includes it. */
#ifndef POP3_SERVER_IMPL_H
#define POP3_SERVER_IMPL_H
#include "pop3/server.h"

static inline void
pop3_server_event(struct pop3_server *s, enum pop3_event ev)
{
	if (s->policy->event)
		s->policy->event(s, ev);
}

/* server-auth.c: the server's own commands, ended by a NULL name. */
extern const struct pop3_command pop3_server_commands[];
/* The next line of an exchange, in base64. */
enum pop3_next pop3_sasl_line(struct pop3_server *s, struct slice line);
#endif
