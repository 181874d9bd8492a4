/* expire.h: what the parts of storectl expire share: the run, its rules, and what a process has done. */
#ifndef STORECTL_EXPIRE_H
#define STORECTL_EXPIRE_H
#include "aging/judge.h"
#include "base/map.h"
#include "storectl.h"

#define EXPIRE_SLICE 500 /* messages in one request: others wait for no more */

/* The rules of the site, read before anything is expired. */
struct expire_rules {
	struct map partitions, users; /* name -> struct expire_file */
	struct aging_rules global;
};
struct expire_file {
	char *name;
	struct aging_rules rules;
};

struct expire { /* one run; the same in all processes */
	bool dry, json, quiet;
	const char *partition, *account; /* "" = all */
	uint64_t rate;                   /* messages a second, 0 = no limit */
	int64_t now;
	struct expire_rules rules;
};

/* What has been done, or would be. */
struct expire_totals {
	uint64_t accounts, folders, looked; /* with rules; messages in them */
	uint64_t discarded, moved, reported, bytes;
	uint64_t unread; /* messages whose header could not be read: they stay */
	uint64_t wrong;  /* files of people with mistakes: theirs stays */
	uint64_t failed; /* partitions that were not gone through to the end */
};

/* A process at work on a partition. */
struct expire_work {
	const struct expire *run;
	const char *partition;
	struct store_view *view;
	struct asking ask;
	bool asks; /* `ask` is open */
	struct expire_totals totals;
	uint64_t account; /* id */
	const char *account_name;
	struct buf sets; /* const struct aging_rules *: of the account, in their order */
};

/* expire-rules.c.  False: there are mistakes, which it has told on standard error. */
bool expire_rules_load(struct expire_rules *r);
void expire_rules_fini(struct expire_rules *r);
/* Those that the person has written, where the site allows it.  False: with a mistake, which it has told;
 * nothing of the account is expired then. */
bool expire_rules_own(const char *account, struct aging_rules *own);

/* expire-folder.c: one folder, up to the UIDs that it had when its account was begun.  False: stored does
 * not answer, and the run is over. */
struct expire_folder {
	uint64_t mailbox;
	uint32_t uidnext, uidvalidity;
	char name[STORE_NAME_MAX + 1];
};
bool expire_folder(struct expire_work *w, const struct expire_folder *f);
#endif
