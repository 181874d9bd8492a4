/* email-form.c: names of header properties, and values of fields in each form.
 *
 * Called for each property of each message that Email/get shows, so what does not need decoding is not
 * copied.  Only a name can be wrong; a value gives null where its form cannot be made.  What must stay
 * true: which form a field may have is one table, which Email/set's creation asks too; a value costs its
 * length, whatever it holds. */
#include "jmap/email-form.h"

#include <errno.h>

#include "base/json.h"
#include "base/nfc.h"
#include "base/utf8.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/encoded-word.h"
#include "mail/token.h"

#define ADDRESSES_MAX 65536 /* of one field: more is an attack */

/* ---- names ---------------------------------------------------------------------------------------- */

static const char *const form_names[] = {
	[JMAP_FORM_RAW] = "asRaw",
	[JMAP_FORM_TEXT] = "asText",
	[JMAP_FORM_ADDRESSES] = "asAddresses",
	[JMAP_FORM_GROUPED] = "asGroupedAddresses",
	[JMAP_FORM_MESSAGE_IDS] = "asMessageIds",
	[JMAP_FORM_DATE] = "asDate",
	[JMAP_FORM_URLS] = "asURLs",
};

/* The convenience properties, 4.1.3. */
static const struct {
	const char *property, *name;
	enum jmap_form form;
	/* clang-format off */
} convenience[] = {
	{ "messageId",  "Message-ID",  JMAP_FORM_MESSAGE_IDS },
	{ "inReplyTo",  "In-Reply-To", JMAP_FORM_MESSAGE_IDS },
	{ "references", "References",  JMAP_FORM_MESSAGE_IDS },
	{ "sender",     "Sender",      JMAP_FORM_ADDRESSES },
	{ "from",       "From",        JMAP_FORM_ADDRESSES },
	{ "to",         "To",          JMAP_FORM_ADDRESSES },
	{ "cc",         "Cc",          JMAP_FORM_ADDRESSES },
	{ "bcc",        "Bcc",         JMAP_FORM_ADDRESSES },
	{ "replyTo",    "Reply-To",    JMAP_FORM_ADDRESSES },
	{ "subject",    "Subject",     JMAP_FORM_TEXT },
	{ "sentAt",     "Date",        JMAP_FORM_DATE },
};
/* clang-format on */

/* Fields that RFC 5322 and RFC 2369 define, and what 4.1.2 lets them be.  RAW always is allowed. */
#define BIT(form) (1u << (form))
#define NAMES     (BIT(JMAP_FORM_ADDRESSES) | BIT(JMAP_FORM_GROUPED))
#define IDS       BIT(JMAP_FORM_MESSAGE_IDS)
#define DATE      BIT(JMAP_FORM_DATE)
#define TEXT      BIT(JMAP_FORM_TEXT)
#define URLS      BIT(JMAP_FORM_URLS)
static const struct {
	const char *name;
	unsigned forms;
	/* clang-format off */
} defined[] = {
	{ "From", NAMES }, { "Sender", NAMES }, { "Reply-To", NAMES }, { "To", NAMES },
	{ "Cc", NAMES }, { "Bcc", NAMES },
	{ "Resent-From", NAMES }, { "Resent-Sender", NAMES }, { "Resent-Reply-To", NAMES },
	{ "Resent-To", NAMES }, { "Resent-Cc", NAMES }, { "Resent-Bcc", NAMES },
	{ "Message-ID", IDS }, { "In-Reply-To", IDS }, { "References", IDS }, { "Resent-Message-ID", IDS },
	{ "Date", DATE }, { "Resent-Date", DATE },
	{ "Subject", TEXT }, { "Comments", TEXT }, { "Keywords", TEXT },
	{ "Return-Path", 0 }, { "Received", 0 },
	{ "List-Help", URLS }, { "List-Unsubscribe", URLS }, { "List-Subscribe", URLS },
	{ "List-Post", URLS }, { "List-Owner", URLS }, { "List-Archive", URLS },
};
/* clang-format on */

const char *
jmap_form_name(enum jmap_form form)
{
	return form_names[form];
}

bool
jmap_form_fits(enum jmap_form form, struct slice name)
{
	if (form == JMAP_FORM_RAW)
		return true;
	for (size_t i = 0; i < NELEM(defined); i++)
		if (slice_ieq(name, slice_str(defined[i].name)))
			return defined[i].forms & BIT(form);
	return true;
}

