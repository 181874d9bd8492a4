/* archive.c: copies of chosen mail for an archive (a journal), [archive NAME].
 *
 * Called by message.c when the envelope is complete, whatever way the message has come.  A copy is a recipient of its
 * own kind with a file of its own, which goes its own way: by default through the channel reprocess, where the
 * archive's address is looked up behind the answer, so that neither a directory nor a host that is away concerns the
 * message.  What fails of it is told to the postmaster and never to the sender.  An archive gets a message once, however
 * many of its patterns it fits.  What must stay true: an archive's own mail, and reports that a copy could not be
 * delivered, make no copies, or two archives, or one that is full, would never come to an end. */
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/utf8.h"
#include "mail/date.h"
#include "queue/write.h"
#include "relay.h"
#include "stage.h"

/* ---- which messages ------------------------------------------------------------------------- */

/* Is it below that domain, whatever labels either has? */
static bool
archive_below(struct slice domain, struct slice above)
{
	for (size_t dot; (dot = slice_find(domain, '.')) < domain.n;) {
		domain = slice_from(domain, dot + 1);
		if (domain_eq(domain, above))
			return true;
	}
	return false;
}

/* "*", "user@domain", "domain", "@domain", "*.domain" (its subdomains). */
static bool
archive_fits(const char *pattern, struct slice address)
{
	struct slice p = slice_str(pattern);
	size_t at = slice_rfind(address, '@'), want = slice_rfind(p, '@');
	struct slice domain = slice_from(address, at + 1);

	if (slice_eq(p, S("*")))
		return true;
	if (slice_starts(p, S("*.")))
		return archive_below(domain, slice_from(p, 2));
	if (want == p.n)
		return domain_eq(domain, p);
	return domain_eq(domain, slice_from(p, want + 1)) &&
	    (want == 0 || (at < address.n && slice_ieq(slice(address.p, at), slice(p.p, want))));
}

static bool
archive_fits_any(char **patterns, const char *address)
{
	for (char **p = patterns; p && address && *p; p++)
		if (archive_fits(*p, slice_str(address)))
			return true;
	return false;
}

static bool
archive_is(const char *address)
{
	for (struct archive_conf **a = config.archives; a && *a; a++)
		if (slice_ieq(slice_str((*a)->to), slice_str(address)))
			return true;
	return false;
}

static const char *
archive_errors_to(struct session *s, const struct archive_conf *a)
{
	if (*a->errors_to)
		return a->errors_to;
	return *shared.postmaster ? shared.postmaster :
				    arena_printf(&s->smtp.arena, "postmaster@%s", shared.hostname);
}

static const char *
archive_given(const struct qrcpt *q)
{
	return q->final ? q->final : q->addr;
}

/* Is it mail of archives alone, or of those who hear of their trouble? */
static bool
archive_own(struct session *s, const struct qenv *env)
{
	for (size_t i = 0; i < env->nrcpt; i++) {
		const char *given = archive_given(&env->rcpts[i]);
		bool own = archive_is(given) || archive_is(env->rcpts[i].addr);

		for (struct archive_conf **a = config.archives; !own && *a; a++)
			own = *env->sender == '\0' &&
			    slice_ieq(slice_str(archive_errors_to(s, *a)), slice_str(given));
		if (!own)
			return false;
	}
	return true;
}

static bool
archive_wants(const struct session *s, const struct archive_conf *a, const struct qenv *env)
{
	if (archive_fits_any(a->senders, *env->sender ? env->sender : "<>") ||
	    archive_fits_any(a->senders, env->auth))
		return true;
	for (size_t i = 0; i < env->nrcpt; i++) {
		const struct qrcpt *q = &env->rcpts[i];

		if (q->sent)
			continue;
		/* His account, too: he may have been given with a subaddress. */
		if (archive_fits_any(a->recipients, archive_given(q)) ||
		    archive_fits_any(a->recipients, q->addr) ||
		    archive_fits_any(a->recipients, i < s->nrcpts ? s->more[i].who : NULL))
			return true;
	}
	return false;
}

