/* imapd/sort.h: the keys that messages are sorted by (sort-rows.c). */
#ifndef IMAPD_SORT_H
#define IMAPD_SORT_H
#include "imap/sort.h"
#include "search.h"

/* Not to be moved once it has begun: the rows point into it. */
struct sort_rows {
	struct imap_sort by;
	struct gather gather; /* to be walked with gather_go(), again for others */
	struct imap_rows rows;
	uint32_t *uids; /* of the rows; of one walk ascending */
	size_t room;
	struct arena arena;         /* scratch of a message, */
	struct buf decoded, single; /* and this */
};
/* For about `n` messages; zeroed before. */
void sort_rows_begin(struct sort_rows *w, const struct imap_sort *by, uint64_t n);
void sort_rows_fini(struct sort_rows *w);
#endif
