/* The partitions, and the map from accounts to them.
 *
 * Each partition knows its accounts; together they are the list of mailboxes of the store, read
 * into memory at start.  There is no second place that could disagree.  Called from the loop, and by
 * the writers' threads only to wake it.  A partition that cannot be opened stops the start: mail for
 * its accounts would else go into new ones elsewhere.  An account never changes its partition here. */
#include <errno.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/log.h"
#include "base/mem.h"
#include "stored.h"

static struct part **parts;
static size_t nparts;
static struct map accounts; /* name -> struct account */
static void (*all_closed)(void);
static size_t open_wakeups;
static struct store_domains *domains;
static char *warning, *hostname; /* for all partitions, as of the start */

struct part *
part_named(struct slice name)
{
	if (name.n == 0)
		name = slice_str(stored_conf.default_partition);
	for (size_t i = 0; i < nparts; i++)
		if (slice_eq(slice_str(parts[i]->name), name))
			return parts[i];
	return NULL;
}

struct part *
part_of_id(uint64_t id)
{
	for (size_t i = 0; i < nparts; i++)
		if (store_part_tag(parts[i]->p) >> 48 == id >> 48)
			return parts[i];
	return NULL;
}

size_t
parts_count(void)
{
	return nparts;
}

struct part *
part_at(size_t i)
{
	return parts[i];
}

/* ---- accounts -------------------------------------------------------------------------------- */

static struct account *
account_add(struct part *part, const struct store_known *k)
{
	struct account *a = map_get(&accounts, k->name);

	if (!a) {
		a = mem_new(sizeof(*a));
		a->name = mem_strn(k->name.p, k->name.n);
		a->part = part;
		map_put(&accounts, slice_str(a->name), a);
	} else if (a->part != part)
		log_event(LOG_ERROR, "store_account", "account=%s error=%s partitions=%s,%s",
		    log_str(a->name), "in_two_partitions", a->part->name, part->name);
	if (a->part == part) {
		a->id = k->id;
		a->inbox = k->inbox;
	}
	return a;
}

/* Mail may be waiting behind the end of an account, and make a new one in the same partition: until it has, that is
 * where others of the name go. */
static void
account_drop_unused(struct account *a)
{
	if (a->id || a->jobs)
		return;
	map_take(&accounts, slice_str(a->name));
	mem_free(&a->name);
	mem_free(&a);
}

static void
account_drop(const struct part *part, const struct store_known *k)
{
	struct account *a = map_get(&accounts, k->name);

	if (!a || a->part != part || (a->id && a->id != k->id))
		return;
	a->id = a->inbox = 0;
	account_drop_unused(a);
}

void
account_job(struct slice name, int by)
{
	struct account *a = map_get(&accounts, name);

	if (!a)
		return;
	a->jobs += (size_t)by;
	if (by < 0)
		account_drop_unused(a);
}

static void
on_known(void *arg, const struct store_known *k)
{
	(void)account_add(arg, k);
}

struct account *
account_get(struct slice name, struct slice partition)
{
	struct account *a = map_get(&accounts, name);
	struct part *part;

	if (a)
		return a;
	if (store_account_check(name) < 0)
		return NULL;
	part = part_named(partition);
	if (!part)
		return NULL;
	return account_add(part, &(struct store_known){ .name = name });
}

/* ---- the writers' results ------------------------------------------------------------------------ */

/* Runs in the writer's thread. */
static void
notify(void *arg)
{
	struct part *part = arg;

	wakeup_send(&part->wakeup);
}

