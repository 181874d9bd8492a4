/* date.c: the tests date and currentdate (RFC 5260 4 and 5).
 *
 * A part of a date is a row: its name and what writes it.  Moments are turned by their zone first, so
 * that every part is read off one calendar. */
#include "base/civil.h"
#include "mail/date.h"
#include "sieve/message.h"

enum { SLOT_ZONE = 3, SLOT_ORIGINAL };

struct moment {
	int64_t at;
	int zone;       /* minutes east */
	struct civil c; /* as the zone has it */
};

static void
part_year(struct buf *b, const struct moment *m)
{
	buf_printf(b, "%04lld", (long long)m->c.year);
}

static void
part_month(struct buf *b, const struct moment *m)
{
	buf_printf(b, "%02d", m->c.month);
}

static void
part_day(struct buf *b, const struct moment *m)
{
	buf_printf(b, "%02d", m->c.day);
}

static void
part_date(struct buf *b, const struct moment *m)
{
	buf_printf(b, "%04lld-%02d-%02d", (long long)m->c.year, m->c.month, m->c.day);
}

/* The modified Julian day: 4.2. */
static void
part_julian(struct buf *b, const struct moment *m)
{
	buf_i64(b, civil_days(m->c.year, m->c.month, m->c.day) + 40587);
}

static void
part_hour(struct buf *b, const struct moment *m)
{
	buf_printf(b, "%02d", m->c.hour);
}

static void
part_minute(struct buf *b, const struct moment *m)
{
	buf_printf(b, "%02d", m->c.minute);
}

static void
part_second(struct buf *b, const struct moment *m)
{
	buf_printf(b, "%02d", m->c.second);
}

static void
part_time(struct buf *b, const struct moment *m)
{
	buf_printf(b, "%02d:%02d:%02d", m->c.hour, m->c.minute, m->c.second);
}

static void
zone_write(struct buf *b, int zone, const char *between)
{
	int z = zone < 0 ? -zone : zone;

	buf_printf(b, "%c%02d%s%02d", zone < 0 ? '-' : '+', z / 60, between, z % 60);
}

static void
part_iso8601(struct buf *b, const struct moment *m)
{
	part_date(b, m);
	buf_char(b, 'T');
	part_time(b, m);
	if (m->zone == 0)
		buf_char(b, 'Z'); /* 4.2: not "+00:00" */
	else
		zone_write(b, m->zone, ":");
}

static void
part_std11(struct buf *b, const struct moment *m)
{
	date_write(b, m->at, m->zone);
}

static void
part_zone(struct buf *b, const struct moment *m)
{
	zone_write(b, m->zone, "");
}

static void
part_weekday(struct buf *b, const struct moment *m)
{
	buf_i64(b, m->c.weekday);
}

static const struct date_part {
	const char *name;
	void (*write)(struct buf *, const struct moment *);
} date_parts[] = {
	{ "year", part_year },
	{ "month", part_month },
	{ "day", part_day },
	{ "date", part_date },
	{ "julian", part_julian },
	{ "hour", part_hour },
	{ "minute", part_minute },
	{ "second", part_second },
	{ "time", part_time },
	{ "iso8601", part_iso8601 },
	{ "std11", part_std11 },
	{ "zone", part_zone },
	{ "weekday", part_weekday },
};

static const struct date_part *
date_part(struct slice name)
{
	for (size_t i = 0; i < NELEM(date_parts); i++)
		if (slice_ieq(name, slice_str(date_parts[i].name)))
			return &date_parts[i];
	return NULL;
}

/* "+hhmm" or "-hhmm" (4.1); false when it is none. */
static bool
zone_parse(struct slice s, int *minutes)
{
	uint64_t v;

	if (s.n != 5 || (s.p[0] != '+' && s.p[0] != '-') ||
	    slice_u64(slice_from(s, 1), 2359, &v) < 0 || v % 100 > 59)
		return false;
	*minutes = (int)(v / 100 * 60 + v % 100) * (s.p[0] == '-' ? -1 : 1);
	return true;
}

/* ---- the tests ------------------------------------------------------------------------------------------- */

