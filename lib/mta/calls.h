/* mta/calls.h: what rules and mappings ask of the world outside, through functions of the caller.
 *
 * lib/mta does no I/O while it answers.  A function may say that it does not know yet (MTA_LATER): then
 * the whole answer is MTA_LATER too, and the caller, when it has learnt what was asked, simply asks
 * again; rewriting is quick enough to be done twice.  A function that is not given fails. */
#ifndef MTA_CALLS_H
#define MTA_CALLS_H
#include "base/buf.h"

enum mta_answer {
	MTA_NO,   /* there is none */
	MTA_YES,  /* *value is it */
	MTA_TEMP, /* cannot be told for now: the directory is away */
	MTA_LATER /* ask again when the question has been answered */
};

/* A rule or entry that was looked at, or what was decided. */
struct mta_step {
	const char *what; /* "probe", "rule", "channel", "entry", "result" ... */
	const char *file; /* with line; NULL: not of a file */
	int line;
	struct slice subject; /* the pattern, or what was looked up */
	struct slice input;   /* the host or probe that it was held against */
	struct slice output;  /* what came of it */
	const char *why;      /* how it ended: "matched", or the reason why not */
};
struct mta_calls {
	void *arg;
	/* $(key) of rules, ${key} of mappings: the general database. */
	enum mta_answer (*general)(void *arg, struct slice key, struct buf *value);
	/* $]url[: the first value of a search. */
	enum mta_answer (*url)(void *arg, struct slice url, struct buf *value);
	/* $}domain,attribute{: the first value. */
	enum mta_answer (
	    *attribute)(void *arg, struct slice domain, struct slice name, struct buf *value);
	/* $V, $Z: is mail for this domain ours to deliver?  MTA_YES or MTA_NO. */
	enum mta_answer (*local_domain)(void *arg, struct slice domain);
	/* $#file...#: the next number of a sequence. */
	enum mta_answer (*sequence)(void *arg, struct slice file, uint64_t *value);
	/* $?x?: a number from 0 to below-1, for tests; without it the kernel is asked. */
	uint64_t (*dice)(void *arg, uint64_t below);
	/* Each step that is taken, for `mtatest --explain`; all borrowed while it runs. */
	void (*step)(void *arg, const struct mta_step *step);
};

#endif
