/* channel-master/report.h: the reports of TLS that domains ask for (RFC 8460), of days that are over: channel-master -r,
 * which jobctl starts, delivers nothing.
 *
 *	QUEUE/.tlsrpt/DAY (tls-record.c) -> counted by domain -> _smtp._tls.DOMAIN -> mail or HTTPS -> DAY.sent
 *
 * DAY.sent has a line for each domain that is done with, and `done` at its end: who is killed goes on where he was.  A
 * report has the same id each time it is sent. */
#ifndef REPORT_H
#define REPORT_H
#include "base/buf.h"
#include "net/loop.h"

/* Sends what is due, of one day or of all (NULL); then the process leaves. */
void tlsrpt_send(struct loop *l, const char *day);
/* What is known of a day (NULL: today) on standard output: a line for each domain, or the report of one.  0, or -errno. */
int tlsrpt_show(const char *day, const char *domain) MUSTCHECK;
/* "2026-11-30" -> its beginning; false: it is no day. */
bool report_day(const char *text, int64_t *begins) MUSTCHECK;

/* ---- report-mail.c */

struct report_facts {
	const char *domain, *submitter, *id; /* whom it is about; the contact's domain */
	const char *to;
	int64_t begins;
};
/* The whole message; `gzip` is the report. */
void report_mail(struct buf *b, const struct report_facts *f, struct slice gzip);
#endif
