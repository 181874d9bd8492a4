/* daemon/remote.c: see daemon/remote.h.
 *
 * Owns its connections, REMOTE_MOST at once, in the process that serves clients, so that nobody on the network
 * talks to the parent: who has proved a role for a verb is given the control socket of this very daemon,
 * with one line, his name before it, and what comes back.  Called by worker.c.  Can fail: taking the
 * descriptor, the handshake.  Must stay true: nothing is read of who has shown no role; one line is asked on
 * a connection, and that is the line whose verb was judged; who only holds a connection shuts nobody out; TLS
 * ends with close_notify when all of an answer was given, and only then, so that the asker can tell a whole one
 * from one that was cut off. */
#include "daemon/remote.h"

#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/random.h"
#include "daemon/daemon-impl.h"
#include "daemon/role.h"
#include "net/connect.h"

#define REMOTE_MOST 32
#define REMOTE_LINE 3500  /* and the name before it: less than a control socket takes */
#define REMOTE_MS   15000 /* handshake and question */
#define REMOTE_IDLE 60000 /* between pieces of the answer */
#define REMOTE_OWN  5000  /* until our own control socket has taken us in */
#define REMOTE_SAYS 65536 /* octets of a line that comes from a door */

#define ROLES_ADMIN TLS_ROLE_BIT(TLS_ROLE_ADMIN)
#define ROLES_RUN   (ROLES_ADMIN | TLS_ROLE_BIT(TLS_ROLE_OPERATOR))
#define ROLES_MOVE  (ROLES_ADMIN | TLS_ROLE_BIT(TLS_ROLE_MOVE))
#define ROLES_ALL   (ROLES_RUN | ROLES_MOVE)

/* What operators may: to look, and to end what comes again.  All else is an admin's. */
static const struct {
	const char *verb;
	unsigned roles;
} verbs[] = {
	{ "ping", ROLES_ALL },
	{ "status", ROLES_ALL },
	{ "version", ROLES_ALL },
	{ "metrics", ROLES_RUN },
	{ "config", ROLES_RUN },
	{ "who", ROLES_RUN },
	{ "kick", ROLES_RUN },
	{ "cache", ROLES_RUN },
	{ "forget", ROLES_RUN },
	{ "move", ROLES_MOVE },
};

const char *const daemon_remote_names[] = { "smtp-relay", "jobctl", "stored", "lmtpd", "imapd",
	"pop3d", "mmpd", "sieved", "jmapd", "memd", "admind", "piped", "storectl-serve", NULL };

int
daemon_remote_port(const char *daemon)
{
	for (int i = 0; daemon_remote_names[i]; i++)
		if (strcmp(daemon_remote_names[i], daemon) == 0)
			return (int)shared.control_port + i;
	return 0;
}

char *
daemon_remote_address(int port)
{
	const char *a = shared.control_address;

	return mem_printf(strchr(a, ':') && *a != '[' ? "[%s]:%d" : "%s:%d", a, port);
}

struct remote {
	struct stream io, ctl;
	struct op connecting; /* to ctl */
	char *question;       /* until it is connected; heap */
	bool io_open, ctl_open;
	bool door;        /* ctl is no control socket but program.door */
	bool counted;     /* the control socket has said how long its answer is: */
	uint64_t left;    /* octets of it that have not come yet */
	struct list link; /* remote_asking, until a line has come from somebody with a role */
	char sid[14];
	char peer[ADDR_TEXT];
	char name[DAEMON_PEER_NAME];
};

static struct listener remote_listener;
static size_t remote_open;
static struct list remote_asking = { &remote_asking, &remote_asking }; /* oldest first */

/* ---- the end ---------------------------------------------------------------------------------- */

static void
remote_unref(struct remote *r)
{
	if (r->io_open || r->ctl_open)
		return;
	list_remove(&r->link);
	remote_open--;
	mem_free(&r->question);
	mem_free(&r);
}

static void
remote_on_io_closed(struct stream *io)
{
	struct remote *r = io->data;

	r->io_open = false;
	op_cancel(&r->connecting);
	if (r->ctl_open)
		stream_close(&r->ctl);
	remote_unref(r);
}

static void
remote_on_ctl_closed(struct stream *ctl)
{
	struct remote *r = ctl->data;

	r->ctl_open = false;
	remote_unref(r);
}

static void
remote_refuse(struct remote *r, const char *text)
{
	list_remove(&r->link);
	stream_stop(&r->io);
	buf_printf(stream_out(&r->io), "error: %s\n", text);
	stream_finish(&r->io);
}

/* ---- the answer ------------------------------------------------------------------------------- */

