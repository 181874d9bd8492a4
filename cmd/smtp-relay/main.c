/* smtp-relay: the SMTP server of the access tier.  Tables and the worker's start; the rest is in
 * relay.h's list. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "relay.h"

struct config config;
struct relay relay;

static const struct conf_key keys[] = {
	{ "workers", CONF_INT, &config.workers, "2", 1, 64, RESTART, NULL,
	    "Worker processes." },
	{ "line_ends", CONF_ENUM, &config.line_ends, "refuse", 0, 0, RELOAD, "refuse|normalise",
	    "What becomes of a CR or LF that stands alone." },
	{ "helo", CONF_ENUM, &config.helo, "any", 0, 0, RELOAD, "any|strict",
	    "Whether EHLO must name a well-formed host." },
	{ "limit.clients", CONF_INT, &config.clients, "10000", 0, 1000000, RELOAD, NULL,
	    "Sessions at once over all workers; 0 is no limit." },
	{ "limit.per_client", CONF_INT, &config.per_client, "100", 0, 65535, RELOAD, NULL,
	    "Sessions at once from one address (IPv6: one /64); 0 is no limit." },
	{ "limit.rcpts", CONF_INT, &config.rcpts, "1000", 100, QUEUE_RCPT_MAX, RELOAD, NULL,
	    "Recipients of one message." },
	{ "limit.size", CONF_SIZE, &config.size, "50M", 65536, 0x7fffffff, RELOAD, NULL,
	    "Octets of one message." },
	{ "limit.line", CONF_INT, &config.line, "8000", 0, 1000000, RELOAD, NULL,
	    "Octets of one line of a message; 0 is no limit." },
	{ "limit.header", CONF_SIZE, &config.header, "1M", 4096, 0x7fffffff, RELOAD, NULL,
	    "Octets of a message's header." },
	{ "limit.received", CONF_INT, &config.received, "50", 10, 1000, RELOAD, NULL,
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
	{ "time.command", CONF_TIME, &config.command_ms, "5m", 1000, 3600000, RELOAD, NULL,
	    "Time for a whole command to arrive." },
	{ "time.data", CONF_TIME, &config.data_ms, "3m", 1000, 3600000, RELOAD, NULL,
	    "Time between two pieces of a message." },
	{ "limit.data_rate", CONF_INT, &config.data_rate, "64", 0, 1000000, RELOAD, NULL,
	    "Least octets a second of a message that takes longer than time.data; 0 is no limit." },
	{ "auth.delay", CONF_TIME, &config.auth_delay, "2s", 0, 60000, RELOAD, NULL,
	    "How late a wrong password is answered." },
	{ "auth.failures", CONF_INT, &config.auth_failures, "3", 0, 100, RELOAD, NULL,
	    "Wrong passwords after which a session ends; 0 is no limit." },
	{ "submission.any_sender", CONF_LIST, &config.any_sender, "", 0, 0, RELOAD, NULL,
	    "Accounts (uid@domain) that may send with any sender address; * is everybody." },
	{ "relay.networks", CONF_LIST, &config.relay_networks, "", 0, 0, RELOAD, NULL,
	    "Client addresses (CIDR) that may send anywhere on mx listeners." },
	{ "relay.domains", CONF_LIST, &config.relay_domains, "", 0, 0, RELOAD, NULL,
	    "Domains outside the directory that mx listeners take mail for." },
};
static const struct conf_schema schema = { keys, NELEM(keys), NULL, 0 };

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
	[M_FORWARDED] = { "smtp_recipients_forwarded", COUNTER,
	    "Recipients that forwarding brought." },
	[M_REJECTED] = { "smtp_replies_rejected", COUNTER, "Replies 5xx." },
	[M_DEFERRED] = { "smtp_replies_deferred", COUNTER, "Replies 4xx." },
	[M_TLS] = { "smtp_tls_sessions", COUNTER, "Handshakes that succeeded." },
	[M_AUTH_OK] = { "smtp_auth_ok", COUNTER, "Successful authentications." },
	[M_AUTH_FAILED] = { "smtp_auth_failed", COUNTER, "Failed authentications." },
	[M_COMMIT_MS] = { "smtp_body_milliseconds", COUNTER,
	    "Time from DATA to the answer, summed." },
	{ NULL, COUNTER, NULL },
};

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
	return true;
}

static void
announce(void *arg, const struct qfile *f)
{
	struct job_new n = {
		.channel = slice_str(f->channel),
		.file = slice_str(f->name),
		.dest = slice_str(f->dest),
		.size = f->size,
		.nrcpt = f->nrcpt,
		.prio = (int)f->prio,
		.at = f->arrival_at,
	};

	(void)arg;
	job_feed_send(relay.feed, &n);
}

static struct route_params
route_params(void)
{
	return (struct route_params){ .channels = relay.channels, .hostname = shared.hostname,
		.ask = lookup_recipient };
}

static int
start(struct loop *l)
{
	struct route_params p;
	char *path;
	int r;

	list_init(&relay.sessions);
	limits_set();
	clients_worker(daemon_worker());
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
	queue_announce(relay.queue, announce, NULL);
	path = mem_printf("%s/jobctl.sock", shared.rundir);
	relay.feed = job_feed_new(l, path, "smtp-relay");
	mem_free(&path);
	relay.dir = dir_new(l);
	p = route_params();
	relay.route = route_new(l, &p);
	return 0;
}

static void
reload(void)
{
	struct route_params p;

	limits_set();
	(void)channels_load();
	p = route_params();
	route_reload(relay.route, &p);
	dir_reload(relay.dir);
}

/* Draining: who is in the middle of a message may finish it; when the last session has gone
 * and every commit is answered, the worker leaves. */
