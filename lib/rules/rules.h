/* rules/rules.h: people's Sieve scripts: named, kept in the directory entry of whose they are, one of them active.
 *
 * For whoever lets people see and change their scripts (ManageSieve by name, JMAP by id).  Each is read and changed in the
 * person's own name (directory/modify.h), so that slapd's rules for "self" decide, and never from a cache.  A change
 * asserts that the entry is the one that was read; if another session was faster it is made anew, so that two
 * never lose each other's script.
 *
 * In the entry (tiermail-sieve(7), STORAGE):
 *
 *	mailSieveRuleSource	what runs, of whatever origin: LABEL id SP name LF text, or text alone
 *	tiermailSieveScript	what does not run: id SP name LF text
 *
 * So what runs is in one place, the one that lmtpd reads.  A value without a label was put there by somebody else:
 * it is shown by a name made of its text, and like any other is moved, not removed, when another script is
 * activated. */
#ifndef RULES_RULES_H
#define RULES_RULES_H
#include "directory/directory.h"
#include "sieve/sieve.h"

#define RULES_ID 13 /* octets of a script's id, [0-9a-z]: it stays with it for life */

struct rules_script {
	struct slice id, name, text;
	bool
	    active; /* it runs; where several do, which only others than we bring about, it is the first */
	bool runs;
	bool foreign; /* somebody else has put it there */
};
/* Everything borrowed, while `done` runs. */
struct rules_set {
	const struct rules_script *v;
	size_t n;
};
const struct rules_script *rules_find(const struct rules_set *s, struct slice name); /* or NULL */
/* The name and text of a value of tiermailSieveScript; false: it is none of ours. */
bool rules_named(struct slice value, struct slice *name, struct slice *text);

/* Whose; the DN and uid@domain as the directory has them. */
struct rules_person {
	struct slice dn, account;
};

struct rules_limits {
	size_t scripts; /* of a person */
	size_t octets;  /* of a script */
	size_t total;   /* of all of a person's */
};

enum rules_outcome {
	RULES_DONE,
	RULES_NONE,   /* there is no such script */
	RULES_EXISTS, /* a script has that name already */
	RULES_ACTIVE, /* it is active, and cannot be deleted */
	RULES_MANY,   /* limits.scripts */
	RULES_LARGE,  /* limits.octets */
	RULES_FULL,   /* limits.total */
	RULES_STALE,  /* the entry is another than that of change.csn */
	RULES_DENIED, /* the directory does not let this person, or us for this person, or has no entry */
	RULES_AWAY /* the directory is away, or gave no answer: it may have been done */
};
struct rules_answer {
	enum rules_outcome outcome;
	const char *why; /* RULES_DENIED and RULES_AWAY: for the log; never NULL */
	/* RULES_DONE: as it was read, before a change. */
	struct rules_set scripts;
	struct slice csn; /* the entry's entryCSN then: another one after each change */
};
typedef void (*rules_done)(void *arg, const struct rules_answer *);

struct rules_store;
/* Changes by `dn` (the service that may act for people) at the servers of d; `limits` are read at each change, and
 * `news` (rules/news.h, or NULL) is told of each. */
struct rules_news;
struct rules_store *rules_store_new(struct dir *d, const char *dn, const char *password,
    const struct rules_limits *limits, struct rules_news *news);
void rules_store_free(struct rules_store **); /* before d; nothing pending is answered */

void rules_read_start(struct rules_store *, const struct rules_person *, struct op *op,
    rules_done done, void *arg);

enum rules_verb {
	RULES_CHECK,    /* nothing: would a text of `size` octets have room under that name? */
	RULES_PUT,      /* name, text: a new one, or another text of that name */
	RULES_DELETE,   /* name */
	RULES_RENAME,   /* name, to */
	RULES_ACTIVATE, /* name; empty: none is active from now on */
	RULES_CREATE, /* id, name, text: a new one, of an id that the caller has made (random_id) */
	RULES_UPDATE  /* id, to, text: another name, another text; p NULL: the same one */
};
struct rules_change {
	enum rules_verb verb;
	struct slice name, to, text;
	struct slice id; /* of the script, whatever its name is; empty: it is the one of `name` */
	size_t size;
	struct slice csn; /* of the entry that alone is changed; p NULL: however it is */
};
/* Everything is copied.  op_cancel forgets the answer, not the change. */
void rules_change_start(struct rules_store *, const struct rules_person *,
    const struct rules_change *, struct op *op, rules_done done, void *arg);

/* ---- is it a script? ---------------------------------------------------------------------------------- */

/* Compiles a text as lmtpd would, on a thread, for scripts are strangers'; it counts as this account's share of the
 * pool.  The text is copied.  `errors`: empty, when it is right; else lines "script:line:column: text", with CRLF
 * between them, RULES_ERRORS at most. */
#define RULES_ERRORS 20
struct loop;
typedef void (*rules_checked)(void *arg, struct slice errors);
void rules_check_start(struct loop *l, struct op *op, struct slice account, struct slice text,
    rules_checked done, void *arg);

/* ---- what a script may use: as lmtpd runs them -------------------------------------------------- */

extern const struct sieve_options
    rules_options; /* for delivery; name, limits and load are the caller's */
extern const struct sieve_options rules_options_event; /* for what people do (RFC 6785 3.11) */
/* Scripts may give messages to programs (vnd.dovecot.pipe), as lmtpd is configured: before any of the others is called. */
void rules_programs(bool may);
struct sieve_options rules_options_now(const struct sieve_options *o); /* with that */
/* Appends the extensions that a script may require, blank-separated. */
void rules_extensions(struct buf *b);

/* Appends a file of `most` octets at most; false with one line of *why, that begins with the path. */
bool rules_file_read(const char *path, size_t most, struct buf *text, struct buf *why);
/* The program, or NULL with one line of *why: the first of what is wrong.  On any thread. */
struct sieve_program *
rules_compile(struct slice text, const struct sieve_options *o, struct buf *why);

/* Why a script rejects, as an answer can say it (RFC 5429 2.1.1): in the person's words, of ASCII unless the sender
 * takes more (`utf8`).  Appends lines with LF between them, or nothing: then they are those of `one`; and one line of
 * 190 octets at most, for a verdict and the log. */
void rules_reason(struct slice text, bool utf8, struct buf *lines, struct buf *one);
#endif
