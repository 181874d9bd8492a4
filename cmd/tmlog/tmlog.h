/* tmlog/tmlog.h: what the files of tmlog share.
 *
 *	main.c      options, and how often the logs are read
 *	source.c    files, folders and standard input as lines
 *	query.c     which lines are meant
 *	story.c     messages and sessions that were found, and their lines
 *	state.c     what became of each recipient
 *	print.c     in words, as JSON */
#ifndef TMLOG_H
#define TMLOG_H
#include "base/arena.h"
#include "base/list.h"
#include "base/logline.h"
#include "base/map.h"

#define TMLOG_LINE  16384 /* octets; a longer one is none of ours, and is passed over */
#define TMLOG_BYTES (32 * 1024 * 1024) /* of lines that are kept */
#define TMLOG_ROUND 8                  /* messages that came of messages that came ... */

/* ---- source.c ------------------------------------------------------------------------------------------ */

struct source_line {
	struct slice text;
	const char *host; /* whose log it is, by the folder that it lies in; "" */
	uint64_t at;      /* which line of all: keeps the order where times are equal */
};
/* A file, a folder (its files NAME.log and NAME.log.N, and those of its folders, which are named after
 * hosts), or "-".  0, or -errno after saying why. */
int source_join(const char *path) MUSTCHECK;
size_t source_count(void);
/* All lines once; it can be done again.  0, or -errno after saying why. */
int source_read(void (*each)(const struct source_line *)) MUSTCHECK;
void source_fini(void);

/* ---- query.c ------------------------------------------------------------------------------------------- */

/* Adds a condition, "key=value" or a value that shows what it is.  False after saying why. */
bool query_add(const char *word) MUSTCHECK;
bool query_empty(void);
/* ISO 8601, as far as given: "2026-11-30T08". */
void query_since(const char *ts);
void query_until(const char *ts);
bool query_in_time(const struct logline *l);
/* The conditions that it fits, a bit each, all of them being query_all(); *session: one of them means
 * clients' sessions too. */
unsigned query_fits(const struct logline *l, bool *session);
unsigned query_all(void);

/* ---- story.c ------------------------------------------------------------------------------------------- */

struct event {
	struct list link;
	struct logline line;
	char ts[32]; /* as it sorts: ISO 8601 */
	const char *host;
	uint64_t at;
};
struct story {
	struct list link;
	char *id;
	bool session;  /* of a client; else a message */
	unsigned fits; /* conditions */
	char *parent;  /* the message that this is a report of, or a piece; NULL */
	char *sid;     /* of the session that brought the message; NULL */
	struct list events;
	size_t nevents;
};
extern struct list stories; /* as they were found */
extern size_t story_most;   /* how many there may be */
void story_init(void);
/* First each line goes here, and begins a story when it is meant; */
void story_look(const struct source_line *s);
void story_looked(void); /* ... then those that do not fit all conditions are forgotten; */
/* ... then, as often as story_grew(), each line goes here, and to its story. */
void story_again(void);
void story_take(const struct source_line *s);
/* Something was found, since story_again, that earlier lines may belong to. */
bool story_grew(void);
/* What had no room, for the user; NULL. */
const char *story_missing(void);
void story_sort(void); /* the lines of each */
void story_fini(void);

/* ---- state.c ------------------------------------------------------------------------------------------- */

enum state {
	STATE_QUEUED,
	STATE_DELIVERED,
	STATE_WAITING,
	STATE_FAILED,
	STATE_REFUSED,
	STATE_HELD,
	STATE_DELETED,
	STATE_SPLIT
};
struct outcome {
	struct list link;
	char *to, *key; /* key: in small letters */
	enum state state;
	char *text; /* the last words about it, or "" */
};
struct outcomes {
	struct list list; /* in the order of their first line */
	struct map by_key;
	size_t n;
};
const char *state_name(enum state s);
void outcomes_of(const struct story *s, struct outcomes *o);
void outcomes_fini(struct outcomes *o);

/* ---- print.c ------------------------------------------------------------------------------------------- */

void print_story(const struct story *s, struct buf *out);
void print_story_json(const struct story *s, struct buf *out);
#endif
