/* imap/list.h: the arguments of LIST, LSUB, STATUS and CREATE, and matching of mailbox patterns:
 * RFC 3501 6.3.8 - 6.3.10, RFC 5258, RFC 5819, RFC 6154, RFC 7889, RFC 8438. */
#ifndef IMAP_LIST_H
#define IMAP_LIST_H
#include "base/buf.h"
#include "imap/metadata.h"
#include "imap/pattern.h"

#define IMAP_PATTERNS_MAX 100 /* in one LIST */

/* One item of STATUS.  The program has the table; an item that comes with a later RFC is a row of it. */
struct imap_status_row; /* the program's: the mailbox whose items are written */
struct imap_status_item {
	const char *name;                                            /* upper case */
	void (*write)(struct buf *, const struct imap_status_row *); /* its value */
	bool condstore; /* asking for it enables CONDSTORE (RFC 7162 3.1) */
	const char *source;
};
#define IMAP_STATUS_BIT(row) (1u << (row)) /* in `items`; at most 32 rows */
/* "(" item *(SP item) ")" */
bool imap_status_parse(struct imap_in *in, const struct imap_status_item *table, size_t n,
    unsigned *items);

/* What stands behind the name of CREATE. */
struct imap_create {
	bool said;        /* USE was given */
	size_t nuses;     /* attributes in it */
	struct slice use; /* the last of them, without its backslash */
};
/* [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]	RFC 4466 2.2, RFC 6154 6 */
bool imap_create_parse(struct imap_in *in, struct imap_create *c);

struct imap_list {
	bool only_subscribed, only_special, recursive; /* selection options */
	bool say_subscribed, say_status, say_myrights; /* return options */
	struct imap_entries metadata;                  /* RFC 9590; n = 0: they are not asked for */
	unsigned status;                               /* items of STATUS */
	bool root;                                     /* an empty name: asks for the separator */
	struct imap_pattern *patterns;                 /* with the reference in front */
	size_t npatterns;                              /* those that can be a name at all */
};
/* LIST's arguments, in front of the first SP. */
bool imap_list_parse(struct imap_in *in, const struct imap_status_item *table, size_t n,
    struct imap_list *l);
/* LSUB's: reference and one pattern. */
bool imap_lsub_parse(struct imap_in *in, struct imap_list *l);
#endif
