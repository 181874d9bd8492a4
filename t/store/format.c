/* Names of files and folders, records, requests and replies as bytes. */
#include <errno.h>

#include "../tap.h"
#include "base/crc.h"
#include "store/request.h"

static void
test_names(void)
{
	struct buf b = { 0 }, back = { 0 };
	char name[STORE_NAME_MAX + 1], longer[300];

	store_folder_dir(&b, S("joe@example.test"), S("a/100%/\xc3\xa9"));
	ok(strstr(buf_cstr(&b), "/=joe@example.test/=a/=100%25/=\xc3\xa9") != NULL, "folder: %s",
	    buf_cstr(&b));
	ok(strncmp(b.p, "=user/", 6) == 0, "below =user");
	buf_clear(&b);
	store_message_name(&b, 70000);
	is(buf_cstr(&b), "/11/70000.msg", "message");
	buf_clear(&b);
	store_component_write(&b, S("a/b%\x01"));
	is(buf_cstr(&b), "=a%2Fb%25%01", "component");
	ok(store_component_parse(buf_get(&b), &back) == 0 && slice_eq(buf_get(&back), S("a/b%\x01")),
	    "and back");
	ok(store_component_parse(S("00"), &back) < 0 && store_component_parse(S("=a%2"), &back) < 0 &&
	    store_component_parse(S("=%zz"), &back) < 0, "what is none");
	ok(store_name_check(S("inbox"), name) == 0 && strcmp(name, "INBOX") == 0, "inbox is INBOX");
	ok(store_name_check(S("Inbox/x"), name) == 0 && strcmp(name, "INBOX/x") == 0, "and its children");
	ok(store_name_check(S("inboxes"), name) == 0 && strcmp(name, "inboxes") == 0, "no more");
	ok(store_name_check(S(""), name) < 0 && store_name_check(S("/a"), name) < 0 &&
	    store_name_check(S("a/"), name) < 0 && store_name_check(S("a//b"), name) < 0 &&
	    store_name_check(S("a\nb"), name) < 0 && store_name_check(S("\xff"), name) < 0,
	    "names that are refused");
	memset(longer, 'x', sizeof(longer));
	ok(store_name_check(slice(longer, 200), name) < 0 && store_name_check(slice(longer, 199), name) == 0,
	    "a component has its limit");
	ok(store_account_check(S("joe@example.test")) == 0 && store_account_check(S("Joe@x")) < 0 &&
	    store_account_check(S("a/b")) < 0 && store_account_check(S("")) < 0 &&
	    store_account_check(S("a b")) < 0, "accounts");
	buf_fini(&b);
	buf_fini(&back);
}

static void
test_mailbox(void)
{
	struct store_disk_mailbox d = { .version = STORE_VERSION, .nkeywords = 2, .exists = 5,
		.nruns = 2, .account_len = 3, .name_len = 5 };
	struct store_range runs[2] = { { 1, 3 }, { 9, 10 } };
	struct store_mailbox m;
	struct buf b = { 0 };
	uint32_t crc;

	buf_add(&b, &d, sizeof(d));
	buf_add(&b, runs, sizeof(runs));
	buf_lit(&b, "joeINBOX\x01" "a\x02" "bc");
	crc = crc32c(0, b.p, b.n);
	memcpy(b.p + offsetof(struct store_disk_mailbox, crc), &crc, 4);
	ok(store_mailbox_crc_ok(buf_get(&b)), "a good checksum");
	ok(store_mailbox_parse(buf_get(&b), 7, true, &m) == 0 && m.id == 7 && m.exists == 5, "parsed");
	ok(slice_eq(m.account_name, S("joe")) && slice_eq(m.name, S("INBOX")) &&
	    slice_eq(m.keywords[1], S("bc")) && store_mailbox_run(&m, 1).last == 10, "all of it");
	b.p[b.n - 1] ^= 1;
	ok(!store_mailbox_crc_ok(buf_get(&b)), "a changed byte is seen");
	for (size_t n = 0; n < b.n; n++)
		if (store_mailbox_parse(slice(b.p, n), 7, true, &m) == 0)
			break;
		else if (n == b.n - 1)
			ok(true, "no shorter one is taken");
	buf_fini(&b);
}

