/* channels-users.c: who gets programs and mailbox files: a channel of these, and the domains of its users.
 *
 * Called by channels.c for the key, and by lib/expand for a user.  Owns the list's copies.  Nothing can fail.  Must
 * stay true: a user's name is that of a user of the host, so a domain that is not named has none. */
#include <stdlib.h>

#include "base/mem.h"
#include "mta/channels-impl.h"

bool
channels_pipes(const struct channels *cs, const char *name)
{
	const struct channel *c = channels_find(cs, slice_str(name));

	return c && c->protocol == CHANNEL_PIPE;
}

bool
channels_pipes_users(const struct channels *cs, const char *name, struct slice domain)
{
	const struct channel *c = channels_find(cs, slice_str(name));
	bool any = c && !c->users[0];

	for (char **d = c ? c->users : NULL; d && *d; d++)
		any = any || slice_ieq(slice_str(*d), domain);
	return any && c->protocol == CHANNEL_PIPE;
}

char **
channels_users_copy(char **from)
{
	size_t n = 0;
	char **to;

	while (from && from[n])
		n++;
	to = mem_grow(NULL, n + 1, sizeof(*to));
	for (size_t i = 0; i < n; i++)
		to[i] = mem_str(from[i]);
	to[n] = NULL;
	return to;
}

void
channels_users_free(char **users)
{
	for (char **d = users; d && *d; d++)
		free(*d);
	mem_release(users);
}

void
channels_users_print(struct buf *out, const struct channel *c)
{
	buf_lit(out, "users =");
	for (char **d = c->users; *d; d++)
		buf_printf(out, " %s", *d);
	buf_char(out, '\n');
}
