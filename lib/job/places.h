/* job/places.h: what jobctl has learned of destinations and writes down: their MX hosts, and until when they are to
 * rest.  The file's lines, pure: bytes in, structs out, and back; the file is jobctl's (tiermail-job(7), THE FILE OF
 * DESTINATIONS).
 *
 *	place channel=C dest=D [mx=M] [until=T] crc=HHHHHHHH
 *	hosts channel=C mx=M until=T crc=HHHHHHHH
 *
 * The last line about something counts.  Each has a sum of its own, so that a line that was torn, by a power cut or a
 * full disk, costs what it said and nothing else. */
#ifndef JOB_PLACES_H
#define JOB_PLACES_H
#include "base/kv.h"

#define JOB_PLACES_MOST 100000 /* lines that are kept of those whose time does not say so */

struct job_place {
	struct slice channel;
	struct slice dest; /* escaped; empty: it is the MX hosts themselves */
	struct slice mx;   /* the name of their set, escaped; empty: not known */
	int64_t until;     /* nothing before then, unix seconds; 0 = it may */
};

void job_place_write(struct buf *b, const struct job_place *p);
/* One line without its LF; slices borrow.  False: it is torn, damaged, or of a later version. */
bool job_place_parse(struct slice line, struct job_place *p);

/* What is left to say of a whole file, appended to `out` in the order of the lines: of each thing the last one, if
 * it knows hosts or its time is still to come, and the last JOB_PLACES_MOST of all.  Costs a hash table over the
 * lines.  Returns how many lines could not be read. */
size_t job_places_compact(struct slice text, int64_t now, struct buf *out);
#endif
