/* imapd/notices-groups.c: NOTIFY of somebody whose groups are others than before: mailboxes of others come into his sight,
 * or go, and no log has anything of it.
 *
 * Called where names are told, inside the snapshots.  Looks at each folder of the account once, in slices of time; what is
 * told meanwhile for another reason is not told again.  Nothing can fail. */
#include "base/mem.h"
#include "notify.h"

enum imap_next
notices_regrouped(struct session *s, struct watching *w)
{
	struct store_folder f = { .account = w->account->account };
	char name[STORE_NAME_MAX + 1] = "";
	size_t looked = 0;

	if (!w->regrouped)
		return IMAP_NEXT;
	slice_cstr(slice_str(w->regrouped), name, sizeof(name));
	f.name = slice_str(name);
	while (store_next_folder(w->account->home->view, &f)) {
		struct notify_change c = { .kind = NOTIFY_MADE, .mailbox = f.mailbox };

		slice_cstr(f.name, name, sizeof(name));
		f.name = slice_str(name);
		c.name = name;
		if (f.mailbox)
			notices_guest(s, w, &c);
		if (session_out(s)->n < STREAM_HIGH &&
		    (++looked % 16 || !line_session_spent(&s->imap.line)))
			continue;
		mem_release(w->regrouped);
		w->regrouped = mem_str(name);
		return session_out(s)->n >= STREAM_HIGH ? IMAP_FULL : IMAP_YIELD;
	}
	mem_free(&w->regrouped);
	return IMAP_NEXT;
}
