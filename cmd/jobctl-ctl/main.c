/* jobctl-ctl: what operators do to the queue.
 *
 *	jobctl-ctl [-j] [-c FILE] COMMAND [ARGUMENT ...]
 *
 * Everything is asked of jobctl, in its own protocol (tiermail-job(7)).  Only filters by sender
 * and recipient, and `show`, look into the files, because jobctl does not know what is in them. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "job/tool.h"
#include "queue/read.h"

static const char *conf_path = "/etc/tiermail/tiermail.conf";
static bool json;
static struct queue *queue;

struct command {
	const char *name;
	int (*run)(const struct command *c, int argc, char **argv);
	const char *usage;
};
static const struct command commands[];

static NORETURN void
usage(void)
{
	fprintf(stderr, "usage: jobctl-ctl [-jV] [-c file] command\n");
	for (const struct command *c = commands; c->name; c++)
		fprintf(stderr, "\t%s%s\n", c->name, c->usage);
	exit(EX_USAGE);
}

static NORETURN void
die(int code, const char *what, const char *why)
{
	fprintf(stderr, "jobctl-ctl: %s: %s\n", what, why);
	exit(code);
}

static struct job_tool *
connect_jobctl(void)
{
	char *path = mem_printf("%s/jobctl.sock", shared.rundir);
	struct job_tool *t;
	int e = job_tool_open(path, 60000, &t);

	if (e < 0)
		die(EX_UNAVAILABLE, path, strerror(-e));
	mem_free(&path);
	return t;
}

static void
open_queue(void)
{
	int e = queue ? 0 : queue_open(shared.queue, false, &queue);

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

/* {"is":"channel","name":...}; what is a number becomes one. */
static void
print_json(struct slice line)
{
	struct slice rest = line, k, v;
	struct buf b = { 0 }, d = { 0 };
	char key[64];
	uint64_t n;

	buf_char(&b, '{');
	while (kv_next(&rest, &k, &v)) {
		buf_clear(&d);
		if (v.p == NULL) {
			json_put_str(&b, "is", k);
			continue;
		}
		slice_cstr(k, key, sizeof(key));
		if (kv_decode(&d, v) < 0)
			continue;
		if (!slice_eq(k, S("qid")) && slice_u64(buf_get(&d), INT64_MAX, &n) == 0)
			json_put_i64(&b, key, (int64_t)n);
		else
			json_put_str(&b, key, buf_get(&d));
	}
	buf_char(&b, '}');
	printf(SFMT "\n", SARG(buf_get(&b)));
	buf_fini(&b);
	buf_fini(&d);
}

static void
print_line(struct slice line)
{
	if (json)
		print_json(line);
	else
		print_text(line);
}

