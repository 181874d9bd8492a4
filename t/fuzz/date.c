/* Fuzz: dates in all their forms.  What is read can be written and read again. */
#include "base/must.h"
#include "mail/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(const struct date *d)
{
	struct buf b = { 0 };
	struct date again;
	int r;

	must(d->zone > -1440 && d->zone < 1440);
	if (date_day(d->at, d->zone) < date_day(-62135596800, 0) ||
	    date_day(d->at, d->zone) > date_day(253402300799, 0))
		return;
	date_write(&b, d->at, d->zone);
	r = date_parse(buf_get(&b), &again);
	must(r == 0 && again.zone == d->zone);
	if (date_day(d->at, d->zone) >= date_day(-30610224000, 0)) /* years of four digits */
		must(again.at == d->at);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice s = slice((const char *)data, n);
	struct date d;

	if (date_parse(s, &d) == 0)
		check(&d);
	if (date_iso_parse(s, &d) == 0)
		check(&d);
	return 0;
}
