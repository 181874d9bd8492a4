/* access-header.c: the stage that looks at who a user says he is in the header: AUTH_REWRITE and the keyword authrewrite
 * (tiermail-channels(5)), and the Sender field that FROM_ACCESS wants.
 *
 * Called by message.c when the header is here, before filters see it, which may sign it.  Owns nothing.  What fails is a
 * table, for now; a value of which no field can be made leaves the message as it is, with a line of the log.  Must stay
 * true: mail of those who have not logged in, and have no table, is not looked at. */
#include "access.h"
#include "base/log.h"
#include "stage.h"

enum rewrite_mode {
	REWRITE_NOTHING,
	REWRITE_SENDER,        /* Sender is the account; of a message sent on Resent-Sender */
	REWRITE_SENDER_PLAIN,  /* Sender in any case */
	REWRITE_MAPPING,       /* AUTH_REWRITE, by the fields of sending on where there are some */
	REWRITE_MAPPING_PLAIN, /* by the others in any case */
};

static enum rewrite_mode
rewrite_mode(const struct session *s)
{
	const struct mta_channel *c = relay_channel(s);

	if (!s->account)
		return REWRITE_NOTHING;
	if (c && c->authrewrite >= 0)
		return (enum rewrite_mode)c->authrewrite;
	return relay.tables & 1U << MTA_ACCESS_AUTH ? REWRITE_MAPPING : REWRITE_NOTHING;
}

static bool
header_resent(struct slice fields)
{
	struct header_field f;

	while (header_next(&fields, &f))
		if (slice_istarts(f.name, S("Resent-")))
			return true;
	return false;
}

/* The first address of a field; empty: there is none. */
static struct slice
header_first(struct session *s, struct slice fields, const char *name)
{
	struct address_list list;
	struct header_field f;
	struct buf b = { 0 };
	struct slice text;

	if (!header_find(fields, slice_str(name), &f))
		return S("");
	address_list_parse(f.value, 1, &s->smtp.arena, &list);
	if (list.n && list.items[0].kind == ADDRESS_MAILBOX)
		address_write_parts(&b, list.items[0].mailbox, list.items[0].host);
	text = arena_slice(&s->smtp.arena, buf_get(&b));
	buf_fini(&b);
	return text;
}

/* May it be the value of such a field? */
static bool
header_good(struct session *s, struct slice text)
{
	struct address_list list;
	bool good = text.n > 0 && text.n < 900;

	for (size_t i = 0; i < text.n && good; i++)
		good = (unsigned char)text.p[i] >= ' ' && text.p[i] != 0x7f;
	if (good) {
		address_list_parse(text, 2, &s->smtp.arena, &list);
		good = list.n == 1 && list.items[0].kind == ADDRESS_MAILBOX && list.items[0].host.n;
	}
	if (text.n && !good)
		log_event(LOG_WARN, "access_field", "sid=%s qid=%s text=%s", s->sid, s->qid,
		    log_value(text));
	return good;
}

/* Asks AUTH_REWRITE: mail-from|sender|from|auth-sender. */
static bool
header_map(struct session *s, struct slice fields, bool resent)
{
	struct mta_access_probe p = { .auth = slice_str(s->account) };
	struct access *a = s->access;
	struct access_said said;
	struct mta_work w;
	struct buf from = { 0 };

	if (!(s->from.flags & ADDRESS_NULL))
		address_write(&from, &s->from);
	p.from = buf_get(&from);
	p.header_sender = header_first(s, fields, resent ? "Resent-Sender" : "Sender");
	p.header_from = header_first(s, fields, resent ? "Resent-From" : "From");
	mta_work_init(&w);
	access_ask(s, MTA_ACCESS_AUTH, &p, NULL, &w, &said);
	mta_work_fini(&w);
	buf_fini(&from);
	if (said.action == MTA_ACCESS_REJECT) {
		smtp_server_fail(&s->smtp, &said.v);
		return false;
	}
	if (said.said.env_from.p)
		access_sender(s, said.said.env_from);
	if (header_good(s, said.said.sender))
		a->sender = said.said.sender;
	if (header_good(s, said.said.from))
		a->from = said.said.from;
	return true;
}

bool
access_header(struct session *s, struct slice fields)
{
	enum rewrite_mode mode = rewrite_mode(s);
	bool plain = mode == REWRITE_SENDER_PLAIN || mode == REWRITE_MAPPING_PLAIN, resent;

	if (mode == REWRITE_NOTHING) {
		if (s->access && !header_good(s, s->access->sender))
			s->access->sender = S("");
		return true;
	}
	access_of(s);
	if (s->access->asked)
		return true;
	s->access->asked = true;
	resent = !plain && header_resent(fields);
	s->access->resent = resent;
	if (mode == REWRITE_SENDER || mode == REWRITE_SENDER_PLAIN) {
		s->access->sender = slice_str(s->account);
		return true;
	}
	if (!(relay.tables & 1U << MTA_ACCESS_AUTH))
		return true;
	return header_map(s, fields, resent);
}

static bool
access_wants(const struct session *s, unsigned body)
{
	(void)body;
	return s->access && !s->access->shown && (s->access->sender.n || s->access->from.n);
}

static void
header_put(struct buf *out, bool resent, const char *name, struct slice value)
{
	buf_printf(out, "%s%s: " SFMT "\r\n", resent ? "Resent-" : "", name, SARG(value));
}

/* What takes the place of a field stands where that stood; a Sender that is new stands last. */
static void
access_fields(struct session *s, unsigned body, struct slice fields, struct buf *out)
{
	const struct access *a = s->access;
	struct slice sender = slice_str(a->resent ? "Resent-Sender" : "Sender");
	struct slice from = slice_str(a->resent ? "Resent-From" : "From");
	bool sender_put = !a->sender.n, from_put = !a->from.n;
	struct header_field f;

	(void)body;
	while (header_next(&fields, &f)) {
		if (a->sender.n && slice_ieq(f.name, sender)) {
			if (!sender_put)
				header_put(out, a->resent, "Sender", a->sender);
			sender_put = true;
		} else if (a->from.n && slice_ieq(f.name, from)) {
			if (!from_put)
				header_put(out, a->resent, "From", a->from);
			from_put = true;
		} else {
			buf_slice(out, f.whole);
		}
	}
	if (!from_put)
		header_put(out, a->resent, "From", a->from);
	if (!sender_put)
		header_put(out, a->resent, "Sender", a->sender);
}

const struct stage access_stage = { .look = access_header,
	.wants = access_wants,
	.fields = access_fields };
