/* piped/child.c: between fork and exec: becoming the user, and nothing else of what we were.
 *
 * Called by supervise.c in a new process, which has no threads.  What cannot be is said by a descriptor
 * that the program never sees, for an exit code would be the program's word.  Must stay true when the program
 * begins: no descriptor but 0, 1 and 2; the ids are the user's, all four of each, with no group but his own
 * one, and there is no way back nor up (no new privileges: no set-user-id program); its environment is what
 * stands here; signals are as any program finds them; and no shell has seen any word of the message. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/mem.h"
#include "piped.h"

#define ARGS_MAX 64
#define FAULT_FD 3
#define BODY_FD  4

NORETURN static void
child_fail(enum order_how how, int error)
{
	struct child_fault f = { (uint8_t)how, error };
	ssize_t n = write(FAULT_FD, &f, sizeof(f));

	_exit(n == (ssize_t)sizeof(f) ? 0 : 1);
}

/* ---- descriptors, signals, limits ------------------------------------------------------------------ */

/* To their places by way of numbers that are nobody's. */
static void
child_descriptors(const struct child_plan *c)
{
	const int from[] = { c->in, c->to >= 0 ? c->to : c->out, c->out, c->fault, c->body };
	int high[NELEM(from)];

	for (size_t i = 0; i < NELEM(from); i++)
		if ((high[i] = fcntl(from[i], F_DUPFD, 100)) < 0)
			_exit(1);
	for (size_t i = 0; i < NELEM(from); i++)
		if (dup2(high[i], (int)i) < 0)
			_exit(1);
	(void)close_range(BODY_FD + 1, ~0U, 0);
	(void)fcntl(FAULT_FD, F_SETFD, FD_CLOEXEC);
	(void)fcntl(BODY_FD, F_SETFD, FD_CLOEXEC);
}

/* As the kernel has it: the C library keeps two signals to itself, and who has started us may have them ignored. */
static void
child_signal(int s)
{
	const struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} none = { 0 };

	if (signal(s, SIG_DFL) == SIG_ERR)
		(void)syscall(SYS_rt_sigaction, s, &none, NULL, sizeof(none.mask));
}

static void
child_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		child_signal(s);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)alarm(0);
}

static void
limit_set(int what, int64_t most)
{
	struct rlimit r = { (rlim_t)most, (rlim_t)most }, now;

	/* What is less already stays: who may raise it is not who we are to be. */
	if (getrlimit((__rlimit_resource_t)what, &now) == 0 && now.rlim_max != RLIM_INFINITY &&
	    now.rlim_max < r.rlim_max)
		r.rlim_cur = r.rlim_max = now.rlim_max;
	if (setrlimit((__rlimit_resource_t)what, &r) < 0)
		child_fail(ORDER_SETUP, errno);
}

static void
child_limits(const struct piped_program *p)
{
	limit_set(RLIMIT_CORE, 0);
	limit_set(RLIMIT_NOFILE, 1024);
	limit_set(RLIMIT_CPU, p->time / 1000 + 1);
	if (p->processes)
		limit_set(RLIMIT_NPROC, p->processes);
	if (p->memory)
		limit_set(RLIMIT_AS, p->memory);
	if (p->file_size)
		limit_set(RLIMIT_FSIZE, p->file_size);
}

/* ---- the user ------------------------------------------------------------------------------------------ */

int
privileges_drop(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[2] = { 0 };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -1;
	return (int)syscall(SYS_capset, &head, none);
}

static void
child_become(const struct child_plan *c)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	/* By root, or by the capabilities for it; without them it runs programs as itself, or not at all. */
	if ((setgroups(1, &c->gid) < 0 || setresgid(c->gid, c->gid, c->gid) < 0 ||
		setresuid(c->uid, c->uid, c->uid) < 0) &&
	    geteuid() != c->uid)
		child_fail(ORDER_SETUP, errno);
	/* From one user to another they stay, and ambient ones would be the program's. */
	if (privileges_drop() < 0)
		child_fail(ORDER_SETUP, errno);
	if (getresuid(&r, &e, &s) < 0 || getresgid(&rg, &eg, &sg) < 0)
		child_fail(ORDER_SETUP, errno);
	if (r != c->uid || e != c->uid || s != c->uid || setuid(0) == 0)
		child_fail(ORDER_SETUP, EPERM);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		child_fail(ORDER_SETUP, errno);
	/* Cleared by the change of the ids, so behind it: nobody is left who could be asked for the result. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)umask(077);
}

static void
child_enter(const struct child_plan *c)
{
	const char *folder = *c->program->folder ? c->program->folder : c->home;

	if (chdir(folder) == 0)
		return;
	/* Users of services often have a home that is not there; one that is asked for must be. */
	if (*c->program->folder || chdir("/") < 0)
		child_fail(ORDER_SETUP, errno);
}

