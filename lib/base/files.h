/* base/files.h: what several programs do with files and what the C library leaves half done. */
#ifndef BASE_FILES_H
#define BASE_FILES_H
#include <stdint.h>
#include <sys/types.h>
#include "base/attr.h"

/* Makes the folder `path` and those above it that are missing, each with exactly this mode,
 * whatever the umask says.  0, also when it is there already, or -errno of the first that cannot be
 * made. */
int files_make_dirs(const char *path, mode_t mode) MUSTCHECK;
/* The same below the folder `at`, with the mode as the umask leaves it; `path` has no "/" at its ends.
 * One call when only the last is missing. */
int files_make_dirs_at(int at, const char *path, mode_t mode) MUSTCHECK;
/* Writes n bytes at offset `at`, however many calls that takes.  0 or -errno. */
int files_write_at(int fd, const void *p, size_t n, uint64_t at) MUSTCHECK;
/* The same where the descriptor stands. */
int files_write(int fd, const void *p, size_t n) MUSTCHECK;
#endif
