/* channels-auth.c: the user name and password with which a channel logs in at its relay.
 *
 * Called by channels.c and channels-print.c.  The password stays what stands in the file, so that of all who read it
 * channel-master alone opens what it names.  Mistakes go to *why.  Must stay true: a login is for one relay that the
 * configuration names, and under TLS. */
#include <stdlib.h>
#include "base/mem.h"
#include "base/secret.h"
#include "mta/channels-impl.h"

/* What a channel with a login lacks, or NULL. */
static const char *
auth_lack(const struct channel *c)
{
	if (c->protocol != CHANNEL_SMTP)
		return "a channel of SMTP";
	if (!*c->relay)
		return "relay = HOST:PORT, for no other host is to have the password";
	if (slice_starts(slice_str(c->relay), S("unix:")))
		return "a relay that is reached by TCP";
	if (c->tls != CHANNEL_TLS_MUST)
		return "tls = must, for without TLS anybody may read the password";
	return *c->auth_password ? NULL : "auth_password";
}

void
channels_auth_set(struct channel *c, const struct channel *raw, struct buf *why)
{
	const char *lack;

	c->auth_user = mem_str(raw->auth_user ? raw->auth_user : "");
	c->auth_password = mem_str(raw->auth_password ? raw->auth_password : "");
	if (!*c->auth_user && *c->auth_password)
		buf_printf(why, "%s: [channel %s] auth_password: there is no auth_user\n",
		    conf_where(&raw->auth_password), raw->name);
	lack = *c->auth_user ? auth_lack(c) : NULL;
	if (lack)
		buf_printf(why, "%s: [channel %s] auth_user: it needs %s\n",
		    conf_where(&raw->auth_user), raw->name, lack);
}

void
channels_auth_free(struct channel *c)
{
	free(c->auth_user);
	secret_clear(c->auth_password, strlen(c->auth_password));
	free(c->auth_password);
}

void
channels_auth_print(struct buf *out, const struct channel *c)
{
	buf_printf(out, "auth_user = \"%s\"\nauth_password = %s\n", c->auth_user,
	    *c->auth_password ? "(secret)" : "\"\"");
}
