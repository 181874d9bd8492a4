/* channel-master/conf.c: the keys of channel-master.conf. */
#include "master.h"

struct master_conf mconf;

#define KEY(name, type, field, dflt, min, max, choices, help)                                      \
	{                                                                                          \
		name, type, &mconf.field, dflt, min, max, RESTART, choices, help                   \
	}
#define MS(s) ((s)*1000)

/* clang-format off */
static const struct conf_key keys[] = {
	KEY("session.idle", CONF_TIME, session_idle, "30s", 0, MS(3600), NULL,
	    "How long a connection is kept open without work."),
	KEY("session.messages", CONF_INT, session_messages, "0", 0, 1000000, NULL,
	    "Messages sent over one connection before it is closed; 0 is no limit."),
	KEY("session.recipients", CONF_INT, max_recipients, "100", 1, 10000, NULL,
	    "Recipients in one transaction; RFC 5321 makes every server take 100."),
	KEY("session.hosts", CONF_INT, max_hosts, "10", 1, 100, NULL,
	    "Addresses tried in one attempt before the message is deferred."),
	KEY("session.eager", CONF_SIZE, eager, "64K", 0, 1048576, NULL,
	    "LMTP with CHUNKING: bodies up to this size are sent along with the recipients."),
	KEY("session.eightbit", CONF_ENUM, eightbit, "bounce", 0, 0, "bounce|send",
	    "What is done with 8-bit messages for servers without 8BITMIME."),
	KEY("idle_exit", CONF_TIME, idle_exit, "60s", MS(1), MS(86400), NULL,
	    "How long the process stays without work before it leaves."),
	KEY("timeout.connect", CONF_TIME, t_connect, "30s", 1, MS(3600), NULL,
	    "Time limit for connecting to one address."),
	KEY("timeout.greeting", CONF_TIME, t_greeting, "5m", 1, MS(3600), NULL,
	    "Time limit for the greeting."),
	KEY("timeout.hello", CONF_TIME, t_hello, "5m", 1, MS(3600), NULL,
	    "Time limit for EHLO, LHLO, STARTTLS and the TLS handshake."),
	KEY("timeout.mail", CONF_TIME, t_mail, "5m", 1, MS(3600), NULL,
	    "Time limit for the reply to MAIL."),
	KEY("timeout.rcpt", CONF_TIME, t_rcpt, "5m", 1, MS(3600), NULL,
	    "Time limit for the reply to each RCPT."),
	KEY("timeout.data", CONF_TIME, t_data, "2m", 1, MS(3600), NULL,
	    "Time limit for the reply to DATA."),
	KEY("timeout.block", CONF_TIME, t_block, "3m", 1, MS(3600), NULL,
	    "Time limit for progress while the message is sent."),
	KEY("timeout.dot", CONF_TIME, t_dot, "10m", 1, MS(3600), NULL,
	    "Time limit for the reply after the message."),
	KEY("timeout.transaction", CONF_TIME, t_whole, "30m", 1, MS(86400), NULL,
	    "Time limit for one message on one connection in all, and for the hello; a second for "
	    "each KiB is added."),
	KEY("dns.loopback", CONF_BOOL, mx_loopback, "no", 0, 0, NULL,
	    "Connect to loopback addresses that the MX or address records of a domain name."),
	KEY("tls.verify", CONF_BOOL, tls_verify, "yes", 0, 0, NULL,
	    "Check the certificate where the channel or host says tls = must."),
	KEY("tls.dane", CONF_BOOL, tls_dane, "yes", 0, 0, NULL,
	    "Where the channel says tls = may, and DNSSEC is validated: TLSA records tell who is there."),
	KEY("tls.sts", CONF_BOOL, tls_sts, "yes", 0, 0, NULL,
	    "Where the channel says tls = may: domains are held to their MTA-STS policies."),
	KEY("tls.sts_timeout", CONF_TIME, sts_timeout, "30s", MS(1), MS(300), NULL,
	    "Time limit for fetching a policy."),
	KEY("tls.sts_port", CONF_INT, sts_port, "443", 1, 65535, NULL,
	    "Port that policies are fetched from; another one is for tests."),
	KEY("tls.public_ca", CONF_PATH, public_ca, "", 0, 0, "file",
	    "PEM file of the authorities that hosts of the Internet are known by; empty: the system's."),
	KEY("bounce.return_size", CONF_SIZE, return_size, "50K", 0, 1073741824, NULL,
	    "Reports return whole messages up to this size when the sender did not say RET=."),
	KEY("bounce.return_max", CONF_SIZE, return_max, "10M", 0, 1073741824, NULL,
	    "Reports return whole messages up to this size when the sender said RET=FULL."),
	KEY("fragments.time", CONF_TIME, fragments_time, "1d", 1, MS(INT64_C(2592000)), NULL,
	    "How long a piece of a message waits for the others before it goes on as it came."),
	KEY("fragments.size", CONF_SIZE, fragments_size, "100M", 0, INT64_MAX, NULL,
	    "Messages in pieces that are larger together stay in pieces."),
	KEY("conversion.size", CONF_SIZE, conversion_size, "100M", 0, INT64_MAX, NULL,
	    "Messages whose converted parts are larger together are held."),
	KEY("notices.language", CONF_STR, language, "en", 0, 0, NULL,
	    "Language of reports where neither the sender nor his message prefers one."),
	KEY("bounce.double", CONF_STR, double_bounce, "", 0, 0, "address",
	    "Address for reports about messages with the null sender; empty drops them on record."),
};
/* clang-format on */

const struct conf_schema master_schema = { keys, NELEM(keys), NULL, 0 };
