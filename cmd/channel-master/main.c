/* channel-master: the master program of one channel: takes leases from jobctl and delivers.
 *
 *	channel-master [-c FILE] [-d] [-n] [-V] CHANNEL
 *
 * Started by jobctl when there is work, once or several times for a channel; leaves by itself
 * when there is none.  It is no daemon of its own: no listener, no pid file, no control socket. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "master.h"

#define DRAIN_MS 15000

struct master master;
static struct watch signals;
static int signal_fd;
static bool left;

/* ---- configuration -------------------------------------------------------------------- */

static const struct conf_schema *const schemas[] = { &conf_shared_schema, &master_schema };

/* `file` is this program's own file, with tiermail.conf and channels.conf beside it; or it is
 * tiermail.conf itself. */
static int
read_conf(const char *file, char **why)
{
	const char *slash = strrchr(file, '/');
	const char *base = slash ? slash + 1 : file;
	char *dir = slash ? mem_strn(file, (size_t)(slash - file)) : mem_str(".");
	char *common = mem_printf("%s/tiermail.conf", dir);
	char *channels = mem_printf("%s/channels.conf", dir);
	char *own = strcmp(base, "tiermail.conf") == 0 ? mem_printf("%s/channel-master.conf", dir)
	                                               : mem_str(file);
	int r;

	/* Every key has a default. */
	if (access(own, F_OK) < 0 && errno == ENOENT)
		mem_free(&own);
	if (access(common, F_OK) < 0 && errno == ENOENT)
		mem_free(&common);
	r = conf_read(schemas, NELEM(schemas), common, own, false, why);
	if (r == 0)
		r = channels_read(channels, &master.channels, why);
	mem_free(&dir);
	mem_free(&common);
	mem_free(&channels);
	mem_free(&own);
	return r;
}

static void
print_conf(void)
{
	struct buf b = { 0 };

	conf_print(schemas, NELEM(schemas), &b);
	channels_print(master.channels, &b);
	(void)fwrite(b.p, 1, b.n, stdout);
	buf_fini(&b);
}

static void
set_limits(void)
{
	master.limits = (struct smtp_client_limits){
		.greeting = (uint32_t)mconf.t_greeting, .hello = (uint32_t)mconf.t_hello,
		.mail = (uint32_t)mconf.t_mail, .rcpt = (uint32_t)mconf.t_rcpt,
		.data = (uint32_t)mconf.t_data, .block = (uint32_t)mconf.t_block,
		.dot = (uint32_t)mconf.t_dot, .quit = smtp_client_limits_rfc.quit,
	};
}

struct tls_ctx *
master_tls(bool verify)
{
	struct tls_ctx **ctx = verify ? &master.tls_verified : &master.tls_plain;
	/* Both certificates are checked between tiers: show ours when we have one, and may read
	 * its key (jobctl has given up the privileges that its own start had). */
	bool own = *shared.tls_cert && *shared.tls_key && access(shared.tls_key, R_OK) == 0;
	struct tls_params p = {
		.ca = *shared.tls_ca ? shared.tls_ca : NULL,
		.cert = own ? shared.tls_cert : NULL,
		.key = own ? shared.tls_key : NULL,
		.verify = verify,
		.protocols = shared.tls_protocols == 0 ? "tlsv1.3" : "tlsv1.2,tlsv1.3",
		.ciphers = shared.tls_ciphers,
	};
	char *why = NULL;

	if (!*ctx) {
		*ctx = tls_client_new(&p, &why);
		if (!*ctx)
			log_event(LOG_ERROR, "tls", "error=%s", log_str(why));
		mem_free(&why);
	}
	return *ctx;
}

/* ---- coming and going ----------------------------------------------------------------- */

static void
leave(void)
{
	if (left)
		return;
	left = true;
	if (master.job)
		job_master_close(&master.job);
	loop_stop(&master.loop);
}

static void
on_leave(struct deadline *d)
{
	(void)d;
	if (master.njobs == 0 || master.draining)
		leave();
}

