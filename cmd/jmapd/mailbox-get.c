/* jmapd/mailbox-get.c: Mailbox/get (RFC 8621 2.1).
 *
 * A walk over the ids, or over all folders, in one table; the counts of one may take several turns, and a
 * table that has changed meanwhile begins the walk anew, so that one answer is of one state. */
#include "folders.h"
#include "mailbox.h"

enum {
	P_ID,
	P_NAME,
	P_PARENT,
	P_ROLE,
	P_SORT,
	P_TOTAL,
	P_UNREAD,
	P_THREADS,
	P_UNREAD_THREADS,
	P_RIGHTS,
	P_SUBSCRIBED,
	P_SHARES
};
static const char *const properties[] = { "id", "name", "parentId", "role", "sortOrder",
	"totalEmails", "unreadEmails", "totalThreads", "unreadThreads", "myRights", "isSubscribed",
	"shareWith", NULL };
#define COUNTS                                                                                     \
	(UINT64_C(1) << P_TOTAL | UINT64_C(1) << P_UNREAD | UINT64_C(1) << P_THREADS |             \
	    UINT64_C(1) << P_UNREAD_THREADS)

struct mailbox_get {
	struct call_ids ids; /* list NULL: all */
	bool *missing;
	uint64_t want;
	uint64_t modseq; /* that the answer is begun for; 0: none is */
	size_t at;
	struct counting *counting;
};

int64_t
mailbox_sort_order(const struct folder *f)
{
	static const uint8_t orders[] = { [STORE_USE_NONE] = 10,
		[STORE_USE_DRAFTS] = 2,
		[STORE_USE_SENT] = 3,
		[STORE_USE_ARCHIVE] = 4,
		[STORE_USE_JUNK] = 5,
		[STORE_USE_TRASH] = 6,
		[STORE_USE_ALL] = 7,
		[STORE_USE_FLAGGED] = 8 };

	if (slice_eq(f->name, S("INBOX")))
		return 1;
	return f->special < NELEM(orders) ? orders[f->special] : 10;
}

void
mailbox_put_rights(struct buf *b, const struct call *c, const struct folder *f)
{
	bool own = !c->of.guest, changes = own && !slice_eq(f->name, S("INBOX"));
	uint32_t r = f->attrs & STORE_NOSELECT ? 0 : f->rights;

	json_put_object(b, "myRights");
	json_put_bool(b, "mayReadItems", r & STORE_R_READ);
	json_put_bool(b, "mayAddItems", r & STORE_R_INSERT);
	json_put_bool(b, "mayRemoveItems", (r & STORE_R_DELETE) && (r & STORE_R_EXPUNGE));
	json_put_bool(b, "maySetSeen", r & STORE_R_SEEN);
	json_put_bool(b, "maySetKeywords", r & STORE_R_WRITE);
	json_put_bool(b, "mayCreateChild", own);
	json_put_bool(b, "mayRename", changes);
	json_put_bool(b, "mayDelete", changes);
	json_put_bool(b, "maySubmit", r & STORE_R_POST);
	if (mailbox_shares_used(c))
		json_put_bool(b, "mayShare", own);
	buf_char(b, '}');
}

