/* imapd/notices-metadata.c: annotations that others have set, told by NOTIFY: RFC 5465 5.6, 5.7, RFC 5464 4.4.2.
 *
 * Called by notices.c, inside snapshots; how it is told is metadata-news.c's.  Can fail: nothing.  Must stay true:
 * nobody is told of what he may not read. */
#include "metadata.h"
#include "notify.h"

bool
notify_has_metadata(const struct session *s)
{
	return s->notify && s->notify->any & (IMAP_NOTIFY_METADATA | IMAP_NOTIFY_SERVER);
}

/* The name by which it is told; false: it is not. */
static bool
metadata_wanted(struct session *s, void *arg, uint64_t mailbox, struct slice *name)
{
	const struct watching *w = arg;
	struct store_mailbox m;
	bool wanted;

	if (!mailbox)
		wanted = w->own && s->notify->any & IMAP_NOTIFY_SERVER;
	else if (store_get_mailbox(w->account->home->view, mailbox, &m) < 0 ||
	    (!w->own && !metadata_may(watch_rights(w, &m))))
		wanted = false;
	else {
		*name = watch_name(s, w, m.name);
		wanted = notify_wants(s, *name, w->own) & IMAP_NOTIFY_METADATA;
	}
	metric_add(M_NOTIFIED, wanted);
	return wanted;
}

enum imap_next
notices_metadata(struct session *s, struct watching *w)
{
	return annots_tell(s, &w->annots, w->account->home->view, slice_str(w->account->name),
	    metadata_wanted, w);
}
