/* smtp/tlsrpt.c: see tlsrpt.h.
 *
 *	policy id=ID strings=...
 *	try domain=D type=T base=B policy=ID mx=H to=A by=A result=R why=...
 *
 * Owns what it has read of a day, in one arena.  Called by channel-master, which writes lines as it delivers and reads
 * them when the day is over.  Nothing fails: a line that was torn by a kill or a power cut is passed over and counted. Must
 * stay true: a domain costs at most SMTP_TLSRPT_POLICIES x (SMTP_TLSRPT_DETAILS + RESULTS) entries, so one that is tried a
 * million times a day costs no more than one that is tried some thousand times. */
#include "smtp/tlsrpt.h"

#include <openssl/evp.h>
#include <stdio.h>
#include "base/json.h"
#include "base/kv.h"
#include "base/must.h"

#define WHY_MOST 200 /* octets of words about a failure */

static const char *const types[] = { "no-policy-found", "sts", "tlsa" };
/* RFC 8460 4.3; what is none of these is the last. */
static const char *const results[] = { "starttls-not-supported", "certificate-host-mismatch",
	"certificate-expired", "certificate-not-trusted", "tlsa-invalid", "dnssec-invalid",
	"dane-required", "sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid",
	"validation-failure" };

struct detail {
	struct detail *next;
	const char *result; /* of `results` */
	struct slice mx, to, by, why;
	uint64_t n;
};
struct counted {
	struct counted *next;
	enum smtp_tlsrpt_type type;
	struct slice base;
	uint64_t id;
	uint64_t good, bad;
	struct detail *details;
	size_t ndetails;
};
struct smtp_tlsrpt_domain {
	const char *name;
	struct counted *policies;
	size_t npolicies;
	uint64_t good, bad;
};
struct said {
	uint64_t id;
	struct slice strings;
};

/* ---- writing lines ------------------------------------------------------------------------- */

/* The text is a stranger's, who might look for one with the sum of another's. */
uint64_t
smtp_tlsrpt_policy_id(enum smtp_tlsrpt_type type, struct slice strings)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	uint64_t id;

	must(EVP_Digest(strings.p, strings.n, sum, NULL, EVP_sha256(), NULL) == 1);
	memcpy(&id, sum, sizeof(id));
	id += (uint64_t)type;
	return id ? id : 1;
}

/* As many whole lines as there is room for. */
static struct slice
strings_cut(struct slice s)
{
	if (s.n <= SMTP_TLSRPT_STRINGS)
		return s;
	s.n = SMTP_TLSRPT_STRINGS;
	s.n = slice_rfind(s, '\n');
	return s;
}

void
smtp_tlsrpt_write_policy(struct buf *b, uint64_t id, struct slice strings)
{
	buf_lit(b, "policy");
	kv_put_u64(b, "id", id);
	kv_put(b, "strings", strings_cut(strings));
	buf_char(b, '\n');
}

static void
put_some(struct buf *b, const char *key, struct slice value, size_t most)
{
	if (value.n)
		kv_put(b, key, slice_sub(value, 0, most));
}

void
smtp_tlsrpt_write_try(struct buf *b, const struct smtp_tlsrpt_try *t)
{
	buf_lit(b, "try");
	put_some(b, "domain", t->domain, 255);
	kv_put(b, "type", slice_str(types[t->type]));
	put_some(b, "base", t->base, 255);
	if (t->policy)
		kv_put_u64(b, "policy", t->policy);
	if (t->result) { /* of what went well nobody asks more */
		put_some(b, "mx", t->mx, 255);
		put_some(b, "to", t->to, 64);
		put_some(b, "by", t->by, 64);
		put_some(b, "why", t->why, WHY_MOST);
	}
	kv_put(b, "result", t->result ? slice_str(t->result) : S("ok"));
	buf_char(b, '\n');
}

/* ---- reading them -------------------------------------------------------------------------- */

static const char *
tlsrpt_word(const char *const *words, size_t n, struct slice s)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(s, slice_str(words[i])))
			return words[i];
	return words[n - 1];
}

/* In *b, until the next call for it; empty when it is absent or badly escaped. */
static struct slice
value_of(struct slice line, const char *key, struct buf *b)
{
	struct slice v = kv_find(line, key);

	buf_clear(b);
	return v.p && kv_decode(b, v) == 0 ? buf_get(b) : (struct slice){ 0 };
}

