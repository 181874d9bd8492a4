/* imapd/session.h: what a connection is to imapd: imap/server's session with a user, a view of the
 * selected mailbox, and its place among the watchers.
 *
 * The protocol's own matters (lines, literals, order, cursors, time) are imap/server's; here is
 * what needs the store.  A handler gets the server's session and finds its own by session_of().
 * RFC 2177, 2342, 2971, 3348, 3501, 3502, 3691, 4315, 4467, 4469, 4731, 4959, 5032, 5161, 5182, 5256, 5258, 5267,
 * 5464, 5465, 5819, 5957, 6154, 6851, 7162 (CONDSTORE), 7377, 7888, 7889, 8437, 8438, 8474, 8508, 8514, 9208, 9394, 9590, 9738. */
#ifndef IMAPD_SESSION_H
#define IMAPD_SESSION_H
#include "base/must.h"
#include "daemon/daemon.h"
#include "daemon/sessions.h"
#include "imap/list.h"
#include "imap/server.h"
#include "imap/write.h"
#include "imapd.h"
#include "login/proxy.h"
#include "login/watch.h"
#include "store/watch.h"
#include "view.h"

#define SESSION_MAGIC 0x494d4150u

/* What ENABLE switches on (RFC 5161): bits.  CONDSTORE is a bool beside them, as much else than ENABLE
 * switches it on too. */
enum session_enable {
	SESSION_CONDSTORE = 1,
	SESSION_QRESYNC = 2,
	SESSION_UTF8 = 4,     /* UTF8=ACCEPT, RFC 6855 */
	SESSION_REV2 = 8,     /* IMAP4rev2, RFC 9051 */
	SESSION_UIDONLY = 16, /* RFC 9586 */
	SESSION_METADATA = 32 /* RFC 5464 4.1: it is told of annotations */
};

/* Telling of what others have set in an account: all up to `told`, by the account's counter. */
struct annots_news {
	bool due;       /* some have been set, and no walk has begun for them */
	uint64_t told;  /* whatever events still come */
	uint64_t until; /* a walk that has begun tells up to here; 0: there is none */
	uint64_t from;  /* it goes on with this mailbox */
};

/* Annotations of one's own account, and of somebody else's mailbox that is selected: metadata-news.c. */
struct session_annots {
	uint64_t own, own_mailbox; /* modseq of what this session has set last, and where */
	uint64_t mailbox;          /* of somebody else, that the news are of */
	struct annots_news news;
};

struct session {
	uint32_t magic;
	uint8_t failures; /* of login */
	bool condstore;   /* RFC 7162 3.1: enabled */
	uint8_t enabled;  /* enum session_enable */
	bool loopback;    /* the peer is on this host */
	bool proxy;       /* the peer may act for users: until the login */
	bool behind;      /* ... was one: what comes now comes through it */
	bool full;        /* limit.per_client of whom it speaks for is reached */
	bool stale;       /* something has happened in the selected mailbox, which is listened to */
	bool idling;
	bool itself; /* the request to stored that is made now is in nobody's name */
	char sid[14];
	char app[LOGIN_WORD_ID + 1]; /* a proxy's client has shown this application password */
	struct imap_server imap;
	struct list link;      /* imapd.sessions; on no list once it has left */
	struct list idle_link; /* box.sessions, while listening to the selected mailbox */
	uint32_t
	    limited; /* the command in flight works on UIDs from here on alone (limit.h); 0: on all */
	struct box *box;
	struct login_watch watch; /* from then on */
	struct login *login;      /* while it lasts */
	struct admit admit;
	char peer[ADDR_TEXT]; /* without port, for logs */
	struct daemon_listen *listen;
	struct user *user;       /* from AUTH on */
	struct view *view;       /* SELECTED */
	struct sync *sync;       /* in the command's arena: the news that go before its answer */
	struct list annots_link; /* imapd.annotated */
	struct session_annots annots[2]; /* of one's own account; of the selected mailbox */
	struct notify *notify;           /* NOTIFY has been used (notify.h) */
	struct updating *updating; /* in the arena: searches are brought up to date (context.c) */
	struct telling *telling;   /* in the arena: what is told unasked (notices.c) */
};

static inline struct session *
session_of(struct imap_server *imap)
{
	return CAST(CONTAINER(imap, struct session, imap), struct session, SESSION_MAGIC);
}

extern const struct admit_service imapd_admit;
void session_new(struct daemon_listen *l, int fd);
void session_drain_all(void);
/* Ends all sessions of an account; how many. */
size_t session_end_user(struct slice account);
extern const struct daemon_sessions session_verbs;
/* A proxy has told of its client: he is the peer from now on. */
void session_forwarded(struct session *s, const struct login_forward *f);
/* The login succeeded: whose mail it is. */
void session_begin(struct session *s, struct user *u);
/* Groups matter from now on, if a mailbox names one.  No snapshot may be open. */
void session_groups(void);
/* For whom a request to stored is whose answer this op of a session waits for. */
struct store_person session_actor(struct op *op);
/* No mailbox is selected any more. */
void session_deselect(struct session *s);
/* A command that enables CONDSTORE: the first one with a mailbox selected is told from where on the
 * client may count.							RFC 7162 3.1 */
