/* store/writer/event-impl.h: what scripts are to hear of, while a request is at work: event.c.  The writer's thread. */
#ifndef STORE_WRITER_EVENT_IMPL_H
#define STORE_WRITER_EVENT_IMPL_H
#include "base/buf.h"
#include "store/format.h"

struct writer;
struct wbox;
struct store_job;

struct wevent { /* while a request is at work in a mailbox */
	struct writer *w;
	const struct wbox *b;
	enum store_cause cause;
	uint64_t from;
	struct slice login;
	bool wanted;    /* somebody waits for it */
	bool told;      /* there is a row */
	uint16_t flags; /* of those at hand: what has changed */
	uint64_t keywords;
	struct buf ranges; /* struct store_range */
};
/* `from` of a copy.  Ends with writer_event_end, after which it has no memory. */
void writer_event_begin(struct wevent *e, struct writer *w, const struct store_job *j,
    const struct wbox *b, enum store_cause cause, const struct wbox *from);
/* These of a message have changed; messages ascend. */
void writer_event_flags(struct wevent *e, uint32_t uid, uint16_t flags, uint64_t keywords);
void writer_event_came(struct wevent *e, struct slice ranges); /* struct store_range */
void writer_event_end(struct wevent *e);
#endif
