/* Fuzz: messages into cache records: what comes out is well-formed IMAP in ASCII, the parts
 * agree with the MIME tree, and damaged records are refused or harmless. */
#include <errno.h>

#include "base/must.h"
#include "message/digest.h"
#include "message/order.h"
#include "mail/preview.h"
#include "base/utf8.h"
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

/* One line of UTF-8, not too long. */
static void
check_preview(struct slice msg)
{
	struct arena a = { 0 };
	struct buf b = { 0 };
	struct mime m;
	struct slice s;
	int chars = 0;

	mime_parse(msg, &a, &m);
	preview_write(&m, PREVIEW_CHARS, &b);
	for (s = buf_get(&b); s.n > 0; chars++)
		must(utf8_next(&s) >= 0x20);
	must(chars <= PREVIEW_CHARS && b.n <= PREVIEW_MAX);
	arena_reset(&a);
	buf_fini(&b);
}

static void
envelope_add(const struct message_digest *c, struct buf *b)
{
	size_t room = message_digest_envelope_room(c);
	char *p = buf_reserve(b, room), *end = message_digest_envelope(c, p);

	must((size_t)(end - p) <= room);
	b->n += (size_t)(end - p);
}

/* Put together from its pieces it is what is written from the message. */
static void
check_envelope(const struct message_digest *c, struct slice msg, struct arena *a)
{
	struct buf got = { 0 }, want = { 0 };
	struct mime m;

	envelope_add(c, &got);
	check_form(buf_get(&got));
	mime_parse(msg, a, &m);
	imap_envelope_write(&want, mime_header(&m, m.root), a);
	must(slice_eq(buf_get(&got), buf_get(&want)));
	buf_fini(&got);
	buf_fini(&want);
}

/* Every part of the tree is found in the record, at the same place. */
static void
check_part(const struct message_digest *c, const struct mime *m, uint32_t *path, size_t n)
{
	static const enum mime_section kinds[] = { MIME_BODY, MIME_MIME, MIME_HEADER, MIME_TEXT };
	struct message_part part;
	struct slice bytes;

	for (path[n] = 1; n < 6 && path[n] < 20; path[n]++) {
		int found = message_digest_part(c, path, n + 1, &part);
		const struct message_extent *extents[] = { &part.body, &part.mime, &part.header,
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

/* What puts messages in order is the same from the record as from the header. */
static void
check_order(struct slice record, struct slice header)
{
	struct message_order got, want;

	for (unsigned fields = 1; fields < 1u << MESSAGE_FIELDS; fields = fields * 2 + 1) {
		if (message_order_digest(record, fields, &got) < 0)
			continue;
		message_order_header(header, fields, &want);
		must(got.dated == want.dated && got.sent_at == want.sent_at);
		for (int i = 0; i < MESSAGE_FIELDS; i++)
			must(!got.value[i].p == !want.value[i].p &&
			    slice_eq(got.value[i], want.value[i]));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice msg = slice((const char *)data, n);
	struct buf record = { 0 }, body = { 0 }, direct = { 0 };
	struct arena a = { 0 };
	uint32_t path[8];
	struct message_digest c;
	struct mime m;

	check_preview(msg);
	message_digest_build(msg, &record);
	must(record.n <= MESSAGE_DIGEST_MAX && message_digest_parse(buf_get(&record), &c) == 0);
	must(c.size == n && c.header_len <= n);
	if (c.has & MESSAGE_HAS_ENVELOPE)
		check_envelope(&c, msg, &a);
	check_order(buf_get(&record), slice_sub(msg, 0, c.header_len));
	check_form(c.structure);
	mime_parse(msg, &a, &m);
	if (c.has & MESSAGE_HAS_STRUCTURE) {
		imap_body_from_structure(&body, c.structure);
		imap_structure_write(&direct, &m, m.root, false, &a);
		must(slice_eq(buf_get(&body), buf_get(&direct)));
	}
	if (c.has & MESSAGE_HAS_PARTS)
		check_part(&c, &m, path, 0);
	/* The input as a record, and the record with its parts overwritten. */
	if (message_digest_parse(msg, &c) == 0) {
		struct message_order o;

		(void)!message_order_digest(msg, (1u << MESSAGE_FIELDS) - 1, &o);
		path[0] = path[1] = 1;
		(void)!message_digest_part(&c, path, 2, &(struct message_part){ 0 });
		buf_clear(&body);
		imap_body_from_structure(&body, c.structure);
		envelope_add(&c, &body);
	}
	buf_fini(&record);
	buf_fini(&body);
	buf_fini(&direct);
	arena_reset(&a);
	return 0;
}
