/* imap/change.h: the arguments of STORE (RFC 3501 6.4.6, RFC 7162 3.1.3) and of APPEND
 * (RFC 3501 6.3.11). */
#ifndef IMAP_CHANGE_H
#define IMAP_CHANGE_H
#include "imap/args.h"

enum imap_how { IMAP_REPLACE, IMAP_ADD, IMAP_REMOVE };
struct imap_store {
	struct imap_set set; /* as parsed */
	enum imap_how how;
	bool silent;
	bool conditional;    /* UNCHANGEDSINCE */
	uint64_t unchangedsince;
	struct imap_flags flags;
};
/* Stands in front of the first SP. */
bool imap_store_parse(struct imap_in *in, struct imap_store *st);

struct imap_append {
	struct slice mailbox;
	bool bad_name;       /* no modified UTF-7: NO, not BAD */
	struct imap_flags flags;
	int64_t at;          /* unix seconds, 0 = not given */
	int zone;            /* minutes */
};
/* Up to the literal's "{", which is not taken.  Nothing borrows from the text afterwards: it
 * moves while the rest of the command is gathered. */
bool imap_append_parse(struct imap_in *in, struct imap_append *a);
/* The keywords separated by one blank, in the arena. */
struct slice imap_keywords_join(const struct imap_flags *f, struct arena *a);
#endif
