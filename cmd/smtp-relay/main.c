/* smtp-relay: the SMTP server of the access tier.  Tables and the worker's start; the rest is in
 * relay.h's list.
 *
 * Owns config and relay, what the sessions of a worker share.  A start fails without
 * channels.conf or the queue; directory and jobctl may be away.  A check refuses what would make
 * an open relay.  The channels before a reload are kept for one more, because questions under way
 * point into them; a drain ends when the last session has gone and every commit is answered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "daemon/program.h"
#include "base/mem.h"
#include "access.h"
#include "filters.h"
#include "archive.h"
#include "scripts.h"
#include "guard.h"

struct config config;
struct relay relay;

/* clang-format off */
static const struct conf_key keys[] = {
	{ "workers", CONF_INT, &config.workers, "2", 1, 64, RESTART, NULL,
	    "Worker processes." },
	{ "line_ends", CONF_ENUM, &config.line_ends, "refuse", 0, 0, RELOAD, "refuse|normalise",
	    "What becomes of a CR or LF that stands alone." },
	{ "helo", CONF_ENUM, &config.helo, "any", 0, 0, RELOAD, "any|strict",
	    "Whether EHLO must name a well-formed host." },
	{ "sieve", CONF_BOOL, &config.sieve, "yes", 0, 0, RESTART, NULL,
	    "Refuse a message that every recipient's Sieve script rejects." },
	{ "limit.clients", CONF_INT, &config.clients, "10000", 0, 1000000, RELOAD, NULL,
	    "Sessions at once over all workers; 0 is no limit." },
	{ "limit.per_client", CONF_INT, &config.per_client, "100", 0, 65535, RELOAD, NULL,
	    "Sessions at once from one address (IPv6: one /64); 0 is no limit." },
	{ "limit.per_user", CONF_INT, &config.per_user, "0", 0, 65535, RELOAD, NULL,
	    "Sessions at once of one user; 0 is no limit." },
	{ "limit.rcpts", CONF_INT, &config.rcpts, "1000", 100, QUEUE_RCPT_MAX, RELOAD, NULL,
	    "Recipients of one message." },
	{ "limit.list", CONF_INT, &config.list, "5000", 100, EXPAND_LEGS, RELOAD, NULL,
	    "Members of a list above which it is expanded behind the answer, by channel reprocess." },
	{ "limit.size", CONF_SIZE, &config.size, "50M", 65536, 0x7fffffff, RELOAD, NULL,
	    "Octets of one message." },
	{ "limit.line", CONF_INT, &config.line, "8000", 0, 1000000, RELOAD, NULL,
	    "Octets of one line of a message; 0 is no limit." },
	{ "limit.header", CONF_SIZE, &config.header, "1M", 4096, 0x7fffffff, RELOAD, NULL,
	    "Octets of a message's header." },
	{ "limit.received", CONF_INT, &config.received, "100", 10, 1000, RELOAD, NULL,
	    "Received fields above which a message is taken to go in circles." },
	{ "limit.errors", CONF_INT, &config.errors, "20", 0, 100000, RELOAD, NULL,
	    "Refused commands after which a session ends; 0 is no limit." },
	{ "limit.unknown", CONF_INT, &config.unknown, "5", 0, 100000, RELOAD, NULL,
	    "Unknown commands after which a session ends; 0 is no limit." },
	{ "limit.transactions", CONF_INT, &config.transactions, "0", 0, 1000000, RELOAD, NULL,
	    "Messages of one session; 0 is no limit." },
	{ "limit.user_messages", CONF_INT, &config.user_messages, "0", 0, 1000000, RELOAD, NULL,
	    "Messages of one user in an hour; 0 is no limit." },
	{ "limit.user_rcpts", CONF_INT, &config.user_rcpts, "0", 0, 10000000, RELOAD, NULL,
	    "Recipients of one user in an hour; 0 is no limit." },
	{ "limit.min_memory", CONF_SIZE, &config.min_memory, "16M", 0, INT64_MAX, RELOAD, NULL,
	    "Memory of the host below which mx takes no mail; 0 is no limit." },
	{ "limit.user_failures", CONF_INT, &config.user_failures, "0", 0, 10000000, RELOAD, NULL,
	    "Recipients of one user in an hour that were refused for good; 0 is no limit." },
	{ "limit.domain_messages", CONF_INT, &config.domain_messages, "0", 0, 10000000, RELOAD, NULL,
	    "Messages of all users of a domain in an hour; 0 is no limit." },
	{ "limit.domain_rcpts", CONF_INT, &config.domain_rcpts, "0", 0, 100000000, RELOAD, NULL,
	    "Recipients of all users of a domain in an hour; 0 is no limit." },
	{ "limit.user_new_rcpts", CONF_INT, &config.user_new_rcpts, "0", 0, 1000000, RELOAD, NULL,
	    "Recipients of one user in an hour to whom he has not written before; 0 is no limit." },
	{ "limit.new_share", CONF_INT, &config.new_share, "50", 0, 100, RELOAD, NULL,
	    "Per cent of a user's recipients that these must be for limit.user_new_rcpts to hold." },
	{ "limit.warn", CONF_BOOL, &config.warn, "yes", 0, 0, RELOAD, NULL,
	    "Whether the postmaster is written to about a user who has passed a limit of an hour." },
	{ "limit.excess", CONF_ENUM, &config.excess, "refuse", 0, 0, RELOAD, "refuse|hold",
	    "What becomes of mail above the limits of an hour: hold keeps it in the queue." },
	{ "time.command", CONF_TIME, &config.command_ms, "5m", 1000, 3600000, RELOAD, NULL,
	    "Time for a whole command to arrive." },
	{ "time.data", CONF_TIME, &config.data_ms, "3m", 1000, 3600000, RELOAD, NULL,
	    "Time between two pieces of a message." },
	{ "time.stressed", CONF_TIME, &config.stressed_ms, "10s", 0, 300000, RELOAD, NULL,
	    "How long strangers may keep us waiting when sessions are short; 0: as long as ever." },
	{ "limit.data_rate", CONF_INT, &config.data_rate, "64", 0, 1000000, RELOAD, NULL,
	    "Least octets a second of a message that takes longer than time.data; 0 is no limit." },
	{ "auth.delay", CONF_TIME, &config.auth_delay, "2s", 0, 60000, RELOAD, NULL,
	    "How late a wrong password is answered; later after many." },
	{ "auth.failures", CONF_INT, &config.auth_failures, "3", 0, 100, RELOAD, NULL,
	    "Wrong passwords after which a session ends; 0 is no limit." },
	{ "auth.proxies", CONF_LIST, &config.proxies, "", 0, 0, RELOAD, "domain",
	    "Host names of proxies whose certificates (tls.ca) may act for users." },
	{ "queue.min_free", CONF_SIZE, &config.min_free, "64M", 0, INT64_MAX, RELOAD, NULL,
	    "Free space of the queue below which no mail is taken; below twice as much none by mx; 0 is no limit." },
	{ "submission.any_sender", CONF_LIST, &config.any_sender, "", 0, 0, RELOAD, "user",
	    "Accounts (uid@domain) that may send with any sender address; * is everybody." },
	{ "submission.sent_copy", CONF_LIST, &config.sent_users, "", 0, 0, RELOAD, "user",
	    "Accounts (uid@domain) whose Sent folder gets a copy of what they send; * is everybody." },
	{ "submission.sent_delay", CONF_TIME, &config.sent_delay, "1m", 0, 3600000, RELOAD, NULL,
	    "How long a client may take to store a copy of its own, which is then the only one." },
	{ "submission.hold_max", CONF_TIME, &config.release_most, "30d", 0, 31536000000, RELOAD, NULL,
	    "How long a message may be kept that its sender wants sent later; 0: none is." },
	{ "submission.hold_users", CONF_LIST, &config.release_users, "*", 0, 0, RELOAD, "user",
	    "Accounts (uid@domain) that may send later; * is everybody." },
	{ "deliver_by.offer", CONF_BOOL, &config.by_offer, "no", 0, 0, RELOAD, NULL,
	    "Whether senders may say until when a message is to be delivered (DELIVERBY)." },
	{ "deliver_by.least", CONF_TIME, &config.by_least, "0", 0, 86400000, RELOAD, NULL,
	    "Shortest time after which a message may be wanted back; shorter ones are refused." },
	{ "priority.offer", CONF_BOOL, &config.priority_offer, "no", 0, 0, RELOAD, NULL,
	    "Whether senders may say how soon a message is to go (MT-PRIORITY)." },
	{ "priority.header", CONF_BOOL, &config.priority_header, "yes", 0, 0, RELOAD, NULL,
	    "Whether the field Priority of a message counts, where MT-PRIORITY says nothing." },
	{ "priority.users", CONF_LIST, &config.priority_users, "", 0, 0, RELOAD, "user",
	    "Accounts (uid@domain) whose messages may go before others'; * is everybody with one." },
	{ "relay.networks", CONF_LIST, &config.relay_networks, "", 0, 0, RELOAD, "network",
	    "Client addresses (CIDR) that may send anywhere on mx listeners." },
	{ "relay.xclient", CONF_LIST, &config.xclient, "", 0, 0, RELOAD, "network",
	    "Proxies (CIDR) that say by XCLIENT whose session it is, on mx listeners." },
	{ "relay.xforward", CONF_LIST, &config.xforward, "", 0, 0, RELOAD, "network",
	    "Content filters (CIDR) that may say by XFORWARD whose mail it is, on mx listeners." },
	{ "relay.domains", CONF_LIST, &config.relay_domains, "", 0, 0, RELOAD, "domain",
	    "Domains outside the directory that mx listeners take mail for." },
	{ "relay.client_names", CONF_BOOL, &config.client_names, "no", 0, 0, RELOAD, NULL,
	    "Whether names of clients are looked up, for filters, policy services and Received." },
	{ "relay.auth_names", CONF_LIST, &config.auth_names, "", 0, 0, RELOAD, "domain",
	    "Names, besides hostname, under which filters of ours write Authentication-Results." },
	{ "relay.spam_fields", CONF_LIST, &config.spam_fields,
	    "X-Spam X-Spam-Flag X-Spam-Status X-Spam-Level X-Spam-Score X-Spam-Report X-Spamd-Bar "
	    "X-Spamd-Result X-Virus-Status",
	    0, 0, RELOAD, NULL,
	    "Fields in which filters of ours say what they make of a message; others may not." },
	{ "forward.refuse", CONF_STR, &config.forward_refuse, "", 0, 0, RELOAD, NULL,
	    "The field and word of our filters' by which mail that would be forwarded is refused." },
	{ "srs.domain", CONF_STR, &config.srs_domain, "", 0, 0, RELOAD, "domain",
	    "The domain of ours that senders get whose mail is forwarded outside; empty: they stay." },
	{ "srs.secret", CONF_SECRET, &config.srs_secret, "", 0, 0, RELOAD, NULL,
	    "A word that only we know, for srs.domain." },
	{ "srs.old_secret", CONF_SECRET, &config.srs_old_secret, "", 0, 0, RELOAD, NULL,
	    "The one before, which is still taken." },
	{ "srs.except", CONF_LIST, &config.srs_except, "", 0, 0, RELOAD, "domain",
	    "Domains whose senders stay as they are: ours." },
	{ "sender.domain", CONF_BOOL, &config.sender_domain, "no", 0, 0, RELOAD, NULL,
	    "Whether the domain of a stranger's sender must have an MX or an address." },
	{ "sender.own", CONF_ENUM, &config.sender_own, "any", 0, 0, RELOAD, "any|known|refuse",
	    "Which senders of our own domains strangers may have." },
	{ "sender.own_networks", CONF_LIST, &config.sender_own_networks, "", 0, 0, RELOAD, "network",
	    "Clients (CIDR) for whom sender.own does not hold." },
	{ "guard.allow", CONF_LIST, &config.guard_allow, "", 0, 0, RELOAD, "network",
	    "Clients (CIDR) of mx listeners whom the guard lets in, whatever else holds." },
	{ "guard.deny", CONF_LIST, &config.guard_deny, "", 0, 0, RELOAD, "network",
	    "Clients (CIDR) of mx listeners who are refused." },
	{ "guard.rate", CONF_INT, &config.guard_rate, "0", 0, 1000000, RELOAD, NULL,
	    "Connections of one client (IPv6: one /64) in a minute; 0 is no limit." },
	{ "guard.rate_network", CONF_INT, &config.guard_rate_network, "0", 0, 1000000, RELOAD, NULL,
	    "Connections of one network (IPv4: /24, IPv6: /48) in a minute; 0 is no limit." },
	{ "guard.greet_wait", CONF_TIME, &config.guard_greet_ms, "0", 0, 60000, RELOAD, NULL,
	    "How long a stranger must be silent before he is greeted; 0: he need not." },
	{ "guard.list_wait", CONF_TIME, &config.guard_list_ms, "5s", 100, 60000, RELOAD, NULL,
	    "How long an answer of a list in DNS is waited for." },
	{ "guard.threshold", CONF_INT, &config.guard_threshold, "1", 1, 1000000, RELOAD, NULL,
	    "Weights of lists, together, at which a client, HELO name or sender is refused." },
	{ "guard.welcome", CONF_INT, &config.guard_welcome, "0", 0, 1000000, RELOAD, NULL,
	    "Weights below zero, together, at which a stranger need not wait; 0: there are none." },
	{ "guard.remember", CONF_TIME, &config.guard_remember_ms, "30d", 60000, 31536000000, RELOAD, NULL,
	    "How long one who has passed is not waited for again." },
	{ "guard.block_for", CONF_TIME, &config.guard_block_ms, "10m", 1000, 86400000, RELOAD, NULL,
	    "How long one who was refused is refused from memory." },
	{ "guard.block_errors", CONF_BOOL, &config.guard_errors, "no", 0, 0, RELOAD, NULL,
	    "Whether one whose session has ended for limit.errors or limit.unknown is refused, too." },
	{ "guard.tarpit", CONF_TIME, &config.guard_tarpit_ms, "0", 0, 600000, RELOAD, NULL,
	    "How late one who is refused from memory hears so." },
	{ "guard.waiting", CONF_INT, &config.guard_waiting, "5000", 1, 200000, RELOAD, NULL,
	    "Strangers that wait at once in a worker." },
};
/* clang-format on */

