/* tsanclose: lets the thread sanitizer see what libuv closes.  LD_PRELOAD=tsanclose.so program
 *
 * libuv closes descriptors by syscall(SYS_close), behind the sanitizer's back.  The next open in another
 * thread gets the same number, and whatever that thread does with it then looks like a race with the last
 * use of the old one.  Here such a call becomes a close, which the sanitizer sees.  So no report need be
 * suppressed, and a descriptor that one thread of ours closes under another is still found. */
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/attr.h"

__attribute__((visibility("default"))) long
syscall(long number, ...)
{
	static long (*next)(long, ...);
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (size_t i = 0; i < NELEM(a); i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_close)
		return close((int)a[0]);
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
