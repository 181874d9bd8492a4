/* message/fields.h: selections of header fields (IMAP's HEADER.FIELDS and HEADER.FIELDS.NOT).
 *
 * The selections of a command are compiled once; then each header is scanned once for all of
 * them, and each selection read as a stream.  Costs of a header: its lines plus the names, to
 * scan; what is given out, to read.  Memory: 12 bytes for each field that some selection wants,
 * of at most MESSAGE_FIELDS_MAX.  Fields beyond those are not given out: such a header is an
 * attack, and everything up to there is right. */
#ifndef MESSAGE_FIELDS_H
#define MESSAGE_FIELDS_H
#include "base/arena.h"
#include "base/buf.h"

#define MESSAGE_FIELDS_MAX 1000000

/* Takes one field off the front of *at: its lines in `whole`, what stands before the colon in
 * `name` (trimmed; name.p NULL: there is no colon).  Unlike header_next it takes any name, as
 * IMAP's clients may ask for any.  False at the empty line and at the end. */
bool message_field_next(struct slice *at, struct slice *name, struct slice *whole);

/* ---- the selections of a command ---------------------------------------------------------------- */

struct message_selection {
	uint32_t *classes; /* of the names, ascending, each once */
	uint32_t n;
	bool not ; /* all but those */
};
struct message_fields {
	struct message_selection *selections;
	uint32_t n, room;
	struct slice *names; /* class 1 is names[0]; class 0 is every name that nobody says */
	uint32_t nnames, names_room;
	uint32_t *slots; /* hash of names: class, 0 = free */
	uint32_t mask;
	bool others; /* some selection is a `not` */
};

/* Adds a selection and returns its number.  Slices must live as long as `f`, which lies in `a`. */
uint32_t message_fields_add(struct message_fields *f, const struct slice *names, size_t n, bool not,
    struct arena *a);

/* ---- one header ------------------------------------------------------------------------------------ */

struct message_field_line {
	uint32_t at, len;
	uint32_t next; /* of the same class: 1 + index, 0 = the last */
};
struct message_field_class {
	uint32_t first, last; /* 1 + index */
	uint64_t bytes;
};
/* Zeroed: empty; keeps its memory from header to header.  End with message_picked_fini. */
struct message_picked {
	const struct message_fields *f;
	struct slice header, rest;
	struct message_field_line *lines;
	uint32_t nlines, room;
	struct message_field_class *classes; /* of f, by number */
	uint32_t *met;                       /* classes that have lines */
	uint32_t nmet, nclasses;
	/* the selection that is read */
	uint32_t *heap; /* the next line of each of its classes, the first one on top */
	uint32_t nheap;
	uint64_t left; /* bytes of it */
	struct slice run;
};

/* `header` must stay where it is until the next start. */
void
message_pick_start(struct message_picked *w, const struct message_fields *f, struct slice header);
/* Scans some thousand lines.  True: call again. */
bool message_pick_scan(struct message_picked *w);
/* Begins to read a selection: its bytes, the empty line included. */
uint64_t message_pick_open(struct message_picked *w, uint32_t selection);
/* Appends at most `max` of the bytes that follow; returns how many, 0 at the end.  `skip` bytes
 * (of what is left) are not given out: for partial fetches. */
size_t message_pick_read(struct message_picked *w, struct buf *out, size_t max);
void message_pick_skip(struct message_picked *w, uint64_t n);
void message_picked_fini(struct message_picked *w);
#endif