/* clang-format off */
#define AT(m) (void *)offsetof(struct milter_conf, m)
static const struct conf_key milter_keys[] = {
	{ "address", CONF_STR, AT(address), NULL, 0, 0, RELOAD, "socket",
	    "Where the filter listens: unix:PATH, or a numeric address and port." },
	{ "listeners", CONF_LIST, AT(listeners), "", 0, 0, RELOAD, NULL,
	    "Names or roles of the listeners whose mail it is asked about; empty means all." },
	{ "spamfilter", CONF_INT, AT(spamfilter), "0", 0, 8, RELOAD, NULL,
	    "Asked only where a channel asks for this number (tiermail-channels(5)); 0 means always." },
	{ "daemon_name", CONF_STR, AT(daemon_name), "", 0, 0, RELOAD, NULL,
	    "What it is told as {daemon_name}; empty means hostname." },
	{ "on_failure", CONF_ENUM, AT(on_failure), "tempfail", 0, 0, RELOAD, "tempfail|accept|reject",
	    "What becomes of a message about which it cannot be asked." },
	{ "connect_timeout", CONF_TIME, AT(connect_ms), "30s", 1000, 3600000, RELOAD, NULL,
	    "Time to connect, and to agree on terms." },
	{ "command_timeout", CONF_TIME, AT(command_ms), "30s", 1000, 3600000, RELOAD, NULL,
	    "Time for its answer to a command, a field or a piece of the body." },
	{ "content_timeout", CONF_TIME, AT(content_ms), "5m", 1000, 3600000, RELOAD, NULL,
	    "Time for each sign of life once it has the whole message." },
};
#undef AT
/* clang-format on */

