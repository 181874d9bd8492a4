/* imap/metadata.h: the arguments of GETMETADATA, SETMETADATA and LIST's METADATA: RFC 5464 5, RFC 9590 3;
 * and which entries a request means. */
#ifndef IMAP_METADATA_H
#define IMAP_METADATA_H
#include "base/buf.h"
#include "imap/args.h"

#define IMAP_ENTRIES_MAX 100 /* in one command */

struct imap_entry {
	struct slice
	    name; /* behind /private or /shared, in lower case: "/comment"; "" = all below */
	bool shared;
	/* SETMETADATA: */
	struct slice value; /* p NULL: NIL, it is to be removed */
};
struct imap_entries {
	struct imap_entry *list; /* in the arena */
	size_t n;
};
/* entry / "(" entry *(SP entry) ")" */
bool imap_entries_parse(struct imap_in *in, struct imap_entries *e);

#define IMAP_DEPTH_INFINITY 2
struct imap_getmetadata {
	struct slice mailbox;
	bool bad_name;  /* it is none that a mailbox can have */
	unsigned depth; /* 0, 1 or IMAP_DEPTH_INFINITY */
	bool limited;
	uint32_t maxsize; /* bytes of a value, when limited */
	struct imap_entries entries;
};
/* [SP "(" options ")"] SP mailbox SP entries; the options may stand behind the mailbox too, where the examples
 * of RFC 5464 4.2 have them. */
bool imap_getmetadata_parse(struct imap_in *in, struct imap_getmetadata *g);

struct imap_setmetadata {
	struct slice mailbox;
	bool bad_name;
	struct imap_entries entries;
};
/* SP mailbox SP "(" entry SP value *(SP entry SP value) ")" */
bool imap_setmetadata_parse(struct imap_in *in, struct imap_setmetadata *s);

/* Does `asked`, to this depth, mean the entry of that name? */
bool
imap_entry_means(const struct imap_entry *asked, unsigned depth, bool shared, struct slice name);
/* "/shared/comment" as an astring. */
void imap_entry_write(struct buf *b, bool shared, struct slice name);
/* NIL, a string, or a literal8 when a NUL is in it (RFC 5464 5: value). */
void imap_value_write(struct buf *b, struct slice value);
#endif
