/* daemon/admit-impl.h: the shared file of admit.h, for the three files of admit alone.
 *
 * Any process of the suite may write it, so nothing in it is believed beyond being a number:
 * no pointer, no index and no length is ever read from it. */
#ifndef DAEMON_ADMIT_IMPL_H
#define DAEMON_ADMIT_IMPL_H
#include <pthread.h>

#include "daemon/admit.h"

#define ADMIT_VERSION  1 /* of the layout; in the file's name */
#define ADMIT_SERVICES 16
#define ADMIT_PROCS    256   /* processes that are counted; further ones count for themselves */
#define ADMIT_ENTRIES  16384 /* addresses and accounts with a session at once */
#define ADMIT_USERS    16384 /* accounts that sent in this hour */
#define ADMIT_FAILURES 16384
#define ADMIT_PROBES   64 /* slots looked at for one key: cost of each call */

struct admit_key {
	uint64_t a, b;
};
struct admit_proc {
	int32_t pid; /* 0 = free */
	uint32_t service;
	uint64_t started; /* clock ticks after boot, tells a pid used again apart */
};
struct admit_entry {
	struct admit_key key;
	uint32_t n; /* the sum of each[]; 0 = free */
};
struct admit_hour {
	struct admit_key key;
	int64_t hour;
	uint32_t messages, rcpts;
};
struct admit_failure {
	struct admit_key key;
	uint64_t last_ms; /* monotonic, which is the same for all processes */
	uint32_t n;
};
struct admit_file {
	char boot[40];  /* boot_id: what is from before this boot is void */
	uint32_t ready; /* written last */
	uint64_t seed;
	pthread_mutex_t lock; /* robust: a process may die holding it, the counts stay usable */
	struct admit_proc procs[ADMIT_PROCS];
	char services[ADMIT_SERVICES][32];
	uint32_t sessions[ADMIT_SERVICES][ADMIT_CLASSES][ADMIT_PROCS];
	struct admit_entry entries[ADMIT_ENTRIES];
	uint16_t each[ADMIT_ENTRIES][ADMIT_PROCS]; /* apart: only what is used is in memory */
	struct admit_hour hours[ADMIT_USERS];
	struct admit_failure failures[ADMIT_FAILURES];
};

/* This process's place.  `file` is never NULL after admit_lock. */
struct admit_self {
	struct admit_file *file;
	const struct admit_service *service;
	size_t proc, number; /* slots of this process and of its service */
	bool shared;
};
extern struct admit_self admit_self;

/* Locks the file; after a wait that a sane holder never needs it leaves it for private counts. */
struct admit_file *admit_lock(void);
void admit_unlock(void);
/* Gives back what dead processes held.  Under the lock. */
void admit_sweep(struct admit_file *f);
struct admit_key admit_hash(const struct admit_file *f, char kind, struct slice what);
#endif
