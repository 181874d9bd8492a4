/* message/message.c: opening, mapping, and finding sections.
 *
 * Called by readers of the store, on the loop.  Opening can fail for reasons of ours (descriptors,
 * the disk) and because the message is gone; the two never look alike.  What must stay true: a
 * digest that does not belong to the file (another size) is not used.  Cut apart from parse.c,
 * which alone knows threads. */
#include "message/message.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"

void
message_init(struct message *m, struct slice record)
{
	*m = (struct message){ .fd = -1 };
	buf_slice(&m->record, record);
	if (record.n == 0 || message_digest_parse(buf_get(&m->record), &m->digest) < 0)
		m->digest = (struct message_digest){ 0 };
	m->size = m->digest.size;
}

/* The store says that there is no file: is the message expunged, or has the file been lost? */
static int
why_missing(struct store_view *v, uint64_t mailbox, uint32_t uid)
{
	int rc = store_begin(v);

	if (rc < 0)
		return rc;
	rc = store_get_record(v, mailbox, uid) ? -ENODATA : -ENOENT;
	store_end(v);
	return rc;
}

int
message_open(struct message *m, struct store_view *v, uint64_t mailbox, uint32_t uid)
{
	struct stat st;
	int rc = store_open_message(v, mailbox, uid);

	if (rc >= 0) {
		m->fd = rc;
		rc = fstat(m->fd, &st) < 0 ? -errno : 0;
	} else if (rc == -ENOENT) {
		rc = why_missing(v, mailbox, uid);
	}
	if (rc < 0) {
		if (rc != -ENOENT)
			log_event(LOG_ERROR, "message_missing", "mailbox=%llu uid=%u error=%s",
			    (unsigned long long)mailbox, uid, log_str(strerror(-rc)));
		message_close(m);
		return rc;
	}
	m->size = (uint64_t)st.st_size;
	if (m->digest.has && m->digest.size != m->size)
		m->digest = (struct message_digest){ 0 };
	return 0;
}

bool
message_error_passes(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EAGAIN ||
	    error == -EUSERS;
}

bool
message_in_memory(const struct message *m, uint64_t at, uint64_t len)
{
	const uint64_t ends[] = { at, len > 0 ? at + len - 1 : at };

	for (size_t i = 0; i < NELEM(ends); i++) {
		char c;
		struct iovec iov = { &c, 1 };

		if (preadv2(m->fd, &iov, 1, (off_t)ends[i], RWF_NOWAIT) < 0 && errno == EAGAIN)
			return false;
	}
	return true;
}

int
message_map(struct message *m)
{
	return m->map.p || m->size == 0 ? 0 : mapped_open(&m->map, m->fd, (size_t)m->size);
}

void
message_tree(struct message *m)
{
	if (m->mime)
		return;
	m->mime = arena_new(&m->arena, sizeof(*m->mime));
	mime_parse(m->map.p ? message_bytes(m) : S(""), &m->arena, m->mime);
}

void
message_unmap(struct message *m)
{
	mapped_close(&m->map);
	arena_reset(&m->arena);
	buf_fini(&m->record);
	*m = (struct message){ .fd = -1 };
}

void
message_close(struct message *m)
{
	if (m->fd >= 0)
		close(m->fd);
	message_unmap(m);
}

int
message_section(const struct message *m, const uint32_t *path, size_t n, enum mime_section which,
    struct message_extent *e)
{
	struct message_part part;
	struct slice bytes;
	int rc;

	if (n == 0 && which == MIME_BODY) {
		*e = (struct message_extent){ 0, (uint32_t)m->size };
		return 0;
	}
	if (m->mime) {
		rc = mime_section(m->mime, path, n, which, &bytes);
		if (rc == 0)
			*e = (struct message_extent){ (uint32_t)(bytes.p - m->mime->msg.p),
				(uint32_t)bytes.n };
		return rc;
	}
	if (m->digest.has == 0)
		return -ENODATA;
	if (n == 0 && which != MIME_MIME) {
		uint32_t h = m->digest.header_len;

		if (h > m->size)
			return -ENODATA;
		*e = which == MIME_TEXT ? (struct message_extent){ h, (uint32_t)m->size - h } :
					  (struct message_extent){ 0, h };
		return 0;
	}
	rc = message_digest_part(&m->digest, path, n, &part);
	if (rc < 0)
		return rc;
	switch (which) {
	case MIME_BODY: *e = part.body; break;
	case MIME_MIME: *e = part.mime; break;
	case MIME_HEADER: *e = part.header; break;
	case MIME_TEXT: *e = part.text; break;
	}
	if (which == MIME_MIME ? n == 0 : which != MIME_BODY && !part.message)
		return -ENOENT;
	return e->at <= m->size && e->len <= m->size - e->at ? 0 : -ENODATA;
}
