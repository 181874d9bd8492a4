/* web/records.h: the sessions of one account, as its store keeps them, so that all hosts know which are over.  Pure.
 *
 *	"1" LF
 *	id SP began SP seen SP until SP address SP client LF	one for each; times in seconds since 1970
 *
 * `address` has no blank, `client` is the rest of the line.  A session that is not there, or is past `until`, is over.
 * A text of another first line is another layout: nobody is logged in by it, and the next login begins it anew, as
 * with another layout of cookies (session.h).  A line that is none of these is passed over, and goes with the next
 * change. */
#ifndef WEB_RECORDS_H
#define WEB_RECORDS_H
#include "base/buf.h"
#include "web/session.h"

#define WEB_RECORDS_MOST   50  /* sessions of an account: beyond it the one longest unused goes */
#define WEB_RECORDS_CLIENT 200 /* octets of `client`; longer ones are cut */

/* Borrows from the text. */
struct web_record {
	struct slice id;
	int64_t began, seen, until;
	struct slice address, client;
};
/* A session's id: letters, digits, "-" and "_". */
bool web_record_id(struct slice id);

/* The sessions one after the other: `rest` is what web_records_start said.  Those that are over too. */
struct slice web_records_start(struct slice text);
bool web_records_next(struct slice *rest, struct web_record *r);
/* The one of this id that is not over. */
bool web_records_find(struct slice text, struct slice id, int64_t now, struct web_record *r);

/* A change, as which the text is written anew into `out`, without those that are over.  False: there is nothing to
 * change, and nothing is written. */
/* `r` begins; `alone`: and all others end. */
void web_records_begin(struct slice text, const struct web_record *r, bool alone, int64_t now,
    struct buf *out);
/* It was used now, and lasts until then.  False: there is no such session. */
bool web_records_seen(struct slice text, struct slice id, int64_t until, int64_t now,
    struct buf *out) MUSTCHECK;
bool web_records_end(struct slice text, struct slice id, int64_t now, struct buf *out) MUSTCHECK;
/* All but this one, which may be none. */
bool
web_records_end_others(struct slice text, struct slice id, int64_t now, struct buf *out) MUSTCHECK;
#endif
