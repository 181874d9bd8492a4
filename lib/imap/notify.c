/* imap/notify.c: NOTIFY, RFC 5465 8.  Pure; fails on syntax and on events that do not go together. */
#include "imap/notify.h"

#include <string.h>

static const struct {
	const char *name, *word;
	unsigned bit;
} events[] = {
	{ "MessageNew", "MESSAGENEW", IMAP_NOTIFY_NEW },
	{ "MessageExpunge", "MESSAGEEXPUNGE", IMAP_NOTIFY_GONE },
	{ "FlagChange", "FLAGCHANGE", IMAP_NOTIFY_FLAGS },
	{ "MailboxName", "MAILBOXNAME", IMAP_NOTIFY_NAMES },
	{ "SubscriptionChange", "SUBSCRIPTIONCHANGE", IMAP_NOTIFY_SUBSCRIPTIONS },
	{ "MailboxMetadataChange", "MAILBOXMETADATACHANGE", IMAP_NOTIFY_METADATA },
	{ "ServerMetadataChange", "SERVERMETADATACHANGE", IMAP_NOTIFY_SERVER },
};

void
imap_notify_write_events(struct buf *b)
{
	for (size_t i = 0; i < NELEM(events); i++) {
		if (i > 0)
			buf_char(b, ' ');
		buf_str(b, events[i].name);
	}
}

static bool
notify_fail(struct imap_in *in, const char *why)
{
	if (!in->why)
		in->why = why;
	return false;
}

/* One group while it is read. */
struct group {
	bool selected;
	unsigned events;
	bool annotations;
};

static bool
group_atts(struct imap_in *in, bool (*atts)(struct imap_in *), const struct group *g,
    struct imap_notify *n)
{
	struct slice from;

	if (!g->selected)
		return notify_fail(in, "Data items are for the selected mailbox alone");
	(void)imap_char(in, ' ');
	from = in->s;
	if (!atts(in))
		return false;
	n->atts = slice(from.p, from.n - in->s.n);
	return true;
}

static bool
notify_event(struct imap_in *in, bool (*atts)(struct imap_in *), struct group *g,
    struct imap_notify *n)
{
	struct slice other;

	for (size_t i = 0; i < NELEM(events); i++) {
		if (!imap_word(in, events[i].word))
			continue;
		g->events |= events[i].bit;
		return events[i].bit != IMAP_NOTIFY_NEW || !slice_starts(in->s, S(" (")) ||
		    group_atts(in, atts, g, n);
	}
	n->unsupported = true;
	if (!imap_atom(in, &other))
		return false;
	g->annotations = slice_ieq(other, S("AnnotationChange")) || g->annotations;
	return true;
}

static bool
notify_events(struct imap_in *in, bool (*atts)(struct imap_in *), struct group *g,
    struct imap_notify *n)
{
	const unsigned both = IMAP_NOTIFY_NEW | IMAP_NOTIFY_GONE;
	int more = 1;

	if (imap_word(in, "NONE"))
		return true;
	if (!imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in))
		if (!notify_event(in, atts, g, n))
			return false;
	if (more < 0)
		return false;
	/* RFC 5465 5: "MUST respond with the tagged BAD response", twice */
	if ((g->events & both && (g->events & both) != both) ||
	    ((g->events & IMAP_NOTIFY_FLAGS || g->annotations) && !(g->events & both)))
		return notify_fail(in,
		    "MessageNew and MessageExpunge go together, and with others");
	if (g->selected && g->events & ~(unsigned)IMAP_NOTIFY_MESSAGES)
		return notify_fail(in, "The selected mailbox has events of messages only");
	return true;
}

static void
group_put(struct imap_in *in, struct imap_notify *n, const struct imap_notify_group *g)
{
	if ((n->ngroups & (n->ngroups - 1)) == 0) { /* room doubles at powers of two */
		size_t room = n->ngroups ? n->ngroups * 2 : 1;
		struct imap_notify_group *groups = arena_array(in->arena, room, sizeof(*groups));

		if (n->ngroups)
			memcpy(groups, n->groups, n->ngroups * sizeof(*groups));
		n->groups = groups;
	}
	n->groups[n->ngroups++] = *g;
}

/* event-group = "(" filter-mailboxes SP events ")" */
static bool
notify_group(struct imap_in *in, bool (*atts)(struct imap_in *), struct imap_notify *n,
    unsigned *kinds)
{
	struct imap_notify_group g = { 0 };
	struct group read = { 0 };
	bool delayed;

	if (!imap_open(in))
		return false;
	delayed = imap_word(in, "SELECTED-DELAYED");
	if (!delayed && !imap_source_parse(in, &g.from))
		return false;
	read.selected = delayed || g.from.selected;
	if (!imap_space(in) || !notify_events(in, atts, &read, n) || imap_more(in) != 0)
		return notify_fail(in, "End of the group expected");
	if (!read.selected) {
		g.events = read.events;
		if (n->ngroups == IMAP_ITEMS_MAX)
			return notify_fail(in, "Too many groups");
		group_put(in, n, &g);
		return true;
	}
	/* RFC 5465 6.1: "mutually exclusive" */
	*kinds |= delayed ? 2 : 1;
	if (*kinds == 3)
		return notify_fail(in, "SELECTED and SELECTED-DELAYED exclude each other");
	n->delayed = delayed;
	n->selected |= read.events;
	return true;
}

bool
imap_notify_parse(struct imap_in *in, bool (*atts)(struct imap_in *), struct imap_notify *n)
{
	unsigned kinds = 0;
	struct slice before;

	*n = (struct imap_notify){ 0 };
	if (!imap_space(in))
		return false;
	n->none = imap_word(in, "NONE");
	if (n->none)
		return imap_end(in);
	if (!imap_word(in, "SET"))
		return notify_fail(in, "SET or NONE expected");
	before = in->s;
	n->status = imap_char(in, ' ') && imap_word(in, "STATUS");
	if (!n->status)
		in->s = before;
	do {
		if (!imap_space(in) || !notify_group(in, atts, n, &kinds))
			return false;
	} while (imap_next_is(in, ' '));
	return imap_end(in);
}
