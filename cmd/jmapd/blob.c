/* jmapd/blob.c: blobs as octets.  See blob.h.
 *
 * Called by methods that take blobs (Email/set, Email/import, Email/parse, Blob/get) and by downloads.  A message is
 * found by its place in one of the user's mailboxes, so nobody gets at another's by its number.  Opening a
 * part costs its message, which is as long as limit.upload lets anybody bring. */
#include "blob.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "jmap/email-structure.h"
#include "jmap/email-write.h"
#include "jmap/id.h"
#include "mail/text.h"
#include "message/message.h"

#define PIECE (64 * 1024)

/* A place of the user's own where the content is. */
static int
blob_message(struct session *s, uint64_t emailid, struct message *m)
{
	struct store_view *v = s->user->home->view;
	struct store_place p = { .emailid = emailid };
	struct store_account a;
	struct store_mailbox box;
	int rc = store_begin(v);

	if (rc < 0)
		return rc;
	rc = store_find_account(v, slice_str(s->user->account), &a);
	while (rc == 0) {
		if (!store_email_next(v, &p))
			rc = -ENOENT;
		else if (store_get_mailbox(v, p.mailbox, &box) == 0 && box.account == a.id)
			break;
	}
	if (rc == 0) {
		message_init(m, slice(NULL, 0));
		rc = message_open(m, v, p.mailbox, p.uid);
	}
	store_end(v);
	return rc;
}

static int
blob_part(struct message *m, struct slice part, struct blob *b)
{
	struct arena a = { 0 };
	struct jmap_structure st;
	struct jmap_part *p = NULL;
	struct text_reader t;
	int rc = message_map(m);

	if (rc == 0) {
		message_tree(m);
		jmap_structure_make(m->mime, &a, &st);
		p = jmap_structure_find(&st, part);
		rc = p ? 0 : -ENOENT;
	}
	if (p) {
		text_open_part(&t, m->mime, p->mime);
		while (text_next_octets(&t, &b->bytes))
			;
		text_close(&t);
		rc = message_is_cut(m) ? -EIO : 0;
	}
	b->size = b->bytes.n;
	message_close(m);
	arena_reset(&a);
	return rc;
}

static int
blob_upload(struct session *s, struct slice id, struct blob *b)
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

int
blob_open(struct session *s, struct slice id, struct blob *b)
{
	struct slice message = id, part = S("");
	struct message m;
	bool is_part;
	int rc;

	*b = (struct blob){ .fd = -1 };
	if (!jmap_id_ok(id))
		return -ENOENT;
	if (id.p[0] == 'U')
		return blob_upload(s, id, b);
	is_part = jmap_blob_cut(&message, &part);
	if (jmap_id_parse(message, JMAP_BLOB) == 0)
		return -ENOENT;
	rc = blob_message(s, jmap_id_parse(message, JMAP_BLOB), &m);
	if (rc < 0)
		return rc;
	if (is_part)
		return blob_part(&m, part, b);
	b->fd = m.fd;
	b->size = m.size;
	message_unmap(&m);
	return 0;
}

ssize_t
blob_read(const struct blob *b, uint64_t at, struct buf *out)
{
	size_t n = at < b->size ? (size_t)(b->size - at) : 0;
	ssize_t got;

	n = n < PIECE ? n : PIECE;
	if (n == 0)
		return 0;
	if (b->fd < 0) {
		buf_slice(out, slice_sub(buf_get(&b->bytes), (size_t)at, n));
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
	buf_fini(&b->bytes);
	*b = (struct blob){ .fd = -1 };
}
