/* rules/rules-impl.h: what entry.c and store.c share; nobody else includes it. */
#ifndef RULES_RULES_IMPL_H
#define RULES_RULES_IMPL_H
#include "base/arena.h"
#include "directory/modify.h"
#include "rules/rules.h"

#define RULES_RUN  "mailSieveRuleSource"
#define RULES_IDLE "tiermailSieveScript"

/* A script with what an entry says besides. */
struct rules_value {
	struct slice raw;    /* the whole value */
	struct slice number; /* "{n}", or empty: of one that runs */
};
/* An entry as it was read; everything in the arena. */
struct rules_entry {
	struct rules_script *scripts; /* by name */
	struct rules_value *values;   /* of each */
	size_t n;
	struct slice csn; /* entryCSN; empty: it was not shown */
	size_t total;     /* octets of all texts */
};
void rules_entry_read(struct rules_entry *e, struct arena *a, const struct dir_before *v, size_t n);

/* What is to be changed: values that go and come, of either attribute. */
#define RULES_CHANGES 4
struct rules_edit {
	struct dir_change changes[RULES_CHANGES];
	size_t n; /* 0: all is as it is wanted */
};
/* RULES_DONE with *edit (in the arena), or why not. */
enum rules_outcome rules_entry_edit(const struct rules_entry *e, const struct rules_change *c,
    const struct rules_limits *l, struct arena *a, struct rules_edit *edit);
#endif
