/* imap/metadata.c: METADATA's grammar, RFC 5464 5.
 *
 * Pure; called by imapd with the arguments of a command.  Fails with a reason fit for BAD.  Entry names are
 * not case-sensitive (RFC 5464 3.2) and come out in lower case.  What must stay true: no more than
 * IMAP_ENTRIES_MAX of them, because each is asked of each mailbox of a LIST. */
#include "imap/metadata.h"

#include "imap/write.h"

static bool
imap_metadata_fail(struct imap_in *in, const char *why)
{
	if (!in->why)
		in->why = why;
	return false;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* RFC 5464 3.2.1: ASCII without "*" and "%", no empty component, none at the end. */
static bool
imap_entry_is_good(struct slice name)
{
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= 0x20 || c >= 0x7f || c == '*' || c == '%' ||
		    (c == '/' && (i + 1 == name.n || name.p[i + 1] == '/')))
			return false;
	}
	return name.n == 0 || name.p[0] == '/';
}

static bool
imap_entry_parse(struct imap_in *in, struct imap_entry *e)
{
	const struct slice shared = S("/shared"), private = S("/private");
	struct slice wire;
	char *name;

	if (!imap_astring(in, &wire))
		return false;
	e->shared = slice_istarts(wire, shared);
	if (!e->shared && !slice_istarts(wire, private))
		return imap_metadata_fail(in, "An entry begins with /private or /shared");
	wire = slice_from(wire, e->shared ? shared.n : private.n);
	if (!imap_entry_is_good(wire))
		return imap_metadata_fail(in, "Not the name of an entry");
	name = arena_new(in->arena, wire.n + 1);
	for (size_t i = 0; i < wire.n; i++)
		name[i] = ascii_lower(wire.p[i]);
	e->name = slice(name, wire.n);
	return true;
}

static bool
imap_entry_is_among(const struct imap_entry *e, const struct imap_entry *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].shared == e->shared && slice_eq(list[i].name, e->name))
			return true;
	return false;
}

/* Members of a list; `values`: each with its value behind it, and none twice: which value would it be? */
static bool
imap_entries_list(struct imap_in *in, struct imap_entries *e, bool values)
{
	int more = 1;
	bool nil;

	if (!imap_open(in))
		return false;
	e->list = arena_array(in->arena, IMAP_ENTRIES_MAX, sizeof(*e->list));
	for (; more > 0; more = imap_more(in)) {
		struct imap_entry *one = &e->list[e->n];

		if (e->n++ == IMAP_ENTRIES_MAX)
			return imap_metadata_fail(in, "Too many entries");
		if (!imap_entry_parse(in, one))
			return false;
		if (values && (!imap_space(in) || !imap_nstring8(in, &one->value, &nil)))
			return false;
		if (values && one->name.n == 0)
			return imap_metadata_fail(in, "Not the name of an entry");
		if (values && imap_entry_is_among(one, e->list, e->n - 1))
			return imap_metadata_fail(in, "An entry is there twice");
	}
	return more == 0;
}

bool
imap_entries_parse(struct imap_in *in, struct imap_entries *e)
{
	*e = (struct imap_entries){ 0 };
	if (imap_next_is(in, '('))
		return imap_entries_list(in, e, false);
	e->list = arena_new(in->arena, sizeof(*e->list));
	e->n = 1;
	return imap_entry_parse(in, e->list);
}

bool
imap_entry_means(const struct imap_entry *asked, unsigned depth, bool shared, struct slice name)
{
	struct slice rest = slice_from(name, asked->name.n);

	if (asked->shared != shared || !slice_starts(name, asked->name))
		return false;
	if (rest.n == 0)
		return true;
	return depth && rest.p[0] == '/' &&
	    (depth == IMAP_DEPTH_INFINITY || slice_rfind(rest, '/') == 0);
}

/* ---- commands -------------------------------------------------------------------------------- */

static bool
imap_getmetadata_options(struct imap_in *in, struct imap_getmetadata *g)
{
	int more = 1;

	if (!imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in)) {
		if (imap_word(in, "MAXSIZE")) {
			g->limited = true;
			if (!imap_space(in) || !imap_number(in, &g->maxsize))
				return false;
		} else if (imap_word(in, "DEPTH")) {
			if (!imap_space(in))
				return false;
			if (imap_word(in, "INFINITY"))
				g->depth = IMAP_DEPTH_INFINITY;
			else if (imap_word(in, "1"))
				g->depth = 1;
			else if (imap_word(in, "0"))
				g->depth = 0;
			else
				return imap_metadata_fail(in, "Unknown depth");
		} else {
			return imap_metadata_fail(in, "Unknown option");
		}
	}
	return more == 0;
}

bool
imap_getmetadata_parse(struct imap_in *in, struct imap_getmetadata *g)
{
	bool options;

	*g = (struct imap_getmetadata){ 0 };
	if (!imap_space(in))
		return false;
	options = imap_next_is(in, '(');
	if (options && (!imap_getmetadata_options(in, g) || !imap_space(in)))
		return false;
	if (!imap_mailbox(in, &g->mailbox, &g->bad_name) || !imap_space(in))
		return false;
	/* An entry begins with "/", an option does not. */
	if (!options && in->s.n > 1 && in->s.p[0] == '(' && !strchr("/\"{", in->s.p[1]) &&
	    (!imap_getmetadata_options(in, g) || !imap_space(in)))
		return false;
	return imap_entries_parse(in, &g->entries) && imap_end(in);
}

bool
imap_setmetadata_parse(struct imap_in *in, struct imap_setmetadata *s)
{
	*s = (struct imap_setmetadata){ 0 };
	return imap_space(in) && imap_mailbox(in, &s->mailbox, &s->bad_name) && imap_space(in) &&
	    imap_entries_list(in, &s->entries, true) && imap_end(in);
}

/* ---- answers --------------------------------------------------------------------------------- */

void
imap_entry_write(struct buf *b, bool shared, struct slice name)
{
	struct buf text = { 0 };

	buf_str(&text, shared ? "/shared" : "/private");
	buf_slice(&text, name);
	imap_write_astring(b, buf_get(&text));
	buf_fini(&text);
}

void
imap_value_write(struct buf *b, struct slice value)
{
	if (!value.p || !memchr(value.p, '\0', value.n)) {
		imap_write_nstring(b, value);
		return;
	}
	buf_lit(b, "~{");
	buf_u64(b, value.n);
	buf_lit(b, "}\r\n");
	buf_slice(b, value);
}
