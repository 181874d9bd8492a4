/* Fuzz: headers in memory and in pieces, encoded words, what is written from them. */
#include "base/must.h"
#include "base/utf8.h"
#include "mail/encoded-word.h"
#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_field(const struct header_field *f, struct arena *a)
{
	struct slice v = header_unfold(f->value, a), line, at;
	struct buf text = { 0 }, out = { 0 };
	struct header_field back;

	must(slice_find(v, '\n') == v.n && slice_find(v, '\r') == v.n);
	encoded_word_parse(&text, f->value);
	must(utf8_valid(buf_get(&text)) && slice_find(buf_get(&text), '\n') == text.n);
	header_write(&out, "Subject", buf_get(&text));
	at = buf_get(&out);
	must(header_next(&at, &back) && at.n == 0); /* one field, whatever was in it */
	for (at = buf_get(&out); slice_cut(&at, '\n', &line);)
		must(line.n <= 999);
	buf_clear(&out);
	encoded_word_write(&out, buf_get(&text), ENCODED_TEXT);
	encoded_word_write(&out, buf_get(&text), ENCODED_PHRASE);
	must(utf8_ascii(buf_get(&out)));
	buf_fini(&text);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice s = slice((const char *)data, n), at = s;
	struct header_scan whole, pieces;
	struct header_field f;
	struct arena a = { 0 };
	size_t bytes = 0, step = n ? data[0] % 7 + 1 : 1, received = 0;

	while (header_next(&at, &f)) {
		bytes += f.whole.n;
		received += slice_ieq(f.name, S("Received"));
		check_field(&f, &a);
	}
	must(bytes + at.n == n);
	must(header_len(s) >= bytes && header_len(s) <= bytes + 2);
	header_scan_init(&whole);
	header_scan_feed(&whole, s);
	header_scan_init(&pieces);
	for (size_t i = 0; i < n; i += step)
		header_scan_feed(&pieces, slice_sub(s, i, step));
	must(whole.seen == pieces.seen && whole.done == pieces.done);
	must(whole.bad_line == pieces.bad_line && whole.longest == pieces.longest);
	must(whole.header_8bit == pieces.header_8bit && whole.body_8bit == pieces.body_8bit);
	must(strcmp(whole.message_id, pieces.message_id) == 0);
	must(whole.header_len == header_len(s) && whole.header_len == pieces.header_len);
	must(whole.count[HEADER_RECEIVED] == received || whole.bad_line || !whole.done);
	arena_reset(&a);
	return 0;
}
