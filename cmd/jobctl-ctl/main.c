/* jobctl-ctl: what operators do to the queue.
 *
 *	jobctl-ctl [-j] [-c FILE] [-H HOST] COMMAND [ARGUMENT ...]
 *
 * Everything is asked of jobctl, in its own protocol (tiermail-job(7)).  Only filters by sender
 * and recipient, and `show`, look into the files, because jobctl does not know what is in them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "daemon/program.h"
#include "ctl.h"
#include "mta/keywords.h"
#include "queue/json.h"

struct queue *queue;
uint64_t printed;
static bool json;
static const char *host; /* -H */

struct command {
	const char *name;
	int (*run)(const struct command *c, int argc, char **argv);
};

static NORETURN void
usage(void)
{
	exit(program_usage());
}

NORETURN void
die(int code, const char *what, const char *why)
{
	fprintf(stderr, "jobctl-ctl: %s: %s\n", what, why);
	exit(code);
}

struct job_tool *
connect_jobctl(void)
{
	char *path;
	struct job_tool *t;
	int e;

	if (host)
		return job_tool_host(host);
	path = mem_printf("%s/jobctl.sock", shared.rundir);
	e = job_tool_open(path, 60000, &t);
	if (e < 0)
		die(EX_UNAVAILABLE, path, strerror(-e));
	mem_free(&path);
	return t;
}

void
open_queue(void)
{
	int e;

	if (host)
		die(EX_USAGE, host,
		    "sender=, to=, text=, show and top errors look into files: ask on the host "
		    "itself");
	e = queue ? 0 : queue_open(shared.queue, false, &queue);
	if (e < 0)
		die(e == -EACCES ? EX_NOPERM : EX_OSFILE, shared.queue, strerror(-e));
}

/* ---- printing -------------------------------------------------------------------------------- */

static void
print_text(struct slice line)
{
	struct slice rest = line, k, v;
	struct buf b = { 0 }, d = { 0 };

	while (kv_next(&rest, &k, &v)) {
		buf_clear(&d);
		if (v.p && kv_decode(&d, v) < 0)
			continue;
		for (size_t i = 0; i < d.n; i++)
			if ((unsigned char)d.p[i] < 0x20 || d.p[i] == 0x7f)
				d.p[i] = '?';
		if (b.n)
			buf_char(&b, ' ');
		buf_slice(&b, k);
		if (v.p)
			buf_printf(&b, "=" SFMT, SARG(buf_get(&d)));
	}
	printf(SFMT "\n", SARG(buf_get(&b)));
	buf_fini(&b);
	buf_fini(&d);
}

/* {"is":"channel","name":...}; what is a number becomes one.  The bracket stays open, and what
 * `file` is to say is left to it. */
static void
json_line(struct buf *b, struct slice line, bool file)
{
	struct slice rest = line, k, v;
	struct buf d = { 0 };
	char key[64];
	uint64_t n;

	buf_char(b, '{');
	while (kv_next(&rest, &k, &v)) {
		buf_clear(&d);
		if (!v.p) {
			json_put_str(b, "is", k);
			continue;
		}
		slice_cstr(k, key, sizeof(key));
		if ((file && (slice_eq(k, S("dest")) || slice_eq(k, S("size")))) ||
		    kv_decode(&d, v) < 0)
			continue;
		if (!slice_eq(k, S("qid")) && slice_u64(buf_get(&d), INT64_MAX, &n) == 0)
			json_put_i64(b, key, (int64_t)n);
		else
			json_put_str(b, key, buf_get(&d));
	}
	buf_fini(&d);
}

static void
print_json(struct slice line)
{
	struct buf b = { 0 };

	json_line(&b, line, false);
	printf(SFMT "}\n", SARG(buf_get(&b)));
	buf_fini(&b);
}

void
print_line(struct slice line)
{
	printed++;
	if (json)
		print_json(line);
	else
		print_text(line);
}

/* The numbers of an answer's last line. */
struct counts {
	uint64_t n;     /* messages that it was done to */
	uint64_t aside; /* that were left alone: their master has not shown them yet */
};

static uint64_t
count_of(struct slice rest, const char *key)
{
	struct slice v = kv_find(rest, key);
	uint64_t n = 0;

	return v.p && slice_u64(v, UINT64_MAX, &n) == 0 ? n : 0;
}

