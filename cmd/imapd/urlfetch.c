/* imapd/urlfetch.c: URLFETCH, RFC 4467 7: what URLs name that carry their authorization.
 *
 * Owns: nothing; reading is source.c's.  Called by the command table.  Can fail: an error of ours ends the command, for NIL
 * would say that the URL is not good.  Must stay true: NIL says nothing about why: no such user, mailbox, message, key, a
 * wrong token, a wrong person, time that is over are one answer, and the same work is done for all; mailboxes of others are
 * read by their key alone, which their owner has given.  Cost: URLAUTH_MOST URLs, each a message parsed at most; the bytes
 * go out as the client reads. */
#include <errno.h>
#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/log.h"
#include "place.h"
#include "source.h"
#include "urlauth.h"

struct urlfetch {
	struct slice *texts;
	size_t n, at;
	struct imap_urlauth url;
	struct source source;
	enum { URL_BEGINS, URL_OPENS, URL_SENDS } stage;
};

static void
urlfetch_undo(struct imap_server *imap)
{
	struct urlfetch *f = imap->data;

	source_close(&f->source);
}

/* ---- may it be had? ----------------------------------------------------------------------------- */

/* RFC 4467 3: the access identifier. */
static bool
urlfetch_may(struct session *s, const struct imap_urlauth *u)
{
	struct slice me = slice_str(s->user->account);

	switch (u->access) {
	case IMAP_URL_AUTHUSER:
	case IMAP_URL_ANONYMOUS: return true;
	case IMAP_URL_USER:
		return slice_eq(urlauth_person(s, u->who, urlauth_account(s, u->user)), me);
	case IMAP_URL_SUBMIT: break;
	}
	for (char **name = conf.urlauth_submit; name && *name; name++)
		if (slice_ieq(me, slice_str(*name)))
			return true;
	return false;
}

/* Is the token that of the key?  `key` without bytes: it is none, and as much work. */
static bool
urlfetch_token(const struct imap_urlauth *u, struct slice key)
{
	char token[URLAUTH_TOKEN + 1];
	bool known = key.n > 0;

	urlauth_token(u, known ? key : S("none"), token);
	return slice_ieq(u->mechanism, S("INTERNAL")) && u->token.n == URLAUTH_TOKEN &&
	    CRYPTO_memcmp(u->token.p, token, URLAUTH_TOKEN) == 0 && known;
}

/* Finds the message of a URL.  0; -ENOENT: it is not to be had; or an error of ours. */
static int
urlfetch_find(struct session *s, struct urlfetch *f, struct store_home **home, uint64_t *mailbox)
{
	const struct imap_urlauth *u = &f->url;
	struct slice owner = urlauth_account(s, u->user), key = slice(NULL, 0);
	uint64_t account = 0;
	bool good;
	int rc = -ENOENT;

	store_homes_open(&imapd.homes);
	*home = store_account_check(owner) == 0 ?
	    store_home_find(&imapd.homes, owner, S(""), &account) :
	    NULL;
	if (*home && store_begin((*home)->view) < 0)
		return -EIO;
	if (*home)
		rc = urlauth_find((*home)->view, u, account, owner, mailbox, &key);
	good = urlfetch_token(u, key);
	if (rc == 0 &&
	    (!good || !urlfetch_may(s, u) || !urlauth_is_here(u->server) ||
		(u->expires && u->expire < clock_now()) ||
		!store_get_record((*home)->view, *mailbox, u->url.uid)))
		rc = -ENOENT;
	if (*home)
		store_end((*home)->view);
	return rc;
}

/* ---- the answer --------------------------------------------------------------------------------- */

static void
urlfetch_head(struct session *s, const struct urlfetch *f)
{
	buf_lit(session_out(s), "* URLFETCH ");
	imap_write_string(session_out(s), f->texts[f->at]);
	buf_char(session_out(s), ' ');
}

static void
urlfetch_nil(struct session *s, struct urlfetch *f)
{
	urlfetch_head(s, f);
	buf_lit(session_out(s), "NIL\r\n");
	source_close(&f->source);
	f->stage = URL_BEGINS;
	f->at++;
}

