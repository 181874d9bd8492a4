/* imap/args.h: the arguments of a command as gathered by imap/lex.h, in the grammar of
 * RFC 3501 9.
 *
 * A cursor over the text; every function takes one element off the front and returns true, or
 * returns false and leaves a reason in `why` that is fit for a BAD reply.  Slices borrow from
 * the text or, where escapes had to go, from the arena.  No spaces are skipped. */
#ifndef IMAP_ARGS_H
#define IMAP_ARGS_H
#include "base/arena.h"
#include "base/slice.h"
#include "imap/set.h"

#define IMAP_DEPTH_MAX 32   /* nested parentheses */
#define IMAP_ITEMS_MAX 1024 /* members of one list */

struct imap_in {
	struct slice s; /* what is left */
	struct arena *arena;
	const char *why;
	unsigned depth;
};

/* One thing or the other. */
bool imap_char(struct imap_in *in, char c);  /* takes c when it is next; sets no `why` */
bool imap_next_is(const struct imap_in *in, char c);
bool imap_space(struct imap_in *in);         /* exactly one SP */
bool imap_end(struct imap_in *in);           /* nothing is left (trailing spaces are forgiven) */
/* Takes `word` (upper case) when it is next, case ignored, and no atom character follows. */
bool imap_word(struct imap_in *in, const char *word);

bool imap_tag(struct imap_in *in, struct slice *s);
bool imap_atom(struct imap_in *in, struct slice *s);
bool imap_string(struct imap_in *in, struct slice *s);  /* quoted or literal */
bool imap_astring(struct imap_in *in, struct slice *s);
bool imap_nstring(struct imap_in *in, struct slice *s, bool *nil);
bool imap_list_mailbox(struct imap_in *in, struct slice *s); /* may hold % and * */
bool imap_number(struct imap_in *in, uint32_t *n);
bool imap_nz_number(struct imap_in *in, uint32_t *n);
bool imap_modseq(struct imap_in *in, uint64_t *n); /* RFC 7162: below 2^63, 0 allowed */
bool imap_sequence(struct imap_in *in, struct imap_set *set); /* not resolved */

/* A mailbox name as UTF-8: astring, modified UTF-7 undone, INBOX in upper case (also as the
 * first component).  A name that is no proper modified UTF-7 sets `*bad` and succeeds: the
 * answer to that is NO, not BAD. */
bool imap_mailbox(struct imap_in *in, struct slice *name, bool *bad);
/* The same conversion for a name or pattern that was taken already. */
bool imap_mailbox_name(struct arena *a, struct slice wire, struct slice *name);

/* date: "1-Feb-1994" with or without quotes, as days since 1970-01-01. */
bool imap_date(struct imap_in *in, int32_t *day);
/* date-time: quoted, as unix seconds and the zone in minutes. */
bool imap_date_time(struct imap_in *in, int64_t *at, int *zone_min);

/* The system flags, as bits. */
enum {
	IMAP_SEEN = 1, IMAP_ANSWERED = 2, IMAP_FLAGGED = 4, IMAP_DELETED = 8, IMAP_DRAFT = 16,
	IMAP_RECENT = 32
};
struct imap_flags {
	unsigned system;
	struct slice *keywords; /* as written, no duplicates looked for */
	size_t nkeywords;
};
/* One flag: sets its bit or gives the keyword.  An unknown \Flag gives neither: false. */
bool imap_flag(struct imap_in *in, unsigned *bit, struct slice *keyword);
/* "(" [flag *(SP flag)] ")"; with `bare`, STORE's form without parentheses too.  \Recent is
 * refused. */
bool imap_flag_list(struct imap_in *in, bool bare, struct imap_flags *f);

/* "(" at the front of a list, and whether another member comes: SP between members, ")" at
 * the end.  Used as: if (imap_open(in)) do { member } while (imap_more(in, &ok)) ... */
bool imap_open(struct imap_in *in);
/* After a member: 1 another follows, 0 the list is over, -1 neither (why is set). */
int imap_more(struct imap_in *in);
#endif
