/* rule.c: expire rules as text: see rule.h.
 *
 * Called by storectl for each file before anything is expired.  Owns the table of attributes.  What fails
 * is a mistake in the text, told with its place; reading goes on, so that one run shows all of them.  What
 * must stay true: a rule that is not understood whole is no rule.  One that would have fewer criteria
 * than its author wrote removes mail that he meant to keep. */
#include <string.h>

#include "aging/rule.h"
#include "base/casemap.h"
#include "base/mem.h"
#include "conf/conf.h"

struct aging_parse {
	struct aging_rules *r;
	struct mta_notes *notes;
	struct mta_line at; /* the line that is read */
	enum aging_level level;
	struct slice scope, folder;
	size_t section; /* the first rule of the section that is read */
};

/* ---- values -------------------------------------------------------------------------------- */

typedef bool
aging_value_fn(struct aging_parse *p, struct aging_rule *rule, struct slice value, size_t offset);

static bool
value_wrong(struct aging_parse *p, const char *want, struct slice value)
{
	mta_error(p->notes, &p->at, "expected %s, not \"" SFMT "\"", want,
	    SARG(slice_sub(value, 0, 100)));
	return false;
}

static void *
rule_member(struct aging_rule *rule, size_t offset)
{
	return (char *)rule + offset;
}

static bool
value_count(struct aging_parse *p, struct aging_rule *rule, struct slice value, size_t offset)
{
	uint64_t *to = rule_member(rule, offset);

	return (slice_u64(value, UINT32_MAX, to) == 0 && *to) ||
	    value_wrong(p, "a number of messages, 1 or more", value);
}

static bool
value_size(struct aging_parse *p, struct aging_rule *rule, struct slice value, size_t offset)
{
	static const char units[] = "kmgt";
	uint64_t *to = rule_member(rule, offset);
	const char *unit = value.n ? strchr(units, ascii_lower(value.p[value.n - 1])) : NULL;
	unsigned shift = unit && *unit ? 10 * (unsigned)(unit - units + 1) : 0;
	struct slice digits = slice(value.p, value.n - (shift > 0));

	if (slice_u64(digits, UINT64_MAX >> (shift + 1), to) < 0 || !*to)
		return value_wrong(p, "a size as 5000, 100k, 20M or 2G", value);
	*to <<= shift;
	return true;
}

static bool
value_days(struct aging_parse *p, struct aging_rule *rule, struct slice value, size_t offset)
{
	uint32_t *to = rule_member(rule, offset);
	uint64_t v;

	if (slice_u64(value, AGING_DAYS_MAX, &v) < 0 || !v)
		return value_wrong(p, "a number of days, 1 to 36500", value);
	*to = (uint32_t)v;
	return true;
}

static bool
value_yes(struct slice value, bool *yes)
{
	*yes = slice_eq(value, S("1")) || slice_ieq(value, S("yes"));
	return *yes || slice_eq(value, S("0")) || slice_ieq(value, S("no"));
}

static bool
value_bool(struct aging_parse *p, struct aging_rule *rule, struct slice value, size_t offset)
{
	return value_yes(value, rule_member(rule, offset)) || value_wrong(p, "1 or 0", value);
}

/* Sun's word for a flag that must be there is "and". */
static bool
value_flag(struct aging_parse *p, struct aging_rule *rule, struct slice value, size_t offset)
{
	bool *to = rule_member(rule, offset);

	if (slice_ieq(value, S("or"))) {
		mta_error(p->notes, &p->at,
		    "all criteria of a rule must be met: for \"or\" make two rules");
		return false;
	}
	*to = slice_ieq(value, S("and"));
	return *to || value_yes(value, to) || value_wrong(p, "and, yes or no", value);
}

