/* Fuzz: headers of the PROXY protocol.  A header that is whole is so whatever stands behind it, none of
 * its beginnings is whole or wrong, and what it announces is written and read again. */
#include "base/must.h"
#include "net/proxyproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_again(const struct proxyproto *p)
{
	char one[ADDR_TEXT], two[ADDR_TEXT];
	struct proxyproto again;
	struct buf b = { 0 };
	const char *why;

	proxyproto_write(&b, &p->from, &p->to);
	must(proxyproto_parse(buf_get(&b), &again, &why) == PROXYPROTO_WHOLE && again.n == b.n);
	if (!again.local) /* one of the two may be IPv4 in IPv6's clothes */
		must(strcmp(addr_write(&p->from, one), addr_write(&again.from, two)) == 0);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice((const char *)data, n);
	struct proxyproto p, part;
	const char *why = NULL;

	switch (proxyproto_parse(in, &p, &why)) {
	case PROXYPROTO_WHOLE:
		must(p.n > 0 && p.n <= n && p.n <= PROXYPROTO_MAX);
		must(proxyproto_parse(slice_sub(in, 0, p.n), &part, &why) == PROXYPROTO_WHOLE);
		must(part.n == p.n && part.local == p.local);
		for (size_t i = 0; i < p.n; i++)
			must(proxyproto_parse(slice_sub(in, 0, i), &part, &why) == PROXYPROTO_PART);
		if (!p.local)
			check_again(&p);
		break;
	case PROXYPROTO_PART: must(n < PROXYPROTO_MAX); break;
	case PROXYPROTO_BAD: must(why && *why); break;
	}
	return 0;
}