/* The answer of jobctl to one line, printed; its numbers are added to `n`. */
static int
jobctl_ctl_ask(struct job_tool *t, struct slice line, struct counts *n, void (*put)(struct slice))
{
	struct slice got, rest;
	int e = job_tool_ask(t, line);

	while (e >= 0 && (e = job_tool_line(t, &got)) > 0)
		put(got);
	if (e == 0) {
		(void)job_verb(got, &rest);
		n->n += count_of(rest, "n");
		n->aside += count_of(rest, "aside");
		return 0;
	}
	if (e == -EREMOTEIO) {
		char why[300] = "refused";

		(void)job_verb(got, &rest);
		if (kv_cstr(kv_find(rest, "why"), why, sizeof(why)) < 0)
			slice_cstr(rest, why, sizeof(why));
		fprintf(stderr, "jobctl-ctl: %s\n", why);
		return EX_DATAERR;
	}
	fprintf(stderr, "jobctl-ctl: %s: %s\n", host ? host : "jobctl", job_tool_error(t, e));
	return EX_UNAVAILABLE;
}

/* ---- commands ------------------------------------------------------------------------------------ */

static int
run_plain(const struct command *c, int argc, char **argv)
{
	struct job_tool *t;
	struct buf line = { 0 };
	struct counts n = { 0 };
	int e;

	buf_str(&line, c->name);
	if (argc > 1)
		usage();
	if (argc == 1)
		kv_put(&line, "channel", slice_str(argv[0]));
	t = connect_jobctl();
	e = jobctl_ctl_ask(t, buf_get(&line), &n, print_line);
	buf_fini(&line);
	job_tool_close(&t);
	return e;
}

static int
run_channel(const struct command *c, int argc, char **argv)
{
	if (argc != 1)
		usage();
	return run_plain(c, argc, argv);
}

/* DESTINATION [channel=NAME] [for=TIME] */
static int
run_rest(const struct command *c, int argc, char **argv)
{
	bool suspend = strcmp(c->name, "suspend") == 0;
	struct counts n = { 0 };
	struct job_tool *t;
	struct buf line = { 0 };
	uint32_t seconds;
	int e;

	if (argc < 1)
		usage();
	buf_str(&line, c->name);
	kv_put(&line, "dest", slice_str(argv[0]));
	for (int i = 1; i < argc; i++) {
		struct slice rest = slice_str(argv[i]), key;

		(void)slice_cut(&rest, '=', &key);
		if (slice_eq(key, S("channel")) && rest.n)
			kv_put(&line, "channel", rest);
		else if (!suspend || !slice_eq(key, S("for")))
			usage();
		else if (mta_period_parse(rest, &seconds) < 0 || seconds == 0)
			die(EX_USAGE, argv[i], "no time (30m, 4h, 3d, PT30M)");
		else
			kv_put_u64(&line, "seconds", seconds);
	}
	t = connect_jobctl();
	e = jobctl_ctl_ask(t, buf_get(&line), &n, print_line);
	buf_fini(&line);
	job_tool_close(&t);
	return e;
}

static int
run_ids(const struct command *c, const struct filter *f, struct counts *total)
{
	struct buf ids = { 0 }, line = { 0 };
	struct job_tool *t;
	int e = filter_collect(f, &ids, false);

	t = connect_jobctl();
	for (size_t i = 0; e == 0 && i < ids.n; i += QUEUE_FILE_ID_LEN) {
		buf_clear(&line);
		buf_printf(&line, "%s qid=%.15s", c->name, ids.p + i);
		e = jobctl_ctl_ask(t, buf_get(&line), total, print_line);
	}
	job_tool_close(&t);
	buf_fini(&ids);
	buf_fini(&line);
	return e;
}

static int
run_filter(const struct command *c, int argc, char **argv)
{
	struct filter f = { 0 };
	struct buf line = { 0 };
	struct counts n = { 0 };
	int e;

	for (int i = 0; i < argc; i++)
		filter_take(&f, argv[i]);
	if (!f.any)
		usage();
	if (f.sender || f.to || f.text) {
		e = run_ids(c, &f, &n);
	} else {
		struct job_tool *t = connect_jobctl();

		buf_str(&line, c->name);
		buf_slice(&line, buf_get(&f.line));
		e = jobctl_ctl_ask(t, buf_get(&line), &n, print_line);
		buf_fini(&line);
		job_tool_close(&t);
	}
	if (e == 0 && n.n == 0 && n.aside == 0 && f.qid) {
		fprintf(stderr, "jobctl-ctl: %s: no such message\n", f.qid);
		e = EX_NOINPUT;
	} else if (e == 0 && json)
		printf("{\"messages\":%llu,\"aside\":%llu}\n", (unsigned long long)n.n,
		    (unsigned long long)n.aside);
	else if (e == 0)
		printf("%llu message%s\n", (unsigned long long)n.n, n.n == 1 ? "" : "s");
	if (e == 0 && n.aside && !json)
		fprintf(stderr, "jobctl-ctl: %llu left alone: not shown yet by what queues them\n",
		    (unsigned long long)n.aside);
	buf_fini(&f.line);
	return e;
}

