/* jmapd/blob.c: blobs as octets.  See blob.h.
 *
 * Called by methods that take blobs (Email/set, Email/import, Email/parse, Blob/get) and by downloads.  A message is
 * found by its place in one of the user's mailboxes, so nobody gets at another's by its number, and at a cost
 * that does not grow with how many others have it.  Opening a part takes its message apart and decodes the part once,
 * for its size; reading decodes it again, a piece at a time, so none is ever in memory whole. */
#include "blob.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "jmap/email-structure.h"
#include "jmap/email-write.h"
#include "jmap/id.h"
#include "mail/text.h"
#include "message/message.h"
#include "net/work.h"
#include "store/acl.h"
#include "store/read-thread.h"

#define PIECE  (64 * 1024)
#define PIECES 16 /* decoded in a turn, without one that is asked for: some ms */

struct blob_part {
	struct message message;
	const struct mime_part *mime;
	struct text_reader text;
	bool reading;    /* text is open */
	uint64_t at;     /* of the part, where `have` begins */
	struct buf have; /* decoded */
};

/* On its way through the pool. */
struct blob_work {
	struct blob_part *part;
	char id[64]; /* of the part */
	uint64_t size;
	int error;
	struct blob *to;
	void (*done)(void *arg);
	void *arg;
};

/* A place that the user may read, of one that has the content. */
static bool
blob_readable(const struct session *s, struct store_view *v, uint64_t mailbox)
{
	struct store_mailbox m;

	return store_get_mailbox(v, mailbox, &m) == 0 &&
	    (store_rights(v, &m, login_groups_person(s->user->groups)) & STORE_R_READ);
}

static bool
blob_place(const struct session *s, struct store_view *v, const struct store_boxes *boxes,
    bool guest, struct store_place *p)
{
	while (store_boxes_email(v, boxes, p))
		if (!guest || blob_readable(s, v, p->mailbox))
			return true;
	return false;
}

/* A place of the user's own where the content is, or of one who shares it. */
static int
blob_message(struct session *s, const struct call_of *of, uint64_t emailid, struct message *m)
{
	struct store_view *v = of ? of->home->view : s->user->home->view;
	struct store_place p = { .emailid = emailid };
	struct store_boxes boxes = { 0 };
	struct store_account a;
	int rc = store_begin(v);

	if (rc < 0)
		return rc;
	rc = store_find_account(v, slice_str(of ? of->name : s->user->account), &a);
	if (rc == 0) {
		store_boxes_load(v, a.id, &boxes);
		rc = blob_place(s, v, &boxes, of && of->guest, &p) ? 0 : -ENOENT;
		store_boxes_fini(&boxes);
	}
	if (rc == 0) {
		message_init(m, slice(NULL, 0));
		rc = message_open(m, v, p.mailbox, p.uid);
	}
	store_end(v);
	return rc;
}

/* ---- parts ------------------------------------------------------------------------------------------------ */

static void
blob_part_rewind(struct blob_part *p)
{
	if (p->reading)
		text_close(&p->text);
	text_open_part(&p->text, p->message.mime, p->mime);
	p->reading = true;
	p->at = 0;
	buf_clear(&p->have);
}

static void
blob_part_free(struct blob_part *p)
{
	if (p->reading)
		text_close(&p->text);
	message_close(&p->message);
	buf_fini(&p->have);
	mem_release(p);
}

/* The next piece of it; false at the end. */
static bool
blob_part_next(struct blob_part *p)
{
	p->at += p->have.n;
	buf_clear(&p->have);
	return text_next_octets(&p->text, &p->have);
}

static ssize_t
blob_part_read(struct blob_part *p, uint64_t at, struct buf *out)
{
	unsigned pieces = 0;
	struct slice got;

	if (at < p->at)
		blob_part_rewind(p);
	while (at >= p->at + p->have.n) {
		if (pieces++ == PIECES)
			return -EAGAIN;
		if (!blob_part_next(p))
			return message_is_cut(&p->message) ? -EIO : 0;
	}
	if (message_is_cut(&p->message))
		return -EIO;
	got = slice_sub(buf_get(&p->have), (size_t)(at - p->at), PIECE);
	buf_slice(out, got);
	return (ssize_t)got.n;
}

