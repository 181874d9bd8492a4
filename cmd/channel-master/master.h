/* channel-master/master.h: what the files of this program share.
 *
 *	jobctl --lease--> job.c --> an agent (agent.h): agent-smtp.c, agent-reprocess.c, agent-bitbucket.c
 *	                    |         agent-defragment.c --> fragments.c (the index), onward.c (the whole)
 *	                    |         agent-conversion.c --> convert.c (parts), piped (programs)
 *	                    |         agent-smtp.c --> site.c (where to) --> dial.c (connect, hello)
 *	                    |                |                                 |
 *	                    |                +--> session.c (pool) <-----------+
 *	                    |                                 +--> sts.c --> https.c (policies)
 *	smtp-relay --image--> cut.c --> job.c, without a lease
 *	                    +--> bounce.c (reports, in a language of notices.c) --> smtp-relay's submit.sock, by way of handover.c
 *	                    +--> lib/queue (journal, finish) --result--> jobctl */
#ifndef MASTER_H
#define MASTER_H
#include "mta/channels.h"
#include "conf/shared.h"
#include "daemon/daemon.h"
#include "job/master.h"
#include "mail/dsn-words.h"
#include "mail/outcome.h"
#include "net/connect.h"
#include "net/dns.h"
#include "queue/aside.h"
#include "queue/read.h"
#include "smtp/client.h"
#include "smtp/sts.h"

/* channel-master.conf(5 is in channel-master(8)). */
struct master_conf {
	int64_t session_idle;     /* ms: a connection without work is kept */
	int64_t session_messages; /* transactions on one connection, 0 = no limit */
	int64_t max_recipients;   /* of one transaction */
	int64_t max_hosts;        /* addresses tried for one delivery */
	int64_t idle_exit;        /* ms without work before the process leaves */
	int64_t eager;            /* bytes: LMTP bodies sent without waiting for RCPT */
	int eightbit;             /* enum eightbit */
	int64_t t_connect, t_greeting, t_hello, t_mail, t_rcpt, t_data, t_block, t_dot, t_whole;
	bool mx_loopback; /* what the DNS says may be on this host */
	bool tls_verify;  /* tls = must: check the certificate's name and CA */
	bool tls_dane;    /* tls = may: hosts with TLSA records are held to them */
	bool tls_sts;     /* tls = may: domains with an MTA-STS policy are held to that */
	int64_t sts_timeout, sts_port;
	char *public_ca;         /* "" = the system's */
	int64_t return_size;     /* whole message in a report when RET is not given */
	int64_t return_max;      /* and when RET=FULL */
	int64_t fragments_time;  /* ms: so long a piece of a message waits for the others */
	int64_t fragments_size;  /* bytes of a message that is put together */
	int64_t conversion_size; /* bytes that the programs of a message write together */
	char *language;          /* of reports, where nobody asks for one */
	char *double_bounce;     /* address for reports about null senders, "" = drop on record */
};
enum eightbit { EIGHTBIT_BOUNCE, EIGHTBIT_SEND };
extern struct master_conf mconf;
extern const struct conf_schema master_schema;

/* The process. */
struct master {
	struct loop *loop;
	struct channels *channels;
	const struct channel *channel;
	const struct agent *agent; /* of the channel */
	struct queue *queue;
	struct dns *dns; /* NULL until needed */
	struct job_master *job;
	struct smtp_client_limits limits;
	struct list jobs; /* of struct job */
	size_t njobs;
	struct deadline leave; /* idle exit, and the end of a drain */
	bool draining;
};
extern struct master master;

/* main.c */
void master_job_over(void); /* a job has ended: perhaps it is time to leave */

/* ---- site.c: where a destination is ------------------------------------------------------- */

struct site {
	char *key;  /* sessions with equal keys may be shared */
	char *host; /* name to look up; NULL for a Unix socket */
	char *path; /* Unix socket, or NULL */
	char *name; /* what its certificate must say; NULL = the host's name */
	int port;
	bool mx; /* host is a mail domain: MX first */
	bool lmtp;
	bool smart; /* the channel's relay */
	bool login; /* ... at which it logs in: login.c */
	enum smtp_tls tls;
	bool tls_required; /* RFC 8689: to hosts alone that are proven, and promise the same */
	bool tls_optional; /* ... or whatever DANE and MTA-STS say */
	char mx_set[JOB_MX_MAX + 1]; /* names the set of its MX hosts, once the DNS has told them */
};
/* The site of a destination of this channel.  0, or -EINVAL: *v says why. */
int site_find(const char *dest, struct site *s, struct verdict *v) MUSTCHECK;
/* ... for a message with this wish: its sessions are of their own. */
void site_wish(struct site *s, enum qtls wish);
/* smtp-relay's local submission. */
void site_submit(struct site *s);
void site_fini(struct site *s);