void session_condstore(struct session *s);

/* First letters of object ids, so that one is never taken for another (RFC 8474 7). */
#define SESSION_MAILBOXID IMAP_MAILBOXID
#define SESSION_EMAILID   'M'
#define SESSION_THREADID  'T'
/* "(F0123456789abcdef)": of a mailbox. */
void session_write_mailboxid(struct buf *b, const struct store_mailbox *m);

/* reply.c */
/* Who deleted my mail: for the log, when messages have left the selected mailbox; nothing when none
 * have.  `how` is a literal, `to` empty or where they went. */
void
session_log_deed(struct session *s, const char *how, const struct store_reply *r, struct slice to);
/* NO with the response code that fits what stored says; `missing` is the code for a mailbox
 * that is not there. */
enum imap_next reply_no_store(struct session *s, const struct store_reply *r, const char *missing);
/* The same for what a reader says, an -errno. */
enum imap_next reply_no_mailbox(struct imap_server *imap, int rc, const char *missing);
/* imap_policy.news: what s->sync, if a command left one, does not already know. */
enum imap_next reply_news(struct imap_server *imap);
static inline struct buf *
session_out(struct session *s)
{
	return imap_server_out(&s->imap);
}
/* Where the selected mailbox is, which may be somebody else's; else one's own account. */
static inline struct store_home *
session_home(struct session *s)
{
	return s->view && s->view->home ? s->view->home : s->user->part;
}
/* Whose it is. */
static inline const char *
session_owner(const struct session *s)
{
	return s->view && s->view->owner ? s->view->owner : s->user->account;
}
static inline struct store_view *
session_reader(struct session *s)
{
	return session_home(s)->view;
}
/* Who it is for the store. */
static inline struct store_person
session_person(const struct session *s)
{
	return login_groups_person(s->user->groups);
}
/* For whom changes there are looked for: whoever has a \Seen of his own there, or 0. */
static inline uint64_t
session_sees(const struct session *s)
{
	return s->view && s->view->home ? s->user->id : 0;
}
/* A snapshot there: of somebody else's mailbox as this user has seen it. */
static inline int
session_snapshot(struct session *s)
{
	return s->view && s->view->home ?
	    store_begin_as(session_home(s)->view, slice_str(s->user->account)) :
	    store_begin(session_reader(s));
}

/* " FETCH (" behind a message's number, or " UIDFETCH (" behind its UID (RFC 9586 3.3). */
#define SESSION_FETCH_MOST 11
static inline char *
fetch_verb_at(char *p, const struct session *s)
{
	size_t n = s->imap.uidonly ? SESSION_FETCH_MOST : 8;

	memcpy(p, s->imap.uidonly ? " UIDFETCH (" : " FETCH (", n);
	return p + n;
}

static inline void
session_write_mailbox(struct session *s, struct slice name)
{
	imap_write_mailbox(session_out(s), name, s->imap.utf8);
}

extern const struct imap_command imapd_commands[];          /* commands.c; ended by a NULL name */
extern const struct imap_capability session_capabilities[]; /* capability.c; the same */
/* When a row of it is said, beside enum imap_when. */
enum session_when {
	SESSION_PROXY = IMAP_OWN,             /* to a proxy, before it logs somebody in */
	SESSION_DIRECT = IMAP_OWN * 2,        /* after the login of one that came without */
	SESSION_ANY_LITERALS = IMAP_OWN * 4,  /* whatever is configured when it began: */
	SESSION_LIMITED = IMAP_OWN * 16,      /* commands work on some messages at once */
	SESSION_SETS_QUOTA = IMAP_OWN * 32,   /* after the login of one who may */
	SESSION_SCRIPTS = IMAP_OWN * 64,      /* scripts run for what people do, and it is told */
	SESSION_SHORT_LITERALS = IMAP_OWN * 8 /* literals that are not waited for are short ones */
};

