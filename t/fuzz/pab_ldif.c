/* Fuzz: LDIF.  Whatever is in a file, each line that is made of it is JSON, an object with a uid. */
#include "base/must.h"
#include "json/json.h"
#include "pab/ldif.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct json_bounds wide = { 64 << 20, 20, 2000000 };
	struct slice file = slice((const char *)data, n), rest, line;
	struct buf lines = { 0 };

	(void)pab_ldif_is(file);
	pab_ldif_read(file, &lines);
	rest = buf_get(&lines);
	while (slice_cut(&rest, '\n', &line)) {
		struct json_t *v = NULL;
		const char *why;

		must(json_read(line, &wide, &v, &why) == 0);
		must(json_text(json_find(v, S("uid"))).n);
		json_free(&v);
	}
	buf_fini(&lines);
	return 0;
}
