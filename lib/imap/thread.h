/* imap/thread.h: THREAD: ORDEREDSUBJECT and REFERENCES of RFC 5256 3, and REFS (draft-ietf-morg-
 * inthread 4): the grammar, the trees, and how they are written.  Pure.
 *
 * Message-IDs and subjects come as keyed hashes of 64 bits and are equal when those are: two different
 * ones of a million share a hash once in 37 million times, and nobody without the key can make it
 * happen.  Memory: 40 bytes a message and 8 a reference; while trees are made besides 20 a node and up
 * to 48 of tables, for messages and for IDs that no message has.  How many there may be of both is
 * bounded by the number of messages: IMAP_THREAD_REFS and _DUMMIES. */
#ifndef IMAP_THREAD_H
#define IMAP_THREAD_H
#include "imap/args.h"
#include "base/buf.h"

enum imap_thread_by { IMAP_THREAD_ORDEREDSUBJECT, IMAP_THREAD_REFERENCES, IMAP_THREAD_REFS };
/* Takes SP algorithm. */
bool imap_thread_parse(struct imap_in *in, enum imap_thread_by *by);
/* Takes the next valid message ID off the front of *at, a field's value, as it is compared: without
 * quotes, blanks and angle brackets (RFC 5256 3, "Message ID").  It lies in the value, or in `scratch`
 * where something had to go.  False: there is no other. */
bool imap_thread_id_next(struct slice *at, struct buf *scratch, struct slice *id);

struct imap_thread_message {
	int64_t sent_at, arrived; /* unix seconds; sent_at is never missing (2.2) */
	uint64_t id;              /* hash of its Message-ID; 0: it has no valid one */
	uint64_t subject;         /* hash of its base subject; 0: that is empty */
	uint64_t thread; /* REFS: who has the same is in one thread, who has another is not;
	                             0: its references alone say */
	uint32_t nrefs;  /* of its references, in their order */
	bool reply;      /* see imap_base_subject() */
};
/* Of n messages. */
#define IMAP_THREAD_MAX_REFS(n)    (16 * (size_t)(n) + 1000000)
#define IMAP_THREAD_MAX_DUMMIES(n) ((size_t)(n) + 1000000)

/* Zeroed but for `by`: empty. */
struct imap_threads {
	enum imap_thread_by by;
	struct imap_thread_message *m;
	size_t n, room;
	uint64_t *refs; /* hashes, of all messages */
	size_t nrefs, refs_room;
	/* the trees: nodes 1..n are the messages, those above stand for none; 0 is the root of all */
	uint32_t *parent, *first, *next; /* 0: none */
	/* imap_threads_write()'s place */
	uint32_t at;
	enum { IMAP_THREAD_BEGIN, IMAP_THREAD_OPEN, IMAP_THREAD_NODE, IMAP_THREAD_UP } place;
};
/* Adds a message, in the order of the mailbox; then its references. */
void imap_threads_add(struct imap_threads *t, const struct imap_thread_message *m);
void imap_threads_add_ref(struct imap_threads *t, uint64_t id);
enum imap_threads_made { IMAP_THREADS_MADE, IMAP_THREADS_STOPPED, IMAP_THREADS_TOO_MANY };
/* Makes the trees, in time n log n whatever refers to what.  stopped() is asked now and then. */
enum imap_threads_made imap_threads_make(struct imap_threads *t, bool (*stopped)(void));
/* Appends "(2)(3 6 (4 23)(44 7 96))" until `b` has `high` bytes; number(arg, i) is that of message i
 * (from 0).  True: it is all there. */
bool imap_threads_write(struct imap_threads *t, struct buf *b, size_t high,
    uint32_t (*number)(const void *arg, uint32_t i), const void *arg);
void imap_threads_fini(struct imap_threads *t);
#endif
