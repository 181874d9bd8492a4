/* daemon/sandbox-calls.c: the list of system calls, as a seccomp filter.
 *
 * It owns nothing: sandbox.c calls it once for a process.  It fails only when the kernel has no
 * seccomp.  What must stay true: everything that glibc, libuv, libunbound, libldap and LMDB do
 * after the start is on the list, also what they do seldom (a new thread, a resolver that is
 * read again, memory given back).  The filter is written by hand and not by libseccomp because
 * it is a plain list with five questions about arguments, and the names of calls are the C
 * library's own.  A list of what is allowed, not of what is forbidden: calls that later kernels
 * bring are out. */
#include "daemon/sandbox-impl.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/must.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#endif

/* Calls that not every architecture has are left out there. */
/* clang-format off */
static const int plain[] = {
	/* memory */
	SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_msync, SYS_mincore,
	SYS_membarrier,
	/* descriptors */
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev,
	SYS_preadv2, SYS_pwritev2, SYS_lseek, SYS_close, SYS_dup, SYS_dup3, SYS_fcntl, SYS_pipe2,
	SYS_sendfile, SYS_splice, SYS_copy_file_range, SYS_flock, SYS_close_range,
	/* files; which, Landlock says */
	SYS_openat, SYS_newfstatat, SYS_fstat, SYS_statx, SYS_faccessat, SYS_faccessat2,
	SYS_readlinkat, SYS_getdents64, SYS_getcwd, SYS_fstatfs, SYS_statfs, SYS_ftruncate,
	SYS_fsync, SYS_fdatasync, SYS_syncfs, SYS_sync_file_range, SYS_fallocate, SYS_fadvise64,
	SYS_readahead, SYS_unlinkat, SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_mkdirat,
	SYS_fchmod, SYS_fchmodat, SYS_umask, SYS_utimensat,
	/* waiting */
	SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_ppoll, SYS_pselect6, SYS_eventfd2,
	SYS_signalfd4, SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime,
	/* sockets; which kinds, below */
	SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_connect, SYS_getsockname, SYS_getpeername,
	SYS_getsockopt, SYS_setsockopt, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg,
	SYS_sendmmsg, SYS_recvmmsg, SYS_shutdown,
	/* threads and signals of this process */
	SYS_futex, SYS_set_robust_list, SYS_get_robust_list, SYS_rseq, SYS_set_tid_address,
	SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_getparam, SYS_sched_getscheduler,
	SYS_getpriority,
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_sigaltstack,
	SYS_restart_syscall, SYS_exit, SYS_exit_group,
	SYS_setitimer, /* alarm(2): the last words about a damaged map */
	/* questions */
	SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
	SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_getrusage, SYS_sysinfo, SYS_uname, SYS_times,
	SYS_getcpu, SYS_getrandom, SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep,
	SYS_nanosleep, SYS_gettimeofday, SYS_prlimit64,
#ifdef SYS_poll
	SYS_poll, SYS_select, SYS_epoll_wait, SYS_epoll_create, SYS_eventfd, SYS_pipe, SYS_dup2,
	SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_unlink, SYS_rename, SYS_link,
	SYS_mkdir, SYS_rmdir, SYS_chmod, SYS_time, SYS_getrlimit, SYS_arch_prctl,
	SYS_alarm,
#endif
#ifdef SYS_renameat
	SYS_renameat,
#endif
};
/* Of who starts programs: itself with -n, and what a program does before its main(). */
static const int exec[] = {
	SYS_execve, SYS_wait4, SYS_waitid, SYS_pidfd_open, SYS_pidfd_send_signal, SYS_chdir, SYS_fchdir,
#ifdef SYS_vfork
	SYS_vfork, SYS_fork,
#endif
};
/* What no program of ours has a use for and what reaches deep into the kernel or into other
 * processes: all that is kept from who starts other programs. */
static const int never[] = {
	SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_bpf, SYS_perf_event_open,
	SYS_userfaultfd, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load,
	SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_setns, SYS_unshare, SYS_reboot,
	SYS_swapon, SYS_swapoff, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_sethostname,
	SYS_setdomainname, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_personality, SYS_acct,
	SYS_quotactl, SYS_syslog, SYS_open_by_handle_at,
};
/* clang-format on */

