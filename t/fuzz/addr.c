/* Fuzz: addresses and networks as text.  What parses is printed and parsed again. */
#include "base/must.h"
#include "net/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice s = slice((const char *)data, n), host;
	char text[ADDR_TEXT], again[ADDR_TEXT];
	struct addr a, b;
	uint8_t key[16];
	int in;

	if (!slice_cut(&s, '\n', &host))
		return 0;
	if (addr_parse(host, &a) < 0)
		return 0;
	addr_write(&a, text);
	must(addr_parse(slice_str(text), &b) == 0);
	must(strcmp(addr_write(&b, again), text) == 0);
	addr_client_key(&a, key);
	in = addr_in(&a, s);
	must(in == 0 || in == 1 || in == -22);
	addr_host(&a, text);
	if (a.sa.sa_family != AF_UNIX)
		must(addr_in(&a, slice_str(text)) == 1);
	return 0;
}
