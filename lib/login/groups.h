/* login/groups.h: the groups of the directory that people are in, for what mailboxes give to groups (store/acl.h).
 *
 * A group is a mailing list of the directory (inetMailGroup) that is active, and is called by its address (mail).  Who is
 * in it: whom uniqueMember names, whose address mgrpRFC822MailMember has, whom memberURL or mgrpDeliverTo finds; the
 * members of a list within a list are not.
 *
 * For programs that let people read mailboxes.  Nothing is asked before somebody wants it (login_groups_want), which is
 * when a mailbox names a group.  From then on what is known of who holds one (login_groups_hold) is asked again when it is
 * as old as ldap.cache_age, one after the other.  While the directory cannot be asked, what was known is good for an
 * hour; what was never known, or is older, gives nothing and takes all (struct store_person). */
#ifndef LOGIN_GROUPS_H
#define LOGIN_GROUPS_H
#include "login/login.h"
#include "store/acl.h"

struct login_groups; /* of an account, for all who hold it */

/* For who has sessions; ended by login_groups_leave. */
struct login_groups *login_groups_hold(struct login_door *d, struct slice account);
void login_groups_leave(struct login_groups **g);
/* As it is known now; borrowed until the loop goes on. */
struct store_person login_groups_person(const struct login_groups *g);

/* Groups matter.  `changed` is called, from the loop, whenever those of an account have changed. */
typedef void login_groups_changed(void *arg, struct slice account);
void login_groups_want(struct login_door *d, login_groups_changed *changed, void *arg);
bool login_groups_wanted(const struct login_door *d);
/* Somebody comes in: false when his groups are known, or nobody wants them.  True: `done` follows, from the loop, when they
 * are, or cannot be. */
bool login_groups_start(struct login_door *d, struct slice account, struct op *op,
    void (*done)(void *arg), void *arg) MUSTCHECK;
#endif
