/* imapd/match.c: the keys of SEARCH: a table of what each word asks, RFC 3501 6.4.4.
 *
 * Called by search.c, on the loop inside a snapshot, and for large messages on the work pool.
 * A key answers from the index, from the message's digest, or from the walk through its file
 * (message/match.h), and says UNKNOWN when it cannot tell from what is at hand.  Nothing can fail:
 * reading is search.c's.  A key that comes with a later RFC is a row of the table. */
#include "search.h"

#include "base/clock.h"
#include "mail/date.h"
#include "mail/header.h"

#define DAY 86400 /* seconds */

static enum imap_match
yes_no(bool yes)
{
	return yes ? IMAP_MATCH_YES : IMAP_MATCH_NO;
}

/* ---- from the index -------------------------------------------------------------------------- */

static enum imap_match
match_all(const struct imap_key *k UNUSED, struct imap_candidate *c UNUSED)
{
	return IMAP_MATCH_YES;
}

static enum imap_match
match_set(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(imap_set_has(&k->set, c->rec->uid));
}

static enum imap_match
match_flags(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no((c->rec->flags & k->word->bits) == k->word->bits);
}

static enum imap_match
match_noflags(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(!(c->rec->flags & k->word->bits));
}

static enum imap_match
match_new(const struct imap_key *k UNUSED, struct imap_candidate *c)
{
	return yes_no(c->recent && !(c->rec->flags & STORE_SEEN));
}

static enum imap_match
match_old(const struct imap_key *k UNUSED, struct imap_candidate *c)
{
	return yes_no(!c->recent);
}

static enum imap_match
match_recent(const struct imap_key *k UNUSED, struct imap_candidate *c)
{
	return yes_no(c->recent);
}

/* `number` has the keyword's bit: see match_resolve_keywords. */
static enum imap_match
match_keyword(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(c->rec->keywords & k->number);
}

static enum imap_match
match_unkeyword(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(!(c->rec->keywords & k->number));
}

static enum imap_match
match_larger(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(c->rec->size > k->number);
}

static enum imap_match
match_smaller(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(c->rec->size < k->number);
}

/* The day of INTERNALDATE, in its own zone: its seconds are compared with those where the key's day
 * begins, for a division for each message is most of such a search. */
static int64_t
local_seconds(const struct imap_candidate *c)
{
	return c->rec->internaldate + c->rec->zone * 60;
}

static int64_t
day_seconds(const struct imap_key *k)
{
	return (int64_t)k->day * DAY;
}

static enum imap_match
match_before(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(local_seconds(c) < day_seconds(k));
}

static enum imap_match
match_on(const struct imap_key *k, struct imap_candidate *c)
{
	int64_t at = local_seconds(c), day = day_seconds(k);

	return yes_no(at >= day && at < day + DAY);
}

static enum imap_match
match_since(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(local_seconds(c) >= day_seconds(k));
}

/* `number` has the second that the interval ends at, or begins: see prepare_keys. */
static enum imap_match
match_older(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(c->rec->internaldate <= (int64_t)k->number);
}

static enum imap_match
match_younger(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(c->rec->internaldate >= (int64_t)k->number);
}

/* RFC 8514 4.3: the day when it came into this mailbox, as FETCH shows it: in UTC. */
static enum imap_match
match_savedbefore(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(c->rec->savedate && c->rec->savedate < day_seconds(k));
}

static enum imap_match
match_savedon(const struct imap_key *k, struct imap_candidate *c)
{
	int64_t at = c->rec->savedate, day = day_seconds(k);

	return yes_no(at && at >= day && at < day + DAY);
}

static enum imap_match
match_savedsince(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(c->rec->savedate && c->rec->savedate >= day_seconds(k));
}

/* `number` has the id, 0 when there can be none: see prepare_keys. */
static enum imap_match
match_emailid(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(k->number && c->rec->emailid == k->number);
}

static enum imap_match
match_threadid(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(k->number && c->rec->threadid == k->number);
}

static enum imap_match
match_uidafter(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(c->rec->uid > k->number);
}

static enum imap_match
match_uidbefore(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(c->rec->uid < k->number);
}

static enum imap_match
match_modseq(const struct imap_key *k, struct imap_candidate *c)
{
	return yes_no(c->rec->modseq >= k->number);
}

/* ---- from the digest, or from the file ----------------------------------------------------------- */

/* Day of the Date header in the sender's zone: YES and *day; NO: there is no date.  The index has it,
 * but of messages that came before it had. */