static int
run_list(const struct command *c, int argc, char **argv)
{
	struct filter f = { 0 };
	struct buf line = { 0 };
	struct counts n = { 0 };
	int e;

	for (int i = 0; i < argc; i++)
		filter_take(&f, argv[i]);
	if (f.sender || f.to || f.text) {
		e = filter_collect(&f, &line, true);
		printed = line.n;
	} else {
		struct job_tool *t = connect_jobctl();

		buf_str(&line, c->name);
		buf_slice(&line, buf_get(&f.line));
		/* Who may not read the queue is told what jobctl knows. */
		if (!host && !queue && queue_open(shared.queue, false, &queue) < 0)
			queue = NULL;
		e = jobctl_ctl_ask(t, buf_get(&line), &n, filter_print);
		job_tool_close(&t);
	}
	if (e == 0 && f.qid && printed == 0) {
		fprintf(stderr, "jobctl-ctl: %s: no such message\n", f.qid);
		e = EX_NOINPUT;
	}
	buf_fini(&line);
	buf_fini(&f.line);
	return e;
}

/* The destinations with most messages, of all channels or one; or what is said most. */
static int
run_top(const struct command *c, int argc, char **argv)
{
	if (argc == 1 && strcmp(argv[0], "errors") == 0)
		return top_errors();
	return run_plain(c, argc, argv);
}

/* The file as it is: envelope, message, journal. */
static int
show_text(const struct qread *r)
{
	char chunk[65536];
	uint64_t at = 0;
	ssize_t n;

	while ((n = pread(r->fd, chunk, sizeof(chunk), (off_t)at)) > 0) {
		(void)fwrite(chunk, 1, (size_t)n, stdout);
		at += (uint64_t)n;
	}
	return n < 0 ? EX_IOERR : 0;
}

/* What `list` says of it, what `mailq --json` says of its file, and the message. */
static int
show_json(const struct qread *r, struct slice line)
{
	struct buf b = { 0 }, text = { 0 };
	uint64_t left = r->env.body_len;
	ssize_t n = 1;

	while (left > 0) {
		n = pread(r->fd, buf_reserve(&text, left), left, (off_t)(r->body_at + text.n));
		if (n <= 0)
			break;
		text.n += (size_t)n;
		left -= (uint64_t)n;
	}
	json_line(&b, line, true);
	json_put_i64(&b, "size", (int64_t)r->env.body_len);
	queue_json_put(&b, &r->env, slice_eq(kv_find(line, "state"), S("held")));
	json_put_str(&b, "text", buf_get(&text));
	buf_lit(&b, "}\n");
	(void)fwrite(b.p, 1, b.n, stdout);
	buf_fini(&b);
	buf_fini(&text);
	return n <= 0 ? EX_IOERR : 0;
}

/* The file of a `msg` line. */
static int
show_file(struct slice line)
{
	char channel[64], name[QUEUE_NAME_LEN + 4];
	const char *why = "";
	struct qread *r;
	int e;

	if (kv_cstr(kv_find(line, "channel"), channel, sizeof(channel)) < 0 ||
	    kv_cstr(kv_find(line, "file"), name, sizeof(name)) < 0)
		return EX_PROTOCOL;
	if ((e = qread_open(queue, channel, name, QREAD_LOOK, &r, &why)) < 0) {
		if (json)
			print_json(line);
		fprintf(stderr, "jobctl-ctl: %s: %s\n", name, *why ? why : strerror(-e));
		return EX_NOINPUT;
	}
	e = json ? show_json(r, line) : show_text(r);
	qread_close(&r);
	return e;
}

static int
run_show(const struct command *c, int argc, char **argv)
{
	struct buf line = { 0 }, files = { 0 };
	struct slice got, all, one;
	struct job_tool *t;
	int e;

	(void)c;
	if (argc != 1)
		usage();
	open_queue();
	t = connect_jobctl();
	buf_lit(&line, "list");
	kv_put(&line, "qid", slice_str(argv[0]));
	e = job_tool_ask(t, buf_get(&line));
	while (e >= 0 && (e = job_tool_line(t, &got)) > 0) {
		buf_slice(&files, got);
		buf_char(&files, '\n');
	}
	job_tool_close(&t);
	if (e < 0)
		fprintf(stderr, "jobctl-ctl: %s\n",
		    e == -EREMOTEIO ? "an id has 13 or 15 characters" : strerror(-e));
	else if (files.n == 0)
		fprintf(stderr, "jobctl-ctl: %s: no such message\n", argv[0]);
	e = e < 0 || files.n == 0 ? EX_NOINPUT : 0;
	for (all = buf_get(&files); e == 0 && slice_cut(&all, '\n', &one);) {
		if (!json)
			print_text(one);
		e = show_file(one);
	}
	buf_fini(&line);
	buf_fini(&files);
	return e;
}

