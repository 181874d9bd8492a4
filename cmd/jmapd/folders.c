/* jmapd/folders.c: the table of an account's folders.  See folders.h.
 *
 * Called by every method that speaks of mailboxes.  A walk by name may be taken up in a later snapshot, but
 * a table must be of one state: when the account's counter has moved on meanwhile it begins anew, which a
 * user who changes folders all the time can only do to himself. */
#include "folders.h"
#include <stdlib.h>
#include "base/mem.h"

#define STEP 64 /* folders between two looks at the clock */

void
folders_fini(struct folders *f)
{
	arena_reset(&f->arena);
	mem_release(f->list);
	mem_release(f->by_mailbox);
	mem_release(f->by_objectid);
	store_boxes_fini(&f->boxes);
	*f = (struct folders){ 0 };
}

static const struct folders *folders_sorted;

static int
folders_cmp_mailbox(const void *a, const void *b)
{
	uint64_t x = folders_sorted->list[*(const uint32_t *)a].mailbox;
	uint64_t y = folders_sorted->list[*(const uint32_t *)b].mailbox;

	return x < y ? -1 : x > y;
}

static int
folders_cmp_objectid(const void *a, const void *b)
{
	uint64_t x = folders_sorted->list[*(const uint32_t *)a].objectid;
	uint64_t y = folders_sorted->list[*(const uint32_t *)b].objectid;

	return x < y ? -1 : x > y;
}

static void
folders_index(struct folders *f)
{
	f->by_mailbox = mem_array(f->n + 1, sizeof(*f->by_mailbox));
	f->by_objectid = mem_array(f->n + 1, sizeof(*f->by_objectid));
	for (uint32_t i = 0; i < f->n; i++)
		f->by_mailbox[i] = f->by_objectid[i] = i;
	folders_sorted = f;
	qsort(f->by_mailbox, f->n, sizeof(*f->by_mailbox), folders_cmp_mailbox);
	qsort(f->by_objectid, f->n, sizeof(*f->by_objectid), folders_cmp_objectid);
}

/* Names come in the order of their bytes, but "a-b" stands between "a" and "a/b": parents are looked for by
 * name, from the last one up. */
static uint32_t
folders_parent(const struct folders *f, struct slice name)
{
	uint32_t lo = 0, hi = f->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		struct slice at = f->list[mid].name;
		size_t n = at.n < name.n ? at.n : name.n;
		int order = memcmp(at.p, name.p, n);

		if (order == 0)
			order = at.n < name.n ? -1 : at.n > name.n;
		if (order == 0)
			return mid;
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return FOLDER_NONE;
}

static void
folders_add(struct call *c, struct folders *f, struct store_view *v, const struct store_folder *in)
{
	struct folder *to;
	struct store_mailbox m;
	uint32_t rights = STORE_R_ALL;
	size_t slash;

	if (in->mailbox == 0 || store_get_mailbox(v, in->mailbox, &m) < 0)
		return; /* damaged: logged, and shown to nobody */
	if (c->of.guest)
		rights = store_rights(v, &m, login_groups_person(call_user(c)->groups));
	if (!(rights & STORE_R_LOOKUP))
		return;
	if (f->n == f->room) {
		f->room = f->room ? 2 * f->room : 64;
		f->list = mem_grow(f->list, f->room, sizeof(*f->list));
	}
	to = &f->list[f->n];
	*to = (struct folder){ .mailbox = in->mailbox,
		.objectid = m.objectid ? m.objectid : m.id,
		.name = arena_slice(&f->arena, in->name),
		.attrs = in->attrs,
		.special = in->special,
		.rights = rights,
		.exists = m.exists,
		.unseen = store_unseen(v, &m),
		.deleted = m.deleted,
		.highestmodseq = m.highestmodseq,
		.subscribed = !c->of.guest && store_subscribed(v, in->account, in->name),
		.nkeywords = m.nkeywords };
	slash = slice_rfind(to->name, STORE_SEPARATOR);
	to->leaf = slash == to->name.n ? to->name : slice_from(to->name, slash + 1);
	to->parent =
	    slash == to->name.n ? FOLDER_NONE : folders_parent(f, slice_sub(to->name, 0, slash));
	to->keywords = arena_array(&f->arena, m.nkeywords + 1u, sizeof(*to->keywords));
	for (size_t i = 0; i < m.nkeywords; i++)
		to->keywords[i] = arena_slice(&f->arena, m.keywords[i]);
	f->n++;
}

