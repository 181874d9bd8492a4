/* channel-master/sts.c: see sts.h.
 *
 *	sts_start -> _mta-sts.DOMAIN -> (the cache) -> https://mta-sts.DOMAIN/.well-known/mta-sts.txt -> done
 *
 * Owns a struct sts for each question, and a struct sts_fetch for each domain that is being fetched, for all who ask of it.
 * Everything of the domain's may fail, and then what was known before holds (RFC 8461 5.1).  Must stay true: nobody who
 * makes the DNS or the web fail takes a policy away that is not out of date, and a domain that cannot be
 * fetched is asked once in STS_AGAIN_S, whatever mail there is for it. */
#include "sts.h"

#include <errno.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "https.h"
#include "master.h"
#include "sts-cache.h"

#define STS_QUESTION 0x73747371
#define STS_AGAIN_S  300 /* RFC 8461 3.3: at least five minutes between attempts */
#define STS_FRESH_S                                                                                \
	86400 /* a policy older than this, or than half its age, is looked at again (RFC 8461 3.3) */
#define STS_FETCHES 50 /* at a time; beyond it what is only older waits */

struct sts {
	uint32_t magic;
	struct op *op;  /* the caller's */
	struct op wait; /* ours: the DNS */
	void (*done)(void *arg, const struct sts_answer *a);
	void *arg;
	char domain[256];
	char id[SMTP_STS_ID_MAX + 1]; /* of its record; "": there is none */
	struct sts_entry known;
	struct list link; /* of the fetch that it waits for */
	struct later later;
};

struct sts_fetch {
	struct list all, waiters;
	char domain[256], host[270];
	char id[SMTP_STS_ID_MAX + 1];
	struct https_ask ask;
	struct op op;
};
static struct list fetches = { &fetches, &fetches };
static size_t nfetches;

/* ---- the end ------------------------------------------------------------------------------- */

static void
sts_free(struct sts *s)
{
	op_cancel(&s->wait);
	later_cancel(&s->later);
	list_remove(&s->link);
	sts_entry_fini(&s->known);
	s->magic = 0;
	mem_free(&s);
}

static void
sts_cancel(struct op *op)
{
	sts_free(CAST(op->impl, struct sts, STS_QUESTION));
}

static void
sts_over(struct sts *s, const char *result, const char *why)
{
	struct sts_answer a = {
		.policy = sts_entry_good(&s->known, clock_now()) ? &s->known.policy : NULL,
		.result = result,
		.why = why,
	};

	op_done(s->op);
	s->done(s->arg, &a);
	sts_free(s);
}

static void
sts_on_later(struct later *l)
{
	sts_over(CONTAINER(l, struct sts, later), NULL, NULL);
}

/* ---- a fetch ------------------------------------------------------------------------------- */

/* What was fetched, or why not, into the cache; *result and *why of a failure. */
static void
sts_fetch_keep(struct sts_fetch *f, const struct https_answer *a, const char **result,
    const char **why)
{
	struct sts_entry e;
	struct smtp_sts policy = { 0 };

	*result = a->result;
	*why = a->why;
	if (a->code && (a->code != 200 || !a->plain)) {
		*result = "sts-policy-fetch-error";
		*why = a->code == 200 ? "it is not text/plain" : "it is not there";
	} else if (a->code && smtp_sts_parse(a->body, &policy, why) < 0) {
		*result = "sts-policy-invalid";
	} else if (a->code) {
		*result = *why = NULL;
	}
	sts_cache_read(f->domain, &e);
	if (*result) {
		e.failed = clock_now();
	} else {
		smtp_sts_fini(&e.policy);
		e = (struct sts_entry){ .fetched = clock_now(), .policy = policy };
		slice_cstr(slice_str(f->id), e.id, sizeof(e.id));
	}
	sts_cache_write(f->domain, &e);
	log_event(*result ? LOG_WARN : LOG_INFO, "sts",
	    "domain=%s id=%s mode=%s max_age=%u result=%s error=%s", log_str(f->domain), f->id,
	    e.policy.text ? smtp_sts_mode_word(e.policy.mode) : "unknown", e.policy.max_age,
	    *result ? *result : "none", log_str(*why));
	sts_entry_fini(&e);
}

static void
sts_fetched(void *arg, const struct https_answer *a)
{
	struct sts_fetch *f = arg;
	const char *result, *why;
	struct sts *s;

	sts_fetch_keep(f, a, &result, &why);
	list_remove(&f->all);
	nfetches--;
	while ((s = list_first(&f->waiters, struct sts, link))) {
		list_remove(&s->link);
		sts_entry_fini(&s->known);
		sts_cache_read(s->domain, &s->known);
		sts_over(s, result, why);
	}
	mem_free(&f);
}

