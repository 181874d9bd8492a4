/* stored: tables and one call. */
#include "stored.h"

static const struct metric metrics[] = {
	[M_REQUESTS] = { "stored_requests", COUNTER, "Requests received." },
	[M_DELIVERED] = { "stored_delivered", COUNTER, "Messages delivered, once for each recipient." },
	[M_DUPLICATES] = { "stored_duplicates", COUNTER, "Deliveries that had been made before." },
	[M_APPENDED] = { "stored_appended", COUNTER, "Messages appended by clients." },
	[M_COPIED] = { "stored_copied", COUNTER, "Messages copied or moved." },
	[M_EXPUNGED] = { "stored_expunged", COUNTER, "Messages expunged." },
	[M_PURGED] = { "stored_purged", COUNTER, "Files of expunged messages removed." },
	[M_BATCHES] = { "stored_batches", COUNTER, "Commits." },
	[M_FAILED] = { "stored_failed_batches", COUNTER, "Commits that failed." },
	[M_BYTES] = { "stored_bytes", COUNTER, "Bytes of messages taken in, once for each recipient." },
	[M_CLIENTS] = { "stored_clients", GAUGE, "Connected clients." },
	[M_QUEUED] = { "stored_queued", GAUGE, "Requests that wait for a commit." },
	[M_FULL] = { "stored_full_partitions", GAUGE, "Partitions that take nothing in." },
	[M_COUNT] = { NULL, COUNTER, NULL },
};

static int
start(struct loop *l)
{
	int rc = parts_open(l);

	return rc < 0 ? rc : server_start(l);
}

static void
status(struct buf *out)
{
	server_status(out);
	parts_status(out);
}

static const struct daemon stored = {
	.name = "stored",
	.file = "stored.conf",
	.schema = &stored_conf_schema,
	.metrics = metrics,
	.start = start,
	.drain = server_drain,
	.status = status,
};

int
main(int argc, char **argv)
{
	return daemon_run(&stored, argc, argv);
}
