/* Fuzz target: the line of a limit that the store keeps.  What is one is written and read again as the same; the rest
 * limits nothing. */
#include "base/must.h"
#include "store/quota.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice line = slice((const char *)data, n);
	struct store_quota q, again;
	struct buf b = { 0 };

	if (store_quota_parse(line, &q) < 0)
		return 0;
	must(q.bytes <= STORE_QUOTA_MOST && q.messages <= STORE_QUOTA_MOST && q.at >= 0);
	must(strlen(q.by) < sizeof(q.by));
	store_quota_write(&b, &q);
	must(store_quota_parse(buf_get(&b), &again) == 0);
	must(again.bytes == q.bytes && again.messages == q.messages && again.at == q.at);
	must(strcmp(again.by, q.by) == 0);
	buf_fini(&b);
	return 0;
}
