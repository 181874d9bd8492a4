/* imapd/reply.c: what goes before and into tagged answers: the mailbox's news (RFC 3501 7.1) and the
 * response codes for what stored says (RFC 5530). */
#include "context.h"
#include "metadata.h"
#include "notify.h"

#include <errno.h>

#include "base/log.h"

enum imap_next
reply_news(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	enum imap_next next = s->updating || notify_has_metadata(s) ? IMAP_NEXT : metadata_news(s);

	if (next != IMAP_NEXT || !s->view)
		return next;
	/* RFC 5465 5: "can be used as a snapshot facility" */
	if (notify_is_quiet(s) &&
	    ((imap->cmd->flags & (IMAP_SETS | IMAP_WRITES)) == IMAP_SETS ||
		imap->cmd->run == cmd_idle))
		return IMAP_NEXT;
	if (!s->sync)
		s->sync = arena_new(&imap->arena, sizeof(*s->sync));
	s->sync->expunge = imap->uid || !(imap->cmd->flags & IMAP_SEQS);
	s->sync->uid = imap->uid;
	next = s->updating ? IMAP_NEXT : view_sync(s, s->sync);
	if (next == IMAP_NEXT)
		next = contexts_more(s);
	if (next != IMAP_CLOSE)
		return next;
	imap->doomed = true; /* BYE has been said: the tagged answer follows it */
	return IMAP_NEXT;
}

enum imap_next
reply_no_store(struct session *s, const struct store_reply *r, const char *missing)
{
	static const char *const codes[] = {
		[STORE_AWAY] = "UNAVAILABLE",
		[STORE_EXISTS] = "ALREADYEXISTS",
		[STORE_OVERQUOTA] = "OVERQUOTA",
		[STORE_FULL] = "UNAVAILABLE",
		[STORE_BADNAME] = "CANNOT",
		[STORE_CANNOT] = "CANNOT",
		[STORE_LIMIT] = "LIMIT",
		[STORE_FAILED] = "UNAVAILABLE",
		[STORE_REFUSED] = "SERVERBUG",
		[STORE_UNSUPPORTED] = "UNAVAILABLE",
		[STORE_FORBIDDEN] = "NOPERM",
		[STORE_DAMAGED] = "CORRUPTION",
	};
	const char *code = r->code == STORE_NOMAILBOX ? missing :
	    (size_t)r->code < NELEM(codes)            ? codes[r->code] :
							NULL;

	/* NO would say that nothing has happened, and the client would do it again.  Without an
	 * answer it looks first (RFC 9051 7.1.5: BYE may come at any time). */
	if (r->code == STORE_UNSURE) {
		imap_server_untagged(&s->imap, "BYE [UNAVAILABLE] %s", r->verdict.text);
		s->imap.line.why = "unsure";
		return IMAP_CLOSE;
	}
	return imap_server_finish(&s->imap, "NO", "[%s] %s", code ? code : "SERVERBUG",
	    r->verdict.text);
}

enum imap_next
reply_no_mailbox(struct imap_server *imap, int rc, const char *missing)
{
	switch (rc) {
	case -ENOENT: return imap_server_no(imap, missing, "No such mailbox");
	case -EACCES: return place_no_right(imap);
	case -EBADMSG:
		return imap_server_no(imap, "CORRUPTION",
		    "The mailbox is damaged: an administrator can repair it");
	default: return imap_server_no(imap, "UNAVAILABLE", "The mailbox cannot be read");
	}
}

void
session_log_deed(struct session *s, const char *how, const struct store_reply *r, struct slice to)
{
	struct store_mailbox m = { 0 };
	uint64_t n = 0;

	for (size_t i = 0; i < r->nuids; i++)
		n += (uint64_t)(r->uids[i].last - r->uids[i].first) + 1;
	if (r->verdict.kind != OK || n == 0 || session_snapshot(s) < 0)
		return;
	if (store_get_mailbox(session_reader(s), s->view->mailbox, &m) < 0)
		m.name = S("?");
	log_event(LOG_INFO, "expunge", "sid=%s user=%s mailbox=%s how=%s to=%s messages=%llu",
	    s->sid, log_str(s->user->account), log_value(m.name), how, log_value(to),
	    (unsigned long long)n);
	store_end(session_reader(s));
}