static void
parts_count_one(struct part *part)
{
	static struct store_part_stats sum[64], now;
	struct store_part_stats all = { 0 };
	size_t full = 0;

	for (size_t i = 0; i < nparts && i < NELEM(sum); i++) {
		if (parts[i] == part) {
			store_part_stats(part->p, &now);
			sum[i] = now;
		}
		all.delivered += sum[i].delivered;
		all.duplicates += sum[i].duplicates;
		all.joined += sum[i].joined;
		all.appended += sum[i].appended;
		all.seen += sum[i].seen;
		all.copied += sum[i].copied;
		all.expunged += sum[i].expunged;
		all.purged += sum[i].purged;
		all.batches += sum[i].batches;
		all.failed_batches += sum[i].failed_batches;
		if (sum[i].longest_us > all.longest_us)
			all.longest_us = sum[i].longest_us;
		if (sum[i].longest_cpu_us > all.longest_cpu_us)
			all.longest_cpu_us = sum[i].longest_cpu_us;
		all.steady_points += sum[i].steady_points;
		all.journaled += sum[i].journaled;
		all.restored += sum[i].restored;
		all.redone += sum[i].redone;
		all.bytes += sum[i].bytes;
		all.unlinked += sum[i].unlinked;
		all.unmoved += sum[i].unmoved;
		all.index_used += sum[i].index_used;
		all.index_size += sum[i].index_size;
		all.damaged += sum[i].damaged;
		all.over_quota += sum[i].over_quota;
		all.over_domain += sum[i].over_domain;
		all.over_folder += sum[i].over_folder;
		all.warned += sum[i].warned;
		all.events += sum[i].events;
		all.events_lost += sum[i].events_lost;
		all.erased += sum[i].erased;
		all.renamed += sum[i].renamed;
		full += sum[i].full;
	}
	metric_set(M_DELIVERED, (int64_t)all.delivered);
	metric_set(M_DUPLICATES, (int64_t)all.duplicates);
	metric_set(M_JOINED, (int64_t)all.joined);
	metric_set(M_APPENDED, (int64_t)all.appended);
	metric_set(M_SEEN, (int64_t)all.seen);
	metric_set(M_COPIED, (int64_t)all.copied);
	metric_set(M_EXPUNGED, (int64_t)all.expunged);
	metric_set(M_PURGED, (int64_t)all.purged);
	metric_set(M_BATCHES, (int64_t)all.batches);
	metric_set(M_FAILED, (int64_t)all.failed_batches);
	metric_set(M_LONGEST, (int64_t)all.longest_us);
	metric_set(M_LONGEST_CPU, (int64_t)all.longest_cpu_us);
	metric_set(M_POINTS, (int64_t)all.steady_points);
	metric_set(M_JOURNALED, (int64_t)all.journaled);
	metric_set(M_RESTORED, (int64_t)all.restored);
	metric_set(M_REDONE, (int64_t)all.redone);
	metric_set(M_BYTES, (int64_t)all.bytes);
	metric_set(M_DAMAGED, (int64_t)all.damaged);
	metric_set(M_OVER_QUOTA, (int64_t)all.over_quota);
	metric_set(M_OVER_DOMAIN, (int64_t)all.over_domain);
	metric_set(M_OVER_FOLDER, (int64_t)all.over_folder);
	metric_set(M_WARNED, (int64_t)all.warned);
	metric_set(M_EVENTS, (int64_t)all.events);
	metric_set(M_EVENTS_LOST, (int64_t)all.events_lost);
	metric_set(M_ERASED, (int64_t)all.erased);
	metric_set(M_RENAMED, (int64_t)all.renamed);
	metric_set(M_UNLINKED, (int64_t)all.unlinked);
	metric_set(M_UNMOVED, (int64_t)all.unmoved);
	metric_set(M_FULL, (int64_t)full);
	metric_set(M_INDEX_USED, (int64_t)all.index_used);
	metric_set(M_INDEX_SIZE, (int64_t)all.index_size);
}

static void
on_wakeup(struct wakeup *w)
{
	struct part *part = CONTAINER(w, struct part, wakeup);
	struct store_finished f = { .events = { 0 } };
	struct store_job *j;

	list_init(&f.jobs);
	store_part_take(part->p, &f);
	for (size_t at = 0; at < f.accounts.n; at += sizeof(struct store_known)) {
		struct store_known k;

		memcpy(&k, f.accounts.p + at, sizeof(k));
		if (k.gone)
			account_drop(part, &k);
		else
			(void)account_add(part, &k);
	}
	list_each(j, &f.jobs, struct store_job, link)
	{
		list_remove(&j->link);
		stored_job_finished(j);
	}
	events_send(&f.events);
	store_finished_fini(&f);
	parts_count_one(part);
	server_idle();
}

