/* base/mapped.h: files that are mapped to be read, and may be cut off meanwhile.
 *
 * A read of a map behind the end of its file, or of a page that the disk does not give, is a signal, which
 * ends the process and all that it serves.  For the maps that are made here it is not: what is missing
 * reads as zero bytes from then on, and the map remembers it; who has read must ask before he believes.
 * A small file is not mapped but read, which costs a third and cannot fail later; that shows nowhere else.
 * Owns the handler of SIGBUS.  Any thread. */
#ifndef BASE_MAPPED_H
#define BASE_MAPPED_H
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/attr.h"

struct mapped {
	void *p; /* NULL: there is no map */
	size_t n;
	unsigned place; /* where the handler knows it, 0 = nowhere */
	bool read, cut; /* it is memory of ours; and the file had less than that */
};

/* Maps the first n bytes, n > 0, to be read; *m is nothing that must be closed.  0 or -errno.  The struct may be copied and moved, not used
 * twice. */
int mapped_open(struct mapped *m, int fd, size_t n) MUSTCHECK;
/* Has something been missing so far? */
bool mapped_cut(const struct mapped *m);
void mapped_close(struct mapped *m);

/* What is done about a bad read elsewhere, in the handler; without it the signal ends the process. */
void mapped_others(void (*fn)(int sig, siginfo_t *info, void *context));
#endif