static enum imap_match
sent_day(struct imap_candidate *c, int32_t *day)
{
	struct message_digest d;
	struct header_field f;
	struct date date;

	if (c->rec->sentday) {
		*day = c->rec->sentday - 1;
		return IMAP_MATCH_YES;
	}
	if (!c->match) {
		if (message_digest_parse(c->record, &d) < 0 || d.has == 0)
			return IMAP_MATCH_UNKNOWN;
		*day = d.sent_day;
		return yes_no(d.has & MESSAGE_HAS_DATE);
	}
	if (!header_find(slice(c->match->msg.p, header_len(c->match->msg)), S("date"), &f) ||
	    date_parse(f.value, &date) < 0)
		return IMAP_MATCH_NO;
	*day = date_day(date.at, date.zone);
	return IMAP_MATCH_YES;
}

static enum imap_match
match_sentbefore(const struct imap_key *k, struct imap_candidate *c)
{
	int32_t day;
	enum imap_match m = sent_day(c, &day);

	return m == IMAP_MATCH_YES ? yes_no(day < k->day) : m;
}

static enum imap_match
match_senton(const struct imap_key *k, struct imap_candidate *c)
{
	int32_t day;
	enum imap_match m = sent_day(c, &day);

	return m == IMAP_MATCH_YES ? yes_no(day == k->day) : m;
}

static enum imap_match
match_sentsince(const struct imap_key *k, struct imap_candidate *c)
{
	int32_t day;
	enum imap_match m = sent_day(c, &day);

	return m == IMAP_MATCH_YES ? yes_no(day >= k->day) : m;
}

static enum imap_match
match_text(const struct imap_key *k, struct imap_candidate *c)
{
	static const enum imap_match answers[] = {
		[MESSAGE_NO] = IMAP_MATCH_NO,
		[MESSAGE_YES] = IMAP_MATCH_YES,
		[MESSAGE_UNKNOWN] = IMAP_MATCH_UNKNOWN,
	};

	return answers[c->match ? message_match_get(c->match, k->id) :
				  message_query_digest(c->query, k->id, c->record)];
}

/* ---- the table ------------------------------------------------------------------------------------- */

/* What a key costs to ask: nothing, what may change of the message, what the index has besides, the
 * digest, the file. */
enum { VIEW, STATE, INDEX, DIGEST, FILE_ };

