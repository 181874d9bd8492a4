/* imapd/urlauth.c: keys of mailboxes, and tokens for URLs: GENURLAUTH, RESETKEY, RFC 4467 7.
 *
 * Owns: nothing; the keys are annotations (urlauth.h).  Called by the command table, and by URLFETCH.  Can fail: URLs that
 * are not the user's own, and what stored says.  Must stay true: a token is the HMAC-SHA-256 of the URL up to it by the
 * key of its mailbox, so whoever has not the key can make none, and a new key revokes all.  Cost: the URLs of the command,
 * a request to stored for each mailbox that has no key yet; RESETKEY without a name asks it for each that has one. */
#include "urlauth.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/log.h"
#include "base/random.h"
#include "place.h"

#define VERSION "01" /* of tokens: RFC 4467 3 */

/* ---- tokens ------------------------------------------------------------------------------------ */

static void
hex_write(char *to, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		snprintf(to + 2 * i, 3, "%02x", p[i]);
}

void
urlauth_token(const struct imap_urlauth *u, struct slice key, char token[URLAUTH_TOKEN + 1])
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	must(HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)u->rump.p, u->rump.n, mac,
		 &n) &&
	    n == URLAUTH_KEY);
	memcpy(token, VERSION, 2);
	hex_write(token + 2, mac, n);
}

struct slice
urlauth_person(struct session *s, struct slice user, struct slice near)
{
	char *account = arena_cstr(&s->imap.arena, user);

	for (char *c = account; *c; c++)
		*c = ascii_lower(*c);
	if (slice_find(user, '@') < user.n)
		return slice_str(account);
	return slice_str(arena_printf(&s->imap.arena, "%s" SFMT, account,
	    SARG(slice_from(near, slice_rfind(near, '@')))));
}

struct slice
urlauth_account(struct session *s, struct slice user)
{
	return urlauth_person(s, user, slice_str(s->user->account));
}

bool
urlauth_is_here(struct slice server)
{
	char **const lists[] = { conf.hosts, conf.urlauth_hosts };

	if (slice_ieq(server, slice_str(shared.hostname)))
		return true;
	for (size_t i = 0; i < NELEM(lists); i++)
		for (char **name = lists[i]; name && *name; name++)
			if (slice_ieq(server, slice_str(*name)))
				return true;
	return false;
}

int
urlauth_find(struct store_view *v, const struct imap_urlauth *u, uint64_t account,
    struct slice owner, uint64_t *mailbox, struct slice *key)
{
	char canonical[STORE_NAME_MAX + 1];
	struct store_mailbox m;
	struct store_annot a;
	int rc;

	*key = slice(NULL, 0);
	if (store_name_check(u->url.mailbox, canonical) < 0)
		return -ENOENT;
	rc = store_find_mailbox(v, account, slice_str(canonical), mailbox);
	if (rc == 0)
		rc = store_get_mailbox(v, *mailbox, &m);
	if (rc == 0 && u->url.uidvalidity && u->url.uidvalidity != m.uidvalidity)
		rc = -ENOENT;
	if (rc < 0)
		return rc;
	rc = store_annot_find(v, account, *mailbox, owner, S(STORE_ANNOT_URLAUTH), &a);
	if (rc == 0)
		*key = a.value;
	return rc == -ENOENT ? 0 : rc;
}

/* ---- GENURLAUTH -------------------------------------------------------------------------------- */

/* URLs and what comes of them, or mailboxes whose keys are set anew. */
struct keying {
	struct imap_urlauth *urls;
	size_t n, at;
	struct buf *answer;
	bool asked;                   /* stored has been asked for a key of this one */
	struct store_annot_walk walk; /* RESETKEY of all */
	struct place place;           /* of one */
	size_t reset;
};

static void
keying_undo(struct imap_server *imap)
{
	struct keying *k = imap->data;

	if (k->answer)
		buf_fini(k->answer);
}

