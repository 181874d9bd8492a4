/* imapd/happened.h: scripts for what people do to messages (RFC 6785), of all accounts of this store.
 *
 * stored keeps what happened until it is handled; here it is taken in its order, a message at a time, to lmtpd, which
 * runs the script, and flags of the message are changed as that says.  Of all worker processes the first does it. */
#ifndef IMAPD_HAPPENED_H
#define IMAPD_HAPPENED_H
#include "base/buf.h"

void happened_init(const char *stored_socket);
/* Something has happened, or may have. */
void happened_look(void);
/* The process ends: what is under way is done again by the next one. */
void happened_stop(void);
void happened_status(struct buf *b);
#endif
