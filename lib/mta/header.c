/* header.c: addresses of a header, found where they stand and rewritten; see header.h.
 *
 * A value is gone through once, mark by mark: quoted strings, comments and literals as a whole, so nothing in
 * them is taken for an address.  What stands in angle brackets is one; so is what stands between two commas
 * alone.  A line that would become too long is folded in front of an address.  Called by smtp-relay for channels that want it.  What fails is an address of which the rules make
 * none: it stays.  Must stay true: one pass over a value, a bounded number of addresses for a message, and no
 * memory for those that are known. */
#include "mail/address.h"
#include "mail/header.h"
#include "mta/header.h"

#define LINE_MOST 998 /* octets (RFC 5322 2.1.1) */

/* ---- one address ------------------------------------------------------------------------------- */

/* By the table REVERSE: what it says with $Y, once more through the rules with $D. */
static bool
header_reverse(struct mta_header *h, struct buf *address, bool *again)
{
	struct mta_mapped r;
	bool yes = mta_mappings_ask(h->mappings, h->calls, S("REVERSE"), buf_get(address), NULL,
		       &r) == MTA_YES &&
	    !r.failed && mta_flags_has(&r.flags, 'Y') && !mta_flags_has(&r.flags, 'N') && r.text.n;

	if (yes) {
		buf_clear(address);
		buf_slice(address, buf_get(&r.text));
		*again = mta_flags_has(&r.flags, 'D');
	}
	mta_mapped_fini(&r);
	return yes;
}

static bool
header_rules(struct mta_header *h, struct slice dest, bool backward, struct buf *address)
{
	struct mta_query q = { .address = buf_get(address),
		.source = h->source,
		.dest = dest,
		.header = true,
		.backward = backward };
	struct mta_rewritten r;
	bool ok;

	mta_rewrite(h->conf, h->mappings, h->calls, &q, &r);
	ok = r.result == MTA_RW_OK;
	if (ok) {
		buf_clear(address);
		buf_slice(address, buf_get(&r.address));
	}
	mta_rewritten_fini(&r);
	return ok;
}

/* Puts it into the form that addresses are written in, without a route in front, which no header has; false
 * for none. */
static bool
address_plain(struct slice text, struct arena *a, struct buf *out)
{
	struct address addr;
	const char *why;

	if (slice_starts(text, S("@")))
		text = slice_from(text, slice_find(text, ':') + 1);
	if (address_parse(text, ADDRESS_UTF8, a, &addr, &why) < 0)
		return false;
	buf_clear(out);
	address_write(out, &addr);
	return true;
}

/* What becomes of an address, in the arena; p NULL: it stays. */
static struct slice
address_made(struct mta_header *h, struct slice dest, bool backward, struct slice text)
{
	struct slice none = { NULL, 0 }, was, made = none;
	struct buf address = { 0 };
	bool again = false;

	if (!address_plain(text, h->a, &address))
		goto out;
	was = arena_slice(h->a, buf_get(&address));
	if (!header_rules(h, dest, backward, &address))
		goto out;
	if (backward && h->mappings && header_reverse(h, &address, &again) && again &&
	    !header_rules(h, dest, backward, &address))
		goto out;
	text = arena_slice(h->a, buf_get(&address));
	if (address_plain(text, h->a, &address) && !slice_eq(buf_get(&address), was))
		made = arena_slice(h->a, buf_get(&address));
out:
	buf_fini(&address);
	return made;
}

struct known {
	struct slice made;
};

/* Each address is looked at once for each channel, however often it stands there. */
static struct slice
header_address(struct mta_header *h, struct slice dest, bool backward, struct slice text)
{
	struct known *k;

	buf_clear(&h->key);
	buf_slice(&h->key, dest);
	buf_slice(&h->key, backward ? S(" 1 ") : S(" 0 "));
	buf_slice(&h->key, text);
	k = map_get(&h->known, buf_get(&h->key));
	if (k)
		return k->made;
	if (h->n == MTA_HEADER_ADDRESSES) {
		h->left++;
		return (struct slice){ NULL, 0 };
	}
	h->n++;
	k = arena_new(h->a, sizeof(*k));
	k->made = address_made(h, dest, backward, text);
	(void)map_put(&h->known, arena_slice(h->a, buf_get(&h->key)), k);
	return k->made;
}

/* ---- where they stand ------------------------------------------------------------------------------ */

/* Behind the quoted string, comment or literal that begins at `at`; an open one ends with the value. */
static size_t
mark_end(struct slice v, size_t at)
{
	char open = v.p[at], close = open == '"' ? '"' : open == '(' ? ')' : ']';
	size_t depth = 1;

	for (at++; at < v.n; at++) {
		if (v.p[at] == '\\')
			at++;
		else if (v.p[at] == close && --depth == 0)
			return at + 1;
		else if (v.p[at] == open && open == '(')
			depth++;
	}
	return v.n;
}

/* An element of a list while it is gone through. */
struct element {
	size_t first,
	    end; /* what stands in it alone, or in brackets: from the first mark to the last */
	bool any, broken; /* there is something; blanks or comments are within it */
	bool parted;      /* a blank or comment stands behind it */
	bool angle, closed;
};

