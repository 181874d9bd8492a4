/* mta/general.h: the general database as a text file: keys for `$(key)` of rewrite rules and `${key}` of
 * mappings.  A line is a key, white space and a value, which is the rest of the line.  Keys are compared
 * without regard to case.  Read-only once compiled; a reload compiles another one. */
#ifndef MTA_GENERAL_H
#define MTA_GENERAL_H
#include "mta/calls.h"
#include "mta/text.h"

struct mta_general;
/* NULL when there are mistakes, in *notes. */
struct mta_general *mta_general_compile(const char *path, mta_read_fn *read, void *arg,
    struct mta_notes *notes) MUSTCHECK;
void mta_general_free(struct mta_general **g);
size_t mta_general_keys(const struct mta_general *g);
/* As the call of mta/calls.h: appends the value.  g may be NULL: nothing is found. */
enum mta_answer mta_general_find(const struct mta_general *g, struct slice key, struct buf *value);
#endif
