/* Fuzz: what strangers publish about TLS: records of the DNS, policies of the web.  The first octet says which.  A
 * policy's copy says the same, its patterns are in its own text, and what is taken of a record can be used. */
#include <string.h>
#include "base/must.h"
#include "smtp/sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
fuzz_policy(struct slice s)
{
	struct smtp_sts p, q;
	const char *why = NULL;

	if (smtp_sts_parse(s, &p, &why) < 0) {
		must(why && !p.text && !p.mx);
		return;
	}
	must(p.mode == SMTP_STS_NONE || p.nmx > 0);
	must(p.max_age <= SMTP_STS_AGE_MAX && p.nmx <= SMTP_STS_MX_MAX);
	smtp_sts_copy(&q, &p);
	for (size_t i = 0; i < p.nmx; i++) {
		must(q.mx[i].p >= q.text && q.mx[i].p + q.mx[i].n <= q.text + q.text_len);
		must(slice_eq(p.mx[i], q.mx[i]));
		(void)smtp_sts_lists(&q, p.mx[i]);
		must(p.mx[i].p[0] == '*' || smtp_sts_lists(&q, p.mx[i]));
	}
	smtp_sts_fini(&p);
	smtp_sts_fini(&q);
}

static void
fuzz_places(struct slice s)
{
	struct slice rua[SMTP_TLSRPT_RUA_MAX];
	struct smtp_tlsrpt_url u;
	char to[256];
	size_t n;

	if (smtp_tlsrpt_record(s, rua, &n) < 0)
		return;
	must(n >= 1 && n <= SMTP_TLSRPT_RUA_MAX);
	for (size_t i = 0; i < n; i++) {
		if (slice_istarts(rua[i], S("https://"))) {
			if (smtp_tlsrpt_https(rua[i], &u) == 0)
				must(*u.host && u.port > 0 && u.target[0] == '/');
		} else if (smtp_tlsrpt_mailto(rua[i], to, sizeof(to)) == 0) {
			must(strchr(to, '@') && !strpbrk(to, " <>\r\n"));
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice s, id;

	if (n == 0)
		return 0;
	s = slice((const char *)data + 1, n - 1);
	switch (data[0] % 3) {
	case 0: fuzz_policy(s); break;
	case 1:
		if (smtp_sts_record(s, &id) == 0)
			must(id.n >= 1 && id.n <= SMTP_STS_ID_MAX);
		break;
	default: fuzz_places(s); break;
	}
	return 0;
}
