/* imapd/sort-rows.c: what messages are sorted by, as rows of keys: RFC 5256 3, RFC 5957 3.
 *
 * Owns: struct sort_rows, which gather.c fills.  Called by SORT, and by searches that are followed in an order
 * (context-sort.c) for some messages at a time.  Can fail: the texts together may be too long, which rows.texts.full
 * says.  Must stay true: texts are compared by i;unicode-casemap (RFC 5256 1), and what cannot be read is empty and
 * comes first.  Memory: of a message 4 bytes, 8 for each key, and the octets of its texts, all of which together are
 * bounded by TEXTS_EACH a message. */
#include "sort.h"

#include "base/casemap.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "imap/subject.h"
#include "mail/address.h"
#include "mail/encoded-word.h"

#define TEXTS_LEAST (1024 * 1024)
#define TEXTS_EACH  128 /* octets of a text, on the average */

static const struct {
	enum message_field field;
	bool display;
} sort_fields[IMAP_BY_N] = {
	[IMAP_BY_CC] = { MESSAGE_CC, false },
	[IMAP_BY_DISPLAYFROM] = { MESSAGE_FROM, true },
	[IMAP_BY_DISPLAYTO] = { MESSAGE_TO, true },
	[IMAP_BY_FROM] = { MESSAGE_FROM, false },
	[IMAP_BY_SUBJECT] = { MESSAGE_SUBJECT, false },
	[IMAP_BY_TO] = { MESSAGE_TO, false },
};

/* A value with its encoded words decoded; it mostly has none. */
static struct slice
sort_decode(struct sort_rows *w, struct slice value)
{
	if (utf8_ascii(value) && slice_find(value, '=') == value.n)
		return value;
	buf_clear(&w->decoded);
	encoded_word_parse(&w->decoded, value);
	return buf_get(&w->decoded);
}

static void
sort_subject(struct sort_rows *w, struct slice value)
{
	bool reply;

	casemap_to(&w->rows.texts, imap_base_subject(sort_decode(w, value), &w->single, &reply));
}

/* "the sort value for the address is ..."					RFC 5957 3 */
static void
sort_display(struct sort_rows *w, const struct address_item *first)
{
	size_t before = w->rows.texts.n;

	if (first->name.n > 0)
		casemap_to(&w->rows.texts, sort_decode(w, first->name));
	if (w->rows.texts.n > before)
		return;
	casemap_to(&w->rows.texts, first->mailbox);
	if (first->mailbox.n > 0 && first->host.n > 0) {
		buf_char(&w->rows.texts, '@');
		casemap_to(&w->rows.texts, first->host);
	}
}

static void
sort_address(struct sort_rows *w, struct slice value, bool display)
{
	struct address_list list;

	address_list_parse(value, 1, &w->arena, &list);
	if (list.n > 0 && display)
		sort_display(w, &list.items[0]);
	else if (list.n > 0)
		casemap_to(&w->rows.texts, list.items[0].mailbox);
	if (w->arena.total > 0)
		arena_reset(&w->arena);
}

static void
sort_text(struct sort_rows *w, unsigned key, const struct message_order *o)
{
	enum imap_sort_by by = w->by.keys[key].by;
	struct slice value = o->value[sort_fields[by].field];
	size_t from = w->rows.texts.n;

	if (value.p && by == IMAP_BY_SUBJECT)
		sort_subject(w, value);
	else if (value.p)
		sort_address(w, value, sort_fields[by].display);
	imap_rows_text(&w->rows, key, from);
}

static void
sort_take(void *arg, const struct store_record *r, const struct message_order *o)
{
	struct sort_rows *w = arg;

	if (w->rows.n == w->room) {
		w->room = w->room ? w->room * 2 : 256;
		w->uids = mem_grow(w->uids, w->room, sizeof(*w->uids));
	}
	w->uids[w->rows.n] = r->uid;
	imap_rows_begin(&w->rows);
	for (unsigned i = 0; i < w->by.n; i++)
		switch (w->by.keys[i].by) {
		case IMAP_BY_ARRIVAL: imap_rows_number(&w->rows, i, r->internaldate); break;
		case IMAP_BY_SIZE: imap_rows_number(&w->rows, i, r->size); break;
		case IMAP_BY_DATE: /* RFC 5256 2.2 */
			imap_rows_number(&w->rows, i, o->dated ? o->sent_at : r->internaldate);
			break;
		case IMAP_BY_CC:
		case IMAP_BY_DISPLAYFROM:
		case IMAP_BY_DISPLAYTO:
		case IMAP_BY_FROM:
		case IMAP_BY_SUBJECT:
		case IMAP_BY_TO: sort_text(w, i, o); break;
		case IMAP_BY_N: break;
		}
}

void
sort_rows_begin(struct sort_rows *w, const struct imap_sort *by, uint64_t n)
{
	unsigned texts = 0;

	w->by = *by;
	gather_init(&w->gather);
	w->gather.take = sort_take;
	w->gather.arg = w;
	for (unsigned i = 0; i < w->by.n; i++) {
		w->gather.date |= w->by.keys[i].by == IMAP_BY_DATE;
		if (imap_sort_is_text(w->by.keys[i].by)) {
			w->gather.fields |= 1u << sort_fields[w->by.keys[i].by].field;
			texts++;
		}
	}
	w->rows.by = &w->by;
	buf_init(&w->rows.texts, TEXTS_LEAST + TEXTS_EACH * texts * n);
}

void
sort_rows_fini(struct sort_rows *w)
{
	gather_fini(&w->gather);
	imap_rows_fini(&w->rows);
	mem_free(&w->uids);
	arena_reset(&w->arena);
	buf_fini(&w->decoded);
	buf_fini(&w->single);
}
