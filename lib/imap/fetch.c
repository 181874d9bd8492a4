/* imap/fetch.c: fetch-att, RFC 3501 6.4.5 and 9, RFC 3516; CHANGEDSINCE, RFC 7162 3.1.4; VANISHED, 3.2.6.
 *
 * Pure; called by imapd with its table of items, so that an item of a later RFC is a row there.
 * What fails is the client's text.  The number of items, sections or not, and of fields in a section
 * is bounded here; what writing them all costs is bounded by the cursor that does it. */
#include "imap/fetch.h"

#include "imap/write.h"

/* Macros stand alone, not in a list. */
static const struct {
	const char *name;
	const char *items[6];
} macros[] = {
	{ "ALL", { "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE" } },
	{ "FAST", { "FLAGS", "INTERNALDATE", "RFC822.SIZE" } },
	{ "FULL", { "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY" } },
};

static const struct {
	const char *name;
	enum imap_section_kind kind;
	bool peek;
} old_style[] = {
	{ "RFC822.HEADER", IMAP_SECTION_HEADER, true },
	{ "RFC822.TEXT", IMAP_SECTION_TEXT, false },
	{ "RFC822", IMAP_SECTION_ALL, false },
};

static bool
imap_fetch_fail(struct imap_in *in, const char *why)
{
	if (!in->why)
		in->why = why;
	return false;
}

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static bool
parse_fields(struct imap_in *in, struct imap_section *s)
{
	size_t room = 8;
	int more = 1;

	s->fields = arena_array(in->arena, room, sizeof(*s->fields));
	if (!imap_space(in) || !imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in)) {
		if (s->nfields == room) {
			struct slice *f = arena_array(in->arena, room * 2, sizeof(*f));

			memcpy(f, s->fields, room * sizeof(*f));
			s->fields = f;
			room *= 2;
		}
		if (s->nfields == IMAP_ITEMS_MAX)
			return imap_fetch_fail(in, "Too many header fields");
		if (!imap_astring(in, &s->fields[s->nfields++]))
			return false;
	}
	return more == 0;
}

/* section-part: "1.2.3", and whether something is to follow it. */
static bool
parse_section_path(struct imap_in *in, struct imap_section *s, bool *dot)
{
	uint32_t path[IMAP_PATH_MAX] = { 0 };

	*dot = true;
	while (*dot && in->s.n > 0 && in->s.p[0] >= '0' && in->s.p[0] <= '9') {
		if (s->npath == IMAP_PATH_MAX)
			return imap_fetch_fail(in, "Section too deep");
		if (!imap_nz_number(in, &path[s->npath++]))
			return false;
		*dot = imap_char(in, '.');
	}
	s->path = arena_array(in->arena, s->npath + 1, sizeof(*s->path));
	memcpy(s->path, path, s->npath * sizeof(*path));
	return !(s->npath > 0 && *dot && imap_next_is(in, ']')) ||
	    imap_fetch_fail(in, "Bad section");
}

/* What may stand behind the path: HEADER and the others. */
static bool
parse_kind(struct imap_in *in, struct imap_section *s)
{
	if (imap_word(in, "HEADER.FIELDS.NOT"))
		s->kind = IMAP_SECTION_FIELDS_NOT;
	else if (imap_word(in, "HEADER.FIELDS"))
		s->kind = IMAP_SECTION_FIELDS;
	else if (imap_word(in, "HEADER"))
		s->kind = IMAP_SECTION_HEADER;
	else if (imap_word(in, "TEXT"))
		s->kind = IMAP_SECTION_TEXT;
	else if (s->npath > 0 && imap_word(in, "MIME"))
		s->kind = IMAP_SECTION_MIME;
	else
		return imap_fetch_fail(in, "Bad section");
	return (s->kind != IMAP_SECTION_FIELDS && s->kind != IMAP_SECTION_FIELDS_NOT) ||
	    parse_fields(in, s);
}

/* ["<" start "." len ">"] */
static bool
parse_partial(struct imap_in *in, struct imap_section *s)
{
	if (!imap_char(in, '<'))
		return true;
	s->partial = true;
	return imap_number(in, &s->start) &&
	    (imap_char(in, '.') || imap_fetch_fail(in, "Bad partial")) &&
	    imap_nz_number(in, &s->len) &&
	    (imap_char(in, '>') || imap_fetch_fail(in, "Bad partial"));
}

