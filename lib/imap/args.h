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
	bool utf8; /* mailbox names are UTF-8 on the wire too (RFC 6855 3, RFC 9051 5.1) */
};

/* One thing or the other. */
bool imap_char(struct imap_in *in, char c); /* takes c when it is next; sets no `why` */
bool imap_next_is(const struct imap_in *in, char c);
bool imap_space(struct imap_in *in); /* exactly one SP */
bool imap_end(struct imap_in *in);   /* nothing is left (trailing spaces are forgiven) */
/* Takes `word` (upper case) when it is next, case ignored, and no atom character follows. */
bool imap_word(struct imap_in *in, const char *word);

bool imap_tag(struct imap_in *in, struct slice *s);
bool imap_atom(struct imap_in *in, struct slice *s);
bool imap_string(struct imap_in *in, struct slice *s); /* quoted or literal */
bool imap_astring(struct imap_in *in, struct slice *s);
bool imap_nstring(struct imap_in *in, struct slice *s, bool *nil);
bool imap_nstring8(struct imap_in *in, struct slice *s, bool *nil); /* or a literal8, RFC 3516 */
bool imap_list_mailbox(struct imap_in *in, struct slice *s);        /* may hold % and * */
bool imap_number(struct imap_in *in, uint32_t *n);
bool imap_nz_number(struct imap_in *in, uint32_t *n);
bool imap_modseq(struct imap_in *in, uint64_t *n); /* RFC 7162: below 2^63, 0 allowed */
/* objectid of RFC 8474 7, as it stands; and our own: a letter and 16 digits.  `number` is 0 when the
 * text is none of ours with this letter: there is no such object. */
bool imap_objectid(struct imap_in *in, struct slice *s);
uint64_t imap_objectid_number(struct slice s, char letter);
#define IMAP_MAILBOXID 'F'                                    /* the letter of a mailbox's */
bool imap_sequence(struct imap_in *in, struct imap_set *set); /* not resolved; or "$" */
/* partial-range (RFC 9394 4): "1:500", or "-1:-500" from the end on. */
struct imap_partial {
	struct slice text; /* as written; p NULL: none was given */
	bool last;
	uint32_t lo, hi; /* lo <= hi */
};
bool imap_partial_range(struct imap_in *in, struct imap_partial *p);
/* Which of `count` things that is: from *from (from 0) on, how many. */
uint64_t imap_partial_span(const struct imap_partial *p, uint64_t count, uint64_t *from);

/* A mailbox name as UTF-8: astring, modified UTF-7 undone unless in->utf8, INBOX in upper case (also
 * as the first component).  A name that is no proper modified UTF-7 or UTF-8 sets `*bad` and succeeds: the
 * answer to that is NO, not BAD. */
bool imap_mailbox(struct imap_in *in, struct slice *name, bool *bad);
/* The same conversion for a name or pattern that was taken already. */
bool imap_mailbox_name(const struct imap_in *in, struct slice wire, struct slice *name);

/* date: "1-Feb-1994" with or without quotes, as days since 1970-01-01. */
bool imap_date(struct imap_in *in, int32_t *day);
/* date-time: quoted, as unix seconds and the zone in minutes. */
bool imap_date_time(struct imap_in *in, int64_t *at, int *zone_min);

/* The system flags, as bits. */
/* clang-format off */
enum {
	IMAP_SEEN = 1, IMAP_ANSWERED = 2, IMAP_FLAGGED = 4, IMAP_DELETED = 8, IMAP_DRAFT = 16,
	IMAP_RECENT = 32
};
/* clang-format on */
struct imap_flags {
	unsigned system;
	struct slice *keywords; /* as written, no duplicates looked for */
	size_t nkeywords;
};
/* "(" [flag *(SP flag)] ")"; with `bare`, STORE's form without parentheses too.  \Recent is
 * refused. */
bool imap_flag_list(struct imap_in *in, bool bare, struct imap_flags *f);

/* "(" at the front of a list, and whether another member comes: SP between members, ")" at
 * the end.  Used as: if (imap_open(in)) do { member } while (imap_more(in, &ok)) ... */
bool imap_open(struct imap_in *in);
/* After a member: 1 another follows, 0 the list is over, -1 neither (why is set). */
int imap_more(struct imap_in *in);
#endif
