/* A person's scripts as values of an entry: what they are read as, whoever has put them there, and what each change
 * does to the values; nothing is lost but what was named. */
#include "rules/rules-impl.h"
#include "../tap.h"

#define ID "hongl5gjb904f"
static const struct rules_limits limits = { 5, 50, 120 };

static struct dir_before
run(const char *v)
{
	return (struct dir_before){ S("mailSieveRuleSource"), slice_str(v) };
}
static struct dir_before
idle(const char *v)
{
	return (struct dir_before){ S("tiermailSieveScript"), slice_str(v) };
}

/* name:text, * for active, + for others that run, ? for foreign; by blanks. */
static const char *
shown(const struct rules_entry *e, struct arena *a)
{
	const char *all = "";

	for (size_t i = 0; i < e->n; i++) {
		const struct rules_script *s = &e->scripts[i];

		all = arena_printf(a, "%s%s" SFMT ":" SFMT "%s%s", all, *all ? " " : "",
		    SARG(s->name), SARG(s->text),
		    s->active   ? "*" :
			s->runs ? "+" :
				  "",
		    s->foreign ? "?" : "");
	}
	return all;
}

/* The entry as it is after the edit. */
static size_t
apply(struct dir_before *v, size_t n, const struct rules_edit *edit)
{
	for (size_t c = 0; c < edit->n; c++) {
		const struct dir_change *d = &edit->changes[c];

		for (size_t k = 0; k < d->nvalues; k++) {
			size_t i = 0;

			while (i < n &&
			    !(slice_eq(v[i].attribute, slice_str(d->attribute)) &&
				slice_eq(v[i].value, d->values[k])))
				i++;
			if (d->how == DIR_DELETE && ok(i < n, "the value is there"))
				v[i] = v[--n];
			else if (d->how == DIR_ADD && ok(i == n, "the value is new"))
				v[n++] =
				    (struct dir_before){ slice_str(d->attribute), d->values[k] };
		}
	}
	return n;
}

static const char *const outcomes[] = {
	[RULES_NONE] = "none",
	[RULES_EXISTS] = "exists",
	[RULES_ACTIVE] = "active",
	[RULES_MANY] = "many",
	[RULES_LARGE] = "large",
	[RULES_FULL] = "full",
};

/* Makes the change, and shows the entry; or the outcome's name. */
static const char *
changed(struct dir_before *v, size_t *n, enum rules_verb verb, const char *name, const char *to,
    struct arena *a)
{
	struct rules_change c = { .verb = verb,
		.name = slice_str(name),
		.to = slice_str(to),
		.text = slice_str(to),
		.size = verb == RULES_CHECK ? (size_t)atoi(to) : 0 };
	struct rules_edit edit;
	struct rules_entry e;
	enum rules_outcome outcome;

	rules_entry_read(&e, a, v, *n);
	outcome = rules_entry_edit(&e, &c, &limits, a, &edit);
	if (outcome != RULES_DONE)
		return outcomes[outcome];
	*n = apply(v, *n, &edit);
	rules_entry_read(&e, a, v, *n);
	return shown(&e, a);
}

static void
test_reading(void)
{
	struct arena a = { 0 };
	struct rules_entry e;
	const struct dir_before v[] = {
		idle(ID " b\nkeep;"),
		run("# tiermail-script: " ID " a name\nstop;\r\n"),
		run("{2}discard;"),
		run("{1}keep;"),
		idle("nothing that we know"),
		idle(ID " b\nsecond of that name"),
		{ S("entryCSN"), S("20260101000000.000000Z#000000#000#000000") },
	};
	struct dir_before one[] = { run("{2}discard;"), run("{1}keep;") };

	rules_entry_read(&e, &a, v, NELEM(v));
	eq(e.n, 6, "each value is a script");
	ok(slice_eq(e.csn, v[6].value), "and the entry has a version");
	is(arena_printf(&a, SFMT, SARG(e.scripts[0].name)), "a name", "by name");
	ok(e.scripts[0].active && slice_eq(e.scripts[0].text, S("stop;\r\n")),
	    "with a name it is the active one, without its first line");
	ok(slice_eq(e.scripts[1].text, S("keep;")) && !e.scripts[1].runs, "what does not run");
	for (size_t i = 2; i < 6; i++)
		ok(slice_starts(e.scripts[i].name, S("filter-")) && e.scripts[i].foreign &&
			!e.scripts[i].active,
		    "of others");
	rules_entry_read(&e, &a, one, 2);
	ok(e.n == 2 && e.scripts[0].active + e.scripts[1].active == 1 &&
		slice_eq(e.scripts[!e.scripts[0].active].text, S("keep;")),
	    "the one that runs first is called active");
	arena_wipe(&a);
}

