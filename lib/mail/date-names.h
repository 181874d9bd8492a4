/* mail/date-names.h: what date.c and date-parse.c share. */
#ifndef MAIL_DATE_NAMES_H
#define MAIL_DATE_NAMES_H
#include "base/civil.h"
#include "mail/date.h"

extern const char date_months[12][4];
int date_month(struct slice name); /* 1..12 of three letters, any case; 0 = none */
/* Checks the fields and sets d->at and d->zone; 0 or -EBADMSG. */
int date_finish(struct civil *c, int zone, struct date *d) MUSTCHECK;
#endif
