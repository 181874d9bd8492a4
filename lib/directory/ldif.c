/* ldif.c: lines of LDIF and entries of them: see ldif.h.
 *
 * Called by lib/pab for contacts, and by cmd/diradm for users, lists and organisations.  Owns an entry's memory.  Can
 * fail with a reason in words.  Must stay true: an entry that is malformed is passed over whole. */
#include <errno.h>

#include "base/base64.h"
#include "base/secret.h"
#include "directory/ldif.h"

bool
dir_ldif_is(struct slice file)
{
	struct buf line = { 0 };
	bool is = false;

	if (slice_starts(file, S("\357\273\277")))
		file = slice_from(file, 3);
	while (dir_ldif_line(&file, &line, NULL, NULL) && !line.n)
		;
	is =
	    slice_istarts(buf_get(&line), S("dn:")) || slice_istarts(buf_get(&line), S("version:"));
	buf_fini(&line);
	return is;
}

bool
dir_ldif_line(struct slice *file, struct buf *text, unsigned *n, unsigned *at)
{
	struct slice line;
	bool comment;

	do {
		buf_clear(text);
		if (at)
			*at = *n;
		if (!file->n || !slice_cut(file, '\n', &line))
			return false;
		comment = line.n && line.p[0] == '#';
		for (;;) {
			if (n)
				++*n;
			if (line.n && line.p[line.n - 1] == '\r')
				line.n--;
			buf_slice(text, line);
			if (!file->n || file->p[0] != ' ')
				break;
			*file = slice_from(*file, 1);
			if (!slice_cut(file, '\n', &line))
				break;
		}
	} while (comment);
	return true;
}

void
dir_ldif_init(struct dir_ldif *l, struct slice file)
{
	*l = (struct dir_ldif){ .rest = file, .next = 1 };
	if (slice_starts(file, S("\357\273\277")))
		l->rest = slice_from(file, 3);
}

void
dir_ldif_fini(struct dir_ldif *l)
{
	arena_wipe(&l->memory); /* hashes of passwords */
	if (l->text.p)
		secret_clear(l->text.p, l->text.n);
	buf_fini(&l->text);
}

static const char *
ldif_value(struct dir_ldif *l, struct slice name, struct slice value)
{
	struct buf plain = { 0 };
	bool good = true;

	if (value.n && *value.p == '<')
		return "a value that is elsewhere is not read";
	if (value.n && *value.p == ':') {
		good = base64_parse(&plain, slice_trim(slice_from(value, 1))) == 0;
		value = buf_get(&plain);
	} else {
		while (value.n && *value.p == ' ')
			value = slice_from(value, 1);
	}
	if (good && slice_ieq(name, S("dn")))
		l->dn = slice_str(arena_cstr(&l->memory, value));
	else if (good)
		l->values[l->n++] = (struct dir_ldif_value){ arena_slice(&l->memory, name),
			slice_str(arena_cstr(&l->memory, value)) };
	good = good && slice_find(value, '\0') == value.n;
	if (plain.p)
		secret_clear(plain.p, plain.n);
	buf_fini(&plain);
	return good ? NULL : "a value is not base64, or no text";
}

static const char *
ldif_take(struct dir_ldif *l)
{
	struct slice value = buf_get(&l->text), name, bare;

	if (slice_find(value, ':') == value.n || !slice_cut(&value, ':', &name) ||
	    !slice_cut(&name, ';', &bare) || !bare.n)
		return "a line has no name and colon";
	if (!l->dn.n && l->n == 0 && slice_ieq(bare, S("version")))
		return slice_eq(slice_trim(value), S("1")) ? NULL : "it is another version";
	if (!l->dn.n && !slice_ieq(bare, S("dn")))
		return "an entry begins with dn";
	if (slice_ieq(bare, S("changetype")) || slice_ieq(bare, S("control")))
		return "entries are read, and not changes";
	if (l->n == DIR_LDIF_VALUES)
		return "it has too many values";
	if (l->n == l->room) {
		struct dir_ldif_value *v = arena_array(&l->memory, l->room * 2 + 64, sizeof(*v));

		if (l->n && l->values)
			memcpy(v, l->values, l->n * sizeof(*v));
		l->values = v;
		l->room = l->room * 2 + 64;
	}
	return ldif_value(l, bare, value);
}

int
dir_ldif_next(struct dir_ldif *l, const char **why)
{
	bool any = false;
	unsigned at;

	arena_wipe(&l->memory);
	l->values = NULL;
	l->n = l->room = 0;
	l->dn = S("");
	*why = NULL;
	while (dir_ldif_line(&l->rest, &l->text, &l->next, &at)) {
		if (l->text.n) {
			const char *bad = ldif_take(l);

			l->line = any ? l->line : at;
			any = any || l->dn.n || bad;
			*why = *why ? *why : bad;
		} else if (any) {
			break;
		}
	}
	return *why ? -EBADMSG : l->dn.n > 0;
}

struct slice
dir_ldif_get(const struct dir_ldif *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (slice_ieq(l->values[i].name, slice_str(name)))
			return l->values[i].value;
	return S("");
}

bool
dir_ldif_has(const struct dir_ldif *l, const char *name, const char *value)
{
	for (size_t i = 0; i < l->n; i++)
		if (slice_ieq(l->values[i].name, slice_str(name)) &&
		    slice_ieq(l->values[i].value, slice_str(value)))
			return true;
	return false;
}

/* SAFE-STRING of RFC 2849; a blank at the end is kept by base64 alone. */
static bool
ldif_safe(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!s.p[i] || s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] & 0x80)
			return false;
	return !s.n || (!strchr(" :<", s.p[0]) && s.p[s.n - 1] != ' ');
}

void
dir_ldif_write(struct buf *b, const char *name, struct slice value)
{
	bool safe = ldif_safe(value);

	buf_printf(b, "%s:%s", name, safe ? " " : ": ");
	if (safe)
		buf_slice(b, value);
	else
		base64_write(b, value);
	buf_char(b, '\n');
}
