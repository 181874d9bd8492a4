/* store/thread.h: by what an account's messages are threads, and the rows in which stored keeps them.
 *
 * Whoever makes a digest puts what the message refers to at its end, as hashes (struct store_refs): so
 * stored, which parses no mail, knows it of all that comes, and of what is in the store.  A message joins
 * the thread of a message that it refers to, that refers to it, or that has its Message-ID, when their base
 * subjects (RFC 5256 2.1) are the same.  Threads never merge: of several, the one that the account has had
 * longest gets it.  So a message's thread is known when it comes, and stays.
 *
 * Bounds, whatever a sender writes: of a message's references STORE_REFS count, the first one and the last
 * ones; of those that have not come STORE_WANTED are waited for, again the first and the last, beside which
 * the others will lie.  So it costs an account so many looks, and so many rows and one, also where a
 * thousand accounts get it in one request.  A thread has STORE_THREAD_MOST messages; the next one
 * begins another, to which its references lead from then on.  Hashes have a key that everybody knows:
 * who makes two Message-IDs with one hash gains what he would by writing the other's in References.  Of a
 * million different ones two share a hash once in 37 million times, and then need one subject.
 *
 * For stored's writer, readers and makers of digests; nothing here does I/O. */
#ifndef STORE_THREAD_H
#define STORE_THREAD_H
#include "store/format.h"

#define STORE_REFS        20   /* references of a message */
#define STORE_WANTED      4    /* of them that have not come */
#define STORE_THREAD_MOST 1000 /* contents in a thread, in one account */

/* A message's place in conversations. */
struct store_refs {
	uint64_t id;      /* hash of its Message-ID; 0 = it has none */
	uint64_t subject; /* of its base subject, i;unicode-casemap; 0 = that is empty */
	size_t n;
	uint64_t ref[STORE_REFS]; /* of those that it refers to, in their order */
};
/* Of the text, never 0. */
uint64_t store_ref_hash(struct slice s);
/* One more reference; of too many the first one and the last stay. */
void store_refs_add(struct store_refs *r, uint64_t hash);
/* At the end of a digest: id, subject, refs, then this. */
struct store_refs_end {
	uint16_t count; /* hashes */
	uint16_t zero;
	uint32_t magic;
} PACKED;
#define STORE_REFS_MAGIC 0x31464552u /* "REF1" */
void store_refs_write(struct buf *digest, const struct store_refs *r);
/* From a digest, or from a whole row of `cache`.  False: nobody has put them there. */
bool store_refs_read(struct slice value, struct store_refs *r);

/* `ref`: {account BE64, hash BE64} -> this. */
struct store_disk_ref {
	uint8_t version;
	uint8_t kind;  /* enum store_ref_kind */
	uint16_t day;  /* of 1970, when it was put */
	uint32_t born; /* unix seconds, when the thread was new to the account */
	uint64_t threadid;
	uint64_t emailid; /* of the message that is the reason for it */
	uint64_t subject; /* of the thread */
} PACKED;
enum store_ref_kind {
	STORE_REF_WANTED = 1, /* a message refers to this one, which has not come */
	STORE_REF_OWN,  /* it has come.  One without an id is here by its emailid, if it joined */
	STORE_REF_NEXT, /* the hash is a thread's id: that is full, and this one follows */
};

/* `thread`: {account BE64, threadid BE64, emailid BE64} -> this.  An email whose threadid is its own emailid has no row. */
struct store_disk_member {
	uint8_t version;
	uint8_t zero;
	uint16_t
	    number; /* of the rows of the thread the last has the largest, at least how many there are */
} PACKED;
#endif
