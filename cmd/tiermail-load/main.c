/* tiermail-load: clients of a mail system in any number, what they have to wait for, and what was lost; see
 * tiermail-load(1).
 *
 *	tiermail-load [OPTION ...] PROFILE HOST[:PORT]
 *	tiermail-load size [KEY=VALUE ...]		size.c
 *
 * Owns the configuration of a run.  One loop, one thread: it measures servers of any make, so that it says nothing that
 * only ours understand.  The exit code tells whether all went well. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "conf/shared.h"
#include "daemon/program.h"
#include "load.h"

#define LOAD_USERS   1000000
#define LOAD_CLIENTS 20000

enum { LOAD_FAILED = 1 };

struct load_conf load = {
	.timeout_ms = 120000,
	.clients = 10,
	.size = 4096,
	.messages = 10,
	.reads = 3,
	.users = 1,
	.user = "",
	.sender = "",
	.wait_ms = 60000,
};
static const char *password_file, *ca, *imap;
static const char *tls_word = "off", *imap_tls_word;
static bool insecure;

static NORETURN void
load_die(int code, const char *what, const char *why)
{
	fprintf(stderr, "tiermail-load: %s: %s\n", what, why);
	exit(code);
}

/* ---- users ------------------------------------------------------------------------------------------------------ */

/* "%d" or "%04d" in the pattern: where it is, how long, how wide; false: there is none. */
static bool
load_user_place(const char *pattern, size_t *at, size_t *n, int *width)
{
	const char *p = strchr(pattern, '%');
	size_t digits = p ? strspn(p + 1, "0123456789") : 0;

	if (!p || digits > 2 || p[1 + digits] != 'd')
		return false;
	*at = (size_t)(p - pattern);
	*n = digits + 2;
	*width = atoi(p + 1);
	return true;
}

bool
load_user_good(const char *pattern)
{
	size_t at, n;
	int width;

	if (!load_user_place(pattern, &at, &n, &width))
		return load.users == 1 && !strchr(pattern, '%');
	return !strchr(pattern + at + n, '%');
}

void
load_user(struct buf *to, uint64_t number)
{
	size_t at, n;
	int width;

	if (!load_user_place(load.user, &at, &n, &width)) {
		buf_str(to, load.user);
		return;
	}
	buf_printf(to, "%.*s%0*llu%s", (int)at, load.user, width, (unsigned long long)number + 1,
	    load.user + at + n);
}

static uint64_t
load_user_of(uint64_t unit)
{
	return unit % load.users;
}

static void
load_over(const struct client *c, bool good)
{
	if (good && imap)
		mailboxes_accepted(c->unit);
}

/* ---- servers ------------------------------------------------------------------------------------------------------ */

/* "host", "host:port", "[v6]:port" */
static void
load_server(const char *word, int port, struct load_server *s)
{
	const struct addrinfo hint = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *all;
	struct slice host = slice_str(word), rest = host;
	char service[8];
	uint64_t n = (uint64_t)port;
	size_t colon = slice_rfind(host, ':');
	int rc;

	if (slice_starts(rest, S("["))) {
		host = slice_sub(rest, 1, slice_find(rest, ']') - 1);
		rest = slice_from(rest, host.n + 2);
		colon = slice_find(rest, ':');
	} else if (colon < host.n && slice_find(host, ':') == colon) {
		host = slice_sub(rest, 0, colon);
	} else {
		colon = rest.n;
	}
	if (colon < rest.n && (slice_u64(slice_from(rest, colon + 1), 65535, &n) < 0 || n == 0))
		load_die(EX_USAGE, word, "no port");
	(void)snprintf(service, sizeof(service), "%u", (unsigned)n);
	s->name = mem_strn(host.p, host.n);
	if ((rc = getaddrinfo(s->name, service, &hint, &all)) != 0)
		load_die(EX_NOHOST, s->name, gai_strerror(rc));
	for (const struct addrinfo *a = all; a; a = a->ai_next) {
		s->addrs = mem_grow(s->addrs, s->naddrs + 1, sizeof(*s->addrs));
		memset(&s->addrs[s->naddrs], 0, sizeof(*s->addrs));
		s->addrs[s->naddrs].len = a->ai_addrlen;
		memcpy(&s->addrs[s->naddrs++].ss, a->ai_addr, a->ai_addrlen);
	}
	freeaddrinfo(all);
}

