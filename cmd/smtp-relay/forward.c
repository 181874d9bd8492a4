/* forward.c: spam that a recipient of ours would have us send on (forward.refuse).
 *
 * A host that mail is forwarded to refuses spam when we have taken it, and the report of that goes to a sender who is mostly
 * forged.  Where the site wants it such a message is refused instead, while its sender waits: by what our filters say of
 * it, in a field that nobody else can bring (claims.c).  One answer is for all recipients, so whose mail goes on gets a
 * message of his own, as lists with a limit do.  rcpt.c and message.c call.  Cannot fail. */
#include "filters.h"

/* Would a report go to somebody out there? */
static bool
forward_asked(const struct session *s)
{
	return *config.forward_refuse && s->role == ROLE_MX && !s->trusted && s->filters &&
	    !(s->from.flags & ADDRESS_NULL);
}

bool
forward_leads_out(const struct session *s, const struct expand_result *r)
{
	if (!forward_asked(s))
		return false;
	for (size_t i = 0; i < r->nlegs; i++) {
		const struct channel *c;

		if (!r->legs[i].onward || r->legs[i].sender)
			continue;
		c = channels_find(relay.channels, slice_str(r->legs[i].channel));
		if (c && c->protocol == CHANNEL_SMTP)
			return true;
	}
	return false;
}

/* "Name: word", of which the word may be missing. */
static bool
forward_field(struct slice *name, struct slice *word)
{
	*word = slice_str(config.forward_refuse);
	if (slice_find(*word, ':') == word->n || !slice_cut(word, ':', name) || name->n == 0)
		return false;
	*word = slice_trim(*word);
	for (size_t i = 0; i < name->n; i++)
		if (name->p[i] <= ' ' || name->p[i] >= 0x7f)
			return false;
	return true;
}

static bool
forward_says(struct slice header, struct slice name, struct slice word)
{
	struct header_field f;

	return header_find(header, name, &f) && slice_istarts(slice_trim(f.value), word);
}

bool
forward_refuses(const struct session *s, struct slice above, struct slice fields)
{
	struct slice name, word;

	return s->forwards && forward_field(&name, &word) &&
	    (forward_says(above, name, word) || forward_says(fields, name, word));
}

bool
forward_check(struct buf *why)
{
	struct slice name, word;

	if (!*config.forward_refuse || (forward_field(&name, &word) && claims_verdict(name)))
		return true;
	buf_printf(why,
	    "%s: forward.refuse = %s: not a field of relay.spam_fields, a colon and a word\n",
	    conf_where(&config.forward_refuse), config.forward_refuse);
	return false;
}
