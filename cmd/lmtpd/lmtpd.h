/* lmtpd/lmtpd.h: what the files of this program share.
 *
 *	session.c  who may connect, MAIL, RCPT (directory), life
 *	deliver.c  the body into the file that stored lent us, the commit, a verdict each
 *	sent.c     whose Sent folder has the message already
 *	spam.h     what a filter has made of it
 *	filter.h   Sieve scripts between the two; script.h: each compiled once */
#ifndef LMTPD_H
#define LMTPD_H
#include <arpa/inet.h>
#include "daemon/admit.h"
#include "daemon/daemon.h"
#include "directory/directory.h"
#include "login/rules.h"
#include "pab/pab.h"
#include "mail/outcome.h"
#include "smtp/server.h"
#include "store/client.h"
#include "rules/news.h"

/* spamtest.*, virustest.* (mail/score.h) */
struct spam_test {
	int type; /* enum score_type */
	char *header, *max_header, *max;
	char **texts;
};

/* lmtpd.conf */
struct lmtpd_conf {
	int64_t workers;
	char **trusted;       /* networks whose hosts may deliver over TCP */
	char **trusted_names; /* host names whose certificates may deliver */
	char **hosts;         /* further values of mailHost that mean this host */
	bool any_host;        /* accept users of every mailHost */
	int64_t size_max;
	int64_t recipients_max;
	int64_t clients;    /* limit.clients: sessions at once, of all workers */
	int64_t per_client; /* limit.per_client: of one address that is not trusted */
	int over_quota;     /* enum writer_over_quota */
	bool subaddress;    /* user+folder@domain goes into the folder */
	bool received;      /* add a Received field */
	int64_t keep;       /* bodies up to this size stay in memory until the commit */
	int64_t t_command, t_data;
	bool sieve;      /* run scripts */
	char **programs; /* sieve.programs: names of piped's that scripts may give messages to */
	char *sieve_destination,
	    *sieve_system;  /* files with scripts for every message; "" = none */
	char *sieve_global; /* a folder of scripts that others may include; "" = none */
	int64_t redirects, sieve_cpu, sieve_time;
	char *spam_folder, *spam_field, *spam_value; /* spam.h; folder "" = none */
	bool spam_optin;                             /* only for those whose entry says so */
	struct spam_test spamtest, virustest;
	char *submit_relay; /* submit/submit.h */
	int submit_tls;
	int64_t submit_time;
};
enum over_quota { OVER_QUOTA_TEMP, OVER_QUOTA_PERM, OVER_QUOTA_STORE };
extern struct lmtpd_conf lconf;
extern const struct conf_schema lmtpd_schema;

enum lmtpd_metric {
	M_SESSIONS,
	M_CONNECTIONS,
	M_MESSAGES,
	M_DELIVERED,
	M_DEFERRED,
	M_FAILED,
	M_DUPLICATES,
	M_BYTES,
	M_DIRECTORY,
	M_SIEVE_RUNS,
	M_SIEVE_ERRORS,
	M_SIEVE_CPU,
	M_REDIRECTED,
	M_PIPED,
	M_REJECTED,
	M_DISCARDED,
	M_ANSWERED,
	M_NOTIFIED,
	M_SPAM,
};

/* A recipient that was accepted at RCPT.  Its strings live in the transaction's arena. */
struct lrcpt {
	struct slice address; /* as it stood in RCPT, for logs */
	struct slice account, partition, folder;
	struct store_limits limits;
	int64_t max_message; /* 0 = none of its own */
	bool again;          /* the same mailbox as an earlier one of this message */
	bool scripted;       /* filter.h decides */
	bool sent, looked;   /* it goes into his Sent folder; whether he has one is known */
	bool event;          /* the message is his already: rules/event.h */
	bool logged;
	bool files_spam;  /* spam goes into its folder */
	size_t target;    /* in the request */
	struct verdict v; /* decided before the store is asked, or VERDICT_NONE */
	struct slice
	    reason; /* the answer's lines, where they are not those of v; empty: they are */
};

#define LSESSION_MAGIC 0x6c6d7470
struct lsession {
	uint32_t magic;
	struct smtp_server srv;
	struct admit admit;
	struct list link;
	struct op op; /* the one wait: directory or store */
	char sid[14];
	char peer[ADDR_TEXT];
	char host[INET6_ADDRSTRLEN]; /* the peer's address for Received; "" on a Unix socket */
	bool trusted;                /* may deliver */
	/* of the transaction */
	struct lrcpt *rcpts; /* heap; n of them */
	size_t nrcpt, room;
	struct slice cache;           /* while sent.c asks: the digest */
	struct store_body body;       /* fd -1 = none */
	struct buf bytes;             /* the message, while it is small */
	uint64_t size;                /* of the message as it will lie in the store */
	uint32_t crc;                 /* CRC-32C of what is in the file */
	struct evp_md_ctx_st *digest; /* of what the client sends, when it named the message */
	size_t trace;                 /* octets of it that are ours, at its beginning */
	bool spam;                    /* so a filter says; when a recipient wants to know */
	bool spilled;                 /* it is in the file already */
	unsigned char sum[32];        /* ... and what it came to, when nsum is not 0 */
	unsigned int nsum;
	struct message_parse *parse;                           /* a thread reads the file, */
	void (*parsed)(struct lsession *, struct slice cache); /* ... and then */
	struct filter *filter; /* there are recipients with scripts */
	uint64_t began_ms;
	struct smtp_rcpt asked; /* the recipient that the directory is asked about */
};

/* The worker. */
struct lmtpd {
	struct loop *loop;
	struct dir *dir;
	struct store_client *store;
	struct submit *submit;
	struct submit *piped;    /* NULL: no script may give messages to programs */
	struct pab *pab;         /* address books; NULL: there are none */
	struct rules_news *news; /* whose scripts have changed */
	struct list sessions;
	size_t nsessions;
};
extern struct lmtpd lmtpd;

/* session.c */
extern const struct admit_service lmtpd_admit;
void lmtpd_session_accept(struct daemon_listen *l, int fd);
void lmtpd_session_limits(void); /* the configuration is new */
void lmtpd_session_shutdown_all(void);

/* deliver.c: the policy's body, bytes, end and reset. */
void deliver_body(struct smtp_server *);
void deliver_bytes(struct smtp_server *, struct slice);
void deliver_end(struct smtp_server *);
void deliver_reset(struct smtp_server *);
struct lsession *lmtpd_session_of(struct smtp_server *);
void deliver_go_on(struct lsession *s, struct slice cache); /* sent.c is through */

/* sent.c: copies for the Sent folders of those who have sent the message.  True: it asks, and deliver_go_on follows. */
bool sent_look(struct lsession *s, struct slice cache);
#endif
