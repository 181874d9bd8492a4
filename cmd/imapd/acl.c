/* imapd/acl.c: SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS: RFC 4314 3; and MYRIGHTS in LIST (RFC 8440).
 *
 * Owns: nothing; stored changes and judges.  Called by the command table and list.c.  Can fail: names, rights,
 * what stored says.  Must stay true: who may not administer a mailbox learns nothing of what it gives. */
#include "base/log.h"
#include "place.h"

/* mailbox: 0, or it is answered. */
static bool
acl_place(struct session *s, struct imap_in *in, struct place *p, enum imap_next *answer)
{
	bool bad_name = false;
	struct slice name;

	if (!imap_space(in) || !imap_mailbox(in, &name, &bad_name)) {
		*answer = imap_server_syntax(&s->imap, in);
		return false;
	}
	if (bad_name || place_parse(s, name, p) < 0) {
		*answer = imap_server_no(&s->imap, "CANNOT", "Not a mailbox name");
		return false;
	}
	return true;
}

static bool
acl_open(struct session *s, struct place *p, uint32_t needs, struct store_mailbox *m,
    enum imap_next *answer)
{
	int rc = place_open(p, needs, true, m);

	if (rc < 0)
		*answer = reply_no_mailbox(&s->imap, rc, "NONEXISTENT");
	return rc == 0;
}

/* identifier: a bare login is one of the user's own domain.  It is in the arena. */
static bool
acl_identifier(struct session *s, struct imap_in *in, struct slice *identifier)
{
	struct slice account = slice_str(s->user->account), id, who;
	struct arena *a = &s->imap.arena;

	if (!imap_space(in) || !imap_astring(in, &id))
		return false;
	who = slice_starts(id, S("-")) ? slice_from(id, 1) : id;
	if (who.n > 0 && slice_find(who, '@') == who.n && !slice_ieq(who, S("anyone")))
		id = slice_str(arena_printf(a, SFMT SFMT, SARG(id),
		    SARG(slice_from(account, slice_rfind(account, '@')))));
	*identifier = id;
	return true;
}

struct acl_deed {
	struct place place;
	struct slice identifier;
	uint32_t rights;
	enum store_how how;
};

static void
acl_done(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	const struct acl_deed *d = s->imap.data;
	struct buf rights = { 0 };

	if (r->verdict.kind != OK) {
		imap_server_resume(&s->imap, reply_no_store(s, r, "NONEXISTENT"));
		return;
	}
	store_rights_write(&rights, d->rights);
	log_event(LOG_INFO, "acl",
	    "sid=%s user=%s mailbox=%s owner=%s identifier=%s how=%s rights=%s", s->sid,
	    log_str(s->user->account), log_value(d->place.folder), log_value(d->place.owner),
	    log_value(d->identifier),
	    d->how == STORE_ADD        ? "add" :
		d->how == STORE_REMOVE ? "remove" :
					 "set",
	    log_value(buf_get(&rights)));
	buf_fini(&rights);
	imap_server_resume(&s->imap,
	    imap_server_finish(&s->imap, "OK", "%s completed", s->imap.cmd->name));
}

static enum imap_next
acl_ask(struct session *s, struct acl_deed *d)
{
	struct store_mailbox m;
	enum imap_next answer = IMAP_NEXT;
	char canonical[STORE_IDENTIFIER_MAX + 1];

	if (!acl_open(s, &d->place, STORE_R_ADMIN, &m, &answer))
		return answer;
	store_end(d->place.home->view);
	/* He has them all: to say so changes nothing. */
	if (d->how != STORE_REMOVE && (d->how == STORE_ADD || d->rights == STORE_R_ALL) &&
	    store_identifier_check(d->identifier, canonical) == 0 &&
	    slice_eq(slice_str(canonical), d->place.owner))
		return imap_server_finish(&s->imap, "OK", "The owner has all rights");
	s->imap.data = d;
	store_acl_start(imapd.store, d->place.mailbox, d->identifier, d->how, d->rights,
	    &s->imap.op, acl_done, s);
	return IMAP_WAIT;
}

/* SETACL mailbox identifier [+-]rights				RFC 4314 3.1 */
enum imap_next
cmd_setacl(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct acl_deed *d = arena_new(&imap->arena, sizeof(*d));
	enum imap_next answer;
	struct slice rights;

	if (!acl_place(s, in, &d->place, &answer))
		return answer;
	if (!acl_identifier(s, in, &d->identifier) || !imap_space(in) ||
	    !imap_astring(in, &rights) || !imap_end(in))
		return imap_server_syntax(imap, in);
	d->how = slice_starts(rights, S("+")) ? STORE_ADD :
	    slice_starts(rights, S("-"))      ? STORE_REMOVE :
						STORE_SET;
	/* RFC 4314 3.1: an unknown right "MUST ... BAD" */
	if (!store_rights_parse(slice_from(rights, d->how != STORE_SET), &d->rights))
		return imap_server_bad(imap, "Unknown right");
	return acl_ask(s, d);
}

