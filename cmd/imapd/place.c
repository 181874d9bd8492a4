/* imapd/place.c: whose folder a name means (RFC 2342), and whether this user may: RFC 4314 4.
 *
 * Owns: nothing.  Called by every command that names a mailbox, and by stored's events.  Can fail: names
 * that are none, accounts that are not here, rights.  Must stay true: what one may not look at is answered
 * as what is not there, in the same words; stored judges every change again.  Costs a few look-ups for a
 * mailbox of somebody else, one comparison for one's own. */
#include "place.h"

#include <errno.h>

#include "login/rules.h"

#define KNOWS      (STORE_R_LOOKUP)
#define LOOKS_TURN 64 /* sessions whose rights are looked for in a turn: each is a snapshot */

/* ---- names --------------------------------------------------------------------------------- */

static struct slice
domain_of(struct slice account)
{
	return slice_from(account, slice_rfind(account, '@'));
}

bool
place_is_public(struct slice owner)
{
	return conf.public_account && *conf.public_account &&
	    slice_eq(owner, slice_str(conf.public_account));
}

bool
place_is_shared(struct slice name)
{
	static const struct slice users = { PLACE_USERS, sizeof(PLACE_USERS) - 2 };

	if (slice_starts(name, S(PLACE_USERS)) || slice_eq(name, users))
		return true;
	return conf.public_account && *conf.public_account &&
	    (slice_starts(name, S(PLACE_PUBLIC)) || slice_eq(name, S("Shared Folders")));
}

void
place_prefix(const struct session *s, struct slice owner, struct buf *out)
{
	struct slice domain = domain_of(slice_str(s->user->account));

	if (place_is_public(owner)) {
		buf_lit(out, PLACE_PUBLIC);
		return;
	}
	if (slice_ends(owner, domain))
		owner.n -= domain.n;
	buf_lit(out, PLACE_USERS);
	buf_slice(out, owner);
	buf_char(out, STORE_SEPARATOR);
}

/* Whose folder, and which: the rest of a name behind the prefix. */
static void
place_split(struct place *p, struct slice rest)
{
	struct arena *a = &p->s->imap.arena;
	struct slice who = S(""), domain = domain_of(slice_str(p->s->user->account));
	char *owner;

	if (!slice_starts(p->name, S(PLACE_USERS))) {
		p->owner = arena_slice(a, slice_str(conf.public_account)); /* a reload changes it */
		p->folder = slice_from(rest, sizeof(PLACE_PUBLIC) - 1);
		return;
	}
	rest = slice_from(rest, sizeof(PLACE_USERS) - 1);
	(void)slice_cut(&rest, STORE_SEPARATOR, &who);
	owner = arena_cstr(a, who);
	for (char *c = owner; *c; c++)
		*c = ascii_lower(*c);
	if (slice_find(who, '@') == who.n)
		owner = arena_printf(a, "%s" SFMT, owner, SARG(domain));
	p->owner = slice_str(owner);
	p->folder = rest;
}

int
place_parse(struct session *s, struct slice name, struct place *p)
{
	char canonical[STORE_NAME_MAX + 1];
	struct buf prefix = { 0 };
	int rc;

	*p = (struct place){ .s = s, .name = name, .own = true };
	if (place_is_shared(name)) {
		p->own = false;
		place_split(p, name);
		if (p->folder.n == 0 || store_account_check(p->owner) < 0)
			return 0;
		name = p->folder;
	}
	rc = store_name_check(name, canonical);
	if (rc < 0)
		return rc;
	p->folder = slice_str(arena_str(&s->imap.arena, canonical));
	if (p->own) {
		p->name = p->folder;
		p->owner = slice_str(s->user->account);
		p->home = s->user->part;
		p->account = s->user->id;
		p->rights = STORE_R_ALL;
		p->limits = s->user->limits;
		p->limited = true;
		return 0;
	}
	place_prefix(s, p->owner, &prefix);
	buf_slice(&prefix, p->folder);
	p->name = arena_slice(&s->imap.arena, buf_get(&prefix));
	buf_fini(&prefix);
	if (!slice_eq(p->owner, slice_str(s->user->account))) {
		store_homes_open(&imapd.homes);
		p->home = store_home_find(&imapd.homes, p->owner, S(""), &p->account);
	}
	return 0;
}