static bool
value_pattern(struct aging_parse *p, struct aging_rule *rule, struct slice value, size_t offset)
{
	bool whole = slice_starts(value, S("user/"));

	(void)offset;
	if (value.n == 0 || value.n > IMAP_PATTERN_MAX)
		return value_wrong(p, "a pattern of at most 1000 bytes", value);
	if (!whole && p->level < AGING_USER)
		return value_wrong(p, "a pattern that begins with user/", value);
	rule->patterned = true;
	rule->relative = !whole;
	imap_pattern_compile(&rule->pattern, &p->r->arena, arena_slice(&p->r->arena, value));
	return true;
}

static bool
value_action(struct aging_parse *p, struct aging_rule *rule, struct slice value, size_t offset)
{
	char name[STORE_NAME_MAX + 1];

	(void)offset;
	rule->action = slice_ieq(value, S("report")) ? AGING_REPORT : AGING_DISCARD;
	if (rule->action == AGING_REPORT || slice_ieq(value, S("discard")))
		return true;
	if (slice_ieq(value, S("archive"))) {
		mta_error(p->notes, &p->at, "there is no archive here: fileinto:FOLDER moves");
		return false;
	}
	if (!slice_istarts(value, S("fileinto:")))
		return value_wrong(p, "discard, report or fileinto:FOLDER", value);
	value = slice_trim(slice_from(value, 9));
	if (store_name_check(value, name) < 0 || !store_name_new_ok(slice_str(name)))
		return value_wrong(p, "the name of a folder behind fileinto:", value);
	rule->action = AGING_MOVE;
	rule->to = slice_str(arena_str(&p->r->arena, name));
	return true;
}

static bool
value_regexp(struct aging_parse *p, struct aging_rule *rule, struct slice value, size_t offset)
{
	bool yes = false;

	(void)rule;
	(void)offset;
	if (!value_yes(value, &yes))
		return value_wrong(p, "1 or 0", value);
	if (yes)
		mta_error(p->notes, &p->at,
		    "there are no regular expressions here: * is anything, %% anything but /");
	return !yes;
}

static bool
value_sieve(struct aging_parse *p, struct aging_rule *rule, struct slice value, size_t offset)
{
	(void)rule;
	(void)value;
	(void)offset;
	mta_error(p->notes, &p->at, "sieve is not asked for old mail: use messageheader.NAME");
	return false;
}

/* ---- attributes ------------------------------------------------------------------------------ */

struct aging_attribute {
	const char *name;
	unsigned by; /* the criterion that it is, or 0 */
	aging_value_fn *value;
	size_t offset;
};
#define AT(member) offsetof(struct aging_rule, member)
/* clang-format off */
static const struct aging_attribute attributes[] = {
	{ "action",          0,                value_action,  0 },
	{ "deleted",         AGING_BY_DELETED, value_flag,    AT(deleted) },
	{ "exclusive",       0,                value_bool,    AT(exclusive) },
	{ "folderpattern",   0,                value_pattern, 0 },
	{ "foldersize",      AGING_BY_FOLDER,  value_size,    AT(foldersize) },
	{ "messagecount",    AGING_BY_COUNT,   value_count,   AT(messagecount) },
	{ "messagedays",     AGING_BY_DAYS,    value_days,    AT(messagedays) },
	{ "messagesize",     AGING_BY_SIZE,    value_size,    AT(messagesize) },
	{ "messagesizedays", AGING_BY_GRACE,   value_days,    AT(messagesizedays) },
	{ "regexp",          0,                value_regexp,  0 },
	{ "savedays",        AGING_BY_SAVED,   value_days,    AT(savedays) },
	{ "seen",            AGING_BY_SEEN,    value_flag,    AT(seen) },
	{ "sieve",           0,                value_sieve,   0 },
};
/* clang-format on */
_Static_assert(NELEM(attributes) <= 32, "a bit of `had` for each");

static void
attribute_unknown(struct aging_parse *p, struct slice name)
{
	const char *words[NELEM(attributes)], *near;

	for (size_t i = 0; i < NELEM(attributes); i++)
		words[i] = attributes[i].name;
	near = conf_nearest(name, words, NELEM(attributes));
	mta_error(p->notes, &p->at, "there is no attribute \"" SFMT "\"%s%s",
	    SARG(slice_sub(name, 0, 100)), near ? ", did you mean " : "", near ? near : "");
}

