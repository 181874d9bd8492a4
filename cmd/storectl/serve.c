/* storectl serve: accounts that move to this host; see storectl-serve(8).
 *
 * A daemon of its own by name, files and life, in storectl's file because it does what storectl does.  Owns the
 * connections, limit.clients at once: each has shown a certificate, has asked for something that is for its role
 * (serve-verb.c), and is joined (net/splice.h) with a process of its own, `storectl receive`, which does it.  Of what
 * comes the first line alone is looked at here, and left.  Can fail: the handshake, the start of the process.  Must
 * stay true: who has shown no role for what is asked has no process, and who only holds a connection shuts nobody out. */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "daemon/program.h"
#include "daemon/role.h"
#include "net/splice.h"
#include "serve.h"

#define SERVE_SHAKE_MS 15000

enum { M_CONNECTIONS, M_REFUSED, M_SESSIONS, M_COUNT };

static int64_t arrive_clients, arrive_idle; /* ms */
/* clang-format off */
static const struct conf_key keys[] = {
	{ "limit.clients", CONF_INT, &arrive_clients, "8", 1, 1000, RELOAD, NULL,
	    "Connections at once: of hosts, and accounts of one host, that move here, and of operators." },
	{ "timeout.idle", CONF_TIME, &arrive_idle, "5m", 1000, 86400000, RELOAD, NULL,
	    "Without an octet, from who has a process or to it; then it ends." },
};
static const struct conf_schema schema = { .keys = keys, .nkeys = NELEM(keys) };
static const struct metric metrics[] = {
	[M_CONNECTIONS] = { "move_connections", COUNTER, "Connections of hosts that move accounts here, and of operators." },
	[M_REFUSED] = { "move_refused", COUNTER, "Connections whose certificate has no role for what was asked." },
	[M_SESSIONS] = { "move_sessions", GAUGE, "Connections that are open." },
	[M_COUNT] = { NULL, COUNTER, NULL },
};
/* clang-format on */

struct arrive {
	struct stream io, child;
	struct splice pair;
	struct watch end; /* of the process */
	struct list link; /* arrive_shaking, until it has asked */
	int pidfd;        /* -1: there is none */
	unsigned roles;   /* of those that something is for here */
	char sid[14];
	char name[DAEMON_PEER_NAME];
};

static struct list arrive_shaking = { &arrive_shaking, &arrive_shaking }; /* oldest first */
static size_t arrive_open;

/* ---- the end ---------------------------------------------------------------------------------- */

static void
arrive_free(struct arrive *s)
{
	list_remove(&s->link);
	metric_set(M_SESSIONS, (int64_t)--arrive_open);
	mem_free(&s);
	if (daemon_draining() && !arrive_open)
		daemon_drained();
}

static void
arrive_on_io_closed(struct stream *io)
{
	arrive_free(io->data);
}

static void
arrive_reaped(struct watch *w)
{
	struct arrive *s = CONTAINER(w, struct arrive, end);

	(void)close(s->pidfd);
	arrive_free(s);
}

/* Its streams are closed: the process sees the end of its input, and ends. */
static void
arrive_on_end(struct watch *w, bool readable UNUSED, bool writable UNUSED, int error UNUSED)
{
	struct arrive *s = CONTAINER(w, struct arrive, end);
	siginfo_t si = { 0 };

	if (waitid(P_PIDFD, (id_t)s->pidfd, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
		return;
	log_event(LOG_INFO, "move_served", "sid=%s by=%s code=%d", s->sid, log_str(s->name),
	    si.si_status);
	watch_close(w, arrive_reaped);
}

static void
arrive_on_parted(struct splice *p)
{
	struct arrive *s = CONTAINER(p, struct arrive, pair);

	watch_want(&s->end, true, false); /* at once, when it has ended before */
}

static const struct splice_events pair_events = { .closed = arrive_on_parted };

/* ---- the process ------------------------------------------------------------------------------ */

/* Until it is a side of the pair. */
static const struct stream_events child_events = { .closed = NULL };

/* 0 or -errno. */
static int
arrive_join(struct arrive *s)
{
	const struct timeval silence = { .tv_sec = arrive_idle / 1000,
		.tv_usec = arrive_idle % 1000 * 1000 };
	int fds[2], rc;
	pid_t pid = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	/* Its end: who only holds the connection holds one of few places, and a process. */
	must(setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence)) == 0);
	rc = storectl_spawn((char *[]){ (char[]){ "receive" }, NULL },
	    (const int[3]){ fds[1], fds[1], fds[1] }, &pid);
	(void)close(fds[1]);
	if (rc == 0 && (s->pidfd = (int)syscall(SYS_pidfd_open, pid, 0)) < 0)
		rc = -errno;
	if (rc < 0) {
		(void)close(fds[0]);
		return rc;
	}
	must(watch_init(&s->end, s->io.loop, s->pidfd, arrive_on_end) == 0);
	stream_init(&s->child, s->io.loop, &child_events, s);
	must(stream_open(&s->child, fds[0]) == 0);
	stream_idle(&s->io, 0);
	splice_start(&s->pair, &s->io, &s->child, (uint32_t)arrive_idle, &pair_events);
	return 0;
}

/* ---- who comes -------------------------------------------------------------------------------- */

/* Says why, and that it is over. */
static void
arrive_refuse(struct arrive *s, const char *why)
{
	stream_stop(&s->io);
	buf_printf(stream_out(&s->io), "forbidden: %s\nend 77\n", why);
	stream_finish(&s->io);
}