/* ---- policy.c: what is asked of TLS ---------------------------------------------------------- */

enum policy_level {
	POLICY_NONE,    /* no TLS */
	POLICY_MAY,     /* where it is offered, whoever is there; in plain text when it fails */
	POLICY_ENCRYPT, /* TLS, whoever is there */
	POLICY_VERIFY,  /* TLS, a certificate of a known CA and the name */
	POLICY_DANE     /* TLS, and what the TLSA records say */
};
enum policy_source { POLICY_OF_CHANNEL, POLICY_OF_DANE, POLICY_OF_STS };
/* An argument of each try, never state that one host leaves to the next. */
struct policy {
	enum policy_level level;
	enum policy_source source;
	char
	    name[256]; /* what the certificate must say, or announced; DANE: the TLSA base domain */
	char other[256]; /* DANE: another name that is good, or "" */
	struct tlsa_set tlsa;
};
/* What the site says, for its host of that name. */
void policy_of_site(struct policy *p, const struct site *site, const char *host);
/* p, of a site, becomes what the secure TLSA records of `base` say. */
void
policy_dane(struct policy *p, const char *base, const char *next_hop, const struct tlsa_set *set);
/* ... what the domain's MTA-STS policy says of a host that it lists: enforce, or testing, which only looks. */
void policy_sts(struct policy *p, const struct smtp_sts *sts, const char *host);
void policy_copy(struct policy *to, const struct policy *from);
void policy_fini(struct policy *p);
enum smtp_tls policy_tls(const struct policy *p);
const char *policy_word(const struct policy *p); /* for the log: "may", "dane" ... */
/* Has the site, as its MX or address records were answered, hosts whose TLSA records are asked for? */
bool policy_dane_asked(const struct site *site);

/* And is the domain's MTA-STS policy asked for, where DANE says nothing? */
bool policy_sts_asked(const struct site *site);

/* ---- login.c: who we are to the channel's relay ------------------------------------------------ */

/* Reads the password of the channel `c`, before the sandbox closes.  False: *wrong says why, and its mail has to wait. */
bool login_read(const struct channel *c, struct buf *wrong);
/* Of master.channel; NULL: there is no password. */
const struct smtp_client_login *login_get(void);
/* The login at a host failed, or was not tried, by a mistake of the configuration: said once a minute. */
void login_wrong(const char *peer, const struct verdict *v);

/* ---- session.c: connections, in use and idle ---------------------------------------------- */

struct session {
	uint32_t magic;
	struct smtp_client client;
	struct smtp_client_params params;
	struct list all;  /* of all sessions */
	struct list link; /* in the pool while idle */
	struct deadline idle;
	char *key;
	struct policy policy;
	struct tls_dane dane; /* of the policy */
	const char *tls;      /* once it is ready: "TLSv1.3", or "no"; for ever */
	char peer[400];       /* "mx.example [192.0.2.1]", for reports */
	/* While its hello is going on: */
	void (*ready)(void *arg, struct session *, const struct verdict *);
	void *arg;
};
/* An idle session for this key, or NULL; it is the caller's then. */
struct session *master_session_take(const char *key);
/* Takes the socket over; ready(arg) follows unless master_session_close comes first.  NULL when the
 * socket is no good (the fd is closed). */
struct session *
master_session_open(int fd, const struct site *site, const struct policy *policy, const char *peer,
    void (*ready)(void *arg, struct session *, const struct verdict *), void *arg);
/* Back into the pool, or closed when it is of no more use. */
void master_session_release(struct session *s);
void master_session_close(struct session *s);
/* The process wants to end: QUIT to the idle ones, and nobody waits for a silent server, unless it has
 * the whole message.  master_job_over follows when the last session has gone. */
void master_sessions_leave(void);
size_t master_session_count(void);

/* ---- dial.c: a new session for a site ----------------------------------------------------- */

struct dial;
/* done(arg, s, v, site): a session that is the callee's, or NULL with v saying why not.  Tries
 * hosts in order of preference.  `site` says what that means for the destination; site->mx_set is filled in. */
