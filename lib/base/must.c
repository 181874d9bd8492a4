/* must.c: where a broken assumption ends the process. */
#include <stdlib.h>
#include "base/log.h"
#include "base/must.h"

void
must_fail(const char *file, int line, const char *what)
{
	log_event(LOG_ERROR, "bug", "sid=%s at=%s:%d must=%s", log_str(log_sid()), file, line,
	    log_str(what));
	log_end();
	abort();
}

void *
must_magic(void *p, uint32_t magic, const char *file, int line)
{
	if (UNLIKELY(!p))
		must_fail(file, line, "CAST of NULL");
	if (UNLIKELY(*(uint32_t *)p != magic))
		must_fail(file, line, "CAST: wrong magic");
	return p;
}
