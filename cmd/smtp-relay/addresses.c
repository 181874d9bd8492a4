/* addresses.c: the stage that rewrites addresses of the header, as the rules and REVERSE say, in copies for the
 * channels that have the keyword `reverse`.
 *
 * For mail of our own users, programs and hosts (relay.networks) alone: what comes from elsewhere may be
 * signed, and is nobody's here to change.  Called by message.c; what fails is an address of which the rules
 * make none: it stays.  Must stay true: a copy for another channel has the addresses that were sent. */
#include "base/log.h"
#include "mta/header.h"
#include "stage.h"

struct addresses {
	struct mta_header header;
	struct mta_calls calls;
	const struct mta_general *general;
	bool told;
};

bool
addresses_inside(const struct session *s)
{
	return s->role != ROLE_MX || (s->trusted && !xforward_remote(s));
}

const char *
addresses_channel(const struct session *s, const char *channel)
{
	return addresses_inside(s) && channels_reverse(relay.channels, channel) ? channel : NULL;
}

static enum mta_answer
addresses_general(void *arg, struct slice key, struct buf *value)
{
	const struct addresses *a = arg;

	return mta_general_find(a->general, key, value);
}

static bool
addresses_wants(const struct session *s, unsigned body)
{
	return body && s->bodies[body - 1].channel && !stage_whole(s, body) &&
	    !s->message->gone[body];
}

/* All of it is done between the end of the header and the next turn of the loop: no reload comes between. */
static struct addresses *
addresses_new(struct session *s)
{
	struct addresses *a = arena_new(&s->smtp.arena, sizeof(*a));

	a->general = relay.channels->general;
	a->calls = (struct mta_calls){ .arg = a, .general = addresses_general };
	a->header = (struct mta_header){ .conf = relay.channels->rules,
		.mappings = relay.channels->mappings,
		.calls = &a->calls,
		.source = slice_str(relay_message_source(s)),
		.a = &s->smtp.arena };
	return a;
}

static void
addresses_fields(struct session *s, unsigned body, struct slice fields, struct buf *out)
{
	struct message *m = s->message;

	if (!m->addresses)
		m->addresses = addresses_new(s);
	mta_header_rewrite(&m->addresses->header, slice_str(s->bodies[body - 1].channel), fields,
	    out);
	if (m->addresses->header.left && !m->addresses->told)
		log_event(LOG_WARN, "header_addresses", "sid=%s qid=%s most=%d", s->sid, s->qid,
		    MTA_HEADER_ADDRESSES);
	m->addresses->told = m->addresses->header.left;
}

void
addresses_forget(struct message *m)
{
	if (m->addresses)
		mta_header_fini(&m->addresses->header);
	m->addresses = NULL;
}

const struct stage address_stage = { .wants = addresses_wants, .fields = addresses_fields };
