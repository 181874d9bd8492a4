/* Messages coming in: DELIVER and APPEND.
 *
 * Called by the writer's thread within its batch.  Bodies come as descriptors of unnamed files, which
 * get their names here; that can fail as the disk does, and is undone for the whole request.  What
 * must stay true: the file's size is the record's before there is a record.  A message that cannot
 * be stored is answered, and the batch goes on without it. */
#include <errno.h>

#include "base/log.h"
#include "store/writer/writer-impl.h"

/* The log has it not: it would be half of the log, and the file says the same.  Where the log is done
 * again, storectl recover makes it anew from there.  stored, which reads no mail, does without for
 * what had come in the second before an unclean end: readers then go to the file. */
static void
cache_row(struct writer *w, uint64_t id, struct slice bytes, const struct store_place_entry *places,
    size_t n)
{
	const struct store_places_end end = { .count = (uint16_t)n, .magic = STORE_PLACES_MAGIC };
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d = { bytes.n, NULL };
	char *p;

	if (n)
		d.mv_size += n * sizeof(*places) + sizeof(end);
	if (w->error)
		return;
	store_be64(key, id);
	w->error = mdb_put(w->txn, w->env->dbi[STORE_T_CACHE], &k, &d, MDB_APPEND | MDB_RESERVE);
	/* The end was only hoped for: ids that came with a user from elsewhere may be larger. */
	if (w->error == MDB_KEYEXIST)
		w->error = mdb_put(w->txn, w->env->dbi[STORE_T_CACHE], &k, &d, MDB_RESERVE);
	if (w->error)
		return;
	p = d.mv_data;
	memcpy(p, bytes.p, bytes.n);
	if (n) {
		memcpy(p + bytes.n, places, n * sizeof(*places));
		memcpy(p + bytes.n + n * sizeof(*places), &end, sizeof(end));
	}
}

uint64_t
writer_cache_put(struct writer *w, struct slice bytes)
{
	uint64_t id = NEW_ID(w, email);

	if (bytes.n)
		cache_row(w, id, bytes, NULL, 0);
	return id;
}

/* A content that comes, and where it goes: the places lie in its row of `cache`, as far as they have
 * room there. */
struct content {
	uint64_t id; /* 0 = it has not gone anywhere yet */
	struct slice cache;
	struct store_place_entry *places; /* of the first STORE_PLACES */
	size_t n;
};

static void
content_place(struct writer *w, struct content *c, uint64_t mailbox, uint32_t uid)
{
	if (c->cache.n == 0 || c->n == STORE_PLACES) {
		writer_place_put(w, c->id, mailbox, uid);
		return;
	}
	writer_place_first(w, c->id, mailbox, uid);
	c->places[c->n++] = (struct store_place_entry){ mailbox, uid };
}

static void
content_put(struct writer *w, const struct content *c)
{
	if (c->id && c->cache.n)
		cache_row(w, c->id, c->cache, c->places, c->n);
}

struct store_record
writer_record_of(struct writer *w, const struct store_message *m, uint32_t uid)
{
	return (struct store_record){ .uid = uid,
		.size = m->size,
		.flags = m->flags,
		.zone = m->zone,
		.internaldate = m->internaldate || m->dated ? m->internaldate : w->now,
		.savedate = (uint32_t)w->now,
		.sentday = m->sentday,
		.digest = m->digest };
}

/* ---- DELIVER ----------------------------------------------------------------------------------- */

static bool
has_dup_key(const struct store_target *t)
{
	static const uint8_t none[16];

	return memcmp(t->dup, none, sizeof(none)) != 0;
}

/* The folder with the id that is wanted, the one with the use, the one of the name, INBOX.  One that is damaged is none of these:
 * it may be there tomorrow. */
int
writer_target_box(struct writer *w, struct wacct *a, const struct store_target *t, struct wbox **b)
{
	uint64_t use = t->use ? writer_use_find(w, a, (enum store_special)t->use) : 0;
	uint64_t object = writer_object_find(w, a, t->objectid);
	char name[STORE_NAME_MAX + 1];
	int rc = -ENOENT;

	if (object)
		use = object;

	if (use)
		rc = writer_box_find(w, use, b);
	if (rc == -ENOENT && t->folder.n && store_name_check(t->folder, name) == 0)
		rc = writer_box_named(w, a, slice_str(name), b);
	if (rc == -ENOENT || (rc == 0 && (*b)->d.attrs & STORE_NOSELECT))
		rc = writer_box_inbox(w, a, b);
	return rc;
}

