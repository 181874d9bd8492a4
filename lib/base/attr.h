/* base/attr.h: the only place for compiler extensions. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H
#include <stddef.h>

#define MUSTCHECK   __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define NORETURN    __attribute__((noreturn))
#define UNUSED      __attribute__((unused))
#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

/* The struct of `type` whose member `member` is at `ptr`. */
#define CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#endif
