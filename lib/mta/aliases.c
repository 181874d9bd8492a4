/* aliases.c: reading the alias file: see aliases.h.
 *
 * Called with the other files of the MTA at start and at each reload; a mistake anywhere refuses the whole,
 * and the caller keeps what it had.  Must stay true: an alias never has fewer targets than its file says,
 * so what cannot be read is a mistake and is not left out. */
#include <string.h>
#include "base/map.h"
#include "base/mem.h"
#include "mta/aliases.h"

struct mta_aliases {
	struct arena arena;
	struct map by_name;
	size_t octets;
};

/* One compilation. */
struct compile {
	struct mta_aliases *a;
	mta_read_fn *read;
	void *arg;
	struct mta_notes *notes;
	struct mta_target *targets; /* of the alias at hand; grows */
	size_t n, room;
	int depth; /* of :include: */
};

static bool
aliases_load(struct compile *c, const char *path, const struct mta_line *at, struct buf *out)
{
	int e = c->read(c->arg, path, out);

	if (e < 0) {
		mta_error(c->notes, at, "%s: %s", path, strerror(-e));
		return false;
	}
	c->a->octets += out->n;
	if (c->a->octets > MTA_TEXT_MAX || memchr(out->p ? out->p : "", '\0', out->n)) {
		mta_error(c->notes, at, "%s: too large, or no text", path);
		return false;
	}
	return true;
}

static void
target_add(struct compile *c, enum mta_target_kind kind, struct slice text)
{
	if (c->n == c->room) {
		c->room = c->room ? c->room * 2 : 16;
		c->targets = mem_grow(c->targets, c->room, sizeof(*c->targets));
	}
	c->targets[c->n++] = (struct mta_target){ kind, arena_slice(&c->a->arena, text) };
}

static void aliases_include(struct compile *c, struct slice path, const struct mta_line *at);

/* One target, trimmed.  Quotes around the whole of it are taken off. */
static void
alias_target(struct compile *c, struct slice s, const struct mta_line *at)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"' &&
	    slice_find(slice_sub(s, 1, s.n - 2), '"') == s.n - 2)
		s = slice_trim(slice_sub(s, 1, s.n - 2));
	if (s.n == 0)
		return;
	if (slice_istarts(s, S(":include:"))) {
		aliases_include(c, slice_trim(slice_from(s, 9)), at);
	} else if (s.p[0] == '|' || s.p[0] == '/') {
		if (s.p[0] == '/')
			mta_warn(c->notes, at, "files get no mail here: " SFMT, SARG(s));
		else if (slice_find(s, '/') < s.n || slice_find(s, ' ') < s.n)
			mta_warn(c->notes, at,
			    "after | stands the name of a program of piped.conf, not " SFMT,
			    SARG(slice_from(s, 1)));
		target_add(c, s.p[0] == '|' ? MTA_TARGET_PROGRAM : MTA_TARGET_FILE, s);
	} else if (s.p[0] == ':') {
		mta_error(c->notes, at, "expected :include: or an address, not " SFMT, SARG(s));
	} else {
		target_add(c, MTA_TARGET_ADDRESS, s);
	}
}

/* Targets between commas that stand outside quotes. */
static void
alias_targets(struct compile *c, struct slice s, const struct mta_line *at)
{
	size_t from = 0;
	bool quoted = false;

	for (size_t i = 0; i <= s.n; i++) {
		if (i < s.n && s.p[i] == '"')
			quoted = !quoted;
		if (i < s.n && (quoted || s.p[i] != ','))
			continue;
		alias_target(c, slice_trim(slice_sub(s, from, i - from)), at);
		from = i + 1;
	}
	if (quoted)
		mta_error(c->notes, at, "a quote that does not end");
}

static bool
is_comment(struct slice line)
{
	line = slice_trim(line);
	return line.n == 0 || line.p[0] == '#';
}

static void
aliases_include(struct compile *c, struct slice path, const struct mta_line *at)
{
	char *name = arena_cstr(&c->a->arena, path);
	struct buf text = { 0 };
	struct slice rest, line;
	struct mta_line here = { .file = name };

	if (name[0] != '/' || c->depth == MTA_NEST_MAX) {
		mta_error(c->notes, at,
		    ":include: of %s: expected an absolute path, at most %d deep", name,
		    MTA_NEST_MAX);
		return;
	}
	c->depth++;
	if (aliases_load(c, name, at, &text)) {
		rest = buf_get(&text);
		while (slice_cut(&rest, '\n', &line)) {
			here.line++;
			if (!is_comment(line))
				alias_targets(c, slice_trim(line), &here);
		}
	}
	buf_fini(&text);
	c->depth--;
}

