/* imap/fetch.h: what a FETCH asks for (RFC 3501 6.4.5, fetch-att), parsed. */
#ifndef IMAP_FETCH_H
#define IMAP_FETCH_H
#include "base/buf.h"
#include "imap/args.h"

/* Items that are a bit. */
enum {
	IMAP_FETCH_UID = 1, IMAP_FETCH_FLAGS = 2, IMAP_FETCH_INTERNALDATE = 4, IMAP_FETCH_SIZE = 8,
	IMAP_FETCH_ENVELOPE = 16, IMAP_FETCH_BODY = 32, IMAP_FETCH_BODYSTRUCTURE = 64,
	IMAP_FETCH_MODSEQ = 128
};

#define IMAP_PATH_MAX 64 /* numbers in a section */

enum imap_section_kind {
	IMAP_SECTION_ALL, IMAP_SECTION_HEADER, IMAP_SECTION_FIELDS, IMAP_SECTION_FIELDS_NOT,
	IMAP_SECTION_TEXT, IMAP_SECTION_MIME
};
/* One BODY[...], BODY.PEEK[...], RFC822, RFC822.HEADER or RFC822.TEXT. */
struct imap_section {
	enum imap_section_kind kind;
	uint32_t *path;
	size_t npath;
	struct slice *fields; /* HEADER.FIELDS: names as the client wrote them */
	size_t nfields;
	bool peek, partial;
	uint32_t start, len;  /* partial */
	const char *label;    /* "RFC822.TEXT" and the like; NULL = BODY[...] */
};

struct imap_fetch {
	unsigned items;
	struct imap_section *sections;
	size_t nsections;
	bool changedsince;
	uint64_t since; /* RFC 7162 3.1.4.1 */
};

/* Takes fetch-att or a macro or a list, then the modifiers "(CHANGEDSINCE n)".  Everything is
 * in the arena. */
bool imap_fetch_parse(struct imap_in *in, struct imap_fetch *f);
/* Appends "BODY[1.HEADER.FIELDS (SUBJECT)]<0>". */
void imap_section_write(struct buf *b, const struct imap_section *s);
/* Appends the fields of the header block `header` that are (or, with `not`, are not) named,
 * as they stand, and the empty line. */
void imap_header_pick(struct buf *b, struct slice header, const struct slice *fields,
    size_t nfields, bool not);
#endif
