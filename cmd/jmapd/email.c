/* jmapd/email.c: one content in all its places.  See email.h.
 *
 * Called inside snapshots, for each email that is shown, and for those whose keywords a filter cannot
 * tell from the place it looks at.  Costs the places of the content in the account. */
#include "email.h"
#include <errno.h>

static const struct {
	struct slice name;
	uint16_t flag;
} email_flags[] = {
	{ S("$seen"), STORE_SEEN },
	{ S("$flagged"), STORE_FLAGGED },
	{ S("$answered"), STORE_ANSWERED },
	{ S("$draft"), STORE_DRAFT },
};

uint16_t
email_flag(struct slice keyword)
{
	for (size_t i = 0; i < NELEM(email_flags); i++)
		if (slice_ieq(keyword, email_flags[i].name))
			return email_flags[i].flag;
	return 0;
}

static void
email_add_keyword(struct email *e, struct slice name, struct arena *a)
{
	char *lower;

	if (name.n == 0 || email_flag(name))
		return;
	for (size_t i = 0; i < e->nkeywords; i++)
		if (slice_ieq(e->keywords[i], name))
			return;
	if (!e->keywords)
		e->keywords = arena_array(a, STORE_KEYWORDS * 4, sizeof(*e->keywords));
	if (e->nkeywords == STORE_KEYWORDS * 4)
		return;
	lower = arena_cstr(a, name);
	for (char *p = lower; *p; p++)
		*p = ascii_lower(*p);
	e->keywords[e->nkeywords++] = slice(lower, name.n);
}

#define PLACES_FIRST 8

static void
email_add(struct email *e, struct folder *f, const struct store_record *r, struct arena *a)
{
	/* Room for twice as many each time: a user may copy a message 100,000 times. */
	if (e->nplaces == 0 ||
	    (e->nplaces >= PLACES_FIRST && (e->nplaces & (e->nplaces - 1)) == 0)) {
		struct email_place *more =
		    arena_array(a, e->nplaces ? 2 * e->nplaces : PLACES_FIRST, sizeof(*e->places));

		if (e->nplaces)
			memcpy(more, e->places, e->nplaces * sizeof(*e->places));
		e->places = more;
	}
	if (e->nplaces == 0) {
		e->thread = r->threadid;
		e->size = r->size;
		e->received_at = r->internaldate;
		e->flags = r->flags;
	} else {
		uint16_t seen = e->flags & r->flags & STORE_SEEN;

		e->flags = (uint16_t)(((e->flags | r->flags) & ~STORE_SEEN) | seen);
	}
	e->places[e->nplaces++] = (struct email_place){ f, r->uid, r->flags, r->keywords };
	for (unsigned i = 0; r->keywords && i < f->nkeywords; i++)
		if (r->keywords >> i & 1)
			email_add_keyword(e, f->keywords[i], a);
}

int
email_load(struct call *c, uint64_t emailid, struct arena *a, struct email *e)
{
	struct store_place p = { .emailid = emailid };
	const struct folders *folders = call_folders(c);
	const struct store_record *r;

	*e = (struct email){ .id = emailid };
	while ((r = store_boxes_email(call_view(c), &folders->boxes, &p))) {
		struct folder *f = folders_find_mailbox(folders, p.mailbox);

		if (f && !(r->flags & STORE_DELETED))
			email_add(e, f, r, a);
	}
	return e->nplaces ? 0 : -ENOENT;
}

bool
email_has(const struct email *e, struct slice keyword)
{
	uint16_t flag = email_flag(keyword);

	if (flag)
		return e->flags & flag;
	for (size_t i = 0; i < e->nkeywords; i++)
		if (slice_ieq(e->keywords[i], keyword))
			return true;
	return false;
}

void
email_put_keywords(struct buf *b, const struct email *e)
{
	json_put_object(b, "keywords");
	for (size_t i = 0; i < NELEM(email_flags); i++)
		if (e->flags & email_flags[i].flag) {
			json_member(b, email_flags[i].name);
			buf_lit(b, "true");
		}
	for (size_t i = 0; i < e->nkeywords; i++) {
		json_member(b, e->keywords[i]);
		buf_lit(b, "true");
	}
	buf_char(b, '}');
}

void
email_put_mailboxes(struct buf *b, const struct email *e)
{
	json_put_object(b, "mailboxIds");
	for (size_t i = 0; i < e->nplaces; i++) {
		bool before = false;

		/* Places come by mailbox: those of one stand together. */
		before = i > 0 && e->places[i - 1].folder == e->places[i].folder;
		if (before)
			continue;
		json_element(b);
		jmap_id_json(b, JMAP_MAILBOX, e->places[i].folder->objectid);
		buf_lit(b, ":true");
	}
	buf_char(b, '}');
}
