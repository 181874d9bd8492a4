/* cmd/diradm: the administrator's tool for the directory; see diradm(8). */
#ifndef DIRADM_H
#define DIRADM_H
#include "admin/admin.h"

/* print.c: a record for people, or with json as an object on a line. */
void diradm_print(void *arg, const struct admin_record *r);

struct diradm {
	bool json, dry_run;
	bool lines; /* a list: a record is a line */
};
extern struct diradm diradm;
#endif
