/* mailq: lists the queue.  Who may not read its files, which say who writes to whom, is told what
 * jobctl tells everybody.
 *
 * jobctl knows which messages there are and in what state; sender, recipients and the last
 * answers stand in the files, which are read here.  When jobctl is away the spool alone is
 * read.  Nothing is changed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "daemon/program.h"
#include "mailq.h"

static struct {
	const char *channel, *sender, *rcpt, *host;
	char **ids;
	size_t nids;
	bool json, brief;
} opt;

static struct queue *queue;
static struct buf out;
static char trouble[300]; /* why jobctl has not answered */
static size_t seen;       /* in the queue, whether they are wanted or not */
static size_t total, by_state[4];
static uint64_t bytes;
static const char *const states[] = { "ready", "waiting", "leased", "held" };

static void
flush(void)
{
	(void)fwrite(out.p, 1, out.n, stdout);
	buf_clear(&out);
}

/* ---- which ones -------------------------------------------------------------------------- */

static bool
wanted_id(const char *name)
{
	for (size_t i = 0; i < opt.nids; i++)
		if (strncmp(name + 2, opt.ids[i], strlen(opt.ids[i])) == 0)
			return true;
	return opt.nids == 0;
}

static bool
mailq_contains(const char *text, const char *part)
{
	return slice_ifind_str(slice_str(text), slice_str(part)) < strlen(text) || *part == '\0';
}

static bool
mailq_wanted(const struct item *i)
{
	bool found = !opt.rcpt;

	if (!i->r)
		return !opt.sender && !opt.rcpt;
	if (opt.sender && !mailq_contains(i->r->env.sender, opt.sender))
		return false;
	for (size_t k = 0; !found && k < i->r->env.nrcpt; k++)
		found = mailq_contains(i->r->env.rcpts[k].addr, opt.rcpt);
	return found;
}

static void
show(struct item *i)
{
	if (!mailq_wanted(i))
		return;
	total++;
	bytes += i->size;
	for (size_t k = 0; k < NELEM(states); k++)
		by_state[k] += strcmp(states[k], i->state) == 0;
	if (opt.brief)
		return;
	if (opt.json)
		mailq_print_json(&out, i);
	else
		mailq_print_human(&out, i, clock_now());
	if (out.n > 65536)
		flush();
}

/* ---- from jobctl ------------------------------------------------------------------------------ */

static int64_t
mailq_number(struct slice rest, const char *key)
{
	uint64_t v = 0;

	return slice_u64(kv_find(rest, key), INT64_MAX, &v) == 0 ? (int64_t)v : 0;
}

static void
from_line(struct slice rest)
{
	char channel[64], name[QUEUE_NAME_LEN + 4], state[16], mark[16];
	struct item i = { .channel = channel, .name = name, .state = state };
	struct qread *r = NULL;
	const char *why = "";
	int e;

	if (kv_cstr(kv_find(rest, "channel"), channel, sizeof(channel)) < 0 ||
	    kv_cstr(kv_find(rest, "file"), name, sizeof(name)) < 0 ||
	    kv_cstr(kv_find(rest, "state"), state, sizeof(state)) < 0 ||
	    strlen(name) < QUEUE_NAME_LEN)
		return;
	seen++;
	if (!wanted_id(name) || (opt.channel && strcmp(opt.channel, channel) != 0))
		return;
	if (kv_find(rest, "marked").p && kv_cstr(kv_find(rest, "marked"), mark, sizeof(mark)) == 0)
		i.mark = mark;
	i.attempts = (uint32_t)mailq_number(rest, "attempts");
	i.at = mailq_number(rest, "at");
	i.next = mailq_number(rest, "next");
	i.release = mailq_number(rest, "release");
	i.size = (uint64_t)mailq_number(rest, "size");
	e = queue ? qread_open(queue, channel, name, QREAD_LOOK, &r, &why) : 0;
	if (e == -ENOENT)
		return; /* delivered meanwhile */
	if (e < 0)
		i.trouble = *why ? why : strerror(-e);
	else if (r)
		i.size = r->env.body_len;
	if (r && i.release) /* jobctl counts from there */
		i.at = r->env.arrival_ms / 1000;
	i.r = r;
	show(&i);
	qread_close(&r);
}

/* 0, or -errno when jobctl is away. */
static int
ask_jobctl(void)
{
	char *path = mem_printf("%s/%s", shared.rundir, queue ? "jobctl.sock" : "mailq.sock");
	struct job_tool *t = NULL;
	struct slice line, rest;
	int e = 0;

	if (opt.host)
		t = job_tool_host(opt.host);
	else
		e = job_tool_open(path, 30000, &t);
	mem_free(&path);
	if (e < 0)
		return e;
	if ((e = job_tool_ask(t, S("list"))) == 0)
		while ((e = job_tool_line(t, &line)) > 0)
			if (slice_eq(job_verb(line, &rest), S("msg")))
				from_line(rest);
	if (e < 0)
		(void)snprintf(trouble, sizeof(trouble), "%s", job_tool_error(t, e));
	if (e == -EREMOTEIO && (job_verb(line, &rest), kv_find(rest, "why").p) &&
	    kv_cstr(kv_find(rest, "why"), trouble, sizeof(trouble)) < 0)
		*trouble = '\0';
	job_tool_close(&t);
	return e;
}

