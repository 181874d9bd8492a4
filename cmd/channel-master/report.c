/* channel-master/report.c: see report.h.
 *
 * Owns the day that is in hand and a struct report for each domain that is asked or told, REPORTS_MOST at a time.  Called by
 * main.c.  Can fail: the DNS, servers, our own relay; then the domain is left for the next run, which is within the hour, until
 * a day later.  Must stay true: a domain is told once, by the first of its places that takes the report (RFC 8460 3),
 * and a line in DAY.sent follows that at once, or nobody else is told; and what lies in the folder goes after KEPT_S. */
#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/civil.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/files.h"
#include "base/kv.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "https.h"
#include "smtp/tlsrpt.h"
#include "submit/submit.h"
#include "tls-record.h"
#include "web/gzip.h"

#define REPORT_MAGIC 0x74727074
#define REPORTS_MOST 8
#define DAY_S        86400
#define TRIED_S      86400       /* after its end: RFC 8460 5.5 */
#define KEPT_S       (7 * DAY_S) /* after its end */
#define DAYS_MOST    32          /* files of days in the folder that are looked at */
#define HTTPS_MS     60000
#define MAIL_MS      300000
#define ANSWER_MOST  65536
#define DAY_TEXT     11

struct report {
	uint32_t magic;
	struct list link;
	const struct smtp_tlsrpt_domain *domain;
	struct op op;
	char *rua[SMTP_TLSRPT_RUA_MAX];
	size_t nrua, at;
	char id[560], to[512];
	struct smtp_tlsrpt_url url;
	struct https_ask ask;
	struct submit_mail mail;
	struct buf gzip, text;
	bool waits; /* one of its places may take it later */
};

static struct {
	struct loop *loop;
	struct submit *submit;
	char days[DAYS_MOST][DAY_TEXT]; /* the oldest first */
	size_t ndays, day;
	int64_t begins;
	struct smtp_tlsrpt counted;
	struct map told; /* names of domains, heap */
	size_t at;       /* of the walk over `counted` */
	int sent;        /* DAY.sent */
	bool unwritten;  /* it takes no more: nobody else is told now */
	struct list reports;
	size_t n, left;
	struct later go;
} run = { .sent = -1, .reports = { &run.reports, &run.reports } };

static void reports_go(struct later *l);

/* ---- days ---------------------------------------------------------------------------------- */

bool
report_day(const char *text, int64_t *begins)
{
	struct civil c = { 0 };
	int y, m, d, n = 0;

	if (strlen(text) != DAY_TEXT - 1 || sscanf(text, "%4d-%2d-%2d%n", &y, &m, &d, &n) != 3 ||
	    n != DAY_TEXT - 1 || y < 1970 || m < 1 || m > 12 || d < 1 || d > civil_month_days(y, m))
		return false;
	c.year = y;
	c.month = m;
	c.day = d;
	*begins = civil_to_unix(&c);
	return true;
}

static FILE *
open_read(const char *day, const char *end)
{
	char name[32], *path;
	FILE *f;

	(void)snprintf(name, sizeof(name), "%s%s", day, end);
	path = tls_record_path(name);
	f = fopen(path, "re");
	mem_free(&path);
	return f;
}

/* 0 or -errno. */
MUSTCHECK
static int
day_count(const char *day, struct smtp_tlsrpt *to)
{
	FILE *f = open_read(day, "");
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (!f)
		return -errno;
	while ((n = getline(&line, &room, f)) > 0) {
		if (line[n - 1] == '\n')
			n--;
		if (n)
			smtp_tlsrpt_add(to, slice(line, (size_t)n));
	}
	free(line);
	n = ferror(f) ? -EIO : 0;
	(void)fclose(f);
	return (int)n;
}

/* Who has been told of the day, into *told unless that is NULL.  True: all have. */
static bool
day_told(const char *day, struct map *told)
{
	FILE *f = open_read(day, ".sent");
	char *line = NULL, name[256];
	size_t room = 0;
	ssize_t n;
	bool done = false;

	while (f && (n = getline(&line, &room, f)) > 0) {
		struct slice s = slice(line, (size_t)n);

		if (!slice_ends(s, S("\n")))
			break; /* torn */
		s.n--;
		done = done || slice_eq(s, S("done"));
		if (told && kv_cstr(kv_find(s, "domain"), name, sizeof(name)) == 0 &&
		    !map_get(told, slice_str(name))) {
			char *copy = mem_str(name);

			(void)map_put(told, slice_str(copy), copy);
		}
	}
	free(line);
	if (f)
		(void)fclose(f);
	return done;
}

