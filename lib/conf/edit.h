/* conf/edit.h: one key of a configuration file set, and all else left as somebody has written it: comments, order,
 * blanks.  Pure; for tmctl config set.  It knows the syntax and no keys: whether the text is good is for the program
 * whose configuration it is. */
#ifndef CONF_EDIT_H
#define CONF_EDIT_H
#include "base/buf.h"

/* A key by its full name: "limit.clients" (the same in `[limit]` as `clients`), or "[listen mx].address".  0, or -EINVAL
 * when it is neither.  The slices borrow from `name`. */
struct conf_name {
	struct slice section, arg; /* both empty, or both not */
	struct slice key;
};
int conf_name_parse(struct slice name, struct conf_name *n) MUSTCHECK;

/* Appends `text` with that key set to `value`, quoted where it has to be; or, with value.p NULL, without the key.  A
 * comment behind the old value stays.  A key that is not there comes behind the last one of its section, which is made at
 * the end if there is none.  Returns the line on which the key stands now, from 1; 0 when it was to go and has gone, or was
 * not there. */
int conf_edit(struct slice text, const struct conf_name *n, struct slice value, struct buf *out);
#endif