/* ---- rights -------------------------------------------------------------------------------- */

int
place_open(struct place *p, uint32_t needs, bool any, struct store_mailbox *m)
{
	struct store_view *v;
	int rc;

	if (!p->home || p->folder.n == 0)
		return -ENOENT;
	v = p->home->view;
	if ((p->own ? store_begin(v) : store_begin_as(v, slice_str(p->s->user->account))) < 0)
		return -EIO;
	rc = store_find_mailbox(v, p->account, p->folder, &p->mailbox);
	if (rc == 0)
		rc = store_get_mailbox(v, p->mailbox, m);
	if (rc == 0 && !p->own) {
		p->rights = store_rights(v, m, session_person(p->s));
		if (any ? !(p->rights & needs) : (p->rights & needs) != needs)
			rc = p->rights & KNOWS ? -EACCES : -ENOENT;
	} else if (rc != -ENOENT && rc < 0 && !p->own)
		rc = -ENOENT; /* who may look cannot be known */
	if (rc < 0)
		store_end(v);
	return rc;
}

bool
place_may_create(struct place *p)
{
	struct slice up = p->folder;
	struct store_mailbox m;
	struct place above = *p;
	int rc = -ENOENT;

	if (p->own)
		return true;
	for (size_t k; rc == -ENOENT && (k = slice_rfind(up, STORE_SEPARATOR)) < up.n;) {
		up.n = k;
		above.folder = up;
		above.rights = 0;
		rc = place_open(&above, STORE_R_CREATE, false, &m);
		if (rc == 0)
			store_end(p->home->view);
		if (above.rights) /* it is there, whatever he may */
			break;
	}
	return rc == 0;
}

enum imap_next
place_no_right(struct imap_server *imap)
{
	return imap_server_no(imap, "NOPERM", "No right to do this");
}

static void
place_limited(void *arg, const struct dir_answer *r)
{
	struct place *p = arg;

	p->limited = r->v.kind != TEMP;
	p->unlimited = p->limited ? NULL : "The owner's limits are not known now";
	p->limits = login_limits(r->user, r->domain);
	imap_server_resume(&p->s->imap, IMAP_PULL);
}

bool
place_limits(struct place *p)
{
	if (p->limited || p->unlimited)
		return true;
	dir_login_start(imapd.dir, p->owner, &p->s->imap.op, place_limited, p);
	return false;
}

/* ---- while it is selected ------------------------------------------------------------------ */

static void
place_look_again(struct session *s)
{
	struct view *v = s->view;
	struct store_mailbox m;

	if (session_snapshot(s) < 0)
		return; /* the next look will */
	if (store_get_mailbox(session_reader(s), v->mailbox, &m) == 0)
		v->rights = store_rights(session_reader(s), &m, session_person(s));
	store_end(session_reader(s));
	if (!(v->rights & STORE_R_READ))
		imap_server_bye(&s->imap, "forbidden", "The mailbox is no longer shared");
}

static bool
place_looks_at(uint64_t account)
{
	for (size_t i = 0; i < imapd.nlook_at; i++)
		if (!imapd.look_at[i] || imapd.look_at[i] == account)
			return true;
	return false;
}

static void
place_looks(struct later *l)
{
	struct session *s;
	size_t n = 0;
	bool more = false;

	list_each(s, &imapd.sessions, struct session, link)
	{
		struct view *v = s->user ? s->view : NULL;

		if (!v || !v->owner)
			continue;
		v->look |= !imapd.looking && place_looks_at(v->account);
		if (!v->look)
			continue;
		more = n == LOOKS_TURN;
		if (more)
			continue;
		v->look = false;
		n++;
		place_look_again(s);
	}
	/* Who is marked has a turn before anybody is marked again. */
	if (!imapd.looking)
		imapd.nlook_at = 0;
	imapd.looking = more;
	if (more || imapd.nlook_at > 0)
		later_run(l, imapd.loop, place_looks);
}

void
place_look(uint64_t account)
{
	if (imapd.guests == 0 || place_looks_at(account))
		return;
	if (imapd.nlook_at == LOOKS_MOST) {
		account = 0;
		imapd.nlook_at = 0;
	}
	imapd.look_at[imapd.nlook_at++] = account;
	later_run(&imapd.looks, imapd.loop, place_looks);
}