#define RFC3501 "RFC 3501 6.4.4"
/* clang-format off */
const struct imap_key_word match_words[] = {
	/* name          argument          cost    match             bits, field */
	{ NULL,          IMAP_ARG_SET,     VIEW,   match_set,        .source = RFC3501 },
	{ "ALL",         IMAP_ARG_NONE,    VIEW,   match_all,        .source = RFC3501 },
	{ "ANSWERED",    IMAP_ARG_NONE,    STATE,  match_flags,      IMAP_ANSWERED, .source = RFC3501 },
	{ "BCC",         IMAP_ARG_TEXT,    DIGEST, match_text,       .field = "bcc", .source = RFC3501 },
	{ "BEFORE",      IMAP_ARG_DAY,     INDEX,  match_before,     .source = RFC3501 },
	{ "BODY",        IMAP_ARG_TEXT,    FILE_,  match_text,       MESSAGE_IN_BODY, .source = RFC3501 },
	{ "CC",          IMAP_ARG_TEXT,    DIGEST, match_text,       .field = "cc", .source = RFC3501 },
	{ "DELETED",     IMAP_ARG_NONE,    STATE,  match_flags,      IMAP_DELETED, .source = RFC3501 },
	{ "DRAFT",       IMAP_ARG_NONE,    STATE,  match_flags,      IMAP_DRAFT, .source = RFC3501 },
	{ "EMAILID",     IMAP_ARG_OBJECTID, INDEX, match_emailid,    SESSION_EMAILID, .source = "RFC 8474 6" },
	{ "FLAGGED",     IMAP_ARG_NONE,    STATE,  match_flags,      IMAP_FLAGGED, .source = RFC3501 },
	{ "FROM",        IMAP_ARG_TEXT,    DIGEST, match_text,       .field = "from", .source = RFC3501 },
	{ "HEADER",      IMAP_ARG_HEADER,  FILE_,  match_text,       .source = RFC3501 },
	{ "KEYWORD",     IMAP_ARG_KEYWORD, STATE,  match_keyword,    .source = RFC3501 },
	{ "LARGER",      IMAP_ARG_NUMBER,  INDEX,  match_larger,     .source = RFC3501 },
	{ "MODSEQ",      IMAP_ARG_MODSEQ,  STATE,  match_modseq,     .source = "RFC 7162 3.1.5" },
	{ "NEW",         IMAP_ARG_NONE,    STATE,  match_new,        .source = RFC3501 },
	{ "OLD",         IMAP_ARG_NONE,    VIEW,   match_old,        .source = RFC3501 },
	{ "OLDER",       IMAP_ARG_SECONDS, INDEX,  match_older,      .source = "RFC 5032 3" },
	{ "ON",          IMAP_ARG_DAY,     INDEX,  match_on,         .source = RFC3501 },
	{ "RECENT",      IMAP_ARG_NONE,    VIEW,   match_recent,     .source = RFC3501 },
	{ "SAVEDATESUPPORTED", IMAP_ARG_NONE, VIEW, match_all,       .source = "RFC 8514 4.3" },
	{ "SAVEDBEFORE", IMAP_ARG_DAY,     INDEX,  match_savedbefore, .source = "RFC 8514 4.3" },
	{ "SAVEDON",     IMAP_ARG_DAY,     INDEX,  match_savedon,    .source = "RFC 8514 4.3" },
	{ "SAVEDSINCE",  IMAP_ARG_DAY,     INDEX,  match_savedsince, .source = "RFC 8514 4.3" },
	{ "SEEN",        IMAP_ARG_NONE,    STATE,  match_flags,      IMAP_SEEN, .source = RFC3501 },
	{ "SENTBEFORE",  IMAP_ARG_DAY,     DIGEST, match_sentbefore, .source = RFC3501 },
	{ "SENTON",      IMAP_ARG_DAY,     DIGEST, match_senton,     .source = RFC3501 },
	{ "SENTSINCE",   IMAP_ARG_DAY,     DIGEST, match_sentsince,  .source = RFC3501 },
	{ "SINCE",       IMAP_ARG_DAY,     INDEX,  match_since,      .source = RFC3501 },
	{ "SMALLER",     IMAP_ARG_NUMBER,  INDEX,  match_smaller,    .source = RFC3501 },
	{ "SUBJECT",     IMAP_ARG_TEXT,    DIGEST, match_text,       .field = "subject", .source = RFC3501 },
	{ "TEXT",        IMAP_ARG_TEXT,    FILE_,  match_text,       MESSAGE_IN_TEXT, .source = RFC3501 },
	{ "THREADID",    IMAP_ARG_OBJECTID, INDEX, match_threadid,   SESSION_THREADID, .source = "RFC 8474 6" },
	{ "TO",          IMAP_ARG_TEXT,    DIGEST, match_text,       .field = "to", .source = RFC3501 },
	{ "UID",         IMAP_ARG_SET,     VIEW,   match_set,        .bits = true, .source = RFC3501 },
	{ "UIDAFTER",    IMAP_ARG_UID,     VIEW,   match_uidafter,   .bits = MATCH_ABOVE, .source = "RFC 9738 3.2" },
	{ "UIDBEFORE",   IMAP_ARG_UID,     VIEW,   match_uidbefore,  .bits = MATCH_BELOW, .source = "RFC 9738 3.2" },
	{ "UNANSWERED",  IMAP_ARG_NONE,    STATE,  match_noflags,    IMAP_ANSWERED, .source = RFC3501 },
	{ "UNDELETED",   IMAP_ARG_NONE,    STATE,  match_noflags,    IMAP_DELETED, .source = RFC3501 },
	{ "UNDRAFT",     IMAP_ARG_NONE,    STATE,  match_noflags,    IMAP_DRAFT, .source = RFC3501 },
	{ "UNFLAGGED",   IMAP_ARG_NONE,    STATE,  match_noflags,    IMAP_FLAGGED, .source = RFC3501 },
	{ "UNKEYWORD",   IMAP_ARG_KEYWORD, STATE,  match_unkeyword,  .source = RFC3501 },
	{ "UNSEEN",      IMAP_ARG_NONE,    STATE,  match_noflags,    IMAP_SEEN, .source = RFC3501 },
	{ "YOUNGER",     IMAP_ARG_SECONDS, INDEX,  match_younger,    .source = "RFC 5032 3" },
};
/* clang-format on */
const size_t match_nwords = NELEM(match_words);

/* ---- a tree of keys ------------------------------------------------------------------------------------ */

/* AND, OR: children that cannot tell count only when the others do not decide. */
static enum imap_match
match_several(const struct imap_key *k, struct imap_candidate *c, enum imap_match stop,
    enum imap_match otherwise)
{
	bool unknown = false;

