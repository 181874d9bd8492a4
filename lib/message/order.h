/* message/order.h: what messages are put in order by: the date and the header fields of RFC 5256, as
 * they stand in the message, from its digest or from its header.
 *
 * Used by SORT and THREAD, for each message of a mailbox: nothing is copied or decoded here. */
#ifndef MESSAGE_ORDER_H
#define MESSAGE_ORDER_H
#include "base/arena.h"
#include "message/digest.h"

/* Of a header, so much is looked at: more is an attack. */
#define MESSAGE_ORDER_HEADER (1024 * 1024)

struct message_order {
	bool dated;      /* there is a Date that can be read */
	int64_t sent_at; /* unix seconds */
	/* The first field of that name, folds included; p NULL: there is none, or it was not asked for.
	 * Borrowed from the record or the header. */
	struct slice value[MESSAGE_FIELDS];
};

/* `fields`: bit of each enum message_field that is wanted.  0; -ENODATA: the digest does not know all
 * of it, and the header must be asked; -EBADMSG. */
int message_order_digest(struct slice record, unsigned fields, struct message_order *o) MUSTCHECK;
void message_order_header(struct slice header, unsigned fields, struct message_order *o);
#endif
