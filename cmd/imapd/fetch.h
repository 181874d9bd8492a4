/* imapd/fetch.h: FETCH in flight: what fetch.c (index and cache) and body.c (files) share. */
#ifndef IMAPD_FETCH_H
#define IMAPD_FETCH_H
#include "imap/cache.h"
#include "imap/fetch.h"
#include "mail/mime.h"
#include "session.h"

struct fetch {
	struct imap_fetch want;
	struct imap_set uids;    /* resolved */
	size_t range;            /* in uids: where the cursor stands */
	uint32_t at;             /* the next UID there */
	uint64_t found;          /* records met */
	bool missing;            /* a message is in the view but no more in the store */
	struct imap_set marked;  /* became \Seen by this command: their FLAGS are told */
	struct sync sync;
	const char *answer;      /* STORE shows what it did this way: its own tagged answer */

	/* The message whose file is open. */
	int fd;                  /* -1: none */
	struct store_record rec; /* a copy: the snapshot is over */
	uint64_t size;           /* of the file */
	struct buf record;       /* the bytes behind `cache` */
	struct imap_cache cache; /* `has` 0 when there is none */
	struct arena arena;      /* of this message */
	struct mime *mime;       /* when the cache does not know */
	void *map;               /* the file, while `mime` is in use */
	struct buf header;       /* for HEADER.FIELDS */
	size_t section;          /* being written */
	bool begun;              /* its literal is announced */
	uint64_t off, left;      /* bytes of it still to be sent */
};

/* Starts the cursor over f->want and f->uids. */
enum next fetch_start(struct session *s, struct fetch *f);
/* Writes "* n FETCH (" and the items that need no file, from the cache. */
void fetch_write_items(struct session *s, struct fetch *f, const struct store_record *r,
    uint32_t seq, const struct imap_cache *c, const struct store_mailbox *m);

/* body.c: opens the file of f->rec and writes the items.  NEXT: go on with body_more; WAIT: a
 * large message is being parsed, the cursor goes on by itself; CLOSE: there is no such file
 * (f->fd is -1). */
enum next body_open(struct session *s, struct fetch *f);
/* Writes sections until the output is full: NEXT = the message is complete; FULL; WAIT (a cold
 * read is under way, the cursor goes on by itself). */
enum next body_more(struct session *s, struct fetch *f);
void body_close(struct fetch *f);
#endif
