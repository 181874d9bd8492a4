/* jmapd/identity.c: Identity/get and /changes (RFC 8621 6).
 *
 * An identity is an address of the user's entry in the directory (mail, mailAlternateAddress,
 * mailEquivalentAddress) whose mail comes to him, and nothing else: what a person may send as is what an administrator
 * has given him, and one organisation's cannot give away addresses of another's, whatever he writes into an
 * entry.  smtp-relay asks the same of those that log in there.  identity-set.c has what he says of it himself.  Called as methods and by submission.c.  What can fail is the
 * directory, and then nobody sends.  The state is a checksum of all of it, since the directory has no counter; so
 * changes cannot be calculated but for "none". */
#include "identity.h"

#include "base/crc.h"
#include "base/log.h"
#include "base/siphash.h"
#include "mail/address.h"

/* ---- the addresses ---------------------------------------------------------------------------------------- */

/* A catch-all ("@domain") and what is no address are nobody's identity. */
static bool
identity_fits(struct slice email)
{
	size_t at = slice_rfind(email, '@');

	return at > 0 && at + 1 < email.n;
}

static void identities_check(struct call *c, struct identities *ids);

static void
identities_checked(void *arg, const struct dir_answer *answer)
{
	struct call *c = arg;
	struct identities *ids = c->data;
	struct slice email = ids->email[ids->checked++];

	log_context(c->s->sid);
	/* 4.3.0: nobody answers.  An address that two entries have is neither's, whoever wrote the second. */
	if (answer->v.kind == TEMP && answer->v.detail == 0)
		ids->away = true;
	else if (answer->user && slice_eq(answer->user->account, slice_str(call_user(c)->account)))
		ids->email[ids->n++] = email;
	identities_check(c, ids);
}

/* The next address: whose mail is it? */
static void
identities_check(struct call *c, struct identities *ids)
{
	struct slice email;
	size_t at;

	if (ids->away || ids->checked == ids->all) {
		call_resume(c, CALL_AGAIN);
		return;
	}
	email = ids->email[ids->checked];
	at = slice_rfind(email, '@');
	dir_rcpt_start(jmapd.dir, slice_sub(email, 0, at), slice_from(email, at + 1), call_op(c),
	    identities_checked, c);
}

static void
identities_found(void *arg, const struct dir_answer *answer)
{
	struct call *c = arg;
	struct identities *ids = c->data;
	const struct dir_user *u = answer->user;

	log_context(c->s->sid);
	ids->away = answer->v.kind == TEMP;
	if (answer->v.kind == OK && u) {
		ids->email = arena_array(&c->arena, u->naddresses + 1, sizeof(*ids->email));
		if (identity_fits(u->mail))
			ids->email[ids->all++] = arena_slice(&c->arena, u->mail);
		for (size_t i = 0; i < u->naddresses && ids->all < IDENTITIES_MOST; i++)
			if (identity_fits(u->addresses[i]) && !slice_ieq(u->addresses[i], u->mail))
				ids->email[ids->all++] = arena_slice(&c->arena, u->addresses[i]);
	}
	identities_check(c, ids);
}

enum call_next
identities_ask(struct call *c)
{
	struct identities *ids = c->data;

	ids->asked = true;
	dir_login_start(jmapd.dir, slice_str(call_user(c)->account), call_op(c), identities_found,
	    c);
	return CALL_WAIT;
}

void
identity_id_write(struct buf *b, struct slice email)
{
	static const struct siphash_key key = { { UINT64_C(0x6a6d61702d696465),
	    UINT64_C(0x6e746974792d6964) } };
	struct buf lower = { 0 };

	for (size_t i = 0; i < email.n; i++)
		buf_char(&lower, ascii_lower(email.p[i]));
	buf_printf(b, "I%016llx", (unsigned long long)siphash(&key, buf_get(&lower)));
	buf_fini(&lower);
}

struct slice
identity_find(const struct identities *ids, struct slice id)
{
	struct buf own = { 0 };
	struct slice found = { NULL, 0 };

	for (size_t i = 0; i < ids->n && !found.p; i++) {
		buf_clear(&own);
		identity_id_write(&own, ids->email[i]);
		if (slice_eq(buf_get(&own), id))
			found = ids->email[i];
	}
	buf_fini(&own);
	return found;
}

bool
identity_has(const struct identities *ids, struct slice email)
{
	size_t at = slice_rfind(email, '@'), plus = slice_find(slice_sub(email, 0, at), '+');

	for (size_t i = 0; i < ids->n; i++) {
		size_t own = slice_rfind(ids->email[i], '@');

		if (slice_ieq(ids->email[i], email))
			return true;
		if (plus > 0 && plus < at && own == plus &&
		    slice_ieq(slice_sub(ids->email[i], 0, own), slice_sub(email, 0, plus)) &&
		    domain_eq(slice_from(ids->email[i], own + 1), slice_from(email, at + 1)))
			return true;
	}
	return false;
}

/* ---- what methods share ------------------------------------------------------------------------------------- */

void
identity_state_write(struct buf *b, const struct identities *ids)
{
	struct buf kept = { 0 };
	uint32_t crc = 0;

	for (size_t i = 0; i < ids->n; i++)
		crc = crc32c(crc32c(crc, ids->email[i].p, ids->email[i].n), "\n", 1);
	if (ids->kept)
		json_write(&kept, ids->kept);
	buf_printf(b, "%08x", crc32c(crc, kept.p, kept.n));
	buf_fini(&kept);
}

