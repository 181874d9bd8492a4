/* agree.c: what lib/imap and lib/store must say alike, checked by the compiler.
 *
 * The language and the keeper may not include each other, so each has its own range of UIDs and
 * its own bits for the system flags.  This program hands the one to the other as it is: sets of
 * UIDs are cast, flags are passed as numbers (fetch.c, flags.c, copy.c, view.c). */
#include <stddef.h>
#include "imap/args.h"
#include "imap/set.h"
#include "store/format.h"

_Static_assert(sizeof(struct imap_range) == sizeof(struct store_range), "ranges have one size");
_Static_assert(offsetof(struct imap_range, lo) == offsetof(struct store_range, first) &&
	offsetof(struct imap_range, hi) == offsetof(struct store_range, last),
    "ranges have one shape");
_Static_assert((int)IMAP_SEEN == (int)STORE_SEEN && (int)IMAP_ANSWERED == (int)STORE_ANSWERED &&
	(int)IMAP_FLAGGED == (int)STORE_FLAGGED && (int)IMAP_DELETED == (int)STORE_DELETED &&
	(int)IMAP_DRAFT == (int)STORE_DRAFT,
    "system flags are the same bits");
_Static_assert((IMAP_RECENT & STORE_FLAGS_ALL) == 0, "\\Recent is never a stored flag");
