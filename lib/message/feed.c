/* message/feed.c: a message's bytes in order. */
#include "message/feed.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define FEED_AHEAD (256 * 1024) /* bytes of one read on the pool */

int
message_feed_open(struct message_feed *f, struct store_view *v, uint64_t mailbox, uint32_t uid)
{
	*f = (struct message_feed){ 0 };
	message_init(&f->message, slice(NULL, 0));
	return message_open(&f->message, v, mailbox, uid);
}

ssize_t
message_feed_read(struct message_feed *f, char *p, size_t n)
{
	struct iovec iov = { p, n };
	ssize_t got = preadv2(f->message.fd, &iov, 1, (off_t)f->at, RWF_NOWAIT);

	if (got < 0 && errno == EAGAIN && f->warm_to < f->at + n)
		return -EAGAIN;
	if (got < 0 && errno != EIO) /* read, and gone again; or this file system cannot tell */
		got = pread(f->message.fd, p, n, (off_t)f->at);
	if (got < 0)
		return errno == EAGAIN ? -EIO : -errno;
	f->at += (uint64_t)got;
	return got;
}

void
message_feed_warm(struct message_feed *f, struct loop *l, struct op *op, uint64_t user,
    void (*done)(void *arg), void *arg)
{
	struct message_parse *p = message_parse_new(MESSAGE_WANT_BYTES);

	p->message = f->message;
	f->message = (struct message){ .fd = -1, .size = p->message.size };
	p->from = f->at;
	p->to = p->message.size - f->at < FEED_AHEAD ? p->message.size : f->at + FEED_AHEAD;
	f->warm_to = p->to;
	f->parse = p;
	message_parse_start(p, l, op, user, done, arg);
}

void
message_feed_back(struct message_feed *f)
{
	f->message = f->parse->message;
	f->parse->message = (struct message){ .fd = -1 };
	message_parse_free(&f->parse);
}

void
message_feed_close(struct message_feed *f)
{
	f->parse = NULL; /* it frees itself */
	message_close(&f->message);
}
