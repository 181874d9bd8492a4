/* Fuzz: addresses of envelope and header.  What is written must be read back the same. */
#include "base/must.h"
#include "mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_envelope(struct slice s, struct arena *a, unsigned allow)
{
	struct address first, again;
	struct slice at = s;
	struct buf b = { 0 };
	const char *why;
	int r;

	if (address_parse_path(&at, allow, a, &first, &why) == 0) {
		must(at.p + at.n == s.p + s.n);
		must(first.local.n <= ADDRESS_LOCAL_MAX && first.domain.n <= ADDRESS_DOMAIN_MAX);
		address_write(&b, &first);
		r = address_parse(buf_get(&b), allow, a, &again, &why);
		must(r == 0 && again.flags == first.flags && address_eq(&first, &again));
		must(slice_find(buf_get(&b), '\n') == b.n);
	}
	buf_fini(&b);
	(void)!address_parse(s, allow, a, &first, &why);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice s = slice((const char *)data, n);
	struct address_list list;
	struct arena a = { 0 };
	struct buf b = { 0 };
	int group = 0;

	check_envelope(s, &a, 0);
	check_envelope(s, &a, ADDRESS_NULL | ADDRESS_POSTMASTER | ADDRESS_UTF8);
	(void)!domain_write_ascii(&b, s);
	(void)!domain_write_utf8(&b, s);
	address_list_parse(s, 1000, &a, &list);
	must(list.n <= 1001);
	for (size_t i = 0; i < list.n; i++) {
		const struct address_item *it = &list.items[i];

		must(it->name.n + it->route.n + it->mailbox.n + it->host.n <= n);
		group += it->kind == ADDRESS_GROUP_START ? 1 :
		    it->kind == ADDRESS_GROUP_END        ? -1 :
							   0;
		must(group == 0 || group == 1);
		address_write_parts(&b, it->mailbox, it->host);
	}
	must(group == 0);
	buf_fini(&b);
	arena_reset(&a);
	return 0;
}
