/* imapd/search.h: SEARCH in flight: the cursor (search.c) and the matching (match.c). */
#ifndef IMAPD_SEARCH_H
#define IMAPD_SEARCH_H
#include "imap/cache.h"
#include "imap/search.h"
#include "session.h"

/* The message that is looked at. */
struct candidate {
	struct store_record rec;
	bool recent;
	bool cached;             /* `cache` was looked for */
	struct imap_cache cache; /* `has` 0: none */
	struct slice file;       /* the whole message, once it is open */
	bool opened;
};
enum match { MATCH_NO, MATCH_YES, MATCH_NEEDS_FILE };

/* Does the message have what the key asks?  Inside a snapshot; without the file it answers
 * MATCH_NEEDS_FILE when the index and the cache cannot decide. */
enum match match_key(struct store_view *sv, const struct imap_key *k, struct candidate *c);
/* Readies a tree for this mailbox: sets are resolved (once), keywords found (per snapshot).
 * False: a sequence number that does not exist. */
bool match_resolve_sets(struct imap_key *k, const struct view *v, struct arena *a);
void match_resolve_keywords(struct imap_key *k, const struct store_mailbox *m);
#endif