static bool
parse_close(struct imap_in *in)
{
	return imap_char(in, ']') || imap_fetch_fail(in, "] expected");
}

/* section-spec up to and with "]", then "<start.len>". */
static bool
parse_section(struct imap_in *in, struct imap_section *s)
{
	bool dot;

	s->kind = IMAP_SECTION_ALL;
	return parse_section_path(in, s, &dot) &&
	    (!dot || imap_next_is(in, ']') || parse_kind(in, s)) && parse_close(in) &&
	    parse_partial(in, s);
}

static struct imap_section *
new_section(struct imap_in *in, struct imap_fetch *f)
{
	/* Room doubles at powers of two. */
	if ((f->nsections & (f->nsections - 1)) == 0) {
		size_t room = f->nsections ? f->nsections * 2 : 1;
		struct imap_section *s = arena_array(in->arena, room, sizeof(*s));

		if (f->nsections)
			memcpy(s, f->sections, f->nsections * sizeof(*s));
		f->sections = s;
	}
	return &f->sections[f->nsections++];
}

bool
imap_fetch_section(struct imap_in *in, struct imap_fetch *f, const struct imap_fetch_item *it)
{
	struct imap_section s = { .peek = strchr(it->name, '.') };

	if (!parse_section(in, &s))
		return false;
	f->need |= s.kind == IMAP_SECTION_FIELDS || s.kind == IMAP_SECTION_FIELDS_NOT ?
	    IMAP_NEED_HEADER :
	    IMAP_NEED_BODY;
	*new_section(in, f) = s;
	return true;
}

bool
imap_fetch_binary(struct imap_in *in, struct imap_fetch *f, const struct imap_fetch_item *it)
{
	struct imap_section s = { .kind = IMAP_SECTION_BINARY, .peek = strchr(it->name, '.') };
	bool size = strstr(it->name, ".SIZE"), dot;

	if (size)
		s.kind = IMAP_SECTION_BINARY_SIZE;
	if (!parse_section_path(in, &s, &dot) || !parse_close(in) ||
	    (!size && !parse_partial(in, &s)))
		return false;
	f->need |= IMAP_NEED_BODY;
	*new_section(in, f) = s;
	return true;
}

bool
imap_fetch_preview(struct imap_in *in, struct imap_fetch *f,
    const struct imap_fetch_item *it UNUSED)
{
	/* "(" may also begin the modifiers of the command. */
	if (!slice_istarts(in->s, S(" (LAZY")))
		return true;
	f->lazy = true;
	return imap_space(in) && imap_open(in) && imap_word(in, "LAZY") &&
	    (imap_more(in) == 0 || imap_fetch_fail(in, "Unknown PREVIEW modifier"));
}

bool
imap_fetch_rfc822(struct imap_in *in, struct imap_fetch *f, const struct imap_fetch_item *it)
{
	for (size_t i = 0; i < NELEM(old_style); i++)
		if (!strcmp(it->name, old_style[i].name))
			*new_section(in, f) = (struct imap_section){ .kind = old_style[i].kind,
				.peek = old_style[i].peek,
				.label = old_style[i].name };
	f->need |= IMAP_NEED_BODY;
	return true;
}

/* The whole word, or for a section all up to its bracket. */
static bool
take_item_name(struct imap_in *in, const char *name)
{
	struct slice n = slice_str(name);

	if (n.p[n.n - 1] != '[')
		return imap_word(in, name);
	if (!slice_istarts(in->s, n))
		return false;
	in->s = slice_from(in->s, n.n);
	return true;
}

/* The table that a command is read with. */
struct fetch_table {
	const struct imap_fetch_item *items;
	size_t n;
};

static bool
parse_item(struct imap_in *in, const struct fetch_table *t, struct imap_fetch *f)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct imap_fetch_item *it = &t->items[i];

		if (!take_item_name(in, it->name))
			continue;
		if (f->nitems++ == IMAP_ITEMS_MAX)
			return imap_fetch_fail(in, "Too many items");
		f->need |= it->need;
		if (it->parse && !it->parse(in, f, it))
			return false;
		if (it->parse && !it->write)
			return true;
		f->items |= IMAP_FETCH_BIT(i);
		return true;
	}
	return imap_fetch_fail(in, "Unknown FETCH item");
}

