/* Fuzz: values of an entry as people's scripts, whoever wrote them: no text is lost by a change but the one that it names,
 * and one alone runs when one was made active. */
#include "base/must.h"
#include "rules/rules-impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define VALUES 16

static bool
value_there(const struct dir_before *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(v[i].attribute, v[n].attribute) && slice_eq(v[i].value, v[n].value))
			return true;
	return false;
}

/* The values: pieces that end in NUL; the first octet of each says of which attribute. */
static size_t
values_of(struct slice in, struct dir_before *v)
{
	struct slice piece;
	size_t n = 0;

	while (n < VALUES && slice_cut(&in, '\0', &piece)) {
		if (piece.n == 0)
			continue;
		v[n] = (struct dir_before){ slice_str(*piece.p & 1 ? RULES_RUN : RULES_IDLE),
			slice_from(piece, 1) };
		n += !value_there(v, n); /* LDAP has a value once */
	}
	return n;
}

static size_t
count_runs(const struct rules_entry *e)
{
	size_t runs = 0;

	for (size_t i = 0; i < e->n; i++)
		runs += e->scripts[i].runs;
	return runs;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct rules_limits limits = { 20, 1000, 4000 };
	struct dir_before v[VALUES];
	struct arena a = { 0 };
	struct rules_entry e;
	struct rules_edit edit;
	size_t nv = values_of(slice((const char *)data, n), v);

	rules_entry_read(&e, &a, v, nv);
	must(e.n == nv);
	for (size_t i = 0; i < e.n; i++) {
		struct rules_change c = { .verb = RULES_ACTIVATE, .name = e.scripts[i].name };
		size_t gone = 0, come = 0, runs = count_runs(&e);

		must(e.scripts[i].name.n > 0 && e.scripts[i].id.n == RULES_ID);
		must(rules_entry_edit(&e, &c, &limits, &a, &edit) == RULES_DONE);
		for (size_t k = 0; k < edit.n; k++) {
			bool is_run = strcmp(edit.changes[k].attribute, RULES_RUN) == 0;
			size_t values = edit.changes[k].nvalues;

			*(edit.changes[k].how == DIR_DELETE ? &gone : &come) += values;
			if (is_run)
				runs += edit.changes[k].how == DIR_DELETE ? -values : values;
		}
		must(gone == come && runs == 1);
		c.verb = RULES_DELETE;
		must(rules_entry_edit(&e, &c, &limits, &a, &edit) ==
		    (e.scripts[i].runs ? RULES_ACTIVE : RULES_DONE));
	}
	arena_wipe(&a);
	return 0;
}