static void
test_changing(void)
{
	struct dir_before v[20];
	struct arena a = { 0 };
	size_t n = 0;

	is(changed(v, &n, RULES_PUT, "a", "one", &a), "a:one", "a script");
	is(changed(v, &n, RULES_PUT, "b", "two", &a), "a:one b:two", "another");
	is(changed(v, &n, RULES_ACTIVATE, "a", "", &a), "a:one* b:two", "active");
	is(changed(v, &n, RULES_ACTIVATE, "a", "", &a), "a:one* b:two", "again");
	is(changed(v, &n, RULES_PUT, "a", "three", &a), "a:three* b:two", "another text");
	is(changed(v, &n, RULES_PUT, "a", "three", &a), "a:three* b:two", "the same text");
	is(changed(v, &n, RULES_RENAME, "a", "c", &a), "b:two c:three*", "another name");
	is(changed(v, &n, RULES_ACTIVATE, "b", "", &a), "b:two* c:three", "the other one");
	is(changed(v, &n, RULES_DELETE, "b", "", &a), "active", "an active one stays");
	is(changed(v, &n, RULES_ACTIVATE, "", "", &a), "b:two c:three", "none");
	is(changed(v, &n, RULES_DELETE, "b", "", &a), "c:three", "deleted");
	is(changed(v, &n, RULES_DELETE, "b", "", &a), "none", "there is none");
	is(changed(v, &n, RULES_ACTIVATE, "b", "", &a), "none", "nor to activate");
	is(changed(v, &n, RULES_RENAME, "b", "c", &a), "none", "nor to rename");
	is(changed(v, &n, RULES_RENAME, "c", "c", &a), "exists", "a name that is taken, its own");
	is(changed(v, &n, RULES_PUT, "e", "", &a), "c:three e:", "an empty one");
	is(changed(v, &n, RULES_ACTIVATE, "e", "", &a), "c:three e:*", "is one too");
	arena_wipe(&a);
}

static void
test_foreign(void)
{
	struct dir_before v[20] = { run("{1}keep;"), run("{2}discard;"), run("{3}stop;"),
		idle(ID " x\nredirect;") };
	struct arena a = { 0 };
	struct rules_entry e;
	size_t n = 4, kept = 0;
	const char *name = "";

	rules_entry_read(&e, &a, v, n);
	for (size_t i = 0; i < 3; i++)
		if (slice_eq(e.scripts[i].text, S("discard;")))
			name = arena_printf(&a, SFMT, SARG(e.scripts[i].name));
	changed(v, &n, RULES_PUT, name, "fileinto;", &a);
	ok(slice_starts(v[n - 1].value, S("{2}# tiermail-script: f")) && n == 4,
	    "a text of ours under that name keeps its place");
	changed(v, &n, RULES_ACTIVATE, "x", "", &a);
	rules_entry_read(&e, &a, v, n);
	for (size_t i = 0; i < e.n; i++)
		kept += slice_eq(e.scripts[i].text, S("keep;")) ||
		    slice_eq(e.scripts[i].text, S("fileinto;")) ||
		    slice_eq(e.scripts[i].text, S("stop;"));
	eq(kept, 3, "another one is active, and none is lost");
	for (size_t i = 0; i < e.n; i++)
		eq(e.scripts[i].runs, slice_eq(e.scripts[i].name, S("x")), "it alone runs");
	arena_wipe(&a);
}

