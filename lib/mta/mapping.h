/* mta/mapping.h: mapping tables, compiled and asked; tiermail-mappings(5).
 *
 * A file of tables goes in, a set of tables that never changes comes out: who reloads compiles a new set
 * beside the old one and exchanges the pointer, so a question is answered by one set from beginning to
 * end.  Answers cost no system call, a bounded number of steps (mta/glob.h) and a bounded number of
 * octets; over a bound the answer is MTA_TEMP and *error says which one. */
#ifndef MTA_MAPPING_H
#define MTA_MAPPING_H
#include "mta/calls.h"
#include "mta/glob.h"
#include "mta/text.h"

#define MTA_MAPPING_PASSES 100 /* times that $R and $L begin a table again */
#define MTA_MAPPING_DEPTH  10  /* tables that call tables */

struct mta_mappings;
/* NULL when there are mistakes (in *notes); warnings alone do not hinder. */
struct mta_mappings *mta_mappings_compile(const char *path, mta_read_fn *read, void *arg,
    struct mta_notes *notes) MUSTCHECK;
void mta_mappings_free(struct mta_mappings **m);
bool mta_mappings_has(const struct mta_mappings *m, struct slice table); /* any case */
/* For listings: the name of table i, NULL beyond the last, and how many entries it has. */
const char *mta_mappings_name(const struct mta_mappings *m, size_t i, size_t *entries);

/* A set of letters and signs: `$Y`, `$<` ...; letters of either case are one. */
struct mta_flags {
	uint32_t set[4];
};
void mta_flags_add(struct mta_flags *f, char flag);
bool mta_flags_has(const struct mta_flags *f, char flag);
void mta_flags_write(struct buf *b, const struct mta_flags *f); /* "NXY" */

struct mta_mapped {
	struct buf text;        /* what came of the probe; the probe itself when nothing matched */
	struct mta_flags flags; /* of all entries that contributed */
	bool failed;            /* an entry matched, and a call in its template failed for good */
	const char *error;      /* MTA_TEMP: the reason, a literal */
};
void mta_mapped_fini(struct mta_mapped *r);

/* Looks `probe` up.  MTA_YES: some entry matched; MTA_NO: none did, or there is no such table; MTA_TEMP;
 * MTA_LATER.  `in` are the flags that `$:x` and `$;x` test.  *r is zeroed first; the caller ends it. */
enum mta_answer
mta_mappings_ask(const struct mta_mappings *m, const struct mta_calls *calls, struct slice table,
    struct slice probe, const struct mta_flags *in, struct mta_mapped *r) MUSTCHECK;
/* The same within the budget of another look-up. */
enum mta_answer mta_mappings_ask_within(const struct mta_mappings *m, const struct mta_calls *calls,
    struct slice table, struct slice probe, const struct mta_flags *in, struct mta_mapped *r,
    struct mta_work *w) MUSTCHECK;
#endif