static void
told_fini(struct map *told)
{
	size_t at = 0;
	char *name;

	while ((name = map_next(told, &at)))
		free(name);
	map_fini(told);
	*told = (struct map){ 0 };
}

/* What cannot be written down would be told again each hour. */
static void
sent_line(struct slice line)
{
	if (run.sent < 0 || run.unwritten || files_write(run.sent, line.p, line.n) == 0)
		return;
	log_event(LOG_WARN, "tlsrpt", "result=unwritten day=%s error=%s", run.days[run.day],
	    log_str(strerror(errno)));
	run.unwritten = true;
}

/* ---- one domain ---------------------------------------------------------------------------- */

static void report_next(struct report *r);

static void
report_over(struct report *r, const char *result, const char *to, const char *why)
{
	bool waits = strcmp(result, "waits") == 0;
	struct buf b = { 0 };

	log_event(waits ? LOG_WARN : LOG_INFO, "tlsrpt",
	    "day=%s domain=%s result=%s to=%s error=%s", run.days[run.day],
	    log_str(smtp_tlsrpt_name(r->domain)), result, log_str(to ? to : "none"),
	    log_str(why ? why : "none"));
	if (!waits) {
		buf_lit(&b, "told");
		kv_put(&b, "domain", slice_str(smtp_tlsrpt_name(r->domain)));
		kv_put(&b, "result", slice_str(result));
		buf_char(&b, '\n');
		sent_line(buf_get(&b));
		buf_fini(&b);
	}
	run.left += waits;
	run.n--;
	list_remove(&r->link);
	for (size_t i = 0; i < r->nrua; i++)
		mem_free(&r->rua[i]);
	buf_fini(&r->gzip);
	buf_fini(&r->text);
	r->magic = 0;
	mem_free(&r);
	later_run(&run.go, run.loop, reports_go);
}

/* This place has not taken it. */
static void
report_refused(struct report *r, bool waits, const char *why)
{
	log_event(LOG_INFO, "tlsrpt", "day=%s domain=%s result=refused to=%s error=%s",
	    run.days[run.day], log_str(smtp_tlsrpt_name(r->domain)), log_str(r->rua[r->at]),
	    log_str(why));
	r->waits = r->waits || waits;
	r->at++;
	report_next(r);
}

static void
report_posted(void *arg, const struct https_answer *a)
{
	struct report *r = CAST(arg, struct report, REPORT_MAGIC);
	char why[64];

	if (a->code / 100 == 2) {
		report_over(r, "posted", r->rua[r->at], NULL);
		return;
	}
	(void)snprintf(why, sizeof(why), "it answers %u", a->code);
	report_refused(r, a->code / 100 != 4, a->code ? why : a->why);
}

static void
report_mailed(void *arg, const struct verdict *v)
{
	struct report *r = CAST(arg, struct report, REPORT_MAGIC);

	if (v->kind == OK)
		report_over(r, "mailed", r->rua[r->at], NULL);
	else
		report_refused(r, v->kind == TEMP, v->text);
}

static const char *
submitter(void)
{
	return strrchr(shared.tlsrpt_contact, '@') + 1;
}

static void
report_by_mail(struct report *r)
{
	struct report_facts f = { .domain = smtp_tlsrpt_name(r->domain),
		.submitter = submitter(),
		.id = r->id,
		.to = r->to,
		.begins = run.begins };

	buf_clear(&r->text);
	report_mail(&r->text, &f, buf_get(&r->gzip));
	r->mail = (struct submit_mail){ .sender = slice_str(shared.tlsrpt_contact),
		.to = slice_str(r->to),
		.bytes = buf_get(&r->text),
		.fd = -1,
		.notify = SMTP_NOTIFY_NEVER };
	submit_start(run.submit, &r->mail, &r->op, report_mailed, r);
}

static void
report_by_https(struct report *r)
{
	r->ask = (struct https_ask){ .host = r->url.host,
		.port = r->url.port,
		.target = r->url.target,
		.type = "application/tlsrpt+gzip",
		.body = buf_get(&r->gzip),
		.most = ANSWER_MOST,
		.ms = HTTPS_MS };
	https_start(&r->ask, &r->op, report_posted, r);
}

/* To the place in hand, or the end. */
static void
report_next(struct report *r)
{
	for (; r->at < r->nrua; r->at++) {
		struct slice rua = slice_str(r->rua[r->at]);

		if (slice_istarts(rua, S("mailto:"))) {
			if (smtp_tlsrpt_mailto(rua, r->to, sizeof(r->to)) < 0)
				continue;
			report_by_mail(r);
			return;
		}
		if (smtp_tlsrpt_https(rua, &r->url) == 0) {
			report_by_https(r);
			return;
		}
	}
	report_over(r, r->waits ? "waits" : "nowhere", NULL, NULL);
}

