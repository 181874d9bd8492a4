/* mta/channels.h: the channels that mail leaves by, the hosts of the data tier, and the rules that choose.
 *
 * smtp-relay (routing), jobctl (scheduling) and channel-master (delivery) all read the same two files:
 * channels.conf(5), and beside it mta.cnf with mappings and general (tiermail-rewrite(5)), the
 * alias file (tiermail-aliases(5)) and conversions (tiermail-conversions(5)), if they are there.  Channels of mta.cnf are channels here; a [channel] section of the same name takes its place.
 * Without mta.cnf the rules are made of the [route] sections, so that there is one way to decide.  The
 * channels tcp_lmtp (LMTP), tcp_local (SMTP), reprocess, process, hold, bitbucket and defragment exist even when
 * the files are silent; conversion is there where the file `conversions` is; pipe only where they name it, for it needs a daemon that not every host has. */
#ifndef MTA_CHANNELS_H
#define MTA_CHANNELS_H
#include "conf/conf.h"
#include "mta/aliases.h"
#include "mta/conversions.h"
#include "mta/general.h"
#include "mta/rules.h"
#include "mta/windows.h"

#define CHANNEL_NAME_MAX 32 /* lower-case letters, digits, `_` `-` */

enum channel_protocol {
	CHANNEL_LMTP,
	CHANNEL_SMTP,
	CHANNEL_REPROCESS,  /* expanded once more, as from the channel that it came from, ... */
	CHANNEL_PROCESS,    /* ... or as from this one */
	CHANNEL_HOLD,       /* held; when it is released, as CHANNEL_REPROCESS */
	CHANNEL_BITBUCKET,  /* dropped, on record */
	CHANNEL_DEFRAGMENT, /* put together, and on to where it was going (mta/detour.h) */
	CHANNEL_CONVERSION, /* its parts converted by programs, and on */
	CHANNEL_PIPE,       /* given to programs and mailbox files, by piped */
	CHANNEL_PROTOCOLS
};
enum channel_tls { CHANNEL_TLS_OFF, CHANNEL_TLS_MAY, CHANNEL_TLS_MUST };

/* So many messages in that time, spread over it; n = 0: any number. */
struct channel_rate {
	uint32_t n, per; /* per: seconds */
};

struct channel {
	char *name;
	int protocol;    /* enum channel_protocol */
	int tls;         /* enum channel_tls */
	char *pool;      /* whose processes they are: [pool NAME] of jobctl.conf; "" = DEFAULT */
	bool xforward;   /* servers are told who gave us the message */
	int64_t maxjobs; /* most channel-master processes */
	int64_t minjobs; /* processes that are there without work */
	int64_t
	    idle_exit; /* ms without work before a process leaves; 0 = as channel-master.conf says */
	int64_t slots;                  /* sessions (leases) of one process */
	int64_t threaddepth;            /* ready messages per process before another is started */
	int64_t dest_start;             /* concurrency per destination at first ... */
	int64_t dest_max;               /* ... and at most */
	struct channel_rate rate;       /* messages to one destination ... */
	struct channel_rate rate_total; /* ... and of the whole channel */
	int64_t big; /* bytes: larger messages queue one priority lower; 0 = never */
	struct mta_times backoff[3];  /* by enum qprio: after the n-th failure; the last repeats */
	struct mta_windows window[3]; /* by enum qprio: when such messages are delivered */
	struct mta_times notices;     /* age at which a delay warning is sent; the last: returned */
	char *relay;         /* "host:port": everything of this channel goes there; "" = none */
	int64_t port;        /* 25; 24 for LMTP over TCP without a [host] */
	char *source;        /* local address to connect from; "" = any */
	char *helo;          /* EHLO/LHLO name; "" = hostname */
	char *auth_user;     /* who logs in at the relay; "" = nobody */
	char *auth_password; /* as it stands in the file, for conf_secret_read */
	bool
	    cut_through; /* LMTP: its mail may be delivered before the relay answers, past the queue */
	bool defragment; /* messages in pieces are put together before they come here */
	bool convert;    /* what goes here goes through the channel conversion first */
	bool stopped;    /* jobctl starts with this channel stopped */
	char **users; /* programs: of people of these domains alone; NULL-terminated, empty: all */
};
/* [host NAME]: where the LMTP server of a mailHost is. */
struct channel_host {
	char *name;
	char *lmtp; /* "unix:/path" or "host:port" */
	int tls;
};
/* [route DOMAIN]: a static route. */
struct channel_route {
	char *domain; /* "example.org", or "*.example.org" for its subdomains, or "*" */
	char *channel;
	char *relay; /* "host:port" as destination; "" = the domain itself */
};

