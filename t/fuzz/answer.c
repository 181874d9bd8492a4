/* t/fuzz/answer.c: the replies of a server, as smtp/client reads them. */
#include <stdint.h>
#include "base/must.h"
#include "smtp/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice((const char *)data, size), line;
	struct smtp_answer a = { 0 };
	struct smtp_offer o;
	struct verdict v;

	while (slice_cut(&rest, '\n', &line)) {
		int r = smtp_answer_line(&a, line);

		if (r < 0)
			break;
		if (r == 0)
			continue;
		must(a.code >= 200 && a.code < 600);
		must(a.text.n <= SMTP_ANSWER_TEXT + 1);
		v = smtp_answer_verdict(&a);
		must(v.kind == OK || v.kind == TEMP || v.kind == PERM);
		must(strlen(v.text) < sizeof(v.text) && !strpbrk(v.text, "\r\n"));
		smtp_offer_parse(&a, &o);
		must(strlen(o.name) < sizeof(o.name));
		smtp_answer_clear(&a);
	}
	smtp_answer_fini(&a);
	return 0;
}
