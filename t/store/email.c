/* Where an email is, when it has been in thousands of places: moved to and fro it leaves a row at each, until the
 * purge, and who looks for it must not see them all. */
#include <time.h>

#include "service.h"
#include "store/read-thread.h"

#define ROUNDS 60  /* of moves */
#define COPIES 128 /* a power of two */
#define TRIES  9   /* the quickest of them counts: others are on the machine */
#define ENOUGH 200 /* us; all rows, one by one, take a thousand */

static const struct store_limits none;
static const struct store_range all = { 1, UINT32_MAX };
static struct store_view *view;
static struct store_boxes boxes;
static uint64_t account, emailid;

static uint64_t
folder(const char *name)
{
	CALL(store_create_start, account, slice_str(name), STORE_USE_NONE);
	return last.mailbox;
}

/* Moves that many copies to and fro, and leaves the last one of them. */
static uint64_t
scatter(uint64_t from)
{
	uint64_t here = folder("here"), there = folder("there");
	struct store_body b = body_with("text", 4);
	struct store_message m = { .body = &b, .size = 4, .cache = S("digest") };
	struct store_range most = { 1, 0 };

	CALL(store_append_start, from, &m, 1, none);
	CALL(store_move_start, from, &all, 1, here);
	for (int n = 1; n < COPIES; n *= 2)
		CALL(store_copy_start, here, &all, 1, here, none);
	for (int i = 0; i < ROUNDS; i++)
		CALL(store_move_start, i % 2 ? there : here, &all, 1, i % 2 ? here : there);
	most.last = last_to[0].last - 1;
	CALL(store_expunge_start, here, &most, 1, true);
	return here;
}

static uint64_t
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool
look_next(bool of_account, struct store_place *p)
{
	return of_account ? !!store_boxes_email(view, &boxes, p) : store_email_next(view, p);
}

/* How many places it has, and what the quickest look took. */
static size_t
look(bool of_account, uint64_t *least, struct store_place *found)
{
	size_t n = 0;

	*least = UINT64_MAX;
	for (int i = 0; i < TRIES; i++) {
		struct store_place p = { .emailid = emailid };
		uint64_t from = cpu_us(), took;

		for (n = 0; look_next(of_account, &p); n++)
			*found = p;
		took = cpu_us() - from;
		*least = took < *least ? took : *least;
	}
	return n;
}

static void
test_look(bool of_account, uint64_t mailbox, const char *who)
{
	struct store_place found = { 0 };
	uint64_t us;

	eq(look(of_account, &us, &found), 1, "%s: it has one place", who);
	eq(found.mailbox, mailbox, "%s: where it is", who);
	ok(us < ENOUGH, "%s: found in %llu us", who, (unsigned long long)us);
}

int
main(int argc, char **argv)
{
	struct store_reader *reader;
	const struct store_record *rec;
	struct store_mailbox m;
	char path[300], *why = NULL;
	uint64_t here;

	(void)argc;
	log_init("email", LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv[0]))
		return done();
	service_prepare("map_size = 1G\nmin_free = 0\ncleanup_age = 1h\n");
	service_start();
	loop_init(&loop);
	snprintf(path, sizeof(path), "%s/stored.sock", dir);
	client = store_client_new(&loop, path, "test");
	CALL(store_account_start, S("joe@example.test"), S(""));
	account = last.account;
	here = scatter(last.mailbox);
	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	if (store_reader_open(path, &reader, &why) < 0)
		abort();
	view = store_view_new(reader);
	if (store_refresh(view) < 0 || store_get_mailbox(view, here, &m) < 0 ||
	    !(rec = store_get_record(view, here, m.uidnext - 1)))
		abort();
	emailid = rec->emailid;
	store_boxes_load(view, account, &boxes);
	test_look(true, here, "for its account");
	test_look(false, here, "for all");
	store_boxes_fini(&boxes);
	store_view_free(&view);
	store_reader_close(&reader);
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_remove();
	return done();
}
