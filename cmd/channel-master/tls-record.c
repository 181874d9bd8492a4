/* channel-master/tls-record.c: see tls-record.h.
 *
 * Owns the descriptor of the day's file.  Called by dial.c for each attempt.  Can fail: the disk; then a line is lost, it is
 * logged once for a day, and mail goes on.  Must stay true: what strangers make us write is bounded by TLS_RECORD_MOST a day,
 * and what stands in the file is whole lines: the first of a process begins with an empty one, so that a torn
 * line before it ends there. */
#include "tls-record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/civil.h"
#include "base/files.h"
#include "base/log.h"
#include "base/mem.h"
#include "smtp/tlsrpt.h"

#define DAY_S      86400
#define POLICIES   256 /* that this process remembers to have written, as a ring */
#define FOLDER     ".tlsrpt"
#define FOLDER_OK  0750
#define RECORD_MAY 0640

static int fd = -1;
static int64_t day = -1; /* of fd, or of the failure */
static bool silent;      /* the day's failure has been told */
static uint64_t said[POLICIES];
static size_t nsaid;

char *
tls_record_path(const char *name)
{
	return *name ? mem_printf("%s/" FOLDER "/%s", shared.queue, name) :
		       mem_printf("%s/" FOLDER, shared.queue);
}

bool
tls_record_wanted(void)
{
	return *shared.tlsrpt_organisation && *shared.tlsrpt_contact;
}

void
tls_record_day(char name[TLS_RECORD_DAY])
{
	struct civil c = civil_from_unix(clock_now());

	(void)snprintf(name, TLS_RECORD_DAY, "%04d-%02d-%02d", (int)c.year, c.month, c.day);
}

static void
record_failed(const char *why)
{
	if (!silent)
		log_event(LOG_WARN, "tlsrpt", "result=unwritten error=%s", log_str(why));
	silent = true;
}

/* The file of today.  False: there is none that can be written. */
static bool
record_open(void)
{
	int64_t today = clock_now() / DAY_S;
	char name[TLS_RECORD_DAY], *folder, *path;

	if (day == today)
		return fd >= 0;
	if (fd >= 0)
		(void)close(fd);
	day = today;
	silent = false;
	nsaid = 0;
	memset(said, 0, sizeof(said));
	tls_record_day(name);
	folder = tls_record_path("");
	path = tls_record_path(name);
	(void)mkdir(folder, FOLDER_OK);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, RECORD_MAY);
	if (fd < 0)
		record_failed(strerror(errno));
	mem_free(&folder);
	mem_free(&path);
	return fd >= 0;
}

static bool
record_said(uint64_t id)
{
	for (size_t i = 0; i < POLICIES; i++)
		if (said[i] == id)
			return true;
	return false;
}

/* RFC 8460 4.4: of a TLSA record, as in a zone: "3 1 1 0A1B...". */
static void
put_tlsa(struct buf *b, const struct tlsa_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct tlsa *t = &set->records[i];

		buf_printf(b, "%s%u %u %u ", i ? "\n" : "", t->usage, t->selector, t->matching);
		buf_hex(b, t->data.p, t->data.n);
	}
}

static void
take_policy(const struct tls_try *t, struct smtp_tlsrpt_try *r, struct buf *strings)
{
	switch (t->policy->source) {
	case POLICY_OF_DANE:
		r->type = SMTP_TLSRPT_TLSA;
		r->base = slice_str(t->policy->name);
		put_tlsa(strings, &t->policy->tlsa);
		break;
	case POLICY_OF_STS:
		r->type = SMTP_TLSRPT_STS;
		if (t->sts && t->sts->text)
			buf_add(strings, t->sts->text, t->sts->text_len);
		break;
	case POLICY_OF_CHANNEL: break;
	}
	if (strings->n)
		r->policy = smtp_tlsrpt_policy_id(r->type, buf_get(strings));
}

static void
record_write(const struct smtp_tlsrpt_try *r, struct slice strings)
{
	struct buf b = { 0 };
	struct stat st;
	ssize_t n;

	if (nsaid == 0) {
		buf_char(&b, '\n');
		nsaid = 1;
	}
	if (r->policy && !record_said(r->policy)) {
		said[nsaid++ % POLICIES] = r->policy;
		smtp_tlsrpt_write_policy(&b, r->policy, strings);
	}
	smtp_tlsrpt_write_try(&b, r);
	if (fstat(fd, &st) < 0 || st.st_size + (off_t)b.n > TLS_RECORD_MOST) {
		record_failed("the file of the day is full");
	} else if ((n = write(fd, b.p, b.n)) != (ssize_t)b.n) {
		record_failed(n < 0 ? strerror(errno) : "the disk is full");
		nsaid = 0; /* what is torn is to end */
		memset(said, 0, sizeof(said));
	}
	buf_fini(&b);
}

static bool
record_is_name(const char *host)
{
	struct addr a;

	return host && addr_parse(slice_str(host), &a) < 0;
}

void
tls_record(const struct tls_try *t)
{
	struct smtp_tlsrpt_try r = { .result = t->result, .why = slice_str(t->why) };
	char to[ADDR_TEXT], by[ADDR_TEXT], domain[256];
	struct buf strings = { 0 };

	if (!tls_record_wanted() || t->site->tls_optional || t->site->lmtp ||
	    !record_is_name(t->site->host) || !record_open())
		return;
	r.domain = slice_str(t->site->host);
	r.domain.n -= slice_ends(r.domain, S("."));
	slice_cstr(r.domain, domain, sizeof(domain));
	for (char *p = domain; *p; p++)
		*p = ascii_lower(*p);
	r.domain = r.base = slice_str(domain);
	take_policy(t, &r, &strings);
	r.mx = slice_str(t->host ? t->host : "");
	r.mx.n -= slice_ends(r.mx, S("."));
	if (t->to)
		r.to = slice_str(addr_host(t->to, to));
	if (t->by)
		r.by = slice_str(addr_host(t->by, by));
	record_write(&r, buf_get(&strings));
	buf_fini(&strings);
}