	for (const struct imap_key *i = k->first; i; i = i->next) {
		enum imap_match m = i->op == IMAP_KEY_WORD ? i->word->match(i, c) : match_key(i, c);

		if (m == stop)
			return stop;
		unknown = unknown || m == IMAP_MATCH_UNKNOWN;
	}
	return unknown ? IMAP_MATCH_UNKNOWN : otherwise;
}

enum imap_match
match_key(const struct imap_key *k, struct imap_candidate *c)
{
	enum imap_match m;

	switch (k->op) {
	case IMAP_KEY_WORD: return k->word->match(k, c);
	case IMAP_KEY_AND: return match_several(k, c, IMAP_MATCH_NO, IMAP_MATCH_YES);
	case IMAP_KEY_OR: return match_several(k, c, IMAP_MATCH_YES, IMAP_MATCH_NO);
	case IMAP_KEY_NOT:
		m = match_key(k->first, c);
		return m == IMAP_MATCH_UNKNOWN ? m : yes_no(m == IMAP_MATCH_NO);
	}
	return IMAP_MATCH_NO;
}

/* Sequence numbers as UIDs.  Numbers that no message has are no error here: nothing has them. */
static void
resolve_set(struct imap_key *k, const struct view *v, struct arena *a)
{
	struct imap_set *set = &k->set;

	if (!k->word->bits && !set->saved) {
		imap_set_resolve(set, v->exists);
		while (set->n > 0 && set->r[set->n - 1].lo > v->exists)
			set->n--;
		if (set->n > 0 && set->r[set->n - 1].hi > v->exists)
			set->r[set->n - 1].hi = v->exists;
	}
	(void)view_uids(v, set, k->word->bits, a);
}

static void
add_text(struct imap_key *k, struct message_query *q, struct arena *a)
{
	enum message_place place = MESSAGE_IN_FIELD;

	if (k->word->field)
		k->name = slice_str(k->word->field);
	else if (k->word->arg == IMAP_ARG_TEXT)
		place = (enum message_place)k->word->bits;
	else if (message_digest_keeps(k->name))
		k->cost = DIGEST;
	k->id = message_query_add(q, place, k->name, k->text, a);
}

static void
prepare_keys(struct imap_key *k, struct message_query *q, const struct view *v, struct arena *a,
    struct match_needs *needs)
{
	if (k->op == IMAP_KEY_WORD) {
		if (k->word->arg == IMAP_ARG_SET)
			resolve_set(k, v, a);
		else if (k->word->arg == IMAP_ARG_OBJECTID)
			k->number = imap_objectid_number(k->name, (char)k->word->bits);
		else if (k->word->match == match_text)
			add_text(k, q, a);
		else if (k->word->arg == IMAP_ARG_SECONDS)
			k->number = (uint64_t)(clock_now() - (int64_t)k->number);
		needs->digests = needs->digests || k->cost == DIGEST;
		/* The days of Date are the index's, but of old messages. */
		needs->others = needs->others || k->cost != DIGEST || k->word->match != match_text;
		needs->recent = needs->recent || k->word->match == match_recent ||
		    k->word->match == match_new || k->word->match == match_old;
	}
	for (struct imap_key *i = k->first; i; i = i->next)
		prepare_keys(i, q, v, a, needs);
}

struct match_needs
match_prepare(struct imap_key *k, struct message_query *q, const struct view *v, struct arena *a)
{
	struct match_needs needs = { false, false, false };

	prepare_keys(k, q, v, a, &needs);
	message_query_ready(q, a);
	imap_search_order(k);
	return needs;
}

/* Bit per cost of the keys of a tree. */
static unsigned
match_costs(const struct imap_key *k)
{
	unsigned costs = k->op == IMAP_KEY_WORD ? 1u << k->cost : 0;

	for (const struct imap_key *i = k->first; i; i = i->next)
		costs |= match_costs(i);
	return costs;
}

enum store_parts
match_parts(const struct imap_key *k)
{
	unsigned costs = match_costs(k);

	if (costs < 1u << INDEX)
		return STORE_STATES;
	return costs & 1u << STATE ? STORE_WHOLE : STORE_RECORDS;
}

void
match_resolve_keywords(struct imap_key *k, const struct store_mailbox *m)
{
	if (k->op == IMAP_KEY_WORD && k->word->arg == IMAP_ARG_KEYWORD) {
		k->number = 0;
		for (size_t i = 0; i < m->nkeywords; i++)
			if (slice_ieq(m->keywords[i], k->name))
				k->number = UINT64_C(1) << i;
	}
	for (struct imap_key *i = k->first; i; i = i->next)
		match_resolve_keywords(i, m);
}
