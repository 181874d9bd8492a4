/* daemon/daemon.h: what a daemon's own files ask of the skeleton: where it listens, its loop, its
 * numbers.  How a program is described and started: daemon/program.h. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H
#include "conf/conf.h"
#include "conf/shared.h"
#include "net/listen.h"
#include "net/tls.h"

/* A listener as configured: [listen NAME] sections, same keys for every daemon:
 * address (unix:NAME without a slash is in rundir), tls (off|starttls|implicit), role (the
 * daemon's choices), mode, certificate, key, certificates, peer_certificate, proxy.  The daemon's file also has
 * drain_timeout, core and proxy.networks, see tiermail.conf(5). */
struct daemon_listen {
	char *name;
	char *address;
	int tls;          /* enum daemon_tls */
	int role;         /* index in program.roles */
	int64_t mode;     /* of a Unix socket */
	char *cert, *key; /* override tls.certificate, tls.key */
	char **certs;     /* further ones with their keys, by the name that a client asks for */
	int peer_cert;    /* enum daemon_peer_cert */
	bool proxy;       /* each connection begins with a header of the PROXY protocol */
	int fd;
	struct tls_ctx *tls_ctx; /* made by the skeleton when tls != off; replaced on reload */
	struct listener listener;
};
enum daemon_tls { TLS_OFF, TLS_STARTTLS, TLS_IMPLICIT };
enum daemon_peer_cert { PEER_CERT_OFF, PEER_CERT_ASK, PEER_CERT_DEMAND };

/* Counters and gauges, in memory shared by all workers: one slot per worker, summed by the
 * parent.  Names are OpenMetrics names without the "tiermail_" prefix; never labelled by user. */
enum metric_kind {
	COUNTER,
	GAUGE,
	COUNTER_MS, /* counts milliseconds, and is shown in seconds */
	COUNTER_US, /* microseconds, likewise */
	GAUGE_US
};
struct metric {
	const char *name; /* "smtp_messages_accepted" (counters get _total when printed) */
	enum metric_kind kind;
	const char *help;
};

struct loop *daemon_loop(void); /* of this worker */
/* The path of a file beside this daemon's own ("channels.conf"), in the configuration directory;
 * heap, the caller frees.  Valid from the time conf is read (also in `check`). */
char *daemon_conf_path(const char *file);
/* In a process of program.privileged: reads the files again, as a reload does, but opens nothing.  False: nothing has
 * changed; *why (heap, or NULL) in either case. */
bool daemon_conf_again(char **why);
int daemon_worker(void); /* 0 .. workers-1 */
bool daemon_draining(void);
void daemon_drain(void);   /* of a process without workers: as if SIGTERM had come */
void daemon_drained(void); /* everything is finished: leave */
struct daemon_listen **daemon_listeners(void); /* NULL-terminated */
/* Inside program.accept: who has connected.  True behind a proxy: then the connection itself says nothing
 * about where he is, and stream_announce is due.  An unnamed peer (a Unix socket's) has the family
 * AF_UNIX. */
bool daemon_peer(int fd, struct addr *peer);
/* Inside program.accept: the proxy has announced nobody (LOCAL, UNKNOWN).  The peer is the proxy's address,
 * for logs and limits; whoever asks behind it is trusted with nothing for that. */
bool daemon_peer_nobody(void);
/* A client-side TLS context from the shared keys, which checks the peer's certificate or does not;
 * our own certificate is shown when there is one whose key this user may read.  Borrowed, replaced
 * on reload.  NULL after logging when the files are no good. */
struct tls_ctx *daemon_tls_client(bool verify);

/* The directory has answered a question, after so long: metrics of all daemons that ask one. */
void daemon_directory_answered(uint64_t us);

/* Metric `i` of program.metrics, in this worker's slot. */
void metric_add(size_t i, int64_t n);
void metric_set(size_t i, int64_t v);
#endif
