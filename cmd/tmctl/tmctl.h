/* tmctl/tmctl.h: what the files of tmctl share. */
#ifndef TMCTL_H
#define TMCTL_H
#include "base/buf.h"
#include "daemon/program.h"

#define TMCTL_DAEMONS 64
#define TMCTL_HOSTS   64
#define TMCTL_KEYS    64 /* of one config set */
#define TMCTL_RELOAD_MS                                                                            \
	30000 /* it checks the new configuration in a process of its own, and waits 10 s for that */

/* `tmctl serve`, a daemon: serve.c. */
extern const struct program tmctl_serve_program;

/* ---- main.c: whom to ask ---- */
extern struct tmctl_options {
	bool json, table;
	const char *only; /* -d: daemons were named */
	int timeout_ms;   /* 0: as the command says */
} tmctl_options;
extern const char *tmctl_hosts[TMCTL_HOSTS]; /* NULL as the first: this one */
extern size_t tmctl_nhosts;
extern char *tmctl_names[TMCTL_DAEMONS]; /* daemons of the host that is asked */
extern size_t tmctl_nnames;

struct tmctl_tally {
	size_t asked, found, refused, away;
	size_t stale; /* run a program that was replaced */
};

/* The daemons of a host that are meant: into tmctl_names. */
void tmctl_whom(const char *host);
void tmctl_whom_free(void);
void tmctl_add(struct slice name); /* one more */
/* Asks one: 0 with its answer appended, -ENOENT when it is not there and nobody has named it, or another -errno after
 * saying so on standard error, and counting it as away.  -EHOSTDOWN: it is the whole host. */
int tmctl_ask(const char *host, const char *name, struct slice line, int ms, struct buf *answer,
    struct tmctl_tally *t) MUSTCHECK;
/* Is it a line that says why not? */
bool tmctl_is_error(struct slice line);
NORETURN void tmctl_usage(const char *why);

/* ---- config.c, config-set.c, config-check.c ---- */
struct config_line {
	struct slice name, value,
	    where; /* "limit.clients", "[listen mx].tls"; as the file has it; "file:line" */
};
/* Calls fn for each key of what a program prints with -n, or answers to `config`; the slices last as long as the call. */
void config_each(struct slice text, void (*fn)(void *arg, const struct config_line *), void *arg);
/* Runs that program with -n on the configuration in the folder `dir`, NULL = where it is: 0 with what it printed in
 * *out, or its exit code; *why has its complaints and warnings. */
int config_check(const char *daemon, const char *dir, struct buf *out, struct buf *why) MUSTCHECK;
int config_set(bool unset, int argc, char **argv);
int tmctl_config(int argc, char **argv); /* the exit code */

/* ---- trace.c ---- */
int tmctl_trace(int argc, char **argv); /* the exit code */

/* ---- show.c ---- */
/* A line of an answer; `raw`: a page of text rather than fields. */
void tmctl_put(const char *host, const char *daemon, bool raw, struct slice line);
/* The lines of `status` or `version` as a table, when all have come; an answer that is empty: none came. */
void tmctl_row(const char *host, const char *daemon, struct slice answer);
void tmctl_table(void);
#endif
