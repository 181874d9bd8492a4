/* mta/keywords.h: channels of mta.cnf, and the one table of the keywords that describe them.
 *
 * A row is {name, type, value, offset, doc}: reading, checking, printing and tiermail-channels(5) go
 * through the table.  A keyword that tiermail knows and does nothing for is in it too, with the reason,
 * so that a file from elsewhere loads and says what it does not get; a word that is not in it is an error
 * with the nearest one that is. */
#ifndef MTA_KEYWORDS_H
#define MTA_KEYWORDS_H
#include "base/arena.h"
#include "base/buf.h"

#define MTA_CHANNEL_NAME_MAX 32
#define MTA_TIMES_MAX        8
#define MTA_SPAM_FILTERS     8 /* their numbers are from 1 */

enum mta_protocol { MTA_PROTOCOL_NONE, MTA_PROTOCOL_SMTP, MTA_PROTOCOL_LMTP };
enum mta_need { MTA_NEED_NO, MTA_NEED_MAY, MTA_NEED_MUST }; /* TLS, SASL */

/* Up to eight times, in seconds; n is 0 when the file has none. */
struct mta_times {
	uint32_t n;
	uint32_t s[MTA_TIMES_MAX];
};

struct mta_channel;
/* A line of a channel block behind the first. */
struct mta_channel_host {
	const struct mta_channel *channel;
	const char *name;
	const char *proper; /* NULL: the official host name */
	const char *via;    /* HOST:PORT that mail goes to which was found by this name; or NULL */
	bool further;       /* not the official one */
	const char *file;
	int line;
};

struct mta_channel {
	const char *name, *file;
	int line;
	const char *official;           /* the host name by which rules find it */
	struct mta_channel_host *hosts; /* the official one first */
	size_t nhosts;

	/* What keywords say; numbers are -1 and texts NULL where the file is silent.  Server and client
	 * of a pair stand beside each other. */
	int protocol, ways; /* enum mta_protocol; 1 master, 2 slave, 3 both */
	int norules, bangoverpercent;
	int aliaslocal, reverse;
	int single, switching, vrfy, mailfrom_dns;
	int tls_server, tls_client;
	int ident, received_for;
	int chunking_server, notary;
	int defragment;
	int64_t port, maxjobs, threaddepth, filesperjob, addrsperfile;
	int64_t missing_recipient, holdlimit, expandlimit, recipientlimit, recipientcutoff,
	    transactionlimit;
	int64_t disconnect_transactions, disconnect_rejects, disconnect_bad;
	int64_t blocklimit, sourceblocklimit, linelimit;
	int64_t authrewrite;
	int64_t alternate_blocks, alternate_recipients;
	const char *daemon, *pool, *interface, *alternatechannel;
	const char *tlsswitch, *saslswitch;
	const char *sourcefilter, *destinationfilter;
	const char *source_spam[MTA_SPAM_FILTERS], *destination_spam[MTA_SPAM_FILTERS];
	const char *rate, *rate_total; /* N/TIME: mta/channels.h */
	struct mta_times backoff[4];   /* urgent, normal, non-urgent, all */
	struct mta_times notices;
};

enum mta_keyword_type {
	MTA_KW_SET,   /* no argument; the int at the offset becomes the value */
	MTA_KW_PAIR,  /* the same for the int at the offset and the one behind it */
	MTA_KW_TEXT,  /* one argument, const char * */
	MTA_KW_COUNT, /* one argument, int64_t, not negative; above 0 the value is the most */
	MTA_KW_TIMES, /* one to eight times, struct mta_times */
	MTA_KW_DAYS,  /* one to five numbers of days that grow, or times; struct mta_times */
	MTA_KW_UNSET, /* no argument; what is at the offset is as if nobody had said it: a number where the value
			 is -1, else a text */
	MTA_KW_ALWAYS, /* no argument; what it says is done whether or not it is said */
	MTA_KW_NONE    /* known and without effect: value is the number of arguments, -1: times */
};
struct mta_keyword {
	const char *name;
	enum mta_keyword_type type;
	int value;
	size_t offset;
	const char *doc; /* what it says; of MTA_KW_NONE why it does nothing */
};
extern const struct mta_keyword mta_keywords[];
extern const size_t mta_nkeywords;

/* The row, or NULL; any case. */
const struct mta_keyword *mta_keyword_find(struct slice name);
/* The nearest keyword to a misspelt one, or NULL. */
const char *mta_keyword_nearest(struct slice name);
/* A channel about which nothing was said. */
void mta_channel_init(struct mta_channel *c);
/* Applies a keyword with its arguments, taken off *rest.  0, or -EINVAL with *why.  Texts go into the
 * arena. */
int mta_keyword_apply(struct mta_channel *c, const struct mta_keyword *k, struct slice *rest,
    struct arena *a, const char **why) MUSTCHECK;
/* Appends the keywords that say something of this channel, in the table's order, with arguments. */
void mta_keywords_print(const struct mta_channel *c, struct buf *out);
/* A period: ISO 8601 ("PT30M", "P3D") or short ("30m", "3d").  0 or -EINVAL. */
int mta_period_parse(struct slice s, uint32_t *seconds) MUSTCHECK;
#endif