/* By id, as JMAP does. */
static const char *
done_by_id(struct dir_before *v, size_t *n, struct rules_change c, struct arena *a)
{
	struct rules_edit edit;
	struct rules_entry e;
	enum rules_outcome outcome;

	rules_entry_read(&e, a, v, *n);
	outcome = rules_entry_edit(&e, &c, &limits, a, &edit);
	if (outcome != RULES_DONE)
		return outcomes[outcome];
	*n = apply(v, *n, &edit);
	rules_entry_read(&e, a, v, *n);
	return shown(&e, a);
}

static void
test_ids(void)
{
	struct dir_before v[20];
	struct arena a = { 0 };
	struct rules_change create = { .verb = RULES_CREATE,
		.id = S("000000000000a"),
		.name = S("a"),
		.text = S("one") };
	struct rules_change update = { .verb = RULES_UPDATE, .id = create.id };
	size_t n = 0;

	is(done_by_id(v, &n, create, &a), "a:one", "one is made");
	is(done_by_id(v, &n, create, &a), "a:one", "it is there already, and not made twice");
	create.id = S("000000000000b");
	is(done_by_id(v, &n, create, &a), "exists", "another of that name");
	create.name = S("b");
	is(done_by_id(v, &n, create, &a), "a:one b:one", "of another");
	is(done_by_id(v, &n, update, &a), "a:one b:one", "nothing else");
	update.to = S("b");
	is(done_by_id(v, &n, update, &a), "exists", "a name that is taken");
	update.to = S("c");
	update.text = S("two");
	is(done_by_id(v, &n, update, &a), "b:one c:two", "another name and text at once");
	is(done_by_id(v, &n, update, &a), "b:one c:two", "twice is once");
	update.text = S("012345678901234567890123456789012345678901234567890123456789");
	is(done_by_id(v, &n, update, &a), "large", "a text that is too large");
	update.id = S("000000000000z");
	is(done_by_id(v, &n, update, &a), "none", "nobody's id");
	is(done_by_id(v, &n,
	       (struct rules_change){ .verb = RULES_ACTIVATE, .id = S("000000000000a") }, &a),
	    "b:one c:two*", "the one that has another name by now is made active");
	is(done_by_id(v, &n,
	       (struct rules_change){ .verb = RULES_DELETE, .id = S("000000000000b") }, &a),
	    "c:two*", "the other removed");
	is(done_by_id(v, &n, (struct rules_change){ .verb = RULES_ACTIVATE }, &a), "c:two",
	    "and none is active");
	arena_wipe(&a);
}

static void
test_limits(void)
{
	struct dir_before v[20];
	struct arena a = { 0 };
	size_t n = 0;

	is(changed(v, &n, RULES_CHECK, "a", "50", &a), "", "as large as may be");
	is(changed(v, &n, RULES_CHECK, "a", "51", &a), "large", "larger");
	is(changed(v, &n, RULES_PUT, "a", "0123456789012345678901234567890123456789", &a),
	    "a:0123456789012345678901234567890123456789", "40");
	changed(v, &n, RULES_PUT, "b", "0123456789012345678901234567890123456789", &a);
	ok(strchr(changed(v, &n, RULES_CHECK, "c", "40", &a), ':'),
	    "all together as large as may be");
	is(changed(v, &n, RULES_CHECK, "c", "41", &a), "full", "larger");
	ok(strchr(changed(v, &n, RULES_CHECK, "b", "50", &a), ':'), "in the place of another");
	changed(v, &n, RULES_PUT, "c", "", &a);
	changed(v, &n, RULES_PUT, "d", "", &a);
	changed(v, &n, RULES_PUT, "e", "", &a);
	is(changed(v, &n, RULES_PUT, "f", "", &a), "many", "too many");
	ok(strchr(changed(v, &n, RULES_PUT, "e", "x", &a), ':'), "but one of these");
	arena_wipe(&a);
}

int
main(void)
{
	test_reading();
	test_changing();
	test_foreign();
	test_ids();
	test_limits();
	return done();
}