/* DELETEACL mailbox identifier					RFC 4314 3.2 */
enum imap_next
cmd_deleteacl(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct acl_deed *d = arena_new(&imap->arena, sizeof(*d));
	enum imap_next answer;

	if (!acl_place(s, in, &d->place, &answer))
		return answer;
	if (!acl_identifier(s, in, &d->identifier) || !imap_end(in))
		return imap_server_syntax(imap, in);
	d->how = STORE_SET;
	return acl_ask(s, d);
}

static void
acl_write(struct session *s, struct slice identifier, uint32_t rights)
{
	struct buf text = { 0 };
	struct buf *b = session_out(s);

	store_rights_write(&text, rights);
	buf_char(b, ' ');
	imap_write_astring(b, identifier);
	buf_char(b, ' ');
	imap_write_astring(b, buf_get(&text));
	buf_fini(&text);
}

/* GETACL mailbox							RFC 4314 3.3, 3.6 */
enum imap_next
cmd_getacl(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct slice identifier = slice(NULL, 0);
	enum imap_next answer;
	struct store_mailbox m;
	struct place p;
	uint32_t rights;

	if (!acl_place(s, in, &p, &answer))
		return answer;
	if (!imap_end(in))
		return imap_server_syntax(imap, in);
	if (!acl_open(s, &p, STORE_R_ADMIN, &m, &answer))
		return answer;
	buf_lit(session_out(s), "* ACL ");
	session_write_mailbox(s, p.name);
	acl_write(s, p.owner, STORE_R_ALL);
	while (store_acl_next(p.home->view, p.mailbox, &identifier, &rights)) /* STORE_ACL_MOST */
		acl_write(s, identifier, rights);
	store_end(p.home->view);
	buf_lit(session_out(s), "\r\n");
	return imap_server_finish(imap, "OK", "GETACL completed");
}

/* LISTRIGHTS mailbox identifier				RFC 4314 3.4, 3.7 */
enum imap_next
cmd_listrights(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct buf *b = session_out(s);
	char canonical[STORE_IDENTIFIER_MAX + 1];
	enum imap_next answer;
	struct slice identifier;
	struct store_mailbox m;
	struct place p;

	if (!acl_place(s, in, &p, &answer))
		return answer;
	if (!acl_identifier(s, in, &identifier) || !imap_end(in))
		return imap_server_syntax(imap, in);
	if (!acl_open(s, &p, STORE_R_ADMIN, &m, &answer))
		return answer;
	store_end(p.home->view);
	if (store_identifier_check(identifier, canonical) < 0)
		return imap_server_no(imap, "CANNOT", "Not an identifier");
	buf_lit(b, "* LISTRIGHTS ");
	session_write_mailbox(s, p.name);
	if (slice_eq(slice_str(canonical), p.owner)) {
		acl_write(s, p.owner, STORE_R_ALL);
		buf_lit(b, "\r\n");
	} else {
		buf_char(b, ' ');
		imap_write_astring(b, slice_str(canonical));
		buf_lit(b, " \"\" l r s w i p k x t e a c d\r\n");
	}
	return imap_server_finish(imap, "OK", "LISTRIGHTS completed");
}

void
acl_write_mine(struct session *s, struct slice name, uint32_t rights)
{
	struct buf text = { 0 };

	store_rights_write(&text, rights);
	buf_lit(session_out(s), "* MYRIGHTS ");
	session_write_mailbox(s, name);
	buf_char(session_out(s), ' ');
	imap_write_astring(session_out(s), buf_get(&text));
	buf_lit(session_out(s), "\r\n");
	buf_fini(&text);
}

/* MYRIGHTS mailbox						RFC 4314 3.5, 3.8 */
enum imap_next
cmd_myrights(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	enum imap_next answer;
	struct store_mailbox m;
	struct place p;

	if (!acl_place(s, in, &p, &answer))
		return answer;
	if (!imap_end(in))
		return imap_server_syntax(imap, in);
	if (!acl_open(s, &p,
		STORE_R_LOOKUP | STORE_R_READ | STORE_R_INSERT | STORE_R_CREATE | STORE_R_DROP |
		    STORE_R_ADMIN,
		&m, &answer))
		return answer;
	store_end(p.home->view);
	acl_write_mine(s, p.name, p.rights);
	return imap_server_finish(imap, "OK", "MYRIGHTS completed");
}