static bool
header_name_ok(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= 0x20 || name.p[i] >= 0x7f || name.p[i] == ':')
			return false;
	return name.n > 0;
}

/* The text is looked for as SEARCH HEADER looks for it. */
static void
rule_header(struct aging_parse *p, struct aging_rule *rule, struct slice name, struct slice value)
{
	struct arena *a = &p->r->arena;
	struct buf form = { 0 };

	if (!header_name_ok(name) || value.n == 0 || rule->headers.n == AGING_HEADERS_MAX) {
		mta_error(p->notes, &p->at,
		    "expected the name of a header field and its text, %d of them at most",
		    AGING_HEADERS_MAX);
		return;
	}
	casemap_search_to(&form, value);
	message_query_add(&rule->headers, MESSAGE_IN_FIELD, arena_slice(a, name),
	    arena_slice(a, buf_get(&form)), a);
	buf_fini(&form);
	rule->by |= AGING_BY_HEADER;
}

static void
rule_attribute(struct aging_parse *p, struct aging_rule *rule, struct slice name,
    struct slice value)
{
	const struct aging_attribute *a = attributes;

	if (slice_istarts(name, S("messageheader."))) {
		rule_header(p, rule, slice_from(name, 14), value);
		return;
	}
	while (a < attributes + NELEM(attributes) && !slice_ieq(name, slice_str(a->name)))
		a++;
	if (a == attributes + NELEM(attributes))
		attribute_unknown(p, name);
	else if (rule->had & 1u << (a - attributes))
		mta_error(p->notes, &p->at, "the rule " SFMT " has %s already", SARG(rule->name),
		    a->name);
	else {
		rule->had |= 1u << (a - attributes);
		rule->by |= a->value(p, rule, value, a->offset) ? a->by : 0;
	}
}

/* ---- rules ------------------------------------------------------------------------------------- */

static struct aging_rule *
rule_named(struct aging_parse *p, struct slice name)
{
	struct aging_rules *r = p->r;

	for (size_t i = p->section; i < r->n; i++)
		if (slice_ieq(r->rules[i].name, name))
			return &r->rules[i];
	if (r->n == (p->level == AGING_OWN ? AGING_OWN_RULES : AGING_RULES_MAX)) {
		mta_error(p->notes, &p->at, "a file has %zu rules at most", r->n);
		return NULL;
	}
	if (r->n == r->room) {
		r->room = r->room ? r->room * 2 : 8;
		r->rules = mem_grow(r->rules, r->room, sizeof(*r->rules));
	}
	r->rules[r->n] = (struct aging_rule){ .name = arena_slice(&r->arena, name),
		.file = p->at.file,
		.line = p->at.line,
		.level = p->folder.n ? AGING_FOLDER : p->level,
		.scope = p->scope,
		.folder = p->folder };
	return &r->rules[r->n++];
}

static bool
rule_name_ok(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= 0x20 || name.p[i] >= 0x7f || strchr("\"[]:", name.p[i]))
			return false;
	return name.n > 0 && name.n <= 64;
}

/* "[folder NAME]": what follows is for that folder alone. */
static void
rules_section(struct aging_parse *p, struct slice line)
{
	char name[STORE_NAME_MAX + 1];
	struct slice word, text = slice_sub(line, 1, line.n - 2);

	p->section = p->r->n;
	if (p->level != AGING_USER && p->level != AGING_OWN)
		mta_error(p->notes, &p->at, "folders have rules in an account's file alone");
	else if (line.p[line.n - 1] != ']' || !slice_word(&text, &word) ||
	    !slice_ieq(word, S("folder")) || store_name_check(slice_trim(text), name) < 0)
		(void)value_wrong(p, "[folder NAME]", line);
	else
		p->folder = slice_str(arena_str(&p->r->arena, name));
}

