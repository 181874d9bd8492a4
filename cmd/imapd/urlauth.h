/* imapd/urlauth.h: URLs that carry their authorization: URLAUTH, RFC 4467.
 *
 * A mailbox has a key for URLs, which is an annotation of its owner's that nobody is shown or may set: so it goes with the
 * mailbox, into backups, and to whatever partition the mailbox goes. */
#ifndef IMAPD_URLAUTH_H
#define IMAPD_URLAUTH_H
#include "imap/url.h"
#include "session.h"
#include "store/annot.h"

#define URLAUTH_MOST  100 /* URLs of a command */
#define URLAUTH_KEY   32  /* bytes */
#define URLAUTH_TOKEN 66  /* octets: the version, and 32 bytes in hexadecimal */

/* What the annotation of the URL's mailbox must make of its rump. */
void urlauth_token(const struct imap_urlauth *u, struct slice key, char token[URLAUTH_TOKEN + 1]);
/* The account that a name in a URL means: one without a domain is in this user's.  In the command's arena. */
struct slice urlauth_account(struct session *s, struct slice user);
/* The same of somebody whom the owner of a message names: without a domain he is in the owner's. */
struct slice urlauth_person(struct session *s, struct slice user, struct slice near);
/* Do clients know this server by the name? */
bool urlauth_is_here(struct slice server);
/* The mailbox of a URL of this account, inside its snapshot, and its key (borrowed from there; p NULL: it has none).  0;
 * -ENOENT: there is no such mailbox; or an error of ours. */
int urlauth_find(struct store_view *v, const struct imap_urlauth *u, uint64_t account,
    struct slice owner, uint64_t *mailbox, struct slice *key) MUSTCHECK;
#endif