/* The same each time, so that a place that has it twice can see that. */
static void
report_write(struct report *r)
{
	const char *domain = smtp_tlsrpt_name(r->domain);
	struct smtp_tlsrpt_about about = { .organization = shared.tlsrpt_organisation,
		.contact = shared.tlsrpt_contact,
		.id = r->id,
		.begins = run.begins };
	struct web_gzip *z = web_gzip_new();
	struct buf json = { 0 };

	/* With its name, as it stands: who takes reports of many domains must not find two alike. */
	(void)snprintf(r->id, sizeof(r->id), "%s.%s.%08x@%s", run.days[run.day], domain,
	    crc32c(0, shared.hostname, strlen(shared.hostname)), submitter());
	smtp_tlsrpt_write_json(&json, &run.counted, r->domain, &about);
	must(z);
	web_gzip_add(z, buf_get(&json), true, &r->gzip);
	web_gzip_free(&z);
	buf_fini(&json);
}

/* One record of the kind, or the domain does not ask for reports (RFC 8460 3). */
static void
report_recorded(void *arg, const struct dns_answer *a)
{
	struct report *r = CAST(arg, struct report, REPORT_MAGIC);
	struct slice rua[SMTP_TLSRPT_RUA_MAX], mine[SMTP_TLSRPT_RUA_MAX];
	size_t seen = 0, n = 0, got;

	if (a->status == -EAGAIN) {
		report_over(r, "waits", NULL, "the DNS does not answer");
		return;
	}
	for (size_t i = 0; i < a->ntxt; i++) {
		int rc = smtp_tlsrpt_record(a->txt[i], rua, &got);

		seen += rc != -ENOENT;
		if (rc == 0) {
			memcpy(mine, rua, sizeof(mine));
			n = got;
		}
	}
	if (seen != 1 || n == 0) {
		report_over(r, "unasked", NULL, seen ? "its record is wrong" : NULL);
		return;
	}
	for (size_t i = 0; i < n; i++)
		r->rua[r->nrua++] = mem_strn(mine[i].p, mine[i].n);
	report_write(r);
	report_next(r);
}

static void
report_begin(const struct smtp_tlsrpt_domain *d)
{
	struct report *r = mem_new(sizeof(*r));
	char name[280];

	r->magic = REPORT_MAGIC;
	r->domain = d;
	list_push(&run.reports, &r->link);
	run.n++;
	(void)snprintf(name, sizeof(name), "_smtp._tls.%s", smtp_tlsrpt_name(d));
	dns_txt_start(master.dns, name, &r->op, report_recorded, r);
}

/* ---- one day after the other --------------------------------------------------------------- */

static void
day_close(void)
{
	if (run.left == 0 && !run.unwritten)
		sent_line(S("done\n"));
	else
		log_event(LOG_WARN, "tlsrpt", "day=%s result=left domains=%zu", run.days[run.day],
		    run.left);
	if (run.sent >= 0)
		(void)close(run.sent);
	run.sent = -1;
	smtp_tlsrpt_fini(&run.counted);
	told_fini(&run.told);
	run.day++;
}

/* False: there is nothing of it to be sent. */
static bool
day_open(void)
{
	const char *day = run.days[run.day];
	char name[32], *path;
	int e;

	if (day_told(day, &run.told) || !report_day(day, &run.begins) ||
	    (e = day_count(day, &run.counted)) < 0)
		return false;
	if (run.counted.left)
		log_event(LOG_WARN, "tlsrpt", "day=%s result=uncounted lines=%llu", day,
		    (unsigned long long)run.counted.left);
	(void)snprintf(name, sizeof(name), "%s.sent", day);
	path = tls_record_path(name);
	run.sent = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (run.sent < 0)
		log_event(LOG_ERROR, "tlsrpt", "result=unwritten day=%s error=%s", day,
		    log_str(strerror(errno)));
	mem_free(&path);
	if (run.sent >= 0 && flock(run.sent, LOCK_EX | LOCK_NB) < 0) { /* another one is at it */
		(void)close(run.sent);
		run.sent = -1;
	}
	run.at = run.left = 0;
	run.unwritten = false;
	sent_line(S("\n")); /* what is torn ends here */
	return run.sent >= 0;
}

static void
day_skip(void)
{
	smtp_tlsrpt_fini(&run.counted);
	told_fini(&run.told);
	run.day++;
}

