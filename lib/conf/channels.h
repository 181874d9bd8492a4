/* conf/channels.h: channels.conf(5): the channels, the hosts of the data tier, static routes.
 *
 * One file that smtp-relay (routing), jobctl (scheduling) and channel-master (delivery) all
 * read.  The channels tcp_lmtp (LMTP) and tcp_local (SMTP) exist even when the file is silent.
 * Sun's names where Sun had one: backoff, notices, maxjobs. */
#ifndef CONF_CHANNELS_H
#define CONF_CHANNELS_H
#include "conf/conf.h"

#define CHANNEL_NAME_MAX 32 /* lower-case letters, digits, `_` `-` */
#define PERIODS_MAX 8

enum channel_protocol { CHANNEL_LMTP, CHANNEL_SMTP };
enum channel_tls { CHANNEL_TLS_OFF, CHANNEL_TLS_MAY, CHANNEL_TLS_MUST };

struct periods {
	uint32_t n;              /* at least 1 */
	uint32_t s[PERIODS_MAX]; /* seconds */
};

struct channel {
	char *name;
	int protocol;          /* enum channel_protocol */
	int tls;               /* enum channel_tls */
	int64_t maxjobs;       /* most channel-master processes */
	int64_t slots;         /* sessions (leases) of one process */
	int64_t threaddepth;   /* ready messages per process before another is started */
	int64_t dest_start;    /* concurrency per destination at first ... */
	int64_t dest_max;      /* ... and at most */
	int64_t big;           /* bytes: larger messages queue one priority lower; 0 = never */
	struct periods backoff[3]; /* by enum qprio: after the n-th failure; the last repeats */
	struct periods notices;    /* age at which a delay warning is sent; the last: returned */
	char *relay;           /* "host:port": everything of this channel goes there; "" = none */
	int64_t port;          /* 25; 24 for LMTP over TCP without a [host] */
	char *source;          /* local address to connect from; "" = any */
	char *helo;            /* EHLO/LHLO name; "" = hostname */
	bool stopped;          /* jobctl starts with this channel stopped */
};
/* [host NAME]: where the LMTP server of a mailHost is. */
struct channel_host {
	char *name;
	char *lmtp;            /* "unix:/path" or "host:port" */
	int tls;
};
/* [route DOMAIN]: a static route. */
struct channel_route {
	char *domain;          /* "example.org", or "*.example.org" for its subdomains, or "*" */
	char *channel;
	char *relay;           /* "host:port" as destination; "" = the domain itself */
};

struct channels {
	struct channel *channel;
	struct channel_host *host;
	struct channel_route *route;
	size_t nchannel, nhost, nroute;
};

/* Reads the file (a missing one gives the defaults).  0, or -EINVAL with *why (heap, all
 * messages, one a line).  The caller owns *out. */
int channels_read(const char *path, struct channels **out, char **why) MUSTCHECK;
void channels_free(struct channels **c);
/* Appends the effective configuration, for -n. */
void channels_print(const struct channels *c, struct buf *out);

/* Can it name a channel? */
bool channel_name_ok(struct slice name);
/* Borrowed, or NULL. */
const struct channel *channels_find(const struct channels *c, struct slice name);
const struct channel_host *channels_host(const struct channels *c, struct slice name);
/* The most specific route: the domain itself, then *.parent upwards, then "*". */
const struct channel_route *channels_route(const struct channels *c, struct slice domain);

/* A period: ISO 8601 ("PT30M", "P3D", "PT1H30M") or as elsewhere ("30m", "3d").  0 or -EINVAL. */
int periods_parse_one(struct slice s, uint32_t *seconds) MUSTCHECK;
/* The n-th period (from 0); the last repeats. */
uint32_t periods_get(const struct periods *p, uint32_t n);
extern const struct conf_schema channels_schema; /* for the man page's agreement test */
#endif