/* ---- opening and closing ------------------------------------------------------------------------------ */

static int
part_open(void *arg, const char *name, const char *path)
{
	struct part *part = mem_new(sizeof(*part));
	struct store_part_config c = {
		.name = name,
		.path = path,
		.map_size = (uint64_t)stored_conf.map_size,
		.min_free = (uint64_t)stored_conf.min_free,
		.cleanup_age = (uint32_t)(stored_conf.cleanup_age / 1000),
		.dup_age = (uint32_t)(stored_conf.dup_age / 1000),
		.purge_rate = (uint32_t)stored_conf.purge_rate,
		.slice_us = (uint32_t)stored_conf.slice * 1000,
		.max_readers = (uint32_t)stored_conf.max_readers,
		.quota_temp = stored_conf.quota_full == 0,
		.quota_unenforced = !stored_conf.quota_enforce,
		.quota_overdraft = stored_conf.quota_overdraft,
		.quota_grace = (uint32_t)(stored_conf.quota_grace / 1000),
		.quota_warn = (uint32_t)stored_conf.quota_warn,
		.quota_text = warning,
		.hostname = hostname,
		.domains = domains,
		.no_anyone = !stored_conf.share_anyone,
		.seen_shared = stored_conf.share_seen,
		.events = (uint8_t)stored_conf.events,
		.sync = true,
		.log = stored_conf.log,
		.log_segment = (uint64_t)stored_conf.log_segment,
		.log_bodies = (uint32_t)stored_conf.log_bodies,
		.snapshot_interval = (uint32_t)(stored_conf.snapshot_interval / 1000),
		.steady_interval = (uint32_t)stored_conf.steady_interval,
		.notify = notify,
		.arg = part,
	};
	char *why = NULL, *snapshots = store_conf_snapshots(name);
	int rc;

	c.snapshots = snapshots;
	(void)!files_make_dirs(path, 0750); /* what is missing shows when it is opened */
	rc = store_part_open(&c, &part->p, &why);
	mem_free(&snapshots);
	if (rc < 0) {
		log_event(LOG_ERROR, "store_open", "partition=%s error=%s", log_str(name),
		    log_str(why));
		mem_free(&why);
		mem_free(&part);
		return rc;
	}
	part->name = store_part_name(part->p);
	if (part_of_id(store_part_tag(part->p))) {
		log_event(LOG_ERROR, "store_open", "partition=%s error=%s", log_str(name),
		    log_str("its ids collide with another partition's: choose another name"));
		store_part_close(&part->p);
		mem_free(&part);
		return -EINVAL;
	}
	wakeup_init(&part->wakeup, arg, on_wakeup);
	parts = mem_grow(parts, nparts + 1, sizeof(struct part *));
	parts[nparts++] = part;
	parts_count_one(part);
	rc = store_part_accounts(part->p, on_known, part);
	if (rc < 0) /* mail for those that are missing would go into new ones elsewhere */
		log_event(LOG_ERROR, "store_open", "partition=%s error=%s", log_str(name),
		    log_str(strerror(-rc)));
	return rc;
}

#define WARNING_MOST 65536 /* bytes of the text */

/* The site's text of the warning, which must have fields and an empty line.  0 or -errno, logged. */
static int
warning_read(const char *path)
{
	const char *why = NULL;
	FILE *f = fopen(path, "re");
	struct buf b = { 0 };
	char *to = buf_reserve(&b, WARNING_MOST + 1);

	if (!f)
		why = strerror(errno);
	else
		b.n = fread(to, 1, WARNING_MOST + 1, f);
	if (!why && ferror(f))
		why = strerror(EIO);
	else if (!why &&
	    (b.n > WARNING_MOST || memchr(b.p, '\0', b.n) ||
		(slice_find_str(buf_get(&b), S("\n\n")) == b.n &&
		    slice_find_str(buf_get(&b), S("\n\r\n")) == b.n)))
		why = "it is no Subject field, empty line and text";
	if (f)
		fclose(f);
	if (why)
		log_event(LOG_ERROR, "quota_text", "path=%s error=%s", log_str(path), log_str(why));
	else
		warning = mem_strn(b.p, b.n);
	buf_fini(&b);
	return why ? -EINVAL : 0;
}

