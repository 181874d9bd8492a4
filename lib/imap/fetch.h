/* imap/fetch.h: what a FETCH asks for (RFC 3501 6.4.5, fetch-att), parsed. */
#ifndef IMAP_FETCH_H
#define IMAP_FETCH_H
#include "base/buf.h"
#include "imap/args.h"

/* What an item needs to be read. */
enum {
	IMAP_NEED_CACHE = 1,  /* the message's digest */
	IMAP_NEED_HEADER = 2, /* fields of a header: the digest may have them */
	IMAP_NEED_BODY = 4    /* the file */
};

/* One item that a client may ask for.  The program has the table, in the order of the answer; an
 * item that comes with a later RFC is a row of it. */
struct imap_fetch;
struct imap_fetch_row; /* the program's: the message whose items are written */
struct imap_fetch_item {
	const char *name; /* upper case; one that ends in "[" begins a section */
	bool (*parse)(struct imap_in *, struct imap_fetch *,
	    const struct imap_fetch_item *); /* what follows the name; NULL: nothing.  Of a row that
						is no section it is an addition */
	unsigned need;
	void (*write)(struct imap_fetch_row *); /* NULL: a section, written by its own cursor */
	const char *source;
};
#define IMAP_FETCH_BIT(row) (UINT64_C(1) << (row)) /* in imap_fetch.items */

#define IMAP_PATH_MAX       64 /* numbers in a section */

/* clang-format off */
enum imap_section_kind {
	IMAP_SECTION_ALL, IMAP_SECTION_HEADER, IMAP_SECTION_FIELDS, IMAP_SECTION_FIELDS_NOT,
	IMAP_SECTION_TEXT, IMAP_SECTION_MIME,
	IMAP_SECTION_BINARY, IMAP_SECTION_BINARY_SIZE /* RFC 3516: a part, decoded */
};
/* clang-format on */
/* One BODY[...], BODY.PEEK[...], BINARY[...], BINARY.PEEK[...], BINARY.SIZE[...], RFC822, RFC822.HEADER or RFC822.TEXT. */
struct imap_section {
	enum imap_section_kind kind;
	uint32_t *path;
	size_t npath;
	struct slice *fields; /* HEADER.FIELDS: names as the client wrote them */
	size_t nfields;
	bool peek, partial;
	uint32_t start, len; /* partial */
	uint32_t selection;  /* the program's number of a FIELDS section, */
	bool kept;           /* and whether it knows these fields without the file */
	const char *label;   /* "RFC822.TEXT" and the like; NULL = BODY[...] */
};

struct imap_fetch {
	uint64_t items; /* IMAP_FETCH_BIT of the rows that are asked for, sections apart */
	unsigned need;  /* of all of them together */
	size_t nitems;  /* as many as were asked for, the same ones again too */
	struct imap_section *sections;
	size_t nsections;
	bool lazy; /* PREVIEW only where it costs little (RFC 8970 4.1) */
	bool changedsince;
	uint64_t since;              /* RFC 7162 3.1.4.1 */
	bool vanished;               /* RFC 7162 3.2.6; then changedsince too */
	struct imap_partial partial; /* RFC 9394 3.3 */
};

/* Takes fetch-att or a macro or a list, then the modifiers: "(CHANGEDSINCE n VANISHED)", of
 * which the first implies `modseq`, a row of the table (at most 64 rows).  Everything is in the arena. */
bool imap_fetch_parse(struct imap_in *in, const struct imap_fetch_item *items, size_t nitems,
    size_t modseq, struct imap_fetch *f);
/* `parse` of the sections: BODY[...], BODY.PEEK[...]; and of RFC822, RFC822.HEADER and
 * RFC822.TEXT. */
bool imap_fetch_section(struct imap_in *in, struct imap_fetch *f, const struct imap_fetch_item *it);
bool imap_fetch_rfc822(struct imap_in *in, struct imap_fetch *f, const struct imap_fetch_item *it);
/* The same of BINARY[...], BINARY.PEEK[...] and BINARY.SIZE[...]: RFC 3516 4.1, 4.2. */
bool imap_fetch_binary(struct imap_in *in, struct imap_fetch *f, const struct imap_fetch_item *it);
/* ... and of PREVIEW: [SP "(" "LAZY" ")"]. */
bool imap_fetch_preview(struct imap_in *in, struct imap_fetch *f, const struct imap_fetch_item *it);
/* Appends "BODY[1.HEADER.FIELDS (SUBJECT)]<0>". */
void imap_section_write(struct buf *b, const struct imap_section *s);
#endif
