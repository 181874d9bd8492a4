/* imap/pattern.h: mailbox patterns of LIST and LSUB (RFC 3501 6.3.8): `*` matches anything, `%`
 * anything without a separator.
 *
 * A pattern is compiled once per command and then asked for each name.  Asking costs the product
 * (bytes of the name) x (bytes of the pattern / 64), whatever the wildcards; there is no going back. */
#ifndef IMAP_PATTERN_H
#define IMAP_PATTERN_H
#include <stdint.h>
#include "base/arena.h"

#define IMAP_PATTERN_MAX 1000 /* bytes of a pattern; longer ones match nothing */

/* All positions in the pattern that the name may have reached are bits, moved at once. */
struct imap_pattern {
	struct slice text;        /* as it is matched: wildcards in a row are one; in the arena */
	struct slice lead;        /* what a name must begin with */
	size_t words;             /* of 64 positions; 0: matches nothing */
	uint64_t *star, *percent; /* positions where the wildcard stands */
	uint64_t *bytes;          /* for each class of byte: the positions where one stands */
	uint8_t class[256];       /* of a byte; 0: stands nowhere */
};

/* `text` is UTF-8 with the reference in front.  Memory from the arena:
 * (distinct bytes + 3) x (text.n / 64 + 1) x 8 bytes. */
void imap_pattern_compile(struct imap_pattern *p, struct arena *a, struct slice text);
/* `fold` ignores ASCII case (for INBOX). */
bool imap_pattern_matches(const struct imap_pattern *p, struct slice name, bool fold);
#endif