static void
rules_line(struct aging_parse *p, struct slice line)
{
	size_t dot = slice_find(line, '.'), colon = slice_find(line, ':');
	struct slice name = slice_trim(slice_sub(line, 0, dot));
	struct aging_rule *rule;

	if (line.p[0] == '[')
		rules_section(p, line);
	else if (dot >= colon || colon == line.n || !rule_name_ok(name) ||
	    memchr(line.p, '\0', line.n))
		(void)value_wrong(p, "RULE.ATTRIBUTE: VALUE", line);
	else if ((rule = rule_named(p, name)))
		rule_attribute(p, rule, slice_trim(slice_sub(line, dot + 1, colon - dot - 1)),
		    slice_trim(slice_from(line, colon + 1)));
}

/* What only the whole rule shows. */
static void
rule_check(struct aging_parse *p, struct aging_rule *rule)
{
	const struct mta_line at = { .file = rule->file, .line = rule->line };
	const char *why = NULL;

	if (!rule->by)
		why = "has no criterion and would take everything";
	else if (rule->by & AGING_BY_GRACE && !(rule->by & AGING_BY_SIZE))
		why = "has messagesizedays without messagesize";
	else if (!rule->patterned && p->level < AGING_USER)
		why = "has no folderpattern: user/* is every folder";
	else if (rule->exclusive && p->level == AGING_OWN)
		why = "cannot be exclusive: the site's rules hold for everybody";
	if (why)
		mta_error(p->notes, &at, "the rule " SFMT " %s", SARG(rule->name), why);
	if (rule->headers.n)
		message_query_ready(&rule->headers, &p->r->arena);
}

bool
aging_rules_parse(struct aging_rules *r, const char *file, struct slice text,
    enum aging_level level, struct slice scope, struct mta_notes *notes)
{
	struct aging_parse p = { .r = r, .notes = notes, .level = level };
	unsigned before = notes->nerrors;
	struct slice line;

	p.at.file = arena_str(&r->arena, file);
	p.scope = arena_slice(&r->arena, scope);
	if (text.n > (level == AGING_OWN ? AGING_OWN_MAX : AGING_TEXT_MAX))
		mta_error(notes, &p.at, "the file is too large");
	while (slice_cut(&text, '\n', &line)) {
		p.at.line++;
		line = slice_trim(line);
		if (line.n && line.p[0] != '#')
			rules_line(&p, line);
	}
	for (size_t i = 0; i < r->n && notes->nerrors == before; i++)
		rule_check(&p, &r->rules[i]);
	return notes->nerrors == before;
}

void
aging_rules_fini(struct aging_rules *r)
{
	arena_reset(&r->arena);
	mem_release(r->rules);
	*r = (struct aging_rules){ 0 };
}

/* ---- which hold for a folder ----------------------------------------------------------------------- */

static bool
rule_holds(const struct aging_rule *r, const struct aging_place *p, struct slice whole)
{
	if (r->level == AGING_PARTITION && !slice_eq(r->scope, p->partition))
		return false;
	if (r->level >= AGING_USER && !slice_eq(r->scope, p->account))
		return false;
	if (r->level == AGING_FOLDER && !slice_eq(r->folder, p->folder))
		return false;
	if (r->action == AGING_MOVE && slice_eq(r->to, p->folder)) /* it is there */
		return false;
	return !r->patterned ||
	    imap_pattern_matches(&r->pattern, r->relative ? p->folder : whole, false);
}

void
aging_rules_select(const struct aging_rules *const *sets, size_t n, const struct aging_place *place,
    struct buf *out)
{
	const struct aging_rule *only = NULL, *rule;
	struct buf whole = { 0 };
	size_t keep = out->n;

	buf_printf(&whole, "user/" SFMT "/" SFMT, SARG(place->account), SARG(place->folder));
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; sets[i] && k < sets[i]->n; k++) {
			rule = &sets[i]->rules[k];
			if (!rule_holds(rule, place, buf_get(&whole)))
				continue;
			if (rule->exclusive)
				only = rule;
			buf_add(out, &rule, sizeof(rule));
		}
	if (only) {
		out->n = keep;
		buf_add(out, &only, sizeof(only));
	}
	buf_fini(&whole);
}
