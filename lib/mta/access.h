/* mta/access.h: the access tables: what each is asked, and what its answer means; tiermail-mappings(5).
 *
 * The flags of an answer say what is done, and its text holds the arguments that some of them have, parted
 * by `|`, in one order whatever the order of the flags: $U $J $K $I $< $> $D $T $A $G $S $X $, and last the
 * text of $N or $F.  AUTH_REWRITE has its own: $J or $K, $Y or $T, $Z, the text; and DEQUEUE_ACCESS: $S, the
 * text.  An argument may also be named, `delay=30`, and stands anywhere then.
 *
 * smtp-relay, channel-master and mtatest go through here; pure. */
#ifndef MTA_ACCESS_H
#define MTA_ACCESS_H
#include "mail/verdict.h"
#include "mta/mapping.h"

#define MTA_ACCESS_DELAY_MAX 60000 /* ms: longer than this nobody is kept waiting */

enum mta_access_table {
	MTA_ACCESS_FROM, /* at MAIL */
	/* At RCPT: as the rules have left the address, and what has come of it.  The first two are told of
	 * channels and addresses, the others of the connection, too. */
	MTA_ACCESS_ORIG_SEND,
	MTA_ACCESS_SEND,
	MTA_ACCESS_ORIG_MAIL,
	MTA_ACCESS_MAIL,
	MTA_ACCESS_AUTH,    /* AUTH_REWRITE, when the header of a user's message is here */
	MTA_ACCESS_DEQUEUE, /* before a delivery is tried */
	MTA_ACCESS_TABLES
};
const char *mta_access_table(enum mta_access_table t); /* "SEND_ACCESS" */

/* What a probe is made of; nothing of it may be a field of its own that a client makes up, so `|` in a
 * value becomes %7C.  Each table takes what it has a place for. */
struct mta_access_probe {
	struct slice
	    port; /* "TCP|srv-addr|srv-port|cli-addr|cli-port", as it is; empty: not by TCP */
	struct slice helo;   /* the name of HELO or EHLO; empty: none was said */
	struct slice source; /* channel */
	struct slice from;   /* envelope sender; empty: the null sender */
	struct slice auth;   /* who has logged in; empty: nobody */
	struct slice dest;   /* channel */
	struct slice to;     /* recipient */
	/* AUTH_REWRITE. */
	struct slice header_sender, header_from;
	/* DEQUEUE_ACCESS. */
	struct slice file, parameter, priority, domain;
	int64_t queued_at; /* unix seconds */
};
void
mta_access_probe_write(struct buf *b, enum mta_access_table t, const struct mta_access_probe *p);

enum mta_access_action {
	MTA_ACCESS_NONE, /* nothing was said: the next table decides */
	MTA_ACCESS_ACCEPT,
	MTA_ACCESS_CLOSE,
	MTA_ACCESS_ALLOW,
	MTA_ACCESS_REJECT,
	MTA_ACCESS_HOLD,
	MTA_ACCESS_BITBUCKET,
	MTA_ACCESS_DISCARD,
	MTA_ACCESS_JETTISON,
	MTA_ACCESS_LATER /* DEQUEUE_ACCESS: not tried now */
};
/* Texts borrow from the answer; those that are not there have p NULL. */
struct mta_access {
	enum mta_access_action action;
	struct slice text;     /* of a refusal */
	struct slice code;     /* its enhanced status */
	struct slice delay;    /* hundredths of a second; negative: this command alone */
	struct slice env_from; /* instead of the sender */
	struct slice sender;   /* for the Sender field */
	struct slice from;     /* for the From field */
	struct slice tag;      /* for the log */
	struct slice header;   /* a field to add */
	struct slice convert;  /* a conversion tag */
	struct slice limits;   /* size,recipients,... */
	struct slice spam;     /* what a spam score changes by */
	struct slice backoff;  /* seconds until the next try */
	struct slice user, group, log_match, log_reject;
};
/* `table` is a name, any case; of one that is none of ours the answer is read as SEND_ACCESS's. */
void mta_access_decode(struct slice table, const struct mta_mapped *m, struct mta_access *out);
const char *mta_access_name(enum mta_access_action a);
/* For printing: the name and value of argument i, false beyond the last. */
bool
mta_access_argument(const struct mta_access *a, size_t i, const char **name, struct slice *value);

/* How long the client waits, in ms, bounded; *once: for this command alone, not for all of the message. */
uint32_t mta_access_delay(const struct mta_access *a, bool *once);
/* The refusal in the site's words and with its status; `dflt` where it has none of these.  A status of class
 * 4 makes it a temporary one. */
struct verdict mta_access_verdict(const struct mta_access *a, const struct verdict *dflt);
/* "x,y,z": KiB, recipients that are taken, recipients above which all is refused; those that are not said
 * stay as they are. */
void mta_access_limits(const struct mta_access *a, int64_t limits[3]);
/* Seconds until the next try, at most a week, 0: nothing was said. */
uint32_t mta_access_backoff(const struct mta_access *a);
#endif
