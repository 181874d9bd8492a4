/* compose-field.c: values of header properties as RFC 5322 has them.
 *
 * Called by compose.c for each header property of a message and of its parts.  A value of another type, or
 * one that its form cannot hold, is the client's error.  What must stay true: what is written is read by
 * email-form.c as what was given; a draft may be half finished (4.6), so that an address need be none, but
 * whatever it is, it stays one element of its list; no octet of a value stands outside of its field. */
#include "jmap/compose-field.h"

#include <errno.h>

#include "base/utf8.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/encoded-word.h"
#include "mail/header.h"
#include "mail/param.h"

#define LINE_MAX 998 /* octets, RFC 5322 2.1.1 */

static int
field_refuse(const char **why, const char *what)
{
	*why = what;
	return -EBADMSG;
}

bool
jmap_word_fits(struct slice s, const char * not )
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || strchr(not, s.p[i]))
			return false;
	return s.n > 0;
}

/* ---- raw ------------------------------------------------------------------------------------------------ */

/* The value as it stands, which must be what one field can hold: lines that are not too long, each but the
 * first beginning with a blank and holding more. */
static int
field_raw(struct buf *out, const struct json_t *v, const char **why)
{
	struct slice s, line, rest;

	if (!json_get_str(v, &s))
		return field_refuse(why, "no string");
	for (rest = s; rest.n > 0 || rest.p == s.p;) {
		size_t n = slice_find_str(rest, S("\r\n"));

		line = slice(rest.p, n);
		if (line.n > LINE_MAX)
			return field_refuse(why, "a line of it is too long");
		if (rest.p > s.p &&
		    (line.n == 0 || (line.p[0] != ' ' && line.p[0] != '\t') ||
			slice_trim(line).n == 0))
			return field_refuse(why, "a line of it does not go on");
		for (size_t i = 0; i < line.n; i++)
			if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') ||
			    line.p[i] == 0x7f)
				return field_refuse(why, "a control character is in it");
		if (n == rest.n)
			break;
		rest = slice_from(rest, n + 2);
		if (rest.n == 0)
			return field_refuse(why, "a line of it does not go on");
	}
	buf_slice(out, s);
	return 0;
}

/* ---- text ------------------------------------------------------------------------------------------------ */

