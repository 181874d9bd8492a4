/* follow/follow.h: messages followed through the logs of all daemons (tiermail-log(5)), of one host or of many.
 *
 * Logs are read once to find which messages are meant, and again until all that came of them, reports and pieces of
 * lists, is found: a gigabyte of them costs time, not memory.  It blocks: a daemon does it beside its loop.  One struct
 * follow is one question, and what it has found.  It writes nothing. */
#ifndef FOLLOW_FOLLOW_H
#define FOLLOW_FOLLOW_H
#include "base/buf.h"
#include "base/list.h"
#include "base/logline.h"
#include "base/map.h"

#define FOLLOW_BYTES (32 * 1024 * 1024) /* of lines that are kept */

struct follow;
struct follow *follow_new(void);
void follow_free(struct follow **f);
/* A file, a folder (its files NAME.log and NAME.log.N, and those of its folders, which are named after hosts), or "-",
 * standard input.  0, or -errno with a line in follow_why. */
int follow_join(struct follow *f, const char *path) MUSTCHECK;
size_t follow_joined(const struct follow *f); /* files */
/* Adds a condition, "key=value" or a value that shows what it is; borrowed.  False with a line in follow_why. */
bool follow_condition(struct follow *f, const char *word) MUSTCHECK;
bool follow_empty(const struct follow *f); /* has no condition */
/* ISO 8601, as far as given: "2026-11-30T08"; borrowed. */
void follow_since(struct follow *f, const char *ts);
void follow_until(struct follow *f, const char *ts);
void follow_most(struct follow *f, size_t most); /* messages; 1000 */
/* Asked now and then while logs are read: true ends that, and what was found by then is told of. */
void follow_stop(struct follow *f, bool (*stop)(void *arg), void *arg);
/* 0, or -errno with lines in follow_why: what could be read was. */
int follow_run(struct follow *f) MUSTCHECK;
struct slice follow_why(const struct follow *f); /* lines */
/* What had no room, or no time, for people; NULL.  Borrowed until the next call. */
const char *follow_missing(struct follow *f);

struct follow_event {
	struct list link;
	struct logline line;
	char ts[32]; /* as it sorts: ISO 8601 */
	const char *host;
	uint64_t at; /* which line of all */
};
struct follow_story {
	struct list link;
	char *id;
	bool session;  /* of a client; else a message */
	unsigned fits; /* conditions */
	char *parent;  /* the message that this is a report of, or a piece; NULL */
	char *sid;     /* of the session that brought the message; NULL */
	struct list events;
	size_t nevents;
};
const struct list *follow_stories(const struct follow *f); /* as they were found */

/* ---- what became of each recipient ---- */
enum follow_state {
	FOLLOW_QUEUED,
	FOLLOW_DELIVERED,
	FOLLOW_WAITING,
	FOLLOW_FAILED,
	FOLLOW_REFUSED,
	FOLLOW_HELD,
	FOLLOW_DELETED,
	FOLLOW_SPLIT
};
struct follow_outcome {
	struct list link;
	char *to, *key; /* key: in small letters */
	enum follow_state state;
	char *text;   /* the last words about it, or "" */
	bool named;   /* whoever sent it has named it */
	char *behind; /* ... or this address: a list, or one that forwards; or NULL */
};
struct follow_outcomes {
	struct list list; /* in the order of their first line */
	struct map by_key;
	size_t n;
};
const char *follow_state_name(enum follow_state s);
void follow_outcomes_of(const struct follow_story *s, struct follow_outcomes *o);
/* Of this address, in any case of its letters; NULL: there is none. */
struct follow_outcome *follow_outcome_find(const struct follow_outcomes *o, struct slice to);
void follow_outcomes_fini(struct follow_outcomes *o);
#endif
