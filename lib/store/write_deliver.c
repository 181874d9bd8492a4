/* Messages coming in: DELIVER, APPEND, and ADOPT for reconstruct. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "store/write_private.h"

static uint64_t
cache_put(struct store_part *p, struct slice bytes)
{
	uint64_t id = NEW_ID(p, email);
	uint8_t key[8];

	if (bytes.n) {
		store_be64(key, id);
		row_put(p, STORE_T_CACHE, key, 8, bytes.p, bytes.n, MDB_APPEND);
	}
	return id;
}

static struct store_record
record_of(struct store_part *p, const struct store_message *m, uint32_t uid)
{
	return (struct store_record){ .uid = uid, .size = m->size, .flags = m->flags, .zone = m->zone,
		.internaldate = m->internaldate ? m->internaldate : p->now,
		.savedate = (uint32_t)p->now };
}

/* The descriptor to link: a copy when the body is in another partition.  -errno. */
static int
body_fd(struct store_part *p, struct store_job *j, size_t i, const struct store_message *m)
{
	struct stat st;

	if (!j->fds || j->fds[i] < 0)
		return -EBADF;
	if (fstat(j->fds[i], &st) < 0)
		return -errno;
	if (st.st_size != m->size)
		return -EBADMSG;
	/* The file carries the internal date: reconstruct has nothing else. */
	if (m->internaldate && llabs((long long)(m->internaldate - st.st_mtime)) > 2) {
		const struct timespec times[2] = { { m->internaldate, 0 }, { m->internaldate, 0 } };

		(void)!futimens(j->fds[i], times);
	}
	if (j->foreign) {
		int copy = clone_body(p, j->fds[i]);

		if (copy < 0)
			return copy;
		close(j->fds[i]);
		j->fds[i] = copy;
	}
	return j->fds[i];
}

/* ---- DELIVER ----------------------------------------------------------------------------------- */

static bool
has_dup_key(const struct store_target *t)
{
	static const uint8_t none[16];

	return memcmp(t->dup, none, sizeof(none)) != 0;
}

static struct wbox *
target_box(struct store_part *p, struct wacct *a, const struct store_target *t)
{
	char name[STORE_NAME_MAX + 1];
	struct wbox *b = NULL;

	if (t->folder.n && store_name_check(t->folder, name) == 0)
		b = box_named(p, a, slice_str(name));
	if (!b || b->d.attrs & STORE_NOSELECT)
		b = box_inbox(p, a);
	return b;
}

static void
result_fail(struct store_result *r, enum store_code code, struct verdict v)
{
	r->code = code;
	r->verdict = v;
}

static void
deliver_one(struct store_part *p, int fd, const struct store_message *m, const struct store_target *t,
    uint64_t *emailid, struct store_result *r)
{
	struct store_record rec;
	struct verdict v;
	struct wacct *a;
	struct wbox *b;
	int rc;

	r->verdict = verdict(OK, 250, "2.1.5", "delivered");
	r->code = STORE_DONE;
	if (has_dup_key(t) && dup_has(p->dups, t->dup)) {
		r->duplicate = true;
		p->stats.duplicates++;
		return;
	}
	a = acct_prepare(p, t->account);
	b = a ? target_box(p, a, t) : NULL;
	if (!b) {
		result_fail(r, STORE_FAILED, verdict(TEMP, 451, "4.3.0", "mailbox is damaged"));
		return;
	}
	if (over_quota(p, a, &t->limits, m->size, 1, &v)) {
		result_fail(r, STORE_OVERQUOTA, v);
		return;
	}
	rc = link_body(p, b, b->d.uidnext, fd);
	if (rc < 0) {
		result_fail(r, rc == -ENOSPC || rc == -EDQUOT ? STORE_FULL : STORE_FAILED,
		    verdict(TEMP, 452, "4.3.1", "message could not be stored"));
		return;
	}
	if (!*emailid)
		*emailid = cache_put(p, m->cache);
	rec = record_of(p, m, b->d.uidnext);
	rec.flags |= t->flags;
	rec.emailid = rec.threadid = *emailid;
	rec.keywords = box_keywords(p, b, m->keywords, true) | box_keywords(p, b, t->keywords, true);
	box_touch(p, b);
	box_append(p, b, &rec);
	if (has_dup_key(t))
		dup_add(p->dups, t->dup, (uint32_t)p->now);
	r->mailbox = b->id;
	r->uid = rec.uid;
	p->stats.delivered++;
	p->stats.bytes += rec.size;
}

