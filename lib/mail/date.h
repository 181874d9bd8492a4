/* mail/date.h: the dates of RFC 5322 3.3 (with 4.3, obsolete) and of ISO 8601.
 *
 * A date is a moment and the zone that it was written in.  Zones are minutes east of UTC. */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H
#include "base/buf.h"

struct date {
	int64_t at;  /* unix seconds */
	int zone;    /* -1439 .. 1439 */
	bool nozone; /* "-0000", a military letter or nothing: the zone is not known */
};

/* Header Date: and the date of Received: are read leniently: comments, two- and three-digit
 * years, named zones, missing weekday, seconds or zone, "Sun Nov 22 08:20:01 2026".
 * 0 or -EBADMSG. */
int date_parse(struct slice s, struct date *d) MUSTCHECK;
/* Appends "Sun, 22 Nov 2026 08:20:01 +0000". */
void date_write(struct buf *b, int64_t at, int zone);

/* RFC 3339 "2026-11-22T08:20:01Z" or with an offset; fractions are read over. */
int date_iso_parse(struct slice s, struct date *d) MUSTCHECK;
/* Appends "2026-11-22T08:20:01Z", or the moment as it is in another zone, with its offset. */
void date_iso_write(struct buf *b, int64_t at, int zone);

/* Days since 1970-01-01 of the moment as seen in that zone. */
int32_t date_day(int64_t at, int zone);
/* This machine's zone at that moment. */
int date_local_zone(int64_t at);
#endif
