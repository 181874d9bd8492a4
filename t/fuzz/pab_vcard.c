/* Fuzz: files of vCards.  Whatever is in one, each Card that is read is JSON, and written as a vCard of lines of 75 octets that
 * is read as one Card again, with the same addresses. */
#include "base/must.h"
#include "pab/card.h"
#include "pab/vcard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct json_bounds wide = { 16 << 20, 20, 2000000 };

static void
lines_fit(struct slice text)
{
	struct slice line;

	while (slice_cut(&text, '\n', &line))
		must(line.n <= 76 && line.n && line.p[line.n - 1] == '\r');
}

static void
again(const struct json_t *card, enum pab_vcard_version version)
{
	struct buf vcard = { 0 }, json = { 0 };
	struct slice rest;
	struct json_t *v;
	const char *why;
	size_t lost = 0;

	pab_vcard_write(&vcard, card, version);
	lines_fit(buf_get(&vcard));
	must(pab_vcard_is(buf_get(&vcard)));
	rest = buf_get(&vcard);
	must(pab_vcard_read(&rest, &json, &lost) && lost == 0 && rest.n == 0);
	must(json_read(buf_get(&json), &wide, &v, &why) == 0);
	must(json_count(json_find(v, S("emails"))) == json_count(json_find(card, S("emails"))));
	json_free(&v);
	buf_fini(&vcard);
	buf_fini(&json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice file = slice((const char *)data, n);
	struct buf json = { 0 };
	size_t lost = 0, left = file.n;

	while (pab_vcard_read(&file, &json, &lost)) {
		struct json_t *v = NULL;
		const char *why;

		must(file.n < left);
		left = file.n;
		must(slice_find(buf_get(&json), '\n') == json.n);
		must(json_read(buf_get(&json), &wide, &v, &why) == 0);
		again(v, PAB_VCARD_4);
		again(v, PAB_VCARD_3);
		json_free(&v);
		buf_clear(&json);
	}
	must(file.n == 0);
	buf_fini(&json);
	return 0;
}
