/* dirtool: asks the directory, for t/directory/lookup.t and for people.
 *
 * The server is named by the environment as scripts/sandbox's DIR/env gives it (LDAP_URL,
 * LDAP_BASE, LDAP_SERVICE_DN, LDAP_SERVICE_PASSWORD, DOMAIN).  Lines on standard input are
 * questions, all asked at once; each answer is one line that begins with the question's number:
 *	domain NAME | rcpt LOCAL@DOMAIN | login NAME | auth LOGIN PASSWORD
 *	authfrom ADDRESS LOGIN PASSWORD
 *	bench N OUTSTANDING PATTERN	N recipients PATTERN (printf, of 1..N) with CPU time
 *	benchexpand N OUTSTANDING PATTERN	the same through lib/expand: routing decisions
 *	benchauth N OUTSTANDING PATTERN PASSWORD
 *	modify DN FILTER|- add|delete|replace ATTR VALUE|- BEFORE|-	as LDAP_ADMIN_DN
 *	modifyro ...			the same as LDAP_SERVICE_DN, which may not
 *	set KEY VALUE (before `reload`)	reload		status */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "directory/directory.h"
#include "directory/modify.h"
#include "expand/expand.h"

static struct loop loop;
static struct watch input;
static struct buf pending;
static struct dir *dir;
static struct channels *channels;
static struct expand *expand;
static struct dir_writer *writer, *readonly;
static const struct addr from = { .len = sizeof(from.sa), .sa.sa_family = AF_UNIX };
static struct arena memory; /* settings and patterns */
static int number, asked;
static bool ended;

struct question {
	struct op op;
	int number;
	uint64_t started;
};

static void
maybe_leave(void)
{
	if (ended && asked == 0)
		loop_stop(&loop);
}

static void
answered(void *arg, const struct dir_answer *a)
{
	static const char *const statuses[] = { "active", "inactive", "disabled", "deleted", "hold",
		"overquota", "defer" };
	struct question *q = arg;

	printf("%d v=%d.%d.%d", q->number, (int)a->v.kind, a->v.subject, a->v.detail);
	if (a->domain)
		printf(" domain=" SFMT " dstatus=%s", SARG(a->domain->name),
		    statuses[a->domain->status]);
	if (a->user) {
		const struct dir_user *u = a->user;

		printf(" account=" SFMT " status=%s mailhost=" SFMT " alias=%d quota=%lld "
		       "delivery=%u addresses=%zu",
		    SARG(u->account), statuses[u->status], SARG(u->mailhost), a->alias,
		    (long long)u->quota_bytes, u->delivery, u->naddresses);
		if (u->nforward)
			printf(" forward=" SFMT, SARG(u->forward[0]));
	}
	printf(" us=%llu text=%s\n", (unsigned long long)(clock_mono_us() - q->started), a->v.text);
	fflush(stdout);
	mem_release(q);
	asked--;
	maybe_leave();
}

/* ---- speed ----------------------------------------------------------------------------- */

struct bench {
	int number;
	int n, next, over, bad;
	const char *pattern, *password;
	bool expand;
	uint64_t started_us, cpu_us;
	struct lane {
		struct bench *bench;
		struct op op;
	} lanes[64];
};
static struct bench bench;

