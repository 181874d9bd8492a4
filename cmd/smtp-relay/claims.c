/* claims.c: the stage that removes what strangers claim in our name: Authentication-Results with a name of ours, and
 * the fields in which our filters write what they make of a message (relay.spam_fields).
 *
 * RFC 8601 5: whoever shows or filters mail inside believes such a field of our own filters, so one that comes from outside
 * under their name is a forgery, or a way of a message that came back, and its verdict is void either way.  Called by
 * message.c, and before filters see the message.  Cannot fail.  Must stay true: fields under other names stay, with
 * every octet, for DKIM and ARC may have signed them; and mail of our own hosts keeps all.  Our own users are not
 * strangers to Authentication-Results, which readers ask about the way from outside; but stores file by a verdict,
 * and nobody writes his own. */
#include "mail/token.h"
#include "stage.h"

static bool
claims_ours(struct slice id)
{
	if (domain_eq(id, slice_str(shared.hostname)))
		return true;
	for (char **n = config.auth_names; n && *n; n++)
		if (domain_eq(id, slice_str(*n)))
			return true;
	return false;
}

bool
claims_verdict(struct slice name)
{
	for (char **n = config.spam_fields; n && *n; n++)
		if (slice_ieq(name, slice_str(*n)))
			return true;
	return false;
}

/* Authentication-Results: [CFWS] authserv-id ... (RFC 8601 2.2), a token or quoted. */
static bool
claims_field(struct session *s, const struct header_field *f)
{
	struct slice rest = f->value, id;

	if (claims_verdict(f->name))
		return true;
	if (s->role != ROLE_MX || !slice_ieq(f->name, S("Authentication-Results")))
		return false;
	token_skip(&rest);
	id = rest.n && rest.p[0] == '"' ? token_quoted(&rest, &s->smtp.arena) : token_take(&rest);
	return claims_ours(id);
}

bool
claims_found(struct session *s, struct slice fields)
{
	struct header_field f;

	s->message->claims = false;
	if (s->role == ROLE_LOCAL || s->trusted)
		return false;
	while (!s->message->claims && header_next(&fields, &f))
		s->message->claims = claims_field(s, &f);
	return s->message->claims;
}

/* Behind filters the fields of our name are theirs: what strangers had claimed has gone before they saw it. */
static bool
claims_look(struct session *s, struct slice fields)
{
	s->message->claims = !s->message->filtered && claims_found(s, fields);
	return true;
}

static bool
claims_wants(const struct session *s, unsigned body)
{
	(void)body;
	return s->message->claims;
}

static void
claims_fields(struct session *s, unsigned body, struct slice fields, struct buf *out)
{
	struct header_field f;

	(void)body;
	while (header_next(&fields, &f))
		if (!claims_field(s, &f))
			buf_slice(out, f.whole);
}

const struct stage claims_stage = { .look = claims_look,
	.wants = claims_wants,
	.fields = claims_fields };