static enum imap_next
urlfetch_unavailable(struct session *s)
{
	return imap_server_no(&s->imap, "UNAVAILABLE", "A message cannot be read now");
}

static enum imap_next
urlfetch_begin(struct session *s, struct urlfetch *f)
{
	struct store_home *home = NULL;
	uint64_t mailbox = 0;
	int rc = imap_urlauth_parse(f->texts[f->at], &s->imap.arena, &f->url) && f->url.token.p ?
	    urlfetch_find(s, f, &home, &mailbox) :
	    -ENOENT;

	if (rc == -ENOENT)
		urlfetch_nil(s, f);
	else if (rc < 0)
		return urlfetch_unavailable(s);
	else {
		source_begin(&f->source, s, &f->url.url, home->view, mailbox);
		f->stage = URL_OPENS;
	}
	return IMAP_NEXT;
}

static enum imap_next
urlfetch_open(struct session *s, struct urlfetch *f)
{
	switch (source_go(&f->source)) {
	case SOURCE_YIELDS: return IMAP_YIELD;
	case SOURCE_WAITS: return IMAP_WAIT;
	case SOURCE_NONE: urlfetch_nil(s, f); return IMAP_NEXT;
	case SOURCE_FAILED: return urlfetch_unavailable(s);
	case SOURCE_READY: break;
	}
	log_event(LOG_INFO, "urlfetch", "sid=%s user=%s owner=%s uid=%u access=%u", s->sid,
	    log_str(s->user->account), log_value(urlauth_account(s, f->url.user)), f->url.url.uid,
	    (unsigned)f->url.access);
	metric_add(M_URLS_FETCHED, 1);
	urlfetch_head(s, f);
	buf_printf(session_out(s), "{%llu}\r\n", (unsigned long long)f->source.left);
	f->stage = URL_SENDS;
	return IMAP_NEXT;
}

static enum imap_next
urlfetch_send(struct session *s, struct urlfetch *f)
{
	if (f->source.left == 0) {
		buf_lit(session_out(s), "\r\n");
		source_close(&f->source);
		f->stage = URL_BEGINS;
		f->at++;
		return IMAP_NEXT;
	}
	switch (source_bytes(&f->source, session_out(s))) {
	case SOURCE_YIELDS: return IMAP_YIELD;
	case SOURCE_WAITS: return IMAP_WAIT;
	case SOURCE_NONE:
	case SOURCE_FAILED: return IMAP_CLOSE; /* the literal is announced */
	case SOURCE_READY: break;
	}
	return IMAP_NEXT;
}

/* A step of the URL in hand.  IMAP_NEXT: there is another. */
static enum imap_next
urlfetch_step(struct session *s, struct urlfetch *f)
{
	switch (f->stage) {
	case URL_BEGINS: return urlfetch_begin(s, f);
	case URL_OPENS: return urlfetch_open(s, f);
	case URL_SENDS: break;
	}
	return urlfetch_send(s, f);
}

static enum imap_next
urlfetch_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct urlfetch *f = imap->data;

	while (f->at < f->n) {
		enum imap_next next;

		if (session_out(s)->n >= STREAM_HIGH)
			return IMAP_FULL;
		if (line_session_spent(&imap->line))
			return IMAP_YIELD;
		next = urlfetch_step(s, f);
		if (next != IMAP_NEXT)
			return next;
	}
	return imap_server_finish(imap, "OK", "URLFETCH completed");
}

/* URLFETCH 1*(SP url-full)						RFC 4467 7 */
enum imap_next
cmd_urlfetch(struct imap_server *imap, struct imap_in *in)
{
	struct urlfetch *f = arena_new(&imap->arena, sizeof(*f));

	f->texts = arena_array(&imap->arena, URLAUTH_MOST, sizeof(*f->texts));
	do {
		if (f->n == URLAUTH_MOST)
			return imap_server_bad(imap, "Too many URLs");
		if (!imap_space(in) || !imap_astring(in, &f->texts[f->n++]))
			return imap_server_syntax(imap, in);
	} while (imap_next_is(in, ' '));
	if (!imap_end(in))
		return imap_server_syntax(imap, in);
	imap->data = f;
	imap->undo = urlfetch_undo;
	return imap_server_pull(imap, urlfetch_more);
}
