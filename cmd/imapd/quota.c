/* imapd/quota.c: GETQUOTA, GETQUOTAROOT, SETQUOTA: RFC 9208, with STORAGE and MESSAGE.
 *
 * Owns: nothing: limits are the directory's, as of the user's latest login, but where the store has some in their
 * place (store/quota.h), and use is the row of the account or the mailbox.  Called by the command table.  Can fail: the
 * snapshot; stored; for another's account the directory.  Must stay true: what is shown is what stored refuses by
 * ([OVERQUOTA]).  An account is one root, a folder with a limit of its own another, and the domain, whose use stored knows
 * alone, a third; what has no limits is none, but to those of quota.admins, who alone set limits: an account that they
 * may set has a root.  They set them in nobody's name: an owner may not, and stored holds that. */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "imap/write.h"
#include "place.h"
#include "store/quota.h"

#define ROOT   "user/"
#define DOMAIN "domain/"
#define UNIT   1024 /* bytes of STORAGE's 1 (RFC 9208 5.1) */

/* A root that is asked for; slices are in the command's arena. */
struct quota_root {
	struct session *s;
	struct slice account, folder; /* folder: canonical; empty: the account */
	struct store_home *home;
	uint64_t id;                /* of the account */
	struct store_limits limits; /* the directory's */
	struct store_quota set;     /* SETQUOTA */
	const char *done;           /* words of the answer */
};

