/* login/watch.h: sessions that are open end when what they began with is no more: the password was changed, the
 * account or its domain closed, the entry is gone, a second factor was switched on, the application password that it
 * began with was taken away; and, where login.oauth_end says so, when the token has expired.
 *
 * A worker asks the directory every WATCH_MS, once for all its sessions, what has changed since it asked last
 * (modifyTimestamp, which slapd must index for equality), and looks at the entries that somebody has a session of.  So
 * it costs the same however many sessions there are; an entry that was removed is found within half an hour, an application password within a minute or, where there are
 * many (WATCH_APPS), as late as that.  What the directory cannot be asked now is asked later, and ends
 * nobody. */
#ifndef LOGIN_WATCH_H
#define LOGIN_WATCH_H
#include "base/list.h"
#include "login/login.h"

#define LOGIN_WATCH_MS 2000

/* In the session, zeroed before the first use. */
struct login_watch {
	struct list link;
	struct login_watched *of; /* NULL: not watched */
	enum login_purpose purpose;
	int64_t password_at;
	bool by_app;   /* an application password outlives the password */
	bool by_token; /* so does a token, */
	int64_t until; /* ... which ends then, unix seconds; 0: the session does not end with it */
	struct list expires; /* login_watcher.expiring, in that order; or none */
	bool had_factor;
	bool asked; /* about its application password, in this round */
	char app[LOGIN_WORD_ID + 1];
	void (*end)(struct login_watch *w);
};

/* From a login that was let in, until login_watch_leave: `end` is called once, from the loop, when the session is to
 * end; it is watched no more by then. */
void login_watch_enter(struct login_door *d, struct login_watch *w, const struct login_user *u,
    enum login_purpose purpose, void (*end)(struct login_watch *w));
void login_watch_leave(struct login_watch *w); /* harmless when it is not watched */
#endif