/* clang-format off */
#define AT(m) (void *)offsetof(struct guard_list, m)
static const struct conf_key dnslist_keys[] = {
	{ "zone", CONF_STR, AT(zone), NULL, 0, 0, RELOAD, "domain",
	    "The domain below which it is asked." },
	{ "asks", CONF_ENUM, AT(asks), "client", 0, 0, RELOAD, "client|helo|sender",
	    "About what: the address of a client, the name of its EHLO, or the sender's domain." },
	{ "weight", CONF_INT, AT(weight), "1", -1000, 1000, RELOAD, NULL,
	    "What being on it counts; below zero for those who are welcome." },
	{ "codes", CONF_LIST, AT(codes), "", 0, 0, RELOAD, NULL,
	    "Answers that count, like 127.0.0.2 or 127.0.0.4-11; empty: any." },
};
#undef AT
/* clang-format on */
/* clang-format off */
#define AT(m) (void *)offsetof(struct policy_conf, m)
static const struct conf_key policy_keys[] = {
	{ "address", CONF_STR, AT(address), NULL, 0, 0, RELOAD, "socket",
	    "Where the service listens: unix:PATH, or a numeric address and port." },
	{ "listeners", CONF_LIST, AT(listeners), "mx", 0, 0, RELOAD, NULL,
	    "Names or roles of the listeners whose recipients it is asked about." },
	{ "on_failure", CONF_ENUM, AT(on_failure), "tempfail", 0, 0, RELOAD, "tempfail|accept|reject",
	    "What becomes of a recipient about whom it cannot be asked." },
	{ "timeout", CONF_TIME, AT(timeout_ms), "10s", 1000, 600000, RELOAD, NULL,
	    "Time to connect and to answer." },
	{ "context", CONF_STR, AT(context), "", 0, 0, RELOAD, NULL,
	    "What it is told as policy_context." },
	{ "users", CONF_ENUM, AT(users), "all", 0, 0, RELOAD, "all|optout|optin",
	    "About whom it is asked, by mailAntiUBEService: who has not opted out, or who has in." },
};
#undef AT
/* clang-format on */
static const struct conf_section sections[] = {
	{
	    .name = "archive",
	    .size = sizeof(struct archive_conf),
	    .keys = archive_keys,
	    .nkeys = ARCHIVE_KEYS,
	    .items = (void ***)&config.archives,
	    .arg_at = offsetof(struct archive_conf, name),
	    .help = "A copy of chosen mail for an archive.",
	},
	{
	    .name = "policy",
	    .size = sizeof(struct policy_conf),
	    .keys = policy_keys,
	    .nkeys = NELEM(policy_keys),
	    .items = (void ***)&config.policies,
	    .arg_at = offsetof(struct policy_conf, name),
	    .help = "A policy service; they are asked in the order of their sections.",
	},
	{
	    .name = "milter",
	    .size = sizeof(struct milter_conf),
	    .keys = milter_keys,
	    .nkeys = NELEM(milter_keys),
	    .items = (void ***)&config.milters,
	    .arg_at = offsetof(struct milter_conf, name),
	    .help = "A mail filter; they are asked in the order of their sections.",
	},
	{
	    .name = "dnslist",
	    .size = sizeof(struct guard_list),
	    .keys = dnslist_keys,
	    .nkeys = NELEM(dnslist_keys),
	    .items = (void ***)&config.dnslists,
	    .arg_at = offsetof(struct guard_list, name),
	    .help = "A list in DNS that is asked about strangers.",
	},
};
static const struct conf_schema schema = { keys, NELEM(keys), sections, NELEM(sections) };