/* Reports of TLS are a matter of channel-master and the folder that it keeps for them. */
static int
run_tlsrpt(const struct command *c UNUSED, int argc, char **argv)
{
	char *path = mem_printf("%s/channel-master", shared.libexec), *words[8];
	const char *conf = program_conf_file();
	size_t n = 0;

	if (argc < 1 || argc > 3 || (strcmp(argv[0], "show") != 0 && strcmp(argv[0], "send") != 0))
		usage();
	if (host)
		die(EX_USAGE, host, "reports of TLS are made on the host itself");
	words[n++] = path;
	if (conf) {
		words[n++] = mem_str("-c");
		words[n++] = mem_str(conf);
	}
	words[n++] = mem_str("-r");
	for (int i = 0; i < argc; i++)
		words[n++] = argv[i];
	words[n] = NULL;
	(void)execv(path, words);
	die(EX_UNAVAILABLE, path, strerror(errno));
}

/* clang-format off */
static const struct command commands[] = {
	{ "status", run_plain }, { "channels", run_plain }, { "rescan", run_plain },
	{ "stop", run_channel }, { "start", run_channel },
	{ "suspend", run_rest }, { "resume", run_rest },
	{ "list", run_list }, { "show", run_show },
	{ "hold", run_filter }, { "release", run_filter }, { "retry", run_filter },
	{ "delete", run_filter }, { "return", run_filter }, { "reroute", run_filter },
	{ "jobs", run_plain }, { "top", run_top }, { "tlsrpt", run_tlsrpt },
	{ NULL, NULL },
};
/* clang-format on */

/* ---- main ------------------------------------------------------------------------------------------ */

static bool
jobctl_ctl_option(int c, const char *value)
{
	json |= c == 'j';
	if (c == 'H')
		host = value;
	return true;
}

static int
jobctl_ctl_run(int argc, char **argv)
{
	int e;

	for (const struct command *k = commands; argc && k->name; k++) {
		if (strcmp(k->name, argv[0]) != 0)
			continue;
		e = k->run(k, argc - 1, argv + 1);
		queue_close(&queue);
		return fflush(stdout) ? EX_IOERR : e;
	}
	if (argc)
		fprintf(stderr, "jobctl-ctl: there is no command %s\n", argv[0]);
	return program_usage();
}

static const struct option longs[] = {
	{ "host", required_argument, NULL, 'H' },
	{ "json", no_argument, NULL, 'j' },
	{ NULL, 0, NULL, 0 },
};

static const struct program jobctl_ctl_program = {
	.name = "jobctl-ctl",
	.kind = PROGRAM_TOOL,
	.about = "look at and command the queue",
	.operands = "[-j] [-H host] command [argument ...]",
	.letters = "+jH:",
	.longs = longs,
	.help = "  -H, --host=HOST the jobctl of that host, by TLS with tls.certificate\n"
		"  -j, --json      one JSON object a line\n"
		"commands:\n"
		"  status                  the queue in numbers, and its channels\n"
		"  channels                the channels\n"
		"  stop CHANNEL            no more deliveries\n"
		"  start CHANNEL           deliveries again\n"
		"  suspend DEST [for=TIME] nothing to a destination for a time; channel=NAME\n"
		"  resume DEST             let it go on; channel=NAME\n"
		"  list [FILTER ...]       messages, one a line\n"
		"  show QID                one message: envelope, journal, text\n"
		"  hold FILTER ...         set messages aside\n"
		"  release FILTER ...      give held messages back\n"
		"  retry FILTER ...        try waiting messages now\n"
		"  delete FILTER ...       remove messages without notice\n"
		"  return FILTER ...       return messages to their senders now\n"
		"  reroute FILTER ...      send messages where they would go today\n"
		"  jobs                    masters: what they do, since when, what they have done\n"
		"  top [CHANNEL|errors]    who has most messages, or what is said most\n"
		"  tlsrpt show [DAY [DOMAIN]] what became of TLS, for reports to domains\n"
		"  tlsrpt send [DAY]       send those of days that are over now\n"
		"  rescan                  look through the spool for unknown files\n"
		"filters: QID channel=NAME dest=HOST state=ready|waiting|leased|held older=TIME "
		"newer=TIME sender=TEXT to=TEXT text=TEXT all\n"
		"options:\n",
	.option = jobctl_ctl_option,
	.run = jobctl_ctl_run,
};

int
main(int argc, char **argv)
{
	return program_run(&jobctl_ctl_program, argc, argv);
}