/* ---- from the spool --------------------------------------------------------------------------- */

static void
from_file(const char *channel, const struct qname *n)
{
	char name[QUEUE_NAME_LEN + 4];
	struct item i = { .channel = channel,
		.name = queue_name(name, n->id, n->attempts, n->held) };
	struct qread *r = NULL;
	const char *why = "";
	int e;

	seen++;
	if (!wanted_id(name) || (opt.channel && strcmp(opt.channel, channel) != 0))
		return;
	if ((e = qread_open(queue, channel, name, QREAD_LOOK, &r, &why)) == -ENOENT)
		return;
	i.state = n->held ? "held" : "ready";
	i.attempts = n->attempts;
	if (e < 0) {
		i.trouble = *why ? why : strerror(-e);
	} else {
		i.r = r;
		i.size = r->env.body_len;
		i.at = r->env.arrival_ms / 1000;
		i.next = r->env.next_at;
		if (n->attempts == 0 && r->env.release_at > clock_now())
			i.release = r->env.release_at;
		if (!n->held && i.next > clock_now())
			i.state = "waiting";
	}
	show(&i);
	qread_close(&r);
}

static void
read_spool(void)
{
	char **channels = queue_channels(queue);
	struct buf names = { 0 };

	for (char **c = channels; *c; c++) {
		for (unsigned hh = 0; hh < QUEUE_SPREAD; hh++) {
			const struct qname *n;

			buf_clear(&names);
			if (qscan_dir(queue, *c, hh, &names) < 0)
				continue;
			n = (const struct qname *)(const void *)names.p;
			for (size_t i = 0; i < names.n / sizeof(*n); i++)
				from_file(*c, &n[i]);
		}
	}
	buf_fini(&names);
	queue_channels_free(&channels);
}

/* ---- main ---------------------------------------------------------------------------------------- */

static bool
mailq_option(int c, const char *value)
{
	switch (c) {
	case 'C': opt.channel = value; break;
	case 'f': opt.sender = value; break;
	case 'H': opt.host = value; break;
	case 'j': opt.json = true; break;
	case 'q': opt.brief = true; break;
	case 'r': opt.rcpt = value; break;
	default: break;
	}
	return true;
}

static void
summary(void)
{
	if (opt.json)
		return;
	if (total == 0) {
		buf_str(&out, seen ? "no message fits\n" : "the queue is empty\n");
		return;
	}
	buf_printf(&out, "%zu message%s, %llu KiB:", total, total == 1 ? "" : "s",
	    (unsigned long long)(bytes + 1023) / 1024);
	for (size_t k = 0; k < NELEM(states); k++)
		buf_printf(&out, " %zu %s%s", by_state[k], states[k],
		    k + 1 < NELEM(states) ? "," : "\n");
}

static int
mailq_run(int argc, char **argv)
{
	int e;

	opt.ids = argv;
	opt.nids = (size_t)argc;
	if (opt.host && (opt.sender || opt.rcpt)) {
		fprintf(stderr, "mailq: %s: -f and -r look into files: ask on the host itself\n",
		    opt.host);
		return EX_USAGE;
	}
	e = opt.host ? 0 : queue_open(shared.queue, false, &queue);
	if (e < 0 && (e != -EACCES || opt.sender || opt.rcpt)) {
		fprintf(stderr, "mailq: %s: %s\n", shared.queue, strerror(-e));
		return e == -EACCES ? EX_NOPERM : EX_OSFILE;
	}
	if ((e = ask_jobctl()) < 0 && !queue) {
		fprintf(stderr, "mailq: %s%sjobctl does not answer (%s)\n",
		    opt.host ? opt.host : "", opt.host ? ": " : "",
		    *trouble ? trouble : strerror(-e));
		return EX_UNAVAILABLE;
	}
	if (e < 0) {
		fprintf(stderr, "mailq: jobctl does not answer (%s); the spool says:\n",
		    strerror(-e));
		seen = total = bytes = 0;
		memset(by_state, 0, sizeof(by_state));
		buf_clear(&out);
		read_spool();
	}
	summary();
	flush();
	buf_fini(&out);
	queue_close(&queue);
	return ferror(stdout) || fflush(stdout) ? EX_IOERR : 0;
}

static const struct option mailq_longs[] = {
	{ "host", required_argument, NULL, 'H' },
	{ "json", no_argument, NULL, 'j' },
	{ "summary", no_argument, NULL, 'q' },
	{ NULL, 0, NULL, 0 },
};

static const struct program mailq_program = {
	.name = "mailq",
	.kind = PROGRAM_TOOL,
	.about = "list the mail queue",
	.operands = "[-jq] [-C channel] [-f sender] [-H host] [-r recipient] [qid ...]",
	.letters = "C:f:H:jqr:",
	.longs = mailq_longs,
	.help = "  -C CHANNEL      only this channel\n"
		"  -f SENDER       only messages whose sender contains this\n"
		"  -H, --host=HOST the queue of that host, by TLS with tls.certificate\n"
		"  -j, --json      one JSON object a line\n"
		"  -q, --summary   only the counts\n"
		"  -r RECIPIENT    only messages with a recipient that contains this\n",
	.option = mailq_option,
	.run = mailq_run,
};

int
main(int argc, char **argv)
{
	return program_run(&mailq_program, argc, argv);
}
