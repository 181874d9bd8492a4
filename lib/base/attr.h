/* base/attr.h: the only place for compiler extensions. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H
#include <stddef.h>

#define MUSTCHECK     __attribute__((warn_unused_result))
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define NORETURN      __attribute__((noreturn))
#define PACKED        __attribute__((packed)) /* structs on disk and on sockets */
#define UNUSED        __attribute__((unused))
#define LIKELY(x)     __builtin_expect(!!(x), 1)
#define UNLIKELY(x)   __builtin_expect(!!(x), 0)

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* A function compiled for SSE 4.2 and PCLMULQDQ, and whether this machine may call it. */
#if defined(__x86_64__)
#define HAVE_SSE42   1
#define TARGET_SSE42 __attribute__((target("sse4.2,pclmul")))
#define CPU_SSE42()  (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
#else
#define HAVE_SSE42 0
#endif

/* The product of two words, both its halves together: one instruction that mixes all bits. */
#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 attr_u128;
#define MIX_WORDS(a, b)                                                                            \
	((unsigned long long)((attr_u128)(a) * (b)) ^                                              \
	    (unsigned long long)((attr_u128)(a) * (b) >> 64))
#endif

/* How many bits of a word are set. */
#define ONES(x) ((unsigned)__builtin_popcount(x))

/* A type of `n` bytes that are computed with together, and its elements. */
#define VECTOR(n) __attribute__((vector_size(n)))

#define NELEM(a)  (sizeof(a) / sizeof((a)[0]))

/* The struct of `type` whose member `member` is at `ptr`. */
#define CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#endif
