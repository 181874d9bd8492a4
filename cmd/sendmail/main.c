/* sendmail: what programs on a Unix host call to send mail: options and exit codes of the old
 * one, as far as programs use them; the mail goes to smtp-relay.  sendmail(1). */
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/mem.h"
#include "conf/shared.h"
#include "sendmail.h"

static struct arena arena;
static const char *conf_file;
static char mode = 'm'; /* -b */

void
die(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fputs("sendmail: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
	exit(code);
}

/* ---- configuration ------------------------------------------------------------------------- */

#define KEYS_MAX 64

/* tiermail.conf, without its secrets: they are in files that this user may not read.  A
 * configuration that cannot be read at all leaves the defaults. */
static struct conf_schema plain;
static const struct conf_schema *const schemas[] = { &plain };

static void
configure(void)
{
	static struct conf_key keys[KEYS_MAX];
	static char *secrets[KEYS_MAX];
	const char *path = conf_file ? conf_file : getenv("TIERMAIL_CONF");
	char *why = NULL;
	int r;

	plain = conf_shared_schema;
	for (size_t i = 0; i < plain.nkeys && i < KEYS_MAX; i++) {
		keys[i] = conf_shared_schema.keys[i];
		if (keys[i].type == CONF_SECRET) {
			keys[i].type = CONF_STR;
			keys[i].field = &secrets[i];
		}
	}
	plain.keys = keys;
	if (path == NULL)
		path = "/etc/tiermail/tiermail.conf";
	r = conf_read(schemas, 1, access(path, R_OK) == 0 ? path : NULL, NULL, false, &why);
	if (r < 0)
		die(EX_CONFIG, "%s", why);
	if (conf_file && access(path, R_OK) < 0)
		die(EX_CONFIG, "%s: %s", path, strerror(errno));
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
rcpts_add(struct rcpts *r, struct slice text)
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
	if (o->sender == NULL && pw == NULL)
		die(EX_NOUSER, "who are you? use -f");
	if (!rcpts_add(&one, slice_str(o->sender ? o->sender : pw->pw_name)) || one.n != 1)
		die(EX_USAGE, "%s: bad sender address", o->sender ? o->sender : pw->pw_name);
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
	die(EX_USAGE, "-%c: bad value %s", option, arg);
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
		die(EX_USAGE, "-N: bad value %s", arg);
	return arg;
}

static void
option_o(struct options *o, const char *arg)
{
	/* -oi; the other -o of old (-oem, -odb, ...) say nothing to us. */
	if (arg[0] == 'i')
		o->ignore_dots = true;
}

static void
parse(struct options *o, int argc, char **argv)
{
	static const char *const bodies[] = { "7BIT", "8BITMIME", NULL };
	static const char *const rets[] = { "FULL", "HDRS", NULL };
	int c;

	opterr = 0;
	while ((c = getopt(argc, argv, "A:B:C:F:GL:N:O:R:UV:X:b:d:e:f:h:imno:p:q::r:tv")) != -1) {
		switch (c) {
		case 'B': o->body = one_of(optarg, bodies, 'B'); break;
		case 'C': conf_file = optarg; break;
		case 'F': o->name = optarg; break;
		case 'N': o->notify = notify_checked(optarg); break;
		case 'R':
			o->ret = one_of(
			    strcasecmp(optarg, "hdrs") == 0 ? "HDRS" : optarg, rets, 'R');
			break;
		case 'V': o->envid = optarg; break;
		case 'b': mode = optarg[0]; break;
		case 'f':
		case 'r': o->sender = optarg; break;
		case 'i': o->ignore_dots = true; break;
		case 'o': option_o(o, optarg); break;
		case 'q': exit(EX_OK); /* jobctl runs the queue by itself */
		case 't': o->from_header = true; break;
		case '?': die(EX_USAGE, "unknown option -%c, or its argument is missing", optopt);
		default: break; /* known to the old sendmail, without meaning here */
		}
	}
}

static int
send_message(const struct options *o, const char *path, int argc, char **argv)
{
	struct rcpts rcpts = { 0 };
	struct buf out = { 0 }, text = { 0 };
	struct address from;
	bool more;

	for (int i = 0; i < argc; i++)
		if (!rcpts_add(&rcpts, slice_str(argv[i])))
			die(EX_USAGE, "%s: bad address", argv[i]);
	sender(o, &from);
	address_write(&text, &from);
	message_header(o, buf_cstr(&text), &rcpts, &out);
	if (rcpts.n == 0)
		die(EX_USAGE, "no recipients");
	talk_open(path);
	talk_envelope(o, &from, &rcpts);
	do {
		more = message_body(&out);
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

int
main(int argc, char **argv)
{
	struct options o = { 0 };
	int code = EX_OK;
	char *path;

	parse(&o, argc, argv);
	configure();
	path = mem_printf("%s/submit.sock", shared.rundir);
	switch (mode) {
	case 's':
		code = talk_through(path);
		break;
	case 'm':
		code = send_message(&o, path, argc - optind, argv + optind);
		break;
	case 'p':
		(void)execlp("mailq", "mailq", (char *)NULL);
		die(EX_UNAVAILABLE, "mailq: %s", strerror(errno));
	case 'i': /* newaliases: there is no alias file */
		break;
	default:
		die(EX_USAGE, "-b%c is not known here", mode);
	}
	mem_free(&path);
	conf_free(schemas, 1);
	return code;
}