/* ---- the copy ------------------------------------------------------------------------------- */

static bool
archive_has(const struct qenv *env, size_t from, const char *to)
{
	for (size_t i = from; i < env->nrcpt; i++)
		if (slice_ieq(slice_str(env->rcpts[i].addr), slice_str(to)))
			return true;
	return false;
}

/* Why all of the message is held, or NULL: so is the copy, which else would go on with what a filter has found. */
static const char *
archive_hold(const struct session *s)
{
	if (s->asked_for.hold)
		return s->asked_for.hold;
	return s->message->filtered && s->filters ? s->filters->hold : NULL;
}

static void
archive_copy(struct session *s, const struct archive_conf *a, struct qrcpt *q)
{
	struct message *m = s->message;
	struct slice to = slice_str(a->to);
	char id[14];

	*q = (struct qrcpt){ .addr = a->to,
		.channel = *a->channel ? a->channel : "reprocess",
		.dest = a->to + slice_rfind(to, '@') + 1,
		.sender = archive_errors_to(s, a),
		.hold = archive_hold(s),
		.archive = true };
	if (a->envelope) {
		struct archive_copy *c = &m->archive[m->narchive];

		q->body = (unsigned)(m->nbodies + m->narchive++);
		*c = (struct archive_copy){ .archive = a, .body = q->body };
		(void)snprintf(c->boundary, sizeof(c->boundary), "=_%s_%08x", random_id(id),
		    (unsigned)random_u64());
	}
	metric_add(M_ARCHIVED, 1);
	log_event(LOG_INFO, "archive", "sid=%s qid=%s archive=%s to=%s envelope=%d", s->sid, s->qid,
	    log_str(a->name), log_str(a->to), a->envelope);
}

void
archive_add(struct session *s, struct qenv *env)
{
	size_t from = env->nrcpt;
	struct qrcpt *all;

	s->message->archived = false;
	if (!config.archives || !config.archives[0] || from == 0 || archive_own(s, env))
		return;
	s->message->env_rcpts = env->rcpts;
	s->message->env_nrcpt = from;
	all = arena_array(&s->smtp.arena, from + ARCHIVE_MOST, sizeof(*all));
	memcpy(all, env->rcpts, from * sizeof(*all));
	env->rcpts = all;
	for (struct archive_conf **a = config.archives; *a; a++) {
		struct qenv before = *env;

		before.nrcpt = from;
		if (env->nrcpt == from + ARCHIVE_MOST || archive_has(env, from, (*a)->to) ||
		    !archive_wants(s, *a, &before))
			continue;
		archive_copy(s, *a, &all[env->nrcpt++]);
		s->message->archived = true;
	}
}

/* ---- what it is wrapped in ------------------------------------------------------------------ */

/* Foreign words as one line. */
static void
archive_put(struct buf *b, const char *name, const char *value)
{
	if (!value)
		return;
	buf_printf(b, "%s: ", name);
	for (; *value; value++)
		buf_char(b, (unsigned char)*value < ' ' || *value == 127 ? ' ' : *value);
	buf_lit(b, "\r\n");
}

/* Who sent it to whom: each recipient as he was given, once, and where he is behind aliases and lists. */
static void
archive_report(struct session *s, struct buf *b)
{
	const struct message *m = s->message;
	struct buf sender = { 0 };

	address_write(&sender, &s->from);
	archive_put(b, "Sender", buf_cstr(&sender));
	archive_put(b, "Account", release_account(s));
	archive_put(b, "Client", xforward_client(s));
	archive_put(b, "Hello", xforward_helo(s));
	archive_put(b, "Queue-Id", s->qid);
	for (size_t i = 0; i < m->env_nrcpt; i++) {
		const struct qrcpt *q = &m->env_rcpts[i];

		if (q->sent)
			continue;
		archive_put(b, "Recipient", archive_given(q));
		if (q->final)
			archive_put(b, "  Active", q->addr);
	}
	buf_fini(&sender);
}