/* "name: targets", continued lines joined. */
static void
alias_add(struct compile *c, struct slice text, const struct mta_line *at)
{
	struct mta_aliases *a = c->a;
	const struct mta_alias *old;
	struct mta_alias *alias;
	size_t colon = 0;
	bool quoted = false;
	struct slice name;

	while (colon < text.n && (quoted || text.p[colon] != ':')) {
		quoted ^= text.p[colon] == '"';
		colon++;
	}
	name = slice_trim(slice_sub(text, 0, colon));
	if (name.n >= 2 && name.p[0] == '"' && name.p[name.n - 1] == '"')
		name = slice_sub(name, 1, name.n - 2);
	if (colon == text.n || name.n == 0 || name.n > MTA_STRING_MAX) {
		mta_error(c->notes, at, "expected \"name: address, address ...\"");
		return;
	}
	name = mta_lower(&a->arena, name);
	if ((old = map_get(&a->by_name, name))) {
		mta_error(c->notes, at, "the name " SFMT " stands in line %d already", SARG(name),
		    old->line);
		return;
	}
	c->n = 0;
	alias_targets(c, slice_from(text, colon + 1), at);
	if (c->n == 0) {
		mta_error(c->notes, at, "nobody gets the mail of " SFMT, SARG(name));
		return;
	}
	alias = arena_new(&a->arena, sizeof(*alias));
	*alias = (struct mta_alias){ .name = name, .n = c->n, .file = at->file, .line = at->line };
	alias->targets = memcpy(arena_array(&a->arena, c->n, sizeof(*c->targets)), c->targets,
	    c->n * sizeof(*c->targets));
	(void)map_put(&a->by_name, name, alias);
}

static void
aliases_read(struct compile *c, struct slice rest, struct mta_line *at)
{
	struct buf entry = { 0 };
	struct slice line;
	int number = 0;

	while (slice_cut(&rest, '\n', &line)) {
		bool goes_on = line.n && (line.p[0] == ' ' || line.p[0] == '\t');

		number++;
		if (is_comment(line))
			continue;
		if (!goes_on) {
			if (entry.n)
				alias_add(c, buf_get(&entry), at);
			buf_clear(&entry);
			at->line = number;
		} else if (entry.n == 0) {
			at->line = number;
			mta_error(c->notes, at, "white space in front of the first name");
			continue;
		}
		buf_slice(&entry, slice_trim(line));
		buf_char(&entry, ' ');
	}
	if (entry.n)
		alias_add(c, buf_get(&entry), at);
	buf_fini(&entry);
}

struct mta_aliases *
mta_aliases_compile(const char *path, mta_read_fn *read, void *arg, struct mta_notes *notes)
{
	struct mta_aliases *a = mem_new(sizeof(*a));
	struct compile c = { .a = a, .read = read, .arg = arg, .notes = notes };
	unsigned before = notes->nerrors;
	struct mta_line at = { .file = arena_str(&a->arena, path) };
	struct buf text = { 0 };

	if (aliases_load(&c, path, &at, &text))
		aliases_read(&c, buf_get(&text), &at);
	buf_fini(&text);
	mem_free(&c.targets);
	if (notes->nerrors != before)
		mta_aliases_free(&a);
	return a;
}

void
mta_aliases_free(struct mta_aliases **ap)
{
	struct mta_aliases *a = *ap;

	if (!a)
		return;
	map_fini(&a->by_name);
	arena_reset(&a->arena);
	mem_free(ap);
}

size_t
mta_aliases_count(const struct mta_aliases *a)
{
	return a->by_name.n;
}

const struct mta_alias *
mta_aliases_find(const struct mta_aliases *a, struct slice local, struct slice domain)
{
	char key[MTA_STRING_MAX];
	const struct mta_alias *found;
	size_t n = 0;

	if (!a || local.n + 1 + domain.n > sizeof(key))
		return NULL;
	for (size_t i = 0; i < local.n; i++)
		key[n++] = ascii_lower(local.p[i]);
	key[n++] = '@';
	for (size_t i = 0; i < domain.n; i++)
		key[n++] = ascii_lower(domain.p[i]);
	found = map_get(&a->by_name, slice(key, n));
	return found ? found : map_get(&a->by_name, slice(key, local.n));
}
