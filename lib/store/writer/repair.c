/* What storectl reconstruct asks for: files become messages, messages without a good file go.
 *
 * Called by the writer's thread within its batch, while the account may be in use.  Storectl has
 * looked, but something may have happened since; therefore each UID is looked at again here, where
 * nothing happens meanwhile: a file in place is only taken in when no record has it and it was never
 * expunged, a message only dropped when its file is missing (not: cannot be looked at) or is not
 * what its record says, and what is there then is moved to =aside, never removed. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "store/writer/writer-impl.h"

enum file_state { FILE_GOOD, FILE_MISSING, FILE_ODD, FILE_UNKNOWN };

struct repair {
	struct writer *w;
	struct wbox *b;
	struct buf path;
	struct buf missing, odd; /* struct store_range */
	uint32_t unknown;        /* could not be looked at */
};

/* The file of a message; size 0: of any size but that. */
static enum file_state
file_look(struct repair *r, uint32_t uid, uint32_t size)
{
	struct stat st;

	buf_clear(&r->path);
	buf_str(&r->path, r->b->dir);
	store_message_name(&r->path, uid);
	if (fstatat(r->w->files->dirfd, buf_cstr(&r->path), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? FILE_MISSING : FILE_UNKNOWN;
	return S_ISREG(st.st_mode) && (size ? st.st_size == size : st.st_size > 0) ? FILE_GOOD :
										     FILE_ODD;
}

static void
repair_fini(struct repair *r)
{
	buf_fini(&r->path);
	buf_fini(&r->missing);
	buf_fini(&r->odd);
}

/* ---- RELINK ------------------------------------------------------------------------------------- */

static bool
has_record(struct writer *w, struct wbox *b, uint32_t uid)
{
	writer_box_flush_tail(w, b);
	writer_block_mend(w, b, uid / STORE_BLOCK);
	return writer_block_has(w, b->id, uid);
}

static bool
is_dead(const struct buf *tombstones, uint32_t uid)
{
	const struct store_range *r = (const void *)tombstones->p;

	for (size_t i = 0; i < tombstones->n / sizeof(*r); i++)
		if (r[i].first <= uid && uid <= r[i].last)
			return true;
	return false;
}

/* The UIDs of the request, from the first to the last. */
static struct store_range
relink_within(const struct store_request *r)
{
	struct store_range all = { UINT32_MAX, 0 };

	for (size_t i = 0; i < r->nmessages; i++) {
		uint32_t uid = r->messages[i].uid;

		all.first = uid < all.first ? uid : all.first;
		all.last = uid > all.last ? uid : all.last;
	}
	return all;
}

static void
relink_files(struct writer *w, struct store_job *j, struct wbox *b, const struct buf *tombstones)
{
	struct repair r = { .w = w, .b = b };
	uint32_t n = 0;

	for (size_t i = 0; i < j->req.nmessages; i++) {
		const struct store_message *m = &j->req.messages[i];
		struct store_record rec = writer_record_of(w, m, m->uid);

		if (m->uid == 0 || m->uid == UINT32_MAX || is_dead(tombstones, m->uid) ||
		    has_record(w, b, m->uid) || m->size == 0 ||
		    file_look(&r, m->uid, m->size) != FILE_GOOD)
			continue;
		if (n++ == 0)
			writer_box_touch(w, b);
		rec.emailid = writer_cache_put(w, m->cache);
		rec.threadid = writer_thread_join(w, b->acct, rec.emailid, m->cache);
		rec.keywords = writer_box_keywords(w, b, m->keywords, true);
		if (rec.uid < b->d.uidnext)
			writer_box_insert(w, b, &rec);
		else
			writer_box_append(w, b, &rec);
	}
	writer_reply_ok(j);
	j->reply.uid = n;
	j->reply.modseq = b->d.highestmodseq;
	repair_fini(&r);
}

/* The change log of a busy account is long: it is read in slices (long.c).  What it had then it still
 * has, and what is expunged meanwhile waits. */
static bool
relink_slice(struct writer *w, struct wlong *l)
{
	struct wbox *b = writer_box_selectable(w, l->job, l->job->req.mailbox);

	if (!b)
		return true;
	if (writer_intents_wait(w)) { /* the file may be another folder's */
		writer_reply_fail(l->job, STORE_FAILED, verdict(OUT_STORE_UNMOVED));
		return true;
	}
	l->account = b->acct->d.id;
	if (!writer_change_tombstones(w, b, relink_within(&l->job->req), l->count.change, &l->uids))
		return false;
	relink_files(w, l->job, b, &l->uids);
	return true;
}

void
writer_run_relink(struct writer *w, struct store_job *j)
{
	writer_long_run(w, j, relink_slice, j->req.mailbox, 0);
}

/* ---- SETTLE -------------------------------------------------------------------------------------- */

static enum edit
settle_look(void *arg, struct store_record *rec)
{
	struct repair *r = arg;

	switch (file_look(r, rec->uid, rec->size)) {
	case FILE_MISSING:
		if (!writer_pending_has(r->w, r->b->id, rec->uid))
			writer_range_add(&r->missing, rec->uid);
		break;
	case FILE_ODD: writer_range_add(&r->odd, rec->uid); break;
	case FILE_UNKNOWN: r->unknown++; break;
	case FILE_GOOD: break;
	}
	return EDIT_KEEP;
}

/* Moves the files out of the way; keeps in r->odd those of which that was done. */
static void
settle_set_aside(struct repair *r)
{
	struct buf moved = { 0 };
	const struct store_range *range = (const void *)r->odd.p;

	for (size_t i = 0; i < r->odd.n / sizeof(*range); i++)
		for (uint32_t uid = range[i].first; uid <= range[i].last; uid++) {
			buf_clear(&r->path);
			buf_str(&r->path, r->b->dir);
			store_message_name(&r->path, uid);
			if (writer_file_set_aside(r->w->files, r->b, uid, buf_cstr(&r->path)) == 0)
				writer_range_add(&moved, uid);
			else
				r->unknown++;
		}
	buf_fini(&r->odd);
	r->odd = moved;
}

/* A file that was never a message, at a UID that storectl names alone. */
static void
settle_strangers(struct repair *r, const struct store_range *range, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (range[i].first == range[i].last && !has_record(r->w, r->b, range[i].first) &&
		    file_look(r, range[i].first, 0) == FILE_ODD &&
		    writer_file_set_aside(r->w->files, r->b, range[i].first, buf_cstr(&r->path)) ==
			0)
			writer_range_add(&r->odd, range[i].first);
}

static void
settle_drop(struct repair *r, const struct buf *ranges)
{
	struct buf gone = { 0 };

	if (ranges->n)
		writer_expunge_records(r->w, r->b, (const void *)ranges->p,
		    ranges->n / sizeof(struct store_range), true, &gone);
	buf_fini(&gone);
}

void
writer_run_settle(struct writer *w, struct store_job *j)
{
	struct wbox *b = writer_box_selectable(w, j, j->req.mailbox);
	struct repair r = { .w = w, .b = b };

	if (!b)
		return;
	if (writer_intents_wait(w)) {
		writer_reply_fail(j, STORE_FAILED, verdict(OUT_STORE_UNMOVED));
		return;
	}
	writer_box_walk(w, b, j->req.ranges, j->req.nranges, settle_look, &r);
	settle_set_aside(&r);
	settle_drop(&r, &r.missing);
	settle_drop(&r, &r.odd);
	settle_strangers(&r, j->req.ranges, j->req.nranges);
	writer_reply_ok(j);
	j->reply.modseq = b->d.highestmodseq;
	j->reply.uids = writer_ranges_keep(&j->arena, &r.missing, &j->reply.nuids);
	j->reply.to = writer_ranges_keep(&j->arena, &r.odd, &j->reply.nto);
	j->reply.failed = r.unknown;
	repair_fini(&r);
}

/* ---- FORGET -------------------------------------------------------------------------------------- */

/* A content that no message has can get no new one: ids are not used again, and copies are made
 * of messages. */
void
writer_run_forget(struct writer *w, struct store_job *j)
{
	for (size_t i = 0; i < j->req.nemails; i++) {
		uint8_t key[8];

		store_be64(key, j->req.emails[i]);
		writer_row_del(w, STORE_T_CACHE, key, sizeof(key));
	}
	writer_reply_ok(j);
}