/* clang-format off */
#define ACCESS_METRIC(table, result) M_ACCESS + (table) * ACCESS_RESULTS + (result)
#define ACCESS_METRICS(table, word, who, name)                                                     \
	[ACCESS_METRIC(table, ACCESS_REFUSED)] = { "access_" word "_refused", COUNTER,             \
	    who " that " name " has refused for good." },                                          \
	[ACCESS_METRIC(table, ACCESS_DEFERRED)] = { "access_" word "_deferred", COUNTER,           \
	    who " that " name " has refused for now, or has no answer about." },                   \
	[ACCESS_METRIC(table, ACCESS_HELD)] = { "access_" word "_held", COUNTER,                   \
	    who " that " name " holds." },                                                         \
	[ACCESS_METRIC(table, ACCESS_DROPPED)] = { "access_" word "_dropped", COUNTER,             \
	    who " that " name " makes vanish." }
static const struct metric metrics[] = {
	[M_CONNECTIONS] = { "smtp_connections", COUNTER, "Connections accepted." },
	[M_SESSIONS] = { "smtp_sessions", GAUGE, "Sessions open." },
	[M_REFUSED_CONNECTIONS] = { "smtp_connections_refused", COUNTER,
	    "Connections refused by a limit." },
	[M_ACCEPTED] = { "smtp_messages_accepted", COUNTER,
	    "Messages committed to the queue." },
	[M_ACCEPTED_BYTES] = { "smtp_message_bytes", COUNTER, "Octets of accepted messages." },
	[M_RECIPIENTS] = { "smtp_recipients_accepted", COUNTER,
	    "Recipients of accepted messages." },
	[M_SIEVE_REFUSED] = { "smtp_sieve_refused", COUNTER,
	    "Messages refused because every recipient's script rejects them." },
	[M_FORWARDED] = { "smtp_recipients_forwarded", COUNTER,
	    "Recipients that forwarding brought." },
	[M_REJECTED] = { "smtp_replies_rejected", COUNTER, "Replies 5xx." },
	[M_DEFERRED] = { "smtp_replies_deferred", COUNTER, "Replies 4xx." },
	[M_TLS] = { "smtp_tls_sessions", COUNTER, "Handshakes that succeeded." },
	[M_AUTH_OK] = { "smtp_auth_ok", COUNTER, "Successful authentications." },
	[M_AUTH_FAILED] = { "smtp_auth_failed", COUNTER, "Failed authentications." },
	[M_COMMIT_MS] = { "smtp_body_seconds", COUNTER_MS,
	    "Time from DATA to the answer, summed." },
	[M_QUEUE_FREE] = { "smtp_queue_free_bytes", GAUGE, "Free space of the queue, as seen last." },
	[M_DIRECTORY] = { "smtp_directory_blind", GAUGE, DIR_METRIC_HELP },
	[M_FILTERED] = { "smtp_filter_messages", COUNTER, "Messages shown to filters." },
	[M_FILTER_REFUSED] = { "smtp_filter_refused", COUNTER, "Answers of filters that refuse." },
	[M_FILTER_DISCARDED] = { "smtp_filter_discarded", COUNTER,
	    "Messages that filters made vanish." },
	[M_FILTER_HELD] = { "smtp_filter_held", COUNTER, "Messages that filters have held." },
	[M_FILTER_FAILED] = { "smtp_filter_failures", COUNTER,
	    "Filters that could not be reached or understood, or were late." },
	[M_ARCHIVED] = { "smtp_messages_archived", COUNTER, "Copies of messages for archives." },
	[M_KEPT] = { "smtp_messages_kept", COUNTER, "Messages accepted that are to be sent later." },
	[M_GUARD_KNOWN] = { "guard_known", COUNTER, "Connections of clients who had passed before." },
	[M_GUARD_PASSED] = { "guard_passed", COUNTER, "Strangers who have passed." },
	[M_GUARD_DENIED] = { "guard_denied", COUNTER,
	    "Connections refused by guard.deny or PORT_ACCESS." },
	[M_GUARD_RATE] = { "guard_rate_refused", COUNTER, "Connections refused by a rate." },
	[M_GUARD_BUSY] = { "guard_busy", COUNTER, "Strangers for whom there was no place to wait." },
	[M_GUARD_EARLY] = { "guard_early", COUNTER, "Connections refused to those who spoke first." },
	[M_GUARD_LISTED] = { "guard_listed", COUNTER, "Connections refused by lists in DNS." },
	[M_GUARD_ERRORS] = { "guard_errors", COUNTER,
	    "Connections refused to those with too many errors before." },
	[M_GUARD_WAITING] = { "guard_waiting", GAUGE, "Strangers who wait." },
	[M_GUARD_LIST_FAILED] = { "guard_list_failures", COUNTER,
	    "Questions that lists in DNS have not answered in time." },
	[M_POLICY_ASKED] = { "policy_requests", COUNTER, "Questions to policy services." },
	[M_POLICY_REFUSED] = { "policy_refused", COUNTER, "Answers of policy services that refuse." },
	[M_POLICY_FAILED] = { "policy_failures", COUNTER,
	    "Policy services that could not be reached or understood, or were late." },
	[M_CUT] = { "smtp_recipients_cut_through", COUNTER,
	    "Recipients whose store had the message before the answer, without the queue." },
	[M_CHANNEL_SCRIPTS] = { "smtp_channel_scripts", COUNTER,
	    "Scripts of channels that have run for a message." },
	[M_BRAKED] = { "smtp_braked", COUNTER, "Messages and recipients above the limits of an hour." },
	[M_STRESS_ENDED] = { "smtp_stress_ended", COUNTER,
	    "Sessions of strangers that ended because they kept us waiting while places were short." },
	ACCESS_METRICS(MTA_ACCESS_FROM, "from", "Senders", "FROM_ACCESS"),
	ACCESS_METRICS(MTA_ACCESS_ORIG_SEND, "orig_send", "Recipients", "ORIG_SEND_ACCESS"),
	ACCESS_METRICS(MTA_ACCESS_SEND, "send", "Recipients", "SEND_ACCESS"),
	ACCESS_METRICS(MTA_ACCESS_ORIG_MAIL, "orig_mail", "Recipients", "ORIG_MAIL_ACCESS"),
	ACCESS_METRICS(MTA_ACCESS_MAIL, "mail", "Recipients", "MAIL_ACCESS"),
	ACCESS_METRICS(MTA_ACCESS_AUTH, "auth", "Messages", "AUTH_REWRITE"),
	[M_ACCESS_END] = { NULL, COUNTER, NULL },
};
/* clang-format on */

