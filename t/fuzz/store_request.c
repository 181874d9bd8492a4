/* Fuzz: packets to stored and from it.  Whatever is accepted comes back as it went, and what a
 * client could make stored do is within bounds. */
#include "base/must.h"
#include "store/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
within(struct slice s, struct slice body)
{
	must(s.n == 0 || (s.p >= body.p && s.p + s.n <= body.p + body.n));
}

static void
check_request(struct slice body)
{
	struct arena a = { 0 };
	struct store_request r = { .verb = STORE_V_DELIVER }, again = { .verb = STORE_V_DELIVER };
	struct buf out = { 0 };
	uint32_t last = 0;

	if (store_request_parse(body, &a, &r) == 0) {
		for (size_t i = 0; i < r.nranges; i++) {
			must(r.ranges[i].first > last && r.ranges[i].last >= r.ranges[i].first);
			last = r.ranges[i].last;
		}
		within(r.name, body);
		within(r.keywords, body);
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
		store_request_write(&out, &r);
		must(out.n == body.n && store_request_parse(buf_get(&out), &a, &again) == 0);
		must(again.nranges == r.nranges && again.ntargets == r.ntargets &&
		    slice_eq(again.name, r.name) && slice_eq(again.name2, r.name2));
	}
	buf_fini(&out);
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
	struct store_mailbox m;
	size_t n;

	store_component_write(&dir, s);
	if (s.n)
		must(store_component_parse(buf_get(&dir), &back) == 0 && slice_eq(buf_get(&back), s));
	buf_clear(&back);
	(void)!store_component_parse(s, &back);
	(void)!store_mailbox_parse(s, 1, true, &m);
	(void)store_block_parse(s, &n);
	buf_fini(&dir);
	buf_fini(&back);
}

/* The input as packets: a length byte pair before each. */
static void
check_pieces(struct slice s)
{
	struct store_joiner j = { .b = { 0 } };
	struct store_head head;
	struct slice body;

	while (s.n >= 2) {
		size_t n = (uint8_t)s.p[0] | (size_t)(uint8_t)s.p[1] << 8;
		struct slice packet = slice_sub(s, 2, n);

		s = slice_from(s, 2 + packet.n);
		if (store_join(&j, packet, &head, &body) < 0)
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
