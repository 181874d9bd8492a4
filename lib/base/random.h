/* base/random.h: bytes from the kernel (getrandom), and ids. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H
#include <stddef.h>
#include <stdint.h>

void random_bytes(void *p, size_t n);
uint64_t random_u64(void);
uint64_t random_below(uint64_t n); /* 0 .. n-1, unbiased */
/* A unique id of 13 characters [0-9a-z], sortable by time to the microsecond: session ids.
 * Writes 14 bytes with the NUL; returns dst. */
char *random_id(char dst[14]);
#endif
