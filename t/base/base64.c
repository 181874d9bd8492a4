/* base64.c: RFC 4648 10 and what it must not take. */
#include <errno.h>
#include "base/base64.h"
#include "../tap.h"

static const struct {
	const char *plain, *coded;
	/* clang-format off */
} pairs[] = {
	{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\377\376\375", "//79" },
	{ "\373\360", "+/A=" },
};
/* clang-format on */

/* clang-format off */
static const char *const bad[] = {
	"Z", "Zg", "Zg=", "Zg===", "Zm9vZg", "Zm 8=", "Zm8=Zm8=", "Z===", "====", "=", "Zg=v",
	"Zm9=", /* bits behind the end are not 0 */
	"Zh==", "Zm9v\r\n", "Zm\xff=", "Zm-_",
};
/* clang-format on */

static const struct {
	const char *in, *out;
	/* clang-format off */
} mime[] = {
	{ "Zm9v\r\nYmFy\r\n", "foobar" }, { "Z m 9 v", "foo" }, { "Zm9vYg", "foob" },
	{ "Zm9vYmE", "fooba" },
	{ "Zg==Zm9v", "f" }, { "!!!!", "" }, { "Zm9vY", "foo" }, { "", "" }, { "Zm9v=", "foo" },
	{ "A", "" },
};
/* clang-format on */

int
main(void)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(pairs); i++) {
		buf_clear(&b);
		base64_write(&b, slice_str(pairs[i].plain));
		is(buf_cstr(&b), pairs[i].coded, "write %s", pairs[i].coded);
		buf_clear(&b);
		ok(base64_parse(&b, slice_str(pairs[i].coded)) == 0, "parse %s", pairs[i].coded);
		is(buf_cstr(&b), pairs[i].plain, "is what was written");
	}
	for (size_t i = 0; i < NELEM(bad); i++) {
		buf_clear(&b);
		eq(base64_parse(&b, slice_str(bad[i])), -EBADMSG, "bad: %zu", i);
	}
	for (size_t i = 0; i < NELEM(mime); i++) {
		buf_clear(&b);
		base64_parse_mime(&b, slice_str(mime[i].in));
		is(buf_cstr(&b), mime[i].out, "lenient: %zu", i);
	}
	buf_fini(&b);
	return done();
}