bool
session_sets_quota(const struct session *s)
{
	for (char **name = conf.quota_admins; s->user && name && *name; name++)
		if (slice_ieq(slice_str(s->user->account), slice_str(*name)))
			return true;
	return false;
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

/* ---- answers --------------------------------------------------------------------------------------- */

/* As a mailbox's name is written, for there may be one in it. */
static void
quota_write_root(struct session *s, const char *kind, struct slice name, struct slice folder)
{
	struct buf root = { 0 };

	buf_str(&root, kind);
	buf_slice(&root, name);
	if (folder.n)
		buf_char(&root, STORE_SEPARATOR);
	buf_slice(&root, folder);
	session_write_mailbox(s, buf_get(&root));
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

/* What is used, and its limits. */
struct quota_use {
	uint64_t bytes, messages, bytes_limit, messages_limit;
};

/* " (STORAGE 10 512 MESSAGE 3 1000)" */
static void
quota_write_use(struct session *s, const struct quota_use *u)
{
	struct buf *b = session_out(s);
	bool first = true;

	buf_lit(b, " (");
	quota_resource(b, &first, "STORAGE", quota_units(u->bytes), quota_units(u->bytes_limit));
	quota_resource(b, &first, "MESSAGE", u->messages, u->messages_limit);
	buf_lit(b, ")\r\n");
}

static void
quota_write(struct session *s, const char *kind, struct slice name, struct slice folder,
    const struct quota_use *u)
{
	buf_lit(session_out(s), "* QUOTA ");
	quota_write_root(s, kind, name, folder);
	quota_write_use(s, u);
}

/* ---- the domain's ---------------------------------------------------------------------------------- */

/* stored has said what the domain uses: the last line of either command. */
static void
quota_domain_known(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	const bool *whole = s->imap.data;
	const struct store_limits *l = &s->user->limits;

	if (r->verdict.kind != OK) {
		imap_server_resume(&s->imap, reply_no_store(s, r, "NONEXISTENT"));
		return;
	}
	quota_write(s, DOMAIN, quota_domain(s), S(""),
	    &(struct quota_use){ r->bytes, r->messages, l->domain_bytes, l->domain_messages });
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

/* ---- a root ---------------------------------------------------------------------------------------- */

/* Inside a snapshot.  0, or -ENOENT: there is no such folder; of an account that is damaged -EBADMSG. */
static int
quota_account_use(struct store_view *v, struct slice account, struct store_limits limits,
    struct quota_use *u)
{
	struct store_account a;
	int rc = store_find_account(v, account, &a);

	if (rc < 0)
		return rc;
	limits = store_limits_find(v, a.id, limits);
	*u = (struct quota_use){ a.bytes, a.messages, limits.bytes, limits.messages };
	return 0;
}

static void
quota_folder_use(struct store_view *v, uint64_t account, uint64_t mailbox,
    const struct store_mailbox *m, struct quota_use *u)
{
	struct store_quota q = { 0 };

	if (store_quota_find(v, account, mailbox, &q) < 0)
		q = (struct store_quota){ 0 };
	*u = (struct quota_use){ m->bytes, m->exists, q.bytes, q.messages };
}

/* The mailbox of a root with a folder, inside a snapshot. */
static int
quota_folder_find(const struct quota_root *r, uint64_t *mailbox, struct store_mailbox *m)
{
	int rc = store_find_mailbox(r->home->view, r->id, r->folder, mailbox);

	return rc == 0 ? store_get_mailbox(r->home->view, *mailbox, m) : rc;
}

static enum imap_next
quota_none(struct quota_root *r, int rc)
{
	return rc == 0 || rc == -ENOENT ?
	    imap_server_no(&r->s->imap, "NONEXISTENT", "No such quota root") :
	    imap_server_no(&r->s->imap, "UNAVAILABLE", "The account cannot be read");
}

/* The root as it is, and the end of the command. */
static enum imap_next
quota_show(struct quota_root *r)
{
	struct store_view *v = r->home->view;
	struct quota_use u = { 0 };
	struct store_mailbox m;
	uint64_t mailbox;
	int rc;

	if (store_begin(v) < 0)
		return imap_server_no(&r->s->imap, "UNAVAILABLE", "The mail store cannot be read");
	if (r->folder.n == 0)
		rc = quota_account_use(v, r->account, r->limits, &u);
	else if ((rc = quota_folder_find(r, &mailbox, &m)) == 0)
		quota_folder_use(v, r->id, mailbox, &m, &u);
	store_end(v);
	if (rc < 0 || (!u.bytes_limit && !u.messages_limit && !session_sets_quota(r->s)))
		return quota_none(r, rc);
	quota_write(r->s, ROOT, r->account, r->folder, &u);
	return imap_server_finish(&r->s->imap, "OK", "%s completed", r->done);
}

/* "user/joe@example.com/Archive": whose, and which folder.  False: it is no root that this user may know of. */
static bool
quota_root_find(struct session *s, struct slice root, struct quota_root *r)
{
	char canonical[STORE_NAME_MAX + 1];
	size_t cut;

	*r = (struct quota_root){ .s = s };
	if (!slice_starts(root, S(ROOT)))
		return false;
	r->account = arena_slice(&s->imap.arena, slice_from(root, sizeof(ROOT) - 1));
	cut = slice_find(r->account, STORE_SEPARATOR);
	if (cut < r->account.n) {
		if (store_name_check(slice_from(r->account, cut + 1), canonical) < 0)
			return false;
		r->folder = slice_str(arena_str(&s->imap.arena, canonical));
		r->account.n = cut;
	}
	if (slice_ieq(r->account, slice_str(s->user->account))) {
		r->account = slice_str(s->user->account);
		r->home = s->user->part;
		r->id = s->user->id;
		r->limits = s->user->limits;
	} else if (session_sets_quota(s) && store_account_check(r->account) == 0) {
		store_homes_open(&imapd.homes);
		r->home = store_home_find(&imapd.homes, r->account, S(""), &r->id);
	}
	return r->home;
}

static void
quota_limits_known(void *arg, const struct dir_answer *answer)
{
	struct session *s = arg;
	struct quota_root *r = s->imap.data;

	r->limits = login_limits(answer->user, answer->domain);
	imap_server_resume(&s->imap,
	    answer->v.kind == TEMP ?
		imap_server_no(&s->imap, "UNAVAILABLE", "The limits are not known now") :
		quota_show(r));
}

/* GETQUOTA root							RFC 9208 4.1.1 */
enum imap_next
cmd_getquota(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct quota_root *r = arena_new(&imap->arena, sizeof(*r));
	bool bad_name = false;
	struct slice root;

	if (!imap_space(in) || !imap_mailbox(in, &root, &bad_name) || !imap_end(in))
		return imap_server_syntax(imap, in);
	if (quota_domain_limited(s) && slice_starts(root, S(DOMAIN)) &&
	    slice_ieq(slice_from(root, sizeof(DOMAIN) - 1), quota_domain(s)))
		return quota_ask_domain(s, false);
	if (bad_name || !quota_root_find(s, root, r))
		return imap_server_no(imap, "NONEXISTENT", "No such quota root");
	r->done = "GETQUOTA";
	if (r->folder.n || r->id == s->user->id)
		return quota_show(r);
	imap->data = r;
	dir_login_start(imapd.dir, r->account, &imap->op, quota_limits_known, s);
	return IMAP_WAIT;
}

/* GETQUOTAROOT mailbox						RFC 9208 4.1.2 */
enum imap_next
cmd_getquotaroot(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct slice me = slice_str(s->user->account);
	struct quota_use account = { 0 }, folder = { 0 };
	bool bad_name = false, of_account, of_folder, of_domain;
	struct store_mailbox m;
	struct slice name;
	struct place p;
	int r;

	if (!imap_space(in) || !imap_mailbox(in, &name, &bad_name) || !imap_end(in))
		return imap_server_syntax(imap, in);
	if (bad_name || place_parse(s, name, &p) < 0)
		return imap_server_no(imap, "CANNOT", "Not a mailbox name");
	r = place_open(&p, STORE_R_READ, false, &m);
	if (r == 0) {
		if (p.own) { /* that of another is his own business */
			quota_folder_use(p.home->view, p.account, p.mailbox, &m, &folder);
			r = quota_account_use(p.home->view, me, s->user->limits, &account);
		}
		store_end(p.home->view);
	}
	if (r < 0)
		return reply_no_mailbox(imap, r, "NONEXISTENT");
	of_account = account.bytes_limit || account.messages_limit;
	of_folder = folder.bytes_limit || folder.messages_limit;
	of_domain = p.own && quota_domain_limited(s);
	buf_lit(session_out(s), "* QUOTAROOT ");
	session_write_mailbox(s, p.name);
	if (of_account) {
		buf_char(session_out(s), ' ');
		quota_write_root(s, ROOT, me, S(""));
	}
	if (of_folder) {
		buf_char(session_out(s), ' ');
		quota_write_root(s, ROOT, me, p.folder);
	}
	if (of_domain) {
		buf_char(session_out(s), ' ');
		quota_write_root(s, DOMAIN, quota_domain(s), S(""));
	}
	buf_lit(session_out(s), "\r\n");
	if (of_account)
		quota_write(s, ROOT, me, S(""), &account);
	if (of_folder)
		quota_write(s, ROOT, me, p.folder, &folder);
	if (of_domain)
		return quota_ask_domain(s, true);
	return imap_server_finish(imap, "OK", "GETQUOTAROOT completed");
}

/* ---- SETQUOTA -------------------------------------------------------------------------------------- */

static void
quota_was_set(void *arg, const struct store_reply *reply)
{
	struct session *s = arg;
	struct quota_root *r = s->imap.data;

	if (reply->verdict.kind != OK) {
		imap_server_resume(&s->imap, reply_no_store(s, reply, "NONEXISTENT"));
		return;
	}
	log_event(LOG_INFO, "quota_set",
	    "sid=%s user=%s account=%s folder=%s bytes=%llu messages=%llu", s->sid,
	    log_str(s->user->account), log_value(r->account), log_value(r->folder),
	    (unsigned long long)r->set.bytes, (unsigned long long)r->set.messages);
	imap_server_resume(&s->imap, quota_show(r));
}

/* A number of the client in the store's: none is below 1, for 0 is no limit there. */
static uint64_t
quota_of_number(uint64_t limit, uint64_t unit)
{
	if (limit == 0)
		return 1;
	return limit > STORE_QUOTA_MOST / unit ? STORE_QUOTA_MOST : limit * unit;
}

/* "(STORAGE 512 MESSAGE 100)".  1; 0: a resource that is not one here; -1: bad syntax. */
static int
quota_read(struct imap_in *in, struct store_quota *q)
{
	struct slice resource;
	uint64_t limit;
	int more = 1, known = 1;

	if (imap_next_is(in, ')'))
		more = imap_more(in);
	for (; more > 0; more = imap_more(in)) {
		if (!imap_atom(in, &resource) || !imap_space(in) || !imap_modseq(in, &limit))
			return -1;
		if (slice_ieq(resource, S("STORAGE")))
			q->bytes = quota_of_number(limit, UNIT);
		else if (slice_ieq(resource, S("MESSAGE")))
			q->messages = quota_of_number(limit, 1);
		else
			known = 0;
	}
	return more < 0 || !imap_end(in) ? -1 : known;
}

static enum imap_next
quota_store(struct quota_root *r)
{
	struct store_annotation one = { .name = S(STORE_ANNOT_QUOTA), .shared = true };
	struct session *s = r->s;
	uint64_t mailbox = 0;
	struct store_mailbox m;
	struct buf value = { 0 };
	int rc = 0;

	if (store_begin(r->home->view) < 0)
		return imap_server_no(&s->imap, "UNAVAILABLE", "The mail store cannot be read");
	if (r->folder.n)
		rc = quota_folder_find(r, &mailbox, &m);
	store_end(r->home->view);
	if (rc < 0)
		return quota_none(r, rc);
	r->set.at = clock_now();
	slice_cstr(slice_str(s->user->account), r->set.by, sizeof(r->set.by));
	store_quota_write(&value, &r->set);
	one.value = buf_get(&value);
	/* Of a folder, no limits are none; of an account they stand in the place of the directory's. */
	one.gone = mailbox && !r->set.bytes && !r->set.messages;
	s->imap.data = r;
	s->itself = true;
	store_annotate_start(imapd.store, r->id, mailbox, &one, 1, &s->imap.op, quota_was_set, s);
	s->itself = false;
	buf_fini(&value);
	return IMAP_WAIT;
}

/* SETQUOTA root (resource limit ...)				RFC 9208 4.1.3 */
enum imap_next
cmd_setquota(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct quota_root *r = arena_new(&imap->arena, sizeof(*r));
	struct store_quota q = { 0 };
	bool bad_name = false;
	struct slice root;
	int known;

	if (!imap_space(in) || !imap_mailbox(in, &root, &bad_name) || !imap_space(in) ||
	    !imap_open(in) || (known = quota_read(in, &q)) < 0)
		return imap_server_syntax(imap, in);
	if (!session_sets_quota(s))
		return imap_server_no(imap, "NOPERM", "Limits are set in the directory");
	if (slice_starts(root, S(DOMAIN)))
		return imap_server_no(imap, "CANNOT",
		    "Limits of a domain are set in the directory");
	if (!known)
		return imap_server_no(imap, "CANNOT", "Only STORAGE and MESSAGE have limits here");
	if (bad_name || !quota_root_find(s, root, r))
		return imap_server_no(imap, "NONEXISTENT", "No such quota root");
	r->set = q;
	r->done = "SETQUOTA";
	return quota_store(r);
}
