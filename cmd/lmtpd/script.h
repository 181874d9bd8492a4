/* lmtpd/script.h: Sieve scripts, each compiled once in this worker and kept by its text.
 *
 * A script is looked up when a recipient is accepted, compiled by the thread that runs it first, and
 * given back here.  The loop's thread alone; what a thread works with it gets as a program. */
#ifndef LMTPD_SCRIPT_H
#define LMTPD_SCRIPT_H
#include "rules/rules.h"

struct globals;
struct script {
	unsigned refs; /* of recipients, and one of the table */
	struct list used;
	struct slice text;
	struct slice key;              /* of the table: the text, and what it may include */
	size_t octets;                 /* that the table counts */
	bool event;                    /* it runs for what people do (RFC 6785) */
	bool may_include;              /* it has the word in it: */
	struct globals *globals;       /* what of others it may include, */
	struct slice library;          /* and of the person's own (script.c) */
	const char *name;              /* static: "user", "domain", "system" */
	struct sieve_program *program; /* NULL: not compiled yet, or it cannot be */
	char *error;                   /* why it cannot be; NULL: nobody has tried, or it can */
};

#define SCRIPT_VACATION "vacation" /* the name of one that is made of attributes */

void scripts_init(void);
/* The script of that text, which may include those of `library` (tiermailSieveScript; NULL: none) and the
 * administrator's; the reference is the caller's. */
struct script *script_get(const char *name, struct slice text, const struct dir_values *library);
/* The same of one that runs for what people do. */
struct script *script_get_event(struct slice text, const struct dir_values *library);
struct script *script_ref(struct script *);
void script_unref(struct script **);
/* On any thread: the program, or NULL with *error (heap). */
struct sieve_program *script_program(const struct script *, char **error);
/* What a thread has made of it (heap) is the script's now: true.  False: another was first, and it stays
 * the caller's. */
bool script_made(struct script *, struct sieve_program *program, char *error);
void scripts_status(struct buf *out);

/* Appends a file of the administrator's; false with a line of *why, which names the key. */
bool script_file(const char *key, const char *path, struct buf *text, struct buf *why);
/* The administrator's, for every message, in the order in which they are asked: Sun's channel destination and system. */
enum script_level { SCRIPT_DESTINATION, SCRIPT_SYSTEM, SCRIPT_LEVELS };
struct script *script_host(enum script_level); /* NULL: there is none */
bool script_host_any(void);
/* Reads both anew.  False with a line of *why for each that cannot be: then it is as it was. */
bool script_host_read(struct buf *why);
/* Would they be read?  For -n. */
bool script_host_check(struct buf *why);
#endif
