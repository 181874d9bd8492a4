/* NOTIFY's arguments. */
#include "../tap.h"
#include "imap/notify.h"
#include "tables.h"

static struct arena arena;
static struct imap_notify n;

static bool
parse(const char *text)
{
	struct imap_in in = { .s = slice_str(text), .arena = &arena };

	return imap_notify_parse(&in, test_atts, &n) && in.s.n == 0;
}

int
main(void)
{
	static const char *const bad[] = { "", " ", " SET", " SET ", " NONE NONE", " SET STATUS",
		" SET (personal)", " SET (personal ())", " SET (personal (MessageNew))",
		" SET (personal (FlagChange))", " SET (personal (MessageExpunge MailboxName))",
		" SET (selected (MessageNew MessageExpunge MailboxName))",
		" SET (personal (MessageNew (uid) MessageExpunge))",
		" SET (selected (MessageNew (nothing) MessageExpunge))",
		" SET (selected NONE)(personal NONE)",
		" SET (selected NONE) (selected-delayed NONE)",
		" SET (selected-delayed NONE) (selected NONE)",
		" SET (personal (AnnotationChange))", " SET (personal NONE",
		" SET (personal NONE x)", " SET (personal  NONE)" };
	struct buf b = { 0 };

	ok(parse(" none") && n.none, "none");
	ok(parse(" set (selected NONE)") && !n.none && !n.status && n.selected == 0 &&
		n.ngroups == 0,
	    "nothing of the selected one");
	ok(parse(" SET STATUS (Personal (messagenew MESSAGEEXPUNGE))") && n.status &&
		n.ngroups == 1 && n.groups[0].from.personal &&
		n.groups[0].events == (IMAP_NOTIFY_NEW | IMAP_NOTIFY_GONE),
	    "any case");
	ok(parse(" SET (selected (MessageNew (uid flags body.peek[header.fields (from)]) "
		 "MessageExpunge FlagChange)) (inboxes (MailboxName))") &&
		n.selected == IMAP_NOTIFY_MESSAGES && !n.delayed && n.ngroups == 1 &&
		slice_eq(n.atts, S("(uid flags body.peek[header.fields (from)])")),
	    "data items");
	ok(parse(" SET (selected-delayed (MessageNew MessageExpunge))") && n.delayed && !n.atts.p,
	    "selected-delayed");
	ok(parse(" SET (subtree (a b) (MailboxName SubscriptionChange)) (mailboxes c NONE)") &&
		n.ngroups == 2 && n.groups[0].from.n == 2 && n.groups[1].events == 0,
	    "names");
	ok(parse(" SET (personal (MessageNew MessageExpunge AnnotationChange))") && n.unsupported,
	    "an event that is not offered");
	ok(parse(" SET (personal (Weather))") && n.unsupported, "one that nobody knows");
	for (size_t i = 0; i < NELEM(bad); i++)
		ok(!parse(bad[i]), "none:%s", bad[i]);
	imap_notify_write_events(&b);
	is(buf_cstr(&b),
	    "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange "
	    "MailboxMetadataChange ServerMetadataChange",
	    "all of them");
	buf_fini(&b);
	arena_reset(&arena);
	return done();
}
