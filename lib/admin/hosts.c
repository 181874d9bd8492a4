/* hosts.c: `host list`, and questions to daemons of hosts: what runs there, and how it is.
 *
 * Called by the table of verbs and by queue.c.  Owns the resolver, made with the first question.  Can fail: a host
 * that does not answer is a line of the list, not the end of it.  Must stay true: only hosts of `hosts` are asked,
 * whatever name a request has; what is told is for who administers everything, which admin_whole asks the directory;
 * what the hosts let us do is what the roles of our certificate say (daemon/remote.h). */
#include <errno.h>
#include <stdlib.h>

#include "admin/admin-impl.h"
#include "admin/config.h"
#include "base/civil.h"
#include "base/kv.h"
#include "conf/shared.h"
#include "daemon/ask-start.h"
#include "daemon/remote.h"

#define HOSTS_ABREAST 48 /* questions at once */
#define HOSTS_MS      5000
#define HOSTS_MOST    ((size_t)8 << 20) /* octets of an answer */

static struct dns *hosts_dns;
static const char *hosts_of[4]; /* that it was made of */

void
admin_hosts_fini(void)
{
	if (hosts_dns)
		dns_free(&hosts_dns);
}

/* The resolver of the settings of now; NULL after saying why. */
static struct dns *
hosts_resolver(struct admin *a)
{
	struct dns_params p = dns_params_shared();
	const char *now[] = { shared.dns_resolvers, shared.dns_hosts, shared.dns_stubs,
		shared.dns_anchor };
	char *why = NULL;

	if (!hosts_dns)
		hosts_dns = dns_new(a->loop, &p, &why);
	else if (memcmp(now, hosts_of, sizeof(now)) != 0)
		(void)!dns_change(hosts_dns, &p, &why); /* else it stays as it was */
	memcpy(hosts_of, now, sizeof(now));
	if (!hosts_dns)
		(void)admin_fail(a, ADMIN_FAILED, "dns", "there is no resolver: %s",
		    why ? why : "");
	free(why);
	return hosts_dns;
}

const char *
admin_host(struct admin *a, struct slice name)
{
	for (char **h = admin_conf.hosts; h && *h; h++)
		if (slice_ieq(name, slice_str(*h)))
			return arena_cstr(&a->memory, slice_str(*h)); /* a reload replaces it */
	(void)admin_fail(a, ADMIN_NOT_FOUND, "no-host",
	    SFMT ": there is no such host in hosts of admind.conf", SARG(name));
	return NULL;
}

/* ---- asking ---------------------------------------------------------------------------------------- */

static void
hosts_answered(void *arg, int e, struct slice text, const char *why)
{
	struct admin_question *q = arg;

	q->e = e;
	q->text = slice_str(arena_cstr(&q->a->memory, text));
	q->why = arena_cstr(&q->a->memory, slice_str(why));
	if (e == 0 && slice_starts(q->text, S("error: "))) {
		q->e = -EACCES;
		q->why = arena_cstr(&q->a->memory, slice_trim(slice_from(q->text, 7)));
	}
	q->a->answers++;
	if (q->a->hears) /* one for each wait */
		fiber_wake(q->a->fiber);
	q->a->hears = false;
}

bool
admin_hosts_ask(struct admin *a, struct admin_question *q, size_t n)
{
	struct dns *dns = hosts_resolver(a);

	if (!dns)
		return false;
	a->answers = 0;
	for (size_t begun = 0; a->answers < n;) {
		while (begun < n && begun - a->answers < HOSTS_ABREAST) {
			struct admin_question *one = &q[begun++];

			one->a = a;
			daemon_ask_start(a->loop, dns, one->host, one->daemon, slice_str(one->line),
			    HOSTS_MS, HOSTS_MOST, &one->op, hosts_answered, one);
		}
		a->hears = true;
		fiber_wait();
	}
	return true;
}

/* ---- host list ------------------------------------------------------------------------------------- */

/* The sum of what a metric has for all its labels; false: it has nothing. */
static bool
hosts_metric(struct slice text, const char *name, uint64_t *sum)
{
	struct slice line, word;
	bool any = false;

	*sum = 0;
	while (slice_cut(&text, '\n', &line)) {
		struct slice of;
		uint64_t n;

		if (slice_starts(line, S("#")) || !slice_word(&line, &word))
			continue;
		of = slice_sub(word, 0, slice_find(word, '{'));
		if (!slice_eq(of, slice_str(name)) ||
		    slice_u64(slice_trim(line), INT64_MAX, &n) < 0)
			continue;
		*sum += n;
		any = true;
	}
	return any;
}

