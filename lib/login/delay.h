/* login/delay.h: how late a failure is answered. */
#ifndef LOGIN_DELAY_H
#define LOGIN_DELAY_H
#include <stdint.h>

#define LOGIN_DELAY_MOST 30000 /* ms; a client gives up after a minute */

/* base_ms (auth.delay) after the first three failures of a name from an address, then twice as
 * long with each; once more as long when the address has LOGIN_ADDRESS_MANY failures of any
 * names, and again with ten times as many.  At most LOGIN_DELAY_MOST, or base_ms if that is more. */
#define LOGIN_PAIR_FREE    3
#define LOGIN_ADDRESS_MANY 20

/* The same for passwords that are no login's, as those of lists: `name` is whose password it is, and no
 * login's.  In ms from now: how late the failure that is counted here is answered, and, after a right one
 * or before a next, what is left of the last failure's time. */
struct addr;
uint64_t login_word_failed(const struct addr *peer, const char *name, int64_t base_ms);
uint64_t login_word_pace(const struct addr *peer, const char *name, int64_t base_ms);
#endif