/* The mailboxes in which emails are looked for: of a guest those alone that he may read, whatever asks. */
static void
folders_boxes(struct call *c, struct folders *f, uint64_t account)
{
	struct store_boxes *b = &f->boxes;

	if (!c->of.guest) {
		store_boxes_load(call_view(c), account, b);
		return;
	}
	*b = (struct store_boxes){ account, mem_array(f->n + 1, sizeof(*b->ids)), 0 };
	f->seen = 1;
	for (uint32_t i = 0; i < f->n; i++) {
		const struct folder *x = &f->list[f->by_mailbox[i]];

		f->seen = (f->seen ^ x->mailbox) * UINT64_C(0x9e3779b97f4a7c15);
		f->seen = (f->seen ^ f->seen >> 29 ^ x->rights) * UINT64_C(0xbf58476d1ce4e5b9);
		if (folder_readable(x))
			b->ids[b->n++] = x->mailbox;
	}
}

enum call_next
folders_go(struct call *c, const struct store_account *a)
{
	struct folders *f = call_folders(c);
	struct store_folder at = { .account = a->id };

	if (f->account != a->id || f->view != call_view(c)) {
		folders_fini(f);
		f->account = a->id;
		f->view = call_view(c);
	}
	if (f->good && f->modseq == a->modseq)
		return CALL_DONE;
	if (f->good || f->reading != a->modseq + 1) {
		folders_fini(f);
		f->account = a->id;
		f->view = call_view(c);
		f->reading = a->modseq + 1;
	}
	at.name = f->last;
	for (size_t i = 1; store_next_folder(call_view(c), &at); i++) {
		folders_add(c, f, call_view(c), &at);
		if (i % STEP == 0 && call_spent(c)) {
			f->last = arena_slice(&f->arena, at.name);
			store_end(call_view(c));
			return CALL_AGAIN;
		}
	}
	folders_index(f);
	folders_boxes(c, f, a->id);
	f->good = true;
	f->modseq = a->modseq;
	return CALL_DONE;
}

enum call_next
folders_begin(struct call *c, struct store_account *a, int *error)
{
	*error = call_begin(c, a);
	if (*error < 0)
		return CALL_DONE;
	return folders_go(c, a);
}

struct folder *
folders_find_mailbox(const struct folders *f, uint64_t mailbox)
{
	uint32_t lo = 0, hi = f->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		struct folder *at = &f->list[f->by_mailbox[mid]];

		if (at->mailbox == mailbox)
			return at;
		if (at->mailbox < mailbox)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

struct folder *
folders_find_objectid(const struct folders *f, uint64_t objectid)
{
	uint32_t lo = 0, hi = f->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		struct folder *at = &f->list[f->by_objectid[mid]];

		if (at->objectid == objectid)
			return at;
		if (at->objectid < objectid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

struct folder *
folders_find_id(const struct call *c, struct slice id)
{
	uint64_t objectid = jmap_id_parse(call_created(c, id), JMAP_MAILBOX);

	return objectid ? folders_find_objectid(call_folders(c), objectid) : NULL;
}

const char *
folder_role(const struct folder *f)
{
	static const char *const roles[] = { [STORE_USE_DRAFTS] = "drafts",
		[STORE_USE_SENT] = "sent",
		[STORE_USE_JUNK] = "junk",
		[STORE_USE_TRASH] = "trash",
		[STORE_USE_ARCHIVE] = "archive",
		[STORE_USE_ALL] = "all",
		[STORE_USE_FLAGGED] = "flagged" };

	if (slice_eq(f->name, S("INBOX")))
		return "inbox";
	return f->special < NELEM(roles) ? roles[f->special] : NULL;
}
