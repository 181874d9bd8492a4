/* imapd/match.c: does a message match a SEARCH key: RFC 3501 6.4.4.
 *
 * Text is compared as UTF-8, case-folded: the key came folded, the cache record is folded,
 * bodies are decoded and folded piece by piece. */
#include "base/utf8.h"
#include "mail/date.h"
#include "mail/encoded_word.h"
#include "mail/header.h"
#include "mail/text.h"
#include "search.h"

/* ---- text in files --------------------------------------------------------------------------- */

static bool
contains(struct slice text, struct slice needle)
{
	return needle.n == 0 || memmem(text.p ? text.p : "", text.n, needle.p, needle.n) != NULL;
}

static bool
field_contains(struct slice value, struct slice needle)
{
	struct buf text = { 0 }, folded = { 0 };
	bool yes;

	encoded_word_parse(&text, value);
	utf8_fold_to(&folded, buf_get(&text));
	yes = contains(buf_get(&folded), needle);
	buf_fini(&text);
	buf_fini(&folded);
	return yes;
}

/* Any field of that name (empty: any field at all, by its whole text). */
static bool
header_contains(struct slice header, struct slice name, struct slice needle)
{
	struct header_field f;

	while (header_next(&header, &f)) {
		if (name.n > 0 && !slice_ieq(f.name, name))
			continue;
		if (field_contains(name.n > 0 ? f.value : f.whole, needle))
			return true;
	}
	return false;
}

/* The decoded text of one part.  Pieces overlap by what could be cut off of a match. */
static bool
part_contains(const struct mime *m, const struct mime_part *p, struct slice needle)
{
	struct text_reader t;
	struct buf text = { 0 }, folded = { 0 };
	bool yes = false;

	text_open_part(&t, m, p);
	while (!yes && text_next(&t, &text)) {
		utf8_fold_to(&folded, buf_get(&text));
		buf_clear(&text);
		yes = contains(buf_get(&folded), needle);
		if (folded.n >= needle.n)
			buf_cut(&folded, folded.n - (needle.n - 1));
	}
	text_close(&t);
	buf_fini(&text);
	buf_fini(&folded);
	return yes;
}

static bool
body_contains(struct slice msg, struct slice needle)
{
	struct arena a = { 0 };
	struct mime m;
	bool yes = false;

	if (needle.n == 0)
		return true;
	mime_parse(msg, &a, &m);
	for (struct mime_part *p = m.root; p && !yes; p = mime_next(&m, p)) {
		if (p->kind == MIME_LEAF && slice_ieq(p->type, S("text")))
			yes = part_contains(&m, p, needle);
		else if (p->kind == MIME_MESSAGE && p->child)
			yes = header_contains(mime_header(&m, p->child), S(""), needle);
	}
	arena_reset(&a);
	return yes;
}

/* ---- keys ------------------------------------------------------------------------------------- */

static void
look_up(struct store_view *sv, struct candidate *c)
{
	if (c->cached)
		return;
	c->cached = true;
	if (imap_cache_parse(store_get_cache(sv, c->rec.emailid), &c->cache) < 0)
		c->cache = (struct imap_cache){ 0 };
}

static enum match
yes_no(bool yes)
{
	return yes ? MATCH_YES : MATCH_NO;
}

/* SENTBEFORE and the like: by the Date header, in the sender's zone. */
static enum match
sent(struct store_view *sv, const struct imap_key *k, struct candidate *c)
{
	struct header_field f;
	struct date d;
	int32_t day;

	if (!c->opened) {
		look_up(sv, c);
		if (c->cache.has == 0)
			return MATCH_NEEDS_FILE;
		if (!(c->cache.has & IMAP_HAS_DATE))
			return MATCH_NO;
		day = c->cache.sent_day;
	} else {
		if (!header_find(slice(c->file.p, header_len(c->file)), S("date"), &f) ||
		    date_parse(f.value, &d) < 0)
			return MATCH_NO;
		day = date_day(d.at, d.zone);
	}
	return yes_no(k->op == IMAP_KEY_SENTBEFORE ? day < k->day :
		k->op == IMAP_KEY_SENTON	   ? day == k->day :
						     day >= k->day);
}

static enum match
field(struct store_view *sv, const struct imap_key *k, struct candidate *c)
{
	static const char *const names[IMAP_FIELDS] = {
		[IMAP_SUBJECT] = "subject", [IMAP_FROM] = "from", [IMAP_TO] = "to",
		[IMAP_CC] = "cc", [IMAP_BCC] = "bcc",
	};

	if (!c->opened) {
		look_up(sv, c);
		if (!(c->cache.has & IMAP_HAS_FIELDS))
			return MATCH_NEEDS_FILE;
		/* RFC 3501: an empty string matches every message that has the field; one that is
		 * there and empty looks like none here, as it does to people. */
		return yes_no(k->text.n == 0 ? c->cache.fields[k->field].n > 0 :
					       contains(c->cache.fields[k->field], k->text));
	}
	return yes_no(header_contains(slice(c->file.p, header_len(c->file)),
	    slice_str(names[k->field]), k->text));
}

