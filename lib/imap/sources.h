/* imap/sources.h: which mailboxes a command is about: the filters of RFC 5465 6, with subtree-one of
 * RFC 7377 5, as ESEARCH has them in one list and NOTIFY one by one. */
#ifndef IMAP_SOURCES_H
#define IMAP_SOURCES_H
#include "imap/args.h"

struct imap_source {
	enum imap_source_kind {
		IMAP_SOURCE_MAILBOX,
		IMAP_SOURCE_SUBTREE,
		IMAP_SOURCE_SUBTREE_ONE
	} kind;
	struct slice name; /* UTF-8; empty: above all */
};
struct imap_sources {
	bool selected, inboxes, personal, subscribed;
	struct imap_source *list; /* at most IMAP_ITEMS_MAX */
	size_t n;
};
/* "(" filter *(SP filter) ")", from the parenthesis on.  Names that are none are left out: they name no
 * mailbox.  The names lie in the arena. */
bool imap_sources_parse(struct imap_in *in, struct imap_sources *s);
/* One filter; what it names is added to `s`, which is zeroed before the first. */
bool imap_source_parse(struct imap_in *in, struct imap_sources *s);
/* Is a mailbox of that name among those of `list`?  Cost: the bytes of the list's names. */
bool imap_sources_named(const struct imap_sources *s, struct slice name);
/* Is it the selected mailbox alone? */
bool imap_sources_selected_alone(const struct imap_sources *s);
#endif
