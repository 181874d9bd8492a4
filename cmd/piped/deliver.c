/* piped/deliver.c: the body of a message, and the answers.
 *
 * The body goes into a file without a name, which the programs' supervisors read; when it is complete
 * there is a run for each recipient, and each answer follows in the order of RCPT (RFC 2033 4.2) as
 * soon as those before it are known.  The file needs no sync: nothing is promised before a program has
 * said that it has the message, and what it says is the promise.  A session that goes meanwhile leaves
 * its runs: what has begun ends, what has not never does. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/files.h"
#include "base/log.h"
#include "base/must.h"
#include "piped.h"

void
piped_body_begin(struct smtp_server *srv)
{
	struct psession *s = piped_session_of(srv);
	struct verdict v = verdict(OUT_OK);

	must(s->fd < 0 && s->nrcpt > 0);
	s->fd = open(pconf.temp, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd < 0) {
		log_event(LOG_ERROR, "body", "sid=%s path=%s error=%s", s->sid, log_str(pconf.temp),
		    log_str(strerror(errno)));
		v = verdict(OUT_BODY_UNWRITTEN);
	}
	smtp_server_answer(srv, &v);
}

void
piped_body_bytes(struct smtp_server *srv, struct slice b)
{
	struct psession *s = piped_session_of(srv);
	struct verdict v;
	int r = files_write(s->fd, b.p, b.n);

	s->size += b.n;
	if (r == 0)
		return;
	log_event(LOG_ERROR, "body", "sid=%s error=%s", s->sid, log_str(strerror(-r)));
	v = r == -ENOSPC || r == -EDQUOT ? verdict(OUT_BODY_NO_SPACE) : verdict(OUT_BODY_UNWRITTEN);
	smtp_server_fail(srv, &v);
}

/* Says what is known of those whose turn it is.  With the last answer the transaction is over, and the
 * session may be in another one. */
static void
answers_say(struct psession *s)
{
	size_t n = s->nrcpt;

	while (s->answered < n && s->rcpts[s->answered].v.kind != VERDICT_NONE) {
		struct verdict v = s->rcpts[s->answered++].v;
		bool last = s->answered == n;

		smtp_server_answer(&s->srv, &v);
		if (last)
			return;
	}
}

static void
deliver_run_over(void *arg, size_t at, const struct order_result *r UNUSED, const struct verdict *v)
{
	struct psession *s = CAST(arg, struct psession, PSESSION_MAGIC);

	s->rcpts[at].run = NULL;
	s->rcpts[at].v = *v;
	if (at == s->answered)
		answers_say(s);
}

void
piped_body_end(struct smtp_server *srv)
{
	struct psession *s = piped_session_of(srv);
	struct slice size =
	    slice_str(arena_printf(&srv->arena, "%llu", (unsigned long long)s->size));

	metric_add(M_MESSAGES, 1);
	s->answered = 0;
	for (size_t i = 0; i < s->nrcpt; i++) {
		s->rcpts[i].order.size = size;
		s->rcpts[i].ask = (struct run_ask){ .order = &s->rcpts[i].order,
			.body = s->fd,
			.to = -1,
			.size = s->size,
			.sid = s->sid,
			.began_ms = s->began_ms,
			.over = deliver_run_over,
			.arg = s,
			.at = i };
		s->rcpts[i].run = run_add(&s->rcpts[i].ask);
	}
}

void
piped_body_reset(struct smtp_server *srv)
{
	struct psession *s = piped_session_of(srv);

	for (size_t i = 0; i < s->nrcpt; i++)
		if (s->rcpts[i].run)
			run_leave(s->rcpts[i].run);
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
	s->nrcpt = 0;
	s->size = 0;
	s->answered = SIZE_MAX;
}
