/* piped/supervise.c: one program from its start to the end of all that it has started.
 *
 *	fork -> the message into its standard input, its output read and counted, until
 *	        it ends | the time is over | it has written too much | nobody wants the result
 *	     -> the result -> whatever it has left behind is killed; before the result, where it writes a file
 *
 * A process for each run, with the helper's privileges, so that a program cannot reach it; it blocks as
 * it likes.  It is the subreaper of its descendants: a program that leaves its session, or its parent, is
 * still found by it.  Of what the program writes the first line is kept, as octets.  A hanging, forking or
 * endlessly writing program costs what its limits say and no more: its time, its number of processes
 * (RLIMIT_NPROC), its memory, and 64 KiB here. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "format.h"
#include "piped.h"

#define PIECE     65536
#define BURY_MS   5000 /* for what cannot be killed at once: it waits for a disk */
#define BURY_STEP 2    /* ms */
#define GRACE_S   20   /* beyond its time: looking up the user may hang, too */

struct supervisor {
	const struct piped_program *program;
	int body, out; /* the message; where the result goes */
	bool raw;      /* the message is read as it is */
	int in, said;  /* the program's standard input and its output; -1: closed */
	int children;  /* signalfd: SIGCHLD */
	pid_t pid;
	int64_t at, nsaid; /* octets of the body that were taken, of the output */
	struct format format;
	struct buf pending; /* for `in` */
	size_t sent;        /* of it */
	struct order_result result;
	bool line; /* the first line is complete */
	bool over; /* the result is known */
};

static void
result_set(struct supervisor *v, enum order_how how, int code)
{
	if (v->over)
		return;
	v->over = true;
	v->result.how = (uint8_t)how;
	v->result.code = (int16_t)code;
}

/* ---- who and where ------------------------------------------------------------------------------- */

/* Whom it runs as.  Nothing runs as root; who is not asked for by name must be a person. */
static bool
user_find(struct supervisor *v, struct child_plan *c)
{
	const struct piped_program *p = c->program;
	static char name[65];
	struct passwd *pw;
	struct group *gr;

	if (!*p->user && c->order->user.n == 0) {
		result_set(v, ORDER_USER, 0);
		return false;
	}
	errno = 0;
	pw = getpwnam(*p->user ? p->user : slice_cstr(c->order->user, name, sizeof(name)));
	if (!pw && errno) {
		result_set(v, ORDER_SYSTEM, errno);
		return false;
	}
	if (!pw || pw->pw_uid == 0 || (!*p->user && pw->pw_uid < (uid_t)pconf.min_uid)) {
		result_set(v, ORDER_USER, 0);
		return false;
	}
	c->uid = pw->pw_uid;
	c->gid = pw->pw_gid;
	c->home = pw->pw_dir;
	c->user = pw->pw_name;
	if (strcmp(p->name, PIPED_NATIVE) == 0 && *pconf.native_group) {
		if (!(gr = getgrnam(pconf.native_group))) {
			result_set(v, ORDER_SETUP, errno ? errno : ENOENT);
			return false;
		}
		c->gid = gr->gr_gid;
	}
	return true;
}

/* What stands in front of the message. */
static void
head_write(struct supervisor *v, const struct order *o)
{
	const struct piped_program *p = v->program;

	format_init(&v->format, p->crlf, p->from_line);
	if (p->from_line)
		format_from_line(&v->format, o->sender, &v->pending);
	if (p->return_path)
		format_field(&v->format, "Return-Path: <", o->sender, ">", &v->pending);
	if (p->delivered_to)
		format_field(&v->format, "Delivered-To: ", o->recipient, "", &v->pending);
}

/* ---- the start ------------------------------------------------------------------------------------ */

/* What the child could not do, or nothing: it is the program now. */
static bool
fault_read(struct supervisor *v, int fd)
{
	struct child_fault f;
	ssize_t n;

	do
		n = read(fd, &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(f))
		result_set(v, (enum order_how)f.how, f.error);
	return n == (ssize_t)sizeof(f);
}

