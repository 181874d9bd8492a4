/* base/attr.h: the only place for compiler extensions. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H
#include <stddef.h>

#define MUSTCHECK   __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define NORETURN    __attribute__((noreturn))
#define PACKED      __attribute__((packed)) /* structs on disk and on sockets */
#define UNUSED      __attribute__((unused))
#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* A function compiled for SSE 4.2, and whether this machine may call it. */
#if defined(__x86_64__)
#define HAVE_SSE42   1
#define TARGET_SSE42 __attribute__((target("sse4.2")))
#define CPU_SSE42()  __builtin_cpu_supports("sse4.2")
#else
#define HAVE_SSE42 0
#endif

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

/* The struct of `type` whose member `member` is at `ptr`. */
#define CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#endif
