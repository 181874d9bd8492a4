/* login/groups-impl.h: what groups.c and groups-ask.c share.  Not for anybody else. */
#ifndef LOGIN_GROUPS_IMPL_H
#define LOGIN_GROUPS_IMPL_H
#include "login/groups.h"
#include "login/login-impl.h"

#define GROUPS_URLS 64 /* of lists, that are looked at for each account */

struct login_groups {
	struct login_grouper *of;
	struct list link;    /* login_grouper.all: asked about longest ago first */
	struct list turn;    /* login_grouper.urgent or .queue, or none */
	struct list waiting; /* struct groups_wait */
	size_t held;
	uint64_t asked_ms, known_ms; /* 0: never */
	char *names;                 /* struct store_person; NULL: none */
	bool unsure;
	size_t n;
	char account[];
};

/* Somebody who comes in. */
struct groups_wait {
	struct list link;
	struct op *op;
	void (*done)(void *arg);
	void *arg;
};

/* A list that he is in. */
struct groups_found {
	char *name, *dn; /* as groups_dn_key writes it */
};

/* A list that searches. */
struct groups_url {
	struct groups_found list;
	char *base, *filter; /* base as groups_dn_key writes it */
	int scope;           /* LDAP's numbers, which are those of enum dir_scope */
};

struct login_grouper {
	struct login_door *door;
	struct map accounts; /* -> struct login_groups */
	struct list all, urgent, queue;
	struct dir_agent *agent;
	struct op op;
	struct timer timer;
	bool wanted;
	login_groups_changed *changed;
	void *arg;
	uint64_t told_ms;
	/* The account whose turn it is: */
	struct login_groups *now;
	char *dn, *filter;
	struct groups_found found[STORE_GROUPS_MOST];
	size_t nfound, at, checked; /* at: the next of `urls`; the next of `found` */
	bool unsure;
	/* What is known of lists that search. */
	struct groups_url urls[GROUPS_URLS];
	size_t nurls;
	bool urls_unsure;
	uint64_t urls_ms; /* 0: never asked */
};

/* groups.c */
bool login_groups_fresh(const struct login_grouper *n,
    uint64_t at); /* as old as ldap.cache_age lets it be */
/* The turn is over: what was found is known from now on, or nothing could be; `away`: of nobody. */
void login_groups_settle(struct login_grouper *n);
void login_groups_failed(struct login_grouper *n, const char *why, bool away);

/* groups-ask.c: the turn of n->now begins; one of the two follows. */
void login_groups_ask(struct login_grouper *n);
void login_groups_found_free(struct groups_found *f);
#endif
