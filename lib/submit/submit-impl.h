/* submit/submit-impl.h: between the files of lib/submit: submit.c (messages) and submit-link.c (the connections that
 * they share, and where the relay is). */
#ifndef SUBMIT_SUBMIT_IMPL_H
#define SUBMIT_SUBMIT_IMPL_H
#include "submit/submit.h"

#define LINKS_MAX  16 /* connections of a process; further messages wait */
#define ADDRS_MAX  8  /* of the relay's that are tried */
#define IDLE_MS    10000
#define CONNECT_MS 10000
#define HOST_MAX   255
#define SMTP_PORT  25

#define MAIL_MAGIC 0x73756d61
#define LINK_MAGIC 0x73756c6b

struct link;
struct submit {
	struct loop *loop;
	char *relay; /* heap; "unix:..." or a host with its port or without */
	enum smtp_tls tls;
	uint64_t time_ms;
	struct dns *dns;     /* made when a name is to be looked up */
	struct list waiting; /* mails without a link, the first goes next */
	struct list links;   /* all */
	struct list idle;    /* those that are free, the youngest first */
	size_t nmails, nlinks;
	bool leaving, lmtp;
};

struct mail {
	uint32_t magic;
	struct submit *submit;
	struct list link;
	struct link *by; /* NULL while it waits */
	struct op *op;
	void (*done)(void *arg, const struct verdict *);
	void *arg;
	struct smtp_client_tx tx;
	struct smtp_client_rcpt *rcpts; /* tx.nrcpt of them, behind this */
	struct submit_rcpt *told;       /* the caller's, or NULL */
	struct deadline late;
	bool again;    /* a used connection was found closed once */
	bool answered; /* each recipient has its outcome */
	bool cancels;  /* the relay offers XCANCEL */
};

struct link {
	uint32_t magic;
	struct submit *submit;
	struct list all, idle;
	struct mail *mail;
	char *relay; /* as it was configured when this began */
	char host[HOST_MAX + 1];
	struct addr addrs[ADDRS_MAX];
	size_t naddrs, at;
	struct op op; /* name, connect */
	struct later later;
	struct smtp_client_params params;
	struct smtp_client client;
	struct deadline unused;
	struct verdict why; /* the last address was no good */
	bool open, ready;
};

/* submit.c.  Gives the messages that wait the links that are free, or new ones. */
void submit_go_on(struct submit *s);
/* Tells the caller, and frees it; its link is free then. */
void submit_mail_over(struct mail *m, const struct verdict *v);

/* submit-link.c */
struct link *submit_link_new(struct submit *s);
/* From configuration to the first step on the way there. */
void submit_link_begin(struct link *l);
/* Sends the message that it has. */
void submit_link_send(struct link *l);
/* No more use for it; it is gone when the handle is. */
void submit_link_close(struct link *l);
/* Nothing has come for it. */
void submit_link_on_unused(struct deadline *d);
#endif