static void
limits_set(void)
{
	relay.limits = (struct smtp_limits){
		.command_ms = (uint32_t)config.command_ms,
		.data_ms = (uint32_t)config.data_ms,
		.data_rate = (uint32_t)config.data_rate,
		.errors = (uint32_t)config.errors,
		.unknown = (uint32_t)config.unknown,
		.transactions = (uint32_t)config.transactions,
		.rcpts = (uint32_t)config.rcpts,
		.line = (uint32_t)config.line,
		.size = (uint64_t)config.size,
		.normalise = config.line_ends == 1,
		.strict_helo = config.helo == 1,
	};
	/* Our own programs keep a connection for many messages: channel-master for reports. */
	relay.local_limits = relay.limits;
	relay.local_limits.errors = 0;
}

static bool
channels_load(void)
{
	char *path = daemon_conf_path("channels.conf"), *why = NULL;
	struct channels *new;
	int r = channels_read(path, &new, &why);

	free(path);
	if (r < 0) {
		log_event(LOG_ERROR, "config_error", "text=%s", log_str(why));
		free(why);
		return false;
	}
	channels_free(&relay.old_channels);
	relay.old_channels = relay.channels;
	relay.channels = new;
	relay.tables = access_tables(new);
	scripts_load();
	return true;
}

