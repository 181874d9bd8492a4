/* message/refs.h: what a message refers to, and its base subject, as hashes: for threads (store/thread.h)
 * and for THREAD.  Pure; hostile fields cost their bytes. */
#ifndef MESSAGE_REFS_H
#define MESSAGE_REFS_H
#include "base/siphash.h"
#include "store/thread.h"

/* Scratch of whoever hashes many; zeroed at first. */
struct message_refs_room {
	struct buf decoded, single, form;
};
void message_refs_fini(struct message_refs_room *r);

/* The base subject of a Subject field's value (RFC 5256 2.1) as i;unicode-casemap has it, which lies in the room.
 * *reply: see imap_base_subject(). */
struct slice message_base_subject(struct message_refs_room *r, struct slice value, bool *reply);
/* The next reference of a message with these values of References and In-Reply-To, which lies in a value or in the
 * room: the IDs of References, or, when that has no valid one, the first of In-Reply-To (RFC 5256 3).  *at is
 * the value of References at first, and *any false. */
bool message_ref_next(struct message_refs_room *r, struct slice *at, struct slice in_reply_to,
    bool *any, struct slice *id);
/* All of it as the store wants it; the values are those of the first fields of their names, p NULL = there is none. */
void message_refs(struct slice id, struct slice in_reply_to, struct slice references,
    struct slice subject, struct store_refs *refs);
/* From the record of a message, whoever made that.  0; -ENODATA, -EBADMSG: its header must be asked. */
int message_refs_record(struct slice record, struct store_refs *refs) MUSTCHECK;
void message_refs_header(struct slice header, struct store_refs *refs);
#endif