/* Asks stored to set the key of a mailbox, or (`gone`) to remove it. */
static enum imap_next
key_set(struct session *s, uint64_t mailbox, bool gone, store_done *done)
{
	struct store_annotation one = { .name = S(STORE_ANNOT_URLAUTH), .gone = gone };
	unsigned char bytes[URLAUTH_KEY];
	char text[2 * URLAUTH_KEY + 1] = "";

	random_bytes(bytes, sizeof(bytes));
	hex_write(text, bytes, sizeof(bytes));
	if (!gone)
		one.value = slice_str(text);
	store_annotate_start(imapd.store, s->user->id, mailbox, &one, 1, &s->imap.op, done, s);
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(text, sizeof(text));
	return IMAP_WAIT;
}

static void
key_made(void *arg, const struct store_reply *r)
{
	struct session *s = arg;

	imap_server_resume(&s->imap,
	    r->verdict.kind == OK ? IMAP_PULL : reply_no_store(s, r, "NONEXISTENT"));
}

/* RFC 4467 7: "If any of the above checks fail, the server MUST return a tagged BAD" */
static bool
urlauth_is_mine(struct session *s, const struct imap_urlauth *u)
{
	return urlauth_is_here(u->server) &&
	    slice_eq(urlauth_account(s, u->user), slice_str(s->user->account)) &&
	    !place_is_shared(u->url.mailbox);
}

static enum imap_next
genurlauth_one(struct session *s, struct keying *k)
{
	const struct imap_urlauth *u = &k->urls[k->at];
	char token[URLAUTH_TOKEN + 1];
	uint64_t mailbox = 0;
	struct slice key;
	int rc;

	if (store_begin(session_own(s)) < 0)
		return imap_server_no(&s->imap, "UNAVAILABLE", "The mail store cannot be read");
	rc = urlauth_find(session_own(s), u, s->user->id, slice_str(s->user->account), &mailbox,
	    &key);
	if (rc == 0 && key.p)
		urlauth_token(u, key, token);
	store_end(session_own(s));
	if (rc == -ENOENT)
		return imap_server_bad(&s->imap, "A URL names no mailbox");
	if (rc < 0)
		return reply_no_mailbox(&s->imap, rc, "NONEXISTENT");
	if (!key.p && k->asked) /* somebody has taken it back */
		return imap_server_no(&s->imap, "UNAVAILABLE", "The key of a mailbox was reset");
	if (!key.p) {
		k->asked = true;
		return key_set(s, mailbox, false, key_made);
	}
	k->asked = false;
	buf_char(k->answer, ' ');
	imap_write_string(k->answer,
	    slice_str(arena_printf(&s->imap.arena, SFMT ":internal:%s", SARG(u->rump), token)));
	k->at++;
	return IMAP_NEXT;
}

/* A cursor, which writes nothing until all of it is known. */
static enum imap_next
genurlauth_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct keying *k = imap->data;

	while (k->at < k->n) {
		enum imap_next next = line_session_spent(&imap->line) ? IMAP_YIELD : IMAP_NEXT;
		size_t at = k->at;

		if (next == IMAP_NEXT)
			next = genurlauth_one(s, k);
		if (next != IMAP_NEXT || k->at == at)
			return next;
	}
	buf_lit(session_out(s), "* GENURLAUTH");
	buf_slice(session_out(s), buf_get(k->answer));
	buf_lit(session_out(s), "\r\n");
	return imap_server_finish(imap, "OK", "GENURLAUTH completed");
}

