/* mail/header.h: the header of a message (RFC 5322 2.2), in memory or as it passes.
 *
 * Lines end in CRLF or LF.  Nothing is copied unless the function has an arena or a buf.
 * Hostile headers cost linear time. */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H
#include "base/arena.h"
#include "base/buf.h"

struct header_field {
	struct slice name;  /* without the colon and blanks before it; empty: no field, see below */
	struct slice value; /* behind the colon as it stands, folds included, without the last
	                       line end */
	struct slice whole; /* name, value and last line end */
};

/* Octets of the header with its empty line: where the body begins.  All of `msg` when there
 * is no empty line. */
size_t header_len(struct slice msg);
/* Takes one field off the front of *at.  False at the empty line and at the end; *at stands
 * on the empty line then.  A line that is no field ("From " of mbox, junk without a colon,
 * a fold at the start) comes as a field with an empty name and the line as `value`. */
bool header_next(struct slice *at, struct header_field *f);
/* The first field of that name (ASCII case ignored); false when there is none. */
bool header_find(struct slice header, struct slice name, struct header_field *f);
/* The one way to undo folds, for all who read a value: a line end with the blanks around it
 * becomes one blank (to people a fold is one, however it was made: SP, HTAB, several); a CR by
 * itself goes.  Without blanks at both ends.  Borrows from `value` when there was nothing to
 * undo. */
struct slice header_unfold(struct slice value, struct arena *a);
/* Appends a piece of a value the same way, blanks at its ends included. */
void header_unfold_to(struct buf *b, struct slice piece);

/* Appends "Name: value" CRLF for a value without line ends, folded at blanks so that lines
 * stay below 79 characters where they can and below 999 always.  Line ends and control
 * characters in it become blanks: nobody can smuggle a field through a value. */
void header_write(struct buf *b, const char *name, struct slice value);

/* ---- while the message passes ------------------------------------------------------------ */

/* Fields that the scanner knows; HEADER_BIT makes the bit of `seen`. */
/* clang-format off */
enum header_known {
	HEADER_DATE, HEADER_MESSAGE_ID, HEADER_FROM, HEADER_SENDER, HEADER_REPLY_TO, HEADER_TO,
	HEADER_CC, HEADER_BCC, HEADER_SUBJECT, HEADER_RECEIVED, HEADER_RETURN_PATH,
	HEADER_DELIVERED_TO, HEADER_MIME_VERSION, HEADER_CONTENT_TYPE, HEADER_AUTO_SUBMITTED,
	HEADER_PRECEDENCE, HEADER_PRIORITY, HEADER_IMPORTANCE,
	HEADER_NKNOWN
};
/* clang-format on */
#define HEADER_BIT(known) (1u << (known))

struct header_scan {
	/* results; counts are right at any moment */
	unsigned seen; /* HEADER_BIT of each known field that was met */
	unsigned count[HEADER_NKNOWN];
	bool done;            /* the empty line was met */
	bool header_8bit;     /* a byte above 0x7f in the header: RFC 6532 */
	bool body_8bit;       /* a byte above 0x7f behind it */
	bool bad_line;        /* a line that is no field: the header is not RFC 5322 */
	uint64_t bad_at;      /* where the first such line begins */
	uint32_t longest;     /* octets of the longest header line, without its end */
	uint64_t header_len;  /* with the empty line, when done; else what passed */
	char message_id[256]; /* value of the first Message-ID, unfolded and cut; or "" */
	/* kept */
	uint8_t state, known, nname;
	bool cr, blank;
	uint32_t line;
	char name[24];
	uint16_t nid;
};
/* Ready when zeroed; this zeroes. */
void header_scan_init(struct header_scan *s);
/* Pieces in order, cut anywhere. */
void header_scan_feed(struct header_scan *s, struct slice bytes);
static inline bool
header_seen(const struct header_scan *s, enum header_known k)
{
	return s->seen >> k & 1;
}
#endif