static void
archive_wrap(struct session *s, const struct archive_copy *c, struct buf *b)
{
	char id[14];

	buf_lit(b, "Date: ");
	date_write(b, clock_now(), 0);
	buf_printf(b,
	    "\r\nFrom: Mail archive <MAILER-DAEMON@%s>\r\nTo: <%s>\r\n"
	    "Subject: Archive copy of %s\r\nMessage-ID: <%s@%s>\r\n"
	    "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/mixed; boundary=\"%s\"\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\n"
	    "--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: 8bit\r\nContent-Description: Envelope\r\n\r\n",
	    shared.hostname, c->archive->to, s->qid, random_id(id), shared.hostname, c->boundary,
	    c->boundary);
	archive_report(s, b);
	buf_printf(b,
	    "\r\n--%s\r\nContent-Type: message/%s\r\nContent-Transfer-Encoding: 8bit\r\n"
	    "Content-Description: The message\r\n\r\n",
	    c->boundary, s->smtp.mail.smtputf8 ? "global" : "rfc822");
}

void
archive_head(struct session *s, struct slice above, struct slice received, struct slice fields,
    bool empty_line)
{
	struct message *m = s->message;
	struct buf b = { 0 };

	for (size_t i = 0; i < m->narchive; i++) {
		buf_clear(&b);
		archive_wrap(s, &m->archive[i], &b);
		m->eightbit = m->eightbit || !utf8_ascii(buf_get(&b));
		buf_slice(&b, above);
		buf_slice(&b, received);
		buf_slice(&b, fields);
		if (empty_line)
			buf_lit(&b, "\r\n");
		(void)qwrite_body_of(m->w, m->archive[i].body, b.p, b.n);
	}
	buf_fini(&b);
}

void
archive_tail(struct session *s)
{
	struct message *m = s->message;
	char end[64];

	for (size_t i = 0; i < m->narchive; i++) {
		int n = snprintf(end, sizeof(end), "\r\n--%s--\r\n", m->archive[i].boundary);

		(void)qwrite_body_of(m->w, m->archive[i].body, end, (size_t)n);
	}
}

/* ---- configuration -------------------------------------------------------------------------- */

/* clang-format off */
#define AT(field) (void *)offsetof(struct archive_conf, field)
const struct conf_key archive_keys[ARCHIVE_KEYS] = {
	{ "to", CONF_STR, AT(to), NULL, 0, 0, RELOAD, "address", "The archive's address." },
	{ "channel", CONF_STR, AT(channel), "", 0, 0, RELOAD, NULL,
	    "The channel by which it goes there; empty: as mail to that address does." },
	{ "senders", CONF_LIST, AT(senders), "", 0, 0, RELOAD, NULL,
	    "Whose mail is copied: addresses, domains, *.domain, or *." },
	{ "recipients", CONF_LIST, AT(recipients), "", 0, 0, RELOAD, NULL,
	    "Mail to whom is copied, likewise." },
	{ "envelope", CONF_BOOL, AT(envelope), "no", 0, 0, RELOAD, NULL,
	    "Wrap the copy in a message that says who sent it to whom." },
	{ "errors_to", CONF_STR, AT(errors_to), "", 0, 0, RELOAD, "address",
	    "Who hears of copies that could not be delivered; empty: the postmaster." },
};
#undef AT
/* clang-format on */

bool
archive_check(const struct channels *channels, struct buf *why)
{
	size_t before = why->n, n = 0;

	for (struct archive_conf **a = config.archives; a && *a; a++, n++) {
		const struct archive_conf *c = *a;

		if ((!c->senders || !*c->senders) && (!c->recipients || !*c->recipients))
			buf_printf(why,
			    "%s: [archive %s] neither senders nor recipients: of no mail\n",
			    conf_where(&c->to), c->name);
		if (*c->channel && channels && !channels_find(channels, slice_str(c->channel)))
			buf_printf(why, "%s: [archive %s] channel = %s: there is no such channel\n",
			    conf_where(&c->channel), c->name, c->channel);
	}
	if (n > ARCHIVE_MOST)
		buf_printf(why, "there are %zu [archive] sections; at most %d\n", n, ARCHIVE_MOST);
	return why->n == before;
}
