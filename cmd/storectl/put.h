/* put.h: messages put into a folder by storectl: undelete, import and restore.
 *
 * Some dozens go with one request, so that they cost one sync.  What has been taken is told when it is on
 * disk.  Nothing is put that is there already: see have_take. */
#ifndef STORECTL_PUT_H
#define STORECTL_PUT_H
#include "storectl.h"

#define PUT_MOST  32                 /* messages in one request, */
#define PUT_BYTES (16 * 1024 * 1024) /* or fewer, when they have so many octets */

/* What a message has besides its octets. */
struct put_meta {
	int64_t internaldate; /* 0 = now, */
	bool dated;           /* ... but where this is set */
	int16_t zone;
	uint16_t flags;        /* enum store_flag */
	struct slice keywords; /* separated by one SP; those that are none are left out */
	/* Of restore: */
	uint32_t uid;      /* that it is to have; 0 = the next one */
	uint32_t savedate; /* with a UID; 0 = now */
	uint64_t email;    /* told when it is in the store; 0 = it is not told */
	uint64_t from;     /* with a UID: a message of the partition that has the octets, */
	uint32_t from_uid; /* which are not looked at then */
};
struct put {
	struct asking *ask;
	struct store_view *view;
	const char *partition, *name; /* borrowed: of the folder */
	uint64_t mailbox;
	struct buf known; /* the folder's keywords, a SP behind each */
	size_t nknown;
	struct store_message m[PUT_MOST];
	struct store_body bodies[PUT_MOST];
	struct buf caches[PUT_MOST], keywords[PUT_MOST];
	size_t n;
	uint64_t bytes;               /* of the n */
	uint64_t messages, bytes_put; /* so far, in all folders */
	/* Of restore: for messages with UIDs; and who is told where messages are. */
	struct store_restoring restoring;
	uint64_t emails[PUT_MOST];
	void (*placed)(void *arg, uint64_t email, uint64_t mailbox, uint32_t uid);
	void *placed_arg;
};

/* Those of the words that are keywords, and that the folder has room for. */
void put_keywords(struct put *p, struct slice words, struct buf *out);
/* `partition` is where the folders are. */
void put_open(struct put *p, struct asking *a, struct store_view *v, const char *partition);
/* The next messages are for this folder; the one before must be flushed. */
void put_folder(struct put *p, uint64_t mailbox, const char *name);
/* 0, or an exit code after saying why: then nothing of what has been put since the last flush is sure. */
int
put_message(struct put *p, struct slice text, uint32_t crc, const struct put_meta *meta) MUSTCHECK;
int put_flush(struct put *p) MUSTCHECK;
void put_close(struct put *p);

/* Finds a folder, or makes it and subscribes to it.  0 or an exit code after saying why. */
int put_target(struct asking *a, struct store_view *v, uint64_t account, struct slice name,
    uint64_t *mailbox) MUSTCHECK;

/* The messages that a folder has, by what they are. */
struct have_item {
	uint32_t size, crc, uid;
};
struct have {
	struct store_view *view;
	uint64_t mailbox;
	struct have_item *list;
	uint32_t *taken; /* at the first of equal ones: how many have been, from the front */
	size_t n;
};
/* 0 or -errno. */
int have_load(struct have *h, struct store_view *v, uint64_t mailbox) MUSTCHECK;
/* The UID of a message with these octets that has not been taken yet, or 0.  Two equal ones are two. */
uint32_t have_take(struct have *h, struct slice text, uint32_t crc);
void have_fini(struct have *h);
#endif
