/* policy.c: the policy services of [policy NAME] sections, asked about each recipient who is found good otherwise.
 *
 * Who does not want them (mailAntiUBEService) is not asked about, where a section says so.
 *
 * Owns nothing but its place in the chain (session.policy_at), and what services want of the message (session.asked_for);
 * rcpt.c asks before filters hear of the recipient.  Can fail: a service, then its on_failure says what is said.  Must
 * stay true: a service hears one recipient at a time, in their order, with one `instance` for all of a message, which is
 * how greylisting and rates tell messages apart. */
#include "guard.h"
#include "guard/policy.h"

#include "base/log.h"
#include "base/must.h"
#include "filters.h"

#define PREPEND_MAX 16384 /* octets of fields that services put in front of a message */

static const char *const policy_failures[] = { "tempfail", "accept", "reject" };

static void policy_next(struct session *s);

/* The service whose turn it is, or NULL. */
static const struct policy_conf *
policy_now(const struct session *s)
{
	size_t n = 0;

	for (struct policy_conf **p = config.policies; p && *p; p++)
		if (filters_listens((*p)->listeners, s->listen->name, s->role) &&
		    n++ == s->policy_at)
			return *p;
	return NULL;
}

bool
policy_wanted(const struct session *s)
{
	for (struct policy_conf **p = config.policies; p && *p; p++)
		if (filters_listens((*p)->listeners, s->listen->name, s->role))
			return true;
	return false;
}

static void
policy_write_address(struct buf *b, const char *name, const struct address *a)
{
	struct buf text = { 0 };

	if (!(a->flags & ADDRESS_NULL))
		address_write(&text, a);
	guard_policy_write(b, name, buf_get(&text));
	buf_fini(&text);
}

static void
policy_write_connection(const struct session *s, struct buf *b)
{
	const struct stream *io = &s->smtp.line.io;
	bool tls = stream_secure(io);
	char number[24], host[ADDR_TEXT];
	struct addr here;

	guard_policy_write(b, "client_address", slice_str(s->client));
	guard_policy_write(b, "client_name",
	    names_client(s) ? slice_str(names_client(s)) : S("unknown"));
	guard_policy_write(b, "reverse_client_name",
	    names_reverse(s) ? slice_str(names_reverse(s)) : S("unknown"));
	(void)snprintf(number, sizeof(number), "%d", addr_port(&s->peer));
	guard_policy_write(b, "client_port", slice_str(number));
	stream_local(io, &here);
	guard_policy_write(b, "server_address", slice_str(addr_host(&here, host)));
	(void)snprintf(number, sizeof(number), "%d", addr_port(&here));
	guard_policy_write(b, "server_port", slice_str(number));
	guard_policy_write(b, "sasl_method", slice_str(s->mechanism));
	guard_policy_write(b, "sasl_username", slice_str(s->account));
	guard_policy_write(b, "sasl_sender", S(""));
	guard_policy_write(b, "encryption_protocol", slice_str(tls ? stream_tls_version(io) : ""));
	(void)snprintf(number, sizeof(number), "%d", stream_tls_cipher_bits(io));
	guard_policy_write(b, "encryption_keysize", slice_str(number));
	guard_policy_write(b, "encryption_cipher", slice_str(tls ? stream_tls_cipher(io) : ""));
}

static void
policy_write_request(const struct session *s, const struct policy_conf *p, struct buf *b)
{
	char number[48];

	guard_policy_write(b, "request", S("smtpd_access_policy"));
	guard_policy_write(b, "protocol_state", S("RCPT"));
	guard_policy_write(b, "protocol_name", s->smtp.esmtp ? S("ESMTP") : S("SMTP"));
	guard_policy_write(b, "helo_name", slice_str(s->smtp.helo));
	guard_policy_write(b, "queue_id", slice_str(s->qid));
	policy_write_address(b, "sender", &s->from);
	policy_write_address(b, "recipient", s->policy_rcpt);
	guard_policy_write(b, "recipient_count", S("0"));
	(void)snprintf(number, sizeof(number), "%s.%s", s->sid, s->qid);
	guard_policy_write(b, "instance", slice_str(number));
	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)s->smtp.mail.size);
	guard_policy_write(b, "size", slice_str(number));
	guard_policy_write(b, "policy_context", slice_str(p->context));
	policy_write_connection(s, b);
}

/* ---- answers ----------------------------------------------------------------------------- */

static void
policy_over(struct session *s, const struct verdict *no)
{
	void (*then)(struct session *, const struct verdict *) = s->policy_then;

	s->policy_then = NULL;
	s->policy_rcpt = NULL;
	then(s, no);
}

static void
policy_failed(struct session *s, const struct policy_conf *p, const char *why)
{
	struct verdict v;

	log_event(LOG_WARN, "policy_error", "sid=%s qid=%s policy=%s on_failure=%s text=%s", s->sid,
	    s->qid, log_str(p->name), policy_failures[p->on_failure], log_str(why));
	metric_add(M_POLICY_FAILED, 1);
	if (p->on_failure == FILTER_ACCEPT) {
		s->policy_at++;
		policy_next(s);
		return;
	}
	v = p->on_failure == FILTER_REJECT ? verdict(OUT_POLICY_GONE) : verdict(OUT_POLICY_AWAY);
	policy_over(s, &v);
}

/* A field above the message; what is no single one is left out. */
/* Is there such a line? */
static bool
policy_has(struct slice fields, struct slice field)
{
	struct slice line;

	while (slice_cut(&fields, '\n', &line))
		if (line.n == field.n + 1 && memcmp(line.p, field.p, field.n) == 0)
			return true;
	return false;
}

