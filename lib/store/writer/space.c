/* Room: on the disk, and in the index.
 *
 * Called by the writer's thread at the beginning of each batch.  A partition whose disk has less
 * than min_free takes nothing in, while reading and deleting go on, so that this ends by itself.
 * The index has its own bound, the size of LMDB's map: it is said once when nine tenths of it are
 * used.  Nothing here fails: what cannot be asked stays as it was. */
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/writer/writer-impl.h"

#define INDEX_WARN 90                             /* per cent of the map */
#define FAR        ((uint64_t)1024 * 1024 * 1024) /* bytes above min_free, */
#define FAR_US     50000                          /* which no disk writes in so long */

/* Far from min_free the disk is not asked for each batch. */
static void
space_look_disk(struct writer *w)
{
	uint64_t now = clock_mono_us(), room;
	struct statvfs st;
	bool full;

	if (now < w->space_at || fstatvfs(w->files->dirfd, &st) < 0)
		return;
	room = (uint64_t)st.f_bavail * st.f_frsize;
	full = room < w->config->min_free;
	if (!full && room - w->config->min_free > FAR)
		w->space_at = now + FAR_US;
	if (full != w->full)
		log_event(LOG_WARN, full ? "store_full" : "store_space", "partition=%s free=%llu",
		    log_str(w->config->name), (unsigned long long)room);
	w->full = full;
	w->stats.full = full;
}

/* Pages that were freed count as used: they are taken again first, but how many there are
 * costs a walk. */
static void
space_look_index(struct writer *w)
{
	MDB_envinfo info;
	MDB_stat st;
	bool near;

	if (mdb_env_info(w->env->lmdb, &info) != 0 || mdb_env_stat(w->env->lmdb, &st) != 0)
		return;
	w->stats.index_size = info.me_mapsize;
	w->stats.index_used = (info.me_last_pgno + 1) * (uint64_t)st.ms_psize;
	near = w->stats.index_used / INDEX_WARN >= info.me_mapsize / 100;
	if (near && !w->index_near)
		log_event(LOG_WARN, "store_index", "partition=%s used=%llu size=%llu",
		    log_str(w->config->name), (unsigned long long)w->stats.index_used,
		    (unsigned long long)w->stats.index_size);
	w->index_near = near;
}

void
writer_space_look(struct writer *w)
{
	space_look_disk(w);
	space_look_index(w);
}
