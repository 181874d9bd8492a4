/* store/damage.h: an index that is damaged is told in words, with the way back.
 *
 * LMDB maps its file: where the file is too short a read is a signal, not an error. */
#ifndef STORE_DAMAGE_H
#define STORE_DAMAGE_H
#include <lmdb.h>
#include <stdbool.h>
#include "base/attr.h"

#define STORE_SHORT   (-31000) /* beside LMDB's codes: the file ends before its last page */
#define STORE_TORN    (-31001) /* the power was cut, and stored has not been started since */
#define STORE_SUSPECT (-31002) /* it could not be synced, and stored has not been started since */

/* Before it: is there an index in this directory whose file is empty?  LMDB has no words for that. */
bool store_damage_emptied(const char *index);
/* Right after mdb_env_open: is all of the file there?  0, STORE_SHORT, or an LMDB code.  From the
 * first call on the process says which file it was when it dies of one that is cut off later. */
int store_damage_look(MDB_env *env) MUSTCHECK;
/* Words for a code of LMDB, an errno or STORE_SHORT, naming storectl recover when the index
 * itself is what is wrong.  Static, until the next call. */
const char *store_damage_text(int rc);
#endif