static void
add_policy(struct smtp_tlsrpt *r, struct slice line)
{
	struct said *s;
	struct buf b = { 0 };
	uint64_t id;

	if (slice_u64(kv_find(line, "id"), UINT64_MAX, &id) == 0) {
		if (!map_get(&r->policies, slice((const char *)&id, sizeof(id)))) {
			s = arena_new(&r->arena, sizeof(*s));
			s->id = id;
			s->strings = arena_slice(&r->arena, value_of(line, "strings", &b));
			(void)map_put(&r->policies, slice((const char *)&s->id, sizeof(s->id)), s);
		}
	}
	buf_fini(&b);
}

static struct smtp_tlsrpt_domain *
domain_find(struct smtp_tlsrpt *r, struct slice name)
{
	struct smtp_tlsrpt_domain *d = map_get(&r->domains, name);

	if (d || name.n == 0 || r->ndomains == SMTP_TLSRPT_DOMAINS)
		return d;
	d = arena_new(&r->arena, sizeof(*d));
	d->name = arena_cstr(&r->arena, name);
	(void)map_put(&r->domains, slice_str(d->name), d);
	r->ndomains++;
	return d;
}

/* Of those that are beyond the bound, the first of the kind. */
static struct counted *
policy_find(struct smtp_tlsrpt *r, struct smtp_tlsrpt_domain *d, enum smtp_tlsrpt_type type,
    struct slice base, uint64_t id)
{
	struct counted **at, *like = NULL;

	for (at = &d->policies; *at; at = &(*at)->next) {
		if ((*at)->type != type)
			continue;
		if ((*at)->id == id && slice_eq((*at)->base, base))
			return *at;
		like = like ? like : *at;
	}
	if (d->npolicies == SMTP_TLSRPT_POLICIES)
		return like;
	*at = arena_new(&r->arena, sizeof(**at));
	(*at)->type = type;
	(*at)->id = id;
	(*at)->base = arena_slice(&r->arena, base);
	d->npolicies++;
	return *at;
}

static void
detail_count(struct smtp_tlsrpt *r, struct counted *p, struct detail like)
{
	struct detail **at;

	if (p->ndetails >= SMTP_TLSRPT_DETAILS)
		like.mx = like.to = like.by = like.why = S("");
	for (at = &p->details; *at; at = &(*at)->next) {
		struct detail *d = *at;

		if (d->result == like.result && slice_eq(d->mx, like.mx) &&
		    slice_eq(d->to, like.to) && slice_eq(d->by, like.by) &&
		    slice_eq(d->why, like.why)) {
			d->n++;
			return;
		}
	}
	*at = arena_new(&r->arena, sizeof(**at));
	**at = (struct detail){ NULL, like.result, arena_slice(&r->arena, like.mx),
		arena_slice(&r->arena, like.to), arena_slice(&r->arena, like.by),
		arena_slice(&r->arena, like.why), 1 };
	p->ndetails++;
}

static bool
add_try(struct smtp_tlsrpt *r, struct slice line)
{
	struct buf b[5] = { 0 };
	struct slice result = kv_find(line, "result"), type = kv_find(line, "type");
	struct smtp_tlsrpt_domain *d;
	struct counted *p = NULL;
	uint64_t id = 0;
	size_t t = 0;

	while (t < NELEM(types) && !slice_eq(type, slice_str(types[t])))
		t++;
	if (!result.n || t == NELEM(types))
		return false;
	if (slice_u64(kv_find(line, "policy"), UINT64_MAX, &id) < 0)
		id = 0;
	d = domain_find(r, value_of(line, "domain", &b[0]));
	if (d)
		p = policy_find(r, d, (enum smtp_tlsrpt_type)t, value_of(line, "base", &b[1]), id);
	if (p && slice_eq(result, S("ok"))) {
		p->good++;
		d->good++;
	} else if (p) {
		p->bad++;
		d->bad++;
		detail_count(r, p,
		    (struct detail){ .result = tlsrpt_word(results, NELEM(results), result),
			.mx = value_of(line, "mx", &b[1]),
			.to = value_of(line, "to", &b[2]),
			.by = value_of(line, "by", &b[3]),
			.why = value_of(line, "why", &b[4]) });
	}
	for (size_t i = 0; i < NELEM(b); i++)
		buf_fini(&b[i]);
	return p;
}

