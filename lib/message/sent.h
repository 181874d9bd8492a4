/* message/sent.h: the mark by which lmtpd knows that a client has stored its own copy of what its user sends.
 *
 * imapd leaves it when a message is appended to a folder with the use \Sent; lmtpd looks for it before it stores
 * the copy that submission makes (smtp-relay(8), submission.sent_copy).  Pure. */
#ifndef MESSAGE_SENT_H
#define MESSAGE_SENT_H
#include "message/digest.h"

#define MESSAGE_SENT_SECONDS (2 * 86400) /* that it stands: a store may be away meanwhile */

/* The mark's key (store_dup_key) of the message with this digest.  False: it has no Message-ID, or the digest does
 * not know it. */
bool message_sent_key(struct slice rec, uint8_t key[16]) MUSTCHECK;
#endif
