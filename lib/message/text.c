/* message/text.c: header fields, parameters and bodies as folded UTF-8.
 *
 * Called by digest.c (the copies in the record) and match.c (the file): both make a field's text
 * here, so that SEARCH finds the same whether the record or the file answers.  Nothing can fail;
 * what cannot be decoded is text as it stands. */
#include "message/text.h"

#include "base/scan.h"
#include "base/utf8.h"
#include "mail/encoded-word.h"
#include "mail/header.h"

/* Of one field: what is beyond is found in the field's plain text only. */
#define ADDRESSES_MAX 10000

static bool
has_addresses(struct slice name)
{
	static const char *const names[] = { "from", "to", "cc", "bcc", "sender", "reply-to",
		"resent-from", "resent-to", "resent-cc", "resent-bcc", "resent-sender" };

	for (size_t i = 0; i < NELEM(names); i++)
		if (slice_ieq(name, slice_str(names[i])))
			return true;
	return false;
}

/* How far behind the address before a name or an address is looked for: looking through all of the
 * field for each would be a product that a sender chooses. */
#define NEAR 256

/* Does `text` stand in `value` near `at`?  Then *end is raised to behind it. */
static bool
is_shown(struct slice value, size_t at, struct slice text, size_t *end)
{
	const char *from = value.p + at, *to = value.p + value.n;
	struct slice near;
	size_t n;

	/* Where it was read from, as a rule. */
	if (text.p >= from && text.p < to && (size_t)(text.p - from) <= NEAR) {
		n = (size_t)(text.p - from);
	} else {
		near = slice_sub(value, at, text.n + NEAR);
		n = slice_find_str(near, text);
		if (n >= near.n)
			return false;
	}
	if (at + n + text.n > *end)
		*end = at + n + text.n;
	return true;
}

static void
add_line(struct buf *out, struct slice text)
{
	buf_char(out, '\n');
	utf8_fold_to(out, text);
}

/* The address of an item: where it stands, else made in `one`. */
static struct slice
item_address(const struct address_item *it, struct buf *one)
{
	if (it->host.n == 0)
		return it->mailbox;
	if (it->mailbox.p + it->mailbox.n + 1 == it->host.p && it->host.p[-1] == '@')
		return slice(it->mailbox.p, it->mailbox.n + 1 + it->host.n);
	buf_clear(one);
	buf_slice(one, it->mailbox);
	buf_char(one, '@');
	buf_slice(one, it->host);
	return buf_get(one);
}

/* The names and addresses of `list` that the plain text of `value` (unfolded) does not show.  False when
 * there are some and `out` is NULL. */
static bool
add_addresses(struct buf *out, struct slice value, const struct address_list *list)
{
	struct buf one = { 0 };
	size_t at = 0, end = 0;
	bool all = true;

	for (size_t i = 0; i < list->n && (all || out); i++, at = end) {
		const struct address_item *it = &list->items[i];
		struct slice address;

		if (it->name.n > 0 && !is_shown(value, at, it->name, &end)) {
			all = false;
			buf_clear(&one);
			encoded_word_parse(&one, it->name);
			if (out)
				add_line(out, buf_get(&one));
		}
		if (it->kind != ADDRESS_MAILBOX || it->mailbox.n == 0)
			continue;
		address = item_address(it, &one);
		if (!is_shown(value, at, address, &end)) {
			all = false;
			if (out)
				add_line(out, address);
		}
	}
	buf_fini(&one);
	return all || out;
}

/* Is unfolded text what it stands for: is there nothing to decode? */
static bool
is_plain_text(struct slice value)
{
	return scan_plain(value, "\x7f\x7f") &&
	    (slice_find(value, '=') == value.n || slice_find_str(value, S("=?")) == value.n);
}

void
message_field_text(struct buf *out, struct slice name, struct slice value, struct arena *a)
{
	struct buf text = { 0 };
	struct address_list list;

	value = header_unfold(value, a);
	if (is_plain_text(value)) {
		utf8_fold_to(out, value);
	} else {
		encoded_word_parse(&text, value);
		utf8_fold_to(out, buf_get(&text));
		buf_fini(&text);
	}
	if (has_addresses(name)) {
		address_list_parse(value, ADDRESSES_MAX, a, &list);
		(void)add_addresses(out, value, &list);
	}
}

bool
message_field_shows(struct slice value, const struct address_list *list)
{
	return is_plain_text(value) && (!list || add_addresses(NULL, value, list));
}

/* ---- parameters ---------------------------------------------------------------------------------- */

static void
add_params(struct buf *out, const struct param_list *list, struct arena *a)
{
	for (size_t i = 0; i < list->n; i++) {
		if (out->n > 0)
			buf_char(out, '\n');
		utf8_fold_to(out, param_text(&list->p[i], a));
	}
}

void
message_param_text(struct buf *out, const struct mime_part *p, struct arena *a)
{
	add_params(out, &p->params, a);
	add_params(out, &p->dparams, a);
}

/* ---- bodies ------------------------------------------------------------------------------------- */

bool
message_is_text(const struct mime_part *p)
{
	return p->kind == MIME_LEAF &&
	    (slice_ieq(p->type, S("text")) || slice_ieq(p->type, S("message")));
}

void
message_text_open(struct message_text *t, const struct mime *m, const struct mime_part *p)
{
	*t = (struct message_text){ 0 };
	text_open_part(&t->reader, m, p);
}

bool
message_text_next(struct message_text *t, struct buf *out)
{
	buf_clear(&t->plain);
	if (!text_next(&t->reader, &t->plain))
		return false;
	utf8_fold_to(out, buf_get(&t->plain));
	return true;
}

void
message_text_close(struct message_text *t)
{
	text_close(&t->reader);
	buf_fini(&t->plain);
}