static void
relay_announce(void *arg, const struct qfile *f)
{
	struct job_new n = {
		.channel = slice_str(f->channel),
		.file = slice_str(f->name),
		.dest = slice_str(f->dest),
		.size = f->size,
		.nrcpt = f->nrcpt,
		.prio = (int)f->prio,
		.at = f->arrival_at,
		.release = f->release_at,
		.by = f->by_at,
	};

	(void)arg;
	job_feed_send(relay.feed, &n);
}

static struct expand_params
expand_params(void)
{
	return (struct expand_params){ .channels = relay.channels,
		.directory = expand_directory(relay.dir) };
}

static int
relay_start(struct loop *l)
{
	struct expand_params p;
	char *path;
	int r;

	list_init(&relay.sessions);
	limits_set();
	admit_open(shared.rundir, &relay_admit);
	if (!channels_load())
		return -EINVAL;
	r = queue_open(shared.queue, true, &relay.queue);
	if (r < 0) {
		log_event(LOG_ERROR, "queue_error", "path=%s error=%s", log_str(shared.queue),
		    strerror(-r));
		return r;
	}
	if (daemon_worker() == 0)
		queue_sweep(relay.queue);
	queue_start(relay.queue, l);
	queue_announce(relay.queue, relay_announce, NULL);
	path = mem_printf("%s/jobctl.sock", shared.rundir);
	relay.feed = job_feed_new(l, path, "smtp-relay");
	relay.cut = job_cut_new(l, shared.queue);
	mem_free(&path);
	relay.dir = dir_new(l);
	dir_metric(relay.dir, M_DIRECTORY);
	guard_start(l);
	if (config.sieve)
		dir_want_scripts(relay.dir);
	relay.door = login_door_new(l, relay.dir, &config.auth_delay);
	p = expand_params();
	relay.expand = expand_new(l, &p);
	return 0;
}