/* False: no macro stands there. */
static bool
parse_macro(struct imap_in *in, const struct fetch_table *t, struct imap_fetch *f)
{
	for (size_t i = 0; i < NELEM(macros); i++) {
		if (!imap_word(in, macros[i].name))
			continue;
		for (const char *const *name = macros[i].items; *name; name++) {
			struct imap_in one = { .s = slice_str(*name), .arena = in->arena };

			if (!parse_item(&one, t, f))
				return imap_fetch_fail(in, "Unknown FETCH item");
		}
		return true;
	}
	return false;
}

static bool
imap_fetch_parse_modifiers(struct imap_in *in, size_t modseq, struct imap_fetch *f)
{
	int more = 1;

	if (!imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in)) {
		if (!f->partial.text.p && imap_word(in, "PARTIAL")) {
			if (!imap_space(in) || !imap_partial_range(in, &f->partial))
				return false;
			continue;
		}
		if (!f->vanished && imap_word(in, "VANISHED")) {
			f->vanished = true;
			continue;
		}
		if (!imap_word(in, "CHANGEDSINCE"))
			return imap_fetch_fail(in, "Unknown FETCH modifier");
		if (!imap_space(in) || !imap_modseq(in, &f->since))
			return false;
		f->changedsince = true;
		f->items |= IMAP_FETCH_BIT(modseq); /* RFC 7162 3.1.4.1: implied */
	}
	/* RFC 7162 3.2.6: "only allowed together with CHANGEDSINCE" */
	if (f->vanished && !f->changedsince)
		return imap_fetch_fail(in, "VANISHED needs CHANGEDSINCE");
	return more == 0;
}

bool
imap_fetch_parse(struct imap_in *in, const struct imap_fetch_item *items, size_t nitems,
    size_t modseq, struct imap_fetch *f)
{
	const struct fetch_table t = { items, nitems };

	*f = (struct imap_fetch){ 0 };
	if (imap_next_is(in, '(')) {
		int more = 1;

		if (!imap_open(in))
			return false;
		for (; more > 0; more = imap_more(in))
			if (!parse_item(in, &t, f))
				return false;
		if (more < 0)
			return false;
	} else if (!parse_macro(in, &t, f) && !parse_item(in, &t, f)) {
		return false;
	}
	return in->s.n < 2 || !slice_starts(in->s, S(" (")) ||
	    (imap_space(in) && imap_fetch_parse_modifiers(in, modseq, f));
}

void
imap_section_write(struct buf *b, const struct imap_section *s)
{
	/* clang-format off */
	static const char *const kinds[] = {
		[IMAP_SECTION_ALL] = "",          [IMAP_SECTION_HEADER] = "HEADER",
		[IMAP_SECTION_FIELDS] = "HEADER.FIELDS", [IMAP_SECTION_FIELDS_NOT] = "HEADER.FIELDS.NOT",
		[IMAP_SECTION_TEXT] = "TEXT",     [IMAP_SECTION_MIME] = "MIME",
		[IMAP_SECTION_BINARY] = "",       [IMAP_SECTION_BINARY_SIZE] = "",
	};
	/* clang-format on */

	if (s->label) {
		buf_str(b, s->label);
		return;
	}
	buf_str(b,
	    s->kind == IMAP_SECTION_BINARY          ? "BINARY[" :
		s->kind == IMAP_SECTION_BINARY_SIZE ? "BINARY.SIZE[" :
						      "BODY[");
	for (size_t i = 0; i < s->npath; i++) {
		if (i > 0)
			buf_char(b, '.');
		buf_u64(b, s->path[i]);
	}
	if (s->npath > 0 && *kinds[s->kind])
		buf_char(b, '.');
	buf_str(b, kinds[s->kind]);
	if (s->kind == IMAP_SECTION_FIELDS || s->kind == IMAP_SECTION_FIELDS_NOT) {
		buf_lit(b, " (");
		for (size_t i = 0; i < s->nfields; i++) {
			if (i > 0)
				buf_char(b, ' ');
			imap_write_astring(b, s->fields[i]);
		}
		buf_char(b, ')');
	}
	buf_char(b, ']');
	if (s->partial) {
		buf_char(b, '<');
		buf_u64(b, s->start);
		buf_char(b, '>');
	}
}
