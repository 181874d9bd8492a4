/* imapd/mailbox.c: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE: RFC 3501 6.3.3 - 6.3.7.
 * stored does them; names arrive in modified UTF-7 and go on in UTF-8. */
#include "session.h"

static void
done_with(struct session *s, const struct store_reply *r)
{
	if (r->verdict.kind != OK)
		session_resume(s, no_store(s, r, "NONEXISTENT"));
	else
		session_resume(s, finish(s, "OK", "%s completed", s->cmd->verb));
}

static void
changed(void *arg, const struct store_reply *r)
{
	done_with(arg, r);
}

/* One mailbox name.  A trailing separator only says that children will follow; it is cut.
 * False: answered already, *answer says how. */
static bool
name_arg(struct session *s, struct imap_in *in, struct slice *name, enum next *answer)
{
	char canonical[STORE_NAME_MAX + 1];
	bool bad_name = false;

	if (!imap_space(in) || !imap_mailbox(in, name, &bad_name)) {
		*answer = bad(s, in);
		return false;
	}
	if (name->n > 1 && name->p[name->n - 1] == STORE_SEPARATOR)
		name->n--;
	if (bad_name || store_name_check(*name, canonical) < 0) {
		*answer = finish(s, "NO", "[CANNOT] Not a mailbox name");
		return false;
	}
	*name = slice_str(arena_str(&s->arena, canonical));
	return true;
}

static bool
only_name(struct session *s, struct imap_in *in, struct slice *name, enum next *answer)
{
	if (!name_arg(s, in, name, answer))
		return false;
	if (imap_end(in))
		return true;
	*answer = bad(s, in);
	return false;
}

enum next
cmd_create(struct session *s, struct imap_in *in)
{
	struct slice name;
	enum next answer;

	if (!only_name(s, in, &name, &answer))
		return answer;
	if (slice_eq(name, S("INBOX")))
		return finish(s, "NO", "[ALREADYEXISTS] INBOX is always there");
	store_create_start(imapd.store, s->user->id, name, STORE_USE_NONE, &s->op, changed, s);
	return WAIT;
}

/* Deleting the mailbox that is selected here leaves the session without one. */
static void
deleted(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct store_mailbox m;

	if (r->verdict.kind == OK && s->view && store_begin(reader(s)) == 0) {
		int rc = store_get_mailbox(reader(s), s->view->mailbox, &m);

		store_end(reader(s));
		if (rc < 0 || m.attrs & STORE_NOSELECT) {
			view_free(&s->view);
			s->state = AUTH;
		}
	}
	done_with(s, r);
}

enum next
cmd_delete(struct session *s, struct imap_in *in)
{
	struct slice name;
	enum next answer;

	if (!only_name(s, in, &name, &answer))
		return answer;
	if (slice_eq(name, S("INBOX")))
		return finish(s, "NO", "[CANNOT] INBOX cannot be deleted");
	store_delete_start(imapd.store, s->user->id, name, &s->op, deleted, s);
	return WAIT;
}

enum next
cmd_rename(struct session *s, struct imap_in *in)
{
	struct slice from, to;
	enum next answer;

	if (!name_arg(s, in, &from, &answer) || !only_name(s, in, &to, &answer))
		return answer;
	if (slice_eq(to, S("INBOX")))
		return finish(s, "NO", "[ALREADYEXISTS] INBOX is always there");
	store_rename_start(imapd.store, s->user->id, from, to, &s->op, changed, s);
	return WAIT;
}

enum next
cmd_subscribe(struct session *s, struct imap_in *in)
{
	struct slice name;
	enum next answer;

	if (!only_name(s, in, &name, &answer))
		return answer;
	store_subscribe_start(imapd.store, s->user->id, name, true, &s->op, changed, s);
	return WAIT;
}

enum next
cmd_unsubscribe(struct session *s, struct imap_in *in)
{
	struct slice name;
	enum next answer;

	if (!only_name(s, in, &name, &answer))
		return answer;
	store_subscribe_start(imapd.store, s->user->id, name, false, &s->op, changed, s);
	return WAIT;
}