void
smtp_tlsrpt_add(struct smtp_tlsrpt *r, struct slice line)
{
	if (slice_starts(line, S("policy ")))
		add_policy(r, slice_from(line, 7));
	else if (!slice_starts(line, S("try ")) || !add_try(r, slice_from(line, 4)))
		r->left++;
}

void
smtp_tlsrpt_fini(struct smtp_tlsrpt *r)
{
	map_fini(&r->policies);
	map_fini(&r->domains);
	arena_reset(&r->arena);
	*r = (struct smtp_tlsrpt){ 0 };
}

const struct smtp_tlsrpt_domain *
smtp_tlsrpt_next(const struct smtp_tlsrpt *r, size_t *at)
{
	return map_next(&r->domains, at);
}

const char *
smtp_tlsrpt_name(const struct smtp_tlsrpt_domain *d)
{
	return d->name;
}

uint64_t
smtp_tlsrpt_count(const struct smtp_tlsrpt_domain *d, bool failed)
{
	return failed ? d->bad : d->good;
}

/* ---- the report ---------------------------------------------------------------------------- */

static void
put_strings(struct buf *b, const struct said *s)
{
	struct slice rest = s ? s->strings : S(""), line;

	json_put_array(b, "policy-string");
	while (slice_cut(&rest, '\n', &line)) {
		line = slice_trim(line);
		if (!line.n)
			continue;
		json_element(b);
		json_str(b, line);
	}
	buf_char(b, ']');
}

/* Of a policy of MTA-STS, the hosts that it lists. */
static void
put_hosts(struct buf *b, const struct said *s)
{
	struct slice rest = s ? s->strings : S(""), line, key;
	bool some = false;

	while (slice_cut(&rest, '\n', &line)) {
		if (!slice_cut(&line, ':', &key) || !slice_eq(slice_trim(key), S("mx")))
			continue;
		if (!some)
			json_put_array(b, "mx-host");
		some = true;
		json_element(b);
		json_str(b, slice_trim(line));
	}
	if (some)
		buf_char(b, ']');
}

static void
put_known(struct buf *b, const char *key, struct slice value)
{
	if (value.n)
		json_put_str(b, key, value);
}

static void
put_details(struct buf *b, const struct counted *p)
{
	if (!p->details)
		return;
	json_put_array(b, "failure-details");
	for (const struct detail *d = p->details; d; d = d->next) {
		json_element(b);
		buf_char(b, '{');
		json_put_cstr(b, "result-type", d->result);
		put_known(b, "sending-mta-ip", d->by);
		put_known(b, "receiving-mx-hostname", d->mx);
		put_known(b, "receiving-ip", d->to);
		json_put_i64(b, "failed-session-count", (int64_t)d->n);
		put_known(b, "failure-reason-code", d->why);
		buf_char(b, '}');
	}
	buf_char(b, ']');
}

static void
put_policy(struct buf *b, const struct smtp_tlsrpt *r, const struct counted *p)
{
	const struct said *s = map_get(&r->policies, slice((const char *)&p->id, sizeof(p->id)));

	json_element(b);
	buf_char(b, '{');
	json_put_object(b, "policy");
	json_put_cstr(b, "policy-type", types[p->type]);
	if (p->type != SMTP_TLSRPT_NONE)
		put_strings(b, s);
	json_put_str(b, "policy-domain", p->base);
	if (p->type == SMTP_TLSRPT_STS)
		put_hosts(b, s);
	buf_char(b, '}');
	json_put_object(b, "summary");
	json_put_i64(b, "total-successful-session-count", (int64_t)p->good);
	json_put_i64(b, "total-failure-session-count", (int64_t)p->bad);
	buf_char(b, '}');
	put_details(b, p);
	buf_char(b, '}');
}

void
smtp_tlsrpt_write_json(struct buf *b, const struct smtp_tlsrpt *r,
    const struct smtp_tlsrpt_domain *d, const struct smtp_tlsrpt_about *a)
{
	buf_char(b, '{');
	json_put_cstr(b, "organization-name", a->organization);
	json_put_object(b, "date-range");
	json_put_utc(b, "start-datetime", a->begins);
	json_put_utc(b, "end-datetime", a->begins + 86399);
	buf_char(b, '}');
	json_put_cstr(b, "contact-info", a->contact);
	json_put_cstr(b, "report-id", a->id);
	json_put_array(b, "policies");
	for (const struct counted *p = d->policies; p; p = p->next)
		put_policy(b, r, p);
	buf_lit(b, "]}");
}
