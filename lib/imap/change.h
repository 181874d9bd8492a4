/* imap/change.h: the arguments of STORE (RFC 3501 6.4.6, RFC 7162 3.1.3) and of APPEND
 * (RFC 3501 6.3.11, RFC 3502 6.3.11) and REPLACE (RFC 8508). */
#ifndef IMAP_CHANGE_H
#define IMAP_CHANGE_H
#include "imap/args.h"

enum imap_how { IMAP_REPLACE, IMAP_ADD, IMAP_REMOVE };
struct imap_store {
	struct imap_set set; /* as parsed */
	enum imap_how how;
	bool silent;
	bool conditional; /* UNCHANGEDSINCE */
	uint64_t unchangedsince;
	struct imap_flags flags;
};
/* Stands in front of the first SP. */
bool imap_store_parse(struct imap_in *in, struct imap_store *st);

struct imap_append {
	struct slice mailbox;
	bool bad_name; /* no modified UTF-7: NO, not BAD */
	struct imap_flags flags;
	int64_t at;    /* unix seconds, */
	bool dated;    /* ... if they were given */
	int zone;      /* minutes */
	bool catenate; /* the message comes in parts, whose list has been opened (RFC 4469) */
	bool binary;   /* literal8: there may be NUL in it (RFC 3516 4.4) */
	bool
	    utf8; /* ... between "UTF8 (" and ")" (RFC 6855 4), of which the latter comes behind it */
};
/* Up to the literal's "{" or "~{", which is not taken, or with "CATENATE (".  Nothing borrows from the text afterwards: it
 * moves while the rest of the command is gathered. */
bool imap_append_parse(struct imap_in *in, struct imap_append *a);
/* The same of REPLACE, in front of the first SP: `number` of the message that goes, 0 = "*".  RFC 8508 5 */
bool imap_replace_parse(struct imap_in *in, uint32_t *number, struct imap_append *a);
/* What stands between two messages of MULTIAPPEND, into flags and date: from the SP to the "{". */
bool imap_append_further(struct imap_in *in, struct imap_append *a);
/* The keywords separated by one blank, in the arena. */
struct slice imap_keywords_join(const struct imap_flags *f, struct arena *a);
#endif
