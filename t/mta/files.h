/* files.h: files of a test, from memory: { path, text } up to a NULL. */
#ifndef T_MTA_FILES_H
#define T_MTA_FILES_H
#include <errno.h>
#include "mta/text.h"

struct file {
	const char *path, *text;
};

static inline int
files_read(void *arg, const char *path, struct buf *out)
{
	for (const struct file *f = arg; f->path; f++)
		if (strcmp(f->path, path) == 0) {
			buf_str(out, f->text);
			return 0;
		}
	return -ENOENT;
}
#endif