static const char *
zone_apply(struct sieve_call *call, const struct sieve_tag *t, const struct sieve_arg *a)
{
	int minutes;

	call->args[t->slot] = *a;
	return a->items[0].npieces || zone_parse(a->items[0].text, &minutes) ?
	    NULL :
	    "a zone is like \"+0100\"";
}

/* The part of the date is the argument in front of the keys. */
static bool
part_check(struct sieve_compiler *c, struct sieve_call *call)
{
	const struct sieve_arg *a = &call->args[call->word->keys - 1];

	if (!a->items[0].npieces && !date_part(a->items[0].text))
		return sieve_wrong_arg(c, a, "\"" SFMT "\" is no part of a date (RFC 5260 4.2)",
		    SARG(a->items[0].text));
	return sieve_tags_check(c, call);
}

/* The zone that the call wants to see dates in; false: the run has failed. */
static bool
zone_wanted(struct sieve_run *r, const struct sieve_call *c, int original, int *zone)
{
	struct slice s = sieve_string(r, c, SLOT_ZONE);

	*zone = sieve_arg(c, SLOT_ORIGINAL) ? original : sieve_host(r)->zone;
	return !sieve_arg(c, SLOT_ZONE) || zone_parse(s, zone) ||
	    sieve_fail(r, c, "%s: \"" SFMT "\" is no zone", c->word->name, SARG(s));
}

static bool
moment_match(struct sieve_matching *m, int64_t at, int original)
{
	struct sieve_run *r = m->run;
	const struct date_part *part =
	    date_part(sieve_string(r, m->call, (unsigned)m->call->word->keys - 1));
	struct moment t = { .at = at };
	struct buf b = { 0 };
	struct slice text;

	if (!part || !zone_wanted(r, m->call, original, &t.zone))
		return false;
	t.c = civil_from_unix(at + (int64_t)t.zone * 60);
	part->write(&b, &t);
	text = arena_slice(sieve_run_arena(r), buf_get(&b));
	buf_fini(&b);
	return sieve_match_text(m, text);
}

/* Of several fields only the first, or the one that :index means (4).  What stands behind the last semicolon
 * is the date of Received and its like. */
static bool
date_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct slice s = S("");
	struct sieve_matching m;
	struct sieve_field *f;
	struct sieve_walk w;
	size_t semicolon;
	struct date d;

	sieve_match_begin(&m, r, c);
	sieve_walk_begin(&w, r, c, sieve_fields_message(r), &sieve_arg(c, 0)->items[0]);
	f = sieve_walk_next(&w);
	if (f)
		s = sieve_field_value(r, f)->text;
	sieve_spend(r, c, s.n / 64);
	semicolon = slice_rfind(s, ';');
	if (semicolon < s.n)
		s = slice_from(s, semicolon + 1);
	if (date_parse(slice_trim(s), &d) == 0)
		moment_match(&m, d.at, d.zone);
	return sieve_match_end(&m);
}

static bool
currentdate_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct sieve_host *h = sieve_host(r);
	struct sieve_matching m;

	sieve_match_begin(&m, r, c);
	moment_match(&m, h->now, h->zone);
	return sieve_match_end(&m);
}

static const struct sieve_tag tags_zone[] = {
	{ ":zone", NULL, SIEVE_STRING, SIEVE_GROUP_1, .slot = SLOT_ZONE, .apply = zone_apply },
	{ .name = NULL },
};
static const struct sieve_tag tags_original[] = {
	{ ":originalzone", .group = SIEVE_GROUP_1, .slot = SLOT_ORIGINAL },
	{ .name = NULL },
};
static const struct sieve_tag *const date_tags[] = { sieve_tags_match, sieve_tags_index, tags_zone,
	tags_original, NULL };
static const struct sieve_tag *const now_tags[] = { sieve_tags_match, tags_zone, NULL };

const struct sieve_word sieve_words_date[] = {
	{ "date", SIEVE_TEST, "date", "ssl", date_tags, 2, .check = part_check, .run = date_run },
	{ "currentdate", SIEVE_TEST, "date", "sl", now_tags, 1, .check = part_check,
	    .run = currentdate_run },
	{ .name = NULL },
};