static int
pipe_in(struct supervisor *v, int fds[2])
{
	int rc = pipe2(fds, O_CLOEXEC);

	if (rc < 0) {
		result_set(v, ORDER_SYSTEM, errno);
		fds[0] = fds[1] = -1;
	}
	return rc;
}

static void
pipe_close(int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	fds[0] = fds[1] = -1;
}

/* The helper's own signals are ignored; the program begins with those of any other. */
static bool
program_start(struct supervisor *v, struct child_plan *c)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, fault[2] = { -1, -1 };
	bool faulty = true;

	if (pipe_in(v, in) < 0 || pipe_in(v, out) < 0 || pipe_in(v, fault) < 0)
		goto out;
	v->pid = fork();
	if (v->pid == 0) {
		c->body = v->body;
		c->in = in[0];
		c->out = out[1];
		c->fault = fault[1];
		child_run(c);
	}
	if (v->pid < 0) {
		result_set(v, ORDER_SYSTEM, errno);
		goto out;
	}
	(void)close(fault[1]);
	fault[1] = -1;
	faulty = fault_read(v, fault[0]);
	v->in = in[1];
	v->said = out[0];
	in[1] = out[0] = -1;
	(void)fcntl(v->in, F_SETFL, O_NONBLOCK);
	(void)fcntl(v->said, F_SETFL, O_NONBLOCK);
out:
	pipe_close(in);
	pipe_close(out);
	pipe_close(fault);
	return !faulty;
}

/* ---- while it runs ---------------------------------------------------------------------------------- */

static void
input_close(struct supervisor *v)
{
	if (v->in >= 0)
		(void)close(v->in);
	v->in = -1;
}

/* More of the message.  False: there is none. */
static bool
input_read(struct supervisor *v)
{
	static char piece[PIECE];
	ssize_t n;

	do
		n = pread(v->body, piece, sizeof(piece), v->at);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		result_set(v, ORDER_SYSTEM, errno); /* half a message is none */
		return false;
	}
	v->at += n;
	buf_clear(&v->pending);
	v->sent = 0;
	if (v->raw)
		buf_add(&v->pending, piece, (size_t)n);
	else
		format_add(&v->format, slice(piece, (size_t)n), &v->pending);
	if (n == 0 && !v->raw)
		format_end(&v->format, &v->pending);
	return v->pending.n > 0 || n > 0;
}

/* A program that has had enough closes its end: what it says by its exit code counts. */
static void
input_write(struct supervisor *v)
{
	ssize_t n;

	if (v->sent == v->pending.n && !input_read(v)) {
		input_close(v);
		return;
	}
	n = write(v->in, v->pending.p + v->sent, v->pending.n - v->sent);
	if (n >= 0)
		v->sent += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		input_close(v);
}

static void
said_keep(struct supervisor *v, const char *p, ssize_t n)
{
	for (ssize_t i = 0; i < n && !v->line; i++) {
		if (p[i] == '\n' || p[i] == '\r')
			v->line = v->result.nsaid > 0; /* an empty one says nothing */
		else if (v->result.nsaid < ORDER_SAID)
			v->result.said[v->result.nsaid++] = p[i];
	}
}

/* False: nothing more for now. */
static bool
output_read(struct supervisor *v)
{
	char piece[4096];
	ssize_t n = read(v->said, piece, sizeof(piece));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		(void)close(v->said);
		v->said = -1;
		return false;
	}
	said_keep(v, piece, n);
	v->nsaid += n;
	if (v->nsaid > v->program->output)
		result_set(v, ORDER_OUTPUT, 0);
	return !v->over;
}