/* RFC 5322 3.6.8: printable ASCII without a colon. */
static bool
field_name_fits(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~' || name.p[i] == ':')
			return false;
	return name.n > 0;
}

static bool
form_find(struct slice s, enum jmap_form *form)
{
	for (size_t i = 0; i < NELEM(form_names); i++)
		if (slice_eq(s, slice_str(form_names[i]))) {
			*form = (enum jmap_form)i;
			return true;
		}
	return false;
}

static int
field_wrong(const char **why, const char *what)
{
	*why = what;
	return -EBADMSG;
}

int
jmap_field_parse(struct slice property, struct jmap_field *f, const char **why)
{
	struct slice rest = property, word;

	*f = (struct jmap_field){ .property = property };
	for (size_t i = 0; i < NELEM(convenience); i++)
		if (slice_eq(property, slice_str(convenience[i].property))) {
			f->name = slice_str(convenience[i].name);
			f->form = convenience[i].form;
			return 1;
		}
	if (!slice_starts(property, S("header:")))
		return 0;
	rest = slice_from(rest, 7);
	if (!slice_cut(&rest, ':', &f->name) || !field_name_fits(f->name))
		return field_wrong(why, "no name of a header field");
	if (property.p[property.n - 1] == ':')
		return field_wrong(why, "nothing behind the last colon");
	word = slice(rest.p, slice_find(rest, ':'));
	if (word.n > 0 && form_find(word, &f->form))
		rest = slice_from(rest, word.n + 1);
	if (slice_eq(rest, S("all"))) {
		f->all = true;
		rest.n = 0;
	}
	if (rest.n > 0)
		return field_wrong(why, "no form of a header field");
	if (!jmap_form_fits(f->form, f->name))
		return field_wrong(why, "the field cannot be given in this form");
	return 1;
}

/* ---- texts ---------------------------------------------------------------------------------------- */

/* Folds are undone as RFC 5322 2.2.3 says, which 4.1.2.2 names: line ends go, blanks stay. */
static struct slice
form_unfold(struct slice value, struct arena *a)
{
	char *dst;
	size_t n = 0;

	if (slice_find(value, '\n') == value.n && slice_find(value, '\r') == value.n)
		return value;
	dst = arena_new(a, value.n);
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] != '\r' && value.p[i] != '\n')
			dst[n++] = value.p[i];
	return slice(dst, n);
}

static bool
form_is_plain(struct slice s)
{
	return utf8_ascii(s) && slice_find_str(s, S("=?")) == s.n;
}

struct slice
jmap_text(struct slice value, struct arena *a)
{
	struct buf decoded = { 0 }, composed = { 0 };

	value = form_unfold(value, a);
	while (value.n > 0 && value.p[0] == ' ')
		value = slice_from(value, 1);
	if (form_is_plain(value))
		return value;
	encoded_word_parse_clean(&decoded, value);
	nfc_to(&composed, buf_get(&decoded));
	value = arena_slice(a, buf_get(&composed));
	buf_fini(&decoded);
	buf_fini(&composed);
	return value;
}

/* ---- addresses -------------------------------------------------------------------------------------- */

/* EmailAddress, 4.1.2.3. */
static void
form_address(struct buf *out, const struct address_item *it, struct arena *a)
{
	struct slice name = slice_trim(jmap_text(it->name, a));
	struct buf email = { 0 };

	if (it->host.n > 0)
		address_write_parts(&email, it->mailbox, it->host);
	else
		buf_slice(&email, it->mailbox); /* a name alone: what stands there is told */
	buf_lit(out, "{\"name\":");
	if (name.n > 0)
		json_str(out, name);
	else
		buf_lit(out, "null");
	buf_lit(out, ",\"email\":");
	json_str(out, buf_get(&email));
	buf_char(out, '}');
	buf_fini(&email);
}

static bool
item_is_address(const struct address_item *it)
{
	return it->kind == ADDRESS_MAILBOX &&
	    (it->mailbox.n > 0 || it->host.n > 0 || it->name.n > 0);
}

static void
form_addresses(struct buf *out, const struct address_list *list, struct arena *a)
{
	const char *comma = "";

	buf_char(out, '[');
	for (size_t i = 0; i < list->n; i++) {
		if (!item_is_address(&list->items[i]))
			continue;
		buf_str(out, comma);
		form_address(out, &list->items[i], a);
		comma = ",";
	}
	buf_char(out, ']');
}

