/* imap/server-impl.h: what server.c, server-line.c and server-auth.c share; nobody else includes
 * it. */
#ifndef IMAP_SERVER_IMPL_H
#define IMAP_SERVER_IMPL_H
#include "imap/server.h"

static inline void
imap_server_event(struct imap_server *s, enum imap_event ev)
{
	if (s->policy->event)
		s->policy->event(s, ev);
}

/* server-line.c: takes commands, one after the other. */
extern const struct imap_taker imap_command_taker;

/* server-auth.c: the server's own commands, ended by a NULL name. */
extern const struct imap_command imap_server_commands[];
#endif
