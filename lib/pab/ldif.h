/* pab/ldif.h: contacts of other directories, as LDIF (RFC 2849), made Cards of JSContact (RFC 9553).  Pure.
 *
 * People are entries of inetOrgPerson and its kin, and those of Sun's address books: pabPerson and pabGroup (Messenger
 * Express), piTypePerson and piTypeGroup (Communications Express).  What leads to them (roots, books) is passed over: a file
 * is one person's tree.  A Card's uid is made of the entry's own name, so that a file read again is the same. */
#ifndef PAB_LDIF_H
#define PAB_LDIF_H
#include "base/buf.h"

/* Does a file begin like LDIF? */
bool pab_ldif_is(struct slice file);
/* Appends a line of JSON for each person, then for each group, whose members are those that say so.  Costs the file. */
void pab_ldif_read(struct slice file, struct buf *lines);
#endif