/* Line ends and other controls become blanks. */
static void
field_clean(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_char(out, (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ? ' ' : s.p[i]);
}

static int
field_words(struct buf *out, const struct json_t *v, const char **why)
{
	struct buf clean = { 0 };
	struct slice s;

	if (!json_get_str(v, &s))
		return field_refuse(why, "no string");
	field_clean(&clean, s);
	encoded_word_write(out, slice_trim(buf_get(&clean)), ENCODED_TEXT);
	buf_fini(&clean);
	return 0;
}

/* ---- addresses --------------------------------------------------------------------------------------------- */

/* An address as it is written: its domain for all servers, where its local part is for all. */
static void
email_address(struct buf *out, const struct address *addr)
{
	struct buf domain = { 0 };
	struct address plain = *addr;

	if (utf8_ascii(addr->local) && !utf8_ascii(addr->domain) &&
	    domain_write_ascii(&domain, addr->domain) == 0)
		plain.domain = buf_get(&domain);
	address_write(out, &plain);
	buf_fini(&domain);
}

/* What is no address (yet): one word, in quotes unless it needs none. */
static void
email_unfinished(struct buf *out, struct slice s)
{
	if (s.n == 0 || jmap_word_fits(s, "()<>@,;:\\\"[]")) {
		buf_slice(out, s);
		return;
	}
	buf_char(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_char(out, '\\');
		buf_char(out, s.p[i]);
	}
	buf_char(out, '"');
}

static void
email_write(struct buf *out, struct slice email, bool brackets)
{
	struct arena a = { 0 };
	struct address addr;
	const char *why;

	buf_str(out, brackets ? "<" : "");
	if (address_parse(email, ADDRESS_UTF8 | ADDRESS_LITERAL, &a, &addr, &why) == 0)
		email_address(out, &addr);
	else
		email_unfinished(out, email);
	buf_str(out, brackets ? ">" : "");
	arena_reset(&a);
}

/* EmailAddress, 4.1.2.3. */
static int
field_address(struct buf *out, const struct json_t *v, const char **why)
{
	struct slice name = { 0 }, email;
	struct buf clean = { 0 };
	struct json_walk w = { 0 };

	while (json_next(v, &w))
		if (!slice_eq(w.name, S("name")) && !slice_eq(w.name, S("email")))
			return field_refuse(why, "an address has a name and an email");
	if (!json_get_str(json_find(v, S("email")), &email))
		return field_refuse(why, "an address has no email");
	if (!json_none(json_find(v, S("name"))) && !json_get_str(json_find(v, S("name")), &name))
		return field_refuse(why, "a name is no string");
	for (size_t i = 0; i < email.n; i++)
		if ((unsigned char)email.p[i] < ' ' || email.p[i] == 0x7f)
			return field_refuse(why, "a control character is in an email");
	field_clean(&clean, name);
	name = slice_trim(buf_get(&clean));
	if (name.n > 0) {
		encoded_word_write(out, name, ENCODED_PHRASE);
		buf_char(out, ' ');
	}
	email_write(out, email, name.n > 0 || email.n == 0);
	buf_fini(&clean);
	return 0;
}

static int
field_addresses(struct buf *out, const struct json_t *v, const char **why)
{
	int r = 0;

	if (!json_is(v, JSON_KIND_ARRAY))
		return field_refuse(why, "no list");
	for (size_t i = 0; i < json_count(v) && r == 0; i++) {
		buf_str(out, i ? ", " : "");
		r = field_address(out, json_at(v, i), why);
	}
	return r;
}

/* EmailAddressGroup, 4.1.2.4; one without a name is its addresses. */
static int
field_group(struct buf *out, const struct json_t *v, const char **why)
{
	const struct json_t *name = json_find(v, S("name"));
	struct slice text;
	struct buf clean = { 0 };
	int r;

	if (json_none(name))
		return field_addresses(out, json_find(v, S("addresses")), why);
	if (!json_get_str(name, &text))
		return field_refuse(why, "a name is no string");
	field_clean(&clean, text);
	text = slice_trim(buf_get(&clean));
	if (text.n > 0)
		encoded_word_write(out, text, ENCODED_PHRASE);
	else
		buf_lit(out, "\"\"");
	buf_lit(out, ": ");
	buf_fini(&clean);
	r = field_addresses(out, json_find(v, S("addresses")), why);
	buf_char(out, ';');
	return r;
}

static int
field_groups(struct buf *out, const struct json_t *v, const char **why)
{
	int r = 0;

	if (!json_is(v, JSON_KIND_ARRAY))
		return field_refuse(why, "no list");
	for (size_t i = 0; i < json_count(v) && r == 0; i++) {
		size_t at = out->n;

		r = field_group(out, json_at(v, i), why);
		if (i > 0 && out->n > at && at > 0) { /* a comma between what is there */
			struct buf last = { 0 };

			buf_add(&last, out->p + at, out->n - at);
			out->n = at;
			buf_lit(out, ", ");
			buf_slice(out, buf_get(&last));
			buf_fini(&last);
		}
	}
	return r;
}

/* ---- ids, URLs, dates ----------------------------------------------------------------------------------------- */

static int
field_angles(struct buf *out, const struct json_t *v, const char *between, const char **why)
{
	struct slice s;

	if (!json_is(v, JSON_KIND_ARRAY))
		return field_refuse(why, "no list");
	for (size_t i = 0; i < json_count(v); i++) {
		if (!json_get_str(json_at(v, i), &s) || !jmap_word_fits(s, "<>"))
			return field_refuse(why, "an element of it cannot stand in angle brackets");
		buf_str(out, i ? between : "");
		buf_char(out, '<');
		buf_slice(out, s);
		buf_char(out, '>');
	}
	return 0;
}

static int
field_date(struct buf *out, const struct json_t *v, const char **why)
{
	struct slice s;
	struct date d;

	if (!json_get_str(v, &s) || date_iso_parse(s, &d) < 0)
		return field_refuse(why, "no date");
	date_write(out, d.at, d.zone);
	return 0;
}

/* ---- a field ------------------------------------------------------------------------------------------------------ */

static int
field_value(struct buf *out, enum jmap_form form, const struct json_t *v, const char **why)
{
	switch (form) {
	case JMAP_FORM_RAW: return field_raw(out, v, why);
	case JMAP_FORM_TEXT: return field_words(out, v, why);
	case JMAP_FORM_ADDRESSES: return field_addresses(out, v, why);
	case JMAP_FORM_GROUPED: return field_groups(out, v, why);
	case JMAP_FORM_MESSAGE_IDS: return field_angles(out, v, " ", why);
	case JMAP_FORM_DATE: return field_date(out, v, why);
	case JMAP_FORM_URLS: return field_angles(out, v, ", ", why);
	}
	return field_refuse(why, "no form");
}

static int
field_one(struct buf *out, const struct jmap_field *f, const struct json_t *v, const char **why)
{
	struct buf text = { 0 }, name = { 0 };
	int r = field_value(&text, f->form, v, why);

	if (r == 0 && f->form == JMAP_FORM_RAW &&
	    f->name.n + 1 + slice_find(buf_get(&text), '\r') > LINE_MAX)
		r = field_refuse(why, "a line of it is too long");
	if (r == 0 && f->form == JMAP_FORM_RAW) {
		buf_slice(out, f->name);
		buf_char(out, ':');
		buf_slice(out, buf_get(&text));
		buf_lit(out, "\r\n");
	} else if (r == 0 && (text.n > 0 || f->form == JMAP_FORM_TEXT)) {
		buf_slice(&name, f->name);
		header_write(out, buf_cstr(&name), buf_get(&text));
	}
	buf_fini(&text);
	buf_fini(&name);
	return r;
}

int
jmap_field_write(struct buf *out, const struct jmap_field *f, const struct json_t *value,
    const char **why)
{
	size_t at = out->n;
	int r = 0;

	if (json_none(value))
		return 0;
	if (!f->all)
		return field_one(out, f, value, why);
	if (!json_is(value, JSON_KIND_ARRAY))
		return field_refuse(why, "no list");
	for (size_t i = 0; i < json_count(value) && r == 0; i++)
		r = field_one(out, f, json_at(value, i), why);
	if (r < 0)
		out->n = at;
	return r;
}

void
jmap_param_write(struct buf *out, const char *name, struct slice value)
{
	bool plain = utf8_ascii(value);

	for (size_t i = 0; i < value.n && plain; i++)
		plain = (unsigned char)value.p[i] >= ' ' && value.p[i] != 0x7f;
	buf_printf(out, "; %s", name);
	/* blanks may become one where a line is folded */
	if (!plain || slice_find_str(value, S("=?")) < value.n ||
	    slice_find_str(value, S("  ")) < value.n || slice_trim(value).n < value.n) {
		buf_lit(out, "*=");
		param_extended_write(out, &(struct param){ .value = value });
		return;
	}
	buf_lit(out, "=\"");
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			buf_char(out, '\\');
		buf_char(out, value.p[i]);
	}
	buf_char(out, '"');
}
