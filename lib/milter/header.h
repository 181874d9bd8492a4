/* milter/header.h: the header of a message while filters change it.  Pure.
 *
 * A filter counts fields in two ways.  Inserting counts all from 0, ours included: 0 is above the Received
 * field that we are going to write, 1 is below it, and past the last one is the end.  Changing counts from
 * 1 the fields of one name that the filter was shown; ours is not shown.  So do sendmail and Postfix. */
#ifndef MILTER_HEADER_H
#define MILTER_HEADER_H
#include "base/arena.h"
#include "base/buf.h"
#include "milter/packet.h"

struct milter_field {
	struct milter_field *next;
	struct slice name;         /* p NULL: where our own Received field will stand */
	struct slice value, whole; /* as mail/header.h has them */
};

struct milter_header {
	struct arena arena;
	struct milter_field *first, **last;
	size_t bytes; /* of all fields */
	bool changed; /* something was applied: else it is as it was parsed */
};

#define MILTER_FIELDS                                                                              \
	10000 /* of a message that filters are shown: each may be a question of its own */

/* Borrows `fields`, which have no empty line.  False: there are too many; milter_header_fini all the same. */
bool milter_header_init(struct milter_header *h, struct slice fields) MUSTCHECK;
void milter_header_fini(struct milter_header *h);
/* ADD_HEADER, INSERT_HEADER or CHANGE_HEADER, as milter_reply_parse gives it; its slices are copied.  Values may
 * be folded by LF or CRLF: a line that would begin a field gets a blank in front, an empty one goes, other
 * control characters become blanks.  `space`: the value brings its own blank (MILTER_LEADING_SPACE).
 * A change to an empty value deletes; one of a field that is not there adds it at the end. */
void milter_header_apply(struct milter_header *h, const struct milter_reply *r, bool space);
/* Appends the fields that stand above our Received field, and those below. */
void milter_header_write(const struct milter_header *h, struct buf *above, struct buf *below);
#endif
