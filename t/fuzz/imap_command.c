/* Fuzz: commands as imapd gets them: the lexer however the bytes are cut, then every argument
 * grammar over what it gathered. */
#include "base/must.h"
#include "imap/args.h"
#include "imap/change.h"
#include "imap/fetch.h"
#include "imap/lex.h"
#include "imap/list.h"
#include "imap/mutf7.h"
#include "imap/search.h"
#include "imap/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct imap_in
over(struct slice s, struct arena *a)
{
	return (struct imap_in){ .s = s, .arena = a };
}

/* A name that was understood is written and read back the same. */
static void
check_name(struct slice wire)
{
	struct buf name = { 0 }, again = { 0 }, back = { 0 };

	if (imap_mutf7_parse(&name, wire) == 0) {
		imap_mutf7_write(&again, buf_get(&name));
		must(imap_mutf7_parse(&back, buf_get(&again)) == 0);
		must(slice_eq(buf_get(&name), buf_get(&back)));
	}
	buf_fini(&name);
	buf_fini(&again);
	buf_fini(&back);
}

static void
check_set(struct slice s, struct arena *a)
{
	struct imap_set set, again;
	struct buf b = { 0 };

	if (imap_set_parse(s, a, &set) == 0) {
		imap_set_resolve(&set, 1000);
		imap_set_write(&b, &set);
		if (set.n > 0) {
			must(imap_set_parse(buf_get(&b), a, &again) == 0);
			imap_set_resolve(&again, 1);
			must(imap_set_count(&again) == imap_set_count(&set));
		}
		for (size_t i = 0; i < set.n; i++)
			must(set.r[i].lo <= set.r[i].hi && imap_set_has(&set, set.r[i].lo) &&
			    (i == 0 || set.r[i - 1].hi < set.r[i].lo));
	}
	buf_fini(&b);
}

/* Every grammar over the same text. */
static void
check_args(struct slice s)
{
	struct arena a = { 0 };
	struct imap_in in = over(s, &a);
	struct imap_fetch f;
	struct imap_search q;
	struct imap_flags flags;
	struct imap_list list;
	struct imap_store store;
	struct imap_append append;
	struct slice text;
	struct buf b = { 0 };
	int64_t at;
	int32_t day;
	int zone;
	bool nil, bad = false;

	if (imap_fetch_parse(&in, &f)) {
		must(in.s.n <= s.n);
		for (size_t i = 0; i < f.nsections; i++)
			imap_section_write(&b, &f.sections[i]);
	} else {
		must(in.why);
	}
	in = over(s, &a);
	must(imap_search_parse(&in, &q) || in.why);
	in = over(s, &a);
	must(imap_flag_list(&in, true, &flags) || in.why);
	in = over(s, &a);
	if (imap_list_parse(&in, &list))
		for (size_t i = 0; i < list.npatterns; i++)
			(void)imap_pattern_matches(list.patterns[i], S("INBOX/a/b"), true);
	else
		must(in.why);
	in = over(s, &a);
	must(imap_lsub_parse(&in, &list) || in.why);
	in = over(s, &a);
	if (imap_store_parse(&in, &store))
		must(imap_keywords_join(&store.flags, &a).n <= s.n);
	else
		must(in.why);
	in = over(s, &a);
	must(imap_append_parse(&in, &append) || in.why);
	in = over(s, &a);
	if (imap_mailbox(&in, &text, &bad) && !bad)
		imap_write_mailbox(&b, text);
	in = over(s, &a);
	if (imap_nstring(&in, &text, &nil))
		imap_write_nstring(&b, text);
	in = over(s, &a);
	(void)!imap_list_mailbox(&in, &text);
	in = over(s, &a);
	(void)!imap_date(&in, &day);
	in = over(s, &a);
	if (imap_date_time(&in, &at, &zone))
		imap_write_date_time(&b, at, zone);
	check_name(s);
	check_set(s, &a);
	buf_fini(&b);
	arena_reset(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct imap_lex l = { .cap = 4096 };
	struct slice in = slice((const char *)data, n);
	/* The first byte says how the stream is cut. */
	size_t step = n > 0 && data[0] % 4 ? data[0] % 16 + 1u : n + 1;

	while (in.n > 0) {
		struct slice piece = slice_sub(in, 0, step);
		size_t used;
		enum imap_lexed r = imap_lex_feed(&l, piece, &used);

		must(used <= piece.n && l.text.n <= 4096 + 64);
		in = slice_from(in, used);
		if (r == IMAP_LEX_MESSAGE) {
			in = slice_from(in, l.literal < in.n ? (size_t)l.literal : in.n);
			imap_lex_message_taken(&l);
		} else if (r == IMAP_LEX_DONE) {
			struct slice s = buf_get(&l.text), word;
			struct arena a = { 0 };
			struct imap_in args = over(s, &a);

			if (imap_tag(&args, &word) && imap_space(&args) && imap_atom(&args, &word)) {
				check_args(args.s); /* with the blank in front, and without */
				check_args(slice_from(args.s, 1));
			}
			arena_reset(&a);
			imap_lex_reset(&l);
		} else if (r == IMAP_LEX_TOO_LONG) {
			imap_lex_reset(&l);
		} else if (r == IMAP_LEX_FLOOD) {
			break;
		} else {
			must(r == IMAP_LEX_CONTINUE || used == piece.n);
		}
	}
	imap_lex_reset(&l);
	check_args(slice((const char *)data, n > 4096 ? 4096 : n));
	return 0;
}