/* GENURLAUTH 1*(SP url-rump SP mechanism)				RFC 4467 7 */
enum imap_next
cmd_genurlauth(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct keying *k = arena_new(&imap->arena, sizeof(*k));

	k->urls = arena_array(&imap->arena, URLAUTH_MOST, sizeof(*k->urls));
	do {
		struct imap_urlauth *u = &k->urls[k->n];
		struct slice url, mechanism;

		if (k->n++ == URLAUTH_MOST)
			return imap_server_bad(imap, "Too many URLs");
		if (!imap_space(in) || !imap_astring(in, &url) || !imap_space(in) ||
		    !imap_atom(in, &mechanism))
			return imap_server_syntax(imap, in);
		if (!slice_ieq(mechanism, S("INTERNAL")))
			return imap_server_bad(imap, "INTERNAL is the only mechanism");
		if (!imap_urlauth_parse(url, &imap->arena, u) || u->token.p ||
		    !urlauth_is_mine(s, u))
			return imap_server_bad(imap,
			    "Not a URL of this user's that can be authorized");
	} while (imap_next_is(in, ' '));
	if (!imap_end(in))
		return imap_server_syntax(imap, in);
	k->answer = arena_new(&imap->arena, sizeof(*k->answer));
	imap->data = k;
	imap->undo = keying_undo;
	return imap_server_pull(imap, genurlauth_more);
}

/* ---- RESETKEY ---------------------------------------------------------------------------------- */

static void
resetkey_logged(struct session *s, struct slice mailbox, size_t n)
{
	log_event(LOG_INFO, "resetkey", "sid=%s user=%s mailbox=%s keys=%zu", s->sid,
	    log_str(s->user->account), log_value(mailbox), n);
}

static void
key_reset(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct keying *k = s->imap.data;

	if (r->verdict.kind != OK) {
		imap_server_resume(&s->imap, reply_no_store(s, r, "NONEXISTENT"));
		return;
	}
	resetkey_logged(s, k->place.folder, 1);
	imap_server_resume(&s->imap,
	    imap_server_finish(&s->imap, "OK", "[URLMECH INTERNAL] RESETKEY completed"));
}

/* A cursor: the next mailbox that has a key. */
static enum imap_next
resetkey_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct keying *k = imap->data;
	struct slice me = slice_str(s->user->account);
	struct store_annot a;
	bool found = false;

	if (store_begin(session_own(s)) < 0)
		return imap_server_no(imap, "UNAVAILABLE", "The mail store cannot be read");
	while (!found && store_annot_next(session_own(s), &k->walk, &a))
		found =
		    !a.gone && slice_eq(a.login, me) && slice_eq(a.name, S(STORE_ANNOT_URLAUTH));
	store_end(session_own(s));
	if (found) {
		k->reset++;
		return key_set(s, a.mailbox, true, key_made);
	}
	resetkey_logged(s, S(""), k->reset);
	return imap_server_finish(imap, "OK", "RESETKEY completed, all keys removed");
}

/* RESETKEY [mailbox *(SP mechanism)]					RFC 4467 7 */
enum imap_next
cmd_resetkey(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct keying *k = arena_new(&imap->arena, sizeof(*k));
	struct store_mailbox m;
	struct slice name, mechanism;
	bool bad_name = false;
	int rc;

	imap->data = k;
	if (in->s.n == 0) {
		store_annot_walk_account(&k->walk, s->user->id, 0);
		k->walk.heads = true;
		return imap_server_pull(imap, resetkey_more);
	}
	if (!imap_space(in) || !imap_mailbox(in, &name, &bad_name))
		return imap_server_syntax(imap, in);
	while (imap_next_is(in, ' '))
		if (!imap_space(in) || !imap_atom(in, &mechanism))
			return imap_server_syntax(imap, in);
		else if (!slice_ieq(mechanism, S("INTERNAL")))
			return imap_server_no(imap, "CANNOT", "INTERNAL is the only mechanism");
	if (!imap_end(in))
		return imap_server_syntax(imap, in);
	if (bad_name || place_parse(s, name, &k->place) < 0)
		return imap_server_no(imap, "CANNOT", "Not a mailbox name");
	if (!k->place.own)
		return place_no_right(imap);
	rc = place_open(&k->place, STORE_R_READ, false, &m);
	if (rc < 0)
		return reply_no_mailbox(imap, rc, "NONEXISTENT");
	store_end(k->place.home->view);
	return key_set(s, k->place.mailbox, false, key_reset);
}
