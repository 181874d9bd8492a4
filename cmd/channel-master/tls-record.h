/* channel-master/tls-record.h: what becomes of each attempt at TLS, written down for the reports that domains ask for
 * (RFC 8460), where tlsrpt.contact and organisation are set.
 *
 * QUEUE/.tlsrpt/YYYY-MM-DD has the lines of a day in UTC (smtp/tlsrpt.h), appended by all masters, each line by one
 * write and without a sync: a kill takes none, a power cut those of the last seconds. */
#ifndef TLS_RECORD_H
#define TLS_RECORD_H
#include "master.h"

#define TLS_RECORD_MOST (64 << 20) /* octets of a day: beyond it nothing more is written */

struct tls_try {
	const struct site *site;
	const struct policy *policy; /* that the host was held to */
	const struct smtp_sts *sts;  /* of the domain, where that is the policy */
	const char *host;      /* NULL: it is the policy itself that cannot be had, or the DNS */
	const struct addr *to; /* its address, or NULL */
	const struct addr *by; /* ours, or NULL */
	const char *result;    /* RFC 8460 4.3; NULL: it is well */
	const char *why;       /* in words, or NULL */
};
/* Not for LMTP, literals of addresses, and messages whose sender wants them whatever TLS says. */
void tls_record(const struct tls_try *t);
/* The folder, or a file in it.  Heap. */
char *tls_record_path(const char *name);
bool tls_record_wanted(void); /* tlsrpt.organisation and contact are there */
#define TLS_RECORD_DAY 40
void tls_record_day(char name[TLS_RECORD_DAY]); /* today's file */
#endif
