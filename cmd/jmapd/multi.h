/* jmapd/multi.h: which emails of an account are in more places than one.
 *
 * Most are in one, and then the record in hand says all about keywords and mailboxes, without a look for the others.
 * A set for each user, of this worker: it may have emails that are in one place by now, and never lacks one that
 * is in several. */
#ifndef JMAPD_MULTI_H
#define JMAPD_MULTI_H
#include "folders.h"
#include "idset.h"

struct multi {
	struct idset set;
	uint64_t modseq; /* of the account, that the set is good for */
	bool good;
	/* while it is made */
	bool making;
	uint64_t
	    since; /* the counter when that began: what has come behind it is looked at after */
	uint64_t *mailboxes;
	size_t nmailboxes, mailbox;
	uint32_t uid;
	struct idset seen;
};
/* Brings the set up to the snapshot that is open, which has this account and its table of folders.  DONE; AGAIN: the
 * snapshot has been ended. */
enum call_next multi_go(struct call *c, const struct store_account *a);
/* Inside such a snapshot, behind multi_go. */
bool multi_has(const struct call *c, uint64_t emailid);
void multi_free(struct multi **m);
#endif
