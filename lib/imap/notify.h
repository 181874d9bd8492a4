/* imap/notify.h: NOTIFY, parsed: RFC 5465 8. */
#ifndef IMAP_NOTIFY_H
#define IMAP_NOTIFY_H
#include "base/buf.h"
#include "imap/sources.h"

/* Events, as bits. */
enum {
	IMAP_NOTIFY_NEW = 1,            /* MessageNew */
	IMAP_NOTIFY_GONE = 2,           /* MessageExpunge */
	IMAP_NOTIFY_FLAGS = 4,          /* FlagChange */
	IMAP_NOTIFY_NAMES = 8,          /* MailboxName */
	IMAP_NOTIFY_SUBSCRIPTIONS = 16, /* SubscriptionChange */
	IMAP_NOTIFY_METADATA = 32,      /* MailboxMetadataChange */
	IMAP_NOTIFY_SERVER = 64 /* ServerMetadataChange: of whatever mailbox it is asked for */
};
#define IMAP_NOTIFY_MESSAGES (IMAP_NOTIFY_NEW | IMAP_NOTIFY_GONE | IMAP_NOTIFY_FLAGS)

struct imap_notify_group {
	struct imap_sources from;
	unsigned events; /* 0: NONE */
};
struct imap_notify {
	bool none; /* NOTIFY NONE */
	bool status;
	bool unsupported; /* an event is none of those above: the answer is [BADEVENT] */
	/* SELECTED, SELECTED-DELAYED: */
	bool delayed;
	unsigned selected;                /* events */
	struct slice atts;                /* of MessageNew, with parentheses; p NULL: none */
	struct imap_notify_group *groups; /* the others, at most IMAP_ITEMS_MAX */
	size_t ngroups;
};

/* SP ("NONE" / "SET" [SP "STATUS"] 1*(SP event-group)), and nothing behind it.  `atts` takes a list of
 * fetch-att in parentheses.  Everything is in the arena or borrowed from the text. */
bool imap_notify_parse(struct imap_in *in, bool (*atts)(struct imap_in *), struct imap_notify *n);
/* Appends the names of all events that there are: "MessageNew MessageExpunge ...".	RFC 5465 3.1 */
void imap_notify_write_events(struct buf *b);
#endif
