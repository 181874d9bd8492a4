/* imapd/learn.c: see learn.h.
 *
 * Owns a struct lesson from learn_start until it has told how it went, or its thread has ended behind op_cancel.  Called by
 * happened.c, which has one under way at a time.  Can fail: the filter is away, does not let us tell it, or cannot make
 * anything of the message.  Must stay true: a thread reads the file, since it may be cold; of a message no more than
 * learn.size is ever in memory; and larger ones are not told, which is no failure, nor are those of a person who has told it
 * learn.per_day, which is counted here: since midnight in UTC, and since this process is there. */
#include "learn.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "daemon/daemon.h"
#include "http/client.h"
#include "imapd.h"
#include "mail/outcome.h"
#include "net/addr.h"
#include "net/connect.h"
#include "net/work.h"

#define PIECE        65536
#define LESSON_MAGIC 0x6c65736eU

struct lesson {
	uint32_t magic;
	struct op *op;  /* the caller's */
	struct op wait; /* ours: thread, connection */
	void (*done)(void *arg, const struct verdict *v);
	void *arg;
	enum learn_kind kind;
	char *user; /* heap */
	int fd, error;
	bool reading;     /* a thread has it */
	size_t size, at;  /* of the message; of it that is sent */
	struct buf bytes; /* it */
	struct http_client *client;
	unsigned status; /* of the answer */
};

static struct http_pool pool;

/* ---- its life --------------------------------------------------------------------------------- */

static void
lesson_free(struct lesson *l)
{
	http_client_drop(&l->client);
	if (l->fd >= 0)
		close(l->fd);
	buf_fini(&l->bytes);
	mem_free(&l->user);
	l->magic = 0;
	mem_free(&l);
}

static void
lesson_over(struct lesson *l, struct verdict v)
{
	void (*done)(void *arg, const struct verdict *v) = l->done;
	void *arg = l->arg;

	op_done(l->op);
	lesson_free(l);
	done(arg, &v);
}

static void
lesson_cancel(struct op *op)
{
	struct lesson *l = CAST(op->impl, struct lesson, LESSON_MAGIC);

	op_cancel(&l->wait);
	if (!l->reading)
		lesson_free(l);
}

/* ---- how much of whom ------------------------------------------------------------------------- */

/* What a person has told today; of as many as have. */
struct learner {
	char *user;
	int64_t told;
	bool over; /* the log has it */
};
static struct map learners;
static int64_t learners_day;

static struct learner *
learner_of(struct slice user)
{
	struct learner *l;
	int64_t day = clock_now() / 86400;
	size_t at = 0;

	while (day != learners_day && (l = map_next(&learners, &at))) {
		map_take(&learners, slice_str(l->user));
		mem_free(&l->user);
		mem_free(&l);
	}
	learners_day = day;
	l = map_get(&learners, user);
	if (!l) {
		l = mem_new(sizeof(*l));
		l->user = mem_strn(user.p, user.n);
		map_put(&learners, slice_str(l->user), l);
	}
	return l;
}

bool
learn_may(struct slice user)
{
	struct learner *l = conf.learn_per_day ? learner_of(user) : NULL;

	if (!l || l->told < conf.learn_per_day)
		return true;
	metric_add(M_LEARN_OVER, 1);
	if (!l->over)
		log_event(LOG_INFO, "learn_limit", "user=%s told=%lld", log_value(user),
		    (long long)l->told);
	l->over = true;
	return false;
}

/* ---- the answer ------------------------------------------------------------------------------- */

/* 208: it has learned that already; 204: it has too few words to learn anything of. */
static struct verdict
lesson_verdict(const struct lesson *l)
{
	unsigned status = l->status;

	if (status >= 200 && status < 300) {
		metric_add(M_LEARNED, 1);
		learner_of(slice_str(l->user))->told++;
		return verdict(OUT_LEARNED);
	}
	if (status == 401 || status == 403)
		return verdict(OUT_LEARN_REFUSED);
	if (status >= 400 && status < 500)
		return verdict(OUT_LEARN_NOT, status);
	return verdict(OUT_LEARN_FAILED, "it has failed");
}

static void
lesson_on_head(void *arg, const struct http_head *h)
{
	struct lesson *l = CAST(arg, struct lesson, LESSON_MAGIC);

	l->status = h->code;
}

static void
lesson_on_bytes(void *arg, struct slice piece)
{
	(void)arg;
	(void)piece; /* its words are in its own log */
}

static void
lesson_on_end(void *arg)
{
	struct lesson *l = CAST(arg, struct lesson, LESSON_MAGIC);

	l->client = NULL;
	lesson_over(l, lesson_verdict(l));
}

/* Once its answer has begun that counts, whether or not it had read all. */
static void
lesson_on_failed(void *arg, const char *why, bool untouched)
{
	struct lesson *l = CAST(arg, struct lesson, LESSON_MAGIC);

	(void)untouched;
	l->client = NULL;
	lesson_over(l, l->status ? lesson_verdict(l) : verdict(OUT_LEARN_AWAY, why));
}

static void
lesson_on_room(void *arg)
{
	struct lesson *l = CAST(arg, struct lesson, LESSON_MAGIC);

	while (l->at < l->bytes.n && !http_client_full(l->client)) {
		struct slice piece = slice_sub(buf_get(&l->bytes), l->at, PIECE);

		l->at += piece.n;
		http_client_piece(l->client, piece);
		if (l->at == l->bytes.n)
			http_client_done(l->client);
	}
}

