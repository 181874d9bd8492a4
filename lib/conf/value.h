/* conf/value.h: one typed value: parsed, compared, stored, printed.  Inside conf/ only. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H
#include "conf/conf.h"

/* A parsed value that is not in its variable yet. */
struct conf_value {
	int64_t num; /* BOOL INT SIZE TIME ENUM MODE */
	char *str;   /* STR PATH SECRET; heap */
	char **list; /* LIST; heap, the words in one allocation with the array */
};

/* Parses `text` for `key`; `prefix` completes paths.  On failure *why (heap) says what would
 * be right. */
int conf_value_parse(const struct conf_key *key, struct slice text, const char *prefix,
    struct conf_value *v, char **why) MUSTCHECK;
void conf_value_free(struct conf_value *v);
/* Is it what the variable at `field` holds? */
bool conf_value_same(const struct conf_key *key, const void *field, const struct conf_value *v);
/* Stores it and takes what was there out into *old. */
void conf_value_store(const struct conf_key *key, void *field, struct conf_value v,
    struct conf_value *old);
/* Appends the variable's value as the file would have it; secrets are hidden. */
void conf_value_write(struct buf *b, const struct conf_key *key, const void *field);
/* Appends a text, in quotes where the file would not give it back otherwise. */
void conf_value_write_text(struct buf *b, const char *s);
const char *conf_type_name(enum conf_type t);
#endif
