/* filter.c: which messages a command is about.
 *
 * What jobctl knows it is asked for; senders, recipients and what was said of them stand in the files, which
 * are looked at here, one for each message that fits the rest. */
#include <errno.h>
#include <sysexits.h>
#include "ctl.h"
#include "mta/keywords.h"

/* key=value that jobctl is to look at: a word that is none would fit nothing. */
static void
take_key(struct filter *f, const char *arg)
{
	static const char *const keys[] = { "channel", "dest", "qid", "state", "older", "newer" };
	static const char *const states[] = { "ready", "waiting", "leased", "held" };
	struct slice rest = slice_str(arg), key;
	bool known = false;
	char name[32];

	(void)slice_cut(&rest, '=', &key);
	slice_cstr(key, name, sizeof(name));
	for (size_t i = 0; i < NELEM(keys); i++)
		known |= strcmp(name, keys[i]) == 0;
	if (!known)
		die(EX_USAGE, arg,
		    "no filter (QID channel= dest= state= older= newer= sender= to= text= all)");
	known = strcmp(name, "state") != 0;
	for (size_t i = 0; i < NELEM(states); i++)
		known |= slice_eq(rest, slice_str(states[i]));
	if (!known)
		die(EX_USAGE, arg, "no state (ready waiting leased held)");
	if (strcmp(name, "qid") == 0)
		f->qid = arg + strlen("qid=");
	if (strcmp(name, "older") == 0 || strcmp(name, "newer") == 0) {
		uint32_t seconds;

		if (mta_period_parse(rest, &seconds) < 0 || seconds == 0)
			die(EX_USAGE, arg, "no time (30m, 4h, 3d, PT30M)");
		kv_put_u64(&f->line, name, seconds);
		return;
	}
	kv_put(&f->line, name, rest);
}

/* Each key once: all that are given must fit, and of two values one would be forgotten. */
static void
take_once(struct filter *f, const char *arg)
{
	static const char *const keys[] = { "qid", "channel", "dest", "state", "older", "newer",
		"sender", "to", "text", "all" };
	struct slice rest = slice_str(arg), key;

	if (!slice_cut(&rest, '=', &key) || !strchr(arg, '='))
		key = strcmp(arg, "all") == 0 ? S("all") : S("qid");
	for (unsigned i = 0; i < NELEM(keys); i++) {
		if (!slice_eq(key, slice_str(keys[i])))
			continue;
		if (f->given & 1U << i)
			die(EX_USAGE, arg, "a filter is given once");
		f->given |= 1U << i;
	}
	if (strcmp(arg, "to=") == 0 || strcmp(arg, "text=") == 0)
		die(EX_USAGE, arg, "what is it to contain?");
}

void
filter_take(struct filter *f, const char *arg)
{
	f->any = true;
	take_once(f, arg);
	if (strcmp(arg, "all") == 0) {
		buf_lit(&f->line, " all=1");
	} else if (strncmp(arg, "sender=", 7) == 0) {
		f->sender = arg + 7;
	} else if (strncmp(arg, "to=", 3) == 0) {
		f->to = arg + 3;
	} else if (strncmp(arg, "text=", 5) == 0) {
		f->text = arg + 5;
	} else if (strchr(arg, '=')) {
		take_key(f, arg);
	} else {
		f->qid = arg;
		kv_put(&f->line, "qid", slice_str(arg));
	}
}

static bool
filter_contains(const char *text, const char *part)
{
	return slice_ifind_str(slice_str(text), slice_str(part)) < strlen(text);
}

/* The file of a `msg` line, or NULL when it cannot be read, or has gone. */
static struct qread *
filter_open(struct slice rest)
{
	char channel[64], name[QUEUE_NAME_LEN + 4];
	struct qread *r;
	const char *why;

	if (!queue || kv_cstr(kv_find(rest, "channel"), channel, sizeof(channel)) < 0 ||
	    kv_cstr(kv_find(rest, "file"), name, sizeof(name)) < 0 ||
	    qread_open(queue, channel, name, QREAD_LOOK, &r, &why) < 0)
		return NULL;
	return r;
}

static void
filter_write_who(const struct qread *r, struct buf *line)
{
	size_t left = 0, first = r->env.nrcpt;

	for (size_t k = r->env.nrcpt; k-- > 0;)
		if (r->env.rcpts[k].state == QSTATE_PENDING) {
			left++;
			first = k;
		}
	kv_put(line, "sender", slice_str(r->env.sender));
	if (left)
		kv_put(line, "to", slice_str(r->env.rcpts[first].addr));
	if (left > 1)
		kv_put_u64(line, "others", left - 1);
}

void
filter_print(struct slice got)
{
	struct buf line = { 0 };
	struct slice rest;
	struct qread *r;

	(void)job_verb(got, &rest);
	r = filter_open(rest);
	buf_slice(&line, got);
	if (r) {
		filter_write_who(r, &line);
		qread_close(&r);
	}
	print_line(buf_get(&line));
	buf_fini(&line);
}

/* Does the file of a `msg` line have the sender, the recipient and the words that are asked for? */
static bool
file_matches(const struct filter *f, struct slice rest)
{
	bool found = !f->to, said = !f->text, sender;
	struct qread *r = filter_open(rest);

	if (!r)
		return false;
	sender = !f->sender ||
	    (*f->sender ? filter_contains(r->env.sender, f->sender) : !*r->env.sender);
	for (size_t k = 0; !found && k < r->env.nrcpt; k++)
		found = filter_contains(r->env.rcpts[k].addr, f->to);
	for (size_t k = 0; !said && k < r->env.nrcpt; k++)
		said = *last_words(&r->env.rcpts[k]) &&
		    filter_contains(last_words(&r->env.rcpts[k]), f->text);
	qread_close(&r);
	return sender && found && said;
}

/* Collects the ids (15 characters each) of the messages that match. */
int
filter_collect(const struct filter *f, struct buf *ids, bool print)
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
			filter_print(got);
	}
	buf_fini(&line);
	job_tool_close(&t);
	if (e < 0)
		fprintf(stderr, "jobctl-ctl: jobctl: %s\n", strerror(-e));
	return e < 0 ? EX_UNAVAILABLE : 0;
}
