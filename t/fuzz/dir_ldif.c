/* Fuzz target: LDIF.  Entries are read to the end whatever the file has in it, and what is written of one is read as the
 * same. */
#include "base/must.h"
#include "directory/ldif.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
again(const struct dir_ldif *l)
{
	struct buf b = { 0 };
	struct dir_ldif m;
	const char *why;

	dir_ldif_write(&b, "dn", l->dn);
	for (size_t i = 0; i < l->n; i++)
		dir_ldif_write(&b, "x", l->values[i].value);
	dir_ldif_init(&m, buf_get(&b));
	must(dir_ldif_next(&m, &why) == 1 && m.n == l->n && slice_eq(m.dn, l->dn));
	for (size_t i = 0; i < l->n; i++)
		must(slice_eq(m.values[i].value, l->values[i].value));
	must(dir_ldif_next(&m, &why) == 0);
	dir_ldif_fini(&m);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice file = slice((const char *)data, n);
	unsigned before = 0;
	struct dir_ldif l;
	const char *why;
	int e;

	(void)dir_ldif_is(file);
	dir_ldif_init(&l, file);
	while ((e = dir_ldif_next(&l, &why)) != 0) {
		must(l.line > before && l.line <= l.next);
		before = l.line;
		if (e < 0)
			must(why);
		else
			again(&l);
	}
	dir_ldif_fini(&l);
	return 0;
}
