/* Fuzz target: LDAP filters from any bytes stay one assertion; LDAP URLs, of servers and of lists. */
#include <stdlib.h>

#include "base/must.h"
#include "directory/filter.h"
#include "directory/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice((const char *)data, n);
	struct buf b = { 0 };
	struct ldap_where w;
	const char *why, *base, *filter;
	int scope;

	dir_filter_equal(&b, "mail", in, S("example.test"));
	must(b.p[0] == '(' && b.p[b.n - 1] == ')');
	for (size_t i = 1; i + 1 < b.n; i++)
		must(b.p[i] != '(' && b.p[i] != ')' && b.p[i] != '*' && b.p[i] != '\0');
	buf_clear(&b);
	if (dir_url_parse(in, &b, &base, &scope, &filter, &why) == 0)
		must(scope >= 0 && scope <= 2 && base == b.p && filter[0] &&
		    filter + strlen(filter) < b.p + b.n);
	buf_fini(&b);
	if (dir_where_parse(in, &w, &why) == 0)
		must(w.host[0] && memchr(w.host, 0, sizeof(w.host)));
	return 0;
}