struct dial *dial_start(struct site *site,
    void (*done)(void *arg, struct session *, const struct verdict *, enum job_site), void *arg);
void dial_cancel(struct dial **d);

/* ---- job.c -------------------------------------------------------------------------------- */

void job_start(const struct job_work *w);
/* Ends all jobs that wait for a session and have delivered nothing: their leases return. */
void jobs_give_back(void);

/* ---- counts.c: for the metrics of jobctl ----------------------------------------------------- */

void count_add(enum job_count c, uint64_t n);
void count_outcome(const struct verdict *v); /* of one recipient */
void count_session(const struct session *s); /* one that is ready */
void count_dns(const struct dns_answer *a);

/* ---- bounce.c: reports -------------------------------------------------------------------- */

/* What happened to recipient i of the file, as far as the sender is told. */
struct outcome {
	struct verdict v;
	bool remote;        /* v is the peer's */
	bool tried;         /* v is new: this attempt's */
	bool dsn_passed_on; /* the peer takes over success reports */
	bool relayed;       /* DELIVERBY: its sender is to hear that it went on */
	bool recorded;      /* v is in the file's journal already */
	const char *mta;    /* the peer, in the file's arena; NULL = none */
	const char
	    *tls; /* of the session that it was said in: "TLSv1.3", "no"; NULL = there was none */
	const char *policy; /* ... by policy_word */
};
enum bounce_kind { BOUNCE_RESULT, BOUNCE_DELAY };
struct bounce;
/* Must a report be sent about these outcomes?  Then it is composed and handed to smtp-relay, once,
 * whoever is killed meanwhile (queue/aside.h).  settle(arg): it is set aside, so put into `r` what
 * was decided: that is written next.  done(arg, v): OK: it is in the queue (or there was nobody to
 * send it to, on record), settle may not have been called; TEMP: it is not, do not forget the
 * recipients.  NULL: nothing to report. */
struct bounce *bounce_start(struct qread *r, const struct outcome *o, enum bounce_kind kind,
    void (*settle)(void *arg), void (*done)(void *arg, const struct verdict *), void *arg);

/* A member of a list who cannot be reached, and who is told of it. */
struct bounce_member {
	const char *address, *to;
	struct verdict v;
	bool told; /* already: passed over */
};
/* The same about those of them that are for `to`: there are some. */
struct bounce *
bounce_members_start(struct qread *r, const char *to, const struct bounce_member *members, size_t n,
    void (*settle)(void *arg), void (*done)(void *arg, const struct verdict *), void *arg);

/* ---- notices.c: languages of reports ------------------------------------------------------ */

/* The folder CONFDIR/notices, at start.  False: *why has what is wrong, a line each; the rest counts. */
bool notices_read(struct buf *why);
void notices_print(struct buf *out); /* which there are, for -n */
/* The language of a report: what its reader prefers (a list, of the directory; or NULL), else what the message,
 * or its beginning, says by Accept-Language or Content-Language (RFC 3282), else the site's. */
const struct dsn_words *notices_words(const char *preferred, struct slice message);

/* ---- handover.c: mail that smtp-relay queues for us, once --------------------------------- */

struct handover {
	struct qread *r;           /* the message that it is about */
	char id[QUEUE_ID_LEN + 1]; /* for the relay's XASIDE */
	struct op op;
	void (*done)(void *arg, const struct verdict *v);
	void *arg;
	bool
	    keep; /* should its mark not be written, nothing is removed: whoever takes r next sees */
};
void handover_init(struct handover *h, struct qread *r, enum queue_aside kind);
/* The relay has it aside, and the results that go with it are in r: writes them and shows it.
 * done(arg, v) follows: OK, or TEMP; if then r's journal says QREPORT_QUEUED, the next attempt
 * shows it, else it is not in the queue. */
void handover_show(struct handover *h, void (*done)(void *arg, const struct verdict *v), void *arg);
/* The relay may have it or not: it is removed, now and at the next attempt. */
void handover_undo(struct handover *h);
/* Before any work on r: what a master that has died has left.  `check`: the lease says that one
 * may have died.  False: go on; else done(arg, v) follows, from the loop: TEMP: try again later. */
bool handover_recover(struct qread *r, bool check, struct op *op,
    void (*done)(void *arg, const struct verdict *), void *arg);
#endif