/* ---- the program ----------------------------------------------------------------------------------------- */

static const char *
variable(const struct child_plan *c, struct slice name, struct arena *a)
{
	const struct order *o = c->order;
	const struct {
		const char *name;
		struct slice value;
	} table[] = {
		{ "sender", o->sender.n ? o->sender : S("MAILER-DAEMON") },
		{ "recipient", o->recipient },
		{ "user", slice_str(c->user) },
		{ "local", o->local },
		{ "domain", o->domain },
		{ "extension", o->extension },
		{ "queue_id", o->qid },
		{ "size", o->size },
	};

	for (size_t i = 0; i < NELEM(table); i++)
		if (slice_eq(name, slice_str(table[i].name)))
			return arena_cstr(a, table[i].value);
	return "";
}

/* A word of the command, its variables filled in: one command_argument, whatever is in them. */
static char *
command_argument(const struct child_plan *c, struct slice word, struct arena *a)
{
	struct buf b = { 0 };
	char *text;

	while (word.n) {
		size_t at = slice_find_str(word, S("${"));
		struct slice name = slice_from(word, at + 2);
		size_t end = slice_find(name, '}');

		buf_slice(&b, slice_sub(word, 0, at));
		if (at == word.n)
			break;
		buf_str(&b, variable(c, slice_sub(name, 0, end), a));
		word = slice_from(name, end + 1);
	}
	text = arena_cstr(a, buf_get(&b));
	buf_fini(&b);
	return text;
}

static char *
env_word(struct arena *a, const char *name, struct slice value)
{
	return arena_printf(a, "%s=" SFMT, name, SARG(value));
}

NORETURN static void
child_exec(const struct child_plan *c)
{
	struct arena a = { 0 };
	const struct order *o = c->order;
	struct slice rest = slice_str(c->program->command), word;
	char *argv[ARGS_MAX + 1] = { NULL };
	char *env[] = {
		env_word(&a, "PATH", S("/usr/local/bin:/usr/bin:/bin")),
		env_word(&a, "SHELL", S("/bin/sh")),
		env_word(&a, "LANG", S("C.UTF-8")),
		env_word(&a, "HOME", slice_str(c->home)),
		env_word(&a, "USER", slice_str(c->user)),
		env_word(&a, "LOGNAME", slice_str(c->user)),
		env_word(&a, "SENDER", o->sender),
		env_word(&a, "RECIPIENT", o->recipient),
		env_word(&a, "LOCAL", o->local),
		env_word(&a, "DOMAIN", o->domain),
		env_word(&a, "EXTENSION", o->extension),
		env_word(&a, "QUEUE_ID", o->qid),
		env_word(&a, "SIZE", o->size),
		c->to >= 0 ? env_word(&a, "INPUT_TYPE", o->type) : NULL,
		env_word(&a, "INPUT_SUBTYPE", o->subtype),
		env_word(&a, "INPUT_NAME", o->name),
		NULL,
	};
	size_t n = 0;

	while (n < ARGS_MAX && slice_word(&rest, &word))
		argv[n++] = command_argument(c, word, &a);
	rest = slice_from(o->args, 1);
	while (o->args.n && c->program->arguments && n < ARGS_MAX && slice_cut(&rest, '%', &word))
		argv[n++] = arena_cstr(&a, word);
	if (n == ARGS_MAX && rest.n)
		child_fail(ORDER_EXEC, E2BIG);
	(void)execve(argv[0] ? argv[0] : "", argv, env);
	child_fail(ORDER_EXEC, errno);
}

/* No program: the file of the user's mailbox, by this program's own code, as the user. */
NORETURN static void
child_native(const struct child_plan *c)
{
	char *path = mem_printf("%s/%s", pconf.native_folder, c->user);

	(void)close(FAULT_FD);
	_exit(mbox_deliver(c->order, BODY_FD, path, c->uid));
}

void
child_run(const struct child_plan *c)
{
	child_descriptors(c);
	child_signals();
	(void)setsid(); /* no terminal, and a group that can be killed */
	child_limits(c->program);
	child_become(c);
	if (strcmp(c->program->name, PIPED_NATIVE) == 0)
		child_native(c);
	child_enter(c);
	child_exec(c);
}
