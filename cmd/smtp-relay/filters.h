/* smtp-relay/filters.h: the mail filters ([milter NAME]) of a session, in their order.
 *
 *	filters.c         the chain: who is asked, what is made of the answers, of failures
 *	filters-ask.c     what they are asked: packets and macros
 *	filters-change.c  what they want changed
 *	filters-spam.c    who is asked because a channel wants it (spamfilter = N)
 *
 * Filters are asked about the client at EHLO, about MAIL, RCPT and DATA when all else is found good, and are
 * shown the message when all of it is here and before anything of it is in the queue: until then it is held.
 * A session without filters has no struct filters. */
#ifndef SMTP_RELAY_FILTERS_H
#define SMTP_RELAY_FILTERS_H
#include "held.h"
#include "milter/client.h"
#include "relay.h"

/* As configured. */
struct milter_conf {
	char *name, *address;
	char *daemon_name; /* what {daemon_name} tells it; empty: hostname */
	int on_failure;    /* enum filter_failure */
	int64_t connect_ms, command_ms, content_ms;
	int64_t spamfilter; /* asked where a channel asks for this number alone; 0: always */
	char **listeners;   /* names or roles; empty: all */
};
enum filter_failure { FILTER_TEMPFAIL, FILTER_ACCEPT, FILTER_REJECT };

#define FILTERS_MAGIC 0x72736d66U

struct filter {
	struct filters *chain;
	struct milter_client *client;
	char *name, *daemon_name;
	int on_failure;
	bool greeted;      /* it has heard of HELO on this connection */
	bool session_over; /* it has accepted all of the session, */
	bool message_over; /* or all of the message: it is asked no more */
	bool fresh;        /* the connection was made for this transaction */
	/* With a number that channels ask for, and none of ours for the source: */
	unsigned
	    spam; /* the number: it is asked about recipients of channels that want it; 0: about all */
	bool mailed;       /* it has heard of this transaction, */
	struct verdict no; /* and refuses what it is asked about; kind VERDICT_NONE: it does not */
	bool no_session;   /* as long as the session lasts */
};

typedef void (*filters_then)(struct session *s, const struct verdict *no);

struct filters {
	uint32_t magic;
	struct session *session;
	size_t n, i;                /* i: the one that is being asked */
	enum milter_stage at, step; /* what about; what this one is asked first */
	struct buf packet;
	filters_then then;
	struct verdict session_no, message_no; /* kind VERDICT_NONE: not refused */
	bool discard;                          /* the message is to vanish, */
	unsigned dropped,
	    held_for; /* or for channels that ask for these numbers alone, as bits; is held for them */
	/* The message, once all of it is here. */
	struct milter_header header;
	struct held body, other; /* as it is; as the filter being asked wants it */
	bool other_begun;
	struct smtp_body clean;       /* on its way into `other`; line ends are CRLF behind it */
	int other_error;              /* -errno, once it cannot be kept */
	const char *hold, *hold_some; /* reasons; in the transaction's arena */
	const char *rcpt_channel, *rcpt_host; /* of the RCPT that is asked about */
	const struct address *rcpt;
	unsigned rcpt_spam;            /* numbers that its channels ask for, as bits */
	const struct verdict *rcpt_no; /* it is refused: told to those who want to hear it */
	struct buf unknown;            /* the command that nobody knows */
	bool rcpt_asking, rcpt_agreed; /* rcpt.c is inside of asking; and all have agreed */
	struct buf fields;             /* those that the header began with */
	struct later later;
	struct filter filter[];
};

/* Those of the session's listener; none, and s->filters stays NULL. */
void filters_begin(struct session *s);
void filters_end(struct session *s);
void filters_forget(struct session *s); /* the transaction is over */
/* The configuration is good?  Says what is not. */
bool filters_check(struct buf *why);
/* Is a listener, by its name and role, one of these words?  Of none: all are. */
bool filters_listens(char *const *words, const char *name, int role);
bool filters_listener_known(const char *word);
/* Asks them all; then(s, NULL): go on; or what to refuse it with.  May call it from inside. */
void filters_ask(struct session *s, enum milter_stage at, filters_then then);
/* The same about a recipient whom others refuse with `no`, which lives until `then`; what filters say of him is nothing
 * to anybody. */
void filters_refused(struct session *s, const struct verdict *no, filters_then then);
/* A command that nobody knows, in the session or the transaction as it stands. */
void filters_unknown(struct session *s, struct slice verb, filters_then then);
/* The message is held although there may be no filters. */
void filters_hold(struct session *s);
/* Is the message shown to any? */
bool filters_wanted(const struct session *s);
/* AT_END: shows the message: these fields, and what is in filters->body.  When it goes on, header, body, hold,
 * the session's sender and recipients are as filters want them. */
void filters_message(struct session *s, struct slice fields, filters_then then);

/* claims.c: is this the name of a field by which our filters say what they make of a message? */
bool claims_verdict(struct slice name);

/* filters-spam.c.  Does a channel that mail may come in by, or go to, ask for this number?  Of mail of this source; and
 * all numbers that these legs' channels ask for, as bits. */
bool filters_spam_source(const char *source, int64_t number);
unsigned filters_spam_legs(const struct expand_result *r);
unsigned filters_spam_channel(const char *channel); /* the same of one channel */
/* Appends a line for each number that a channel asks for and no filter has. */
void filters_spam_check(const struct channels *c, struct buf *why);

/* Inside the chain. */
extern const struct milter_calls filters_calls;
void filters_packet(struct filters *f, enum milter_stage at, struct buf *out);
bool filters_macro(void *arg, struct slice name, struct buf *out);
/* Takes the changes of filter[i]; `filters_changed` follows, with NULL or why one cannot be made. */
void filters_change(struct filters *f);
void filters_changed(struct filters *f, const char *why);
void filters_changes_stop(struct filters *f);
/* Those of channels for which a filter of theirs has discarded the message are removed. */
void filters_drop(struct session *s);
/* Recipients that were removed leave, the others have a hold that filters want; how many are left.  Neither RCPT
 * nor filter comes behind it. */
size_t filters_settle(struct session *s);
#endif
