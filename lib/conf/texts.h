/* conf/texts.h: what the files say of each key, before anybody looks at what it means.
 *
 * Inside conf/ only: conf.c has one struct conf_texts while conf_read runs.  It owns texts and
 * places, not the schemas.  Errors are gathered in `why`, one a line, so that one run shows all. */
#ifndef CONF_TEXTS_H
#define CONF_TEXTS_H
#include "conf/value.h"

/* What the files say about one key. */
struct conf_slot {
	const struct conf_key *key;
	char *text;  /* NULL = not there */
	char *where; /* "file:line" */
	int rank;    /* which file: the daemon's own may repeat a shared key */
	bool is_shared;
	struct conf_value v; /* conf.c's: the text parsed, until it is in its variable */
};

/* A [name ARG] in the files. */
struct conf_item {
	const struct conf_section *sec;
	char *arg, *where;
	struct conf_slot *slots; /* sec->nkeys */
};

struct conf_texts {
	const struct conf_schema *const *schemas;
	size_t nschemas;
	struct conf_slot *slots; /* a slot for each key of the schemas */
	size_t nslots;
	struct conf_item *items;
	size_t nitems;
	bool has_shared;    /* conf_shared_schema is among the schemas */
	const char *prefix; /* conf.c's: what completes paths */
	struct buf why;
	/* while a file is read: */
	struct conf_item *item; /* that the lines belong to */
	bool lost;              /* lines belong to a section that was refused */
	int rank;
};

void conf_texts_init(struct conf_texts *r, const struct conf_schema *const *schemas, size_t n);
void conf_texts_fini(struct conf_texts *r);
/* Reads a file, or none when path is NULL.  A text of a higher rank replaces one of a lower, one
 * of the same rank is told as a mistake.  0 or -errno when the file cannot be read. */
int conf_texts_read(struct conf_texts *r, const char *path, int rank);
#endif