/* [reply NAME]: what is done when a server says that. */
struct channel_reply {
	char *name;
	char *channel;   /* whose mail; `*` any characters */
	char *code;      /* reply code, or how it begins; "" = any of 4 and 5 */
	char *text;      /* what is said; `*` any characters, any case */
	int64_t suspend; /* ms: the destination gets nothing meanwhile */
};

struct channels {
	struct channel *channel;
	struct channel_host *host;
	struct channel_route *route;
	struct channel_reply *reply;
	size_t nchannel, nhost, nroute, nreply;
	struct mta_conf *rules;
	bool made;                           /* the rules are made of this, not of mta.cnf */
	struct mta_mappings *mappings;       /* NULL: there are none */
	struct mta_general *general;         /* NULL: there is none */
	struct mta_aliases *aliases;         /* NULL: there are none */
	struct mta_conversions *conversions; /* NULL: there are none */
};

/* Reads channels.conf and what stands beside it (a missing file gives the defaults).  0, or -EINVAL with *why (heap, all
 * messages, one a line).  The caller owns *out. */
int channels_read(const char *path, struct channels **out, char **why) MUSTCHECK;
void channels_free(struct channels **c);
/* channels-limits.c.  "600/1h".  0, or -EINVAL. */
int channels_rate_parse(struct slice s, struct channel_rate *r) MUSTCHECK;
/* The first rule for what a server has said (code and text, of a channel's mail), or NULL. */
const struct channel_reply *
channels_reply(const struct channels *c, const char *channel, unsigned code, struct slice text);
/* Appends the effective configuration, for -n. */
void channels_print(const struct channels *c, struct buf *out);

/* Can it name a channel? */
bool channels_name_ok(struct slice name);
/* As channels.conf has it: "lmtp". */
const char *channels_protocol_word(int protocol);
/* Is there a channel `name` by which programs get mail? */
bool channels_pipes(const struct channels *c, const char *name);
/* Do users of this domain get programs there?  Their names are names of users of the host. */
bool channels_pipes_users(const struct channels *c, const char *name, struct slice domain);
/* Are recipients of this channel expanded once more? */
static inline bool
channel_expands(const struct channel *c)
{
	return c->protocol >= CHANNEL_REPROCESS && c->protocol <= CHANNEL_HOLD;
}
/* Does it lead on to another channel (mta/detour.h)? */
static inline bool
channel_detours(const struct channel *c)
{
	return c->protocol == CHANNEL_DEFRAGMENT || c->protocol == CHANNEL_CONVERSION;
}
/* Are addresses of the header rewritten in our own mail that goes there (the keyword `reverse`)? */
bool channels_reverse(const struct channels *c, const char *channel);
/* Borrowed, or NULL. */
const struct channel *channels_find(const struct channels *c, struct slice name);
const struct channel_host *channels_host(const struct channels *c, struct slice name);
/* The n-th period (from 0); the last repeats. */
uint32_t channels_periods_get(const struct mta_times *p, uint32_t n);
extern const struct conf_schema channels_schema; /* for the man page's agreement test */
#endif