void
master_job_over(void)
{
	if (left || master.njobs > 0)
		return;
	if (!master.draining) {
		deadline_set(&master.leave, &master.loop, (uint64_t)mconf.idle_exit, on_leave);
		return;
	}
	session_quit_all();
	if (session_count() == 0)
		leave();
}

/* No more leases; what runs gets a while to end.  Leases not begun go back by the socket. */
static void
drain(void)
{
	if (master.draining)
		return;
	master.draining = true;
	deadline_set(&master.leave, &master.loop, DRAIN_MS, on_leave);
	master_job_over();
}

static void
on_signal(struct watch *w, bool readable, bool writable, int error)
{
	struct signalfd_siginfo info;

	(void)w, (void)writable, (void)error;
	if (readable && read(signal_fd, &info, sizeof(info)) > 0)
		drain();
}

static void
on_work(void *arg, const struct job_work *w)
{
	(void)arg;
	job_start(w);
}

static void
on_lost(void *arg, int error)
{
	(void)arg;
	if (error)
		log_event(LOG_WARN, "jobctl_lost", "channel=%s error=%s", master.channel->name,
		    log_str(strerror(-error)));
	drain();
}

static const struct job_master_events job_events = { .work = on_work, .lost = on_lost };

static int
start(void)
{
	char *path;
	sigset_t set;
	int r;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP); /* the next one reads the new configuration */
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (signal_fd < 0)
		return -errno;
	loop_init(&master.loop);
	list_init(&master.jobs);
	deadline_init(&master.leave);
	r = watch_init(&signals, &master.loop, signal_fd, on_signal);
	if (r < 0)
		return r;
	watch_want(&signals, true, false);
	r = queue_open(shared.queue, true, &master.queue);
	if (r < 0) {
		log_event(LOG_ERROR, "start", "queue=%s error=%s", log_str(shared.queue), log_str(strerror(-r)));
		return r;
	}
	queue_start(master.queue, &master.loop);
	path = mem_printf("%s/jobctl.sock", shared.rundir);
	r = job_master_open(&master.loop, path, master.channel->name, (uint32_t)master.channel->slots,
	    &job_events, NULL, &master.job);
	if (r < 0)
		log_event(LOG_ERROR, "start", "jobctl=%s error=%s", log_str(path), log_str(strerror(-r)));
	mem_free(&path);
	return r;
}

static int
usage(void)
{
	fprintf(stderr, "usage: channel-master [-dnV] [-c file] channel\n");
	return EX_USAGE;
}

int
main(int argc, char **argv)
{
	const char *file = "/etc/tiermail/channel-master.conf";
	bool check = false, debug = false;
	char *why = NULL;
	int c;

	while ((c = getopt(argc, argv, "c:dnV")) != -1) {
		switch (c) {
		case 'c':
			file = optarg;
			break;
		case 'd':
			debug = true;
			break;
		case 'n':
			check = true;
			break;
		case 'V':
			printf("channel-master %s\n", TIERMAIL_VERSION);
			return 0;
		default:
			return usage();
		}
	}
	if (argc - optind != (check && argc == optind ? 0 : 1))
		return usage();
	if (read_conf(file, &why) < 0) {
		fputs(why ? why : "the configuration cannot be read\n", stderr);
		return EX_CONFIG;
	}
	if (optind < argc) {
		master.channel = channels_find(master.channels, slice_str(argv[optind]));
		if (!master.channel) {
			fprintf(stderr, "channel-master: no channel %s\n", argv[optind]);
			return EX_CONFIG;
		}
	}
	if (check) {
		print_conf();
		return 0;
	}
	log_init("channel-master", debug ? LOG_TO_STDERR : (enum log_sink)shared.log_to,
	    debug ? LOG_DEBUG : (enum log_level)shared.log_level);
	set_limits();
	if (start() < 0)
		return EX_TEMPFAIL;
	log_event(LOG_INFO, "start", "channel=%s slots=%lld", master.channel->name,
	    (long long)master.channel->slots);
	master_job_over();
	loop_run(&master.loop);
	/* The kernel closes the rest: every state that matters is in the files. */
	queue_close(&master.queue);
	log_event(LOG_INFO, "stop", "channel=%s", master.channel->name);
	return 0;
}