static void
mailbox_write(struct call *c, const struct folder *f, uint64_t want,
    const struct folder_counts *counts)
{
	struct buf *b = call_out(c);
	const char *role = folder_role(f);

#define WANT(p) (want & UINT64_C(1) << (p))
	json_element(b);
	buf_char(b, '{');
	json_key(b, "id");
	jmap_id_json(b, JMAP_MAILBOX, f->objectid);
	if (WANT(P_NAME))
		json_put_str(b, "name", f->leaf);
	if (WANT(P_PARENT)) {
		json_key(b, "parentId");
		if (f->parent == FOLDER_NONE)
			buf_lit(b, "null");
		else
			jmap_id_json(b, JMAP_MAILBOX, call_folders(c)->list[f->parent].objectid);
	}
	if (WANT(P_ROLE) && role)
		json_put_cstr(b, "role", role);
	else if (WANT(P_ROLE))
		json_put_null(b, "role");
	if (WANT(P_SORT))
		json_put_i64(b, "sortOrder", mailbox_sort_order(f));
	if (WANT(P_TOTAL))
		json_put_i64(b, "totalEmails", counts->emails);
	if (WANT(P_UNREAD))
		json_put_i64(b, "unreadEmails", counts->unread);
	if (WANT(P_THREADS))
		json_put_i64(b, "totalThreads", counts->threads);
	if (WANT(P_UNREAD_THREADS))
		json_put_i64(b, "unreadThreads", counts->unread_threads);
	if (WANT(P_RIGHTS))
		mailbox_put_rights(b, c, f);
	if (WANT(P_SUBSCRIBED))
		json_put_bool(b, "isSubscribed", f->subscribed);
	if (WANT(P_SHARES))
		mailbox_put_shares(c, f);
	buf_char(b, '}');
#undef WANT
}

static enum call_next
mailbox_get_start(struct call *c)
{
	struct mailbox_get *g = c->data;
	enum call_next next;

	if (!call_account_shared(c, &next) || !call_ids(c, &g->ids, &next) ||
	    !call_properties(c, properties, &g->want, &next))
		return next;
	if (!mailbox_shares_used(c) && g->want == UINT64_MAX)
		g->want &= ~(UINT64_C(1) << P_SHARES);
	if (!mailbox_shares_used(c) && (g->want & UINT64_C(1) << P_SHARES))
		return call_invalid(c, "properties: there is no such property");
	g->missing = arena_array(&c->arena, g->ids.n + 1, sizeof(*g->missing));
	return CALL_AGAIN;
}

static const struct folder *
mailbox_get_next(const struct call *c, const struct mailbox_get *g)
{
	const struct folders *f = call_folders(c);

	return g->ids.list ? folders_find_id(c, g->ids.list[g->at]) : &f->list[g->at];
}

static void
mailbox_get_begin(struct call *c, struct mailbox_get *g, uint64_t modseq)
{
	call_out(c)->n = c->at;
	g->modseq = modseq + 1;
	g->at = 0;
	call_answer(c);
	call_put_account(c);
	call_put_state(c, "state", modseq);
	json_put_array(call_out(c), "list");
}

static enum call_next
mailbox_get_go(struct call *c)
{
	struct mailbox_get *g = c->data;
	struct store_account a;
	size_t n;
	int rc;
	enum call_next next = folders_begin(c, &a, &rc);

	if (rc < 0)
		return call_failed(c, rc);
	if (next == CALL_AGAIN)
		return next;
	if (g->modseq != a.modseq + 1)
		mailbox_get_begin(c, g, a.modseq);
	for (n = g->ids.list ? g->ids.n : call_folders(c)->n; g->at < n; g->at++) {
		const struct folder *f = mailbox_get_next(c, g);
		struct folder_counts counts = { 0 };

		rc = 1;
		if (f && (g->want & COUNTS) && folder_readable(f))
			rc = counts_go(c, f, &g->counting, &counts);
		if (rc <= 0)
			break;
		if (f)
			mailbox_write(c, f, g->want, &counts);
		else
			g->missing[g->at] = true;
	}
	store_end(call_view(c));
	if (rc < 0)
		return call_failed(c, rc);
	if (g->at < n)
		return CALL_AGAIN;
	buf_char(call_out(c), ']');
	call_put_not_found(c, &g->ids, g->missing);
	return call_end(c);
}

static void
mailbox_get_undo(struct call *c)
{
	struct mailbox_get *g = c->data;

	counts_drop(g->counting);
}

const struct jmapd_method mailbox_get = { "Mailbox/get", JMAP_MAIL, sizeof(struct mailbox_get),
	mailbox_get_start, mailbox_get_go, mailbox_get_undo };
