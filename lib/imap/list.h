/* imap/list.h: the arguments of LIST, LSUB and STATUS, and matching of mailbox patterns:
 * RFC 3501 6.3.8 - 6.3.10, RFC 5258, RFC 5819, RFC 6154, RFC 7889, RFC 8438. */
#ifndef IMAP_LIST_H
#define IMAP_LIST_H
#include "imap/args.h"

#define IMAP_PATTERN_MAX  1000 /* bytes of a pattern; longer ones match nothing */
#define IMAP_PATTERNS_MAX 100  /* in one LIST */

enum {
	IMAP_STATUS_MESSAGES = 1, IMAP_STATUS_RECENT = 2, IMAP_STATUS_UIDNEXT = 4,
	IMAP_STATUS_UIDVALIDITY = 8, IMAP_STATUS_UNSEEN = 16, IMAP_STATUS_HIGHESTMODSEQ = 32,
	IMAP_STATUS_APPENDLIMIT = 64, IMAP_STATUS_SIZE = 128
};
/* The items in the order of their bits. */
#define IMAP_STATUS_ITEMS 8
extern const char *const imap_status_names[IMAP_STATUS_ITEMS];
/* "(" item *(SP item) ")" */
bool imap_status_parse(struct imap_in *in, unsigned *items);

struct imap_list {
	bool only_subscribed, only_special, recursive; /* selection options */
	bool say_subscribed, say_status;               /* return options */
	unsigned status;                               /* items of STATUS */
	bool root;                                     /* an empty name: asks for the separator */
	struct slice *patterns;                        /* UTF-8, with the reference in front */
	size_t npatterns;                              /* those that can be a name at all */
};
/* LIST's arguments, in front of the first SP. */
bool imap_list_parse(struct imap_in *in, struct imap_list *l);
/* LSUB's: reference and one pattern. */
bool imap_lsub_parse(struct imap_in *in, struct imap_list *l);

/* `*` matches anything, `%` anything without a separator.  Time is the product of the lengths
 * whatever the pattern.  `fold` ignores ASCII case (for INBOX). */
bool imap_pattern_matches(struct slice pattern, struct slice name, bool fold);
#endif
