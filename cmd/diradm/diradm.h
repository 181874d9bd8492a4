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
#define BULK_SETTINGS 30000 /* of a row */
struct bulk {
	struct bulk_work work;
	unsigned line;      /* of the row */
	const char *object; /* "user" */
	struct admin_setting settings[BULK_SETTINGS];
	char name[512];
	unsigned long made, changed, there, failed;
};
void diradm_import(const struct bulk_work *work, const char *path, struct admin_problem *problem);
/* ldif.c: the same of entries, when the file is LDIF. */
bool diradm_import_ldif(struct bulk *b, struct slice file, struct admin_problem *problem);
void diradm_export_record(void *arg, const struct admin_record *r);
/* bulk.c: for ldif.c: makes or changes one, and tells of it; `note`: what is to be said beside. */
void
diradm_bulk_one(struct bulk *b, struct slice name, const struct admin_call *call, const char *note);
void diradm_bulk_fail(struct bulk *b, const char *text);
/* Of an organisation; of an org: of a provider, or of all when it is empty. */
void diradm_export(const struct bulk_work *work, const char *object, struct slice domain, bool ldif,
    struct admin_problem *problem);
/* main.c: a file, or standard input ("-"), of `most` octets at most; heap.  0 or -errno. */
int diradm_read(const char *path, size_t most, char **text, size_t *n) MUSTCHECK;
#endif