bool
policy_prepend(struct session *s, struct slice field)
{
	size_t colon = slice_find(field, ':');
	struct slice old = s->asked_for.prepend;

	if (colon == 0 || colon == field.n || old.n + field.n > PREPEND_MAX)
		return false;
	for (size_t i = 0; i < field.n; i++)
		if ((unsigned char)field.p[i] < ' ' && field.p[i] != '\t')
			return false;
	for (size_t i = 0; i < colon; i++)
		if (field.p[i] <= ' ' || field.p[i] == 0x7f)
			return false;
	if (policy_has(old, field))
		return true; /* each recipient has it said again */
	s->asked_for.prepend =
	    slice_str(arena_printf(&s->smtp.arena, SFMT SFMT "\r\n", SARG(old), SARG(field)));
	return true;
}

static void
policy_take(struct session *s, const struct policy_conf *p, const struct guard_policy_answer *a)
{
	switch (a->action) {
	case GUARD_POLICY_PREPEND:
		if (!policy_prepend(s, a->text))
			log_event(LOG_WARN, "policy_note", "sid=%s qid=%s policy=%s text=%s",
			    s->sid, s->qid, log_str(p->name), "\"no field\"");
		break;
	case GUARD_POLICY_HOLD:
		s->asked_for.hold = arena_printf(&s->smtp.arena, "policy %s: %.*s", p->name,
		    (int)(a->text.n < 150 ? a->text.n : 150), a->text.p);
		break;
	case GUARD_POLICY_DISCARD: s->asked_for.discard = true; break;
	case GUARD_POLICY_NOTE:
	case GUARD_POLICY_UNKNOWN:
		log_event(a->action == GUARD_POLICY_NOTE ? LOG_INFO : LOG_WARN, "policy_note",
		    "sid=%s qid=%s policy=%s text=%s", s->sid, s->qid, log_str(p->name),
		    log_value(a->text));
		break;
	case GUARD_POLICY_DUNNO:
	case GUARD_POLICY_OK:
	case GUARD_POLICY_REFUSE: break;
	}
}

static void
policy_answered(void *arg, const struct guard_policy_answer *a, const char *why)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	const struct policy_conf *p = policy_now(s);

	if (!p) { /* a reload has taken it away */
		policy_over(s, NULL);
	} else if (!a) {
		policy_failed(s, p, why);
	} else if (a->action == GUARD_POLICY_REFUSE) {
		metric_add(M_POLICY_REFUSED, 1);
		policy_over(s, &a->verdict);
	} else {
		policy_take(s, p, a);
		s->policy_at++;
		if (a->action == GUARD_POLICY_OK)
			policy_over(s, NULL);
		else
			policy_next(s);
	}
}

/* Is he one about whom it is asked? */
static bool
policy_about(const struct session *s, const struct policy_conf *p)
{
	return p->users == POLICY_ALL ||
	    (p->users == POLICY_OPTIN ? s->policy_say == DIR_SPAM_IN :
					s->policy_say != DIR_SPAM_OUT);
}

static void
policy_next(struct session *s)
{
	const struct policy_conf *p = policy_now(s);
	struct buf request = { 0 };
	struct addr to;

	while (p && !policy_about(s, p)) {
		s->policy_at++;
		p = policy_now(s);
	}
	if (!p || addr_parse(slice_str(p->address), &to) < 0) {
		policy_over(s, NULL);
		return;
	}
	metric_add(M_POLICY_ASKED, 1);
	policy_write_request(s, p, &request);
	guard_policy_start(guard.policy, &to, (uint32_t)p->timeout_ms, buf_get(&request), &s->op,
	    policy_answered, s);
	buf_fini(&request);
}

/* What he says, or else his domain: where nobody knows, a service that he may not want could refuse. */
static void
policy_found(void *arg, const struct dir_answer *a)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);

	if (a->v.kind == TEMP) {
		policy_over(s, &a->v);
		return;
	}
	if (a->user)
		s->policy_say = a->user->spam;
	if (s->policy_say == DIR_SPAM_UNSAID && a->domain)
		s->policy_say = a->domain->spam;
	policy_next(s);
}

void
policy_ask(struct session *s, const struct address *rcpt, const char *as,
    void (*then)(struct session *, const struct verdict *))
{
	bool matters = false;
	struct address whose = *rcpt;
	const char *why;

	s->policy_rcpt = rcpt;
	s->policy_then = then;
	s->policy_at = 0;
	s->policy_say = DIR_SPAM_UNSAID;
	for (struct policy_conf **p = config.policies; p && *p; p++)
		matters |= (*p)->users != POLICY_ALL &&
		    filters_listens((*p)->listeners, s->listen->name, s->role);
	if (!matters) {
		policy_next(s);
		return;
	}
	if (as && address_parse(slice_str(as), ADDRESS_UTF8, &s->smtp.arena, &whose, &why) < 0)
		whose = *rcpt;
	dir_rcpt_start(relay.dir, whose.local, whose.domain, &s->op, policy_found, s);
}

bool
policy_check(struct buf *why)
{
	struct addr a;
	bool good = true;

	for (struct policy_conf **p = config.policies; p && *p; p++) {
		if (addr_parse(slice_str((*p)->address), &a) < 0 ||
		    (a.sa.sa_family != AF_UNIX && addr_port(&a) == 0)) {
			buf_printf(why,
			    "%s: [policy %s] address = %s: neither unix:/path nor address:port\n",
			    conf_where(&(*p)->address), (*p)->name, (*p)->address);
			good = false;
		}
		for (char **w = (*p)->listeners; w && *w; w++) {
			if (filters_listener_known(*w))
				continue;
			buf_printf(why,
			    "%s: [policy %s] listeners: %s is neither a listener nor a role\n",
			    conf_where(&(*p)->listeners), (*p)->name, *w);
			good = false;
		}
	}
	return good;
}
