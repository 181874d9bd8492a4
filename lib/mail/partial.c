/* partial.c: messages in pieces: see partial.h.
 *
 * Called by smtp-relay, which only asks whether a message is one, and by channel-master, which puts them together.
 * Nothing fails: a piece that is not to be understood is a message as any other, and goes on as it is.  Must stay
 * true: a field of the inner header that is not about the message's content is never taken over, so that nobody
 * writes a trace, a sender or a filter's verdict into the whole that no relay has seen. */
#include "mail/partial.h"
#include "mail/header.h"
#include "mail/param.h"
#include "mail/token.h"

/* Lines must be whole: RFC 2046 5.2.2 allows nothing else. */
static bool
partial_plain(struct slice header)
{
	struct header_field f;
	struct slice rest, token;

	if (!header_find(header, S("Content-Transfer-Encoding"), &f))
		return true;
	rest = f.value;
	token = token_take(&rest);
	return slice_ieq(token, S("7bit")) || slice_ieq(token, S("8bit"));
}

static bool
partial_number(const struct param_list *list, struct slice name, uint32_t *n)
{
	struct slice text;
	uint64_t v;

	*n = 0;
	if (!param_find(list, name, &text))
		return true;
	if (slice_u64(slice_trim(text), PARTIAL_PIECES, &v) < 0 || v == 0)
		return false;
	*n = (uint32_t)v;
	return true;
}

bool
partial_parse(struct slice header, struct arena *a, struct partial *p)
{
	struct param_list list;
	struct header_field f;
	struct slice rest;

	*p = (struct partial){ 0 };
	if (!header_find(header, S("Content-Type"), &f))
		return false;
	rest = f.value;
	if (!slice_ieq(token_take(&rest), S("message")) || !token_char(&rest, '/') ||
	    !slice_ieq(token_take(&rest), S("partial")) || !partial_plain(header))
		return false;
	param_list_parse(rest, a, &list);
	return param_find(&list, S("id"), &p->id) && p->id.n > 0 && p->id.n <= PARTIAL_ID &&
	    partial_number(&list, S("number"), &p->number) && p->number > 0 &&
	    partial_number(&list, S("total"), &p->total) &&
	    (p->total == 0 || p->number <= p->total);
}

/* Of these the inner header's count, and no others of it. */
static bool
partial_inner(struct slice name)
{
	static const char *const names[] = { "Subject", "Message-ID", "Encrypted", "MIME-Version" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (slice_ieq(name, slice_str(names[i])))
			return true;
	return slice_istarts(name, S("Content-"));
}

static void
partial_fields(struct slice header, bool inner, struct buf *out)
{
	struct header_field f;

	while (header_next(&header, &f)) {
		if (f.name.n == 0 || partial_inner(f.name) != inner)
			continue;
		buf_slice(out, f.whole);
		if (!slice_ends(f.whole, S("\n")))
			buf_lit(out, "\r\n");
	}
}

void
partial_header_write(struct slice outer, struct slice inner, struct buf *out)
{
	partial_fields(outer, false, out);
	partial_fields(inner, true, out);
	buf_lit(out, "\r\n");
}