void
run_deliver(struct store_part *p, struct store_job *j)
{
	const struct store_message *m = j->req.messages;
	struct store_result *r;
	uint64_t emailid = 0;
	int fd;

	if (reply_if_full(p, j))
		return;
	fd = body_fd(p, j, 0, m);
	if (fd < 0) {
		log_event(LOG_ERROR, "store_body", "error=%s", log_str(strerror(-fd)));
		reply_fail(j, STORE_FAILED, verdict(TEMP, 451, "4.3.0", "message file is not usable"));
		return;
	}
	r = arena_array(&j->arena, j->req.ntargets, sizeof(*r));
	for (size_t i = 0; i < j->req.ntargets; i++)
		deliver_one(p, fd, m, &j->req.targets[i], &emailid, &r[i]);
	reply_ok(j);
	j->reply.results = r;
	j->reply.nresults = j->req.ntargets;
}

/* ---- APPEND ------------------------------------------------------------------------------------- */

/* Links all files or none. */
static int
link_all(struct store_part *p, struct store_job *j, struct wbox *b)
{
	size_t keep = p->nlinks;

	for (size_t i = 0; i < j->req.nmessages; i++) {
		int fd = body_fd(p, j, i, &j->req.messages[i]);
		int rc = fd < 0 ? fd : link_body(p, b, b->d.uidnext + (uint32_t)i, fd);

		if (rc < 0) {
			links_undo(p, keep);
			return rc;
		}
	}
	return 0;
}

void
run_append(struct store_part *p, struct store_job *j)
{
	struct wbox *b = box_find(p, j->req.mailbox);
	struct store_range *uids;
	struct verdict v;
	uint64_t bytes = 0;
	size_t n = j->req.nmessages;
	int rc;

	if (!b || b->d.attrs & STORE_NOSELECT) {
		reply_no_mailbox(j);
		return;
	}
	if (reply_if_full(p, j))
		return;
	for (size_t i = 0; i < n; i++)
		bytes += j->req.messages[i].size;
	if (over_quota(p, b->acct, &j->req.limits, bytes, n, &v)) {
		reply_fail(j, STORE_OVERQUOTA, v);
		return;
	}
	rc = link_all(p, j, b);
	if (rc < 0) {
		reply_fail(j, rc == -ENOSPC || rc == -EDQUOT ? STORE_FULL : STORE_FAILED,
		    verdict(TEMP, 452, "4.3.1", "message could not be stored"));
		return;
	}
	uids = arena_new(&j->arena, sizeof(*uids));
	uids->first = b->d.uidnext;
	box_touch(p, b);
	for (size_t i = 0; i < n; i++) {
		struct store_message *m = &j->req.messages[i];
		struct store_record rec = record_of(p, m, b->d.uidnext);

		rec.emailid = rec.threadid = cache_put(p, m->cache);
		rec.keywords = box_keywords(p, b, m->keywords, true);
		box_append(p, b, &rec);
	}
	uids->last = b->d.uidnext - 1;
	p->stats.appended += n;
	p->stats.bytes += bytes;
	reply_ok(j);
	j->reply.uids = uids;
	j->reply.nuids = 1;
	j->reply.uid = uids->first;
	j->reply.uidvalidity = b->d.uidvalidity;
	j->reply.mailbox = b->id;
	j->reply.modseq = b->d.highestmodseq;
	j->reply.bytes = b->acct->d.bytes;
	j->reply.messages = b->acct->d.messages;
}

/* ---- ADOPT --------------------------------------------------------------------------------------- */

/* Files that stand in the mailbox's directory and are not in the index, ascending by uid. */
void
run_adopt(struct store_part *p, struct store_job *j)
{
	struct wbox *b = box_find(p, j->req.mailbox);
	uint32_t n = 0;

	if (!b) {
		reply_no_mailbox(j);
		return;
	}
	box_touch(p, b);
	for (size_t i = 0; i < j->req.nmessages; i++) {
		struct store_message *m = &j->req.messages[i];
		struct store_record rec = record_of(p, m, m->uid);

		if (m->uid == 0 || m->uid == UINT32_MAX)
			continue;
		rec.emailid = rec.threadid = cache_put(p, m->cache);
		rec.keywords = box_keywords(p, b, m->keywords, true);
		if (rec.uid < b->d.uidnext)
			box_insert(p, b, &rec);
		else
			box_append(p, b, &rec);
		n++;
	}
	reply_ok(j);
	j->reply.uid = n;
	j->reply.modseq = b->d.highestmodseq;
}
