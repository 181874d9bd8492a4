/* pab/vcard-line.c: lines of a vCard: unfolded, cut into name, parameters and value.  See vcard-line.h.
 *
 * What telephones write as vCard 2.1 is read too: parameters without names, and quoted-printable, whose lines are folded by
 * a "=" at the end (RFC 2045 6.7), in ISO 8859-1 where it says another charset than UTF-8.  Pure; costs the octets. */
#include "pab/vcard-line.h"

/* One physical line without its end; false at the end of the file. */
static bool
line_take(struct slice *at, struct slice *line)
{
	size_t n = 0;

	if (!at->n)
		return false;
	while (n < at->n && at->p[n] != '\n' && at->p[n] != '\r')
		n++;
	*line = slice(at->p, n);
	if (n + 1 < at->n && at->p[n] == '\r' && at->p[n + 1] == '\n')
		n++;
	*at = slice_from(*at, n + 1);
	return true;
}

/* The length of a parameter or a name, to a delimiter outside quotes. */
static size_t
param_end(struct slice s, const char *ends)
{
	bool quote = false;
	size_t n = 0;

	for (; n < s.n && (quote || !strchr(ends, s.p[n]) || !s.p[n]); n++)
		if (s.p[n] == '"')
			quote = !quote;
	return n;
}

/* Does one of the parameters say quoted-printable? */
static bool
line_quoted(struct slice line)
{
	struct slice head = slice_sub(line, 0, param_end(line, ":"));

	head = slice_from(head, slice_find(head, ';'));
	return slice_ifind_str(head, S("QUOTED-PRINTABLE")) < head.n;
}

/* A property's line (RFC 6350 3.2); of quoted-printable, also behind a "=" at the end. */
bool
pab_vcard_line_unfold(struct vcard_line *l, struct slice *at)
{
	struct slice line;
	bool quoted;

	buf_clear(&l->whole);
	if (!line_take(at, &line))
		return false;
	buf_slice(&l->whole, line);
	quoted = line_quoted(line);
	for (;;) {
		bool soft = quoted && line.n && line.p[line.n - 1] == '=';

		if (!at->n || (!soft && at->p[0] != ' ' && at->p[0] != '\t'))
			return true;
		if (soft)
			l->whole.n--;
		if (!line_take(at, &line))
			return true;
		buf_slice(&l->whole, soft ? line : slice_from(line, 1));
	}
}

bool
pab_vcard_line_property(struct vcard_line *l)
{
	struct slice s = buf_get(&l->whole);
	size_t n = param_end(s, ":;"), dot;

	if (n == s.n)
		return false;
	l->name = slice(s.p, n);
	if ((dot = slice_find(l->name, '.')) < n) /* a group */
		l->name = slice_from(l->name, dot + 1);
	l->nparams = 0;
	while (n < s.n && s.p[n] == ';') {
		struct slice p = slice_from(s, n + 1), name;

		n += 1 + param_end(p, ":;");
		p = slice(p.p, (size_t)(s.p + n - p.p));
		if (l->nparams == VCARD_PARAMS_MAX)
			continue;
		if (slice_find(p, '=') == p.n) { /* 2.1 */
			bool encoding =
			    slice_ieq(p, S("QUOTED-PRINTABLE")) || slice_ieq(p, S("BASE64"));

			name = encoding ? S("ENCODING") : S("TYPE");
		} else {
			(void)slice_cut(&p, '=', &name);
		}
		l->param[l->nparams].name = name;
		l->param[l->nparams++].value = p;
	}
	if (n >= s.n)
		return false;
	l->value = slice_from(s, n + 1);
	return l->name.n > 0;
}

/* Is this word among the values of TYPE? */
bool
pab_vcard_has_type(const struct vcard_line *l, struct slice type)
{
	for (size_t i = 0; i < l->nparams; i++) {
		struct slice all = l->param[i].value, one;

		if (!slice_ieq(l->param[i].name, S("TYPE")))
			continue;
		if (all.n >= 2 && all.p[0] == '"')
			all = slice_sub(all, 1, all.n - 2);
		while (slice_cut(&all, ',', &one))
			if (slice_ieq(slice_trim(one), type))
				return true;
	}
	return false;
}

struct slice
pab_vcard_param(const struct vcard_line *l, struct slice name)
{
	for (size_t i = 0; i < l->nparams; i++)
		if (slice_ieq(l->param[i].name, name))
			return l->param[i].value;
	return S("");
}

/* A character of what has another charset than UTF-8: ISO 8859-1, as all of those in use begin. */
static void
put_octet(struct buf *b, unsigned char c, bool utf8)
{
	if (utf8 || c < 0x80) {
		buf_char(b, (char)c);
		return;
	}
	buf_char(b, (char)(0xc0 | c >> 6));
	buf_char(b, (char)(0x80 | (c & 0x3f)));
}

/* What quoted-printable stands for. */
void
pab_vcard_line_decode(struct vcard_line *l)
{
	struct slice s = l->value, charset = pab_vcard_param(l, S("CHARSET"));
	bool utf8 = !charset.n || slice_ieq(charset, S("UTF-8"));

	if (!slice_ieq(pab_vcard_param(l, S("ENCODING")), S("QUOTED-PRINTABLE")))
		return;
	buf_clear(&l->decoded);
	for (size_t i = 0; i < s.n; i++) {
		int high = s.p[i] == '=' && i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1;
		int low = high >= 0 ? ascii_hex(s.p[i + 2]) : -1;

		if (low >= 0)
			i += 2;
		put_octet(&l->decoded,
		    low >= 0 ? (unsigned char)(high << 4 | low) : (unsigned char)s.p[i], utf8);
	}
	l->value = buf_get(&l->decoded);
}

/* The next part of a value, to a separator that is not escaped; false behind the last. */
bool
pab_vcard_part_take(struct slice *s, char by, struct slice *part)
{
	size_t n = 0;

	if (!s->p)
		return false;
	for (; n < s->n && s->p[n] != by; n++)
		if (s->p[n] == '\\' && n + 1 < s->n)
			n++;
	n = n < s->n ? n : s->n;
	*part = slice(s->p, n);
	*s = n < s->n ? slice_from(*s, n + 1) : slice(NULL, 0);
	return true;
}

/* Without escapes and blanks around it; valid until the next. */
struct slice
pab_vcard_plain(struct vcard_line *l, struct slice s)
{
	buf_clear(&l->text);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\\' && i + 1 < s.n) {
			c = s.p[++i];
			c = c == 'n' || c == 'N' ? '\n' : c;
		}
		buf_char(&l->text, c);
	}
	return slice_trim(buf_get(&l->text));
}

void
pab_vcard_line_fini(struct vcard_line *l)
{
	buf_fini(&l->whole);
	buf_fini(&l->decoded);
	buf_fini(&l->text);
}
