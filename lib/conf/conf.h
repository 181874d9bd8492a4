/* conf/conf.h: configuration files, `key = value` with `[section]` lines.
 *
 * A daemon states its keys in one array of struct conf_key beside its variables; reading,
 * checking, printing (-n) and the man page's agreement test all go through that array.
 * Unknown keys, bad values and duplicate keys are errors with file:line and the nearest
 * known word.  `#` starts a comment at the beginning of a line or after white space; values
 * may be quoted with "..."; a line ending in `\` goes on.  `include FILE` reads another file
 * (relative to the including one).  A `[name argument]` section repeats a group of keys for
 * each argument ([channel tcp_local]); `[name]` sections prefix keys ("name.key").
 * Syntax and shared keys: tiermail.conf(5). */
#ifndef CONF_CONF_H
#define CONF_CONF_H
#include "base/buf.h"

enum conf_type {
	CONF_STR,  /* char *; heap, owned by the conf */
	CONF_BOOL, /* bool: yes|no|true|false|on|off */
	CONF_INT,  /* int64_t, min..max */
	CONF_SIZE, /* int64_t bytes: 10, 4K, 25M, 1G; min..max */
	CONF_TIME, /* int64_t milliseconds: 500ms, 30s, 5m, 4h, 5d; min..max are ms */
	CONF_LIST, /* char **, NULL-terminated; words separated by white space or commas */
	CONF_ENUM, /* int: index in `choices` */
	CONF_PATH, /* char *; relative paths are resolved against `prefix` of tiermail.conf */
	CONF_SECRET, /* char *; never printed; `file:PATH` and `credential:NAME` read the first line of a file */
	CONF_MODE, /* int64_t, octal file mode */
};
enum conf_when { RESTART, RELOAD }; /* what it takes for a change to act */

struct conf_key {
	const char *name; /* "limit.clients" = key `clients` in section [limit] */
	enum conf_type type;
	void *field;      /* the variable; in a repeated section: offset into the struct */
	const char *dflt; /* default as text; NULL = required */
	int64_t min, max; /* numbers; 0, 0 = no bounds */
	enum conf_when when;
	/* CONF_ENUM: "off|may|must".  CONF_STR when it is not empty, and each word of a CONF_LIST: the
	 * form that it must have (conf/form.h).  CONF_PATH when it is not empty: "file", which must
	 * be there.  CONF_INT, CONF_SIZE, CONF_TIME: the key's former name, for "did you mean". */
	const char *choices;
	const char *help; /* one sentence, also in the man page */
};

/* A repeated section [name ARG]: one zeroed struct of `size` bytes for each. */
struct conf_section {
	const char *name;
	size_t size;
	const struct conf_key *keys; /* `field` holds (void *)offsetof(...) */
	size_t nkeys;
	void ***items; /* out: NULL-terminated array of structs; */
	size_t arg_at; /* offsetof the char * that gets ARG */
	const char *help;
};

struct conf_schema {
	const struct conf_key *keys;
	size_t nkeys;
	const struct conf_section *sections;
	size_t nsections;
};

/* The keys all daemons share (tiermail.conf): see conf/shared.h.  When that schema is among
 * those given to conf_read, the shared file may hold only its keys, and `path` may set any key
 * again, which then wins.  Lists are one allocation with their words. */

/* Reads `shared` (tiermail.conf) and then `path` (either may be NULL) into the variables of
 * the schemas.  All or nothing: on an error no variable is changed and *why (heap, caller
 * frees) has every message, one a line, "file:line: text".  With reload true, keys marked
 * RESTART keep their old value and a difference is reported in *why while the call succeeds.
 * A reload keeps what has not changed where it is, also the structs of repeated sections (by
 * ARG); old strings stay valid until the next successful conf_read, and the struct of a section
 * that is gone stays in memory, off the list.  A section whose first key is marked RESTART
 * comes and goes only by a restart.
 * Returns 0 or -EINVAL / -ENOENT / -EACCES. */
int conf_read(const struct conf_schema *const *schemas, size_t nschemas, const char *shared,
    const char *path, bool reload, char **why) MUSTCHECK;
/* Calls fn for each file that the last conf_read has read: those named, what they include, secrets. */
void conf_each_file(void (*fn)(void *arg, const char *path), void *arg);
/* Calls fn for the value of `key` in each section [name ARG] of a file that another program owns,
 * with the value empty when the section has none; for a key above all sections, with both names empty,
 * section is "".  Nothing is checked; 0 or -errno. */
int conf_peek(const char *path, const char *section, const char *key,
    void (*fn)(void *arg, const char *name, const char *value), void *arg) MUSTCHECK;
/* Secrets in files that this user may not read are empty from now on, and no mistake: for tools, which
 * ordinary users run too. */
void conf_leave_secrets(void);
/* While it is on, conf_read leaves a secret as the text that stands in the file, for a program that reads keys of another
 * and must not have its secrets. */
void conf_unread_secrets(bool on);
/* Such a text: *out is the secret (heap).  0, or -EINVAL and *why (heap). */
int conf_secret_read(const char *text, char **out, char **why) MUSTCHECK;
/* Appends the effective configuration, one `key = value   # default|file:line` a line. */
void conf_print(const struct conf_schema *const *schemas, size_t nschemas, struct buf *out);
/* Where the value of a variable (a field, in sections) comes from: "file:line" or "default". */
const char *conf_where(const void *field);
/* Appends what can be configured, a key a line: name (in a repeated section "[section].key"),
 * type, default or "-" when required, restart|reload, help; separated by tabs. */
void conf_describe(const struct conf_schema *const *schemas, size_t nschemas, struct buf *out);
/* Frees every string and list that conf_read has set. */
void conf_free(const struct conf_schema *const *schemas, size_t nschemas);

/* The parsers of CONF_TIME and CONF_SIZE by themselves, without bounds; 0 or -EINVAL. */
int conf_parse_time(struct slice s, int64_t *ms) MUSTCHECK;
int conf_parse_size(struct slice s, int64_t *v) MUSTCHECK;
/* The word of `n` that is nearest to s by edit distance (at most 2 and a third of its
 * length), or NULL: for "did you mean". */
const char *conf_nearest(struct slice s, const char *const *words, size_t n);
#endif