/* Finds the part and its size; on any thread. */
static void
blob_part_find(void *arg)
{
	struct blob_work *w = arg;
	struct blob_part *p = w->part;
	struct jmap_structure st;
	const struct jmap_part *found = NULL;
	struct arena a = { 0 };

	w->error = message_map(&p->message);
	if (w->error == 0) {
		message_tree(&p->message);
		jmap_structure_make(p->message.mime, &a, &st);
		found = jmap_structure_find(&st, slice_str(w->id));
		w->error = found ? 0 : -ENOENT;
	}
	if (found) {
		p->mime = found->mime;
		blob_part_rewind(p);
		while (blob_part_next(p) && !work_stopped())
			;
		w->size = p->at + p->have.n;
		blob_part_rewind(p);
		w->error = message_is_cut(&p->message) ? -EIO : 0;
	}
	arena_reset(&a);
}

static void
blob_work_free(void *arg)
{
	struct blob_work *w = arg;

	if (w->part)
		blob_part_free(w->part);
	mem_release(w);
}

static void
blob_work_end(struct blob_work *w)
{
	w->to->error = w->error;
	w->to->size = w->size;
	if (w->error == 0) {
		w->to->part = w->part;
		w->part = NULL;
	}
}

static void
blob_work_done(void *arg)
{
	struct blob_work *w = arg;

	blob_work_end(w);
	w->done(w->arg);
	blob_work_free(w);
}

static bool
blob_part_start(struct session *s, const struct message *m, struct slice id, struct blob_work *w)
{
	w->part = mem_new(sizeof(*w->part));
	w->part->message = *m;
	(void)slice_cstr(id, w->id, sizeof(w->id));
	if (m->size > MESSAGE_LARGE) {
		work_start_for(jmapd.loop, &s->http.op, s->user->id, blob_part_find, blob_work_done,
		    blob_work_free, w);
		return false;
	}
	blob_part_find(w);
	blob_work_end(w);
	blob_work_free(w);
	return true;
}

/* ---- all of them -------------------------------------------------------------------------------------------- */

static int
blob_upload_open(struct session *s, struct slice id, struct blob *b)
{
	struct stat st;

	b->fd = upload_open(s, id);
	if (b->fd < 0)
		return b->fd;
	if (fstat(b->fd, &st) < 0)
		return -errno;
	b->size = (uint64_t)st.st_size;
	return 0;
}

bool
blob_start(struct session *s, struct slice id, struct blob *b, void (*done)(void *arg), void *arg)
{
	return blob_start_of(s, NULL, id, b, done, arg);
}

bool
blob_start_of(struct session *s, const struct call_of *of, struct slice id, struct blob *b,
    void (*done)(void *arg), void *arg)
{
	struct slice message = id, part = S("");
	struct blob_work *w;
	struct message m;
	bool is_part;

	*b = (struct blob){ .fd = -1, .error = -ENOENT };
	if (!jmap_id_ok(id))
		return true;
	if (id.p[0] == 'U' && !(of && of->guest)) {
		b->error = blob_upload_open(s, id, b);
		return true;
	}
	if (id.p[0] == 'S' && jmapd.rules && !(of && of->guest)) {
		script_blob_start(s, id, b, done, arg);
		return false;
	}
	is_part = jmap_blob_cut(&message, &part);
	if (jmap_id_parse(message, JMAP_BLOB) == 0 || part.n >= sizeof(w->id))
		return true;
	b->error = blob_message(s, of, jmap_id_parse(message, JMAP_BLOB), &m);
	if (b->error < 0)
		return true;
	if (!is_part) {
		b->fd = m.fd;
		b->size = m.size;
		message_unmap(&m);
		return true;
	}
	w = mem_new(sizeof(*w));
	*w = (struct blob_work){ .to = b, .done = done, .arg = arg };
	return blob_part_start(s, &m, part, w);
}

ssize_t
blob_read(const struct blob *b, uint64_t at, struct buf *out)
{
	size_t n = at < b->size ? (size_t)(b->size - at) : 0;
	ssize_t got;

	n = n < PIECE ? n : PIECE;
	if (n == 0)
		return 0;
	if (b->part)
		return blob_part_read(b->part, at, out);
	if (b->script) {
		n = slice_sub(script_blob_get(b), (size_t)at, n).n;
		buf_slice(out, slice_sub(script_blob_get(b), (size_t)at, n));
		return (ssize_t)n;
	}
	got = pread(b->fd, buf_reserve(out, n), n, (off_t)at);
	if (got <= 0)
		return got < 0 ? -errno : -EIO; /* shorter than it was */
	out->n += (size_t)got;
	return got;
}

void
blob_close(struct blob *b)
{
	if (b->fd >= 0)
		(void)close(b->fd);
	if (b->part)
		blob_part_free(b->part);
	if (b->script)
		script_blob_close(b);
	*b = (struct blob){ .fd = -1 };
}
