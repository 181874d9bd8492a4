/* Fuzz: TLSA records, each behind an octet that says how long it is.  A set keeps what can be used, as it came,
 * and its copy says the same. */
#include <string.h>
#include "base/must.h"
#include "net/tlsa.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t
check_one(struct slice rdata)
{
	const char *why = NULL;
	struct tlsa t;

	if (tlsa_parse(rdata, &t, &why) < 0) {
		must(why && rdata.n < 4);
		return 0;
	}
	must(t.data.p == rdata.p + 3 && t.data.n == rdata.n - 3);
	return tlsa_usable(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct tlsa_set s = { 0 }, copy;
	size_t usable = 0, seen = 0;

	for (size_t at = 0; at < n; seen++) {
		size_t len = data[at] < n - at - 1 ? data[at] : n - at - 1;
		struct slice rdata = slice((const char *)data + at + 1, len);

		usable += check_one(rdata);
		tlsa_set_add(&s, rdata);
		at += 1 + len;
	}
	must(s.seen == seen && s.n == (usable < TLSA_MOST ? usable : TLSA_MOST));
	tlsa_set_copy(&copy, &s);
	must(copy.seen == s.seen && copy.n == s.n);
	for (size_t i = 0; i < s.n; i++)
		must(tlsa_usable(&copy.records[i]) &&
		    copy.records[i].data.p != s.records[i].data.p &&
		    slice_eq(copy.records[i].data, s.records[i].data));
	tlsa_set_fini(&s);
	tlsa_set_fini(&copy);
	return 0;
}
