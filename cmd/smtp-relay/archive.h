/* archive.h: copies for archives (journal): see archive.c. */
#ifndef SMTP_RELAY_ARCHIVE_H
#define SMTP_RELAY_ARCHIVE_H
#include "base/buf.h"
#include "conf/conf.h"
#include "queue/env.h"

struct channels;
struct session;

#define ARCHIVE_MOST QUEUE_ARCHIVES

/* [archive NAME] */
struct archive_conf {
	char *name;
	char *to;          /* the archive's address */
	char *channel;     /* by which it goes there; "" = as mail to that address does */
	char **senders;    /* whose mail; */
	char **recipients; /* mail to these; either is enough */
	bool envelope;     /* the copy is wrapped, with a report of who sent it to whom */
	char *errors_to;   /* who hears that it could not be delivered; "" = the postmaster */
};

/* A copy of the message that is about to be queued, wrapped. */
struct archive_copy {
	const struct archive_conf *archive;
	unsigned body;
	char boundary[40];
};

#define ARCHIVE_KEYS 6
extern const struct conf_key archive_keys[ARCHIVE_KEYS];

/* Appends what is wrong with the configuration, where these are the channels; false when something is. */
bool archive_check(const struct channels *channels, struct buf *why);
/* The envelope is complete: those who are archives of it are further recipients, of bodies from m->nbodies on. */
void archive_add(struct session *s, struct qenv *env);
/* The header of the message as it goes to those who no list changes anything for: it begins each wrapped copy. */
void archive_head(struct session *s, struct slice above, struct slice received, struct slice fields,
    bool empty_line);
void archive_tail(struct session *s);
#endif