/* "+OCTETS", the first line of an answer.  False: it is not there yet. */
static bool
remote_length(struct remote *r)
{
	struct slice line;
	int rc = stream_line(&r->ctl, REMOTE_LINE, &line, NULL);

	if (rc == 1 && slice_starts(line, S("+")) &&
	    slice_u64(slice_from(line, 1), INT64_MAX, &r->left) == 0)
		r->counted = true;
	else if (rc != 0)
		stream_close(&r->io);
	return r->counted;
}

/* So many octets of it as were said.  True: that was all. */
static bool
remote_octets(struct remote *r)
{
	struct slice in;

	if (!r->counted && !remote_length(r))
		return false;
	in = slice_sub(stream_peek(&r->ctl), 0, r->left);
	buf_slice(stream_out(&r->io), in);
	stream_take(&r->ctl, in.n);
	r->left -= in.n;
	return r->left == 0;
}

/* Lines of a door, as many as go out.  True: that was the last one. */
static bool
remote_lines(struct remote *r)
{
	struct slice line;
	bool last = false;
	int rc = 0;

	while (!last && stream_backlog(&r->io) <= STREAM_HIGH &&
	    (rc = stream_line(&r->ctl, REMOTE_SAYS, &line, NULL)) == 1) {
		buf_slice(stream_out(&r->io), line);
		buf_char(stream_out(&r->io), '\n');
		last = daemon_self.d->door->last(line);
	}
	if (rc < 0)
		stream_close(&r->io);
	return last;
}

static void
remote_on_answer(struct stream *ctl)
{
	struct remote *r = ctl->data;

	if (!r->io_open)
		return;
	if (r->door ? remote_lines(r) : remote_octets(r)) {
		stream_finish_within(&r->io, REMOTE_IDLE);
		stream_close(ctl);
		return;
	}
	stream_flush(&r->io);
	if (stream_eof(ctl)) /* the rest is missing: no end that looks like one */
		stream_close(&r->io);
	else if (stream_backlog(&r->io) > STREAM_HIGH)
		stream_stop(ctl);
}

static void
remote_on_drained(struct stream *io)
{
	struct remote *r = io->data;

	if (r->ctl_open)
		stream_start(&r->ctl);
}

static const struct stream_events ctl_events = { .input = remote_on_answer,
	.closed = remote_on_ctl_closed };

/* ---- the question ----------------------------------------------------------------------------- */

static bool
remote_is_door(struct slice verb)
{
	return daemon_self.d->door && slice_eq(verb, slice_str(daemon_self.d->door->word));
}

static bool
remote_has_word(const char *words, struct slice said)
{
	struct slice rest = slice_str(words), word;

	while (slice_word(&rest, &word))
		if (slice_eq(word, said))
			return true;
	return false;
}

/* 0: it is nobody's.  Behind a door more may be spoken than operators need: work is handed out there. */
static unsigned
remote_door_roles(struct slice rest)
{
	struct slice said = S("");

	(void)slice_word(&rest, &said);
	if (remote_has_word(daemon_self.d->door->operators, said))
		return ROLES_RUN;
	return remote_has_word(daemon_self.d->door->admins, said) ? ROLES_ADMIN : 0;
}

static unsigned
remote_roles(struct slice verb, struct slice rest)
{
	if (remote_is_door(verb))
		return remote_door_roles(rest);
	for (size_t i = 0; i < NELEM(verbs); i++)
		if (slice_eq(verb, slice_str(verbs[i].verb)))
			return verbs[i].roles;
	return ROLES_ADMIN;
}

static void
remote_on_connected(void *arg, int fd)
{
	struct remote *r = arg;
	int rc = fd;

	stream_init(&r->ctl, r->io.loop, &ctl_events, r);
	if (fd >= 0 && (rc = stream_open(&r->ctl, fd)) < 0)
		(void)close(fd);
	if (rc < 0) {
		remote_refuse(r, strerror(-rc));
		return;
	}
	r->ctl_open = true;
	buf_str(stream_out(&r->ctl), r->question);
	mem_free(&r->question);
	stream_flush(&r->ctl);
	stream_start(&r->ctl);
}

/* The control socket logs who has asked it; a door does not know. */
static char *
remote_question(struct remote *r, struct slice line)
{
	struct slice rest = line, verb = S("");

	(void)slice_word(&rest, &verb);
	r->door = remote_is_door(verb);
	if (!r->door)
		return mem_printf("+@%s " SFMT "\n", r->name, SARG(line));
	log_event(LOG_INFO, "control", "by=%s from=remote line=%s", log_str(r->name),
	    log_value(line));
	return mem_printf(SFMT "\n", SARG(slice_trim(rest)));
}

