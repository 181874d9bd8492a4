/* imapd/context.h: searches that are kept up to date: CONTEXT=SEARCH, RFC 5267 4.3. */
#ifndef IMAPD_CONTEXT_H
#define IMAPD_CONTEXT_H
#include "session.h"

struct searching;
#define CONTEXT_MOST   16    /* of a session */
#define CONTEXT_RANGES 32768 /* of UIDs, in one */
#define CONTEXT_ALL    65536 /* in all of them */
#define CONTEXT_TEXT   8192  /* bytes of a search */

/* The search is over, and UPDATE was asked for: from now on its result is followed, or the client is told that
 * it is not ([NOUPDATE]).  `text` is what the command said. */
void context_open(struct session *s, struct searching *q);
/* Its result is not followed. */
void context_refuse(struct session *s, struct slice tag, const char *why);
bool context_has(const struct session *s, struct slice tag);
void contexts_free(struct view *v);
/* Before EXPUNGE: numbers that leave a result, while they mean what they did. */
void contexts_expunge(struct session *s, const struct store_range *gone, size_t n);
/* Behind the news of the mailbox: a cursor that tells what has come into results and what has left them.
 * IMAP_NEXT: that is all. */
enum imap_next contexts_more(struct session *s);
#endif