static uint64_t
cpu_us(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000 +
	    (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void bench_next(struct lane *l);

static void
bench_over(struct lane *l, bool bad)
{
	struct bench *b = l->bench;

	b->bad += bad;
	if (++b->over < b->n) {
		bench_next(l);
		return;
	}
	printf("%d lookups=%d bad=%d cpu_us_each=%.2f per_second=%.0f\n", b->number, b->n, b->bad,
	    (double)(cpu_us() - b->cpu_us) / b->n,
	    b->n * 1e6 / (double)(clock_mono_us() - b->started_us));
	fflush(stdout);
	asked--;
	maybe_leave();
}

static void
bench_answered(void *arg, const struct dir_answer *a)
{
	bench_over(arg, a->v.kind != OK || !a->user);
}

static void
bench_expanded(void *arg, const struct expand_result *r)
{
	bench_over(arg, r->v.kind != OK || r->nlegs != 1);
}

static void
bench_expand(struct lane *l, struct slice local)
{
	const struct address to = { .local = local, .domain = slice_str(shared.default_domain) };
	struct expand_query q = { .address = &to, .source = "tcp_local", .sender = S("a@b.test") };

	expand_start(expand, &q, &l->op, bench_expanded, l);
}

static void
bench_next(struct lane *l)
{
	char text[64];
	int n, i = l->bench->next++;
	const char *at = strchr(l->bench->pattern, '%');

	if (i >= l->bench->n)
		return;
	n = at ? snprintf(text, sizeof(text), "%.*s%04d", (int)(at - l->bench->pattern),
		     l->bench->pattern, i + 1) :
		 snprintf(text, sizeof(text), "%s", l->bench->pattern);
	if (l->bench->expand)
		bench_expand(l, slice(text, (size_t)n));
	else if (l->bench->password)
		dir_auth_start(dir, slice(text, (size_t)n), slice_str(l->bench->password), &from,
		    &l->op, bench_answered, l);
	else
		dir_rcpt_start(dir, slice(text, (size_t)n), slice_str(shared.default_domain),
		    &l->op, bench_answered, l);
}

static void
bench_start(struct slice args, bool auth, bool expanding)
{
	struct slice n = S(""), out = S(""), pattern = S(""), password = S("");
	int lanes;

	slice_word(&args, &n);
	slice_word(&args, &out);
	slice_word(&args, &pattern);
	slice_word(&args, &password);
	bench = (struct bench){ .number = number,
		.n = atoi(n.p),
		.pattern = arena_cstr(&memory, pattern),
		.started_us = clock_mono_us(),
		.cpu_us = cpu_us() };
	bench.expand = expanding;
	bench.password = auth ? arena_cstr(&memory, password) : NULL;
	lanes = atoi(out.p);
	asked++;
	for (int i = 0; i < lanes && i < 64; i++) {
		bench.lanes[i].bench = &bench;
		bench_next(&bench.lanes[i]);
	}
}

/* ---- questions ------------------------------------------------------------------------- */

/* ---- changes --------------------------------------------------------------------------- */

static void
changed(void *arg, const struct dir_modified *m)
{
	static const char *const results[] = { "modified", "assertion", "no_entry", "denied",
		"away", "unknown" };
	struct question *q = arg;

	printf("%d result=%s", q->number, results[m->result]);
	for (size_t i = 0; i < m->nbefore; i++)
		printf(" before_" SFMT "=" SFMT, SARG(m->before[i].attribute),
		    SARG(m->before[i].value));
	printf(" text=%s\n", m->why);
	fflush(stdout);
	mem_release(q);
	asked--;
	maybe_leave();
}

static void
change(struct slice args, struct dir_writer *as)
{
	struct slice dn = S(""), filter = S(""), how = S(""), attr = S(""), value = S(""),
		     before = S("");
	struct question *q = mem_new(sizeof(*q));
	struct dir_modify m = { .nchanges = 1 };
	struct dir_change c = { .values = &value };
	const char *read[2] = { NULL, NULL };

	slice_word(&args, &dn);
	slice_word(&args, &filter);
	slice_word(&args, &how);
	slice_word(&args, &attr);
	slice_word(&args, &value);
	slice_word(&args, &before);
	q->number = number;
	asked++;
	c.how = slice_eq(how, S("add")) ? DIR_ADD :
	    slice_eq(how, S("delete"))  ? DIR_DELETE :
					  DIR_REPLACE;
	c.attribute = arena_cstr(&memory, attr);
	c.nvalues = !slice_eq(value, S("-"));
	m.dn = dn;
	m.changes = &c;
	m.assertion = slice_eq(filter, S("-")) ? NULL : arena_cstr(&memory, filter);
	read[0] = slice_eq(before, S("-")) ? NULL : arena_cstr(&memory, before);
	m.before = read;
	dir_modify_start(as, &m, &q->op, changed, q);
}

static void
setting(struct slice args)
{
	struct slice key = S(""), v = S("");
	int64_t *number_key = NULL;
	static const struct {
		const char *name;
		int64_t *at;
	} keys[] = {
		{ "timeout", &shared.ldap_timeout },
		{ "cache_age", &shared.ldap_cache_age },
		{ "negative_age", &shared.ldap_negative_age },
		{ "auth_age", &shared.ldap_auth_age },
		{ "cache_size", &shared.ldap_cache_size },
		{ "binders", &shared.ldap_binders },
	};

	slice_word(&args, &key);
	slice_word(&args, &v);
	if (slice_eq(key, S("urls"))) {
		size_t n = 0;

		shared.ldap_urls = arena_array(&memory, 8, sizeof(*shared.ldap_urls));
		do
			shared.ldap_urls[n++] = arena_cstr(&memory, v);
		while (n < 7 && slice_word(&args, &v));
		return;
	}
	if (slice_eq(key, S("starttls")))
		shared.ldap_starttls = slice_eq(v, S("yes"));
	if (slice_eq(key, S("ca")))
		shared.tls_ca = arena_cstr(&memory, v);
	for (size_t i = 0; i < NELEM(keys); i++)
		if (slice_eq(key, slice_str(keys[i].name)))
			number_key = keys[i].at;
	if (number_key)
		*number_key = atoll(v.p);
}

static void
ask(struct slice line)
{
	struct slice verb = S(""), name = S("");
	struct question *q;
	size_t at;

	number++;
	slice_word(&line, &verb);
	if (slice_eq(verb, S("set"))) {
		setting(line);
		return;
	}
	if (slice_eq(verb, S("reload"))) {
		dir_reload(dir);
		return;
	}
	if (slice_eq(verb, S("status"))) {
		struct buf b = { 0 };

		dir_status(dir, &b);
		printf("%d " SFMT "\n", number, SARG(buf_get(&b)));
		fflush(stdout);
		buf_fini(&b);
		return;
	}
	if (slice_starts(verb, S("modify"))) {
		change(line, verb.n > 6 ? readonly : writer);
		return;
	}
	if (slice_starts(verb, S("bench"))) {
		bench_start(line, slice_eq(verb, S("benchauth")), slice_eq(verb, S("benchexpand")));
		return;
	}
	slice_word(&line, &name);
	q = mem_new(sizeof(*q));
	q->number = number;
	q->started = clock_mono_us();
	asked++;
	at = slice_rfind(name, '@');
	if (slice_eq(verb, S("domain")))
		dir_domain_start(dir, name, &q->op, answered, q);
	else if (slice_eq(verb, S("rcpt")))
		dir_rcpt_start(dir, slice_sub(name, 0, at), slice_from(name, at + 1), &q->op,
		    answered, q);
	else if (slice_eq(verb, S("login")))
		dir_login_start(dir, name, &q->op, answered, q);
	else if (slice_eq(verb, S("authfrom"))) {
		struct addr client;
		struct slice login = S("");

		slice_word(&line, &login);
		if (addr_parse(name, &client) == 0)
			dir_auth_start(dir, login, slice_trim(line), &client, &q->op, answered, q);
	} else
		dir_auth_start(dir, name, slice_trim(line), &from, &q->op, answered, q);
}

static void
on_input(struct watch *w UNUSED, bool r UNUSED, bool wr UNUSED, int error UNUSED)
{
	char *to = buf_reserve(&pending, 65536);
	ssize_t n = read(0, to, 65536);
	size_t nl;

	if (n <= 0) {
		ended = true;
		watch_want(&input, false, false);
		maybe_leave();
		return;
	}
	pending.n += (size_t)n;
	while ((nl = slice_find(buf_get(&pending), '\n')) < pending.n) {
		ask(slice_sub(buf_get(&pending), 0, nl));
		buf_cut(&pending, nl + 1);
	}
}

static char *
from_env(const char *name)
{
	const char *v = getenv(name);

	return arena_str(&memory, v ? v : "");
}

int
main(void)
{
	char *urls[] = { from_env("LDAP_URL"), NULL }, *why = NULL;
	struct expand_params params;

	log_init("dirtool", LOG_TO_STDERR, LOG_DEBUG);
	shared.ldap_urls = urls;
	shared.ldap_base = from_env("LDAP_BASE");
	shared.ldap_bind_dn = from_env("LDAP_SERVICE_DN");
	shared.ldap_password = from_env("LDAP_SERVICE_PASSWORD");
	shared.default_domain = from_env("DOMAIN");
	shared.tls_ca = from_env("CAFILE");
	shared.tls_protocols = 1;
	shared.dns_hosts = from_env("DNS_HOSTS");
	shared.dns_stubs = from_env("DNS_STUBS");
	shared.ldap_timeout = 5000;
	shared.ldap_binders = 4;
	shared.ldap_cache_size = 200000;
	shared.ldap_cache_age = 60000;
	shared.ldap_negative_age = 10000;
	shared.ldap_auth_age = 60000;
	shared.hostname = mem_str("mail.example.test");
	shared.postmaster = mem_str("");
	loop_init(&loop);
	dir = dir_new(&loop);
	if (channels_read("/nonexistent", &channels, &why) < 0)
		return 1;
	params = (struct expand_params){ channels, expand_directory(dir) };
	expand = expand_new(&loop, &params);
	writer = dir_writer_new(dir, from_env("LDAP_ADMIN_DN"), from_env("LDAP_ADMIN_PASSWORD"));
	readonly = dir_writer_new(dir, shared.ldap_bind_dn, shared.ldap_password);
	if (watch_init(&input, &loop, 0, on_input) < 0)
		return 1;
	watch_want(&input, true, false);
	loop_run(&loop);
	watch_close(&input, NULL);
	dir_writer_free(&writer);
	dir_writer_free(&readonly);
	expand_free(&expand);
	dir_free(&dir);
	channels_free(&channels);
	mem_free(&shared.hostname);
	mem_free(&shared.postmaster);
	loop_fini(&loop);
	buf_fini(&pending);
	arena_reset(&memory);
	return 0;
}