/* Terminals and devices have hundreds of requests; these are what remains for sockets and files. */
static const unsigned ioctls[] = {
	FIONBIO, FIOCLEX, FIONCLEX, FIONREAD, SIOCOUTQ, TCGETS, TIOCGWINSZ,
	0x40049409, /* FICLONE, linux/fs.h */
};
/* The namespaces of clone(2): a program that is started gets none of its own. */
#define CLONE_NAMESPACES                                                                           \
	(CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
	    CLONE_NEWCGROUP)

/* ---- writing the filter ------------------------------------------------------------------ */

#define FILTER_MAX 1024 /* instructions: two for each call, and a few dozen */

struct filter {
	struct sock_filter code[FILTER_MAX];
	size_t n;
	uint32_t otherwise; /* SECCOMP_RET_* of what is not on the list */
};

static void
filter_put(struct filter *f, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	must(f->n < FILTER_MAX);
	f->code[f->n++] = (struct sock_filter){ code, yes, no, k };
}

static void
filter_load(struct filter *f, size_t at)
{
	filter_put(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
}

/* The low half of an argument: on our architectures, little-endian all, it is the first. */
static void
filter_arg(struct filter *f, size_t i)
{
	filter_load(f, offsetof(struct seccomp_data, args) + i * sizeof(uint64_t));
}

static void
filter_ret(struct filter *f, uint32_t action)
{
	filter_put(f, BPF_RET | BPF_K, action, 0, 0);
}

/* The call `nr` is answered by `action`. */
static void
answer_call(struct filter *f, int nr, uint32_t action)
{
	filter_put(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1);
	filter_ret(f, action);
}

static void
answer_calls(struct filter *f, const int *nr, size_t n, uint32_t action)
{
	for (size_t i = 0; i < n; i++)
		answer_call(f, nr[i], action);
}

/* The call `nr` with one of these values as its argument `arg`. */
static void
allow_values(struct filter *f, int nr, size_t arg, const unsigned *values, size_t n)
{
	filter_put(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, (uint8_t)(2 * n + 2));
	filter_arg(f, arg);
	for (size_t i = 0; i < n; i++) {
		filter_put(f, BPF_JMP | BPF_JEQ | BPF_K, values[i], 0, 1);
		filter_ret(f, SECCOMP_RET_ALLOW);
	}
	filter_ret(f, f->otherwise);
}

/* The call `nr` when the bits `mask` of its argument `arg` are `want`. */
static void
allow_bits(struct filter *f, int nr, size_t arg, uint32_t mask, uint32_t want)
{
	filter_put(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 5);
	filter_arg(f, arg);
	filter_put(f, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
	filter_put(f, BPF_JMP | BPF_JEQ | BPF_K, want, 0, 1);
	filter_ret(f, SECCOMP_RET_ALLOW);
	filter_ret(f, f->otherwise);
}

/* Families of sockets: an unknown one is refused in words, since libraries only try them. */
static void
filter_sockets(struct filter *f, unsigned words)
{
	const unsigned all[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
	size_t n = words & WORD_INET ? 4 : 1;

	for (int k = 0; k < 2; k++) {
		int nr = k == 0 ? SYS_socket : SYS_socketpair;

		filter_put(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, (uint8_t)(2 * n + 2));
		filter_arg(f, 0);
		for (size_t i = 0; i < n; i++) {
			filter_put(f, BPF_JMP | BPF_JEQ | BPF_K, all[i], 0, 1);
			filter_ret(f, SECCOMP_RET_ALLOW);
		}
		filter_ret(f, SECCOMP_RET_ERRNO | EAFNOSUPPORT);
	}
}

/* Signals: to this process only, unless it has children that it may have to end. */
static void
filter_kills(struct filter *f, unsigned words)
{
	const unsigned self = (unsigned)getpid();

	if (words & WORD_EXEC) {
		answer_call(f, SYS_kill, SECCOMP_RET_ALLOW);
		answer_call(f, SYS_tgkill, SECCOMP_RET_ALLOW);
		return;
	}
	allow_values(f, SYS_kill, 0, &self, 1);
	allow_values(f, SYS_tgkill, 0, &self, 1);
}

/* nice(2), of the thread that calls it and nobody else. */
static void
filter_nice(struct filter *f)
{
	filter_put(f, BPF_JMP | BPF_JEQ | BPF_K, SYS_setpriority, 0, 6);
	filter_arg(f, 0);
	filter_put(f, BPF_JMP | BPF_JEQ | BPF_K, PRIO_PROCESS, 0, 3);
	filter_arg(f, 1);
	filter_put(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
	filter_ret(f, SECCOMP_RET_ALLOW);
	filter_ret(f, f->otherwise);
}

static void
list_write(struct filter *f, unsigned words)
{
	static const unsigned prctls[] = { PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_SET_VMA,
		PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP };

	answer_calls(f, plain, NELEM(plain), SECCOMP_RET_ALLOW);
	if (words & WORD_EXEC)
		answer_calls(f, exec, NELEM(exec), SECCOMP_RET_ALLOW);
	if (words & WORD_MEMORY)
		answer_call(f, SYS_memfd_create, SECCOMP_RET_ALLOW);
	filter_sockets(f, words);
	filter_kills(f, words);
	filter_nice(f);
	allow_values(f, SYS_ioctl, 1, ioctls, NELEM(ioctls));
	allow_values(f, SYS_prctl, 0, prctls, NELEM(prctls));
	if (words & WORD_EXEC)
		allow_bits(f, SYS_clone, 0, CLONE_NAMESPACES, 0);
	else
		allow_bits(f, SYS_clone, 0, CLONE_NAMESPACES | CLONE_THREAD, CLONE_THREAD);
	/* Its flags are in memory, where no filter looks; the C library falls back on clone. */
	answer_call(f, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
	/* Newer interfaces that libraries try first. */
	answer_call(f, 425 /* io_uring_setup */, SECCOMP_RET_ERRNO | ENOSYS);
	answer_call(f, 437 /* openat2 */, SECCOMP_RET_ERRNO | ENOSYS);
	filter_ret(f, f->otherwise);
}

/* ---- the end of who left the list ---------------------------------------------------------- */

/* The kernel stopped a call and says which.  The loop's state is not to be trusted from here on:
 * say it, and end as a bug does. */
static void
sandbox_call_refused(int sig UNUSED, siginfo_t *info, void *context UNUSED)
{
	log_event(LOG_ERROR, "sandbox_violation", "call=%d", info->si_syscall);
	signal(SIGABRT, SIG_DFL);
	abort();
}

int
sandbox_calls_install(unsigned words, bool log)
{
#ifdef ARCH
	static struct filter f; /* 8 KiB; the process does this once */
	struct sigaction act = { .sa_sigaction = sandbox_call_refused, .sa_flags = SA_SIGINFO };
	struct sock_fprog prog = { .filter = f.code };
	bool wide = words & WORD_SPAWN;

	f.n = 0;
	f.otherwise = log ? SECCOMP_RET_LOG : SECCOMP_RET_TRAP;
	filter_load(&f, offsetof(struct seccomp_data, arch));
	filter_put(&f, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	filter_ret(&f, wide ? SECCOMP_RET_ERRNO | ENOSYS : f.otherwise);
	filter_load(&f, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
	/* The numbers of x32 programs: the same calls once more. */
	filter_put(&f, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
	filter_ret(&f, wide ? SECCOMP_RET_ERRNO | ENOSYS : f.otherwise);
#endif
	if (wide) { /* whose children may be anything gets an errno, not an end */
		answer_calls(&f, never, NELEM(never), SECCOMP_RET_ERRNO | EPERM);
		filter_ret(&f, SECCOMP_RET_ALLOW);
	} else {
		list_write(&f, words);
	}
	prog.len = (unsigned short)f.n;
	if (!wide && sigaction(SIGSYS, &act, NULL) < 0)
		return -errno;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) != 0)
		return errno ? -errno : -EBUSY;
	return 0;
#else
	(void)words;
	(void)log;
	return -ENOSYS;
#endif
}
