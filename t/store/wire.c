/* Requests and replies as bytes: what comes back, what is refused, how two versions meet. */
#include <errno.h>

#include "../tap.h"
#include "store/fields.h"
#include "store/request.h"

static struct arena arena;
static const char *why;

static int
parse(struct slice body, unsigned verb, struct store_request *r)
{
	*r = (struct store_request){ .verb = (enum store_verb)verb };
	return store_request_parse(body, &arena, r, &why);
}

/* {tag, length, value} with or without the bit that it must be understood. */
static void
field_add(struct buf *b, unsigned tag, const void *p, size_t n)
{
	uint16_t t = (uint16_t)tag;
	uint32_t len = (uint32_t)n;

	buf_add(b, &t, 2);
	buf_add(b, &len, 4);
	buf_add(b, p, n);
}

static void
test_request(void)
{
	struct store_message m = { .token = 9,
		.size = 10,
		.flags = STORE_SEEN,
		.zone = -60,
		.internaldate = 5,
		.keywords = S("a b"),
		.cache = S("cache") };
	struct store_target t[2] = {
		{ .account = S("joe@x"), .folder = S("f"), .limits = { 1, 2, 3, 4 }, .dup = { 1 } },
		{ .account = S("ann@x"), .partition = S("p"), .keywords = S("k") }
	};
	struct store_request q = { .verb = STORE_V_DELIVER,
		.messages = &m,
		.nmessages = 1,
		.targets = t,
		.ntargets = 2 };
	struct store_request back;
	struct buf b = { 0 };
	bool any = false;

	store_request_write(&b, &q);
	eq(parse(buf_get(&b), STORE_V_DELIVER, &back), 0, "a delivery comes back");
	ok(back.nmessages == 1 && back.messages[0].zone == -60 && back.messages[0].token == 9 &&
		slice_eq(back.messages[0].cache, S("cache")) && back.ntargets == 2 &&
		slice_eq(back.targets[1].partition, S("p")) && back.targets[0].dup[0] == 1 &&
		back.targets[0].limits.messages == 2 && back.targets[0].limits.domain_bytes == 3 &&
		back.targets[0].limits.domain_messages == 4,
	    "as it was");
	for (size_t n = 0; n < b.n; n++) {
		if (parse(slice(b.p, n), STORE_V_DELIVER, &back) < 0)
			continue;
		any |= back.ntargets != 1; /* at the end of a field it is a shorter delivery */
	}
	ok(!any, "no shorter one is taken for it");
	buf_char(&b, 'x');
	eq(parse(buf_get(&b), STORE_V_DELIVER, &back), -EBADMSG, "nor a longer one");
	buf_fini(&b);
}

static void
test_ranges(void)
{
	struct store_range r[2] = { { 1, 5 }, { 7, 7 } };
	struct store_request q = { .verb = STORE_V_FLAGS,
		.mailbox = 3,
		.since = 5,
		.ranges = r,
		.nranges = 2,
		.options = STORE_CONDITIONAL };
	struct store_request back;
	struct buf b = { 0 };

	store_request_write(&b, &q);
	eq(parse(buf_get(&b), STORE_V_FLAGS, &back), 0, "a change of flags comes back");
	ok(back.nranges == 2 && back.ranges[1].first == 7 && back.since == 5 && back.mailbox == 3,
	    "as it was");
	r[1].first = 5;
	buf_clear(&b);
	store_request_write(&b, &q);
	eq(parse(buf_get(&b), STORE_V_FLAGS, &back), -EBADMSG, "ranges must ascend");
	q = (struct store_request){ .verb = STORE_V_FLAGS, .mailbox = 3, .how = 9 };
	buf_clear(&b);
	store_request_write(&b, &q);
	eq(parse(buf_get(&b), STORE_V_FLAGS, &back), -EBADMSG, "and how they change be known");
	is(why, "bad flags", "which is said");
	buf_clear(&b);
	eq(parse(buf_get(&b), STORE_V_FLAGS, &back), -EBADMSG, "a mailbox is needed");
	is(why, "flags has no mailbox", "which is said too");
	buf_fini(&b);
}

