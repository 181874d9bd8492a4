/* held.c: see held.h.  Fails as disks do.  Must stay true: what was added is read again, or -errno said. */
#include "held.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/shared.h"

void
held_init(struct held *h)
{
	*h = (struct held){ .fd = -1 };
}

void
held_fini(struct held *h)
{
	if (h->fd >= 0)
		(void)close(h->fd);
	buf_fini(&h->memory);
	held_init(h);
}

static int
held_write(int fd, struct slice bytes)
{
	while (bytes.n) {
		ssize_t n = write(fd, bytes.p, bytes.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes = slice_from(bytes, (size_t)n);
	}
	return 0;
}

/* From memory into a file. */
static int
held_spill(struct held *h)
{
	char *path = mem_printf("%s/tmp", shared.queue);
	int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), r;

	mem_free(&path);
	if (fd < 0)
		return -errno;
	r = held_write(fd, buf_get(&h->memory));
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	h->fd = fd;
	buf_fini(&h->memory);
	return 0;
}

int
held_add(struct held *h, struct slice bytes)
{
	int r = 0;

	if (h->fd < 0 && h->size + bytes.n > HELD_MEMORY)
		r = held_spill(h);
	if (r < 0)
		return r;
	if (h->fd < 0)
		buf_slice(&h->memory, bytes);
	else
		r = held_write(h->fd, bytes);
	if (r == 0)
		h->size += bytes.n;
	return r;
}

int
held_read(const struct held *h, uint64_t at, size_t most, struct buf *out)
{
	char *room;
	ssize_t n;

	if (at >= h->size)
		return 0;
	if (most > h->size - at)
		most = (size_t)(h->size - at);
	if (h->fd < 0) {
		buf_slice(out, slice_sub(buf_get(&h->memory), (size_t)at, most));
		return 0;
	}
	room = buf_reserve(out, most);
	do
		n = pread(h->fd, room, most, (off_t)at);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	out->n += (size_t)n;
	return 0;
}
