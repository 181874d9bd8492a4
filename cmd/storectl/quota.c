/* storectl quota report, recount, warn, set, reset: what accounts use, that summed up anew, who is told (quota-warn.c),
 * and limits that the store keeps itself (quota-own.c).
 *
 * Reads the partitions; a recount is a request to stored for each account, one after the other, so that
 * others have their turns.  The limits are the directory's, which this program does not ask.  Accounts are
 * gathered by name before the first recount: no snapshot is kept while stored is waited for. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "store/config.h"
#include "quota.h"
#include "storectl.h"

struct quota_run {
	const char *account; /* "" = all */
	bool json, recount;
	size_t met;
	struct buf names;   /* of accounts, each with a NUL: those to be counted */
	struct map domains; /* report of all: name -> struct quota_domain */
};

/* What is in use in all partitions of this host. */
struct quota_domain {
	char *name;
	uint64_t accounts, messages, bytes;
};

static void
quota_count_domain(struct quota_run *q, struct slice account, const struct store_account *a)
{
	struct slice name = slice_from(account, slice_rfind(account, '@') + 1);
	struct quota_domain *d = map_get(&q->domains, name);

	if (!d) {
		d = mem_new(sizeof(*d));
		d->name = mem_strn(name.p, name.n);
		map_put(&q->domains, slice_str(d->name), d);
	}
	d->accounts++;
	d->messages += a->messages;
	d->bytes += a->bytes;
}

/* In the order of their names. */
static int
quota_domain_order(const void *a, const void *b)
{
	const struct quota_domain *const *one = a, *const *other = b;

	return strcmp((*one)->name, (*other)->name);
}

static void
quota_show_domain(const struct quota_run *q, const struct quota_domain *d)
{
	struct buf b = { 0 };

	if (q->json) {
		buf_char(&b, '{');
		json_put_cstr(&b, "domain", d->name);
		json_put_i64(&b, "accounts", (int64_t)d->accounts);
		json_put_i64(&b, "messages", (int64_t)d->messages);
		json_put_i64(&b, "bytes", (int64_t)d->bytes);
		buf_char(&b, '}');
	} else {
		buf_printf(&b, "%-32s %-12s %10llu %14llu %llu accounts", d->name, "-",
		    (unsigned long long)d->messages, (unsigned long long)d->bytes,
		    (unsigned long long)d->accounts);
	}
	printf("%s\n", buf_cstr(&b));
	buf_fini(&b);
}

static void
quota_show_domains(struct quota_run *q)
{
	struct quota_domain **list = mem_array(q->domains.n + 1, sizeof(struct quota_domain *));
	size_t n = 0, at = 0;

	while ((list[n] = map_next(&q->domains, &at)))
		n++;
	qsort(list, n, sizeof(struct quota_domain *), quota_domain_order);
	for (size_t i = 0; i < n; i++) {
		quota_show_domain(q, list[i]);
		mem_free(&list[i]->name);
		mem_free(&list[i]);
	}
	mem_free(&list);
	map_fini(&q->domains);
}

static const char *
quota_since(const struct store_account *a)
{
	return a->refused ? "refused" : a->warned ? "warned" : "ok";
}

static void
report_show(const struct quota_run *q, struct store_view *v, const char *partition,
    struct slice name, const struct store_account *a)
{
	struct buf b = { 0 };

	if (q->json) {
		buf_char(&b, '{');
		json_put_str(&b, "account", name);
		json_put_cstr(&b, "partition", partition);
		json_put_i64(&b, "messages", (int64_t)a->messages);
		json_put_i64(&b, "bytes", (int64_t)a->bytes);
		json_put_cstr(&b, "state", quota_since(a));
		quota_own_add(&b, true, v, a->id);
		buf_char(&b, '}');
	} else {
		buf_printf(&b, "%-32.*s %-12s %10llu %14llu %s", SARG(name), partition,
		    (unsigned long long)a->messages, (unsigned long long)a->bytes, quota_since(a));
		quota_own_add(&b, false, v, a->id);
	}
	printf("%s\n", buf_cstr(&b));
	buf_fini(&b);
	quota_own_folders(q->json, v, name, a->id);
}

