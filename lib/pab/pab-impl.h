/* pab/pab-impl.h: what the files of pab/ share: an ask, which takes a connection for a job after the other. */
#ifndef PAB_IMPL_H
#define PAB_IMPL_H
#include "base/list.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "pab/conf.h"
#include "pab/pab.h"

#define ASK_MAGIC  0x70616261U
#define PAB_AGENTS 8 /* connections of a worker */
#define PAB_OF_ONE 3 /* of them that one person has at once */

struct pab {
	struct loop *loop;
	struct dir *dir;
	bool own; /* dir is ours */
	char *dn;
	struct list free;    /* struct pab_agent */
	struct list asks;    /* struct pab_ask: with an agent */
	struct list waiting; /* and without one, in order */
	size_t nagents, nwaiting;
	struct later later; /* those that wait are looked at */
};
struct pab_agent {
	struct list link;
	struct dir_agent *agent;
};

/* A question of a caller: jobs on one agent, each set up by `next`. */
struct pab_ask {
	uint32_t magic;
	struct pab *pab;
	struct list link;
	struct op *op;   /* the caller's */
	struct op inner; /* the agent's */
	struct pab_agent *agent;
	struct slice person;
	struct arena arena;
	char *root, *as;
	struct slice life;
	void (*begin)(struct pab_ask *); /* an agent is there: pab_ask_job */
	void (*answer)(struct pab_ask *,
	    const struct dir_outcome *); /* pab_ask_job, or pab_ask_end */
	void (*fail)(struct pab_ask *, const struct dir_outcome *); /* calls the caller's done */
	/* list.c */
	pab_listed_done listed;
	bool contents, taken, booked; /* what was tried: TAKE, FIRST */
	unsigned step, up;
	/* find.c, write.c */
	pab_written written;
	const struct pab_write *write;
	struct slice book, address;
	void *arg;
};
struct pab_ask *pab_ask_new(struct pab *p, struct slice person, struct op *op, void *arg);
/* When all is set: waits for a connection, then begins. */
void pab_ask_start(struct pab_ask *k);
/* The filter that a root of this life fits, or one of nobody's; NULL: any. */
const char *pab_ask_theirs(struct pab_ask *k);
/* As the person, or (`as` in the job stays NULL) as pab.dn. */
void pab_ask_job(struct pab_ask *k, const struct dir_job *j);
/* The op is done; then the caller's function may be called, which may use what the agent still has, and then
 * pab_ask_free. */
void pab_ask_done(struct pab_ask *k);
void pab_ask_free(struct pab_ask *k);

/* card.c: the attributes of an entry that say what its content does, for who reads LDAP alone; at most
 * PAB_ATTRIBUTES changes, in the arena. */
#define PAB_ATTRIBUTES 24
size_t pab_card_attributes(const struct json_t *card, struct arena *a, enum dir_how how,
    struct dir_change *out);
#endif