static void
relay_reload(void)
{
	struct expand_params p;

	limits_set();
	(void)channels_load();
	p = expand_params();
	expand_reload(relay.expand, &p);
	dir_reload(relay.dir);
	guard_reload();
}

/* Draining: who is in the middle of a message may finish it; when the last session has gone
 * and every commit is answered, the worker leaves. */
void
relay_idle(void)
{
	if (!daemon_draining() || relay.nsessions)
		return;
	job_feed_close(&relay.feed);
	job_cut_free(&relay.cut);
	queue_close(&relay.queue);
	expand_free(&relay.expand);
	guard_end();
	burst_end();
	warn_end();
	dir_free(&relay.dir);
	scripts_unload();
	channels_free(&relay.channels);
	channels_free(&relay.old_channels);
	daemon_drained();
}

static void
relay_drain(void)
{
	struct session *s;

	guard_stop();
	stress_stop();
	warn_stop();
	list_each(s, &relay.sessions, struct session, link)
	    smtp_server_shutdown(&s->smtp, "shutting down");
	relay_idle();
}

static void
relay_status(struct buf *out)
{
	struct queue_stats st;

	queue_get_stats(relay.queue, &st);
	buf_printf(out, "sessions=%zu all=%zu commits=%llu batches=%llu errors=%llu jobctl=%s\n",
	    relay.nsessions, admit_sessions(), (unsigned long long)st.commits,
	    (unsigned long long)st.batches, (unsigned long long)st.errors,
	    job_feed_connected(relay.feed) ? "yes" : "no");
	dir_status(relay.dir, out);
}

