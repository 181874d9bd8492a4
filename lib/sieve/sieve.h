/* sieve/sieve.h: the Sieve language (RFC 5228 and its extensions): a script is compiled once, and run on
 * as many messages as come.
 *
 * Pure: script and message in, a list of actions out.  Nothing is stored, sent or asked here; what
 * a script asks of the world goes through struct sieve_host, so that a relay and a delivery agent
 * can each bring what they have.  A program is never changed by a run: threads may share it.
 *
 * A script belongs to a stranger.  Everything that it chooses is bounded (struct sieve_limits), no
 * function calls itself by what a script says, and a bound that is exceeded is an error at run time
 * like any other: its actions are dropped and the message is kept (RFC 5228 2.10.6). */
#ifndef SIEVE_SIEVE_H
#define SIEVE_SIEVE_H
#include "base/arena.h"
#include "base/buf.h"

/* ---- what a script may cost --------------------------------------------------------------- */

struct sieve_limits {
	size_t script_bytes; /* of a script and all that it includes */
	unsigned scripts;    /* compiled into one program */
	unsigned steps;      /* tests and commands of a program */
	unsigned nesting;    /* of blocks, and of tests (at least 15: RFC 5228 2.10.5) */
	size_t string_bytes; /* of one string; with variables in it, it is cut (RFC 5229 6) */
	unsigned variables;  /* of one script (at least 128: RFC 5229 6) */
	uint64_t work; /* of a run: steps, comparisons, and 64 octets looked at are one each */
	size_t memory; /* octets that a run makes */
	unsigned header_reads;  /* header fields that tests look at */
	size_t header_added;    /* octets of fields that are added */
	unsigned cpu_ms;        /* processor's time of a run */
	unsigned actions;       /* of all kinds together */
	unsigned redirects;     /* and of those, notifications among them */
	unsigned includes;      /* deep */
	uint32_t regex_matches; /* steps of a regular expression from one place of a text */
	size_t regex_bytes;     /* of a program's regular expressions, compiled */
};
extern const struct sieve_limits sieve_limits_default;

/* ---- compiling ---------------------------------------------------------------------------- */

/* Where and why; `script` is the name of the one that was included, or of the first. */
struct sieve_error {
	struct sieve_error *next;
	const char *script;
	unsigned line, column; /* from 1; 0: of the whole script */
	const char *text;      /* one line of plain English */
	bool bound;            /* it is a limit that was met */
};
struct sieve_errors {
	struct arena arena;
	struct sieve_error *first, *last;
	unsigned n;
};
void sieve_errors_fini(struct sieve_errors *e);
/* Appends "script:line:column: text". */
void sieve_error_write(struct buf *b, const struct sieve_error *e);

struct sieve_word;
struct sieve_options {
	const char *name;                  /* of the script, for messages; NULL: "script" */
	const struct sieve_limits *limits; /* for the program's life; NULL: the default ones */
	const char *without; /* extensions that this place has not: words with blanks */
	/* Commands and tests of the caller's own (sieve/word.h): tables, each ended by a row without
	 * a name; the list ended by NULL.  And the extensions that they need, ended by NULL. */
	const struct sieve_word *const *words;
	const char *const *extensions;
	/* Appends the script of that name, personal or global (RFC 6609 3.2).  0, -ENOENT, or an error
	 * of ours, which fails the compilation.  NULL: there are none. */
	int (*load)(void *arg, bool global, struct slice name, struct buf *text);
	void *arg;
};

/* Scripts may give messages to programs (vnd.dovecot.pipe, .execute, .filter): those that sieve_host.program lets them. */
void sieve_programs(struct sieve_options *o);

struct sieve_program;
/* The program, or NULL with what is wrong in *errors, which the caller has zeroed and ends with
 * sieve_errors_fini(). */
struct sieve_program *
sieve_compile(struct slice script, const struct sieve_options *, struct sieve_errors *errors);
void sieve_program_free(struct sieve_program **);
size_t sieve_program_octets(const struct sieve_program *); /* that it holds */
/* Does it ask what only the store can tell (mailboxes, what was seen before)?  Whoever has no
 * store leaves such a script to who has. */
bool sieve_program_needs_store(const struct sieve_program *);
/* The name of each extension that this library has whole; NULL at the end. */
const char *sieve_extension(size_t i);

/* ---- the message and the world ------------------------------------------------------------- */

enum sieve_envelope { SIEVE_FROM, SIEVE_TO, SIEVE_NOTIFY_DSN, SIEVE_ORCPT, SIEVE_RET, SIEVE_ENVID };
enum sieve_yes { SIEVE_NO, SIEVE_YES, SIEVE_UNKNOWN /* now: the run ends with an error */ };

/* One question about a mailbox: it is there and mail can be filed into it. */
enum sieve_mailbox_by { SIEVE_BY_NAME, SIEVE_BY_ID, SIEVE_BY_USE };

/* A step that is done: where it stands, what it was and came to.  Of a test also what was compared. */
struct sieve_trace {
	const char *script, *name;
	unsigned line, column;
	bool test, yes;
	struct slice text; /* what a command has done, or empty */
};

/* A program that a script waits for. */
struct sieve_execute {
	bool filters; /* what it writes is to be the message */
	struct slice name, input;
	const struct slice *args;
	size_t nargs, most;
};

/* One message and its place.  A call that is NULL answers "nothing" and "no".  Slices live as long
 * as the run. */
