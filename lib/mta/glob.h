/* mta/glob.h: the patterns of mapping entries, compiled and matched; tiermail-mappings(5).
 *
 *	%  *		one character, any number of them; what they match are the fields $0 to $9
 *	$A $B $D $H $X $O $S $T, $[set], each with % or *	only characters of that class
 *	$n*		what field n has matched, again
 *	$_ $@ $^	the next wildcard is lazy; is no field; is a field
 *	$(a.b.c.d/bits) $<a.b.c.d/ignored> ${v6/bits}		an address of that network
 *
 * Letters match without regard to case.  A pattern without `$n*` is matched in time elements x octets
 * at most, whatever it is: what has failed once at an octet is not tried there again.  One with `$n*`
 * is matched by trying, and counts its steps.  A compiled pattern is never changed. */
#ifndef MTA_GLOB_H
#define MTA_GLOB_H
#include "base/arena.h"
#include "base/buf.h"

#define MTA_GLOB_MAX   512      /* elements of a pattern */
#define MTA_FIELDS_MAX 10       /* $0 to $9 */
#define MTA_STEPS_MAX  4000000u /* of one look-up with all that it calls: some 50 ms */

enum mta_match { MTA_GLOB_NO, MTA_GLOB_YES, MTA_GLOB_LONG /* the steps are used up */ };

/* What a look-up may still spend, and its scratch memory, used again by the next pattern. */
struct mta_work {
	uint64_t steps; /* left */
	struct buf stack, memo;
};
void mta_work_init(struct mta_work *w);
void mta_work_fini(struct mta_work *w);

/* What can be said of all texts that match, for the index. */
struct mta_glob_key {
	enum {
		MTA_KEY_NONE,
		MTA_KEY_WHOLE,
		MTA_KEY_HEAD,
		MTA_KEY_TAIL,
		MTA_KEY_NET4,
		MTA_KEY_NET6
	} kind;
	struct slice text; /* whole, head or tail, in lower case; of a network its bytes, masked */
	unsigned bits;     /* of a network */
};

struct mta_glob;
/* Compiles into the arena.  0, or -EINVAL with *why, what was expected. */
int mta_glob_compile(struct arena *a, struct slice pattern, struct mta_glob **out,
    const char **why) MUSTCHECK;
/* The fields borrow from `text`; those that are not there are empty with p NULL. */
enum mta_match mta_glob_match(const struct mta_glob *g, struct slice text, struct mta_work *w,
    struct slice fields[MTA_FIELDS_MAX]) MUSTCHECK;
unsigned mta_glob_fields(const struct mta_glob *g); /* how many it has, also above ten */
struct mta_glob_key mta_glob_key(const struct mta_glob *g);
/* Parses a whole numeric address into 4 or 16 bytes; returns how many, or 0. */
unsigned mta_glob_address(struct slice text, unsigned char bytes[16]);
#endif
