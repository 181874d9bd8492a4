/* base/secret.h: bytes that nobody may find later: passwords and what they were made of.
 *
 * A secret is a heap block of its own that is wiped before it is freed, on every path, and has
 * no function that prints it: what is not a struct slice cannot slip into a log line.  A zeroed
 * struct is a valid empty secret. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H
#include "base/slice.h"

struct secret {
	char *p;
	size_t n;
};

/* Copies `bytes`; what was there before is wiped. */
void secret_set(struct secret *s, struct slice bytes);
/* The bytes, for whoever checks them; borrowed until the next secret_set or secret_wipe. */
struct slice secret_get(const struct secret *s);
/* Overwrites and frees; harmless on an empty one. */
void secret_wipe(struct secret *s);
/* Overwrites memory of somebody else's that held a secret: an input line, a decoded buffer. */
void secret_clear(void *p, size_t n);
#endif