static void
remote_ask(struct remote *r, struct slice line)
{
	char *question = remote_question(r, line);
	char *path = r->door ?
	    mem_printf("unix:%s/%s", shared.rundir, daemon_self.d->door->socket) :
	    mem_printf("unix:%s", daemon_self.ctl_path);
	struct addr a;
	int rc = addr_parse(slice_str(path), &a);

	mem_free(&path);
	r->question = question;
	if (rc < 0) {
		remote_refuse(r, strerror(-rc));
		return;
	}
	list_remove(&r->link);
	stream_stop(&r->io);
	stream_idle(&r->io, REMOTE_IDLE);
	connect_start(r->io.loop, &a, NULL, REMOTE_OWN, &r->connecting, remote_on_connected, r);
}

static void
remote_judge(struct remote *r, struct slice line)
{
	struct slice rest = line, verb = S("");
	unsigned needs;
	char *text;

	(void)slice_word(&rest, &verb);
	needs = remote_roles(verb, rest);
	if (needs & daemon_peer_roles(&r->io)) {
		remote_ask(r, line);
		return;
	}
	log_event(LOG_WARN, "control_refused", "sid=%s by=%s peer=%s line=%s", r->sid,
	    log_str(r->name), r->peer, log_value(line));
	text = mem_printf("forbidden: " SFMT " is for %s", SARG(remote_is_door(verb) ? line : verb),
	    needs == 0               ? "nobody of another host" :
		needs == ROLES_MOVE  ? "the role move" :
		needs & ~ROLES_ADMIN ? "the role operator" :
				       "the role admin");
	remote_refuse(r, text);
	mem_free(&text);
}

static void
remote_on_input(struct stream *io)
{
	struct remote *r = io->data;
	struct slice line;
	int rc;

	if (r->ctl_open || r->question) {
		if (stream_eof(io) && io->error)
			stream_close(io);
		return;
	}
	rc = stream_line(io, REMOTE_LINE, &line, NULL);
	if (rc == 1)
		remote_judge(r, slice_trim(line));
	else if (rc < 0 || stream_eof(io))
		stream_close(io);
}

/* The name goes into a line of words. */
static void
remote_name(struct remote *r)
{
	(void)daemon_peer_name(&r->io, r->name);
	for (char *c = r->name; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789.-_@", ascii_lower(*c)))
			*c = '_';
	if (!*r->name)
		strcpy(r->name, "-");
}

static void
remote_on_secured(struct stream *io, int error, const char *why)
{
	struct remote *r = io->data;

	if (error) {
		log_event(LOG_INFO, "tls_failed", "sid=%s peer=%s error=%s", r->sid, r->peer,
		    log_str(why));
		stream_close(io);
		return;
	}
	remote_name(r);
	if (daemon_peer_roles(io) & ROLES_ALL)
		return;
	(void)daemon_peer_is(io, TLS_ROLE_OPERATOR, NULL, r->sid); /* tells */
	remote_refuse(r, "forbidden: this certificate is of no operator");
}

static const struct stream_events io_events = {
	.input = remote_on_input,
	.drained = remote_on_drained,
	.secured = remote_on_secured,
	.closed = remote_on_io_closed,
};

/* ---- the beginning ---------------------------------------------------------------------------- */

static bool
remote_make_room(void)
{
	struct remote *r = list_first(&remote_asking, struct remote, link);

	if (!r)
		return false;
	list_remove(&r->link);
	stream_close(&r->io);
	return true;
}

static void
remote_on_accept(struct listener *l, int fd)
{
	struct remote *r;
	struct addr peer;

	if (remote_open >= REMOTE_MOST && !remote_make_room()) {
		(void)close(fd);
		return;
	}
	r = mem_new(sizeof(*r));
	list_init(&r->link);
	random_id(r->sid);
	stream_init(&r->io, l->loop, &io_events, r);
	if (stream_open(&r->io, fd) < 0) {
		(void)close(fd);
		mem_free(&r);
		return;
	}
	r->io_open = true;
	remote_open++;
	list_push(&remote_asking, &r->link);
	stream_peer(&r->io, &peer);
	addr_host(&peer, r->peer);
	stream_limit(&r->io, REMOTE_MS);
	stream_start(&r->io);
	if (!daemon_self.remote_ctx || stream_tls_accept(&r->io, daemon_self.remote_ctx) < 0)
		stream_close(&r->io);
}

int
remote_start(struct loop *l)
{
	if (daemon_self.remote_fd < 0)
		return 0;
	return listener_start(&remote_listener, l, daemon_self.remote_fd, remote_on_accept, NULL);
}

void
remote_stop(void)
{
	if (daemon_self.remote_fd < 0)
		return;
	if (daemon_self.current && remote_listener.loop)
		listener_stop(&remote_listener, NULL);
	(void)close(daemon_self.remote_fd);
	daemon_self.remote_fd = -1;
}