static void
identity_state(struct buf *b, const char *name, const struct identities *ids)
{
	json_key(b, name);
	buf_char(b, '"');
	identity_state_write(b, ids);
	buf_char(b, '"');
}

bool
identities_ready(struct call *c, enum call_next *next)
{
	struct identities *ids = c->data;
	int rc;

	if (!ids->asked) {
		*next = identities_ask(c);
		return false;
	}
	if (ids->away) {
		*next = call_error(c, "serverUnavailable", "the directory is away");
		return false;
	}
	rc = ids->read ? 0 : identities_read(c, ids);
	if (rc < 0)
		*next = call_failed(c, rc);
	return rc == 0;
}

/* ---- Identity/get --------------------------------------------------------------------------------------------- */

struct identity_get {
	struct identities identities;
	struct call_ids ids;
	uint64_t want;
};

static const char *const identity_properties[] = { "id", "name", "email", "replyTo", "bcc",
	"textSignature", "htmlSignature", "mayDelete", NULL };

static enum call_next
identity_get_start(struct call *c)
{
	struct identity_get *g = c->data;
	enum call_next next;

	if (!call_account(c, &next) || !call_ids(c, &g->ids, &next) ||
	    !call_properties(c, identity_properties, &g->want, &next))
		return next;
	return CALL_AGAIN;
}

/* A property that is kept, or the default. */
static void
identity_put_kept(struct buf *b, const struct json_t *kept, const char *name, const char *otherwise)
{
	const struct json_t *v = json_find(kept, slice_str(name));

	json_key(b, name);
	if (json_none(v))
		buf_str(b, otherwise);
	else
		json_write(b, v);
}

void
identity_put(struct buf *b, const struct identities *ids, struct slice email, uint64_t want)
{
	const struct json_t *kept;
	struct buf id = { 0 };

	identity_id_write(&id, email);
	kept = json_find(ids->kept, buf_get(&id));
	json_element(b);
	buf_char(b, '{');
	json_put_str(b, "id", buf_get(&id));
	if (want & 2)
		identity_put_kept(b, kept, "name", "\"\"");
	if (want & 4)
		json_put_str(b, "email", email);
	if (want & 8)
		identity_put_kept(b, kept, "replyTo", "null");
	if (want & 16)
		identity_put_kept(b, kept, "bcc", "null");
	if (want & 32)
		identity_put_kept(b, kept, "textSignature", "\"\"");
	if (want & 64)
		identity_put_kept(b, kept, "htmlSignature", "\"\"");
	if (want & 128)
		json_put_bool(b, "mayDelete", false);
	buf_char(b, '}');
	buf_fini(&id);
}

static enum call_next
identity_get_go(struct call *c)
{
	struct identity_get *g = c->data;
	struct identities *ids = &g->identities;
	struct buf *b = call_out(c);
	bool *missing = arena_array(&c->arena, g->ids.n + 1, sizeof(*missing));
	enum call_next next;

	if (!identities_ready(c, &next))
		return next;
	call_answer(c);
	call_put_account(c);
	identity_state(b, "state", ids);
	json_put_array(b, "list");
	for (size_t i = 0; !g->ids.list && i < ids->n; i++)
		identity_put(b, ids, ids->email[i], g->want);
	for (size_t i = 0; i < g->ids.n; i++) {
		struct slice email = identity_find(ids, g->ids.list[i]);

		missing[i] = !email.p;
		if (email.p)
			identity_put(b, ids, email, g->want);
	}
	buf_char(b, ']');
	call_put_not_found(c, &g->ids, missing);
	return call_end(c);
}

/* ---- Identity/changes ------------------------------------------------------------------------------------------ */

static enum call_next
identity_changes_start(struct call *c)
{
	enum call_next next;

	return call_account(c, &next) ? CALL_AGAIN : next;
}

static enum call_next
identity_changes_go(struct call *c)
{
	struct identities *ids = c->data;
	struct slice since = json_text(json_find(c->args, S("sinceState")));
	struct buf state = { 0 };
	enum call_next next;
	bool same;

	if (!identities_ready(c, &next))
		return next;
	identity_state_write(&state, ids);
	same = slice_eq(buf_get(&state), since);
	buf_fini(&state);
	if (!since.p)
		return call_invalid(c, "sinceState: a string is needed");
	if (!same)
		return call_error(c, "cannotCalculateChanges", NULL);
	call_answer(c);
	call_put_account(c);
	json_put_str(call_out(c), "oldState", since);
	json_put_str(call_out(c), "newState", since);
	json_put_bool(call_out(c), "hasMoreChanges", false);
	buf_lit(call_out(c), ",\"created\":[],\"updated\":[],\"destroyed\":[]");
	return call_end(c);
}

static void
identity_undo(struct call *c)
{
	struct identities *ids = c->data;

	json_free(&ids->kept);
}

const struct jmapd_method identity_get = { "Identity/get", JMAP_SUBMISSION,
	sizeof(struct identity_get), identity_get_start, identity_get_go, identity_undo };
const struct jmapd_method identity_changes = { "Identity/changes", JMAP_SUBMISSION,
	sizeof(struct identities), identity_changes_start, identity_changes_go, identity_undo };
