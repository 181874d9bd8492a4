/* jmapd/mailbox-share.c: whom a user lets see a mailbox: Mailbox's shareWith (draft-ietf-jmap-mail-sharing, RFC 9670),
 * which is its ACL (RFC 4314).
 *
 * A principal's id is that of its account; "anyone" and "anyone@domain" have ids of the same form.  Identifiers that take
 * rights away have none: they stay, and are not shown.  A right of JMAP is one or two of IMAP, shown when all of them are
 * there.  What is written is the difference to what is there now, an identifier at a time; stored judges each. */
#include "mailbox.h"

#include "api.h"

static const struct {
	const char *name;
	uint32_t rights;
} share_rights[] = {
	{ "mayReadItems", STORE_R_LOOKUP | STORE_R_READ },
	{ "mayAddItems", STORE_R_INSERT },
	{ "mayRemoveItems", STORE_R_DELETE | STORE_R_EXPUNGE },
	{ "maySetSeen", STORE_R_SEEN },
	{ "maySetKeywords", STORE_R_WRITE },
	{ "mayCreateChild", STORE_R_CREATE },
	{ "mayRename", STORE_R_DROP },
	{ "mayDelete", STORE_R_DROP },
	{ "maySubmit", STORE_R_POST },
	{ "mayShare", STORE_R_ADMIN },
};

bool
mailbox_shares_used(const struct call *c)
{
	return (c->api->request.using & JMAP_SHARE) != 0;
}

/* ---- as it is ------------------------------------------------------------------------------------------ */

static bool
share_shown(const struct call *c, struct slice identifier)
{
	return !slice_starts(identifier, S("-")) && !slice_eq(identifier, slice_str(c->of.name));
}

void
mailbox_put_shares(struct call *c, const struct folder *f)
{
	struct buf *b = call_out(c), id = { 0 };
	struct slice identifier = S("");
	uint32_t rights;
	bool any = false;

	json_key(b, "shareWith");
	while (!c->of.guest && store_acl_next(call_view(c), f->mailbox, &identifier, &rights)) {
		if (!share_shown(c, identifier))
			continue;
		if (!any)
			buf_char(b, '{');
		any = true;
		buf_clear(&id);
		jmap_account_id_write(&id, identifier);
		json_put_object(b, buf_cstr(&id));
		for (size_t i = 0; i < NELEM(share_rights); i++)
			json_put_bool(b, share_rights[i].name,
			    (rights & share_rights[i].rights) == share_rights[i].rights);
		buf_char(b, '}');
	}
	buf_str(b, any ? "}" : "null");
	buf_fini(&id);
}

/* ---- as it shall be -------------------------------------------------------------------------------------- */

bool
mailbox_shares_named(struct slice name)
{
	return slice_eq(name, S("shareWith")) || slice_starts(name, S("shareWith/"));
}

static void
share_load(struct call *c, uint64_t mailbox, struct mailbox_shares *s)
{
	struct slice identifier = S("");
	uint32_t rights;

	s->list = arena_array(&c->arena, 2 * STORE_ACL_MOST, sizeof(*s->list));
	if (mailbox == 0 || store_begin(call_view(c)) < 0)
		return; /* stored says what it thinks of it */
	while (
	    s->n < STORE_ACL_MOST && store_acl_next(call_view(c), mailbox, &identifier, &rights)) {
		struct mailbox_share *x = &s->list[s->n];

		if (!share_shown(c, identifier))
			continue;
		slice_cstr(identifier, x->identifier, sizeof(x->identifier));
		x->is = x->wanted = rights;
		s->n++;
	}
	store_end(call_view(c));
}

/* The one of this id, made when there is none.  NULL: no principal's id, or there are too many. */
static struct mailbox_share *
share_find(const struct call *c, struct mailbox_shares *s, struct slice id)
{
	char canonical[STORE_IDENTIFIER_MAX + 1];
	struct buf name = { 0 };
	struct mailbox_share *x = NULL;
	bool good = jmap_account_id_parse(id, &name) == 0 &&
	    store_identifier_check(buf_get(&name), canonical) == 0 &&
	    share_shown(c, slice_str(canonical));

	buf_fini(&name);
	for (size_t i = 0; good && i < s->n; i++)
		if (strcmp(s->list[i].identifier, canonical) == 0)
			x = &s->list[i];
	if (good && !x && s->n < 2 * STORE_ACL_MOST) {
		x = &s->list[s->n++];
		memcpy(x->identifier, canonical, sizeof(canonical));
	}
	return x;
}

static bool
share_right(struct slice name, uint32_t *rights)
{
	for (size_t i = 0; i < NELEM(share_rights); i++)
		if (slice_eq(name, slice_str(share_rights[i].name))) {
			*rights = share_rights[i].rights;
			return true;
		}
	return false;
}

/* All rights of one: an object, or null for none. */
static bool
share_whole(struct mailbox_share *x, const struct json_t *v)
{
	struct json_walk w = { 0 };
	uint32_t r;
	bool yes;

	x->wanted = 0;
	if (json_is(v, JSON_KIND_NULL))
		return true;
	while (json_next(v, &w)) {
		if (!share_right(w.name, &r) || !json_get_bool(w.value, &yes))
			return false;
		x->wanted |= yes ? r : 0;
	}
	return json_is(v, JSON_KIND_OBJECT);
}

/* "ID" or "ID/mayReadItems" */
static bool
share_path(const struct call *c, struct mailbox_shares *s, struct slice path,
    const struct json_t *v)
{
	struct slice id;
	struct mailbox_share *x;
	bool one = slice_find(path, '/') < path.n, yes;
	uint32_t r;

	if (!slice_cut(&path, '/', &id) || !(x = share_find(c, s, id)))
		return false;
	if (!one)
		return share_whole(x, v);
	if (!share_right(path, &r) || !json_get_bool(v, &yes))
		return false;
	x->wanted = yes ? x->wanted | r : x->wanted & ~r;
	return true;
}

static bool
share_all(const struct call *c, struct mailbox_shares *s, const struct json_t *v)
{
	struct json_walk w = { 0 };

	for (size_t i = 0; i < s->n; i++)
		s->list[i].wanted = 0;
	while (json_next(v, &w)) {
		struct mailbox_share *x = share_find(c, s, w.name);

		if (!x || json_is(w.value, JSON_KIND_NULL) || !share_whole(x, w.value))
			return false;
	}
	return json_is(v, JSON_KIND_OBJECT) || json_is(v, JSON_KIND_NULL);
}

const char *
mailbox_shares_read(struct call *c, uint64_t mailbox, const struct json_t *v,
    struct mailbox_shares *s)
{
	const struct json_t *all = json_find(v, S("shareWith"));
	struct json_walk w = { 0 };

	share_load(c, mailbox, s);
	if (all && !share_all(c, s, all))
		return "ids of principals, each with rights that are true or false, or null";
	while (json_next(v, &w)) {
		if (!slice_starts(w.name, S("shareWith/")))
			continue;
		if (all)
			return "a path beside the whole";
		if (!share_path(c, s, slice_from(w.name, 10), w.value))
			return "shareWith/ID: rights, or null; shareWith/ID/RIGHT: true or false";
	}
	return NULL;
}

const struct mailbox_share *
mailbox_shares_next(struct mailbox_shares *s)
{
	while (s->at < s->n) {
		const struct mailbox_share *x = &s->list[s->at++];

		if (x->is != x->wanted)
			return x;
	}
	return NULL;
}
