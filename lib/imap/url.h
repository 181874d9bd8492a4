/* imap/url.h: IMAP URLs that name a message, or a part of one, of the account that is logged in: the
 * relative ones of RFC 5092, as CATENATE has them (RFC 4469).
 *
 *	/mailbox[;UIDVALIDITY=n]/;UID=n[/;SECTION=section][/;PARTIAL=offset[.length]]
 *	;UID=n...		of the mailbox that is selected
 *
 * Pure.  A URL with a server, of another scheme, with a search or an authorization is none of these. */
#ifndef IMAP_URL_H
#define IMAP_URL_H
#include "imap/fetch.h"

struct imap_url {
	struct slice mailbox; /* UTF-8, INBOX in upper case; p NULL: the one that is selected */
	uint32_t uidvalidity; /* 0: not said */
	uint32_t uid;
	struct imap_section section; /* IMAP_SECTION_ALL without a path: the message */
	bool partial, to_end;        /* to_end: no length was given */
	uint64_t offset, length;
};
/* False: it is none.  What it has lies in the arena. */
bool imap_url_parse(struct slice text, struct arena *a, struct imap_url *u);
#endif
