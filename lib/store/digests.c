/* Digests, made again from the messages' files.
 *
 * Called by recovery when the log has been done.  The table of places is walked in the order of contents;
 * one that has no row in `cache` gets it from the first of its files that can be read.  A place may
 * be out of date, and its UID have been given out again: only the record says that the file is this
 * content's.  The next place has the same content, and where there is none, readers make what they
 * need.  What can fail is LMDB.  A transaction holds some megabytes, so that a
 * large store does not have to fit into memory. */
#include "store/digests.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mapped.h"
#include "store/block.h"

#define TXN_BYTES (16u * 1024 * 1024)

struct digests {
	struct store_replay *r;
	store_digest_fn *build;
	struct buf digest, path;
	size_t pending; /* bytes put and not committed */
	uint64_t made;
};

/* Has the message at a place, a key of `email`, that content? */
static bool
place_is_true(struct digests *g, const uint8_t place[20])
{
	uint32_t uid = store_get32(place + 16), block = uid / STORE_BLOCK;
	struct store_record room[STORE_BLOCK];
	uint8_t key[12];
	MDB_val k = { sizeof(key), key }, box = { 8, key }, d;
	struct store_mailbox m;
	size_t n = 0;

	memcpy(key, place + 8, 8);
	store_be32(key + 8, block);
	if (mdb_get(g->r->txn, g->r->dbi[STORE_T_INDEX], &k, &d) == 0)
		n = store_block_records(slice(d.mv_data, d.mv_size), block, room);
	for (size_t i = 0; i < n; i++)
		if (room[i].uid == uid)
			return room[i].emailid == store_get64(place);
	if (mdb_get(g->r->txn, g->r->dbi[STORE_T_MAILBOX], &box, &d) != 0 ||
	    store_mailbox_parse(slice(d.mv_data, d.mv_size), 0, false, &m) < 0)
		return false;
	for (size_t i = 0; i < m.narrivals; i++)
		if (store_mailbox_arrival(&m, i).uid == uid)
			return store_mailbox_arrival(&m, i).emailid == store_get64(place);
	return false;
}

/* The path of the file there.  False: its mailbox is gone. */
static bool
place_path(struct digests *g, const uint8_t place[20])
{
	MDB_val k = { 8, (void *)(uintptr_t)(place + 8) }, d;
	struct store_mailbox m;

	if (mdb_get(g->r->txn, g->r->dbi[STORE_T_MAILBOX], &k, &d) != 0 ||
	    store_mailbox_parse(slice(d.mv_data, d.mv_size), store_get64(place + 8), false, &m) < 0)
		return false;
	buf_clear(&g->path);
	store_folder_dir(&g->path, m.account_name, m.name);
	store_message_name(&g->path, store_get32(place + 16));
	return true;
}

/* The digest of the file.  False: it is no message that can be read. */
static bool
digest_of(struct digests *g, const char *path)
{
	int fd = openat(g->r->dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct mapped map = { 0 };
	struct stat st;
	bool good;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    st.st_size <= UINT32_MAX)
		(void)!mapped_open(&map, fd, (size_t)st.st_size);
	close(fd);
	if (!map.p)
		return false;
	buf_clear(&g->digest);
	g->build(slice(map.p, map.n), &g->digest);
	good = !mapped_cut(&map);
	mapped_close(&map);
	return good && g->digest.n > 0;
}

static int
digest_put(struct digests *g, const uint8_t place[20])
{
	MDB_val k = { 8, (void *)(uintptr_t)place }, d = { g->digest.n, g->digest.p };
	int rc = mdb_put(g->r->txn, g->r->dbi[STORE_T_CACHE], &k, &d, 0);

	if (rc == 0) {
		g->pending += d.mv_size;
		g->made++;
	}
	return rc;
}

/* Goes on at *place, up to the end (MDB_NOTFOUND) or to when the transaction is large enough (0). */
static int
digests_some(struct digests *g, uint8_t place[20])
{
	struct store_replay *r = g->r;
	uint64_t done = 0; /* no content has this id */
	MDB_val k = { 20, place }, d;
	MDB_cursor *c;
	int rc = mdb_cursor_open(r->txn, r->dbi[STORE_T_EMAIL], &c);

	if (rc)
		return rc;
	for (rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE); rc == 0;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		MDB_val id = { 8, k.mv_data };

		if (k.mv_size != 20 || store_get64(k.mv_data) == done)
			continue;
		memcpy(place, k.mv_data, 20);
		if (g->pending > TXN_BYTES)
			break;
		rc = mdb_get(r->txn, r->dbi[STORE_T_CACHE], &id, &d);
		if (rc == 0)
			done = store_get64(place);
		else if (rc != MDB_NOTFOUND)
			break;
		else if (place_is_true(g, place) && place_path(g, place) &&
		    digest_of(g, buf_cstr(&g->path))) {
			done = store_get64(place);
			rc = digest_put(g, place);
			if (rc)
				break;
		}
	}
	mdb_cursor_close(c);
	return rc;
}

int
store_digests_make(struct store_replay *r, store_digest_fn *build, uint64_t *made)
{
	struct digests g = { .r = r, .build = build };
	uint8_t place[20] = { 0 };
	int rc;

	while ((rc = digests_some(&g, place)) == 0) {
		rc = mdb_txn_commit(r->txn);
		r->txn = NULL;
		if (rc == 0)
			rc = mdb_txn_begin(r->env, NULL, 0, &r->txn);
		if (rc)
			break;
		g.pending = 0;
	}
	buf_fini(&g.digest);
	buf_fini(&g.path);
	*made = g.made;
	return rc == MDB_NOTFOUND ? 0 : rc;
}
