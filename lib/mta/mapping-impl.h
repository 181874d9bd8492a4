/* mapping-impl.h: compiled tables; for mapping.c, mapping-template.c and mapping-ask.c only. */
#ifndef MTA_MAPPING_IMPL_H
#define MTA_MAPPING_IMPL_H
#include "base/map.h"
#include "mta/index.h"
#include "mta/mapping.h"

enum mta_map_op_code {
	MTA_MAP_TEXT,     /* text */
	MTA_MAP_FIELD,    /* $n */
	MTA_MAP_CASE,     /* $\ $^ $_: c */
	MTA_MAP_QUOTE,    /* $= */
	MTA_MAP_FLOW,     /* $C $E $L $R: c */
	MTA_MAP_FLAG,     /* any other letter or sign: c */
	MTA_MAP_IF,       /* $:c */
	MTA_MAP_UNLESS,   /* $;c */
	MTA_MAP_CHANCE,   /* $?x?: number, in millionths */
	MTA_MAP_SEQUENCE, /* $#file|radix|width|modulus#: text, radix, width, number */
	MTA_MAP_TABLE,    /* $|table;probe|: text, inner */
	MTA_MAP_GENERAL,  /* ${key}: inner */
	MTA_MAP_URL,      /* $]url[: inner */
	MTA_MAP_ATTRIBUTE /* $}domain,attribute{: inner, text the attribute */
};
struct mta_map_op {
	enum mta_map_op_code code;
	char c; /* also the field, 0 to 9 */
	struct slice text;
	struct mta_map_op *inner;
	size_t ninner;
	int radix;
	unsigned width;
	uint64_t number;
};
struct mta_map_entry {
	struct mta_glob *glob;
	struct mta_map_op *ops;
	size_t nops;
	const char *file;
	int line;
	struct slice pattern; /* as written */
};
struct mta_map_table {
	char *name;
	struct mta_map_entry *entries;
	uint32_t n;
	struct mta_index index;
};
struct mta_mappings {
	struct arena arena;
	struct mta_text text; /* whose lines the entries borrow from */
	struct map tables;    /* by name in upper case */
	struct mta_map_table **list;
	size_t n;
};

/* Compiles a template; fields is how many the pattern has.  0, or -EINVAL with *why. */
int mta_map_template(struct arena *a, struct slice text, struct mta_map_op **ops, size_t *n,
    const char **why) MUSTCHECK;
#endif
