/* channel-master/login.c: the user name and password with which the channel logs in at its relay: see master.h.
 *
 *	channels.conf (auth_user, auth_password) -> login_read -> site.c (is it for this site?) -> session.c -> smtp/client-auth.c
 *
 * Owns the password, which no other process of the suite reads.  Fails when its file cannot be read: then mail waits, as it
 * does when the relay refuses it.  Must stay true: it goes to the channel's relay alone, whose certificate and name were
 * verified (dial-policy.c), and is in no log. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "master.h"

#define LOGIN_SAID_MS 60000u

static struct smtp_client_login login; /* for the life of the process */

bool
login_read(const struct channel *c, struct buf *wrong)
{
	char *password = NULL, *why = NULL;
	bool ok = !*c->auth_user;

	if (ok)
		return true;
	if (conf_secret_read(c->auth_password, &password, &why) == 0)
		ok = *password;
	if (!ok)
		buf_printf(wrong, "channels.conf: [channel %s] auth_password: %s\n", c->name,
		    why ? why : "it is empty");
	if (ok && c == master.channel)
		login = (struct smtp_client_login){ c->auth_user, password };
	else if (password) {
		secret_clear(password, strlen(password));
		mem_free(&password);
	}
	mem_free(&why);
	return ok;
}

const struct smtp_client_login *
login_get(void)
{
	return login.password ? &login : NULL;
}

void
login_wrong(const char *peer, const struct verdict *v)
{
	static uint64_t said;
	uint64_t now = clock_mono_ms();

	count_add(JOB_COUNT_LOGIN_FAILED, 1);
	if (said && now - said < LOGIN_SAID_MS)
		return;
	said = now;
	log_event(LOG_ERROR, "relay_login", "channel=%s peer=%s user=%s error=%s",
	    master.channel->name, log_str(peer), log_str(master.channel->auth_user),
	    log_str(v->text));
}