/* Handlers, by file. */
enum imap_next cmd_id(struct imap_server *, struct imap_in *);     /* any.c */
enum imap_next cmd_enable(struct imap_server *, struct imap_in *); /* capability.c */
enum imap_next cmd_compress(struct imap_server *, struct imap_in *);
enum imap_next cmd_namespace(struct imap_server *, struct imap_in *);
enum imap_next cmd_select(struct imap_server *, struct imap_in *); /* select.c */
enum imap_next cmd_examine(struct imap_server *, struct imap_in *);
enum imap_next cmd_close(struct imap_server *, struct imap_in *);
enum imap_next cmd_unselect(struct imap_server *, struct imap_in *);
enum imap_next cmd_create(struct imap_server *, struct imap_in *); /* mailbox.c */
enum imap_next cmd_delete(struct imap_server *, struct imap_in *);
enum imap_next cmd_rename(struct imap_server *, struct imap_in *);
enum imap_next cmd_subscribe(struct imap_server *, struct imap_in *);
enum imap_next cmd_unsubscribe(struct imap_server *, struct imap_in *);
enum imap_next cmd_status(struct imap_server *, struct imap_in *); /* status.c */
enum imap_next cmd_list(struct imap_server *, struct imap_in *);   /* list.c */
enum imap_next cmd_lsub(struct imap_server *, struct imap_in *);
enum imap_next cmd_append(struct imap_server *, struct imap_in *); /* append.c */
enum imap_next append_begin(struct imap_server *, struct imap_in *, uint64_t size);
enum imap_next cmd_replace(struct imap_server *, struct imap_in *);
enum imap_next replace_begin(struct imap_server *, struct imap_in *, uint64_t size);
bool session_sets_quota(const struct session *s); /* quota.c: is he one of quota.admins? */
enum imap_next cmd_getquota(struct imap_server *, struct imap_in *);
enum imap_next cmd_getquotaroot(struct imap_server *, struct imap_in *);
enum imap_next cmd_setquota(struct imap_server *, struct imap_in *);
enum imap_next cmd_genurlauth(struct imap_server *, struct imap_in *); /* urlauth.c */
enum imap_next cmd_resetkey(struct imap_server *, struct imap_in *);
enum imap_next cmd_urlfetch(struct imap_server *, struct imap_in *); /* urlfetch.c */
enum imap_next cmd_setacl(struct imap_server *, struct imap_in *);   /* acl.c */
enum imap_next cmd_deleteacl(struct imap_server *, struct imap_in *);
enum imap_next cmd_getacl(struct imap_server *, struct imap_in *);
enum imap_next cmd_listrights(struct imap_server *, struct imap_in *);
enum imap_next cmd_myrights(struct imap_server *, struct imap_in *);
enum imap_next cmd_getmetadata(struct imap_server *, struct imap_in *); /* metadata.c */
enum imap_next cmd_setmetadata(struct imap_server *, struct imap_in *);
enum imap_next cmd_unauthenticate(struct imap_server *, struct imap_in *); /* session.c */
enum imap_next cmd_fetch(struct imap_server *, struct imap_in *);          /* fetch.c */
enum imap_next cmd_search(struct imap_server *, struct imap_in *);         /* tell.c */
enum imap_next cmd_esearch(struct imap_server *, struct imap_in *);        /* multi.c */
enum imap_next cmd_cancelupdate(struct imap_server *, struct imap_in *);   /* context.c */
enum imap_next cmd_sort(struct imap_server *, struct imap_in *);           /* sort.c */
enum imap_next cmd_thread(struct imap_server *, struct imap_in *);         /* thread.c */
enum imap_next cmd_store(struct imap_server *, struct imap_in *);          /* flags.c */
enum imap_next cmd_copy(struct imap_server *, struct imap_in *);           /* copy.c */
enum imap_next cmd_move(struct imap_server *, struct imap_in *);
enum imap_next cmd_expunge(struct imap_server *, struct imap_in *);
enum imap_next cmd_idle(struct imap_server *, struct imap_in *);   /* idle.c */
enum imap_next cmd_notify(struct imap_server *, struct imap_in *); /* notify.c */

/* flags.c: is each keyword short enough for the store? */
bool flags_fit(const struct imap_flags *f);

/* auth.c: the policy's answers to LOGIN and AUTHENTICATE. */
enum imap_next auth_login(struct imap_server *, struct slice name, struct slice password);
enum imap_next
auth_sasl(struct imap_server *, struct slice mechanism, const struct slice *response);
enum imap_next auth_sasl_line(struct imap_server *, struct slice response);

/* idle.c */
/* May this session ask for the \Recent messages below uidnext?  Of the watchers of one mailbox only
 * the first does: the others would each ask for nothing. */
bool idle_may_reserve(struct session *s, uint32_t uidnext);
/* News have come for it: if it idles it is told now. */
void idle_wake(struct session *s);
static inline bool
idle_is_on(const struct session *s)
{
	return s->idling;
}
/* The command is over, or the connection.  imap->undo is not for this: what is told meanwhile may need it. */
void idle_over(struct session *s);
/* What is selected, IDLE or NOTIFY has changed: does the session listen to its mailbox now? */
void idle_listen(struct session *s);
void idle_events(void *arg, const struct store_event *ev, size_t n);

/* status.c: also for LIST-STATUS. */
enum status_item { /* rows that others ask for */
	STATUS_MESSAGES,
	STATUS_RECENT,
	STATUS_UIDNEXT,
	STATUS_UIDVALIDITY,
	STATUS_UNSEEN,
	STATUS_HIGHESTMODSEQ
};
extern const struct imap_status_item status_items[];
extern const size_t status_nitems;
/* What asking for these items means for the session. */
void status_asked(struct session *s, unsigned items);
/* Appends an untagged STATUS; inside a snapshot.  0; -ENOENT: no such mailbox; else it cannot be
 * read. */
int status_write(struct session *s, struct store_view *v, struct slice name, uint64_t mailbox,
    unsigned items);
/* acl.c: an untagged MYRIGHTS. */
void acl_write_mine(struct session *s, struct slice name, uint32_t rights);
#endif