static enum load_tls
load_tls_word(const char *word)
{
	if (strcmp(word, "off") == 0)
		return LOAD_PLAIN;
	if (strcmp(word, "starttls") == 0)
		return LOAD_STARTTLS;
	if (strcmp(word, "implicit") == 0)
		return LOAD_IMPLICIT;
	load_die(EX_USAGE, word, "tls is off, starttls or implicit");
}

static void
load_tls_open(void)
{
	const char *file = ca ? ca : shared.tls_ca && *shared.tls_ca ? shared.tls_ca : NULL;
	const struct tls_params p = { .ca = file, .verify = !insecure };
	char *why = NULL;

	if (load.tls == LOAD_PLAIN && load.imap_tls == LOAD_PLAIN)
		return;
	if (!(load.ctx = tls_client_new(&p, &why)))
		load_die(EX_NOINPUT, file ? file : "TLS", why ? why : "cannot be set up");
}

static void
load_password(void)
{
	char line[1024];
	FILE *f;

	if (!password_file)
		return;
	if (!(f = fopen(password_file, "re")))
		load_die(EX_NOINPUT, password_file, strerror(errno));
	if (!fgets(line, sizeof(line), f))
		load_die(EX_NOINPUT, password_file, "no line in it");
	(void)fclose(f);
	line[strcspn(line, "\r\n")] = '\0';
	load.password = mem_str(line);
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

static bool
load_number(const char *what, const char *value, uint64_t least, uint64_t most, uint64_t *n)
{
	if (slice_u64(slice_str(value), most, n) == 0 && *n >= least)
		return true;
	fprintf(stderr, "tiermail-load: %s %s: a number, %llu to %llu\n", what, value,
	    (unsigned long long)least, (unsigned long long)most);
	return false;
}

static bool
load_size(const char *what, const char *value, uint64_t least, uint64_t most, size_t *n)
{
	uint64_t v;

	if (!load_number(what, value, least, most, &v))
		return false;
	*n = (size_t)v;
	return true;
}

static bool
load_rate(const char *value)
{
	char *end;

	load.rate = strtod(value, &end);
	if (*end == '\0' && load.rate > 0 && load.rate <= 1e6)
		return true;
	fprintf(stderr, "tiermail-load: --rate %s: so many a second, up to 1000000\n", value);
	return false;
}

/* Words go into commands. */
static bool
load_word(const char *what, const char *value)
{
	for (const char *c = value; *c; c++) {
		if ((unsigned char)*c > ' ' && *c != 0x7f && *c != '<' && *c != '>')
			continue;
		fprintf(stderr, "tiermail-load: %s %s: one word\n", what, value);
		return false;
	}
	return true;
}

static bool
load_option(int letter, const char *value)
{
	uint64_t n;

	switch (letter) {
	case 'a': ca = value; break;
	case 'f': load.sender = value; return load_word("--from", value);
	case 'i': imap = value; break;
	case 'I': imap_tls_word = value; break;
	case 'j': load.json = true; break;
	case 'k': insecure = true; break;
	case 'm': return load_size("--messages", value, 1, 1000000, &load.messages);
	case 'n': return load_number("--count", value, 1, UINT32_MAX, &load.count);
	case 'N': return load_number("--users", value, 1, LOAD_USERS, &load.users);
	case 'p': return load_size("--clients", value, 1, LOAD_CLIENTS, &load.clients);
	case 'r': return load_rate(value);
	case 'R': return load_size("--reads", value, 0, 1000, &load.reads);
	case 's': return load_size("--size", value, 0, 100 << 20, &load.size);
	case 't': return load_number("--seconds", value, 1, 7 * 86400, &load.seconds);
	case 'T': tls_word = value; break;
	case 'u': load.user = value; return load_word("--user", value);
	case 'w': password_file = value; break;
	case 'W':
		if (!load_number("--wait", value, 0, 86400, &n))
			return false;
		load.wait_ms = n * 1000;
		break;
	default: return false;
	}
	return true;
}

/* What does not fit together. */
static void
load_check(void)
{
	if (!*load.user || !load_user_good(load.user))
		load_die(EX_USAGE, "--user",
		    "whose mailboxes: user%04d@example.org with --users, or one name");
	if (load.count && load.seconds)
		load_die(EX_USAGE, "--count and --seconds", "one of them");
	if (!load.count && !load.seconds)
		load.count = 100;
	if ((load.profile->logs_in || imap) && !load.password)
		load_die(EX_USAGE, "--password-file", "the users' password");
	if (imap && !load.profile->delivers)
		load_die(EX_USAGE, "--imap", "nothing arrives with this profile");
}

static void
load_take(char **argv)
{
	for (const struct profile *p = profiles; p->name; p++)
		if (strcmp(p->name, argv[0]) == 0)
			load.profile = p;
	if (!load.profile)
		load_die(EX_USAGE, argv[0], "a profile is smtp, submission, lmtp, imap or pop3");
	load.tls = load_tls_word(tls_word);
	load.imap_tls = load_tls_word(imap_tls_word ? imap_tls_word : tls_word);
	load_password();
	load_check();
	/* A relay is not logged in to. */
	load_server(argv[1],
	    load.tls == LOAD_IMPLICIT ? load.profile->tls_port : load.profile->port, &load.server);
	if (imap)
		load_server(imap, load.imap_tls == LOAD_IMPLICIT ? 993 : 143, &load.imap);
	load_tls_open();
}

/* ---- what came of it ------------------------------------------------------------------------------------------------ */

static void
load_print(const struct run *r, const struct arrivals *a, struct buf *out)
{
	double seconds = (double)(r->ended_us - r->began_us) / 1e6;

	buf_printf(out, "%s %s: %llu %ss in %.2f s, %.1f a second, %zu clients\n",
	    load.profile->name, load.server.name, (unsigned long long)r->good, load.profile->unit,
	    seconds, (double)r->good / seconds, load.clients);
	figures_print(out);
	buf_printf(out, "good %llu, refused %llu, broken %llu\n", (unsigned long long)r->good,
	    (unsigned long long)r->refused, (unsigned long long)r->broken);
	if (*r->first) /* a server's words */
		buf_printf(out, "the first: %s\n", log_str(r->first));
	if (a)
		buf_printf(out,
		    "%llu found in the mailboxes after %.1f s: %llu lost, %llu twice, %llu astray, "
		    "%llu mailboxes unseen\n",
		    (unsigned long long)a->found, (double)a->after_ms / 1000,
		    (unsigned long long)a->lost, (unsigned long long)a->twice,
		    (unsigned long long)a->astray, (unsigned long long)a->unseen);
}

static void
load_json(const struct run *r, const struct arrivals *a, struct buf *out)
{
	buf_lit(out, "{");
	json_put_cstr(out, "profile", load.profile->name);
	json_put_cstr(out, "host", load.server.name);
	json_put_cstr(out, "run", load.run);
	json_put_i64(out, "clients", (int64_t)load.clients);
	json_put_i64(out, "us", (int64_t)(r->ended_us - r->began_us));
	json_put_i64(out, "begun", (int64_t)r->begun);
	json_put_i64(out, "good", (int64_t)r->good);
	json_put_i64(out, "refused", (int64_t)r->refused);
	json_put_i64(out, "broken", (int64_t)r->broken);
	if (*r->first)
		json_put_cstr(out, "first", r->first);
	if (a) {
		json_put_i64(out, "found", (int64_t)a->found);
		json_put_i64(out, "lost", (int64_t)a->lost);
		json_put_i64(out, "twice", (int64_t)a->twice);
		json_put_i64(out, "astray", (int64_t)a->astray);
		json_put_i64(out, "unseen", (int64_t)a->unseen);
		json_put_i64(out, "after_ms", (int64_t)a->after_ms);
	}
	json_key(out, "steps");
	figures_json(out);
	buf_lit(out, "}\n");
}

/* A descriptor for each client. */
static void
load_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
	if (r.rlim_max != RLIM_INFINITY && r.rlim_max < load.clients + 64)
		load_die(EX_OSERR, "--clients",
		    "more than this process may have descriptors (ulimit -Hn)");
}