/* "forget USER": the password was changed, or the account closed. */
static bool
relay_control(struct slice line, struct buf *out)
{
	struct slice account;

	if (!daemon_forget_parse(line, &account))
		return false;
	dir_forget(relay.dir, account);
	buf_printf(out, "ok sessions=%zu\n", relay_session_end_user(account));
	return true;
}

static bool
relay_check(struct buf *why)
{
	struct channels *c = NULL;
	char *path = daemon_conf_path("channels.conf"), *text = NULL;
	bool good = true;

	if (channels_read(path, &c, &text) < 0) {
		buf_str(why, text);
		free(text);
		good = false;
	} else {
		filters_spam_check(c, why);
		scripts_check(c, why);
	}
	free(path);
	good = archive_check(c, why) && good;
	channels_free(&c);
	for (char **n = config.relay_networks; n && *n; n++) {
		struct slice net = slice_str(*n), rest = slice_from(net, slice_find(net, '/'));

		if (!slice_eq(rest, S("/0")))
			continue;
		buf_printf(why,
		    "%s: relay.networks = %s: everybody could send anywhere: an open relay\n",
		    conf_where(&config.relay_networks), *n);
		good = false;
	}
	for (struct daemon_listen **l = daemon_listeners(); *l; l++)
		if ((*l)->role == ROLE_SUBMISSION && (*l)->tls == TLS_OFF)
			buf_printf(why,
			    "warning: %s: [listen %s] tls = off: nobody can log in there%s\n",
			    conf_where(&(*l)->tls), (*l)->name,
			    shared.insecure_loopback ? " but from this host" : "");
	good = filters_check(why) && good;
	good = guard_check(why) && good;
	good = policy_check(why) && good;
	good = srs_check(why) && good;
	good = forward_check(why) && good;
	return login_door_check(why) && good;
}

static void
relay_paths(void)
{
	guard_paths();
	scripts_paths();
}

static const struct program smtp_relay_program = {
	.name = "smtp-relay",
	.about = "SMTP server of the access tier",
	.may = "inet queue",
	.file = "smtp-relay.conf",
	.schema = &schema,
	.roles = "mx|submission|local",
	.listens = true,
	.workers = &config.workers,
	.metrics = metrics,
	.paths = relay_paths,
	.start = relay_start,
	.accept = relay_session_accept,
	.reload = relay_reload,
	.drain = relay_drain,
	.status = relay_status,
	.control = relay_control,
	.check = relay_check,
};

int
main(int argc, char **argv)
{
	return program_run(&smtp_relay_program, argc, argv);
}