/* Makes the folder that is to be made; one that cannot be is INBOX. */
static int
target_make(struct writer *w, struct store_job *j, struct wacct *a, const struct store_target *t)
{
	char name[STORE_NAME_MAX + 1];
	struct wbox *b;
	int rc;

	if (!t->create || writer_object_find(w, a, t->objectid) ||
	    (t->use && writer_use_find(w, a, (enum store_special)t->use)) ||
	    store_name_check(t->folder, name) < 0)
		return 0;
	rc = writer_box_named(w, a, slice_str(name), &b);
	if (rc == -ENOENT)
		rc = writer_folder_for_mail(w, j, a, name, (enum store_special)t->use, &b);
	return rc == -ENOENT ? 0 : rc;
}

/* One that is INBOX for want of its folder has a copy there already, of this request: the same one. */
static bool
target_again(const struct store_target *t, size_t i, const struct wacct *a, const struct wbox *b,
    struct store_result *r)
{
	if (t->folder.n == 0 || b != a->inbox)
		return false;
	for (size_t k = 1; k <= i; k++)
		if (r[-(ptrdiff_t)k].code == STORE_DONE && r[-(ptrdiff_t)k].mailbox == b->id) {
			*r = r[-(ptrdiff_t)k];
			return true;
		}
	return false;
}

static void
result_fail(struct store_result *r, enum store_code code, struct verdict v)
{
	r->code = code;
	r->verdict = v;
}

static void
deliver_one(struct writer *w, struct store_job *j, size_t i, int fd, struct content *c,
    struct store_result *r)
{
	const struct store_message *m = j->req.messages;
	const struct store_target *t = &j->req.targets[i];
	struct store_record rec;
	struct verdict v;
	struct wacct *a;
	struct wbox *b;
	uint32_t uid;
	int rc;

	r->verdict = w->delivered;
	r->code = STORE_DONE;
	if (has_dup_key(t) && writer_dup_has(w->dups, t->dup)) {
		r->duplicate = true;
		w->stats.duplicates++;
		return;
	}
	rc = writer_account_prepare(w, t->account, &a);
	if (rc == 0 && writer_is_frozen(w, a)) { /* no folder is made in it either */
		result_fail(r, STORE_FAILED, writer_verdict_frozen(a));
		return;
	}
	if (rc == 0)
		rc = target_make(w, j, a, t);
	if (rc == 0)
		rc = writer_target_box(w, a, t, &b);
	if (rc < 0) {
		result_fail(r, STORE_DAMAGED, writer_verdict_damaged());
		return;
	}
	if (writer_folder_is_full(w, b, &t->limits, m->size) && writer_box_inbox(w, a, &b) < 0) {
		result_fail(r, STORE_DAMAGED, writer_verdict_damaged());
		return;
	}
	if (target_again(t, i, a, b, r))
		return;
	if (writer_over_quota(w, b, &t->limits, m->size, 1, true, &v)) {
		result_fail(r, STORE_OVERQUOTA, v);
		return;
	}
	uid = b->d.uidnext;
	rc = writer_link_body(w->files, b, uid, fd);
	if (rc < 0) {
		result_fail(r, rc == -ENOSPC || rc == -EDQUOT ? STORE_FULL : STORE_FAILED,
		    verdict(OUT_STORE_UNSTORED));
		return;
	}
	if (!c->id)
		c->id = NEW_ID(w, email);
	rec = writer_record_of(w, m, uid);
	rec.flags |= t->flags;
	/* Mail is not turned away for a keyword: what there is no room for is left out. */
	(void)!writer_box_keywords_fit(w, b, (struct slice[]){ m->keywords, t->keywords }, 2);
	rec.emailid = c->id;
	rec.threadid = writer_thread_join(w, a, c->id, c->cache);
	rec.keywords = writer_box_keywords(w, b, m->keywords, true) |
	    writer_box_keywords(w, b, t->keywords, true);
	writer_box_touch(w, b);
	content_place(w, c, b->id, uid);
	writer_box_append_placed(w, b, &rec);
	if (has_dup_key(t))
		writer_dup_add(w->dups, t->dup, (uint32_t)w->now);
	r->mailbox = b->id;
	r->uid = rec.uid;
	a->d.coming_at = 0; /* it is dirty: a message more */
	w->stats.delivered++;
	w->stats.bytes += rec.size;
	writer_quota_warn(w, a, &t->limits);
}

void
writer_run_deliver(struct writer *w, struct store_job *j)
{
	struct content c = { .cache = j->req.messages[0].cache };
	size_t n = j->req.ntargets;
	struct store_result *r;
	int fd;

	fd = writer_body_fd(w->files, j, 0);
	if (fd < 0) {
		log_event(LOG_ERROR, "store_body", "error=%s", log_str(strerror(-fd)));
		writer_reply_fail(j, STORE_FAILED, verdict(OUT_STORE_FILE_BAD));
		return;
	}
	if (!w->done.kind) {
		w->delivered = verdict(OUT_STORE_DELIVERED);
		w->done = verdict(OUT_STORE_DONE);
	}
	r = arena_array(&j->arena, n, sizeof(*r));
	c.places = arena_array(&j->arena, n < STORE_PLACES ? n : STORE_PLACES, sizeof(*c.places));
	for (size_t i = 0; i < n; i++)
		deliver_one(w, j, i, fd, &c, &r[i]);
	content_put(w, &c);
	j->reply.code = STORE_DONE;
	j->reply.verdict = w->done;
	j->reply.results = r;
	j->reply.nresults = n;
}

