/* imapd/notices-metadata.c: annotations that others have set, told by NOTIFY: RFC 5465 5.6, 5.7, RFC 5464 4.4.2.
 *
 * Called by notices.c, inside snapshots, when stored has said that some were set.  Can fail: nothing.  Must stay true: nobody
 * is told of what he may not read, nor of what this session has set itself.  Cost: a walk over the annotations of
 * the account, once for any number of changes; it stops between mailboxes. */
#include "metadata.h"
#include "notify.h"

bool
notify_has_metadata(const struct session *s)
{
	return s->notify && s->notify->any & (IMAP_NOTIFY_METADATA | IMAP_NOTIFY_SERVER);
}

/* The name by which it is told; false: it is not. */
static bool
metadata_wanted(struct session *s, const struct watching *w, uint64_t mailbox, struct slice *name)
{
	struct store_mailbox m;

	*name = S("");
	if (!mailbox)
		return w->own && s->notify->any & IMAP_NOTIFY_SERVER;
	if (store_get_mailbox(w->account->home->view, mailbox, &m) < 0 ||
	    (!w->own && !metadata_may(watch_rights(w, &m))))
		return false;
	*name = watch_name(s, w, m.name);
	return notify_wants(s, *name, w->own) & IMAP_NOTIFY_METADATA;
}

static bool
metadata_is_new(const struct session *s, const struct watching *w, const struct store_annot *a)
{
	const struct session_annots *own = s->annots;

	if (a->modseq <= w->annotated ||
	    (a->login.n && !slice_eq(a->login, slice_str(s->user->account))))
		return false;
	return !(a->modseq == own[0].own && a->mailbox == own[0].own_mailbox) &&
	    !(a->modseq == own[1].own && a->mailbox == own[1].own_mailbox);
}

enum imap_next
notices_metadata(struct session *s, struct watching *w)
{
	struct buf *b = session_out(s);
	struct store_annot_walk walk;
	struct store_account account;
	struct store_annot a;
	struct slice name;
	uint64_t at = UINT64_MAX;
	bool open = false;

	if (!w->annots ||
	    store_find_account(w->account->home->view, slice_str(w->account->name), &account) < 0)
		return IMAP_NEXT;
	store_annot_walk_account(&walk, w->account->account, w->annots_from);
	while (store_annot_next(w->account->home->view, &walk, &a)) {
		if (!metadata_is_new(s, w, &a))
			continue;
		if (a.mailbox != at) {
			if (open)
				buf_lit(b, "\r\n");
			open = false;
			at = w->annots_from = a.mailbox;
			if (b->n >= STREAM_HIGH)
				return IMAP_FULL;
			open = metadata_wanted(s, w, a.mailbox, &name);
			if (open) {
				metric_add(M_NOTIFIED, 1);
				buf_lit(b, "* METADATA ");
				session_write_mailbox(s, name);
			}
		}
		if (open) {
			buf_char(b, ' ');
			imap_entry_write(b, !a.login.n, a.name);
		}
	}
	if (open)
		buf_lit(b, "\r\n");
	w->annots = false;
	w->annots_from = 0;
	w->annotated = account.modseq;
	return IMAP_NEXT;
}
