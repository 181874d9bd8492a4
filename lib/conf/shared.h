/* conf/shared.h: what every daemon knows: the keys of tiermail.conf(5). */
#ifndef CONF_SHARED_H
#define CONF_SHARED_H
#include "conf/conf.h"

struct conf_shared {
	char *prefix;   /* moves all default paths below one directory ("" = /) */
	char *hostname; /* this host's name in EHLO, Received, Message-ID; mailHost matches it */
	char *rundir;   /* /run/tiermail: sockets and pid files */
	char *queue;    /* /var/spool/tiermail */
	char *store;    /* /var/lib/tiermail */
	char *libexec;  /* /usr/lib/tiermail: where jobctl finds channel-master */
	char *user, *group; /* to become after start as root; "" = stay */
	char *log_to;       /* stderr, syslog, dir:PATH */
	int64_t log_size, log_age, log_keep;
	char *log_trace;      /* protocols, blank-separated, whose lines are logged */
	int log_level;        /* error | warn | info | debug */
	char *default_domain; /* completes a login or address without a domain */
	char *postmaster;     /* address of last resort for notices */

	char **ldap_urls;          /* ldap.url: in order of preference */
	char **ldap_providers;     /* ldap.provider: where entries are changed; none: ldap.url */
	char *ldap_base;           /* ldap.base */
	int ldap_schema;           /* ldap.schema: 0 = "2", 1 = "1" */
	char *ldap_bind_dn;        /* ldap.bind_dn */
	char *ldap_password;       /* ldap.password (secret) */
	bool ldap_certificate;     /* ldap.certificate: ours is shown */
	int ldap_bind;             /* ldap.bind: 0 = "simple", 1 = "external" */
	bool ldap_starttls;        /* ldap.starttls */
	int64_t ldap_timeout;      /* ldap.timeout, ms a request */
	int64_t ldap_binders;      /* ldap.binders: connections that check passwords */
	int64_t ldap_cache_size;   /* ldap.cache_size, entries */
	int64_t ldap_cache_age;    /* ldap.cache_age, ms */
	int64_t ldap_negative_age; /* ldap.negative_age, ms */
	int64_t ldap_auth_age; /* ldap.auth_age: how long a verified password is remembered, ms */

	/* dns.resolvers, hosts, stubs, trust_anchor, timeout: see dns_params_shared of net/dns.h */
	char *dns_resolvers, *dns_hosts, *dns_stubs, *dns_anchor;
	int64_t dns_timeout; /* ms a question */

	char *tls_cert, *tls_key; /* tls.certificate, tls.key: PEM */
	char *tls_ca;             /* tls.ca: PEM of the CAs that are trusted */
	int tls_protocols;        /* tls.protocols: tlsv1.3 | tlsv1.2 (and above) */
	char *tls_ciphers;        /* tls.ciphers: libtls word */
	int64_t tls_resume;       /* tls.resume: milliseconds; 0: sessions are not taken up again */
	char **role_proxies, **role_relays, **role_stores; /* roles.*: host names */
	char **role_operators, **role_admins, **role_movers;
	char *control_address; /* control.address: where other hosts' operators ask; "" = nowhere */
	int64_t control_port;
	bool insecure_loopback; /* login.insecure_loopback: passwords without TLS from loopback */
	int login_scram;        /* login.scram: enum conf_scram */
	char *login_scram_key;  /* login.scram_key (secret); "" = ldap.password */
	int64_t login_scram_rounds; /* login.scram_rounds, of new verifiers */
	int login_oauth;            /* login.oauth: enum conf_oauth; the others are in oauth/ */
	char *login_oauth_issuer, *login_oauth_metadata, *login_oauth_keys;
	char *login_oauth_introspection, *login_oauth_client, *login_oauth_secret; /* secret */
	char *login_oauth_ca, *login_oauth_claim;
	char **login_oauth_audience, **login_oauth_domains, **login_oauth_scope;
	int64_t login_oauth_skew; /* ms */
	bool login_oauth_end;     /* login.oauth_end: sessions end with their token */

	/* tlsrpt.*: who sends reports of TLS (RFC 8460); both empty: nobody does */
	char *tlsrpt_organisation, *tlsrpt_contact;
	int64_t tlsrpt_delay; /* ms behind midnight, at most */

	/* quota.bytes, quota.messages: of users who have none in the directory; 0 = no limit.
	 * Here, not with lmtpd, because APPEND must say the same as delivery. */
	int64_t quota_bytes, quota_messages;
};
enum conf_oauth { CONF_OAUTH_NO, CONF_OAUTH_JWT, CONF_OAUTH_INTROSPECT };
enum conf_scram { CONF_SCRAM_NO, CONF_SCRAM_LEARN, CONF_SCRAM_OFFER };
extern struct conf_shared shared;
extern const struct conf_schema conf_shared_schema;
#endif
