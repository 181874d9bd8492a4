/* RESTORE: messages come back from a backup under the UIDs that they had.
 *
 * Called by the writer's thread within its batch, for storectl restore alone.  A mailbox gets the
 * UIDVALIDITY of its former life only while it has never had a message, and UIDs only behind all that it
 * has given out, so that no number ever means two messages.  A message whose octets another message of
 * the partition has becomes one more name of that file: a backup has each content once, and so has what is
 * made from it.  All messages of a request come or none; a few at a time, so there is nothing to slice. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/writer/writer-impl.h"

static enum edit
restore_look(void *arg, struct store_record *rec)
{
	*(struct store_record *)arg = *rec;
	return EDIT_KEEP;
}

/* The file of the message that has the octets already, and its record; that of another account is in no
 * thread of this one. */
static int
restore_source(struct writer *w, struct store_job *j, size_t i, const struct wbox *b,
    struct store_record *rec)
{
	const struct store_message *m = &j->req.messages[i];
	const struct store_range uid = { m->from_uid, m->from_uid };
	struct buf path = { 0 };
	struct wbox *from;
	struct stat st;
	int fd, rc = writer_box_find(w, m->from, &from);

	if (rc < 0)
		return rc;
	writer_box_walk(w, from, &uid, 1, restore_look, rec);
	if (!rec->uid)
		return -ENOENT;
	if (from->acct != b->acct)
		rec->threadid = 0;
	writer_file_message_path(&path, from, rec->uid);
	fd = openat(w->files->dirfd, buf_cstr(&path),
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	rc = fd < 0 ? -errno : 0;
	if (rc == 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != rec->size))
		rc = -EBADMSG;
	buf_fini(&path);
	w->files->seen_of = 0; /* a number that an earlier job's file may have had */
	if (fd >= 0)
		j->fds[i] = fd; /* closed with the job */
	return rc < 0 ? rc : fd;
}

/* Links all files or none.  0 or -errno. */
static int
restore_link(struct writer *w, struct store_job *j, struct wbox *b, struct store_record *sources)
{
	size_t keep = w->files->nlinks;
	int rc = 0;

	for (size_t i = 0; i < j->req.nmessages && rc == 0; i++) {
		const struct store_message *m = &j->req.messages[i];
		int fd = m->from ? restore_source(w, j, i, b, &sources[i]) :
				   writer_body_fd(w->files, j, i);

		rc = fd < 0 ? fd : writer_link_body(w->files, b, m->uid, fd);
	}
	if (rc < 0)
		writer_links_undo(w->files, keep);
	return rc;
}

static void
restore_one(struct writer *w, struct wbox *b, const struct store_message *m,
    const struct store_record *source)
{
	struct store_record rec = writer_record_of(w, m, m->uid);

	rec.flags &= b->may_flags;
	if (m->savedate)
		rec.savedate = m->savedate;
	if (source->uid) {
		rec.size = source->size;
		rec.sentday = source->sentday;
		rec.digest = source->digest;
		rec.emailid = source->emailid;
		rec.threadid =
		    source->threadid ? source->threadid : writer_thread_of(w, b->acct, &rec);
	} else {
		rec.emailid = writer_cache_put(w, m->cache);
		rec.threadid = writer_thread_join(w, b->acct, rec.emailid, m->cache);
	}
	/* No message stays away for a keyword. */
	(void)!writer_box_keywords_fit(w, b, &m->keywords, 1);
	rec.keywords = writer_box_keywords(w, b, m->keywords, true);
	writer_box_append(w, b, &rec);
	w->stats.appended++;
	w->stats.bytes += rec.size;
}

/* What leaves room: a number up here would leave the mailbox without UIDs, the account without a larger
 * UIDVALIDITY or modseq. */
#define RESTORE_UID_MOST    UINT32_C(0xf0000000)
#define RESTORE_MODSEQ_MOST (UINT64_C(1) << 60)

/* Ascending, and behind all that the mailbox has given out. */
static bool
restore_uids_ok(const struct store_request *r, const struct wbox *b)
{
	uint32_t next = b->d.uidnext;

	for (size_t i = 0; i < r->nmessages; next = r->messages[i++].uid + 1)
		if (r->messages[i].uid < next || r->messages[i].uid > RESTORE_UID_MOST)
			return false;
	return true;
}

static bool
restore_can(struct store_job *j, const struct wbox *b)
{
	const struct store_request *r = &j->req;
	bool other = r->count && r->count != b->d.uidvalidity;

	if (restore_uids_ok(r, b) && r->since <= RESTORE_MODSEQ_MOST &&
	    (r->nranges == 0 || r->ranges[0].last <= RESTORE_UID_MOST) &&
	    (!other || (r->count <= RESTORE_UID_MOST && !b->d.exists && b->d.uidnext == 1)))
		return true;
	writer_reply_fail(j, STORE_CANNOT, verdict(OUT_STORE_UIDS));
	return false;
}

/* Its former UIDVALIDITY and modseq: nothing can fail any more. */
static void
restore_box(const struct store_request *r, struct wbox *b)
{
	struct store_disk_account *a = &b->acct->d;

	/* Clients remember how far they knew the mailbox: what they are told now must be newer.  Up to there the log
	 * of this life of the account says nothing of what they knew, and who has seen the end of the other has seen
	 * other ids of emails. */
	if (a->modseq < r->since)
		a->modseq = r->since;
	if (r->since && a->vanished_from < r->since)
		a->vanished_from = r->since;
	if (r->since && a->changes_from <= r->since)
		a->changes_from = r->since + 1;
	if (r->count && r->count != b->d.uidvalidity) {
		b->d.uidvalidity = r->count;
		if (b->acct->d.uidvalidity < r->count)
			b->acct->d.uidvalidity = r->count;
	}
}

void
writer_run_restore(struct writer *w, struct store_job *j)
{
	struct wbox *b = writer_box_selectable(w, j, j->req.mailbox);
	const struct store_request *r = &j->req;
	struct store_record *sources;
	int rc;

	if (!b || !restore_can(j, b))
		return;
	sources = arena_array(&j->arena, r->nmessages + 1, sizeof(*sources));
	rc = restore_link(w, j, b, sources);
	if (rc < 0) {
		writer_reply_fail(j, rc == -ENOSPC || rc == -EDQUOT ? STORE_FULL : STORE_FAILED,
		    verdict(OUT_STORE_UNSTORED));
		return;
	}
	restore_box(r, b);
	writer_box_touch(w, b);
	for (size_t i = 0; i < r->nmessages; i++)
		restore_one(w, b, &r->messages[i], &sources[i]);
	if (r->nranges && r->ranges[0].last >= b->d.uidnext)
		b->d.uidnext = r->ranges[0].last + 1;
	writer_box_dirty(w, b);
	writer_account_dirty(w, b->acct);
	writer_reply_ok(j);
	j->reply.uidvalidity = b->d.uidvalidity;
	j->reply.uid = b->d.uidnext;
	j->reply.modseq = b->d.highestmodseq;
	j->reply.mailbox = b->id;
}