static void
arrive_on_secured(struct stream *io, int error, const char *why)
{
	const unsigned may = TLS_ROLE_BIT(TLS_ROLE_MOVE) | TLS_ROLE_BIT(TLS_ROLE_ADMIN) |
	    TLS_ROLE_BIT(TLS_ROLE_OPERATOR);
	struct arrive *s = io->data;

	if (error) {
		log_event(LOG_INFO, "tls_failed", "sid=%s error=%s", s->sid, log_str(why));
		stream_close(io);
		return;
	}
	(void)daemon_peer_name(io, s->name);
	s->roles = daemon_peer_roles(io) & may;
	if (s->roles)
		return;
	metric_add(M_REFUSED, 1);
	(void)daemon_peer_is(io, TLS_ROLE_MOVE, NULL, s->sid); /* tells */
	arrive_refuse(s, "this certificate is not of the role move");
}

static void
arrive_judge(struct arrive *s, struct slice line)
{
	unsigned needs = storectl_serve_roles(line);
	int rc;

	list_remove(&s->link);
	if (!(needs & s->roles)) {
		metric_add(M_REFUSED, 1);
		log_event(LOG_WARN, "control_refused", "sid=%s by=%s line=%s", s->sid,
		    log_str(s->name), log_value(line));
		arrive_refuse(s,
		    needs == 0 ? "that is for nobody of another host" :
			needs & TLS_ROLE_BIT(TLS_ROLE_MOVE) ?
				 "this certificate is not of the role move" :
			needs & TLS_ROLE_BIT(TLS_ROLE_OPERATOR) ? "that is for the role operator" :
								  "that is for the role admin");
		return;
	}
	if (slice_starts(line, S("run ")))
		log_event(LOG_INFO, "control", "by=%s from=remote line=%s", log_str(s->name),
		    log_value(line));
	else
		log_event(LOG_INFO, "move_accepted", "sid=%s by=%s", s->sid, log_str(s->name));
	rc = arrive_join(s);
	if (rc < 0) {
		log_event(LOG_ERROR, "move_failed", "sid=%s error=%s", s->sid,
		    log_str(strerror(-rc)));
		stream_close(&s->io);
	}
}

/* The line is left for the process. */
static void
arrive_on_input(struct stream *io)
{
	struct arrive *s = io->data;
	struct slice in = stream_peek(io), line;

	if (!s->roles)
		stream_take(io, in.n);
	else if (slice_find(in, '\n') < in.n && slice_find(in, '\n') < SERVE_LINE) {
		(void)slice_cut(&in, '\n', &line);
		arrive_judge(s, slice_trim(line));
		return;
	} else if (in.n >= SERVE_LINE) {
		stream_close(io);
		return;
	}
	if (stream_eof(io))
		stream_close(io);
}

static const struct stream_events io_events = {
	.input = arrive_on_input,
	.secured = arrive_on_secured,
	.closed = arrive_on_io_closed,
};

static bool
arrive_make_room(void)
{
	struct arrive *s = list_first(&arrive_shaking, struct arrive, link);

	if (!s)
		return false;
	list_remove(&s->link);
	stream_close(&s->io);
	return true;
}

static void
arrive_accept(struct daemon_listen *l, int fd)
{
	struct arrive *s;

	metric_add(M_CONNECTIONS, 1);
	if (arrive_open >= (size_t)arrive_clients && !arrive_make_room()) {
		(void)close(fd);
		return;
	}
	s = mem_new(sizeof(*s));
	s->pidfd = -1;
	list_init(&s->link);
	random_id(s->sid);
	stream_init(&s->io, daemon_loop(), &io_events, s);
	if (stream_open(&s->io, fd) < 0) {
		(void)close(fd);
		mem_free(&s);
		return;
	}
	metric_set(M_SESSIONS, (int64_t)++arrive_open);
	list_push(&arrive_shaking, &s->link);
	stream_limit(&s->io, SERVE_SHAKE_MS);
	stream_start(&s->io);
	if (stream_tls_accept(&s->io, l->tls_ctx) < 0)
		stream_close(&s->io);
}

/* ---- the program ------------------------------------------------------------------------------ */

static int
arrive_start(struct loop *l UNUSED)
{
	return 0;
}

/* What is under way comes to its end. */
static void
arrive_drain(void)
{
	while (arrive_make_room())
		;
	if (!arrive_open)
		daemon_drained();
}

static void
arrive_status(struct buf *out)
{
	buf_printf(out, "sessions=%zu\n", arrive_open);
}

/* Who comes is known by a certificate and by nothing else. */
static bool
arrive_check(struct buf *why)
{
	bool good = true;

	for (struct daemon_listen **l = daemon_listeners(); *l; l++) {
		if ((*l)->tls == TLS_IMPLICIT)
			continue;
		buf_printf(why, "%s: [listen %s] tls: implicit\n", conf_where(&(*l)->tls),
		    (*l)->name);
		good = false;
	}
	return good;
}

const struct program storectl_serve_program = {
	.name = "storectl-serve",
	.verb = "serve",
	.about = "takes accounts that move to this host",
	.may = "inet spawn",
	.file = "storectl-serve.conf",
	.schema = &schema,
	.listens = true,
	.client_certs = true,
	.metrics = metrics,
	.check = arrive_check,
	.start = arrive_start,
	.accept = arrive_accept,
	.drain = arrive_drain,
	.status = arrive_status,
};
