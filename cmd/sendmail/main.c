/* sendmail: what programs on a Unix host call to send mail: options and exit codes of the old
 * one, as far as programs use them; the mail goes to smtp-relay.  sendmail(1).
 *
 * Main owns the options, the recipients and the order of things: all that can be refused here is
 * refused before smtp-relay is asked.  Every failure ends the program by sendmail_die with a code
 * of sysexits.h, because that is what callers look at: EX_TEMPFAIL means to try again, and is said
 * whenever mail could still go.  It runs as whoever calls it and has no rights of its own, so
 * nothing is kept: when it has failed, no part of the message is queued. */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/mem.h"
#include "conf/paths.h"
#include "conf/shared.h"
#include "daemon/ask.h"
#include "daemon/program.h"
#include "sendmail.h"

#define RELOAD_MS 30000 /* smtp-relay checks all of its configuration first */

static struct arena arena;
static struct options options;
static char mode = 'm'; /* -b */

void
sendmail_die(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fputs("sendmail: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
	exit(code);
}

/* ---- addresses ------------------------------------------------------------------------------ */

static struct slice
own_domain(void)
{
	return slice_str(*shared.default_domain ? shared.default_domain : shared.hostname);
}

static void
rcpt_push(struct rcpts *r, const struct address_item *i)
{
	struct address *a;

	if (r->n == r->room) {
		r->room = r->room ? r->room * 2 : 16;
		r->a = mem_grow(r->a, r->room, sizeof(*r->a));
	}
	a = &r->a[r->n++];
	*a = (struct address){ .local = arena_slice(&arena, i->mailbox),
		.domain = i->host.n ? arena_slice(&arena, i->host) : own_domain() };
	for (size_t k = 0; k < a->local.n + a->domain.n; k++)
		if ((k < a->local.n ? a->local.p[k] : a->domain.p[k - a->local.n]) & 0x80)
			a->flags |= ADDRESS_UTF8;
}

bool
sendmail_rcpts_add(struct rcpts *r, struct slice text)
{
	struct address_list list;
	size_t before = r->n;

	address_list_parse(text, 100000, &arena, &list);
	for (size_t i = 0; i < list.n; i++)
		if (list.items[i].kind == ADDRESS_MAILBOX && list.items[i].mailbox.n)
			rcpt_push(r, &list.items[i]);
	return r->n > before;
}

/* The user who runs this, or -f. */
static void
sender(const struct options *o, struct address *a)
{
	struct rcpts one = { 0 };
	struct passwd *pw;

	*a = (struct address){ 0 };
	if (o->sender && (*o->sender == '\0' || strcmp(o->sender, "<>") == 0)) {
		a->flags = ADDRESS_NULL;
		return;
	}
	pw = o->sender ? NULL : getpwuid(getuid());
	if (!o->sender && !pw)
		sendmail_die(EX_NOUSER, "who are you? use -f");
	if (!sendmail_rcpts_add(&one, slice_str(o->sender ? o->sender : pw->pw_name)) || one.n != 1)
		sendmail_die(EX_USAGE, "%s: bad sender address",
		    o->sender ? o->sender : pw->pw_name);
	*a = one.a[0];
	mem_free(&one.a);
}

/* ---- options --------------------------------------------------------------------------------- */

static const char *
one_of(const char *arg, const char *const *words, char option)
{
	for (; *words; words++)
		if (strcasecmp(arg, *words) == 0)
			return *words;
	sendmail_die(EX_USAGE, "-%c: bad value %s", option, arg);
}

static const char *
notify_checked(const char *arg)
{
	static const char *const words[] = { "NEVER", "SUCCESS", "FAILURE", "DELAY", NULL };
	struct slice rest = slice_str(arg), word;
	size_t n = 0;

	while (slice_cut(&rest, ',', &word)) {
		char text[16];

		slice_cstr(word, text, sizeof(text));
		n += 1 + 100 * (size_t)(strcmp(one_of(text, words, 'N'), "NEVER") == 0);
	}
	if (n == 0 || (n > 100 && n != 101))
		sendmail_die(EX_USAGE, "-N: bad value %s", arg);
	return arg;
}

static bool
sendmail_option(int c, const char *value)
{
	static const char *const bodies[] = { "7BIT", "8BITMIME", NULL };
	static const char *const rets[] = { "FULL", "HDRS", NULL };
	struct options *o = &options;

	switch (c) {
	case 'B': o->body = one_of(value, bodies, 'B'); break;
	case 'C': program_conf(value); break;
	case 'F': o->name = value; break;
	case 'N': o->notify = notify_checked(value); break;
	case 'R':
		o->ret = one_of(strcasecmp(value, "hdrs") == 0 ? "HDRS" : value, rets, 'R');
		break;
	case 'V': o->envid = value; break;
	case 'b': mode = value[0]; break;
	case 'f':
	case 'r': o->sender = value; break;
	case 'i': o->ignore_dots = true; break;
	case 'o':
		o->ignore_dots |= value[0] == 'i';
		break;         /* the other -o of old say nothing to us */
	case 'q': exit(EX_OK); /* jobctl runs the queue by itself */
	case 't': o->from_header = true; break;
	default: break; /* known to the old sendmail, without meaning here */
	}
	return true;
}

static int
send_message(const struct options *o, const char *path, int argc, char **argv)
{
	struct rcpts rcpts = { 0 };
	struct buf out = { 0 }, text = { 0 };
	struct address from;
	bool more;

	for (int i = 0; i < argc; i++)
		if (!sendmail_rcpts_add(&rcpts, slice_str(argv[i])))
			sendmail_die(EX_USAGE, "%s: bad address", argv[i]);
	sender(o, &from);
	address_write(&text, &from);
	sendmail_message_header(o, buf_cstr(&text), &rcpts, &out);
	if (rcpts.n == 0)
		sendmail_die(EX_USAGE, "no recipients");
	talk_open(path);
	talk_envelope(o, &from, &rcpts);
	do {
		more = sendmail_message_body(&out);
		talk_chunk(buf_get(&out), !more);
		buf_clear(&out);
	} while (more);
	talk_quit();
	buf_fini(&out);
	buf_fini(&text);
	mem_free(&rcpts.a);
	arena_reset(&arena);
	return EX_OK;
}

/* mailq of this installation: beside this program (in a build), or where it was installed. */
static NORETURN void
run_mailq(void)
{
	char exe[PATH_MAX], real[PATH_MAX] = "", *path;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	const char *conf = program_conf_file();
	char *slash;

	exe[n > 0 ? n : 0] = '\0';
	slash = strrchr(exe, '/');
	path = slash ? mem_printf("%.*s/mailq", (int)(slash - exe), exe) : mem_str("");
	/* Not a link of that name to this very program. */
	if (!realpath(path, real) || strcmp(real, exe) == 0) {
		mem_free(&path);
		path = mem_printf("%s/mailq", conf_path_bin);
	}
	if (conf)
		(void)execl(path, "mailq", "-c", conf, (char *)NULL);
	else
		(void)execl(path, "mailq", (char *)NULL);
	sendmail_die(EX_UNAVAILABLE, "%s: %s", path, strerror(errno));
}

/* Nothing has to be compiled, but smtp-relay must hear of it, and may have something to say. */
static int
newaliases(void)
{
	struct buf answer = { 0 };
	struct slice rest, line;
	char *why = NULL;
	int rc = daemon_ask(NULL, "smtp-relay", S("reload"), RELOAD_MS, &answer, &why);

	mem_free(&why);
	rest = buf_get(&answer);
	while (rc == 0 && slice_cut(&rest, '\n', &line))
		if (line.n && !slice_eq(line, S("ok")))
			fprintf(stderr, "newaliases: " SFMT "\n", SARG(line));
	if (rc == 0)
		rc = slice_ends(slice_trim(buf_get(&answer)), S("ok")) ? 0 : EX_DATAERR;
	else if (rc == -ENOENT || rc == -ECONNREFUSED) /* it reads them when it starts */
		rc = printf("newaliases: smtp-relay does not run\n") < 0 ? EX_IOERR : 0;
	else
		sendmail_die(rc == -EACCES ? EX_NOPERM : EX_UNAVAILABLE,
		    "newaliases: smtp-relay, which reads the aliases: %s", strerror(-rc));
	buf_fini(&answer);
	return rc;
}

static int
sendmail_run(int argc, char **argv)
{
	char *path = mem_printf("%s/submit.sock", shared.rundir);
	int code = EX_OK;

	switch (mode) {
	case 's': code = talk_through(path); break;
	case 'm': code = send_message(&options, path, argc, argv); break;
	case 'p': run_mailq();
	case 'i': code = newaliases(); break;
	default: sendmail_die(EX_USAGE, "-b%c is not known here", mode);
	}
	mem_free(&path);
	return code;
}

static const struct program sendmail_program = {
	.name = "sendmail",
	.kind = PROGRAM_TOOL,
	.about = "send mail from programs on this host",
	.operands =
	    "[-it] [-B body] [-b mode] [-C file] [-F name] [-f sender] [-N notify] [-R return] "
	    "[-V envid] [recipient ...]",
	.letters = "A:B:C:F:GL:N:O:R:UV:X:b:d:e:f:h:imno:p:q::r:tv",
	.help = "  -C FILE         the tiermail.conf to read\n"
		"  -f SENDER       the envelope sender\n"
		"  -i              a lone dot does not end the message\n"
		"  -t              recipients are in To, Cc and Bcc\n"
		"  -bp, -bs        list the queue; speak SMTP\n",
	.option = sendmail_option,
	.run = sendmail_run,
};

/* By the names that the old one had links under: mailq, newaliases. */
int
main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";

	if (strcmp(name, "mailq") == 0)
		mode = 'p';
	else if (strcmp(name, "newaliases") == 0)
		mode = 'i';
	return program_run(&sendmail_program, argc, argv);
}