/* What a younger or older program may send. */
static void
test_versions(void)
{
	const struct store_request q = { .verb = STORE_V_CREATE, .account = 3, .name = S("n") };
	struct store_request back;
	struct buf b = { 0 };
	uint64_t number = 7;

	store_request_write(&b, &q);
	field_add(&b, 60, "later", 5);
	eq(parse(buf_get(&b), STORE_V_CREATE, &back), 0, "an unknown optional field is skipped");
	ok(slice_eq(back.name, S("n")), "and the others are there");
	field_add(&b, 61 | STORE_CRITICAL, "later", 5);
	eq(parse(buf_get(&b), STORE_V_CREATE, &back), -EOPNOTSUPP,
	    "one that must be understood is not");
	is(why, "field 61 of create is not known here", "and is named");
	buf_clear(&b);
	store_request_write(&b, &q);
	field_add(&b, STORE_F_TOKEN | STORE_CRITICAL, &number, 8);
	eq(parse(buf_get(&b), STORE_V_CREATE, &back), -EOPNOTSUPP,
	    "nor one that the verb does not have");
	buf_clear(&b);
	store_request_write(&b, &q);
	store_request_write(&b, &q);
	eq(parse(buf_get(&b), STORE_V_CREATE, &back), -EBADMSG, "no field comes twice");
	eq(parse(buf_get(&b), STORE_V_LAST + 1, &back), -EOPNOTSUPP, "a later verb is not known");
	eq(parse(buf_get(&b), 0, &back), -EOPNOTSUPP, "nor none");
	ok(!store_verb_find(STORE_V_REPLY), "a reply is no request");
	buf_fini(&b);
}

/* Each verb that a client writes is read by its own line of the table. */
static void
test_verbs(void)
{
	for (unsigned v = 1; v <= STORE_V_LAST; v++) {
		const struct store_verb_info *i = store_verb_find(v);

		if (!i)
			continue;
		ok(i->verb == v && i->who && i->since >= STORE_LEVEL_MIN &&
			i->since <= STORE_LEVEL && (i->needs & i->may) == 0,
		    "%s has its line", i->name);
	}
}

static void
test_many(void)
{
	struct store_request back;
	struct buf b = { 0 };

	for (int i = 0; i < STORE_TARGETS_MAX; i++)
		field_add(&b, STORE_F_TARGETS | STORE_CRITICAL, "", 0);
	field_add(&b, STORE_F_MESSAGES | STORE_CRITICAL, "", 0);
	eq(parse(buf_get(&b), STORE_V_DELIVER, &back), 0, "a thousand targets");
	field_add(&b, STORE_F_TARGETS, "", 0);
	eq(parse(buf_get(&b), STORE_V_DELIVER, &back), -EBADMSG, "and no more");
	buf_fini(&b);
}

static void
test_reply(void)
{
	struct store_range r = { 1, 5 };
	struct store_result res = { .verdict = verdict(TEMP, 452, "4.2.2", "mailbox full"),
		.code = STORE_OVERQUOTA,
		.uid = 4 };
	struct store_reply q = { .verdict = verdict(OK, 250, "2.0.0", "done"),
		.uids = &r,
		.nuids = 1,
		.results = &res,
		.nresults = 1,
		.path = S("/p") },
			   back;
	struct buf b = { 0 };

	store_reply_write(&b, &q);
	field_add(&b, 60, "later", 5);
	ok(store_reply_parse(buf_get(&b), &arena, &back) == 0, "a reply comes back");
	ok(back.uids[0].last == 5 && verdict_reply(&back.results[0].verdict) == 452 &&
		back.results[0].code == STORE_OVERQUOTA && slice_eq(back.path, S("/p")),
	    "as it was");
	is(back.results[0].verdict.text, "mailbox full", "with its words");
	buf_clear(&b);
	q.verdict = verdict(TEMP, 451, "4.9.9", "later trouble");
	q.code = (enum store_code)(STORE_CODE_LAST + 5);
	store_reply_write(&b, &q);
	ok(store_reply_parse(buf_get(&b), &arena, &back) == 0 && back.code == STORE_FAILED,
	    "a later code counts by its class");
	buf_clear(&b);
	q.verdict = (struct verdict){ 0 };
	store_reply_write(&b, &q);
	ok(store_reply_parse(buf_get(&b), &arena, &back) < 0, "a reply without a verdict is none");
	buf_fini(&b);
}

