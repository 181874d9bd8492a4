/* daemon/sessions.h: what a daemon shows of its sessions to the verbs of the control socket that are
 * the same everywhere: who, kick, drain SECONDS, cache (daemon/admin.c; tmctl(8)). */
#ifndef DAEMON_SESSIONS_H
#define DAEMON_SESSIONS_H
#include "base/buf.h"

/* A session as operators see it; borrowed while it is shown. */
struct daemon_session {
	void *session; /* the daemon's own */
	const char *sid;
	const char *protocol; /* "imap" */
	const char *state;    /* a word: "login", "selected" */
	const char *user;     /* uid@domain; NULL before the login */
	const char *peer;     /* without port */
	const char *store;    /* the host behind it; NULL = this one, or none yet */
	bool tls;
	uint64_t began_ms; /* clock_mono_ms */
};

/* How a session is ended. */
enum daemon_end {
	SESSION_AT_REST, /* when that disturbs nothing, with words if the protocol has some */
	SESSION_NOW      /* also in the middle of something */
};

struct daemon_sessions {
	/* Shows every live session to `each` until it returns false; `each` may end the one that it is
	 * shown. */
	void (*walk)(bool (*each)(void *arg, const struct daemon_session *s), void *arg);
	/* True: this call has ended it, or it will end as soon as it is at rest, without being asked again.
	 * False: it is not at rest, ask again; or it was ending before. */
	bool (*end)(void *session, enum daemon_end how);
	/* What is remembered of this account goes, of all when it is empty. */
	void (*forget)(struct slice account);
	/* Appends a line about what is remembered. */
	void (*cache)(struct buf *out);
	/* 0 .. 100: how much of what this process may take is taken, for load balancers; may be NULL. */
	unsigned (*load)(void);
};
#endif
