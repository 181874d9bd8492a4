/* store/writer/seen-impl.h: what readers have seen, while a request is at work in a mailbox: seen.c.  The writer's thread. */
#ifndef STORE_WRITER_SEEN_IMPL_H
#define STORE_WRITER_SEEN_IMPL_H
#include "store/seen.h"

struct writer;
struct wbox;
struct store_job;

struct wseen {
	struct writer *w;
	struct wbox *b;
	struct slice login;      /* who reads; of the request */
	uint64_t floor;          /* no message has a smaller modseq for him */
	uint32_t chunk;          /* whose row this is, */
	struct buf copy;         /* copied */
	struct store_seen row;   /* in `copy` */
	struct buf seen, unseen; /* struct store_range: what is marked */
};

/* Has this login a \Seen of its own in the mailbox?  "" is the message's, as the owner is. */
bool writer_seen_apart(struct writer *w, struct slice actor, const struct wbox *b);
/* For whom a request marks: its actor; who asks for nobody may say it, as storectl does. */
struct slice writer_seen_login(const struct store_job *j);
/* Has he, for this request?  What is said in somebody's name is his alone, even where one \Seen is for all now: it is what
 * he has when that is over. */
bool writer_seen_apart_for(struct writer *w, const struct store_job *j, const struct wbox *b);
/* The mailbox's own word: false: it has none.  *modseq: when it was last changed, whatever it is; 0 = never. */
bool writer_seen_word(struct writer *w, const struct wbox *b, bool *shared, uint64_t *modseq);
/* At start: the row of what is configured is put, if it says something else, and who reads is told.  Leaves accounts and
 * mailboxes remembered: seen-switch.c. */
void writer_seen_configured(struct writer *w);
/* The mailbox has another word for whose \Seen there is: to all who read it each message may have changed. */
void writer_seen_switched(struct writer *w, struct wbox *b, uint64_t modseq);

/* For the login of the job at hand.  Ends with writer_seen_end, after which it has no memory. */
void writer_seen_begin(struct wseen *s, struct writer *w, struct wbox *b, struct slice login);
/* A record as it is for him: nothing, where \Seen is not apart.  Marks of the same request are not there yet.  Writes no
 * rows; records ascend. */
void writer_seen_lay(struct wseen *s, struct store_record *rec);
/* Ascending, each once. */
void writer_seen_mark(struct wseen *s, uint32_t uid, bool seen);
bool writer_seen_marked(const struct wseen *s);
/* All marks become rows, at the modseq at which the request has changed messages; 0: it has changed none, and one of its
 * own is taken. */
void writer_seen_end(struct wseen *s, uint64_t modseq);
/* The mailbox's counter, for him. */
uint64_t writer_seen_highest(struct writer *w, const struct wbox *b, struct slice login);

/* A mailbox is deleted: are its rows so many that they go in slices?  Those that go at once do; the rest until the slice
 * is over: false. */
bool writer_seen_is_long(struct writer *w, const struct wbox *b);
void writer_seen_forget(struct writer *w, const struct wbox *b);
/* What a reader has seen goes over to another name, where that has nothing of its own, or ("") goes. */
void writer_seen_leave(struct writer *w, const struct wbox *b, struct slice from, struct slice to);
bool writer_seen_forget_slice(struct writer *w, uint64_t mailbox);
#endif