static void
group_begin(struct buf *out, struct slice name, struct arena *a, bool *first)
{
	buf_str(out, *first ? "{\"name\":" : ",{\"name\":");
	*first = false;
	if (name.p)
		json_str(out, slice_trim(jmap_text(name, a)));
	else
		buf_lit(out, "null");
	buf_lit(out, ",\"addresses\":[");
}

/* EmailAddressGroup, 4.1.2.4: addresses outside of groups are collected in one without a name. */
static void
form_grouped(struct buf *out, const struct address_list *list, struct arena *a)
{
	bool first = true, open = false, named = false, empty = true;

	buf_char(out, '[');
	for (size_t i = 0; i < list->n; i++) {
		const struct address_item *it = &list->items[i];

		if (it->kind != ADDRESS_MAILBOX && open) {
			buf_lit(out, "]}");
			open = false;
		}
		if (it->kind == ADDRESS_GROUP_START) {
			group_begin(out, it->mailbox, a, &first);
			open = named = empty = true;
		} else if (it->kind == ADDRESS_GROUP_END) {
			named = false;
		} else if (item_is_address(it)) {
			if (!open && !named) {
				group_begin(out, slice(NULL, 0), a, &first);
				open = empty = true;
			}
			buf_str(out, empty ? "" : ",");
			form_address(out, it, a);
			empty = false;
		}
	}
	buf_str(out, open ? "]}]" : "]");
}

/* ---- lists of what stands in angle brackets ---------------------------------------------------------- */

/* "<" is taken: what stands before ">", without blanks and line ends, which are folds' (RFC 2369 2 says
 * so of URLs; in a msg-id they can be nothing else).  False: there is no ">". */
static bool
angle_take(struct slice *s, struct arena *a, struct slice *text)
{
	size_t n = slice_find(*s, '>'), len = 0;
	char *dst;

	if (n == s->n)
		return false;
	*text = slice(s->p, n);
	*s = slice_from(*s, n + 1);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text->p[i] <= ' ') {
			dst = arena_new(a, n);
			for (size_t k = 0; k < n; k++)
				if ((unsigned char)text->p[k] > ' ')
					dst[len++] = text->p[k];
			*text = slice(dst, len);
			break;
		}
	return true;
}

/* Takes a word that is none of the list: RFC 5322 4.5.4 lets phrases stand among msg-ids. */
static void
angle_skip_word(struct slice *s, struct arena *a)
{
	if (s->p[0] == '"')
		(void)token_quoted(s, a);
	else
		*s = slice_from(*s, 1);
}

/* Msg-ids (4.1.2.5) and URLs (4.1.2.7): an array; null when there is none or one has no end. */
static void
form_angles(struct buf *out, struct slice s, struct arena *a)
{
	size_t at = out->n;
	const char *comma = "[";
	struct slice text;

	for (token_skip(&s); s.n > 0; token_skip(&s)) {
		if (s.p[0] != '<') {
			angle_skip_word(&s, a);
			continue;
		}
		s = slice_from(s, 1);
		if (!angle_take(&s, a, &text)) {
			out->n = at;
			comma = "[";
			break;
		}
		if (text.n == 0)
			continue;
		buf_str(out, comma);
		json_str(out, text);
		comma = ",";
	}
	buf_str(out, *comma == ',' ? "]" : "null");
}

/* ---- the forms ----------------------------------------------------------------------------------------- */

static void
form_date(struct buf *out, struct slice value)
{
	struct date d;

	if (date_parse(value, &d) < 0) {
		buf_lit(out, "null");
		return;
	}
	buf_char(out, '"');
	date_iso_write(out, d.at, d.zone);
	buf_char(out, '"');
}

void
jmap_form_write(struct buf *out, enum jmap_form form, struct slice value, struct arena *scratch)
{
	struct address_list list;

	switch (form) {
	case JMAP_FORM_RAW: json_str(out, value); break;
	case JMAP_FORM_TEXT: json_str(out, jmap_text(value, scratch)); break;
	case JMAP_FORM_ADDRESSES:
		address_list_parse(value, ADDRESSES_MAX, scratch, &list);
		form_addresses(out, &list, scratch);
		break;
	case JMAP_FORM_GROUPED:
		address_list_parse(value, ADDRESSES_MAX, scratch, &list);
		form_grouped(out, &list, scratch);
		break;
	case JMAP_FORM_MESSAGE_IDS:
	case JMAP_FORM_URLS: form_angles(out, value, scratch); break;
	case JMAP_FORM_DATE: form_date(out, value); break;
	}
}
