/* Fuzz: what imapd and lmtpd tell each other of an event: what is read can be written, and is the same then. */
#include "base/must.h"
#include "rules/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = { (const char *)data, n }, flag = S("$new");
	struct rules_event e, again;
	struct rules_event_outcome o;
	struct buf b = { 0 }, words = { 0 };

	if (rules_event_parse(in, &e)) {
		must(rules_event_write(&b, &e) && rules_event_parse(buf_get(&b), &again));
		must(slice_eq(e.user, again.user) && slice_eq(e.mailbox, again.mailbox) &&
		    slice_eq(e.flags, again.flags));
		buf_clear(&b);
		if (rules_event_outcome_write(&b, e.flags, &flag, 1, false))
			must(rules_event_outcome_parse(buf_get(&b), &words, &o) && !o.keep);
	}
	if (rules_event_outcome_parse(in, &words, &o))
		must(o.add.n + o.remove.n <= n);
	buf_fini(&b);
	buf_fini(&words);
	return 0;
}
