/* Fuzz: packets to stored and from it.  Whatever is accepted comes back as it went, and what a
 * client could make stored do is within bounds. */
#include <errno.h>

#include "base/mem.h"
#include "base/must.h"
#include "store/block.h"
#include "store/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
within(struct slice s, struct slice body)
{
	must(s.n == 0 || (s.p >= body.p && s.p + s.n <= body.p + body.n));
}

/* The first byte says which verb it is. */
static void
check_request(struct slice body)
{
	struct arena a = { 0 };
	unsigned verb = body.n ? (uint8_t)body.p[0] % (STORE_V_LAST + 2) : 0;
	struct store_request r = { .verb = (enum store_verb)verb }, again = { .verb = r.verb };
	struct buf out = { 0 }, twice = { 0 };
	const char *why = NULL;
	uint32_t last = 0;
	int rc;

	body = slice_from(body, 1);
	rc = store_request_parse(body, &a, &r, &why);
	must(rc == 0 || (rc == -EBADMSG && why) || (rc == -EOPNOTSUPP && why));
	if (rc == 0) {
		for (size_t i = 0; i < r.nranges; i++) {
			must(r.ranges[i].first > last && r.ranges[i].last >= r.ranges[i].first);
			last = r.ranges[i].last;
		}
		within(r.name, body);
		within(r.keywords, body);
		must(r.nmessages <= STORE_MESSAGES_MAX && r.ntargets <= STORE_TARGETS_MAX);
		for (size_t i = 0; i < r.nmessages; i++) {
			must((r.messages[i].flags & ~STORE_FLAGS_ALL) == 0);
			within(r.messages[i].cache, body);
		}
		for (size_t i = 0; i < r.ntargets; i++) {
			char name[STORE_NAME_MAX + 1];

			within(r.targets[i].account, body);
			(void)!store_account_check(r.targets[i].account);
			if (store_name_check(r.targets[i].folder, name) == 0)
				must(strlen(name) == r.targets[i].folder.n);
		}
		/* Fields that are there but zero are needed by some verbs and not written again. */
		store_request_write(&out, &r);
		if (store_request_parse(buf_get(&out), &a, &again, &why) == 0) {
			must(again.nranges == r.nranges && again.ntargets == r.ntargets &&
			    again.nmessages == r.nmessages && slice_eq(again.name, r.name) &&
			    slice_eq(again.name2, r.name2) && again.mailbox == r.mailbox);
			store_request_write(&twice, &again);
			must(slice_eq(buf_get(&out), buf_get(&twice)));
		}
	}
	buf_fini(&out);
	buf_fini(&twice);
	arena_reset(&a);
}

static void
check_reply(struct slice body)
{
	struct arena a = { 0 };
	struct store_reply r, again;
	struct buf out = { 0 };

	if (store_reply_parse(body, &a, &r) == 0) {
		store_reply_write(&out, &r);
		must(store_reply_parse(buf_get(&out), &a, &again) == 0);
		must(again.nresults == r.nresults && again.nuids == r.nuids && again.uid == r.uid);
	}
	buf_fini(&out);
	arena_reset(&a);
}

static void
check_names(struct slice s)
{
	struct buf dir = { 0 }, back = { 0 };
	struct store_record room[STORE_BLOCK];
	struct store_format format;
	struct store_mailbox m;
	struct store_intent intent = { .from = { 0 } };
	char *why = NULL;

	(void)!store_format_check(s, &format, &why);
	mem_free(&why);
	store_component_write(&dir, s);
	if (s.n)
		must(store_component_parse(buf_get(&dir), &back) == 0 &&
		    slice_eq(buf_get(&back), s));
	buf_clear(&back);
	(void)!store_component_parse(s, &back);
	(void)!store_mailbox_parse(s, 1, true, &m);
	must(store_block_records(s, 0, room) <= STORE_BLOCK);
	must(store_states_read(s, 0, room) <= STORE_BLOCK);
	must(store_block_read_v1(s, 0, room) <= STORE_BLOCK);
	must(store_block_read(s, s, 0, room) == 0); /* no row is both */
	if (store_intent_parse(s, &intent) == 0)
		must(intent.from.n && intent.to.n &&
		    s.n == sizeof(struct store_disk_intent) + intent.from.n + intent.to.n);
	(void)store_block_crc_ok(s);
	(void)store_states_crc_ok(s);
	buf_fini(&dir);
	buf_fini(&back);
}

/* The input as packets: a length byte pair before each. */
static void
check_pieces(struct slice s)
{
	struct store_joiner j = { .b = { 0 } };
	struct store_label label;
	struct slice body;

	while (s.n >= 2) {
		size_t n = (uint8_t)s.p[0] | (size_t)(uint8_t)s.p[1] << 8;
		struct slice packet = slice_sub(s, 2, n);

		s = slice_from(s, 2 + packet.n);
		if (store_join(&j, packet, &label, &body) < 0)
			break;
	}
	buf_fini(&j.b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice s = slice((const char *)data, n);

	check_request(s);
	check_reply(s);
	check_names(s);
	check_pieces(s);
	return 0;
}
