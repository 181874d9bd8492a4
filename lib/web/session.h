/* web/session.h: who is logged in: a cookie that is sealed, so that any host of a service knows it and none
 * keeps it.
 *
 * A session ends after `idle` seconds without a request, and `life` seconds after the login whatever was
 * asked.  The cookie is written anew now and then (web_session_due), with the time of the last request.
 *
 *	text = ("1" / "2" / "3" / "4") SP login-time SP last-time SP id SP account	seconds since 1970
 *
 * The account is all of the rest: a uid may have blanks in it, and its first word may be somebody else's uid.
 * There was a reader that took that word, so such ones are sealed as "2", which it does not know.  "3" is one that began
 * with a code of the second factor: the others end when there is one.  "4" is one that began at the site's provider, whose
 * the second factor is, and which hears of its end.  Another first word is another layout, and then the person logs in again. */
#ifndef WEB_SESSION_H
#define WEB_SESSION_H
#include "web/seal.h"

#define WEB_SESSION_ID      13
#define WEB_SESSION_ACCOUNT 320 /* octets of uid@domain, at most */

struct web_session {
	int64_t began, seen;         /* seconds since 1970 */
	bool coded;                  /* a code of the second factor was given when it began */
	bool signed_on;              /* it began at the site's provider; `coded` too then */
	char id[WEB_SESSION_ID + 1]; /* one for each login, for logs */
	char account[WEB_SESSION_ACCOUNT + 1];
};
struct web_session_rules {
	int64_t idle_s, life_s;
};

/* Can the account be said in a cookie and in a field of a request, and be read there as what it is?  Not with controls
 * or a blank in front, nor when it is too long. */
bool web_session_account(struct slice account);
/* A new one of `account`; false when it is none such. */
bool web_session_begin(struct web_session *s, struct slice account, int64_t now) MUSTCHECK;
/* Appends the cookie's value. */
void web_session_seal(const struct web_keys *k, const struct web_session *s, struct buf *b);
/* What `token` says; false when it is nobody's, or over.  *due: it is to be sealed anew. */
bool web_session_open(const struct web_keys *k, const struct web_session_rules *rules,
    struct slice token, int64_t now, struct web_session *s, bool *due) MUSTCHECK;
/* Seconds until it ends if nothing is asked any more. */
int64_t
web_session_left(const struct web_session *s, const struct web_session_rules *rules, int64_t now);
#endif