static const struct http_asker asker = { .head = lesson_on_head,
	.bytes = lesson_on_bytes,
	.end = lesson_on_end,
	.room = lesson_on_room,
	.failed = lesson_on_failed };

/* ---- the question ----------------------------------------------------------------------------- */

static void
lesson_dialled(void *arg, struct http_client *c, const char *why)
{
	struct lesson *l = CAST(arg, struct lesson, LESSON_MAGIC);

	l->client = c;
	if (!c) {
		lesson_over(l, verdict(OUT_LEARN_AWAY, why));
		return;
	}
	http_client_ask(c, &asker, l, S("POST"),
	    l->kind == LEARN_SPAM ? S("/learnspam") : S("/learnham"), S("localhost"));
	http_client_field(c, "Content-Type", S("message/rfc822"));
	if (*conf.learn_password)
		http_client_field(c, "Password", slice_str(conf.learn_password));
	http_client_strays(c); /* rspamd's words for why it learns nothing */
	http_client_body(c, l->bytes.n, false, (uint32_t)conf.learn_time);
	lesson_on_room(l);
}

static void
lesson_connected(void *arg, int fd)
{
	struct lesson *l = CAST(arg, struct lesson, LESSON_MAGIC);
	int rc = fd < 0 ? fd :
			  http_dial_start(&pool, S("learn"), pool.epoch, fd, NULL, NULL,
			      (uint32_t)conf.learn_time, &l->wait, lesson_dialled, l);

	if (rc == 0)
		return;
	if (fd >= 0)
		close(fd);
	lesson_over(l, verdict(OUT_LEARN_AWAY, strerror(-rc)));
}

/* ---- the message ------------------------------------------------------------------------------ */

static void
lesson_read(void *arg)
{
	struct lesson *l = arg;

	buf_grow(&l->bytes, l->size);
	while (l->error == 0 && l->bytes.n < l->size && !work_stopped()) {
		ssize_t n =
		    pread(l->fd, l->bytes.p + l->bytes.n, l->size - l->bytes.n, (off_t)l->bytes.n);

		if (n > 0)
			l->bytes.n += (size_t)n;
		else if (n == 0)
			l->error = -ENODATA;
		else if (errno != EINTR)
			l->error = -errno;
	}
}

static void
lesson_was_read(void *arg)
{
	struct lesson *l = CAST(arg, struct lesson, LESSON_MAGIC);
	struct addr to;

	l->reading = false;
	if (l->error < 0)
		lesson_over(l, verdict(OUT_LEARN_FAILED, strerror(-l->error)));
	else if (addr_parse(slice_str(conf.learn_address), &to) < 0) /* a reload took it away */
		lesson_over(l, verdict(OUT_LEARNED));
	else
		connect_start(imapd.loop, &to, NULL, (uint32_t)conf.learn_time, &l->wait,
		    lesson_connected, l);
}

static void
lesson_drop(void *arg)
{
	lesson_free(CAST(arg, struct lesson, LESSON_MAGIC));
}

static void
lesson_pass(void *arg)
{
	(void)arg;
}

static void
lesson_passed(void *arg)
{
	struct lesson *l = CAST(arg, struct lesson, LESSON_MAGIC);

	l->reading = false;
	lesson_over(l, verdict(OUT_LEARNED));
}

bool
learn_wanted(void)
{
	return *conf.learn_address;
}

void
learn_start(int fd, uint64_t size, enum learn_kind kind, struct slice user, struct op *op,
    void (*done)(void *arg, const struct verdict *v), void *arg)
{
	struct lesson *l = mem_new(sizeof(*l));
	bool told = size > 0 && size <= (uint64_t)conf.learn_size;

	*l = (struct lesson){ .magic = LESSON_MAGIC,
		.op = op,
		.done = done,
		.arg = arg,
		.kind = kind,
		.reading = true,
		.size = (size_t)size,
		.user = mem_strn(user.p, user.n),
		.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0) };
	if (l->fd < 0)
		l->error = -errno;
	op->cancel = lesson_cancel;
	op->impl = l;
	work_start(imapd.loop, &l->wait, told ? lesson_read : lesson_pass,
	    told ? lesson_was_read : lesson_passed, lesson_drop, l);
}

/* ---- settings --------------------------------------------------------------------------------- */

void
learn_init(void)
{
	http_pool_init(&pool, imapd.loop, 0, 0);
}

bool
learn_check(struct buf *why)
{
	struct addr a;

	if (!*conf.learn_address)
		return true;
	if (addr_parse(slice_str(conf.learn_address), &a) == 0 &&
	    (a.sa.sa_family == AF_UNIX || addr_port(&a) != 0)) {
		if (!addr_loopback(&a) && !*conf.learn_password)
			buf_printf(why,
			    "warning: %s: learn.address = %s: a controller on another host wants a "
			    "password\n",
			    conf_where(&conf.learn_address), conf.learn_address);
		return true;
	}
	buf_printf(why, "%s: learn.address = %s: neither unix:/path nor address:port\n",
	    conf_where(&conf.learn_address), conf.learn_address);
	return false;
}