static void
quota_meet(struct quota_run *q, struct store_view *v, const char *partition, struct slice name,
    const struct store_account *a)
{
	q->met++;
	if (!q->recount) {
		if (!*q->account)
			quota_count_domain(q, name, a);
		report_show(q, v, partition, name, a);
		return;
	}
	buf_slice(&q->names, name);
	buf_char(&q->names, '\0');
}

static int
quota_partition(void *arg, const char *partition, const char *path)
{
	struct quota_run *q = arg;
	struct slice name = slice(NULL, 0), one = slice_str(q->account);
	struct store_account a;
	struct store_reader *r;
	struct store_view *v;
	char *why = NULL;

	if (store_reader_open(path, &r, &why) < 0) {
		fprintf(stderr, "storectl: partition %s: %s\n", partition, why);
		exit(EX_NOINPUT);
	}
	v = store_view_new(r);
	if (store_begin(v) < 0)
		exit(EX_OSERR);
	if (one.n && store_find_account(v, one, &a) == 0)
		quota_meet(q, v, partition, one, &a);
	while (!one.n && store_next_account(v, &name, &a))
		quota_meet(q, v, partition, name, &a);
	store_view_free(&v);
	store_reader_close(&r);
	return 0;
}

/* What stored has counted; before and after differ only where something was wrong. */
static void
quota_recount(const struct quota_run *q, struct asking *ask, const char *account)
{
	uint64_t bytes, messages;

	store_account_start(ask->client, slice_str(account), S(""), &ask->op, asking_done, ask);
	asking_wait(ask, account);
	store_recount_start(ask->client, ask->reply.account, &ask->op, asking_done, ask);
	asking_wait(ask, account);
	bytes = ask->reply.bytes;
	messages = ask->reply.messages;
	if (q->json) {
		struct buf b = { 0 };

		buf_char(&b, '{');
		json_put_cstr(&b, "account", account);
		json_put_i64(&b, "messages", (int64_t)messages);
		json_put_i64(&b, "bytes", (int64_t)bytes);
		buf_char(&b, '}');
		printf("%s\n", buf_cstr(&b));
		buf_fini(&b);
	} else {
		printf("%-32s %10llu %14llu\n", account, (unsigned long long)messages,
		    (unsigned long long)bytes);
	}
}

int
storectl_quota_verb(int argc, char **argv)
{
	struct quota_run q = { .account = "", .recount = strcmp(argv[0], "recount") == 0 };
	bool warn = strcmp(argv[0], "warn") == 0, dry = false;
	struct asking ask;

	if (strcmp(argv[0], "set") == 0 || strcmp(argv[0], "reset") == 0)
		return storectl_quota_own(argc, argv);
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-j") == 0 || strcmp(argv[i], "--json") == 0)
			q.json = true;
		else if (warn && (strcmp(argv[i], "-n") == 0 || strcmp(argv[i], "--dry-run") == 0))
			dry = true;
		else if (*q.account || argv[i][0] == '-')
			return program_usage();
		else
			q.account = argv[i];
	if (warn)
		return storectl_quota_warn(q.account, q.json, dry);
	(void)store_conf_partitions(quota_partition, &q);
	if (*q.account && !q.met) {
		fprintf(stderr, "storectl: %s: no such account\n", q.account);
		return EX_NOUSER;
	}
	if (!q.recount) {
		quota_show_domains(&q);
		return 0;
	}
	asking_open(&ask);
	for (size_t at = 0; at < q.names.n; at += strlen(q.names.p + at) + 1)
		quota_recount(&q, &ask, q.names.p + at);
	asking_close(&ask);
	buf_fini(&q.names);
	return 0;
}
