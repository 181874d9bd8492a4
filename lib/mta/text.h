/* mta/text.h: the lines of mta.cnf, mappings and the general database, before their meaning.
 *
 * What the three files have in common: `!` in the first column begins a comment, which counts for
 * nothing, not even as a blank line; `<` in the first column reads another file, named by an absolute
 * path, three levels deep, as if its lines stood there; a line that ends in `\` goes on in the next,
 * whose leading white space does not count.  Files are read by a function that the caller gives, so
 * that tests and fuzzers need no disk.  Mistakes are gathered, all of them, as "file:line: words". */
#ifndef MTA_TEXT_H
#define MTA_TEXT_H
#include "base/arena.h"
#include "base/buf.h"

#define MTA_LINE_MAX   16384                /* octets of a line with what continues it */
#define MTA_TEXT_MAX   (256u * 1024 * 1024) /* octets of a file with what it includes */
#define MTA_NOTES_MAX  100                  /* mistakes that are told of one set of files */
#define MTA_NEST_MAX   3                    /* levels of included files */
#define MTA_STRING_MAX 4096                 /* octets of an address, a probe or a result */

struct mta_line {
	struct slice text; /* without white space at its end; empty: a blank line */
	const char *file;
	int line; /* of its first part */
};
struct mta_text {
	struct arena arena; /* of lines and names; lives as long as they are used */
	struct mta_line *lines;
	size_t n, room, octets;
};

/* One mistake a line; warnings are what works otherwise than somebody may think. */
struct mta_notes {
	struct buf errors, warnings;
	unsigned nerrors, nwarnings;
};
void mta_notes_fini(struct mta_notes *n);
bool
mta_errors_full(const struct mta_notes *n); /* nobody will read the next: do not look for help */
void mta_error(struct mta_notes *n, const struct mta_line *at, const char *fmt, ...) PRINTF(3, 4);
void mta_warn(struct mta_notes *n, const struct mta_line *at, const char *fmt, ...) PRINTF(3, 4);

/* Appends a whole file.  0 or -errno. */
typedef int mta_read_fn(void *arg, const char *path, struct buf *out);
int mta_read_file(void *arg, const char *path, struct buf *out) MUSTCHECK; /* from the disk */

/* A copy in lower case. */
struct slice mta_lower(struct arena *a, struct slice s);
/* Takes the text of a `$` sequence off *rest, up to the closing character that has no `$` in front, and
 * that too.  False when there is none. */
bool mta_take_sequence(struct slice *rest, char close, struct slice *text) MUSTCHECK;

/* Reads `path` and what it includes into *t, zeroed before.  What goes wrong is in *notes; the lines
 * that could be read are there all the same. */
void mta_text_load(struct mta_text *t, const char *path, mta_read_fn *read, void *arg,
    struct mta_notes *notes);
void mta_text_fini(struct mta_text *t);
#endif
