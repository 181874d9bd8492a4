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
/* Has the disk begin with n bytes at offset `at` (0: to the end) of a file that is synced later.  0, or -errno of a
 * file system that cannot take them (sync_file_range(2): EIO, ENOSPC, EDQUOT): it may not tell the later sync.  That a
 * kernel does not know the call is no error. */
int files_set_out(int fd, uint64_t at, uint64_t n) MUSTCHECK;
#endif
