/* smtp-relay/access.h: the access tables of mappings, asked about senders, recipients and users' headers.
 *
 *	access.c         FROM_ACCESS at MAIL; ORIG_SEND_ACCESS, ORIG_MAIL_ACCESS, SEND_ACCESS, MAIL_ACCESS at RCPT
 *	access-header.c  AUTH_REWRITE, when the header is here; the Sender field that a table wants
 *
 * What the flags of an answer mean: mta/access.h; what is done with them: tiermail-mappings(5).  Nobody else in the relay
 * reads the tables, but guard.c PORT_ACCESS. */
#ifndef SMTP_RELAY_ACCESS_H
#define SMTP_RELAY_ACCESS_H
#include "mta/access.h"
#include "relay.h"

#define ACCESS_BITBUCKET "bitbucket" /* the channel that drops, on record */

/* Counted of each table: metrics from M_ACCESS on, in this order. */
enum access_result { ACCESS_REFUSED, ACCESS_DEFERRED, ACCESS_HELD, ACCESS_DROPPED, ACCESS_RESULTS };

/* Which tables there are: a bit for each enum mta_access_table. */
unsigned access_tables(const struct channels *c);

/* What tables have said of a transaction; in its arena. */
struct access *access_of(struct session *s); /* made when it is not there */
struct access {
	uint32_t delay_ms, once_ms; /* of each command, of this one */
	void (*then)(struct session *);
	void (*mail_then)(struct session *, const struct verdict *);
	struct access_rcpt *legs; /* that are being asked about in turns */
	const struct smtp_rcpt *legs_rcpt;
	bool refused;
	struct verdict no;
	/* For access-header.c. */
	struct slice sender, from; /* values of fields; empty: they stay */
	bool resent;               /* of those of sending on */
	bool asked;                /* AUTH_REWRITE has been */
	bool shown;                /* filters have got the fields as they are to be */
};

/* An answer; texts in the arena. */
struct access_said {
	enum mta_access_action action;
	struct verdict v; /* of a refusal */
	struct mta_access said;
};
/* Asks one table, with all that its answer means for the message as a whole done, logged and counted.  rcpt: NULL, or for
 * the flags of NOTIFY. */
void access_ask(struct session *s, enum mta_access_table t, const struct mta_access_probe *p,
    const struct smtp_rcpt *rcpt, struct mta_work *w, struct access_said *said);
/* Goes on when the client has waited as long as tables want him to. */
void access_wait(struct session *s, void (*then)(struct session *));

/* FROM_ACCESS: then(s, NULL), or why not, from inside or later. */
void access_mail(struct session *s, void (*then)(struct session *, const struct verdict *));

/* What is done with a leg of a recipient. */
struct access_leg {
	const char *address, *channel, *table;
	enum mta_access_action action;
};
struct access_rcpt {
	struct access_leg *legs;
	size_t n, asked;   /* legs, and of how many of them the tables have been asked */
	size_t refused;    /* of those */
	struct verdict no; /* of one of the refused: where one is temporary, of that */
	unsigned turns;
};
/* The four tables of RCPT.  *before is what was said when the same was asked before, in the arena, or NULL; then it is what
 * was said now, of as many legs as r has, or NULL when there is no table, perhaps no more. */
enum access_now {
	ACCESS_GO,
	ACCESS_NO, /* (*before)->no says why nobody gets it */
	ACCESS_WAIT /* a long list takes several turns of the loop: then(s), with *before, when it is through */
};
enum access_now access_rcpt(struct session *s, const struct smtp_rcpt *rcpt,
    const struct expand_result *r, struct access_rcpt **before, void (*then)(struct session *));
/* Does it to the leg; false: it is left out. */
bool access_leg(struct session *s, const struct access_leg *said, struct expand_leg *leg);

/* Another envelope sender; what is no address is logged and left out. */
void access_sender(struct session *s, struct slice text);

/* access-header.c.  False: it is refused, smtp_server_fail knows why. */
bool access_header(struct session *s, struct slice fields);
#endif