static void
hosts_certificate(struct admin_telling *t, struct slice metrics)
{
	struct civil c;
	uint64_t at;

	if (!hosts_metric(metrics, "tiermail_certificate_expires_timestamp_seconds", &at))
		return;
	c = civil_from_unix((int64_t)at);
	admin_tell_add(t, "certificate",
	    slice_str(arena_printf(&t->a->telling, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)c.year,
		c.month, c.day, c.hour, c.minute, c.second)));
}

static const struct {
	const char *name, *metric;
} hosts_numbers[] = {
	{ "memory", "tiermail_process_resident_bytes" },
	{ "connections", "tiermail_connections" },
	{ "restarts", "tiermail_worker_restarts_total" },
	{ "disk-free", "tiermail_stored_disk_free_bytes" },
	{ "disk-size", "tiermail_stored_disk_size_bytes" },
	{ "queue-free", "tiermail_smtp_queue_free_bytes" },
};

/* What a daemon has said of itself, in its first line, and its figures. */
static void
hosts_tell(struct admin *a, const struct admin_question *status,
    const struct admin_question *metrics)
{
	static const char *const words[] = { "version", "state" },
				 *const numbers[] = { "uptime", "workers" };
	struct admin_telling t = { .a = a };
	struct slice text = status->text, line = S("");
	uint64_t n;

	(void)slice_cut(&text, '\n', &line);
	line = slice_str(arena_printf(&a->telling, " " SFMT, SARG(line)));
	admin_tell_add(&t, "host", slice_str(status->host));
	admin_tell_add(&t, "daemon", slice_str(status->daemon));
	for (size_t i = 0; i < NELEM(words); i++)
		admin_tell_add(&t, words[i], kv_find(line, words[i]));
	for (size_t i = 0; i < NELEM(numbers); i++)
		if (slice_u64(kv_find(line, numbers[i]), INT64_MAX, &n) == 0)
			admin_tell_number(&t, numbers[i], n);
	if (metrics->e == 0) {
		hosts_certificate(&t, metrics->text);
		for (size_t i = 0; i < NELEM(hosts_numbers); i++)
			if (hosts_metric(metrics->text, hosts_numbers[i].metric, &n) &&
			    (n ||
				strcmp(hosts_numbers[i].name, "queue-free") !=
				    0)) /* 0 until smtp-relay looks, with the first message */
				admin_tell_number(&t, hosts_numbers[i].name, n);
	}
	admin_tell_end(&t, "host");
}

static void
hosts_tell_wrong(struct admin *a, const struct admin_question *q, const char *daemon)
{
	struct admin_telling t = { .a = a };

	admin_tell_add(&t, "host", slice_str(q->host));
	if (daemon)
		admin_tell_add(&t, "daemon", slice_str(daemon));
	admin_tell_add(&t, "error", slice_str(q->why));
	admin_tell_end(&t, "host");
}

/* `n` questions of one host, two a daemon.  Who refuses a connection is not there. */
static void
hosts_tell_host(struct admin *a, const struct admin_question *q, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i += 2)
		any = any || q[i].e == 0 || q[i].e == -EACCES;
	if (!any) {
		hosts_tell_wrong(a, &q[0], NULL);
		return;
	}
	for (size_t i = 0; i < n; i += 2) {
		if (q[i].e == 0)
			hosts_tell(a, &q[i], &q[i + 1]);
		else if (q[i].e != -ECONNREFUSED)
			hosts_tell_wrong(a, &q[i], q[i].daemon);
	}
}

bool
admin_host_list(struct admin *a)
{
	static const char *const lines[] = { "status", "metrics" };
	size_t each = 0, n = 0, nhosts = 0;
	struct admin_question *q;

	if (!admin_whole(a))
		return false;
	while (daemon_remote_names[each])
		each++;
	while (admin_conf.hosts && admin_conf.hosts[nhosts])
		nhosts++;
	q = arena_array(&a->memory, nhosts * each * 2 + 1, sizeof(*q));
	for (size_t h = 0; h < nhosts; h++) {
		const char *host = arena_cstr(&a->memory, slice_str(admin_conf.hosts[h]));

		for (size_t i = 0; i < each * 2; i++)
			q[n++] = (struct admin_question){ .host = host,
				.daemon = daemon_remote_names[i / 2],
				.line = lines[i % 2] };
	}
	if (!admin_hosts_ask(a, q, n))
		return false;
	for (size_t h = 0; h < nhosts; h++)
		hosts_tell_host(a, &q[h * each * 2], each * 2);
	return true;
}