/* A value while it is gone through. */
struct walk {
	struct mta_header *h;
	struct slice dest, v;
	bool backward;
	size_t done;  /* of v, what is in out */
	size_t start; /* of the element, behind the comma */
	struct buf *out;
	size_t line; /* where in out a line begins, at or before the element's */
	bool changed;
};

static void
element_put(struct walk *w, const struct element *e)
{
	struct slice text = slice_sub(w->v, e->first, e->end - e->first), made;

	if (!e->any || e->broken || e->angle != e->closed || text.n > 320 || text.p[0] == '@' ||
	    slice_rfind(text, '@') == text.n)
		return;
	made = header_address(w->h, w->dest, w->backward, text);
	if (!made.p)
		return;
	buf_slice(w->out, slice_sub(w->v, w->done, e->first - w->done));
	buf_slice(w->out, made);
	w->done = e->end;
	w->changed = true;
}

/* The element that begins at `at` makes its line too long: it begins a new one. */
static void
element_fold(struct walk *w, size_t at)
{
	struct slice whole = buf_get(w->out), seg = slice_from(whole, at), line;
	struct slice before = slice_sub(whole, w->line, at - w->line);
	size_t nl = slice_rfind(before, '\n');

	if (nl < before.n)
		w->line += nl + 1;
	line = slice_sub(seg, 0, slice_find(seg, '\n'));
	line.n -= slice_ends(line, S("\r"));
	if (at - w->line + line.n <= LINE_MOST || slice_trim(line).n == 0 || at == w->line ||
	    (whole.p[at - 1] != ',' && whole.p[at - 1] != ';'))
		return;
	buf_clear(&w->h->key);
	buf_slice(&w->h->key, seg);
	w->out->n = at;
	buf_lit(w->out, "\r\n ");
	buf_slice(w->out, buf_get(&w->h->key));
	w->line = at + 2;
}

/* It is over, with the comma, if any, in front of `next`. */
static void
element_over(struct walk *w, const struct element *e, size_t next)
{
	size_t at = w->out->n + (w->start - w->done);

	element_put(w, e);
	if (w->changed) {
		buf_slice(w->out, slice_sub(w->v, w->done, next - w->done));
		w->done = next;
		element_fold(w, at);
	}
	w->start = next;
}

static void
element_take(struct element *e, size_t from, size_t end)
{
	if (e->closed)
		return; /* behind the brackets */
	if (!e->any)
		e->first = from;
	e->broken = e->broken || e->parted;
	e->any = true;
	e->end = end;
}

static void
value_rewrite(struct walk *w)
{
	static const struct element empty;
	struct element e = empty;
	struct slice v = w->v;

	for (size_t at = 0, next; at < v.n; at = next) {
		char c = v.p[at];

		next = c == '"' || c == '(' || c == '[' ? mark_end(v, at) : at + 1;
		if (c == '(' || c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			e.parted = e.any;
		} else if (c == '<' && !e.angle) {
			e = empty;
			e.angle = true;
		} else if (c == '>' && e.angle) {
			e.closed = true;
		} else if (e.angle && !e.closed) {
			element_take(&e, at, next);
		} else if (c == ',' || c == ';' || c == ':') {
			if (c != ':')
				element_over(w, &e, next);
			e = empty;
		} else {
			element_take(&e, at, next);
		}
	}
	element_over(w, &e, v.n);
	buf_slice(w->out, slice_from(v, w->done));
}

/* ---- the fields ------------------------------------------------------------------------------------- */

static const struct {
	struct slice name;
	bool backward;
} address_fields[] = { { { "From", 4 }, true }, { { "Sender", 6 }, true },
	{ { "Reply-To", 8 }, true }, { { "To", 2 }, false }, { { "Cc", 2 }, false },
	{ { "Bcc", 3 }, false }, { { "Resent-From", 11 }, true }, { { "Resent-Sender", 13 }, true },
	{ { "Resent-Reply-To", 15 }, true }, { { "Resent-To", 9 }, false },
	{ { "Resent-Cc", 9 }, false }, { { "Resent-Bcc", 10 }, false } };

void
mta_header_rewrite(struct mta_header *h, struct slice dest, struct slice fields, struct buf *out)
{
	struct header_field f;

	while (header_next(&fields, &f)) {
		size_t at = 0, value = (size_t)(f.value.p - f.whole.p);
		struct walk w = { .h = h, .dest = dest, .v = f.value, .out = out, .line = out->n };

		while (at < NELEM(address_fields) && !slice_ieq(f.name, address_fields[at].name))
			at++;
		if (at == NELEM(address_fields)) {
			buf_slice(out, f.whole);
			continue;
		}
		buf_slice(out, slice_sub(f.whole, 0, value));
		w.backward = address_fields[at].backward;
		value_rewrite(&w);
		buf_slice(out, slice_from(f.whole, value + f.value.n));
	}
}

void
mta_header_fini(struct mta_header *h)
{
	map_fini(&h->known);
	buf_fini(&h->key);
}
