/* sievetest.h: what the files of sievetest share. */
#ifndef SIEVETEST_H
#define SIEVETEST_H
#include "base/buf.h"
#include "sieve/word.h"

enum { EXIT_FAILED = 1 }; /* a script has failed at run time, or a test of a suite */

/* A mailbox of the world that a script is run in; of a suite also its messages. */
struct world_message {
	struct world_message *next;
	struct slice text;
	struct slice flags; /* with blanks between */
};
struct world_mailbox {
	struct world_mailbox *next;
	struct slice name, id, use;
	struct world_message *messages;
};

/* "name=value" of an option, in its order. */
struct world_pair {
	struct world_pair *next;
	struct slice name, value;
};

/* A program that a script has run, or would have. */
struct world_run {
	struct world_run *next;
	bool filters, ran; /* ran: really */
	struct slice name;
	const struct slice *args;
	size_t nargs, octets; /* octets: that it was given */
	int status;           /* of its end; -1: it was ended, or there is none of that name */
};

struct sievetest {
	bool json, trace, check, suite, extensions, actions;
	const char *personal, *global; /* folders of scripts to include */
	struct sieve_options options;
	struct sieve_host host;
	struct slice message;
	struct slice envelope[SIEVE_ENVID + 1]; /* p is NULL when there is none */
	struct world_mailbox *mailboxes;
	struct world_pair *environment, *lists, *seen, *programs;
	struct world_run *runs, **last_run;
	struct world_message *sent; /* of a suite: by redirect and the like */
	struct arena arena;
	struct buf out;
};
extern struct sievetest sievetest;

/* ---- host.c: the world of a script -------------------------------------------------------------- */

void world_init(void);
void world_message_set(struct slice);
/* Takes the value of an option; false after saying what is wrong. */
bool world_option(int letter, const char *value);
struct world_mailbox *world_mailbox_find(struct slice name);
struct world_mailbox *world_mailbox_make(struct slice name);
/* A whole file in the arena; p is NULL after saying why not. */
struct slice world_file(const char *path);

/* The pair of that name, whatever its case; or NULL. */
const struct world_pair *world_pair_find(const struct world_pair *p, struct slice name);

/* ---- execute.c: programs of scripts (vnd.dovecot.execute, .filter) ------------------------------- */

/* As sieve_host.execute: tells of it, and runs it if the command line has said where it is. */
int world_execute(void *arg, const struct sieve_execute *x, struct buf *out);

/* ---- print.c ------------------------------------------------------------------------------------ */

void print_result(const char *script, const struct sieve_result *);
void print_errors(const char *script, const struct sieve_errors *);
void print_trace(void *arg, const struct sieve_trace *);

/* ---- suite.c, suite-words.c --------------------------------------------------------------------- */

extern const struct sieve_word suite_words[];
/* Runs a file of tests: an exit code. */
int suite_run(const char *path);
/* The folder of the file that is run, for the names in it. */
struct slice suite_path(struct slice name);

struct suite {
	const char *path;
	const struct sieve_call *test; /* the one that is at work */
	const char *why;               /* it has failed; NULL: it has not */
	unsigned run, failed;
	struct sieve_run *at;
	struct sieve_result result;    /* of the file itself */
	struct sieve_program *program; /* of test_script_compile */
	struct sieve_result done;      /* of test_script_run */
	bool ran;
	struct sieve_errors errors; /* of either */
};
extern struct suite suite;
#endif