struct sieve_host {
	/* The message: its header with the empty line, or more of it, and all of it.  `message` is
	 * called when a script looks at the body.  0 or -errno. */
	struct slice header;
	uint64_t size; /* octets of all of it */
	int (*message)(void *arg, struct slice *all);
	/* The i-th value of a part of the envelope (addresses without brackets, the null sender is
	 * empty); of NOTIFY one value for each condition (RFC 6009 3); false when there are no more. */
	bool (*envelope)(void *arg, enum sieve_envelope part, size_t i, struct slice *value);
	/* An item of RFC 5183 4.1 or one of the caller's; false when it is not known. */
	bool (*environment)(void *arg, struct slice name, struct slice *value);
	/* Is there such a mailbox?  `in`: the one that must have the use (RFC 8579 4), else empty. */
	enum sieve_yes (
	    *mailbox)(void *arg, enum sieve_mailbox_by, struct slice what, struct slice in);
	/* Was this seen in the last seconds (RFC 7352)?  Nothing is remembered before the caller has
	 * carried out the actions. */
	enum sieve_yes (*duplicate)(void *arg, struct slice handle, struct slice id);
	/* Is a list there (value.p NULL), and has it that member (RFC 6134)? */
	enum sieve_yes (*list)(void *arg, struct slice list, struct slice value);
	/* Runs a program and waits for it: 0 when it has ended well.  What it has written is appended, at most `most` octets, where
	 * `out` is not NULL. */
	int (*execute)(void *arg, const struct sieve_execute *x, struct buf *out);
	/* May a script give the message to that program? */
	bool (*program)(void *arg, struct slice name);
	int spam;       /* percent, -1: not tested (RFC 5235 3.2) */
	int virus;      /* 0 not tested, 1 clean ... 5 infected (RFC 5235 3.3) */
	int64_t now;    /* unix seconds */
	int zone;       /* minutes east of UTC: the local zone of dates */
	char delimiter; /* of subaddresses; 0: "+" (RFC 5233 4) */
	/* The script runs for a message that has been there, or is there by other ways than delivery (RFC 6785): there is no
	 * envelope, and to ask for it is an error.  Its flags and keywords now: */
	bool event;
	const struct slice *flags;
	size_t nflags;
	void (*trace)(void *arg, const struct sieve_trace *); /* each step when it is done */
	void *arg;
};

/* ---- the outcome ---------------------------------------------------------------------------- */

enum sieve_act {
	SIEVE_KEEP,
	SIEVE_FILEINTO,
	SIEVE_REDIRECT,
	SIEVE_DISCARD,
	SIEVE_REJECT,
	SIEVE_EREJECT,
	SIEVE_VACATION,
	SIEVE_NOTIFY,
	SIEVE_DUPLICATE, /* remember `where` and `text` for `seconds` */
	SIEVE_PIPE,      /* the message to the program `where` */
	SIEVE_ACTS
};

struct sieve_action {
	struct sieve_action *next;
	enum sieve_act kind;
	bool implicit; /* the keep that no action has cancelled (RFC 5228 2.10.2) */
	const char *script;
	unsigned line, column;
	/* The header of the message as this action has it, with the empty line (RFC 5293); empty: as
	 * it came.  The caller puts the body behind it: this one, or where p is NULL the message's own. */
	struct slice header, body;

	struct slice where; /* mailbox (UTF-8), address, method; of a duplicate its handle */
	struct slice text;  /* reason of a reject or vacation, message of a notify, unique id */
	bool create;        /* the mailbox, when it is not there (RFC 5490 3.2) */
	bool list;          /* redirect: `where` is an external list (RFC 6134 2.5) */
	bool tries;         /* pipe: that it fails is no error */
	bool flagged;       /* flags are given, none among them (RFC 5232 4) */
	const struct slice *flags;
	size_t nflags;
	struct slice use;           /* special-use attribute (RFC 8579 4) */
	struct slice id;            /* of the mailbox, tried before the name (RFC 9042 4) */
	struct slice notify, ret;   /* redirect: RFC 6009 4 */
	struct slice subject, from; /* vacation; notify: from */
	struct slice handle;        /* vacation: what may be said again (RFC 5230 4.2) */
	const struct slice *
	    addresses; /* vacation: further addresses of the user; notify: options; pipe: arguments */
	size_t naddresses;
	uint64_t seconds;         /* vacation: before the next one; duplicate: to remember */
	bool mime;                /* vacation: `text` is a MIME part with its header */
	bool last;                /* duplicate: count from the last one seen */
	int importance;           /* notify: 1 to 3 */
	struct sieve_action *fcc; /* a fileinto that the copy of the answer takes; NULL: none */
};

struct sieve_result {
	struct arena arena; /* everything below */
	struct sieve_action *actions;
	size_t nactions;
	/* Set when the run has failed; the one action is then the implicit keep of the message as it
	 * came. */
	struct sieve_error *error;
	uint64_t work; /* what it has cost */
	uint64_t cpu_us;
	size_t memory;
};

/* Runs the program on the message that `host` is.  The result is zeroed before and ended with
 * sieve_result_fini(); it has the actions and borrows from nothing. */
void sieve_run(const struct sieve_program *, const struct sieve_host *, struct sieve_result *);
void sieve_result_fini(struct sieve_result *);
const char *sieve_act_name(enum sieve_act); /* "fileinto" */

/* What the method of a notify says (RFC 6068); it is one that the run has found right. */
#define SIEVE_MAILTO_MAX 8 /* recipients */
struct sieve_mailto {
	struct slice to[SIEVE_MAILTO_MAX]; /* local@domain */
	size_t n;
	struct slice subject, body; /* empty: it has none */
};
/* Slices borrow from `a`.  False with *why: it is no such URI. */
bool
sieve_mailto_parse(struct slice uri, struct arena *a, struct sieve_mailto *m, const char **why);
#endif
