/* channel-master/convert.h: a message whose parts are converted: what is to be done, what a program gets, and the
 * message that comes of it.  Each function but the last is for a thread for work. */
#ifndef CONVERT_H
#define CONVERT_H
#include "base/mapped.h"
#include "mail/mime.h"
#include "onward.h"

#define CONVERT_MOST 100 /* parts of a message that are converted; one with more is held */

struct convert_step {
	const struct mime_part *part;
	const struct mta_conversion *how;
	int in, out; /* files without a name; -1 */
};
struct convert {
	const struct qread *r;
	const char *channel; /* that it goes to */
	struct mapped map;
	struct arena a;
	struct mime mime;
	struct slice subject;
	struct convert_step *steps; /* in the order of the message */
	size_t nsteps;
	bool many;
	int made; /* a file without a name: what takes the place of the parts */
	uint64_t made_n;
	struct onward_part *parts;
	size_t nparts;
};
/* Reads it, and finds the steps.  0 or -errno. */
int convert_open(struct convert *c, const struct qread *r, const char *channel) MUSTCHECK;
/* The two files of a step that runs a program: `in` has the part's octets, lines of a text ended by LF.  0 or -errno. */
int convert_files(struct convert *c, struct convert_step *s) MUSTCHECK;
/* All steps are done: parts[] is the message.  0 or -errno. */
int convert_compose(struct convert *c) MUSTCHECK;
void convert_close(struct convert *c);
#endif
