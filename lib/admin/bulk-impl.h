/* admin/bulk-impl.h: what bulk.c and bulk-ldif.c share.  Not for anybody else. */
#ifndef ADMIN_BULK_IMPL_H
#define ADMIN_BULK_IMPL_H
#include "admin/bulk.h"

struct bulk {
	admin_row_fn fn;
	void *arg;
	unsigned line;      /* of the row */
	const char *object; /* "user" */
	struct admin_setting settings[ADMIN_BULK_SETTINGS];
	size_t n;
};
/* Tells of a row that is none. */
void admin_bulk_bad_row(struct bulk *b, struct slice name, const char *why);
/* bulk-ldif.c: the rows, when the file is LDIF. */
void admin_bulk_ldif(struct bulk *b, struct slice file);
#endif
