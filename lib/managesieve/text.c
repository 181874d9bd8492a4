/* managesieve/text.c: see managesieve/text.h. */
#include "managesieve/text.h"

#include "base/utf8.h"
#include "managesieve/reader.h"

void
managesieve_write_string(struct buf *b, struct slice text)
{
	bool quoted = text.n <= MANAGESIEVE_QUOTED;

	for (size_t i = 0; i < text.n; i++)
		quoted &= text.p[i] != '\0' && text.p[i] != '\r' && text.p[i] != '\n';
	if (!quoted) {
		buf_printf(b, "{%zu}\r\n", text.n);
		buf_slice(b, text);
		return;
	}
	buf_char(b, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_char(b, '\\');
		buf_char(b, text.p[i]);
	}
	buf_char(b, '"');
}

bool
managesieve_name_ok(struct slice name)
{
	if (name.n == 0 || name.n > MANAGESIEVE_NAME_MAX)
		return false;
	while (name.n > 0) {
		int32_t c = utf8_next(&name);

		if (c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029)
			return false;
	}
	return true;
}
