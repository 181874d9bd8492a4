/* managesieve/text.h: what servers of ManageSieve write and judge alike: RFC 5804 1.6, 4.  Pure. */
#ifndef MANAGESIEVE_TEXT_H
#define MANAGESIEVE_TEXT_H
#include "base/buf.h"

#define MANAGESIEVE_NAME_MAX 512 /* octets of a script's name */

/* Appends text as a quoted string, or as a literal what cannot stand in one. */
void managesieve_write_string(struct buf *b, struct slice text);
/* May a script have this name?  RFC 5804 1.6: UTF-8, without controls and line separators. */
bool managesieve_name_ok(struct slice name);
#endif
