/* smtp/tlsrpt.h: SMTP TLS Reporting (RFC 8460): what became of attempts at TLS, a line each, and the report that a day of
 * them makes.
 *
 * Pure: lines in and out, JSON out.  Who writes the lines and sends the reports is channel-master; where a domain
 * wants them is smtp/sts.h's.  Everything that other hosts have chosen is bounded: how long a line is, how many domains
 * are counted, how many policies of each, and how many kinds of failure of each of those. */
#ifndef SMTP_TLSRPT_H
#define SMTP_TLSRPT_H
#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"

#define SMTP_TLSRPT_LINE     65536 /* octets of a line, with its end */
#define SMTP_TLSRPT_STRINGS  16384 /* octets of a policy that are kept: whole lines */
#define SMTP_TLSRPT_DOMAINS  50000 /* of a day */
#define SMTP_TLSRPT_POLICIES 32    /* of a domain */
#define SMTP_TLSRPT_DETAILS                                                                        \
	100 /* kinds of failure of a policy that name hosts; the rest by result alone */

enum smtp_tlsrpt_type { SMTP_TLSRPT_NONE, SMTP_TLSRPT_STS, SMTP_TLSRPT_TLSA };

/* One attempt at a host, or at a policy; all slices borrowed, empty where it is not known. */
struct smtp_tlsrpt_try {
	struct slice domain; /* where the mail went: it is told of this */
	enum smtp_tlsrpt_type type;
	struct slice base;   /* RFC 8460 1.1: of a policy's domain, or the TLSA base domain */
	uint64_t policy;     /* smtp_tlsrpt_policy_id, 0: none */
	struct slice mx;     /* whose certificate was asked for */
	struct slice to, by; /* addresses: the host's and ours */
	const char *result;  /* RFC 8460 4.3; NULL: it is well */
	struct slice why;
};
/* Of the lines of a policy (with LF between them): never 0. */
uint64_t smtp_tlsrpt_policy_id(enum smtp_tlsrpt_type type, struct slice strings) MUSTCHECK;
/* Append a line.  A policy is to be said before it is referred to, by each process that does. */
void smtp_tlsrpt_write_policy(struct buf *b, uint64_t id, struct slice strings);
void smtp_tlsrpt_write_try(struct buf *b, const struct smtp_tlsrpt_try *t);

/* A day of lines. */
struct smtp_tlsrpt_domain;
struct smtp_tlsrpt {
	struct arena arena;
	struct map policies; /* by id */
	struct map domains;
	size_t ndomains;
	uint64_t left; /* attempts that are not counted: beyond the bounds, or of no whole line */
};
/* Zeroed: ready.  What cannot be understood is counted as `left`. */
void smtp_tlsrpt_add(struct smtp_tlsrpt *r, struct slice line);
void smtp_tlsrpt_fini(struct smtp_tlsrpt *r);
/* Walks: start with *at = 0; NULL at the end. */
const struct smtp_tlsrpt_domain *smtp_tlsrpt_next(const struct smtp_tlsrpt *r, size_t *at);
const char *smtp_tlsrpt_name(const struct smtp_tlsrpt_domain *d);
uint64_t smtp_tlsrpt_count(const struct smtp_tlsrpt_domain *d, bool failed);

struct smtp_tlsrpt_about {
	const char *organization, *contact, *id;
	int64_t begins; /* unix seconds: 00:00:00Z of the day */
};
/* Appends the report (RFC 8460 4.4). */
void smtp_tlsrpt_write_json(struct buf *b, const struct smtp_tlsrpt *r,
    const struct smtp_tlsrpt_domain *d, const struct smtp_tlsrpt_about *a);
#endif
