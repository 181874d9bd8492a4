/* channel-master/master.h: what the files of this program share.
 *
 *	jobctl --lease--> job.c --> site.c (where to) --> dial.c (connect, hello)
 *	                    |                               |
 *	                    +--> session.c (pool) <---------+
 *	                    +--> bounce.c (reports) --> smtp-relay's submit.sock
 *	                    +--> lib/queue (journal, finish) --result--> jobctl */
#ifndef MASTER_H
#define MASTER_H
#include "conf/channels.h"
#include "conf/shared.h"
#include "job/master.h"
#include "net/connect.h"
#include "net/dns.h"
#include "queue/read.h"
#include "smtp/client.h"

/* channel-master.conf(5 is in channel-master(8)). */
struct master_conf {
	int64_t session_idle;    /* ms: a connection without work is kept */
	int64_t session_messages; /* transactions on one connection, 0 = no limit */
	int64_t max_recipients;  /* of one transaction */
	int64_t max_hosts;       /* addresses tried for one delivery */
	int64_t idle_exit;       /* ms without work before the process leaves */
	int64_t eager;           /* bytes: LMTP bodies sent without waiting for RCPT */
	int eightbit;            /* enum eightbit */
	int64_t t_connect, t_greeting, t_hello, t_mail, t_rcpt, t_data, t_block, t_dot;
	char *resolvers;         /* "ip[@port] ..." or "" */
	char *hosts;             /* hosts file or "" */
	char *dns_stubs;         /* "zone=ip@port ..." */
	char *trust_anchor;      /* file or "" */
	int64_t dns_timeout;
	bool tls_verify;         /* tls = must: check the certificate's name and CA */
	int64_t return_size;     /* whole message in a report when RET is not given */
	int64_t return_max;      /* and when RET=FULL */
	char *double_bounce;     /* address for reports about null senders, "" = drop on record */
};
enum eightbit { EIGHTBIT_BOUNCE, EIGHTBIT_SEND };
extern struct master_conf mconf;
extern const struct conf_schema master_schema;

/* The process. */
struct master {
	struct loop loop;
	struct channels *channels;
	const struct channel *channel;
	struct queue *queue;
	struct dns *dns;              /* NULL until needed */
	struct job_master *job;
	struct tls_ctx *tls_plain;    /* certificate not verified; NULL until needed */
	struct tls_ctx *tls_verified;
	struct smtp_client_limits limits;
	struct list jobs;             /* of struct job */
	size_t njobs;
	struct deadline leave;        /* idle exit, and the end of a drain */
	bool draining;
};
extern struct master master;

/* main.c */
void master_job_over(void);       /* a job has ended: perhaps it is time to leave */
struct tls_ctx *master_tls(bool verify); /* borrowed; NULL after logging when it cannot be made */

/* ---- site.c: where a destination is ------------------------------------------------------- */

struct site {
	char *key;                /* sessions with equal keys may be shared */
	char *host;               /* name to look up; NULL for a Unix socket */
	char *path;               /* Unix socket, or NULL */
	char *name;               /* what its certificate must say; NULL = the host's name */
	int port;
	bool mx;                  /* host is a mail domain: MX first */
	bool lmtp;
	enum smtp_tls tls;
};
/* The site of a destination of this channel.  0, or -EINVAL: *v says why. */
int site_find(const char *dest, struct site *s, struct verdict *v) MUSTCHECK;
/* smtp-relay's local submission. */
void site_submit(struct site *s);
void site_fini(struct site *s);
/* Takes "host:port", "[v6]:port", "[literal]", "unix:/path" or "host" apart into s (host or
 * path, port).  *fixed: a port was given or it is no domain.  0 or -EINVAL. */
int site_parse(const char *text, int port, struct site *s, bool *fixed) MUSTCHECK;

/* ---- session.c: connections, in use and idle ---------------------------------------------- */

struct session {
	uint32_t magic;
	struct smtp_client client;
	struct smtp_client_params params;
	struct list link;         /* in the pool while idle */
	struct deadline idle;
	char *key;
	char *host;               /* name for TLS and logs */
	char peer[400];           /* "mx.example [192.0.2.1]", for reports */
	/* While its hello is going on: */
	void (*ready)(void *arg, struct session *, const struct verdict *);
	void *arg;
};
/* An idle session for this key, or NULL; it is the caller's then. */
struct session *session_take(const char *key);
/* Takes the socket over; ready(arg) follows unless session_close comes first.  NULL when the
 * socket is no good (the fd is closed). */
struct session *session_open(int fd, const struct site *site, enum smtp_tls tls, const char *host,
    const char *peer, void (*ready)(void *arg, struct session *, const struct verdict *), void *arg);
/* Back into the pool, or closed when it is of no more use. */
void session_release(struct session *s);
void session_close(struct session *s);
/* QUIT to all idle ones; calls back when the last session has gone. */
void session_quit_all(void);
size_t session_count(void);

/* ---- dial.c: a new session for a site ----------------------------------------------------- */

struct dial;
/* done(arg, s, v, site): a session that is the callee's, or NULL with v saying why not.  Tries
 * hosts in order of preference.  `site` says what that means for the destination. */
struct dial *dial_start(const struct site *site, void (*done)(void *arg, struct session *,
    const struct verdict *, enum job_site), void *arg);
void dial_cancel(struct dial **d);

/* ---- job.c -------------------------------------------------------------------------------- */

void job_start(const struct job_work *w);

/* ---- bounce.c: reports -------------------------------------------------------------------- */

/* What happened to recipient i of the file, as far as the sender is told. */
struct outcome {
	struct verdict v;
	bool remote;              /* v is the peer's */
	bool tried;               /* v is new: this attempt's */
	bool dsn_passed_on;       /* the peer takes over success reports */
	const char *mta;          /* the peer, in the file's arena; NULL = none */
};
enum bounce_kind { BOUNCE_RESULT, BOUNCE_DELAY };
struct bounce;
/* Must a report be sent about these outcomes?  Then it is composed and handed to smtp-relay;
 * done(arg, v): OK: it is in the queue (or there was nobody to send it to, on record);
 * TEMP: it is not, do not forget the recipients.  NULL: nothing to report. */
struct bounce *bounce_start(const struct qread *r, const struct outcome *o, enum bounce_kind kind,
    void (*done)(void *arg, const struct verdict *), void *arg);
void bounce_cancel(struct bounce **b);
#endif
