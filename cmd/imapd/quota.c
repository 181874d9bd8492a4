/* imapd/quota.c: GETQUOTA, GETQUOTAROOT, SETQUOTA: RFC 9208, with STORAGE and MESSAGE.
 *
 * Owns: nothing: limits are the directory's, as of the user's latest login, and use is the row of the
 * account.  Called by the command table.  Can fail: the snapshot.  Must stay true: what is shown is what stored
 * refuses by ([OVERQUOTA]), and one account is one root, named as its administrator knows it, and its
 * domain, whose use stored knows alone, another; without limits there is none.  Nobody sets a limit here:
 * QUOTASET is not offered. */
#include <errno.h>

#include "imap/write.h"
#include "place.h"

#define ROOT   "user/"
#define DOMAIN "domain/"
#define UNIT   1024 /* bytes of STORAGE's 1 (RFC 9208 5.1) */

static bool
quota_limited(const struct session *s)
{
	return s->user->limits.bytes || s->user->limits.messages;
}

static bool
quota_domain_limited(const struct session *s)
{
	return s->user->limits.domain_bytes || s->user->limits.domain_messages;
}

static struct slice
quota_domain(const struct session *s)
{
	struct slice account = slice_str(s->user->account);

	return slice_from(account, slice_rfind(account, '@') + 1);
}

static void
quota_write_root(struct session *s, const char *kind, struct slice name)
{
	struct buf root = { 0 };

	buf_str(&root, kind);
	buf_slice(&root, name);
	imap_write_astring(session_out(s), buf_get(&root));
	buf_fini(&root);
}

/* Of bytes the begun units count, in use and limit alike, so that use that fits is not above. */
static uint64_t
quota_units(uint64_t bytes)
{
	return bytes / UNIT + (bytes % UNIT > 0);
}

static void
quota_resource(struct buf *b, bool *first, const char *name, uint64_t used, uint64_t limit)
{
	if (limit == 0)
		return;
	if (!*first)
		buf_char(b, ' ');
	*first = false;
	buf_str(b, name);
	buf_char(b, ' ');
	buf_u64(b, used);
	buf_char(b, ' ');
	buf_u64(b, limit);
}

/* "* QUOTA root (STORAGE 10 512 MESSAGE 3 1000)" */
static void
quota_write(struct session *s, bool domain, uint64_t bytes, uint64_t messages)
{
	const struct store_limits *l = &s->user->limits;
	struct buf *b = session_out(s);
	bool first = true;

	buf_lit(b, "* QUOTA ");
	quota_write_root(s, domain ? DOMAIN : ROOT,
	    domain ? quota_domain(s) : slice_str(s->user->account));
	buf_lit(b, " (");
	quota_resource(b, &first, "STORAGE", quota_units(bytes),
	    quota_units(domain ? l->domain_bytes : l->bytes));
	quota_resource(b, &first, "MESSAGE", messages, domain ? l->domain_messages : l->messages);
	buf_lit(b, ")\r\n");
}

static bool
quota_is(struct slice root, struct slice prefix, struct slice name)
{
	return slice_starts(root, prefix) && slice_ieq(slice_from(root, prefix.n), name);
}

/* stored has said what the domain uses: the last line of either command. */
static void
quota_domain_known(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	const bool *whole = s->imap.data;

	if (r->verdict.kind != OK) {
		imap_server_resume(&s->imap, reply_no_store(s, r, "NONEXISTENT"));
		return;
	}
	quota_write(s, true, r->bytes, r->messages);
	imap_server_resume(&s->imap,
	    imap_server_finish(&s->imap, "OK",
		*whole ? "GETQUOTAROOT completed" : "GETQUOTA completed"));
}

/* `whole`: for GETQUOTAROOT. */
static enum imap_next
quota_ask_domain(struct session *s, bool whole)
{
	bool *kept = arena_new(&s->imap.arena, sizeof(*kept));

	*kept = whole;
	s->imap.data = kept;
	store_domain_start(imapd.store, quota_domain(s), &s->imap.op, quota_domain_known, s);
	return IMAP_WAIT;
}

/* GETQUOTA root							RFC 9208 4.1.1 */
enum imap_next
cmd_getquota(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct store_account a;
	struct slice root;
	int r;

	if (!imap_space(in) || !imap_astring(in, &root) || !imap_end(in))
		return imap_server_syntax(imap, in);
	if (quota_domain_limited(s) && quota_is(root, S(DOMAIN), quota_domain(s)))
		return quota_ask_domain(s, false);
	if (!quota_is(root, S(ROOT), slice_str(s->user->account)) || !quota_limited(s))
		return imap_server_no(imap, "NONEXISTENT", "No such quota root");
	if (store_begin(session_own(s)) < 0)
		return imap_server_no(imap, "UNAVAILABLE", "The mail store cannot be read");
	r = store_find_account(session_own(s), slice_str(s->user->account), &a);
	store_end(session_own(s));
	if (r < 0)
		return imap_server_no(imap, "UNAVAILABLE", "The account cannot be read");
	quota_write(s, false, a.bytes, a.messages);
	return imap_server_finish(imap, "OK", "GETQUOTA completed");
}

/* GETQUOTAROOT mailbox						RFC 9208 4.1.2 */
enum imap_next
cmd_getquotaroot(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct store_account a;
	struct store_mailbox m;
	bool bad_name = false, root, domain;
	struct slice name;
	struct place p;
	int r;

	if (!imap_space(in) || !imap_mailbox(in, &name, &bad_name) || !imap_end(in))
		return imap_server_syntax(imap, in);
	if (bad_name || place_parse(s, name, &p) < 0)
		return imap_server_no(imap, "CANNOT", "Not a mailbox name");
	r = place_open(&p, STORE_R_READ, false, &m);
	if (r == 0) {
		if (p.own)
			r = store_find_account(session_own(s), slice_str(s->user->account), &a);
		store_end(p.home->view);
	}
	if (r < 0)
		return reply_no_mailbox(imap, r, "NONEXISTENT");
	root = p.own && quota_limited(s); /* that of another is his own business */
	domain = p.own && quota_domain_limited(s);
	buf_lit(session_out(s), "* QUOTAROOT ");
	session_write_mailbox(s, p.name);
	if (root) {
		buf_char(session_out(s), ' ');
		quota_write_root(s, ROOT, slice_str(s->user->account));
	}
	if (domain) {
		buf_char(session_out(s), ' ');
		quota_write_root(s, DOMAIN, quota_domain(s));
	}
	buf_lit(session_out(s), "\r\n");
	if (root)
		quota_write(s, false, a.bytes, a.messages);
	if (domain)
		return quota_ask_domain(s, true);
	return imap_server_finish(imap, "OK", "GETQUOTAROOT completed");
}

/* SETQUOTA root (resource limit ...)				RFC 9208 4.1.3 */
enum imap_next
cmd_setquota(struct imap_server *imap, struct imap_in *in)
{
	struct slice root, resource;
	uint64_t limit;
	int more = 1;

	if (!imap_space(in) || !imap_astring(in, &root) || !imap_space(in) || !imap_open(in))
		return imap_server_syntax(imap, in);
	if (imap_next_is(in, ')'))
		more = imap_more(in);
	for (; more > 0; more = imap_more(in))
		if (!imap_atom(in, &resource) || !imap_space(in) || !imap_modseq(in, &limit))
			return imap_server_syntax(imap, in);
	if (more < 0 || !imap_end(in))
		return imap_server_syntax(imap, in);
	return imap_server_no(imap, "NOPERM", "Limits are set in the directory");
}