static void
test_request(void)
{
	struct store_range r[2] = { { 1, 5 }, { 7, 7 } };
	struct store_message m = { .token = 9, .size = 10, .flags = STORE_SEEN, .zone = -60,
		.internaldate = 5, .keywords = S("a b"), .cache = S("cache") };
	struct store_target t[2] = { { .account = S("joe@x"), .folder = S("f"), .limits = { 1, 2 },
		.dup = { 1 } }, { .account = S("ann@x"), .partition = S("p"), .keywords = S("k") } };
	struct store_request q = { .mailbox = 3, .mailbox2 = 4, .modseq = 5, .ranges = r, .nranges = 2,
		.messages = &m, .nmessages = 1, .targets = t, .ntargets = 2, .name = S("n") }, back = { 0 };
	struct arena a = { 0 };
	struct buf b = { 0 };
	bool any = false;

	store_request_write(&b, &q);
	ok(store_request_parse(buf_get(&b), &a, &back) == 0, "a request comes back");
	ok(back.nranges == 2 && back.ranges[1].first == 7 && back.messages[0].zone == -60 &&
	    slice_eq(back.messages[0].cache, S("cache")) && slice_eq(back.targets[1].partition, S("p")) &&
	    back.targets[0].limits.messages == 2 && back.modseq == 5, "as it was");
	for (size_t n = 0; n < b.n; n++)
		any |= store_request_parse(slice(b.p, n), &a, &back) == 0;
	ok(!any, "no shorter one is taken");
	buf_char(&b, 'x');
	ok(store_request_parse(buf_get(&b), &a, &back) < 0, "nor a longer one");
	buf_clear(&b);
	r[1].first = 5;
	store_request_write(&b, &q);
	ok(store_request_parse(buf_get(&b), &a, &back) < 0, "ranges must ascend");
	buf_fini(&b);
	arena_reset(&a);
}

static void
test_reply(void)
{
	struct store_range r = { 1, 5 };
	struct store_result res = { .verdict = verdict(TEMP, 452, "4.2.2", "mailbox full"),
		.code = STORE_OVERQUOTA, .uid = 4 };
	struct store_reply q = { .verdict = verdict(OK, 250, "2.0.0", "done"), .uids = &r, .nuids = 1,
		.results = &res, .nresults = 1, .path = S("/p") }, back;
	struct arena a = { 0 };
	struct buf b = { 0 };

	store_reply_write(&b, &q);
	ok(store_reply_parse(buf_get(&b), &a, &back) == 0, "a reply comes back");
	ok(back.uids[0].last == 5 && verdict_reply(&back.results[0].verdict) == 452 &&
	    back.results[0].code == STORE_OVERQUOTA && slice_eq(back.path, S("/p")), "as it was");
	is(back.results[0].verdict.text, "mailbox full", "with its words");
	buf_fini(&b);
	arena_reset(&a);
}

static void
test_pieces(void)
{
	struct store_head h = { STORE_PROTOCOL, STORE_V_COPY, STORE_MORE, 5 }, got;
	struct store_joiner j = { .b = { 0 } };
	char packet[64];
	struct slice body;

	memcpy(packet, &h, 8);
	memcpy(packet + 8, "one ", 4);
	eq(store_join(&j, slice(packet, 12), &got, &body), 0, "the first piece");
	h.flags = 0;
	memcpy(packet, &h, 8);
	memcpy(packet + 8, "two", 3);
	ok(store_join(&j, slice(packet, 11), &got, &body) == 1 && slice_eq(body, S("one two")),
	    "and the second make one");
	ok(store_join(&j, slice(packet, 11), &got, &body) == 1 && slice_eq(body, S("two")), "or one alone");
	eq(store_join(&j, slice(packet, 7), &got, &body), -EBADMSG, "half a head is none");
	buf_fini(&j.b);
}

static void
test_keywords(void)
{
	struct slice rest = S(" a  $Junk "), word;
	uint8_t k1[16], k2[16];

	ok(store_keyword_next(&rest, &word) && slice_eq(word, S("a")) && store_keyword_next(&rest, &word) &&
	    slice_eq(word, S("$Junk")) && !store_keyword_next(&rest, &word), "words");
	ok(store_keyword_ok(S("$Junk")) && !store_keyword_ok(S("a(b")) && !store_keyword_ok(S("\\Seen")) &&
	    !store_keyword_ok(S("")), "atoms only");
	store_dup_key(S("q1"), S("joe@x"), k1);
	store_dup_key(S("q1"), S("joe@x"), k2);
	ok(memcmp(k1, k2, 16) == 0, "duplicate keys repeat");
	store_dup_key(S("q1j"), S("oe@x"), k2);
	ok(memcmp(k1, k2, 16) != 0, "and keep their parts apart");
}

int
main(void)
{
	test_names();
	test_mailbox();
	test_request();
	test_reply();
	test_pieces();
	test_keywords();
	return done();
}
