/* mta/aliases.h: the alias file, aliases(5) as sendmail and Postfix have it: names and who gets their mail.
 *
 *	# a comment
 *	root:		jane, joe@example.org
 *	staff:		:include:/etc/mail/staff,
 *			"an odd name"@example.org
 *
 * Names are local parts, or whole addresses, compared without regard to case.  Included files are read when
 * the file is compiled; there is no database beside it.  Programs (|...) and files (/...) are kept as what
 * they are, for the caller to refuse.  Pure but for the function that reads. */
#ifndef MTA_ALIASES_H
#define MTA_ALIASES_H
#include "mta/text.h"

enum mta_target_kind { MTA_TARGET_ADDRESS, MTA_TARGET_PROGRAM, MTA_TARGET_FILE };
struct mta_target {
	enum mta_target_kind kind;
	struct slice text; /* an address, or a local part alone */
};
/* Lives as long as the aliases. */
struct mta_alias {
	struct slice name; /* in lower case */
	const struct mta_target *targets;
	size_t n;
	const char *file;
	int line;
};

struct mta_aliases;
/* NULL when there are mistakes, in *notes. */
struct mta_aliases *mta_aliases_compile(const char *path, mta_read_fn *read, void *arg,
    struct mta_notes *notes) MUSTCHECK;
void mta_aliases_free(struct mta_aliases **a);
size_t mta_aliases_count(const struct mta_aliases *a);
/* Of the whole address, else of its local part; `a` may be NULL. */
const struct mta_alias *
mta_aliases_find(const struct mta_aliases *a, struct slice local, struct slice domain);
#endif
