/* follow/follow-impl.h: what the files of follow/ share.  Not for anybody else.
 *
 *	source      files, folders and standard input as lines
 *	query       which lines are meant
 *	story       messages and sessions that were found, and their lines
 *	state       what became of each recipient */
#ifndef FOLLOW_IMPL_H
#define FOLLOW_IMPL_H
#include "base/arena.h"
#include "follow/follow.h"

#define FOLLOW_LINE       16384 /* octets; a longer one is none of ours, and is passed over */
#define FOLLOW_ROUNDS     8     /* messages that came of messages that came ... */
#define FOLLOW_CONDITIONS 16

struct follow_field;
struct follow_source {
	char *path;
	char *host;
	int fd; /* of the copy, or -1: by its path */
};
struct follow_condition_of {
	const struct follow_field *field;
	struct slice value;
};
struct follow_line {
	struct slice text;
	const char *host; /* whose log it is, by the folder that it lies in; "" */
	uint64_t at;      /* which line of all: keeps the order where times are equal */
};
typedef void follow_each(struct follow *f, const struct follow_line *line);

struct follow {
	struct follow_source *sources;
	size_t nsources;
	uint64_t lines;
	struct follow_condition_of conditions[FOLLOW_CONDITIONS];
	size_t nconditions;
	struct slice since, until;
	struct list stories;
	struct map by_id;  /* of stories */
	struct map by_sid; /* of sessions that brought messages: the first message's story */
	struct arena kept; /* lines */
	size_t nstories, most;
	bool grew, too_many, too_long, late;
	bool (*stop)(void *arg);
	void *stop_arg;
	struct buf value, why;
};

bool follow_stopped(struct follow *f);
/* All lines once; it can be done again.  0, or -errno after saying why. */
int follow_read(struct follow *f, follow_each *each) MUSTCHECK;
void follow_sources_fini(struct follow *f);

bool follow_in_time(const struct follow *f, const struct logline *l);
/* The conditions that it fits, a bit each, all of them being follow_all(); *session: one of them means
 * clients' sessions too. */
unsigned follow_fits(struct follow *f, const struct logline *l, bool *session);
unsigned follow_all(const struct follow *f);

/* First each line goes here, and begins a story when it is meant; */
void follow_look(struct follow *f, const struct follow_line *line);
void
follow_looked(struct follow *f); /* ... then those that do not fit all conditions are forgotten; */
/* ... then, as often as something was found that earlier lines may belong to, each line goes here, and to its story. */
void follow_again(struct follow *f);
void follow_take(struct follow *f, const struct follow_line *line);
void follow_sort(struct follow *f); /* the lines of each */
void follow_stories_fini(struct follow *f);
#endif
