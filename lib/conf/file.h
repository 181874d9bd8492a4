/* conf/file.h: the syntax of a configuration file, without its meaning.  Inside conf/ only. */
#ifndef CONF_FILE_H
#define CONF_FILE_H
#include "conf/conf.h"

/* One `key = value` line, or with key.n == 0 the beginning of a `[section arg]`. */
struct conf_line {
	struct slice section, arg; /* of the last section line */
	struct slice key, value;   /* the value without quotes and comment */
	const char *file;
	int line;
};

/* Reads path and what it includes.  Calls `line` for each section and key; appends syntax
 * errors to `why`.  0, or -ENOENT / -EACCES / -EISDIR when path itself cannot be read. */
int conf_file_read(const char *path, void (*line)(void *arg, const struct conf_line *), void *arg,
    struct buf *why);
/* Remembers a file for conf_each_file, or forgets them all. */
void conf_file_note(const char *path);
void conf_file_forget(void);
#endif
