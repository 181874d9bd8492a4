/* stream.c: frames: see stream.h.
 *
 * Called by storectl's backup and restore, and by nobody else.  A stream may have lain on a tape for years,
 * or be somebody's forgery: all of a frame is checked before any of it is believed, and nothing is asked
 * for because a length says so but what one frame may have. */
#include "backup/stream.h"

#include <errno.h>

#include "base/crc.h"

/* Of a frame; integers are little-endian. */
struct backup_head {
	char magic
	    [8]; /* "\nTMBKUP" and the kind: a reader of the raw octets sees where frames are */
	uint32_t number, length;
	uint32_t crc; /* CRC-32C of the frame with this field 0 */
	uint32_t zero;
} PACKED;
_Static_assert(sizeof(struct backup_head) == BACKUP_HEAD, "a frame's head");

static const char magic[7] = "\nTMBKUP";

static uint32_t
frame_crc(const struct backup_head *h, struct slice text)
{
	struct backup_head plain = *h;

	plain.crc = 0;
	return crc32c(crc32c(0, &plain, sizeof(plain)), text.p, text.n);
}

void
backup_write(struct backup_writer *w, struct buf *out, char kind, struct slice text)
{
	struct backup_head h = { .number = w->number++, .length = (uint32_t)text.n };

	memcpy(h.magic, magic, sizeof(magic));
	h.magic[7] = kind;
	h.crc = frame_crc(&h, text);
	buf_add(out, &h, sizeof(h));
	buf_slice(out, text);
}

int
backup_read(struct backup_reader *r, struct slice in, struct backup_frame *f, const char **why)
{
	struct backup_head h;

	*why = NULL;
	if (in.n < sizeof(h))
		return 0;
	memcpy(&h, in.p, sizeof(h));
	if (memcmp(h.magic, magic, sizeof(magic)) != 0)
		*why = "expected the mark of a frame";
	else if (h.length > BACKUP_PIECE)
		*why = "a frame that is longer than any is";
	if (*why)
		return -EBADMSG;
	if (in.n < sizeof(h) + h.length)
		return 0;
	f->text = slice(in.p + sizeof(h), h.length);
	if (frame_crc(&h, f->text) != h.crc)
		*why = "a frame whose checksum is another's";
	else if (h.number != r->number)
		*why = "a frame that is not the next one";
	if (*why)
		return -EBADMSG;
	f->kind = h.magic[7];
	f->number = h.number;
	f->at = r->at;
	r->number++;
	r->at += sizeof(h) + h.length;
	return (int)(sizeof(h) + h.length);
}