/* ---- APPEND ------------------------------------------------------------------------------------- */

/* Links all files or none, from the mailbox's uidnext on. */
static int
link_all(struct writer *w, struct store_job *j, struct wbox *b)
{
	size_t keep = w->files->nlinks;

	for (size_t i = 0; i < j->req.nmessages; i++) {
		int fd = writer_body_fd(w->files, j, i);
		int rc =
		    fd < 0 ? fd : writer_link_body(w->files, b, b->d.uidnext + (uint32_t)i, fd);

		if (rc < 0) {
			writer_links_undo(w->files, keep);
			return rc;
		}
	}
	return 0;
}

uint64_t
writer_append_bytes(const struct store_request *r)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < r->nmessages; i++)
		bytes += r->messages[i].size;
	return bytes;
}

static bool
append_keywords_fit(struct writer *w, struct store_job *j, struct wbox *b)
{
	size_t n = j->req.nmessages;
	struct slice *words = arena_array(&j->arena, n, sizeof(*words));

	for (size_t i = 0; i < n; i++)
		words[i] = b->may_keywords ? j->req.messages[i].keywords : slice(NULL, 0);
	return !writer_reply_if_keywords(j, writer_box_keywords_fit(w, b, words, n));
}

static void
append_one(struct writer *w, struct wbox *b, const struct store_message *m, struct wseen *seen,
    bool many)
{
	struct store_record rec = writer_record_of(w, m, b->d.uidnext);
	struct store_place_entry place;
	struct content c = { NEW_ID(w, email), m->cache, &place, 0 };

	rec.emailid = c.id;
	rec.threadid = writer_thread_join(w, b->acct, c.id, m->cache);
	rec.flags &= b->may_flags; /* RFC 4314 4: others are left out */
	if (b->seen_apart && rec.flags & STORE_SEEN) {
		writer_seen_mark(seen, rec.uid, true);
		rec.flags &= (uint16_t)~STORE_SEEN;
	}
	rec.keywords = b->may_keywords ? writer_box_keywords(w, b, m->keywords, true) : 0;
	content_place(w, &c, b->id, rec.uid);
	content_put(w, &c);
	if (many)
		writer_box_append_settled(w, b, &rec);
	else
		writer_box_append_placed(w, b, &rec);
}

bool
writer_append_all(struct writer *w, struct store_job *j, struct wbox *b)
{
	size_t n = j->req.nmessages;
	struct store_range *uids;
	struct wevent event;
	struct wseen seen;
	int rc;

	if (!append_keywords_fit(w, j, b))
		return false;
	rc = link_all(w, j, b);
	if (rc < 0) {
		writer_reply_fail(j, rc == -ENOSPC || rc == -EDQUOT ? STORE_FULL : STORE_FAILED,
		    verdict(OUT_STORE_UNSTORED));
		return false;
	}
	uids = arena_new(&j->arena, sizeof(*uids));
	uids->first = b->d.uidnext;
	writer_box_touch(w, b);
	writer_seen_begin(&seen, w, b, j->req.actor);
	for (size_t i = 0; i < n; i++)
		append_one(w, b, &j->req.messages[i], &seen, n > STORE_ARRIVALS);
	writer_seen_end(&seen, b->d.highestmodseq);
	uids->last = b->d.uidnext - 1;
	w->stats.appended += n;
	w->stats.bytes += writer_append_bytes(&j->req);
	j->reply.uids = uids;
	j->reply.nuids = 1;
	j->reply.uid = uids->first;
	j->reply.uidvalidity = b->d.uidvalidity;
	j->reply.mailbox = b->id;
	writer_event_begin(&event, w, j, b, STORE_CAUSE_APPEND, NULL);
	writer_event_came(&event, slice((const char *)uids, sizeof(*uids)));
	writer_event_end(&event);
	return true;
}

void
writer_run_append(struct writer *w, struct store_job *j)
{
	struct wbox *b = writer_box_selectable(w, j, j->req.mailbox);
	struct verdict v;

	if (!b)
		return;
	if (writer_over_quota(w, b, &j->req.limits, writer_append_bytes(&j->req), j->req.nmessages,
		false, &v)) {
		writer_reply_fail(j, STORE_OVERQUOTA, v);
		return;
	}
	if (!writer_append_all(w, j, b))
		return;
	writer_reply_ok(j);
	j->reply.modseq = b->d.highestmodseq;
	writer_quota_warn(w, b->acct, &j->req.limits);
	j->reply.bytes = b->acct->d.bytes;
	j->reply.messages = b->acct->d.messages;
}
