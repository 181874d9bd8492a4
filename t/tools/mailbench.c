/* mailbench: the load generator of `make bench`.
 *
 *	mailbench WORKLOAD key=value ...
 * prints one line of key=value figures.  Workloads: e2e (SMTP in until readable by IMAP), relay
 * (SMTP in until all has come out again by SMTP, at port `sink`), lmtp, login, idle, fill, append,
 * read, pop3 (sessions: login, STAT, UIDL, `retr` messages, `dele` of them, QUIT).  Keys: host smtp lmtp
 * imap pop3 sink (ports) tls domain user (a printf pattern with %d) password conns msgs size rcpts
 * users secs n reps op pids retr dele. */
#include <math.h>
#include <signal.h>
#include <strings.h>
#include <sys/resource.h>
#include "fiber.h"

/* ---- parameters and figures ------------------------------------------------------------- */

static int nargs;
static char **args;

static const char *
arg(const char *key, const char *dflt)
{
	size_t n = strlen(key);

	for (int i = 0; i < nargs; i++)
		if (strncmp(args[i], key, n) == 0 && args[i][n] == '=')
			return args[i] + n + 1;
	return dflt;
}

static long
num(const char *key, long dflt)
{
	const char *v = arg(key, NULL);

	return v ? strtol(v, NULL, 10) : dflt;
}

static const char *host, *domain, *pattern, *password;
static long conns, msgs, size, rcpts, users;
static uint64_t stop_at;
static long next_msg, done_msgs, errors;
static char first_error[160];

__attribute__((format(printf, 1, 2))) static void
error(const char *fmt, ...)
{
	va_list ap;

	if (errors++)
		return;
	va_start(ap, fmt);
	vsnprintf(first_error, sizeof(first_error), fmt, ap);
	va_end(ap);
}

static uint32_t *samples; /* microseconds */
static size_t nsamples, samples_room;

