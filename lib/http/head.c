/* http/head.c: what stands in a head: see reader.h. */
#include "http/reader.h"

const struct http_field *
http_head_find(const struct http_head *h, struct slice name)
{
	for (size_t i = 0; i < h->nfields; i++)
		if (slice_ieq(h->fields[i].name, name))
			return &h->fields[i];
	return NULL;
}

struct slice
http_head_value(const struct http_head *h, struct slice name)
{
	const struct http_field *f = http_head_find(h, name);

	return f ? f->value : slice(NULL, 0);
}
