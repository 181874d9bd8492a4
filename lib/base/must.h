/* base/must.h: assertions that stay in release builds, and magic numbers.
 *
 * must(x) states what the code relies on; when it is false the program has a bug and stops
 * at once with file, line and the condition.  Never for what input can cause. */
#ifndef BASE_MUST_H
#define BASE_MUST_H
#include <stdint.h>
#include "base/attr.h"

#define must(x) (LIKELY(x) ? (void)0 : must_fail(__FILE__, __LINE__, #x))
NORETURN void must_fail(const char *file, int line, const char *what);

/* A struct that crosses a void * begins with `uint32_t magic`; CAST checks it on the way back:
 *	struct session *s = CAST(arg, struct session, SESSION_MAGIC); */
#define CAST(p, type, m) ((type *)must_magic((p), (m), __FILE__, __LINE__))
void *must_magic(void *p, uint32_t magic, const char *file, int line);
#endif