static void
sample(uint64_t us)
{
	if (nsamples == samples_room) {
		samples_room = samples_room ? samples_room * 2 : 4096;
		samples = realloc(samples, samples_room * sizeof(*samples));
	}
	samples[nsamples++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
report(const char *what, double count, uint64_t us)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	printf("count=%.0f seconds=%.4f %s_per_s=%.1f generator_cpu_s=%.3f errors=%ld", count,
	    (double)us / 1e6, what, count / ((double)us / 1e6),
	    (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
		(double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6,
	    errors);
	if (nsamples > 0) {
		qsort(samples, nsamples, sizeof(*samples), by_value);
		printf(" p50_ms=%.3f p99_ms=%.3f", samples[nsamples / 2] / 1e3,
		    samples[nsamples * 99 / 100] / 1e3);
	}
	printf("\n");
	if (errors)
		fprintf(stderr, "mailbench: %ld errors, the first: %s\n", errors, first_error);
	fflush(stdout);
}

static void
user_name(long i, char *b, size_t n)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(b, n, pattern, (int)(i % users) + 1);
#pragma GCC diagnostic pop
}

/* A message of about `want` octets with CRLF line ends and no line that begins with a dot. */
static size_t
make_message(char *b, size_t room, size_t want, long id)
{
	static const char *const words[] = { "meeting", "report", "invoice", "server", "please",
		"find", "attached", "quarterly", "figures", "regards", "project", "budget",
		"release", "schedule", "order", "status", "question", "about", "storage" };
	static uint64_t run;
	size_t n;
	time_t t = 1577836800 + id * 1571;
	struct tm tm;
	char date[64];
	uint64_t x = (uint64_t)id * 2654435761u + 88172645463325252u;

	if (!run)
		run = now_us();
	gmtime_r(&t, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	n = (size_t)snprintf(b, room,
	    "From: Sender Number %ld <sender%ld@outside.test>\r\nTo: Somebody <user@%s>\r\n"
	    "Subject: %s %s %s %ld\r\nDate: %s\r\nMessage-ID: <%lx.%ld@outside.test>\r\n"
	    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
	    id % 500, id % 500, domain, words[id % 19], words[(id / 19) % 19], words[(id / 7) % 19],
	    id, date, (unsigned long)run, id);
	while (n + 90 < want) {
		size_t line = n;

		while (n - line < 68) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			const char *w = words[x % 19];
			size_t l = strlen(w);

			memcpy(b + n, w, l);
			n += l;
			b[n++] = ' ';
		}
		b[n++] = '\r';
		b[n++] = '\n';
	}
	memcpy(b + n, "end.\r\n", 6);
	return n + 6;
}

/* ---- SMTP and LMTP ------------------------------------------------------------------------ */

static bool lmtp;

static int
smtp_reply(struct fiber *f, bool *pipelining)
{
	for (;;) {
		char *l = net_line(f, NULL);

		if (!l || strlen(l) < 3)
			return -1;
		if (pipelining && strlen(l) > 4 && strncasecmp(l + 4, "PIPELINING", 10) == 0)
			*pipelining = true;
		if (l[3] != '-')
			return atoi(l);
	}
}

static bool
expect(struct fiber *f, int class, const char *what)
{
	int code = smtp_reply(f, NULL);

	if (code / 100 == class)
		return true;
	error("%s answered %d", what, code);
	return false;
}

static bool
send_one(struct fiber *f, char *message, long id, bool pipelining)
{
	char u[128];
	bool good = true;
	size_t n = make_message(message, (size_t)size + 1024, (size_t)size, id);

	net_printf(f, "MAIL FROM:<sender%ld@outside.test>\r\n", id % 500);
	if (!pipelining && (!net_flush(f) || !expect(f, 2, "MAIL")))
		return false;
	for (long r = 0; r < rcpts; r++) {
		user_name(id * rcpts + r, u, sizeof(u));
		net_printf(f, "RCPT TO:<%s@%s>\r\n", u, domain);
		if (!pipelining && (!net_flush(f) || !expect(f, 2, "RCPT")))
			return false;
	}
	net_printf(f, "DATA\r\n");
	if (!net_flush(f))
		return false;
	if (pipelining) {
		good = expect(f, 2, "MAIL");
		for (long r = 0; r < rcpts; r++)
			good = expect(f, 2, "RCPT") && good;
	}
	if (!expect(f, 3, "DATA") || !good)
		return false;
	net_add(f, message, n);
	net_add(f, ".\r\n", 3);
	if (!net_flush(f))
		return false;
	for (long r = 0; r < (lmtp ? rcpts : 1); r++)
		good = expect(f, 2, "the final dot") && good;
	return good;
}

static void
sender(struct fiber *f)
{
	char *message = malloc((size_t)size + 1024);
	bool pipelining = false;

	if (!net_open(f, host, (int)num(lmtp ? "lmtp" : "smtp", 0), false) ||
	    !expect(f, 2, "greeting")) {
		error("no connection");
		free(message);
		return;
	}
	net_printf(f, "%s bench.test\r\n", lmtp ? "LHLO" : "EHLO");
	if (!net_flush(f) || smtp_reply(f, &pipelining) / 100 != 2)
		error("EHLO refused");
	while (next_msg < msgs && !f->broken) {
		long id = next_msg++;
		uint64_t t = now_us();

		if (!send_one(f, message, id, pipelining)) {
			error("connection lost");
			break;
		}
		sample(now_us() - t);
		done_msgs++;
	}
	net_printf(f, "QUIT\r\n");
	net_flush(f);
	free(message);
}

/* ---- IMAP --------------------------------------------------------------------------------- */

struct answer {
	bool good;
	long exists; /* of SELECT, or MESSAGES of STATUS */
	uint64_t us, octets;
	char text[120];
};

/* Reads up to the tagged reply; literals are skipped unseen. */
static void
imap_answer(struct fiber *f, const char *tag, struct answer *a)
{
	size_t n, tn = strlen(tag);
	char *l, *p;

	while ((l = net_line(f, &n))) {
		a->octets += n + 2;
		if (n > 0 && l[n - 1] == '}' && (p = strrchr(l, '{'))) {
			size_t lit = strtoul(p + 1, NULL, 10);

			a->octets += lit;
			if (!net_skip(f, lit))
				return;
			continue;
		}
		if (l[0] == '*') {
			long v = strtol(l + 1, &p, 10);

			if (strcmp(p, " EXISTS") == 0)
				a->exists = v;
			else if (strncmp(l, "* STATUS", 8) == 0 && (p = strstr(l, "MESSAGES ")))
				a->exists = atol(p + 9);
		} else if (strncmp(l, tag, tn) == 0 && l[tn] == ' ') {
			a->good = strncmp(l + tn + 1, "OK", 2) == 0;
			snprintf(a->text, sizeof(a->text), "%s", l);
			return;
		}
	}
	snprintf(a->text, sizeof(a->text), "connection lost");
}

__attribute__((format(printf, 3, 4))) static bool
imap_command(struct fiber *f, struct answer *a, const char *fmt, ...)
{
	char b[512], tag[24];
	static unsigned n;
	va_list ap;
	uint64_t t = now_us();

	va_start(ap, fmt);
	vsnprintf(b, sizeof(b), fmt, ap);
	va_end(ap);
	memset(a, 0, sizeof(*a));
	snprintf(tag, sizeof(tag), "a%u", ++n);
	net_printf(f, "%s %s\r\n", tag, b);
	if (net_flush(f))
		imap_answer(f, tag, a);
	a->us = now_us() - t;
	return a->good;
}

static bool
imap_login(struct fiber *f, long user)
{
	struct answer a;
	char u[128];
	char *l;

	if (!net_open(f, host, (int)num("imap", 0), num("tls", 0)) || !(l = net_line(f, NULL)) ||
	    strncmp(l, "* OK", 4) != 0) {
		error("no IMAP greeting");
		return false;
	}
	user_name(user, u, sizeof(u));
	if (!imap_command(f, &a, "LOGIN %s %s", u, password)) {
		error("login of %s: %s", u, a.text);
		return false;
	}
	return true;
}

/* -- e2e: the watchers count what is in the mailboxes; the senders start when all are there */
static long watchers, watching, delivered, baseline;
static uint64_t t_start, t_readable;

static void
watcher(struct fiber *f)
{
	struct answer a;
	long had, have;

	if (!imap_login(f, f->id) || !imap_command(f, &a, "SELECT INBOX")) {
		watchers--;
		return;
	}
	had = have = a.exists;
	baseline += had;
	if (++watching == watchers) {
		t_start = now_us();
		for (int i = 0; i < conns; i++)
			fiber_start(sender, i);
	}
	/* One NOOP every 10 ms per mailbox, only after everything has been sent, so that
	 * looking does not load the server that is measured. */
	while (delivered < msgs && now_us() < stop_at) {
		fiber_sleep(f, 10000);
		if (done_msgs + errors < msgs)
			continue;
		memset(&a, 0, sizeof(a));
		net_printf(f, "n NOOP\r\n");
		if (!net_flush(f))
			break;
		imap_answer(f, "n", &a);
		if (a.exists > have) {
			delivered += a.exists - have;
			have = a.exists;
			t_readable = now_us();
		}
	}
	imap_command(f, &a, "LOGOUT");
}

static void
run_e2e(void)
{
	watchers = users < msgs ? users : msgs;
	for (long i = 0; i < watchers; i++)
		fiber_start(watcher, (int)i);
	fiber_run();
	printf("sent=%ld readable=%ld ", done_msgs, delivered);
	report("messages", (double)delivered, t_readable - t_start);
}

static void
run_lmtp(void)
{
	uint64_t t = now_us();

	lmtp = true;
	for (int i = 0; i < conns; i++)
		fiber_start(sender, i);
	fiber_run();
	report("deliveries", (double)(done_msgs * rcpts), now_us() - t);
}

/* -- relay: the next hop is here; whoever sees the last message ends the program */

static long relayed;
static uint64_t relay_began;

__attribute__((noreturn)) static void
relay_over(void)
{
	if (relayed < msgs)
		error("%ld of %ld came out", relayed, msgs);
	printf("sent=%ld relayed=%ld ", done_msgs, relayed);
	report("messages", (double)relayed, now_us() - relay_began);
	exit(errors != 0);
}

static void
relay_timeout(struct fiber *f)
{
	fiber_sleep(f, stop_at - now_us());
	relay_over();
}

/* The text up to the dot. */
static bool
sink_data(struct fiber *f)
{
	char *l;

	net_printf(f, "354 go on\r\n");
	if (!net_flush(f))
		return false;
	while ((l = net_line(f, NULL)))
		if (strcmp(l, ".") == 0)
			return true;
	return false;
}

/* Answers are gathered as long as commands are there. */
static void
sink_client(struct fiber *f)
{
	char *l;

	net_take(f, f->id);
	net_printf(f, "220 sink.test ESMTP\r\n");
	while (f->in_at < f->in_end || net_flush(f)) {
		bool over = false;

		if (!(l = net_line(f, NULL)))
			break;
		if (strncasecmp(l, "QUIT", 4) == 0)
			break;
		if (strncasecmp(l, "EHLO", 4) == 0)
			net_printf(f, "250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
		else if (strncasecmp(l, "DATA", 4) != 0)
			net_printf(f, "250 2.0.0 well\r\n");
		else if (!sink_data(f))
			break;
		else {
			net_printf(f, "250 2.0.0 taken\r\n");
			over = ++relayed >= msgs;
		}
		if (over && net_flush(f)) {
			fiber_sleep(f, 20000); /* the client notes it: that is part of the work */
			relay_over();
		}
	}
}

static void
sink_listener(struct fiber *f)
{
	int fd;

	net_listen(f, host, (int)num("sink", 0));
	for (;;) {
		while ((fd = accept4(f->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
			fiber_start(sink_client, fd);
		fiber_wait(f);
	}
}

static void
run_relay(void)
{
	relay_began = now_us();
	fiber_start(sink_listener, 0);
	fiber_start(relay_timeout, 0);
	for (int i = 0; i < conns; i++)
		fiber_start(sender, i);
	fiber_run();
}

static void
login_client(struct fiber *f)
{
	struct answer a;

	for (long i = f->id; now_us() < stop_at; i += conns) {
		uint64_t t = now_us();

		if (!imap_login(f, i))
			break;
		sample(now_us() - t);
		done_msgs++;
		imap_command(f, &a, "LOGOUT");
		net_close(f);
	}
}

static void
run_login(void)
{
	uint64_t t = now_us();

	stop_at = t + (uint64_t)num("secs", 3) * 1000000;
	for (int i = 0; i < conns; i++)
		fiber_start(login_client, i);
	fiber_run();
	report("logins", (double)done_msgs, now_us() - t);
}

/* -- pop3: whole sessions, one command after the other as most clients do */
static bool
pop3_ok(struct fiber *f)
{
	char *l = net_line(f, NULL);

	if (l && strncmp(l, "+OK", 3) == 0)
		return true;
	error("POP3: %s", l ? l : "connection lost");
	return false;
}

/* A command and its +OK, and with `many` the lines behind it; how many, -1: it failed. */
__attribute__((format(printf, 3, 4))) static long
pop3_command(struct fiber *f, bool many, const char *fmt, ...)
{
	char b[512];
	va_list ap;
	long n = 0;
	size_t len;
	char *l;

	va_start(ap, fmt);
	vsnprintf(b, sizeof(b), fmt, ap);
	va_end(ap);
	net_printf(f, "%s\r\n", b);
	if (!net_flush(f) || !pop3_ok(f))
		return -1;
	while (many) {
		l = net_line(f, &len);
		if (!l) {
			error("POP3: %s broke off", b);
			return -1;
		}
		if (len == 1 && l[0] == '.')
			break;
		n++;
	}
	return n;
}

static bool
pop3_session(struct fiber *f, long user, long retr, long dele)
{
	char name[128];
	long there;

	user_name(user, name, sizeof(name));
	if (!net_open(f, host, (int)num("pop3", 0), num("tls", 0)) || !pop3_ok(f) ||
	    pop3_command(f, false, "USER %s", name) < 0 ||
	    pop3_command(f, false, "PASS %s", password) < 0 || pop3_command(f, false, "STAT") < 0 ||
	    (there = pop3_command(f, true, "UIDL")) < 0)
		return false;
	if (there < retr)
		error("POP3: %ld messages in the mailbox of %s", there, name);
	for (long i = 1; i <= retr; i++)
		if (pop3_command(f, true, "RETR %ld", i) < 0)
			return false;
	for (long i = 1; i <= dele; i++)
		if (pop3_command(f, false, "DELE %ld", i) < 0)
			return false;
	return pop3_command(f, false, "QUIT") >= 0;
}

/* Each fiber has users of its own, so that none meets another in a mailbox. */
static void
pop3_client(struct fiber *f)
{
	long retr = num("retr", 0), dele = num("dele", 0);

	for (long i = f->id; now_us() < stop_at; i = i + conns < users ? i + conns : f->id) {
		uint64_t t = now_us();

		if (!pop3_session(f, i, retr, dele))
			break;
		sample(now_us() - t);
		done_msgs++;
		net_close(f);
	}
}

static void
run_pop3(void)
{
	uint64_t t = now_us();

	stop_at = t + (uint64_t)num("secs", 3) * 1000000;
	for (int i = 0; i < conns; i++)
		fiber_start(pop3_client, i);
	fiber_run();
	report("sessions", (double)done_msgs, now_us() - t);
}

/* -- idle: opens `conns` sessions, prints `ready`, holds them until standard input ends */
static long opened, next_conn;

static void
idle_client(struct fiber *f)
{
	struct answer a;

	/* a bounded number at a time log in; every one that is ready starts the next */
	if (imap_login(f, f->id) && imap_command(f, &a, "SELECT INBOX")) {
		char *l;

		net_printf(f, "i IDLE\r\n");
		net_flush(f);
		while ((l = net_line(f, NULL)) && l[0] != '+')
			;
		net_forget(f);
		opened += !!l;
	}
	if (next_conn < conns)
		fiber_start(idle_client, (int)next_conn++);
	if (opened + errors >= conns) {
		char c;

		printf("ready=%ld errors=%ld\n", opened, errors);
		fflush(stdout);
		(void)!read(0, &c, 1);
		exit(0);
	}
	for (;;)
		fiber_wait(f);
}

static void
run_idle(void)
{
	for (; next_conn < 20 && next_conn < conns; next_conn++)
		fiber_start(idle_client, (int)next_conn);
	fiber_run();
}

/* -- fill: n messages into a folder of one user by pipelined APPEND (MULTIAPPEND if offered)
 * on `conns` connections */
static void
fill_client(struct fiber *f)
{
	struct answer a;
	char *message = malloc((size_t)size + 1024);
	const char *folder = arg("folder", "INBOX");
	long n = num("n", 1000), batch = num("batch", 100), user = num("first", 0);
	bool multi = false;
	char *l;

	if (!imap_login(f, user))
		die("%s", first_error);
	if (strcmp(folder, "INBOX") != 0)
		imap_command(f, &a, "CREATE %s", folder);
	net_printf(f, "c CAPABILITY\r\n");
	net_flush(f);
	while ((l = net_line(f, NULL)) && l[0] == '*')
		multi |= !!strstr(l, "MULTIAPPEND");
	while (next_msg < n) {
		long i = next_msg, k = n - i < batch ? n - i : batch;

		next_msg += k;
		for (long j = 0; j < k; j++) {
			size_t len =
			    make_message(message, (size_t)size + 1024, (size_t)size, i + j);

			if (!multi || j == 0)
				net_printf(f, "f%ld APPEND %s", j, folder);
			net_printf(f, " %s {%zu+}\r\n", (i + j) % 3 ? "(\\Seen)" : "()", len);
			net_add(f, message, len);
			if (!multi || j == k - 1)
				net_add(f, "\r\n", 2);
			if (!multi && !net_flush(f))
				break;
		}
		net_flush(f);
		for (long j = 0; j < (multi ? 1 : k); j++) {
			char tag[32];

			memset(&a, 0, sizeof(a));
			snprintf(tag, sizeof(tag), "f%ld", j);
			imap_answer(f, tag, &a);
			if (!a.good)
				die("APPEND: %s", a.text);
		}
		done_msgs += k;
	}
	imap_command(f, &a, "LOGOUT");
	free(message);
}

static void
run_fill(void)
{
	uint64_t t = now_us();

	for (int i = 0; i < conns; i++)
		fiber_start(fill_client, i);
	fiber_run();
	report("appends", (double)done_msgs, now_us() - t);
}

/* -- append: single messages by APPEND to the INBOX of each client's user, one answer at a time */
static void
append_client(struct fiber *f)
{
	char *message = malloc((size_t)size + 1024);
	struct answer a;

	if (!imap_login(f, f->id))
		die("%s", first_error);
	while (next_msg < msgs && !f->broken) {
		size_t n = make_message(message, (size_t)size + 1024, (size_t)size, next_msg++);
		uint64_t t = now_us();

		net_printf(f, "p APPEND INBOX {%zu+}\r\n", n);
		net_add(f, message, n);
		net_add(f, "\r\n", 2);
		memset(&a, 0, sizeof(a));
		if (net_flush(f))
			imap_answer(f, "p", &a);
		if (!a.good)
			error("APPEND: %s", a.text);
		sample(now_us() - t);
		done_msgs++;
	}
	imap_command(f, &a, "LOGOUT");
	free(message);
}

static void
run_append(void)
{
	uint64_t t = now_us();

	for (int i = 0; i < conns; i++)
		fiber_start(append_client, i);
	fiber_run();
	report("appends", (double)done_msgs, now_us() - t);
}

/* -- read: the time of one command (`op`) on one mailbox, min/median/max of `reps`, and the CPU time
 * that the processes `pids` have spent on it */

/* In microseconds, with threads that have ended; of how many processes. */
static uint64_t
cpu_us(long *there)
{
	char *pids = strdup(arg("pids", "")), *save = NULL;
	uint64_t us = 0;

	*there = 0;
	for (char *p = strtok_r(pids, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		struct timespec t;
		clockid_t clock;

		if (clock_getcpuclockid((pid_t)strtol(p, NULL, 10), &clock) == 0 &&
		    clock_gettime(clock, &t) == 0) {
			us += (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
			++*there;
		}
	}
	free(pids);
	return us;
}

/* $ is the folder, # its number of messages, % that less 99.  `before` each time, not timed: commands
 * with semicolons between them, of which one may fail. */
#define REMADE(box) "DELETE " box ";CREATE " box ";"
static const struct op {
	const char *name, *command, *before;
} ops[] = {
	{ "select", "SELECT $", "UNSELECT" },
	{ "flags", "FETCH 1:* (UID FLAGS)", NULL },
	{ "envelope", "FETCH 1:* (ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)", NULL },
	{ "headers", "FETCH %:* (BODY.PEEK[HEADER.FIELDS (FROM SUBJECT DATE)])", NULL },
	{ "search_unseen", "SEARCH UNSEEN", NULL },
	{ "search_subject", "SEARCH SUBJECT figures", NULL },
	{ "search_from", "SEARCH FROM sender77", NULL },
	{ "search_id", "SEARCH HEADER Message-ID nowhere.to.be@found", NULL },
	{ "search_since", "SEARCH SINCE 1-Jan-2000 BEFORE 2-Jan-2000", NULL },
	{ "search_sent", "SEARCH SENTSINCE 1-Mar-2021 SENTBEFORE 1-Apr-2021", NULL },
	{ "store_one", "STORE 77 +FLAGS (\\Flagged)", "STORE 77 -FLAGS (\\Flagged)" },
	{ "store_all", "STORE 1:* +FLAGS.SILENT (\\Flagged)",
	    "STORE 1:* -FLAGS.SILENT (\\Flagged)" },
	{ "copy", "COPY 1:10000 bench-copy", REMADE("bench-copy") "NOOP" },
	{ "move", "MOVE 1:* bench-to",
	    REMADE("bench-to") REMADE("bench-from") "COPY 1:10000 bench-from;SELECT bench-from" },
	{ "expunge", "EXPUNGE",
	    REMADE(
		"bench-from") "COPY 1:10000 bench-from;SELECT bench-from;STORE 1:* +FLAGS.SILENT "
			      "(\\Deleted)" },
};

static void
op_write(char *out, size_t room, const char *c, size_t len, const char *folder, long exists)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < len && n < room; i++) {
		char one[2] = { c[i], 0 };

		if (c[i] == '%')
			n += (size_t)snprintf(out + n, room - n, "%ld",
			    exists > 99 ? exists - 99 : 1);
		else
			n += (size_t)snprintf(out + n, room - n, "%s", c[i] == '$' ? folder : one);
	}
}

static void
op_prepare(struct fiber *f, const struct op *op, const char *folder, long exists)
{
	char c[300];
	struct answer a;

	/* What ends in another folder begins in this one again. */
	if (op->before && strstr(op->before, "SELECT ") &&
	    !imap_command(f, &a, "SELECT %s", folder))
		error("SELECT: %s", a.text);
	for (const char *p = op->before; p && *p;) {
		size_t n = strcspn(p, ";");

		op_write(c, sizeof(c), p, n, folder, exists);
		imap_command(f, &a, "%s", c);
		p += n + (p[n] == ';');
	}
}

static void
read_client(struct fiber *f)
{
	const char *folder = arg("folder", "INBOX"), *name = arg("op", "select");
	long reps = num("reps", 5), exists, counted = 0;
	const struct op *op = ops;
	uint64_t cpu = 0, octets = 0;
	struct answer a;

	while (op < ops + sizeof(ops) / sizeof(ops[0]) && strcmp(op->name, name) != 0)
		op++;
	if (op == ops + sizeof(ops) / sizeof(ops[0]))
		die("no op %s", name);
	if (!imap_login(f, num("first", 0)) || !imap_command(f, &a, "SELECT %s", folder))
		die("cannot select %s", folder);
	exists = a.exists;
	for (long r = 0; r <= reps; r++) {
		char c[300];
		uint64_t before, after;
		long first, left;

		op_prepare(f, op, folder, exists);
		op_write(c, sizeof(c), op->command, strlen(op->command), folder, exists);
		before = cpu_us(&first);
		if (!imap_command(f, &a, "%s", c))
			error("%s: %s", op->name, a.text);
		octets = a.octets;
		if (r > 0) { /* the first warms up */
			sample(a.us);
			after = cpu_us(&left);
			/* What one has used that has ended meanwhile cannot be asked for. */
			if (left == first) {
				cpu += after - before;
				counted++;
			}
		}
	}
	qsort(samples, nsamples, sizeof(*samples), by_value);
	printf("messages=%ld ms=%.3f/%.3f/%.3f cpu_ms=%.3f octets=%llu errors=%ld\n", exists,
	    samples[0] / 1e3, samples[nsamples / 2] / 1e3, samples[nsamples - 1] / 1e3,
	    counted ? (double)cpu / 1e3 / (double)counted : NAN, (unsigned long long)octets,
	    errors);
	if (errors)
		fprintf(stderr, "mailbench: %s\n", first_error);
	imap_command(f, &a, "LOGOUT");
}

static void
run_read(void)
{
	fiber_start(read_client, 0);
	fiber_run();
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} workloads[] = { { "e2e", run_e2e }, { "relay", run_relay }, { "lmtp", run_lmtp },
		{ "login", run_login }, { "idle", run_idle }, { "fill", run_fill },
		{ "append", run_append }, { "read", run_read }, { "pop3", run_pop3 } };
	struct rlimit files;

	args = argv;
	nargs = argc;
	host = arg("host", "127.0.0.1");
	domain = arg("domain", "example.test");
	pattern = arg("user", "user%04d");
	password = arg("password", "secret");
	conns = num("conns", 10);
	msgs = num("msgs", 1000);
	size = num("size", 4096);
	rcpts = num("rcpts", 1);
	users = num("users", 100);
	stop_at = now_us() + (uint64_t)num("timeout", 120) * 1000000;
	if (size < 600)
		size = 600;
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; argc > 1 && i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (strcmp(argv[1], workloads[i].name) == 0) {
			workloads[i].run();
			return errors != 0;
		}
	die("usage: mailbench e2e|relay|lmtp|login|idle|fill|append|read|pop3 key=value ...");
}
