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

/* bulk.c: with the call that all rows share: who, as, dry_run. */
struct bulk_work {
	struct loop *loop;
	struct dir_agent *agent;
	const struct admin_call *call;
	bool update; /* what is there already is changed */
};
void diradm_import(const struct bulk_work *work, const char *path, struct admin_problem *problem);
/* Of an organisation; of an org: of a provider, or of all when it is empty. */
void diradm_export(const struct bulk_work *work, const char *object, struct slice domain, bool ldif,
    struct admin_problem *problem);
/* main.c: a file, or standard input ("-"), of `most` octets at most; heap.  0 or -errno. */
int diradm_read(const char *path, size_t most, char **text, size_t *n) MUSTCHECK;
#endif
