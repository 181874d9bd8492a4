/* daemon/daemon.c: see daemon.h: the command line and the order of starting. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/self.h"

static int
usage(void)
{
	fprintf(stderr, "usage: %s [-dknV] [-c file]\n", self.d->name);
	return EX_USAGE;
}

static void
print(struct buf *b, FILE *to)
{
	if (b->n)
		(void)fwrite(b->p, 1, b->n, to);
	buf_fini(b);
}

/* -k: every key with type, default and meaning. */
static int
list_keys(void)
{
	struct buf b = { 0 };

	conf_describe(self.schemas, self.nschemas, &b);
	print(&b, stdout);
	return 0;
}

/* Addresses of listeners, and what the daemon itself wants to look at. */
static bool
check(struct buf *why)
{
	bool good = true;

	for (struct daemon_listen **l = daemon_listeners(); *l; l++) {
		struct addr a;

		if (strncmp((*l)->address, "unix:", 5) != 0 &&
		    addr_parse(slice_str((*l)->address), &a) < 0) {
			buf_printf(why, "%s: [listen %s]: %s is not an address\n",
			    conf_where(&(*l)->address), (*l)->name, (*l)->address);
			good = false;
		}
	}
	if (self.d->check && !self.d->check(why))
		good = false;
	return good;
}

/* Reads and checks; complains on stderr, since the log may not be set up yet. */
static int
load(void)
{
	struct buf why = { 0 };
	char *text = NULL;
	int rc = config_load(false, &text);

	buf_str(&why, text ? text : "");
	free(text);
	if (rc == 0 && !check(&why))
		rc = -EINVAL;
	print(&why, stderr);
	return rc;
}

static int
start(void)
{
	log_init(self.d->name, self.debug ? LOG_TO_STDERR : (enum log_sink)shared.log_to,
	    self.debug ? LOG_DEBUG : (enum log_level)shared.log_level);
	log_event(LOG_INFO, "start", "version=%s", TIERMAIL_VERSION);
	setup_limits();
	if (setup_rundir() < 0 || setup_listeners() < 0 || setup_privileges() < 0 ||
	    setup_run_files() < 0)
		return EX_OSERR;
	self.nworkers = self.d->workers ? *self.d->workers : 0;
	return self.nworkers > 0 ? parent_run() : single_run();
}

int
daemon_run(const struct daemon *d, int argc, char **argv)
{
	bool print_only = false, keys = false;
	const char *file = NULL;
	struct buf out = { 0 };
	int c;

	self.d = d;
	self.started_ms = clock_mono_ms();
	while ((c = getopt(argc, argv, "c:dnkV")) != -1) {
		switch (c) {
		case 'c':
			file = optarg;
			break;
		case 'd':
			self.debug = true;
			break;
		case 'n':
			print_only = true;
			break;
		case 'k':
			keys = true;
			break;
		case 'V':
			printf("%s (tiermail) %s\n", d->name, TIERMAIL_VERSION);
			return 0;
		default:
			return usage();
		}
	}
	if (optind < argc)
		return usage();
	if (!config_paths(file)) {
		fprintf(stderr, "%s: %s: %s\n", d->name, file, strerror(errno));
		return EX_CONFIG;
	}
	if (keys)
		return list_keys();
	log_init(d->name, LOG_TO_STDERR, self.debug ? LOG_DEBUG : LOG_INFO);
	if (load() < 0)
		return EX_CONFIG;
	if (!print_only)
		return start();
	conf_print(self.schemas, self.nschemas, &out);
	print(&out, stdout);
	return 0;
}
