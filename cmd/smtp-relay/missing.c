/* missing.c: the stage for messages whose header names no recipient, as missingrecipientpolicy of the channel wants
 * (tiermail-channels(5)); RFC 5322 3.6 lets them be, RFC 822 did not.
 *
 * Called by message.c behind the stage that takes Bcc away.  Owns nothing; fails only where the policy is to refuse.
 * Must stay true: a member of a list is nobody's business, the list's address stands for him. */
#include "stage.h"

#define NAMED_MAX 100 /* recipients that are named */

enum missing {
	MISSING_PASS = 1,
	MISSING_TO,
	MISSING_BCC,
	MISSING_GROUP,
	MISSING_EMPTY,
	MISSING_REFUSE
};

/* What is to be done, or 0. */
static int64_t
missing_policy(const struct session *s)
{
	const struct header_scan *h = &s->message->scan;
	const struct mta_channel *c;

	if (header_seen(h, HEADER_TO) || header_seen(h, HEADER_CC) || header_seen(h, HEADER_BCC))
		return 0;
	c = relay_channel(s);
	return c && c->missing_recipient > MISSING_PASS ? c->missing_recipient : 0;
}

static bool
missing_look(struct session *s, struct slice fields)
{
	struct verdict v;

	(void)fields;
	if (missing_policy(s) != MISSING_REFUSE)
		return true;
	v = verdict(OUT_CHANNEL_MISSING);
	smtp_server_fail(&s->smtp, &v);
	return false;
}

static bool
missing_wants(const struct session *s, unsigned body)
{
	(void)body;
	return missing_policy(s) > 0;
}

/* Those of RCPT; one after the other the members of a list have its address. */
static void
missing_names(const struct session *s, struct buf *out)
{
	const char *before = NULL;
	size_t n = 0;

	for (size_t i = 0; i < s->nrcpts && n < NAMED_MAX; i++) {
		const struct qrcpt *q = &s->rcpts[i];
		const char *name = q->final ? q->final : q->sender ? q->sender : q->addr;

		if (before && strcmp(before, name) == 0)
			continue;
		buf_printf(out, "%s%s", n++ ? ",\r\n\t" : "", name);
		before = name;
	}
}

static void
missing_fields(struct session *s, unsigned body, struct slice fields, struct buf *out)
{
	int64_t policy = missing_policy(s);

	(void)body;
	buf_slice(out, fields);
	if (policy == MISSING_GROUP) {
		buf_lit(out, "To: Recipients not specified: ;\r\n");
	} else if (policy == MISSING_EMPTY) {
		buf_lit(out, "Bcc: \r\n");
	} else if (policy == MISSING_TO || policy == MISSING_BCC) {
		buf_str(out, policy == MISSING_TO ? "To: " : "Bcc: ");
		missing_names(s, out);
		buf_lit(out, "\r\n");
	}
}

const struct stage missing_stage = { .look = missing_look,
	.wants = missing_wants,
	.fields = missing_fields };
