/* Random changes, many at a time, with kills in between: whatever happens, everything agrees
 * afterwards.  STRESS_ROUNDS and STRESS_SEED make it longer or repeat it. */
#include "service.h"
#include "store/check.h"

#define OPS 16

static struct store_reader *reader;
static struct store_view *view;
static const struct store_limits none;
static const char *const names[] = { "INBOX", "Sent", "a", "a/b", "a/b/c", "d", "e f" };
static uint64_t account;

struct doing {
	struct op op;
	struct store_body bodies[20];
	struct store_message messages[20];
};
static unsigned waiting, succeeded, failed;

static void
on_done(void *arg, const struct store_reply *r)
{
	(void)arg;
	succeeded += r->verdict.kind == OK;
	failed += r->verdict.kind == TEMP && r->code != STORE_AWAY && r->code != STORE_UNSURE;
	if (--waiting == 0)
		loop_stop(&loop);
}

static struct slice
any_name(void)
{
	return slice_str(names[(unsigned)rand() % NELEM(names)]);
}

static uint64_t
any_box(void)
{
	uint64_t id = 0;

	if (store_refresh(view) < 0 || store_find_mailbox(view, account, any_name(), &id) < 0)
		id = 0;
	store_end(view);
	return id;
}

static size_t
any_ranges(struct store_range *r)
{
	size_t n = 1 + (size_t)rand() % 4;
	uint32_t at = 1;

	for (size_t i = 0; i < n; i++) {
		r[i].first = at + (uint32_t)rand() % 40;
		r[i].last = r[i].first + (uint32_t)rand() % (rand() % 8 ? 30 : 3000);
		at = r[i].last + 2;
	}
	return n;
}

static void
start_append(struct doing *d, uint64_t box)
{
	size_t n = 1 + (size_t)rand() % 20;

	for (size_t i = 0; i < n; i++) {
		d->bodies[i] = body_with("stress", 6);
		d->messages[i] = (struct store_message){ .body = &d->bodies[i],
			.size = 6,
			.flags = (uint16_t)rand() & STORE_FLAGS_ALL,
			.keywords = S("one two"),
			.cache = S("some cache") };
	}
	store_append_start(client, box, d->messages, n, none, &d->op, on_done, d);
}

static void
start_deliver(struct doing *d)
{
	struct store_target t[3] = { { .account = S("joe@example.test"), .folder = any_name() },
		{ .account = S("ann@example.test") }, { .account = S("joe@example.test") } };
	char key[24];

	/* Some have no room, some have been delivered: a link made beforehand is of no use then. */
	if (rand() % 4 == 0)
		t[1].limits.messages = 1;
	snprintf(key, sizeof(key), "%d", rand() % 20);
	if (rand() % 2)
		store_dup_key(slice_str(key), t[2].account, t[2].dup);
	d->bodies[0] = body_with("stress", 6);
	d->messages[0] =
	    (struct store_message){ .body = &d->bodies[0], .size = 6, .cache = S("cache") };
	store_deliver_start(client, d->messages, t, 3, &d->op, on_done, d);
}

static void
start_any(struct doing *d)
{
	struct store_change change = { .how = (enum store_how)(rand() % 3),
		.flags = (uint16_t)rand() & STORE_FLAGS_ALL,
		.keywords = rand() % 2 ? S("one") : S("new x") };
	struct store_range r[4];
	size_t n = any_ranges(r);
	uint64_t box = any_box();

	switch (rand() % 24) {
	case 16:
	case 17:
	case 18:
	case 19:
	case 20: start_deliver(d); break;
	case 21:
	case 22:
	case 23: start_append(d, box); break;
	case 0:
	case 1:
	case 2: start_append(d, box); break;
	case 3:
	case 4: start_deliver(d); break;
	case 5:
	case 6:
	case 7: store_flags_start(client, box, r, n, &change, &d->op, on_done, d); break;
	case 8: store_expunge_start(client, box, NULL, 0, false, &d->op, on_done, d); break;
	case 9: store_expunge_start(client, box, r, n, rand() % 2, &d->op, on_done, d); break;
	case 10: store_copy_start(client, box, r, n, any_box(), none, &d->op, on_done, d); break;
	case 11: store_move_start(client, box, r, n, any_box(), &d->op, on_done, d); break;
	case 12:
		store_create_start(client, account, any_name(), STORE_USE_NONE, &d->op, on_done, d);
		break;
	case 13:
		store_rename_start(client, account, any_name(), any_name(), &d->op, on_done, d);
		break;
	case 14: store_delete_start(client, account, any_name(), &d->op, on_done, d); break;
	default: store_reserve_start(client, box, &d->op, on_done, d);
	}
}

static void
on_finding(void *arg, const char *text)
{
	(void)arg;
	printf("# %s\n", text);
}

static bool
agrees(void)
{
	struct store_check c = { .found = on_finding };
	char path[200], *why = NULL;

	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	return store_check_partition(path, slice(NULL, 0), &c, &why) == 0 && c.findings == 0;
}

static bool
run(int rounds)
{
	static struct doing doing[OPS];

	for (int round = 1; round <= rounds; round++) {
		waiting = OPS;
		for (int i = 0; i < OPS; i++)
			start_any(&doing[i]);
		if (round % 40 == 0) {
			usleep((unsigned)rand() % 4000);
			service_stop(SIGKILL);
			service_start();
		}
		while (waiting)
			loop_run(&loop);
		if (round % 40 == 0) {
			service_again();
			if (!agrees()) {
				printf("# round %d\n", round);
				return false;
			}
		}
	}
	return true;
}

int
main(int argc, char **argv)
{
	const char *seed = getenv("STRESS_SEED"), *rounds = getenv("STRESS_ROUNDS");
	unsigned s = seed ? (unsigned)atoi(seed) : 20261122;
	char socket_path[100], *why = NULL;

	(void)argc;
	log_init("stress", LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv[0])) {
		printf("1..0 # SKIP stored is not built\n");
		return 0;
	}
	printf("# STRESS_SEED=%u\n", s);
	srand(s);
	service_prepare("map_size = 1G\nmin_free = 0\ncleanup_age = 0\nslice = 0\n");
	service_start();
	loop_init(&loop);
	snprintf(socket_path, sizeof(socket_path), "%s/stored.sock", dir);
	client = store_client_new(&loop, socket_path, "stress");
	eq(CALL(store_account_start, S("joe@example.test"), S("")), OK, "an account");
	account = last.account;
	ok(store_reader_open(last_path, &reader, &why) == 0, "its partition opens");
	view = store_view_new(reader);
	ok(run(rounds ? atoi(rounds) : 200), "everything agrees after each kill");
	ok(succeeded > 100 && failed == 0, "%u changes were made, %u failed", succeeded, failed);
	store_view_free(&view);
	store_reader_close(&reader);
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_stop(SIGTERM);
	service_remove();
	return done();
}