static enum match
in_file(const struct imap_key *k, struct candidate *c)
{
	struct slice header;

	if (!c->opened)
		return MATCH_NEEDS_FILE;
	header = slice(c->file.p, header_len(c->file));
	if (k->op == IMAP_KEY_HEADER)
		return yes_no(header_contains(header, k->name, k->text));
	if (k->op == IMAP_KEY_TEXT && header_contains(header, S(""), k->text))
		return MATCH_YES;
	return yes_no(body_contains(c->file, k->text));
}

/* AND, OR: children that need the file count only when the others cannot decide. */
static enum match
several(struct store_view *sv, const struct imap_key *k, struct candidate *c, enum match stop,
    enum match otherwise)
{
	bool needs = false;

	for (const struct imap_key *i = k->first; i; i = i->next) {
		enum match m = match_key(sv, i, c);

		if (m == stop)
			return stop;
		needs = needs || m == MATCH_NEEDS_FILE;
	}
	return needs ? MATCH_NEEDS_FILE : otherwise;
}

enum match
match_key(struct store_view *sv, const struct imap_key *k, struct candidate *c)
{
	const struct store_record *r = &c->rec;
	enum match m;

	switch (k->op) {
	case IMAP_KEY_ALL: return MATCH_YES;
	case IMAP_KEY_SEQ:
	case IMAP_KEY_UID: return yes_no(imap_set_has(&k->set, r->uid));
	case IMAP_KEY_FLAGS: return yes_no((r->flags & k->bits) == k->bits);
	case IMAP_KEY_NOFLAGS: return yes_no(!(r->flags & k->bits));
	case IMAP_KEY_NEW: return yes_no(c->recent && !(r->flags & STORE_SEEN));
	case IMAP_KEY_OLD: return yes_no(!c->recent);
	case IMAP_KEY_RECENT: return yes_no(c->recent);
	case IMAP_KEY_KEYWORD: return yes_no(r->keywords & k->number);
	case IMAP_KEY_UNKEYWORD: return yes_no(!(r->keywords & k->number));
	case IMAP_KEY_LARGER: return yes_no(r->size > k->number);
	case IMAP_KEY_SMALLER: return yes_no(r->size < k->number);
	case IMAP_KEY_BEFORE: return yes_no(date_day(r->internaldate, r->zone) < k->day);
	case IMAP_KEY_ON: return yes_no(date_day(r->internaldate, r->zone) == k->day);
	case IMAP_KEY_SINCE: return yes_no(date_day(r->internaldate, r->zone) >= k->day);
	case IMAP_KEY_MODSEQ: return yes_no(r->modseq >= k->number);
	case IMAP_KEY_SENTBEFORE:
	case IMAP_KEY_SENTON:
	case IMAP_KEY_SENTSINCE: return sent(sv, k, c);
	case IMAP_KEY_FIELD: return field(sv, k, c);
	case IMAP_KEY_HEADER:
	case IMAP_KEY_BODY:
	case IMAP_KEY_TEXT: return in_file(k, c);
	case IMAP_KEY_AND: return several(sv, k, c, MATCH_NO, MATCH_YES);
	case IMAP_KEY_OR: return several(sv, k, c, MATCH_YES, MATCH_NO);
	case IMAP_KEY_NOT:
		m = match_key(sv, k->first, c);
		return m == MATCH_NEEDS_FILE ? m : yes_no(m == MATCH_NO);
	}
	return MATCH_NO;
}

/* ---- readying a tree ------------------------------------------------------------------------------ */

bool
match_resolve_sets(struct imap_key *k, const struct view *v, struct arena *a)
{
	if ((k->op == IMAP_KEY_SEQ || k->op == IMAP_KEY_UID) &&
	    !view_uids(v, &k->set, k->op == IMAP_KEY_UID, a))
		return false;
	for (struct imap_key *i = k->first; i; i = i->next)
		if (!match_resolve_sets(i, v, a))
			return false;
	return true;
}

void
match_resolve_keywords(struct imap_key *k, const struct store_mailbox *m)
{
	if (k->op == IMAP_KEY_KEYWORD || k->op == IMAP_KEY_UNKEYWORD) {
		k->number = 0;
		for (size_t i = 0; i < m->nkeywords; i++)
			if (slice_ieq(m->keywords[i], k->name))
				k->number = UINT64_C(1) << i;
	}
	for (struct imap_key *i = k->first; i; i = i->next)
		match_resolve_keywords(i, m);
}
