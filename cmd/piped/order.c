/* piped/order.c: see order.h.  Pure: words, each ended by a NUL, in the order of the table below.  Called
 * on both sides; what must stay true is that the reader trusts nothing that the writer has looked at. */
#include "order.h"

#define NAME_MAX_ORDER 64

#define WORD(field)    offsetof(struct order, field)
static const size_t words[] = { WORD(program), WORD(user), WORD(sender), WORD(recipient),
	WORD(local), WORD(domain), WORD(extension), WORD(qid), WORD(size), WORD(type),
	WORD(subtype), WORD(name), WORD(args) };

bool
order_name_ok(struct slice name)
{
	if (name.n == 0 || name.n > NAME_MAX_ORDER || name.p[0] == '-' || name.p[0] == '.')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' &&
		    c != '-')
			return false;
	}
	return true;
}

/* Fit for an environment and for an argument. */
static bool
word_ok(struct slice w)
{
	for (size_t i = 0; i < w.n; i++)
		if ((unsigned char)w.p[i] < 0x20 || w.p[i] == 0x7f)
			return false;
	return w.n == 0 || w.p[0] != '-';
}

static bool
order_ok(const struct order *o)
{
	for (size_t i = 0; i < NELEM(words); i++)
		if (!word_ok(*(const struct slice *)(const void *)((const char *)o + words[i])))
			return false;
	return order_name_ok(o->program) && (o->user.n == 0 || order_name_ok(o->user));
}

bool
order_write(struct buf *b, const struct order *o)
{
	if (!order_ok(o))
		return false;
	for (size_t i = 0; i < NELEM(words); i++) {
		buf_slice(b, *(const struct slice *)(const void *)((const char *)o + words[i]));
		buf_char(b, '\0');
	}
	return b->n <= ORDER_MAX;
}

bool
order_parse(struct slice packet, struct order *o)
{
	*o = (struct order){ 0 };
	for (size_t i = 0; i < NELEM(words); i++) {
		size_t end = slice_find(packet, '\0');

		if (end == packet.n)
			return false;
		*(struct slice *)(void *)((char *)o + words[i]) = slice_sub(packet, 0, end);
		packet = slice_from(packet, end + 1);
	}
	return packet.n == 0 && order_ok(o);
}