/* A child has ended: the program, or one that it has left to us. */
static void
children_wait(struct supervisor *v)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(v->children, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != v->pid)
			continue;
		while (v->said >= 0 && output_read(v)) /* its last words */
			;
		if (WIFEXITED(status))
			result_set(v, ORDER_EXITED, WEXITSTATUS(status));
		else
			result_set(v, ORDER_SIGNALLED, WTERMSIG(status));
	}
}

/* `out` is readable when its other end is closed, for nothing is ever sent to us. */
static void
program_watch(struct supervisor *v)
{
	uint64_t until = clock_mono_ms() + (uint64_t)v->program->time, now;

	while (!v->over) {
		struct pollfd p[] = { { v->children, POLLIN, 0 }, { v->out, POLLIN, 0 },
			{ v->in, POLLOUT, 0 }, { v->said, POLLIN, 0 } };

		now = clock_mono_ms();
		if (now >= until) {
			result_set(v, ORDER_TIME, 0);
			break;
		}
		if (poll(p, NELEM(p), (int)(until - now)) < 0 && errno != EINTR)
			result_set(v, ORDER_SYSTEM, errno);
		if (p[1].revents)
			result_set(v, ORDER_SIGNALLED, SIGKILL); /* nobody hears it */
		if (p[3].revents)
			(void)output_read(v);
		if (p[2].revents && v->in >= 0)
			input_write(v);
		if (p[0].revents)
			children_wait(v);
	}
}

/* ---- the end ------------------------------------------------------------------------------------------ */

/* Our children, and with each pass those of whom the parent has gone. */
static void
children_kill(void)
{
	char path[64];
	FILE *f;
	int pid;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	if (!(f = fopen(path, "re")))
		return;
	/* Each number whole: half of one would be a stranger's, and we may kill him. */
	while (fscanf(f, "%d ", &pid) == 1 && pid > 1)
		(void)kill((pid_t)pid, SIGKILL);
	(void)fclose(f);
}

/* Until there is none: a parent that is killed leaves its children to us for the next pass. */
static void
children_bury(const struct supervisor *v)
{
	uint64_t until = clock_mono_ms() + BURY_MS;
	struct pollfd p = { v->children, POLLIN, 0 };
	struct signalfd_siginfo info;
	pid_t pid;

	if (v->pid > 0)
		(void)kill(-v->pid, SIGKILL); /* its session's first group */
	do {
		children_kill();
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return; /* ECHILD */
		(void)poll(&p, 1, BURY_STEP);
		while (read(v->children, &info, sizeof(info)) > 0)
			;
	} while (clock_mono_ms() < until);
}

static bool
supervisor_settle(struct supervisor *v)
{
	sigset_t child;

	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_NAME, "piped-run");
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || sigprocmask(SIG_BLOCK, &child, NULL) < 0 ||
	    (v->children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) {
		result_set(v, ORDER_SYSTEM, errno);
		return false;
	}
	/* The name service may hang; whoever waits for the result then sees the socket close. */
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm((unsigned)(v->program->time / 1000) + GRACE_S);
	return true;
}

void
supervise(const struct order *o, const struct piped_program *p, int body, int out, int to)
{
	struct supervisor v = { .program = p,
		.body = body,
		.out = out,
		.raw = to >= 0,
		.in = -1,
		.said = -1,
		.children = -1 };
	struct child_plan c = { .order = o, .program = p, .to = to };

	if (supervisor_settle(&v) && user_find(&v, &c)) {
		if (strcmp(p->name, PIPED_NATIVE) != 0 && !v.raw)
			head_write(&v, o);
		if (program_start(&v, &c))
			program_watch(&v);
	}
	input_close(&v);
	/* The file is read as soon as the result is known: nobody may write it any more. */
	if (v.raw && v.children >= 0)
		children_bury(&v);
	(void)send(out, &v.result, sizeof(v.result), MSG_NOSIGNAL);
	if (!v.raw && v.children >= 0)
		children_bury(&v);
	buf_fini(&v.pending);
}