static int
load_run(int argc, char **argv)
{
	struct run r = { .user_of = load_user_of, .over = load_over };
	struct arrivals a = { .found = 0 };
	struct buf out = { 0 };

	if (argc != 2)
		return program_usage();
	load_take(argv);
	load_limits();
	random_id(load.run);
	r.profile = load.profile;
	r.server = &load.server;
	r.tls = load.tls;
	r.count = load.count;
	r.seconds = load.seconds;
	r.rate = load.rate;
	r.clients = load.clients;
	r.messages = load.messages;
	run_clients(&r);
	if (imap)
		mailboxes_look(&a);
	if (load.json)
		load_json(&r, imap ? &a : NULL, &out);
	else
		load_print(&r, imap ? &a : NULL, &out);
	(void)fwrite(out.p, 1, out.n, stdout);
	buf_fini(&out);
	tls_unref(&load.ctx);
	if (fflush(stdout) != 0)
		return EX_IOERR;
	if (r.good == 0)
		return EX_UNAVAILABLE;
	return r.refused || r.broken || a.lost || a.twice || a.astray || a.unseen ? LOAD_FAILED : 0;
}

static const struct option longs[] = {
	{ "ca", required_argument, NULL, 'a' },
	{ "clients", required_argument, NULL, 'p' },
	{ "count", required_argument, NULL, 'n' },
	{ "from", required_argument, NULL, 'f' },
	{ "imap", required_argument, NULL, 'i' },
	{ "imap-tls", required_argument, NULL, 'I' },
	{ "insecure", no_argument, NULL, 'k' },
	{ "json", no_argument, NULL, 'j' },
	{ "messages", required_argument, NULL, 'm' },
	{ "password-file", required_argument, NULL, 'w' },
	{ "rate", required_argument, NULL, 'r' },
	{ "reads", required_argument, NULL, 'R' },
	{ "seconds", required_argument, NULL, 't' },
	{ "size", required_argument, NULL, 's' },
	{ "tls", required_argument, NULL, 'T' },
	{ "user", required_argument, NULL, 'u' },
	{ "users", required_argument, NULL, 'N' },
	{ "wait", required_argument, NULL, 'W' },
	{ 0 },
};

