/* Names of files and folders, and records, as bytes. */
#include <errno.h>

#include "../tap.h"
#include "base/crc.h"
#include "base/mem.h"
#include "store/format.h"

static void
test_names(void)
{
	struct buf b = { 0 }, back = { 0 };
	char name[STORE_NAME_MAX + 1], longer[300];

	store_folder_dir(&b, S("joe@example.test"), S("a/100%/\xc3\xa9"));
	ok(strstr(buf_cstr(&b), "/=joe@example.test/=a/=100%25/=\xc3\xa9"), "folder: %s",
	    buf_cstr(&b));
	ok(strncmp(b.p, "=user/", 6) == 0, "below =user");
	buf_clear(&b);
	store_message_name(&b, 70000);
	is(buf_cstr(&b), "/11/70000.msg", "message");
	buf_clear(&b);
	store_component_write(&b, S("a/b%\x01"));
	is(buf_cstr(&b), "=a%2Fb%25%01", "component");
	ok(store_component_parse(buf_get(&b), &back) == 0 &&
		slice_eq(buf_get(&back), S("a/b%\x01")),
	    "and back");
	ok(store_component_parse(S("00"), &back) < 0 &&
		store_component_parse(S("=a%2"), &back) < 0 &&
		store_component_parse(S("=%zz"), &back) < 0,
	    "what is none");
	ok(store_name_check(S("inbox"), name) == 0 && strcmp(name, "INBOX") == 0, "inbox is INBOX");
	ok(store_name_check(S("Inbox/x"), name) == 0 && strcmp(name, "INBOX/x") == 0,
	    "and its children");
	ok(store_name_check(S("inboxes"), name) == 0 && strcmp(name, "inboxes") == 0, "no more");
	ok(store_name_check(S(""), name) < 0 && store_name_check(S("/a"), name) < 0 &&
		store_name_check(S("a/"), name) < 0 && store_name_check(S("a//b"), name) < 0 &&
		store_name_check(S("a\nb"), name) < 0 && store_name_check(S("\xff"), name) < 0,
	    "names that are refused");
	memset(longer, 'x', sizeof(longer));
	ok(store_name_check(slice(longer, 200), name) < 0 &&
		store_name_check(slice(longer, 199), name) == 0,
	    "a component has its limit");
	ok(store_account_check(S("joe@example.test")) == 0 && store_account_check(S("Joe@x")) < 0 &&
		store_account_check(S("a/b")) < 0 && store_account_check(S("")) < 0 &&
		store_account_check(S("a b")) < 0,
	    "accounts");
	buf_fini(&b);
	buf_fini(&back);
}

static void
test_mailbox(void)
{
	struct store_disk_mailbox d = { .version = STORE_VERSION,
		.nkeywords = 2,
		.exists = 5,
		.nruns = 2,
		.head = sizeof(struct store_disk_mailbox),
		.objectid = 77,
		.account_len = 3,
		.name_len = 5 };
	struct store_range runs[2] = { { 1, 3 }, { 9, 10 } };
	struct store_mailbox m;
	struct buf b = { 0 };
	uint32_t crc;

	buf_add(&b, &d, sizeof(d));
	buf_add(&b, runs, sizeof(runs));
	buf_lit(&b,
	    "joeINBOX\x01"
	    "a\x02"
	    "bc");
	crc = crc32c(0, b.p, b.n);
	memcpy(b.p + offsetof(struct store_disk_mailbox, crc), &crc, 4);
	ok(store_mailbox_crc_ok(buf_get(&b)), "a good checksum");
	ok(store_mailbox_parse(buf_get(&b), 7, true, &m) == 0 && m.id == 7 && m.exists == 5 &&
		m.objectid == 77,
	    "parsed");
	ok(slice_eq(m.account_name, S("joe")) && slice_eq(m.name, S("INBOX")) &&
		slice_eq(m.keywords[1], S("bc")) && store_mailbox_run(&m, 1).last == 10,
	    "all of it");
	b.p[b.n - 1] ^= 1;
	ok(!store_mailbox_crc_ok(buf_get(&b)), "a changed byte is seen");
	for (size_t n = 0; n < b.n; n++)
		if (store_mailbox_parse(slice(b.p, n), 7, true, &m) == 0)
			break;
		else if (n == b.n - 1)
			ok(true, "no shorter one is taken");
	buf_fini(&b);
}

/* What a store says of its tables, to an older and to a newer program. */
static void
test_format(void)
{
	struct store_disk_format head = { .version = 1,
		.major = STORE_MAJOR,
		.minor = 9,
		.ntables = 2 };
	struct store_disk_table meta = { 1, 1, 0, 4 }, extra = { 1, 2, 1, 5 };
	struct store_format f;
	struct buf b = { 0 };
	char *why = NULL;

	ok(store_format_check(slice(NULL, 0), &f, &why) == 0 && f.major == 1 &&
		f.tables & 1u << STORE_T_TOMBSTONE && !(f.tables & 1u << STORE_T_CHANGE),
	    "format 1 had no row");
	store_format_write(&b, 5, 0);
	ok(store_format_check(buf_get(&b), &f, &why) == 0 && f.major == STORE_MAJOR &&
		f.tables & 1u << STORE_T_CHANGE && !(f.tables & 1u << STORE_T_TOMBSTONE),
	    "our own");
	for (size_t n = 1; n < b.n; n++, mem_free(&why))
		if (store_format_check(slice(b.p, n), &f, &why) == 0)
			ok(false, "a row cut off at %zu", n);
	buf_clear(&b);
	buf_add(&b, &head, sizeof(head));
	buf_add(&b, &meta, sizeof(meta));
	buf_lit(&b, "meta");
	buf_add(&b, &extra, sizeof(extra));
	buf_lit(&b, "extra");
	ok(store_format_check(buf_get(&b), &f, &why) == 0 && f.minor == 9 &&
		f.tables == 1u << STORE_T_META,
	    "a table that is not known and may be done without");
	b.p[b.n - 7] = 0;
	ok(store_format_check(buf_get(&b), &f, &why) < 0 && strstr(why, "table extra"),
	    "one that is critical is refused by name");
	mem_free(&why);
	b.p[b.n - 7] = 1;
	b.p[sizeof(head)] = 2;
	ok(store_format_check(buf_get(&b), &f, &why) < 0 && strstr(why, "table meta of version 2"),
	    "a known one of a later version too");
	mem_free(&why);
	b.p[2] = STORE_MAJOR + 1;
	ok(store_format_check(buf_get(&b), &f, &why) < 0 && strstr(why, "needs a newer"),
	    "and a later major format");
	mem_free(&why);
	buf_fini(&b);
}

int
main(void)
{
	test_names();
	test_mailbox();
	test_format();
	return done();
}