int
parts_open(struct loop *l)
{
	int rc = stored_conf.quota_text && *stored_conf.quota_text ?
	    warning_read(stored_conf.quota_text) :
	    0;

	hostname = mem_str(shared.hostname);
	domains = store_domains_new();
	if (rc == 0)
		rc = store_conf_partitions(part_open, l);

	for (size_t i = 0; rc == 0 && i < nparts; i++)
		store_part_start(parts[i]->p);
	if (rc == 0)
		log_event(LOG_INFO, "store_open", "partitions=%zu accounts=%zu", nparts,
		    accounts.n);
	return rc;
}

static void
wakeup_closed(struct wakeup *w)
{
	struct part *part = CONTAINER(w, struct part, wakeup);

	mem_free(&part);
	if (--open_wakeups == 0)
		all_closed();
}

void
parts_close(void (*closed)(void))
{
	struct account *a;
	size_t at = 0, n = nparts;

	all_closed = closed;
	open_wakeups = nparts;
	while ((a = map_next(&accounts, &at))) {
		mem_free(&a->name);
		mem_free(&a);
	}
	map_fini(&accounts);
	accounts = (struct map){ 0 };
	nparts = 0;
	for (size_t i = 0; i < n; i++) {
		store_part_close(&parts[i]->p);
		wakeup_close(&parts[i]->wakeup, wakeup_closed);
	}
	mem_free(&parts);
	mem_free(&warning);
	mem_free(&hostname);
	store_domains_free(&domains);
}

void
parts_domain(struct slice name, uint64_t *bytes, uint64_t *messages)
{
	store_domains_use(domains, name, bytes, messages);
}

void
parts_tick(void)
{
	for (size_t i = 0; i < nparts; i++)
		store_part_reader_check(parts[i]->p);
}

void
parts_status(struct buf *out)
{
	for (size_t i = 0; i < nparts; i++) {
		struct store_part_stats s;
		uint64_t n;

		store_part_stats(parts[i]->p, &s);
		n = s.batches ? s.batches : 1;
		buf_printf(out,
		    "partition=%s path=%s full=%d queued=%llu batches=%llu jobs=%llu "
		    "largest_batch=%llu delivered=%llu duplicates=%llu appended=%llu "
		    "copied=%llu unlinked=%llu unmoved=%llu "
		    "expunged=%llu purged=%llu failed_batches=%llu sync_us=%llu commit_us=%llu "
		    "batch_us=%llu longest_us=%llu longest_cpu_us=%llu accounts_cached=%llu "
		    "mailboxes_cached=%llu\n",
		    log_str(parts[i]->name), log_str(store_part_path(parts[i]->p)), s.full,
		    (unsigned long long)s.queued, (unsigned long long)s.batches,
		    (unsigned long long)s.jobs, (unsigned long long)s.largest_batch,
		    (unsigned long long)s.delivered, (unsigned long long)s.duplicates,
		    (unsigned long long)s.appended, (unsigned long long)s.copied,
		    (unsigned long long)s.unlinked, (unsigned long long)s.unmoved,
		    (unsigned long long)s.expunged, (unsigned long long)s.purged,
		    (unsigned long long)s.failed_batches, (unsigned long long)(s.syncfs_us / n),
		    (unsigned long long)(s.commit_us / n), (unsigned long long)(s.batch_us / n),
		    (unsigned long long)s.longest_us, (unsigned long long)s.longest_cpu_us,
		    (unsigned long long)s.accounts_cached, (unsigned long long)s.mailboxes_cached);
	}
}