static const struct program load_program = {
	.name = "tiermail-load",
	.kind = PROGRAM_TOOL,
	.about = "puts a load on mail servers, and measures what comes of it",
	.operands = "smtp|submission|lmtp|imap|pop3 host[:port]",
	.letters = "a:f:i:I:jkm:n:N:p:r:R:s:t:T:u:w:W:",
	.longs = longs,
	.help = "  -u, --user=PATTERN    mailboxes: user%04d@example.org with --users, or one\n"
		"  -N, --users=N         as many, from 1 (1)\n"
		"  -w, --password-file=FILE  their password\n"
		"  -n, --count=N         messages or sessions (100)\n"
		"  -t, --seconds=S       or as many as go into this\n"
		"  -p, --clients=N       at once (10)\n"
		"  -r, --rate=N          no more than these a second, and not later\n"
		"  -s, --size=N          octets of a message (4096)\n"
		"  -m, --messages=N      on one connection (10)\n"
		"  -f, --from=ADDRESS    the sender; submission: who is logged in\n"
		"  -R, --reads=N         messages that an imap session fetches (3)\n"
		"  -i, --imap=HOST[:PORT]  look there for what was accepted\n"
		"  -W, --wait=S          for so long (60)\n"
		"  -T, --tls=HOW         off|starttls|implicit (off)\n"
		"  -I, --imap-tls=HOW    for --imap, where it is another one\n"
		"  -a, --ca=FILE         who has signed the certificates (tls.ca)\n"
		"  -k, --insecure        whoever it was\n"
		"  -j, --json            one JSON object\n"
		"commands: size [KEY=VALUE ...]\n",
	.option = load_option,
	.run = load_run,
};

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "size") == 0)
		return program_run(&load_size_program, argc - 1, argv + 1);
	return program_run(&load_program, argc, argv);
}
