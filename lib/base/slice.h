/* base/slice.h: borrowed bytes.  A slice never owns, is never freed and not NUL-terminated;
 * whoever hands it out says how long it lives. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/attr.h"

struct slice {
	const char *p;
	size_t n;
};

#define S(lit)  ((struct slice){ "" lit, sizeof(lit) - 1 }) /* of a string literal */
#define SFMT    "%.*s"                                      /* printf(SFMT, SARG(s)) */
#define SARG(s) (int)(s).n, (s).p

static inline struct slice
slice(const char *p, size_t n)
{
	return (struct slice){ p, n };
}

static inline struct slice
slice_str(const char *s)
{
	return (struct slice){ s, s ? strlen(s) : 0 };
}

bool slice_eq(struct slice a, struct slice b);
bool slice_ieq(struct slice a, struct slice b); /* ASCII case ignored */
int slice_cmp(struct slice a, struct slice b);  /* bytewise, shorter first */
bool slice_starts(struct slice s, struct slice prefix);
bool slice_istarts(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);
/* Index of the first c, or s.n. */
size_t slice_find(struct slice s, char c);
/* Index of the last c, or s.n. */
size_t slice_rfind(struct slice s, char c);
/* Index of the first `needle`, or s.n; slice_ifind ignores ASCII case. */
size_t slice_find_str(struct slice s, struct slice needle);
size_t slice_ifind_str(struct slice s, struct slice needle);
struct slice slice_from(struct slice s, size_t at);          /* s[at..], at > n gives empty */
struct slice slice_sub(struct slice s, size_t at, size_t n); /* clamped */
struct slice slice_trim(struct slice s);                     /* SP HTAB CR LF at both ends */
/* Takes what stands before `sep` off the front of *s (and the separator); all when absent.
 * Returns false when *s is already empty. */
bool slice_cut(struct slice *s, char sep, struct slice *head);
/* Takes the next word, separated by SP or HTAB runs.  False at the end. */
bool slice_word(struct slice *s, struct slice *word);
/* Decimal digits only, whole slice, no sign.  0, or -EINVAL / -ERANGE (value above max). */
int slice_u64(struct slice s, uint64_t max, uint64_t *v) MUSTCHECK;
/* Copies into dst (size cap) with a NUL, cutting; returns dst.  A NUL within becomes a question mark:
 * no reader of the text may see less than what was there. */
char *slice_cstr(struct slice s, char *dst, size_t cap);
/* FNV-1a with a process-random seed; _ihash folds ASCII case. */
uint64_t slice_hash(struct slice s);
uint64_t slice_ihash(struct slice s);

static inline char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
static inline char
ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}
/* The value of a hexadecimal digit of either case, or -1. */
static inline int
ascii_hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	    c >= 'a' && c <= 'f'    ? c - 'a' + 10 :
	    c >= 'A' && c <= 'F'    ? c - 'A' + 10 :
				      -1;
}
#endif
