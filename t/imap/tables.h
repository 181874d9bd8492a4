/* Tables of FETCH items and SEARCH keys for tests of the grammar: imapd's without what they do. */
#ifndef T_IMAP_TABLES_H
#define T_IMAP_TABLES_H
#include "imap/list.h"
#include "imap/fetch.h"
#include "imap/search.h"

static inline void
test_write(struct imap_fetch_row *row UNUSED)
{
}

/* clang-format off */
static const struct imap_fetch_item test_items[] = {
	{ .name = "UID" }, { .name = "FLAGS" }, { .name = "INTERNALDATE" }, { .name = "RFC822.SIZE" },
	{ .name = "ENVELOPE", .need = IMAP_NEED_CACHE }, { .name = "BODY", .need = IMAP_NEED_CACHE },
	{ .name = "BODYSTRUCTURE", .need = IMAP_NEED_CACHE }, { .name = "MODSEQ" },
	{ .name = "PREVIEW", .parse = imap_fetch_preview, .write = test_write },
	{ .name = "BODY[", .parse = imap_fetch_section },
	{ .name = "BODY.PEEK[", .parse = imap_fetch_section },
	{ .name = "BINARY[", .parse = imap_fetch_binary },
	{ .name = "BINARY.PEEK[", .parse = imap_fetch_binary },
	{ .name = "BINARY.SIZE[", .parse = imap_fetch_binary },
	{ .name = "RFC822", .parse = imap_fetch_rfc822 },
	{ .name = "RFC822.HEADER", .parse = imap_fetch_rfc822 },
	{ .name = "RFC822.TEXT", .parse = imap_fetch_rfc822 },
};
#define TEST_MODSEQ 7
static const struct imap_key_word test_words[] = {
	{ NULL, IMAP_ARG_SET, .cost = 0 },
	{ "ALL", IMAP_ARG_NONE, .cost = 0 }, { "BODY", IMAP_ARG_TEXT, .cost = 2 }, { "DELETED", IMAP_ARG_NONE, .cost = 0 },
	{ "HEADER", IMAP_ARG_HEADER, .cost = 2 }, { "KEYWORD", IMAP_ARG_KEYWORD, .cost = 0 },
	{ "EMAILID", IMAP_ARG_OBJECTID, .cost = 0 },
	{ "LARGER", IMAP_ARG_NUMBER, .cost = 0 }, { "MODSEQ", IMAP_ARG_MODSEQ, .cost = 0 }, { "SEEN", IMAP_ARG_NONE, .cost = 0 },
	{ "SINCE", IMAP_ARG_DAY, .cost = 0 }, { "SUBJECT", IMAP_ARG_TEXT, .cost = 1 }, { "UID", IMAP_ARG_SET, .cost = 0 },
};
/* clang-format on */
#define TEST_FETCH(in, f)   imap_fetch_parse(in, test_items, NELEM(test_items), TEST_MODSEQ, f)
#define TEST_SEARCH(in, q)  imap_search_parse(in, test_words, NELEM(test_words), q)
#define TEST_PROGRAM(in, q) imap_search_parse_program(in, test_words, NELEM(test_words), q)
/* Of NOTIFY. */
static inline bool
test_atts(struct imap_in *in)
{
	struct imap_fetch f;

	return imap_next_is(in, '(') && TEST_FETCH(in, &f);
}
/* Of STATUS, and of LIST with it. */
static const struct imap_status_item table_status[] __attribute__((unused)) = {
	{ "MESSAGES", NULL, false, "test" },
	{ "SIZE", NULL, false, "test" },
	{ "HIGHESTMODSEQ", NULL, true, "test" },
};

#endif