static struct sts_fetch *
sts_fetch_find(const char *domain)
{
	struct sts_fetch *f;

	list_each(f, &fetches, struct sts_fetch, all) if (strcmp(f->domain, domain) == 0) return f;
	return NULL;
}

static struct sts_fetch *
sts_fetch_start(const struct sts *s)
{
	struct sts_fetch *f = mem_new(sizeof(*f));

	list_init(&f->waiters);
	list_push(&fetches, &f->all);
	nfetches++;
	memcpy(f->domain, s->domain, sizeof(f->domain));
	memcpy(f->id, s->id, sizeof(f->id));
	(void)snprintf(f->host, sizeof(f->host), "mta-sts.%s", f->domain);
	f->ask = (struct https_ask){ .host = f->host,
		.port = (int)mconf.sts_port,
		.target = "/.well-known/mta-sts.txt",
		.most = SMTP_STS_TEXT,
		.ms = (uint32_t)mconf.sts_timeout };
	https_start(&f->ask, &f->op, sts_fetched, f);
	return f;
}

/* ---- a question ---------------------------------------------------------------------------- */

/* Is it time to look whether the policy is still the same, though it holds?  So it never runs out for somebody who only
 * keeps the web or the DNS from us when it is due. */
static bool
sts_grows_old(const struct sts_entry *e, int64_t now)
{
	int64_t half = (int64_t)e->policy.max_age / 2, age = now - e->fetched;

	return age > (half < STS_FRESH_S ? half : STS_FRESH_S);
}

static void
sts_decide(struct sts *s)
{
	int64_t now = clock_now();
	bool good = sts_entry_good(&s->known, now);
	bool news = *s->id && (!good || strcmp(s->id, s->known.id) != 0);
	bool rests =
	    s->known.failed && now >= s->known.failed && now < s->known.failed + STS_AGAIN_S;
	struct sts_fetch *f = sts_fetch_find(s->domain);

	if (news && rests && !f) {
		sts_over(s, "sts-policy-fetch-error", "it could not be fetched a while ago");
		return;
	}
	if (!f && !rests &&
	    (news || (good && sts_grows_old(&s->known, now) && nfetches < STS_FETCHES)))
		f = sts_fetch_start(s);
	if (news && f)
		list_push(&f->waiters, &s->link);
	else
		sts_over(s, NULL, NULL);
}

/* One record of the kind, and a good one, or there is none (RFC 8461 3.1). */
static void
sts_recorded(void *arg, const struct dns_answer *a)
{
	struct sts *s = CAST(arg, struct sts, STS_QUESTION);
	size_t seen = 0;

	count_dns(a);
	for (size_t i = 0; i < a->ntxt; i++) {
		struct slice id;
		int rc = smtp_sts_record(a->txt[i], &id);

		seen += rc != -ENOENT;
		if (rc == 0)
			slice_cstr(id, s->id, sizeof(s->id));
		else if (rc == -EBADMSG)
			seen = SIZE_MAX / 2;
	}
	if (seen != 1)
		*s->id = '\0';
	sts_decide(s);
}

/* A name of a file, too. */
static bool
domain_take(const char *domain, char to[256])
{
	size_t n = strlen(domain);

	n -= n > 0 && domain[n - 1] == '.';
	if (n == 0 || n > 240 || domain[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = ascii_lower(domain[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_' &&
		    c != '.')
			return false;
		to[i] = c;
	}
	to[n] = '\0';
	return true;
}

void
sts_start(const char *domain, struct op *op, void (*done)(void *arg, const struct sts_answer *a),
    void *arg)
{
	struct sts *s = mem_new(sizeof(*s));
	char name[270];

	s->magic = STS_QUESTION;
	s->op = op;
	s->done = done;
	s->arg = arg;
	list_init(&s->link);
	later_init(&s->later);
	*op = (struct op){ .cancel = sts_cancel, .impl = s };
	if (!domain_take(domain, s->domain)) {
		later_run(&s->later, master.loop, sts_on_later);
		return;
	}
	sts_cache_read(s->domain, &s->known);
	(void)snprintf(name, sizeof(name), "_mta-sts.%s", s->domain);
	dns_txt_start(master.dns, name, &s->wait, sts_recorded, s);
}
