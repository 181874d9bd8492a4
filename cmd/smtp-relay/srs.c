/* srs.c: senders of others whose mail we send on to others, and reports on their way back to them (guard/srs.h).
 *
 * Owns nothing; rcpt.c asks for each leg and each recipient.  Can fail: a sender that would become too long stays as it is.
 * Must stay true: an address of SRS leads to the one it was made of and nowhere else, so it opens no relay; and mail
 * of our own users, whose senders are ours, goes as it is. */
#include "base/clock.h"
#include "guard/srs.h"
#include "base/utf8.h"
#include "relay.h"

#define SECRET_LEAST 16

/* Does this leg leave us, with a sender that is not ours? */
static bool
srs_wanted(const struct session *s, const struct expand_leg *leg)
{
	const struct channel *c = channels_find(relay.channels, slice_str(leg->channel));

	if (!*config.srs_domain || s->role != ROLE_MX || leg->sender || leg->later ||
	    s->from.flags & (ADDRESS_NULL | ADDRESS_LITERAL | ADDRESS_UTF8) ||
	    domain_eq(s->from.domain, slice_str(config.srs_domain)))
		return false;
	/* Forwarded here, or by a script on a store. */
	if (!leg->onward && !s->ours)
		return false;
	for (char **d = config.srs_except; d && *d; d++)
		if (domain_eq(s->from.domain, slice_str(*d)))
			return false;
	return c && c->protocol == CHANNEL_SMTP;
}

const char *
srs_sender(struct session *s, const struct expand_leg *leg)
{
	struct buf text = { 0 };
	const char *sender = NULL;

	if (!srs_wanted(s, leg))
		return NULL;
	if (guard_srs_forward(&text, s->from.local, s->from.domain, slice_str(config.srs_secret),
		clock_now())) {
		struct address a = { .local = buf_get(&text),
			.domain = slice_str(config.srs_domain) };
		struct buf whole = { 0 };

		address_write(&whole, &a);
		sender = arena_cstr(&s->smtp.arena, buf_get(&whole));
		buf_fini(&whole);
	}
	buf_fini(&text);
	return sender;
}

bool
srs_back(struct session *s, struct address *to, bool *good)
{
	char *secrets[] = { config.srs_secret, config.srs_old_secret, NULL };
	struct buf text = { 0 };
	struct slice whole;
	size_t at;

	if (!*config.srs_old_secret)
		secrets[1] = NULL;

	*good = false;
	if (!*config.srs_domain || !domain_eq(to->domain, slice_str(config.srs_domain)) ||
	    !guard_srs_is(to->local))
		return false;
	*good = guard_srs_back(&text, to->local, secrets, clock_now());
	whole = arena_slice(&s->smtp.arena, buf_get(&text));
	buf_fini(&text);
	at = slice_rfind(whole, '@');
	*good = *good && at < whole.n && domain_valid(slice_from(whole, at + 1), 0);
	if (*good) {
		to->local = slice_sub(whole, 0, at);
		to->domain = slice_from(whole, at + 1);
	}
	return true;
}

bool
srs_check(struct buf *why)
{
	size_t n = strlen(config.srs_secret);

	if (*config.srs_domain && n < SECRET_LEAST)
		buf_printf(why, "%s: srs.domain needs an srs.secret of %d octets or more\n",
		    conf_where(&config.srs_domain), SECRET_LEAST);
	return !*config.srs_domain || n >= SECRET_LEAST;
}
