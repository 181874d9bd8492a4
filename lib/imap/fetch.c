/* imap/fetch.c: fetch-att, RFC 3501 6.4.5 and 9; CHANGEDSINCE, RFC 7162 3.1.4. */
#include "imap/fetch.h"

#include "imap/write.h"

static const struct {
	const char *name;
	unsigned items;
	bool macro;
} simple[] = {
	{ "ALL", IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE | IMAP_FETCH_ENVELOPE,
	    true },
	{ "FAST", IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE, true },
	{ "FULL", IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE |
	    IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY, true },
	{ "UID", IMAP_FETCH_UID, false },
	{ "FLAGS", IMAP_FETCH_FLAGS, false },
	{ "INTERNALDATE", IMAP_FETCH_INTERNALDATE, false },
	{ "RFC822.SIZE", IMAP_FETCH_SIZE, false },
	{ "ENVELOPE", IMAP_FETCH_ENVELOPE, false },
	{ "BODYSTRUCTURE", IMAP_FETCH_BODYSTRUCTURE, false },
	{ "MODSEQ", IMAP_FETCH_MODSEQ, false },
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
fail(struct imap_in *in, const char *why)
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
			return fail(in, "Too many header fields");
		if (!imap_astring(in, &s->fields[s->nfields++]))
			return false;
	}
	return more == 0;
}

/* section-spec up to and with "]", then "<start.len>". */
static bool
parse_section(struct imap_in *in, struct imap_section *s)
{
	uint32_t path[IMAP_PATH_MAX] = { 0 };
	bool dot = true;

	s->kind = IMAP_SECTION_ALL;
	while (dot && in->s.n > 0 && in->s.p[0] >= '0' && in->s.p[0] <= '9') {
		if (s->npath == IMAP_PATH_MAX)
			return fail(in, "Section too deep");
		if (!imap_nz_number(in, &path[s->npath++]))
			return false;
		dot = imap_char(in, '.');
	}
	s->path = arena_array(in->arena, s->npath + 1, sizeof(*s->path));
	memcpy(s->path, path, s->npath * sizeof(*path));
	if (s->npath > 0 && dot && imap_next_is(in, ']'))
		return fail(in, "Bad section");
	if (dot && !imap_next_is(in, ']')) {
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
			return fail(in, "Bad section");
		if ((s->kind == IMAP_SECTION_FIELDS || s->kind == IMAP_SECTION_FIELDS_NOT) &&
		    !parse_fields(in, s))
			return false;
	}
	if (!imap_char(in, ']'))
		return fail(in, "] expected");
	if (!imap_char(in, '<'))
		return true;
	s->partial = true;
	return imap_number(in, &s->start) &&
	    (imap_char(in, '.') || fail(in, "Bad partial")) && imap_nz_number(in, &s->len) &&
	    (imap_char(in, '>') || fail(in, "Bad partial"));
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

static bool
parse_item(struct imap_in *in, struct imap_fetch *f, bool alone)
{
	for (size_t i = 0; i < NELEM(simple); i++)
		if ((alone || !simple[i].macro) && imap_word(in, simple[i].name)) {
			f->items |= simple[i].items;
			return true;
		}
	if (f->nsections == IMAP_ITEMS_MAX)
		return fail(in, "Too many items");
	for (size_t i = 0; i < NELEM(old_style); i++)
		if (imap_word(in, old_style[i].name)) {
			struct imap_section *s = new_section(in, f);

			*s = (struct imap_section){ .kind = old_style[i].kind,
				.peek = old_style[i].peek, .label = old_style[i].name };
			return true;
		}
	if (slice_istarts(in->s, S("BODY[")) || slice_istarts(in->s, S("BODY.PEEK["))) {
		struct imap_section s = { .peek = in->s.p[4] == '.' };

		in->s = slice_from(in->s, s.peek ? 10 : 5);
		if (!parse_section(in, &s))
			return false;
		*new_section(in, f) = s;
		return true;
	}
	if (imap_word(in, "BODY")) {
		f->items |= IMAP_FETCH_BODY;
		return true;
	}
	return fail(in, "Unknown FETCH item");
}

static bool
parse_modifiers(struct imap_in *in, struct imap_fetch *f)
{
	int more = 1;

	if (!imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in)) {
		if (!imap_word(in, "CHANGEDSINCE"))
			return fail(in, "Unknown FETCH modifier");
		if (!imap_space(in) || !imap_modseq(in, &f->since))
			return false;
		f->changedsince = true;
		f->items |= IMAP_FETCH_MODSEQ; /* RFC 7162 3.1.4.1: implied */
	}
	return more == 0;
}

bool
imap_fetch_parse(struct imap_in *in, struct imap_fetch *f)
{
	*f = (struct imap_fetch){ 0 };
	if (imap_next_is(in, '(')) {
		int more = 1;

		if (!imap_open(in))
			return false;
		for (; more > 0; more = imap_more(in))
			if (!parse_item(in, f, false))
				return false;
		if (more < 0)
			return false;
	} else if (!parse_item(in, f, true)) {
		return false;
	}
	return in->s.n < 2 || !slice_starts(in->s, S(" (")) ||
	    (imap_space(in) && parse_modifiers(in, f));
}

void
imap_section_write(struct buf *b, const struct imap_section *s)
{
	static const char *const kinds[] = {
		[IMAP_SECTION_ALL] = "",          [IMAP_SECTION_HEADER] = "HEADER",
		[IMAP_SECTION_FIELDS] = "HEADER.FIELDS", [IMAP_SECTION_FIELDS_NOT] = "HEADER.FIELDS.NOT",
		[IMAP_SECTION_TEXT] = "TEXT",     [IMAP_SECTION_MIME] = "MIME",
	};

	if (s->label) {
		buf_str(b, s->label);
		return;
	}
	buf_lit(b, "BODY[");
	for (size_t i = 0; i < s->npath; i++) {
		if (i > 0)
			buf_char(b, '.');
		buf_u64(b, s->path[i]);
	}
	if (s->npath > 0 && s->kind != IMAP_SECTION_ALL)
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

static bool
named(struct slice name, const struct slice *fields, size_t nfields)
{
	for (size_t i = 0; i < nfields; i++)
		if (slice_ieq(name, fields[i]))
			return true;
	return false;
}

void
imap_header_pick(struct buf *b, struct slice header, const struct slice *fields, size_t nfields,
    bool not)
{
	bool keep = false;

	while (header.n > 0) {
		size_t n = slice_find(header, '\n');
		struct slice line = slice(header.p, n < header.n ? n + 1 : n);

		header = slice_from(header, line.n);
		if (line.p[0] == '\n' || (line.p[0] == '\r' && line.n <= 2))
			break;
		if (line.p[0] != ' ' && line.p[0] != '\t') {
			size_t colon = slice_find(line, ':');
			struct slice name = slice_trim(slice(line.p, colon));

			keep = named(name, fields, nfields) != not && (colon < line.n || not);
		}
		if (keep)
			buf_slice(b, line);
	}
	buf_lit(b, "\r\n");
}
