/* Fuzz: a day of lines about TLS, of any octets: what is counted is told, and the report stays JSON in its brackets. */
#include "base/must.h"
#include "smtp/tlsrpt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Brackets outside of strings match. */
static bool
brackets_match(struct slice s)
{
	bool text = false;
	long depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (text && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			text = !text;
		else if (!text && (s.p[i] == '{' || s.p[i] == '['))
			depth++;
		else if (!text && (s.p[i] == '}' || s.p[i] == ']'))
			depth--;
	}
	return depth == 0 && !text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct smtp_tlsrpt_about about = { .organization = "o", .contact = "c", .id = "i" };
	struct slice rest = slice((const char *)data, n), line;
	const struct smtp_tlsrpt_domain *d;
	struct smtp_tlsrpt r = { 0 };
	struct buf b = { 0 };
	uint64_t counted = 0, lines = 0;
	size_t at = 0;

	while (slice_cut(&rest, '\n', &line)) {
		lines += !slice_starts(line, S("policy "));
		smtp_tlsrpt_add(&r, line);
	}
	while ((d = smtp_tlsrpt_next(&r, &at))) {
		counted += smtp_tlsrpt_count(d, false) + smtp_tlsrpt_count(d, true);
		buf_clear(&b);
		smtp_tlsrpt_write_json(&b, &r, d, &about);
		must(brackets_match(buf_get(&b)));
	}
	must(counted + r.left == lines);
	buf_fini(&b);
	smtp_tlsrpt_fini(&r);
	return 0;
}
