/* piped: an LMTP server (RFC 2033) whose mailboxes are programs, and files of users.  Tables and one
 * call; see piped(8).
 *
 * Owns piped, what the sessions share; session.c and run.c have the work.  A start fails when the
 * helper cannot be had.  It is one process, and no crowd of them: a limit on programs that run at a
 * time means something only where one counts them. */
#include "base/log.h"
#include "daemon/program.h"
#include "piped.h"

struct piped piped;

/* clang-format off */
static const struct metric metrics[] = {
	[M_SESSIONS] = { "piped_sessions", GAUGE, "Connections at this moment." },
	[M_CONNECTIONS] = { "piped_connections", COUNTER, "Connections accepted." },
	[M_MESSAGES] = { "piped_messages", COUNTER, "Messages received." },
	[M_RUNNING] = { "piped_running", GAUGE, "Programs that run at this moment." },
	[M_WAITING] = { "piped_waiting", GAUGE, "Recipients that wait for their turn." },
	[M_DELIVERED] = { "piped_delivered", COUNTER, "Recipients whose program has taken the message." },
	[M_DEFERRED] = { "piped_deferred", COUNTER, "Recipients answered with 4xx." },
	[M_FAILED] = { "piped_failed", COUNTER, "Recipients answered with 5xx." },
	[M_ENDED] = { "piped_ended", COUNTER, "Programs that were ended for their time or their output." },
	[M_SECONDS] = { "piped_run_seconds", COUNTER_MS, "Time that programs have run." },
	{ NULL, COUNTER, NULL },
};
/* clang-format on */

static int
piped_start(struct loop *l)
{
	int e;

	piped.loop = l;
	list_init(&piped.sessions);
	piped_session_limits();
	e = asks_open();
	if (e == 0)
		e = asks_start(l);
	return e < 0 ? e : runs_start(l);
}

void
piped_idle(void)
{
	if (daemon_draining() && piped.nsessions == 0 && asks_idle() && runs_idle())
		daemon_drained();
}

static void
piped_reload(void)
{
	piped_session_limits();
	runs_reload();
}

static void
piped_drain(void)
{
	runs_drain();
	asks_drain();
	piped_session_shutdown_all();
	piped_idle();
}

static void
piped_status(struct buf *out)
{
	buf_printf(out, "sessions=%zu\n", piped.nsessions);
	runs_status(out);
}

static void
piped_paths(void)
{
	sandbox_write(pconf.temp);
}

static const struct program piped_program = {
	.name = "piped",
	.about = "LMTP server that gives mail to programs and mailbox files",
	.may = "",
	.file = "piped.conf",
	.schema = &piped_schema,
	.listens = true,
	.drain_timeout = "90s", /* a program that runs is heard to its end */
	.metrics = metrics,
	.privileged = runs_open,
	.start = piped_start,
	.accept = piped_accept,
	.reload = piped_reload,
	.drain = piped_drain,
	.status = piped_status,
	.check = piped_program_check,
	.paths = piped_paths,
};

int
main(int argc, char **argv)
{
	return program_run(&piped_program, argc, argv);
}