/* The answer of jobctl to one line, printed; `n` gets the number of its `ok n=`. */
static int
ask(struct job_tool *t, struct slice line, uint64_t *n)
{
	struct slice got, rest;
	int e = job_tool_ask(t, line);

	while (e >= 0 && (e = job_tool_line(t, &got)) > 0)
		print_line(got);
	if (e == 0) {
		(void)job_verb(got, &rest);
		if (kv_find(rest, "n").p && slice_u64(kv_find(rest, "n"), UINT64_MAX, n) < 0)
			*n = 0;
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
	fprintf(stderr, "jobctl-ctl: jobctl: %s\n", strerror(-e));
	return EX_UNAVAILABLE;
}

/* ---- filters ----------------------------------------------------------------------------------- */

struct filter {
	struct buf line;          /* what jobctl is to look at */
	const char *sender, *to;  /* what we have to look at */
	bool any;
};

static void
take_filter(struct filter *f, const char *arg)
{
	struct slice rest = slice_str(arg), key;

	f->any = true;
	if (strcmp(arg, "all") == 0) {
		buf_lit(&f->line, " all=1");
	} else if (strncmp(arg, "sender=", 7) == 0) {
		f->sender = arg + 7;
	} else if (strncmp(arg, "to=", 3) == 0) {
		f->to = arg + 3;
	} else if (strchr(arg, '=') == NULL) {
		kv_put(&f->line, "qid", rest);
	} else {
		char name[32];

		(void)slice_cut(&rest, '=', &key);
		slice_cstr(key, name, sizeof(name));
		kv_put(&f->line, name, rest);
	}
}

static bool
contains(const char *text, const char *part)
{
	return *part == '\0' || slice_ifind_str(slice_str(text), slice_str(part)) < strlen(text);
}

/* Does the file of a `msg` line have the sender and recipient that are asked for? */
static bool
file_matches(const struct filter *f, struct slice rest)
{
	char channel[64], name[QUEUE_NAME_LEN + 4];
	bool found = f->to == NULL, sender;
	const char *why;
	struct qread *r;

	if (kv_cstr(kv_find(rest, "channel"), channel, sizeof(channel)) < 0 ||
	    kv_cstr(kv_find(rest, "file"), name, sizeof(name)) < 0 ||
	    qread_open(queue, channel, name, QREAD_LOOK, &r, &why) < 0)
		return false;
	sender = f->sender == NULL || contains(r->env.sender, f->sender);
	for (size_t k = 0; !found && k < r->env.nrcpt; k++)
		found = contains(r->env.rcpts[k].addr, f->to);
	qread_close(&r);
	return sender && found;
}

/* Collects the ids (15 characters each) of the messages that match. */
static int
collect(const struct filter *f, struct buf *ids, bool print)
{
	struct job_tool *t = connect_jobctl();
	struct slice got, rest, name;
	struct buf line = { 0 };
	int e;

	open_queue();
	buf_lit(&line, "list");
	buf_slice(&line, buf_get(&f->line));
	e = job_tool_ask(t, buf_get(&line));
	while (e >= 0 && (e = job_tool_line(t, &got)) > 0) {
		(void)job_verb(got, &rest);
		name = kv_find(rest, "file");
		if (name.n < QUEUE_NAME_LEN || !file_matches(f, rest))
			continue;
		buf_add(ids, name.p + 2, QUEUE_FILE_ID_LEN);
		if (print)
			print_line(got);
	}
	buf_fini(&line);
	job_tool_close(&t);
	if (e < 0)
		fprintf(stderr, "jobctl-ctl: jobctl: %s\n", strerror(-e));
	return e < 0 ? EX_UNAVAILABLE : 0;
}

/* ---- commands ------------------------------------------------------------------------------------ */

static int
run_plain(const struct command *c, int argc, char **argv)
{
	struct job_tool *t;
	struct buf line = { 0 };
	uint64_t n;
	int e;

	buf_str(&line, c->name);
	if (argc > 1)
		usage();
	if (argc == 1)
		kv_put(&line, "channel", slice_str(argv[0]));
	t = connect_jobctl();
	e = ask(t, buf_get(&line), &n);
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

static int
run_ids(const struct command *c, const struct filter *f, uint64_t *total)
{
	struct buf ids = { 0 }, line = { 0 };
	struct job_tool *t;
	int e = collect(f, &ids, false);

	t = connect_jobctl();
	for (size_t i = 0; e == 0 && i < ids.n; i += QUEUE_FILE_ID_LEN) {
		uint64_t n = 0;

		buf_clear(&line);
		buf_printf(&line, "%s qid=%.15s", c->name, ids.p + i);
		e = ask(t, buf_get(&line), &n);
		*total += n;
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
	uint64_t n = 0;
	int e;

	for (int i = 0; i < argc; i++)
		take_filter(&f, argv[i]);
	if (!f.any)
		usage();
	if (f.sender || f.to) {
		e = run_ids(c, &f, &n);
	} else {
		struct job_tool *t = connect_jobctl();

		buf_str(&line, c->name);
		buf_slice(&line, buf_get(&f.line));
		e = ask(t, buf_get(&line), &n);
		buf_fini(&line);
		job_tool_close(&t);
	}
	if (e == 0 && json)
		printf("{\"messages\":%llu}\n", (unsigned long long)n);
	else if (e == 0)
		printf("%llu message%s\n", (unsigned long long)n, n == 1 ? "" : "s");
	buf_fini(&f.line);
	return e;
}

static int
run_list(const struct command *c, int argc, char **argv)
{
	struct filter f = { 0 };
	struct buf line = { 0 };
	uint64_t n = 0;
	int e;

	for (int i = 0; i < argc; i++)
		take_filter(&f, argv[i]);
	if (f.sender || f.to) {
		e = collect(&f, &line, true);
	} else {
		struct job_tool *t = connect_jobctl();

		buf_str(&line, c->name);
		buf_slice(&line, buf_get(&f.line));
		e = ask(t, buf_get(&line), &n);
		job_tool_close(&t);
	}
	buf_fini(&line);
	buf_fini(&f.line);
	return e;
}

/* The envelope as it stands in the file, the journal, and the message. */
static int
cat_file(struct slice rest)
{
	char channel[64], name[QUEUE_NAME_LEN + 4], chunk[65536];
	const char *why = "";
	struct qread *r;
	uint64_t at = 0;
	ssize_t n;
	int e;

	if (kv_cstr(kv_find(rest, "channel"), channel, sizeof(channel)) < 0 ||
	    kv_cstr(kv_find(rest, "file"), name, sizeof(name)) < 0)
		return EX_PROTOCOL;
	if ((e = qread_open(queue, channel, name, QREAD_LOOK, &r, &why)) < 0) {
		fprintf(stderr, "jobctl-ctl: %s: %s\n", name, *why ? why : strerror(-e));
		return EX_NOINPUT;
	}
	while ((n = pread(r->fd, chunk, sizeof(chunk), (off_t)at)) > 0) {
		(void)fwrite(chunk, 1, (size_t)n, stdout);
		at += (uint64_t)n;
	}
	qread_close(&r);
	return n < 0 ? EX_IOERR : 0;
}

static int
run_show(const struct command *c, int argc, char **argv)
{
	struct buf line = { 0 }, files = { 0 };
	struct slice got, rest, all, one;
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
		print_line(got);
		(void)job_verb(got, &rest);
		buf_slice(&files, rest);
		buf_char(&files, '\n');
	}
	job_tool_close(&t);
	if (e < 0)
		fprintf(stderr, "jobctl-ctl: %s\n", e == -EREMOTEIO ? "an id has 13 or 15 characters" :
		    strerror(-e));
	else if (files.n == 0)
		fprintf(stderr, "jobctl-ctl: %s: no such message\n", argv[0]);
	e = e < 0 || files.n == 0 ? EX_NOINPUT : 0;
	for (all = buf_get(&files); e == 0 && !json && slice_cut(&all, '\n', &one);)
		e = cat_file(one);
	buf_fini(&line);
	buf_fini(&files);
	return e;
}

static const struct command commands[] = {
	{ "status", run_plain, "\t\t\tthe queue in numbers, and its channels" },
	{ "channels", run_plain, "\t\tthe channels" },
	{ "stop", run_channel, " CHANNEL\t\tno more deliveries" },
	{ "start", run_channel, " CHANNEL\t\tdeliveries again" },
	{ "list", run_list, " [FILTER ...]\tmessages, one a line" },
	{ "show", run_show, " QID\t\tone message: envelope, journal, text" },
	{ "hold", run_filter, " FILTER ...\tset messages aside" },
	{ "release", run_filter, " FILTER ...\tgive held messages back" },
	{ "retry", run_filter, " FILTER ...\ttry waiting messages now" },
	{ "delete", run_filter, " FILTER ...\tremove messages without notice" },
	{ "rescan", run_plain, "\t\t\tlook through the spool for unknown files" },
	{ NULL, NULL, NULL },
};

/* ---- main ------------------------------------------------------------------------------------------ */

static void
read_conf(void)
{
	const struct conf_schema *schema = &conf_shared_schema;
	char *why = NULL;

	if (conf_read(&schema, 1, conf_path, NULL, false, &why) < 0) {
		fprintf(stderr, "jobctl-ctl: %s", why ? why : conf_path);
		exit(EX_CONFIG);
	}
	mem_free(&why);
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 } };
	int c, e = EX_USAGE;

	while ((c = getopt_long(argc, argv, "+c:jV", longs, NULL)) != -1)
		switch (c) {
		case 'c': conf_path = optarg; break;
		case 'j': json = true; break;
		case 'V': printf("jobctl-ctl %s\n", TIERMAIL_VERSION); return 0;
		default: usage();
		}
	if (optind == argc)
		usage();
	log_init("jobctl-ctl", LOG_TO_STDERR, LOG_ERROR);
	for (const struct command *k = commands; k->name; k++) {
		if (strcmp(k->name, argv[optind]) != 0)
			continue;
		read_conf();
		e = k->run(k, argc - optind - 1, argv + optind + 1);
		queue_close(&queue);
		return fflush(stdout) ? EX_IOERR : e;
	}
	usage();
}
