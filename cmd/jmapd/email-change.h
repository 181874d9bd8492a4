/* jmapd/email-change.h: changes of emails as requests to stored: one for all emails of a /set that change in
 * the same way in the same mailbox.
 *
 * Flags first, so that copies carry them; then copies, moves, and last what goes.  Each request is one
 * transaction; an email that one of them has failed for is left out of those that follow, so none is ever
 * taken out of a mailbox before it is in the other. */
#ifndef JMAPD_EMAIL_CHANGE_H
#define JMAPD_EMAIL_CHANGE_H
#include "email.h"

enum change_kind { CHANGE_FLAGS, CHANGE_COPY, CHANGE_MOVE, CHANGE_EXPUNGE, CHANGE_KINDS };

/* One email of the /set; the owner has the array. */
struct change_item {
	struct slice id;
	bool destroy;
	const char *error, *property, *why; /* of the SetError; NULL: it is good */
};
struct change_op;
struct email_changes {
	struct change_item *items;
	struct map ops; /* by what they do; they and their keys are in the call's arena */
	struct change_op *first[CHANGE_KINDS], *last[CHANGE_KINDS]; /* in the order they came */
	enum change_kind kind;
	struct change_op *running;
};
/* Adds the requests that make the email as the patch of an update says, or destroy it; inside a snapshot.
 * A patch that is wrong sets the item's error. */
void email_change_update(struct call *c, struct email_changes *ch, size_t item,
    const struct email *e, const struct json_t *patch);
void
email_change_destroy(struct call *c, struct email_changes *ch, size_t item, const struct email *e);
/* The next request: WAIT, and `go` is called again when it has its answer; DONE: that was the last. */
enum call_next email_change_go(struct call *c, struct email_changes *ch);
void email_change_fini(struct email_changes *ch);
#endif
