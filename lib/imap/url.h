/* imap/url.h: IMAP URLs that name a message, or a part of one: of the account that is logged in, the
 * relative ones of RFC 5092, as CATENATE has them (RFC 4469); and of anybody, with an authorization (RFC 4467).
 *
 *	/mailbox[;UIDVALIDITY=n]/;UID=n[/;SECTION=section][/;PARTIAL=offset[.length]]
 *	;UID=n...		of the mailbox that is selected
 *	imap://user@server/mailbox...;UID=n...[;EXPIRE=time];URLAUTH=access[:mechanism:token]
 *
 * Pure.  A URL of another scheme or with a search is none of these. */
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

/* Who may have it: a submission server in somebody's name, somebody, whoever has logged in, anybody. */
enum imap_url_access { IMAP_URL_SUBMIT, IMAP_URL_USER, IMAP_URL_AUTHUSER, IMAP_URL_ANONYMOUS };
struct imap_urlauth {
	struct slice user;   /* whose message it is */
	struct slice server; /* a name or address, without the port */
	struct imap_url url; /* with a mailbox */
	bool expires;
	int64_t expire; /* unix seconds */
	enum imap_url_access access;
	struct slice who;              /* of SUBMIT and USER */
	struct slice rump;             /* all up to here, as written */
	struct slice mechanism, token; /* as written; p NULL: it has no token yet */
};
/* False: it is none.  What it has lies in the arena and in the text.		RFC 4467 3, 9 */
bool imap_urlauth_parse(struct slice text, struct arena *a, struct imap_urlauth *u);
#endif