static void
reports_go(struct later *l UNUSED)
{
	const struct smtp_tlsrpt_domain *d;

	while (run.day < run.ndays) {
		if (run.sent < 0 && !day_open()) {
			day_skip();
			continue;
		}
		while (run.n < REPORTS_MOST && !run.unwritten &&
		    (d = smtp_tlsrpt_next(&run.counted, &run.at)))
			if (!map_get(&run.told, slice_str(smtp_tlsrpt_name(d))))
				report_begin(d);
		if (run.n)
			return;
		day_close();
	}
	submit_leave(run.submit);
	daemon_drained();
}

/* ---- which days ---------------------------------------------------------------------------- */

static int
day_order(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
reports_look(struct dirent *f, int64_t now)
{
	char day[DAY_TEXT] = "", *path;
	int64_t begins;

	slice_cstr(slice_str(f->d_name), day, sizeof(day));
	if (!report_day(day, &begins))
		return;
	if (now >= begins + DAY_S + KEPT_S) {
		path = tls_record_path(f->d_name);
		(void)unlink(path);
		mem_free(&path);
	} else if (strlen(f->d_name) == DAY_TEXT - 1 && now >= begins + DAY_S &&
	    now < begins + DAY_S + TRIED_S && run.ndays < DAYS_MOST) {
		memcpy(run.days[run.ndays++], day, sizeof(day));
	}
}

static void
reports_read(void)
{
	char *path = tls_record_path("");
	DIR *folder = opendir(path);
	struct dirent *f;

	while (folder && (f = readdir(folder)))
		reports_look(f, clock_now());
	if (folder)
		(void)closedir(folder);
	mem_free(&path);
	qsort(run.days, run.ndays, sizeof(run.days[0]), day_order);
}

void
tlsrpt_send(struct loop *l, const char *day)
{
	struct submit_params p = { .relay = "", .tls = SMTP_TLS_OFF, .time_ms = MAIL_MS };
	struct dns_params d = dns_params_shared();
	char *why = NULL;

	run.loop = l;
	later_init(&run.go);
	if (day)
		slice_cstr(slice_str(day), run.days[run.ndays++], DAY_TEXT);
	else if (tls_record_wanted())
		reports_read();
	run.submit = submit_new(l, &p);
	master.dns = dns_new(l, &d, &why);
	if (!master.dns) {
		log_event(LOG_ERROR, "dns", "error=%s", log_str(why));
		mem_free(&why);
		run.ndays = 0;
	}
	later_run(&run.go, l, reports_go);
}

/* ---- for who looks ------------------------------------------------------------------------- */

static int
domain_order(const void *a, const void *b)
{
	const struct smtp_tlsrpt_domain *const *x = a, *const *y = b;

	return strcmp(smtp_tlsrpt_name(*x), smtp_tlsrpt_name(*y));
}

static void
show_counts(const struct smtp_tlsrpt *r, struct buf *b)
{
	const struct smtp_tlsrpt_domain **all = mem_array(r->ndomains + 1, sizeof(*all)), *d;
	size_t at = 0, n = 0;

	while ((d = smtp_tlsrpt_next(r, &at)))
		all[n++] = d;
	qsort(all, n, sizeof(*all), domain_order);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "domain=%s good=%llu failed=%llu\n", smtp_tlsrpt_name(all[i]),
		    (unsigned long long)smtp_tlsrpt_count(all[i], false),
		    (unsigned long long)smtp_tlsrpt_count(all[i], true));
	mem_free(&all);
}

static void
show_report(const struct smtp_tlsrpt *r, const char *domain, int64_t begins, struct buf *b)
{
	struct smtp_tlsrpt_about about = { .organization = shared.tlsrpt_organisation,
		.contact = shared.tlsrpt_contact,
		.id = "none",
		.begins = begins };
	const struct smtp_tlsrpt_domain *d;
	size_t at = 0;

	while ((d = smtp_tlsrpt_next(r, &at))) {
		if (strcmp(domain, smtp_tlsrpt_name(d)) != 0)
			continue;
		smtp_tlsrpt_write_json(b, r, d, &about);
		buf_char(b, '\n');
	}
}

int
tlsrpt_show(const char *day, const char *domain)
{
	struct smtp_tlsrpt r = { 0 };
	struct buf b = { 0 };
	char now[TLS_RECORD_DAY];
	int64_t begins;
	int e;

	tls_record_day(now);
	day = day ? day : now;
	if (!report_day(day, &begins))
		return -EINVAL;
	if ((e = day_count(day, &r)) == 0) {
		if (domain)
			show_report(&r, domain, begins, &b);
		else
			show_counts(&r, &b);
		e = b.n ? 0 : -ENOENT;
	}
	if (b.n)
		(void)fwrite(b.p, 1, b.n, stdout);
	buf_fini(&b);
	smtp_tlsrpt_fini(&r);
	return e;
}
