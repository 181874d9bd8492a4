/* store/holder.h: who has a partition: a lock on its folder, and a file in it that names who holds the lock.
 *
 * The lock is flock(2), which the kernel lets go of with the process, kill -9 included; so it alone decides, and the
 * name is for people: on storage that several hosts reach, it says which of them is at work.  A host that was cut off
 * from a disk that another one then has must be fenced by the cluster: no file can stop it. */
#ifndef STORE_HOLDER_H
#define STORE_HOLDER_H
#include "base/slice.h"

/* Locks the folder `dirfd` as `program` ("stored") of this host, until the descriptor is closed.  0; or -EWOULDBLOCK, with
 * *who (heap, always) as whoever holds it has named himself; or another -errno. */
int store_holder_lock(int dirfd, const char *program, char **who) MUSTCHECK;
#endif
