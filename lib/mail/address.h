/* mail/address.h: mail addresses: of the envelope (RFC 5321 4.1.2, RFC 6531 3.3) and of header
 * fields (RFC 5322 3.4 and 4.4).  Pure; domains go to A-labels and back by libidn2.
 *
 * An address is kept as its meaning, not as its spelling: the local part without quotes and
 * backslashes, so that "a"@b.c and a@b.c are one.  address_write gives it the quotes it needs. */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H
#include "base/arena.h"
#include "base/buf.h"

#define ADDRESS_LOCAL_MAX  64  /* octets, RFC 5321 4.5.3.1.1 */
#define ADDRESS_DOMAIN_MAX 255 /* 4.5.3.1.2 */
#define ADDRESS_PATH_MAX   256 /* 4.5.3.1.3, with < and > */

/* flags of struct address, and (the first three) what a parser is told to allow. */
enum {
	ADDRESS_NULL = 1,       /* <> */
	ADDRESS_POSTMASTER = 2, /* <postmaster>, any case, without a domain */
	ADDRESS_UTF8 = 4,       /* has a byte above 0x7f: needs SMTPUTF8 */
	ADDRESS_LITERAL = 8,    /* the domain is an address literal, with its brackets */
	ADDRESS_QUOTED = 16,    /* the local part is no dot-string: it is written in quotes */
	ADDRESS_BARE = 32       /* "user" without a domain: the owner completes it */
};

struct address {
	struct slice local;  /* unquoted; empty for <> (and for the legal ""@b.c) */
	struct slice domain; /* as written; empty for <> and <postmaster> */
	unsigned flags;
};

/* ---- the envelope --------------------------------------------------------------------- */

/* Takes "<path>" off the front of *at.  `allow` is of the first three flags and
 * ADDRESS_BARE.  Source routes
 * are read over (RFC 5321 appendix C).  Slices borrow from *at, or from `a` where quoting had
 * to be undone.  0, or -EBADMSG with *why, a short English reason fit for a 501 or 553 reply
 * (*at is not moved then). */
int address_parse_path(struct slice *at, unsigned allow, struct arena *a, struct address *addr,
    const char **why) MUSTCHECK;
/* The same for a whole slice "local@domain" without brackets. */
int address_parse(struct slice s, unsigned allow, struct arena *a, struct address *addr,
    const char **why) MUSTCHECK;
/* Does a local part name a further road: user%host, host!user, user@host (RFC 1123 5.2.16)?  Hosts that
 * know such roads pass it on to whoever stands there. */
bool address_leads_on(struct slice local);
/* Appends local@domain, the local part in quotes where it must; nothing for the null path,
 * "postmaster" as written for that. */
void address_write(struct buf *b, const struct address *addr);
/* The same for an address in two pieces (local as its meaning); domain empty: no "@". */
void address_write_parts(struct buf *b, struct slice local, struct slice domain);
/* Local parts are equal byte by byte, domains without regard to case or to A- and U-labels. */
bool address_eq(const struct address *a, const struct address *b);

/* A host name (LDH labels of at most 63, 255 in all; U-labels with ADDRESS_UTF8) or with
 * ADDRESS_LITERAL an address literal (4.1.3: IPv4, IPv6:..., or Tag:text).  Whole slice. */
bool domain_valid(struct slice s, unsigned allow);
bool domain_eq(struct slice a, struct slice b); /* case and label form ignored */
/* Appends the domain in lower case as A-labels (for DNS) / as U-labels (for people).  Plain
 * ASCII costs no library call.  0, or -EBADMSG when it is no legal IDNA 2008 name (nothing is
 * appended then). */
int domain_write_ascii(struct buf *b, struct slice domain) MUSTCHECK;
int domain_write_utf8(struct buf *b, struct slice domain) MUSTCHECK;

/* ---- header fields ---------------------------------------------------------------------- */

/* One element of an address list, in order and flat, as IMAP's ENVELOPE wants it (RFC 3501
 * 7.4.2): a group is START, its mailboxes, END. */
enum address_kind { ADDRESS_MAILBOX, ADDRESS_GROUP_START, ADDRESS_GROUP_END };
struct address_item {
	enum address_kind kind;
	struct slice name;    /* display name, quoting undone, encoded words as they are; the
	                         last comment when there is no name */
	struct slice route;   /* source route "@a,@b" of an obs-route, or empty */
	struct slice mailbox; /* local part, unquoted; of a group its name */
	struct slice host;    /* empty when there was no domain: "user" alone */
};
struct address_list {
	struct address_item *items;
	size_t n;
	bool cut; /* there were more than `max` items, or nesting without end */
};
/* Reads the value of From, To, ... (folded or not).  What makes no sense is skipped; it never
 * fails and costs linear time.  Slices borrow from `value` or `a`. */
void address_list_parse(struct slice value, size_t max, struct arena *a, struct address_list *list);
#endif