static void
packet(struct buf *b, struct store_head h, struct slice rest)
{
	buf_clear(b);
	buf_add(b, &h, sizeof(h));
	buf_slice(b, rest);
}

static void
test_pieces(void)
{
	struct store_head h = { .protocol = STORE_PROTOCOL,
		.verb = STORE_V_COPY,
		.flags = STORE_MORE,
		.id = 5,
		.actor_len = 3,
		.trace_len = 2 };
	struct store_joiner j = { .b = { 0 } };
	struct store_label l;
	struct buf b = { 0 };
	struct slice body;

	packet(&b, h, S("joes1one "));
	eq(store_join(&j, buf_get(&b), &l, &body), 0, "the first piece");
	h.flags = 0;
	h.actor_len = h.trace_len = 0;
	packet(&b, h, S("two"));
	ok(store_join(&j, buf_get(&b), &l, &body) == 1 && slice_eq(body, S("one two")) &&
		l.verb == STORE_V_COPY && l.id == 5,
	    "and the second make one");
	ok(slice_eq(l.actor, S("joe")) && slice_eq(l.trace, S("s1")),
	    "for whom and in which session");
	ok(store_join(&j, buf_get(&b), &l, &body) == 1 && slice_eq(body, S("two")) &&
		l.actor.n == 0,
	    "or one alone");
	h.actor_len = 9;
	packet(&b, h, S("two"));
	eq(store_join(&j, buf_get(&b), &l, &body), -EBADMSG, "an actor longer than the packet");
	eq(store_join(&j, slice(b.p, 7), &l, &body), -EBADMSG, "half a head is none");
	h.protocol = 1;
	packet(&b, h, S(""));
	ok(store_join(&j, slice(b.p, 8), &l, &body) == -EPROTONOSUPPORT && l.verb == 1 && l.id == 5,
	    "another protocol is told apart");
	buf_fini(&b);
	buf_fini(&j.b);
}

static void
test_keywords(void)
{
	struct slice rest = S(" a  $Junk "), word;
	uint8_t k1[16], k2[16];

	ok(store_keyword_next(&rest, &word) && slice_eq(word, S("a")) &&
		store_keyword_next(&rest, &word) && slice_eq(word, S("$Junk")) &&
		!store_keyword_next(&rest, &word),
	    "words");
	ok(store_keyword_ok(S("$Junk")) && !store_keyword_ok(S("a(b")) &&
		!store_keyword_ok(S("\\Seen")) && !store_keyword_ok(S("")),
	    "atoms only");
	store_dup_key(S("q1"), S("joe@x"), k1);
	store_dup_key(S("q1"), S("joe@x"), k2);
	ok(memcmp(k1, k2, 16) == 0, "duplicate keys repeat");
	store_dup_key(S("q1j"), S("oe@x"), k2);
	ok(memcmp(k1, k2, 16) != 0, "and keep their parts apart");
}

int
main(void)
{
	test_request();
	test_ranges();
	test_versions();
	test_verbs();
	test_many();
	test_reply();
	test_pieces();
	test_keywords();
	arena_reset(&arena);
	return done();
}