void
relay_idle(void)
{
	if (!daemon_draining() || relay.nsessions)
		return;
	job_feed_close(&relay.feed);
	queue_close(&relay.queue);
	route_free(&relay.route);
	dir_free(&relay.dir);
	channels_free(&relay.channels);
	channels_free(&relay.old_channels);
	daemon_drained();
}

static void
drain(void)
{
	struct session *s;

	list_each (s, &relay.sessions, struct session, link)
		smtp_server_shutdown(&s->smtp, "shutting down");
	relay_idle();
}

static void
status(struct buf *out)
{
	struct queue_stats st;

	queue_get_stats(relay.queue, &st);
	buf_printf(out, "sessions=%zu all=%zu commits=%llu batches=%llu errors=%llu jobctl=%s\n",
	    relay.nsessions, clients_now(), (unsigned long long)st.commits,
	    (unsigned long long)st.batches, (unsigned long long)st.errors,
	    job_feed_connected(relay.feed) ? "yes" : "no");
	dir_status(relay.dir, out);
}

static bool
check(struct buf *why)
{
	struct channels *c = NULL;
	char *path = daemon_conf_path("channels.conf"), *text = NULL;
	struct addr any = { .len = sizeof(any.in), .in.sin_family = AF_INET };
	bool good = true;

	if (channels_read(path, &c, &text) < 0) {
		buf_str(why, text);
		free(text);
		good = false;
	}
	free(path);
	channels_free(&c);
	for (char **n = config.relay_networks; n && *n; n++)
		if (addr_in(&any, slice_str(*n)) < 0) {
			buf_printf(why, "relay.networks: %s is no network\n", *n);
			good = false;
		}
	return dir_check(why) && good;
}

static const struct daemon this_daemon = {
	.name = "smtp-relay",
	.file = "smtp-relay.conf",
	.schema = &schema,
	.roles = "mx|submission|local",
	.listens = true,
	.workers = &config.workers,
	.metrics = metrics,
	.start = start,
	.accept = session_accept,
	.reload = reload,
	.drain = drain,
	.status = status,
	.check = check,
};

int
main(int argc, char **argv)
{
	clients_init(); /* before the fork: the workers share it */
	return daemon_run(&this_daemon, argc, argv);
}
