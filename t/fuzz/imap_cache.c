/* Fuzz: messages into cache records: what comes out is well-formed IMAP in ASCII, the parts
 * agree with the MIME tree, and damaged records are refused or harmless. */
#include <errno.h>

#include "base/must.h"
#include "imap/cache.h"
#include "imap/structure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Parentheses balance outside of strings, strings end, literals fit, all ASCII. */
static void
check_form(struct slice s)
{
	int depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		must((unsigned char)s.p[i] < 0x80 && s.p[i] != '\0');
		if (s.p[i] == '"') {
			for (i++; i < s.n && s.p[i] != '"'; i++) {
				must(s.p[i] != '\r' && s.p[i] != '\n');
				i += s.p[i] == '\\';
			}
			must(i < s.n);
		} else if (s.p[i] == '{') {
			uint64_t len;
			size_t end = slice_find(slice_from(s, i), '}');

			must(slice_u64(slice_sub(s, i + 1, end - 1), s.n, &len) == 0);
			must(i + end + 3 + len <= s.n);
			i += end + 2 + (size_t)len;
		} else if (s.p[i] == '(') {
			depth++;
		} else if (s.p[i] == ')') {
			must(--depth >= 0);
		}
	}
	must(depth == 0);
}

/* Every part of the tree is found in the record, at the same place. */
static void
check_part(const struct imap_cache *c, const struct mime *m, uint32_t *path, size_t n)
{
	static const enum mime_section kinds[] = { MIME_BODY, MIME_MIME, MIME_HEADER, MIME_TEXT };
	struct imap_part part;
	struct slice bytes;

	for (path[n] = 1; n < 6 && path[n] < 20; path[n]++) {
		int found = imap_cache_part(c, path, n + 1, &part);
		const struct imap_extent *extents[] = { &part.body, &part.mime, &part.header,
			&part.text };

		must((found == 0) == (mime_section(m, path, n + 1, MIME_BODY, &bytes) == 0));
		if (found < 0)
			return;
		for (int k = 0; k < 4; k++) {
			int r = mime_section(m, path, n + 1, kinds[k], &bytes);

			must((r == 0) == (k < 2 || part.message));
			if (r == 0)
				must(extents[k]->at == (size_t)(bytes.p - m->msg.p) &&
				    extents[k]->len == bytes.n);
		}
		check_part(c, m, path, n + 1);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice msg = slice((const char *)data, n);
	struct buf record = { 0 }, body = { 0 }, direct = { 0 };
	struct arena a = { 0 };
	uint32_t path[8];
	struct imap_cache c;
	struct mime m;

	imap_cache_build(msg, &record);
	must(record.n <= IMAP_CACHE_MAX && imap_cache_parse(buf_get(&record), &c) == 0);
	must(c.size == n && c.header_len <= n);
	check_form(c.envelope);
	check_form(c.structure);
	mime_parse(msg, &a, &m);
	if (c.has & IMAP_HAS_STRUCTURE) {
		imap_body_from_structure(&body, c.structure);
		imap_structure_write(&direct, &m, m.root, false, &a);
		must(slice_eq(buf_get(&body), buf_get(&direct)));
	}
	if (c.has & IMAP_HAS_PARTS)
		check_part(&c, &m, path, 0);
	/* The input as a record, and the record with its parts overwritten. */
	if (imap_cache_parse(msg, &c) == 0) {
		path[0] = path[1] = 1;
		(void)!imap_cache_part(&c, path, 2, &(struct imap_part){ 0 });
		buf_clear(&body);
		imap_body_from_structure(&body, c.structure);
	}
	buf_fini(&record);
	buf_fini(&body);
	buf_fini(&direct);
	arena_reset(&a);
	return 0;
}
