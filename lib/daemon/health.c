/* daemon/health.c: listeners of the roles health and agent: should a load balancer send people here?
 *
 *	health	HTTP: GET or HEAD of any path: 200 while running, 503 from `drain` on
 *	agent	the line that HAProxy's agent-check reads: "ready up 73%", or "drain"
 *
 * Owns its connections, HEALTH_MOST at once: one more, and the oldest that has not asked goes.  Called by announce.c with what those listeners accept.
 * Can fail: taking the descriptor.  Says nothing of what is behind this host: when the directory or
 * a store is away, it is away for this host's neighbours too, and a balancer without any host left
 * could not even tell people that. */
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon-impl.h"

#define HEALTH_MOST 64   /* connections at once of this process */
#define HEALTH_MS   5000 /* a whole question and its answer */
#define HEALTH_LINE 4096
#define HEALTH_HEAD 16384 /* octets of a request */

struct health {
	struct stream io;
	struct list link; /* in health_asking, until it is answered */
	size_t octets;    /* of the request, so far */
	enum { HEALTH_FIRST, HEALTH_HEADER } at;
	bool head, get; /* HEAD; HEAD or GET */
};

static size_t health_open;
static struct list health_asking = { &health_asking, &health_asking }; /* oldest first */

static bool
health_good(void)
{
	return !daemon_self.leaving && !daemon_self.draining;
}

static void
health_answer(struct health *h)
{
	const char *body = !h->get ? "GET or HEAD\n" : health_good() ? "ok\n" : "draining\n";
	struct buf *out = stream_out(&h->io);

	list_remove(&h->link);
	buf_printf(out,
	    "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
	    "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
	    !h->get           ? "405 Method Not Allowed" :
		health_good() ? "200 OK" :
				"503 Service Unavailable",
	    strlen(body));
	if (!h->head)
		buf_str(out, body);
	stream_finish(&h->io);
}

/* The head is read to its end: a connection closed with unread octets is reset, and the answer
 * could get lost. */
static void
health_on_input(struct stream *io)
{
	struct health *h = io->data;
	struct slice line;
	int rc;

	while ((rc = stream_line(io, HEALTH_LINE, &line, NULL)) == 1) {
		if ((h->octets += line.n + 2) > HEALTH_HEAD)
			break;
		if (h->at == HEALTH_HEADER && line.n == 0) {
			health_answer(h);
			return;
		}
		if (h->at == HEALTH_FIRST) {
			h->head = slice_starts(line, S("HEAD "));
			h->get = h->head || slice_starts(line, S("GET "));
			h->at = HEALTH_HEADER;
		}
	}
	if (rc != 0 || stream_eof(io))
		stream_close(io);
}

static void
health_on_closed(struct stream *io)
{
	struct health *h = io->data;

	health_open--;
	list_remove(&h->link);
	mem_free(&h);
}

static const struct stream_events health_events = { .input = health_on_input,
	.closed = health_on_closed };

static void
health_agent(struct buf *out)
{
	const struct daemon_sessions *d = daemon_self.d->sessions;
	unsigned load = d && d->load ? d->load() : 0;

	if (!health_good())
		buf_lit(out, "drain\n");
	else /* 0 % would be what `drain` is */
		buf_printf(out, "ready up %u%%\n", load >= 100 ? 1 : 100 - load);
}

int
health_role(const struct daemon_listen *l)
{
	const char *roles = daemon_self.d->roles;
	int n = 1;

	if (!roles)
		return HEALTH_NONE;
	for (; *roles; roles++)
		n += *roles == '|';
	return l->role < n ? HEALTH_NONE : l->role == n ? HEALTH_HTTP : HEALTH_AGENT;
}

/* Who only holds a connection shuts nobody out: the oldest that has not asked yet goes. */
static bool
health_make_room(void)
{
	struct health *h = list_first(&health_asking, struct health, link);

	if (!h)
		return false;
	list_remove(&h->link);
	stream_close(&h->io);
	return true;
}

void
health_accept(const struct daemon_listen *l, int fd)
{
	struct health *h;

	if (health_open >= HEALTH_MOST && !health_make_room()) {
		(void)close(fd);
		return;
	}
	h = mem_new(sizeof(*h));
	list_init(&h->link);
	stream_init(&h->io, daemon_self.current, &health_events, h);
	if (stream_open(&h->io, fd) < 0) {
		(void)close(fd);
		mem_free(&h);
		return;
	}
	health_open++;
	stream_limit(&h->io, HEALTH_MS);
	if (health_role(l) == HEALTH_AGENT) {
		health_agent(stream_out(&h->io));
		stream_finish(&h->io);
	} else {
		list_push(&health_asking, &h->link);
		stream_start(&h->io);
	}
}
