/* Fuzz: commands as imapd gets them: the lexer however the bytes are cut, then every argument
 * grammar over what it gathered. */
#include "base/must.h"
#include "imap/args.h"
#include "imap/change.h"
#include "../imap/tables.h"
#include "imap/lex.h"
#include "imap/list.h"
#include "imap/metadata.h"
#include "imap/mutf7.h"
#include "imap/notify.h"
#include "imap/select.h"
#include "imap/sort.h"
#include "imap/sources.h"
#include "imap/subject.h"
#include "imap/thread.h"
#include "imap/url.h"
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

/* A base subject lies in the text, and is its own. */
static void
check_subject(struct slice s)
{
	struct buf b = { 0 }, again = { 0 };
	bool reply;
	struct slice base = imap_base_subject(s, &b, &reply);

	must(base.n == 0 || (base.p >= s.p && base.p + base.n <= s.p + s.n) ||
	    (base.p >= b.p && base.p + base.n <= b.p + b.n));
	must(slice_eq(imap_base_subject(base, &again, &reply), base) && !reply);
	buf_fini(&b);
	buf_fini(&again);
}

/* What is named lies in the text's account, whatever the text is. */
static void
check_url(struct slice s, struct arena *a)
{
	struct imap_url u;

	if (imap_url_parse(s, a, &u)) {
		must(u.uid > 0 && (!u.mailbox.p || u.mailbox.n > 0));
		must(!memchr(u.mailbox.p ? u.mailbox.p : "", '\0', u.mailbox.n));
	}
}

static uint32_t
thread_number(const void *arg, uint32_t i)
{
	(void)arg;
	return i + 1;
}

static bool
never_stops(void)
{
	return false;
}

/* The text as mail: each eight octets a message with an ID, a date, a subject and references.  Every
 * message is written once, and the parentheses balance. */
static void
check_threads(struct slice s, enum imap_thread_by by)
{
	struct imap_threads t = { .by = by };
	struct buf b = { 0 };
	size_t numbers = 0, depth = 0;

	for (; s.n >= 8; s = slice_from(s, 8)) {
		const unsigned char *p = (const unsigned char *)s.p;
		struct imap_thread_message m = { .sent_at = p[0] % 16,
			.arrived = p[1],
			.id = p[2] % 32,
			.subject = p[3] % 4,
			.reply = p[3] & 4 };

		imap_threads_add(&t, &m);
		for (size_t i = 0; i < p[4] % 4; i++)
			imap_threads_add_ref(&t, 1 + p[5 + i] % 32);
	}
	must(imap_threads_make(&t, never_stops) == IMAP_THREADS_MADE);
	while (!imap_threads_write(&t, &b, b.n + 16, thread_number, NULL))
		;
	for (size_t i = 0; i < b.n; i++) {
		bool digit = b.p[i] >= '0' && b.p[i] <= '9';

		depth += b.p[i] == '(';
		must(depth > 0);
		depth -= b.p[i] == ')';
		numbers += digit && (b.p[i - 1] == '(' || b.p[i - 1] == ' ');
	}
	must(depth == 0 && numbers == t.n);
	imap_threads_fini(&t);
	buf_fini(&b);
}

/* What is an entry comes out as one, and means itself. */
static void
check_metadata(struct slice s, struct arena *a, struct buf *b)
{
	struct imap_in in = over(s, a);
	struct imap_getmetadata get;
	struct imap_setmetadata set;

	if (imap_getmetadata_parse(&in, &get))
		for (size_t i = 0; i < get.entries.n; i++) {
			const struct imap_entry *e = &get.entries.list[i];

			imap_entry_write(b, e->shared, e->name);
			must(imap_entry_means(e, get.depth, e->shared, e->name));
		}
	else
		must(in.why);
	in = over(s, a);
	if (imap_setmetadata_parse(&in, &set))
		for (size_t i = 0; i < set.entries.n; i++) {
			must(set.entries.list[i].name.n > 1);
			imap_value_write(b, set.entries.list[i].value);
		}
	else
		must(in.why);
}

static void
check_ids(struct slice s)
{
	struct buf scratch = { 0 };
	struct slice id;

	while (imap_thread_id_next(&s, &scratch, &id))
		must(slice_find(id, '@') < id.n);
	must(s.n == 0);
	buf_fini(&scratch);
}

/* Every grammar over the same text. */
static void
check_args(struct slice s)
{
	struct arena a = { 0 };
	struct imap_in in = over(s, &a);
	struct imap_fetch f;
	struct imap_search q;
	struct imap_sort sort;
	enum imap_thread_by by_thread;
	struct imap_flags flags;
	struct imap_list list;
	struct imap_create create;
	struct imap_select select;
	struct imap_store store;
	struct imap_append append;
	struct imap_sources sources;
	struct imap_notify notify;
	struct slice text;
	struct buf b = { 0 };
	char date[IMAP_DATE_TIME_MAX];
	struct imap_day known = { 0 };
	int64_t at;
	int32_t day;
	int zone;
	bool nil, bad = false;

	if (TEST_FETCH(&in, &f)) {
		must(in.s.n <= s.n);
		for (size_t i = 0; i < f.nsections; i++)
			imap_section_write(&b, &f.sections[i]);
	} else {
		must(in.why);
	}
	in = over(s, &a);
	must(TEST_SEARCH(&in, &q) || in.why);
	in = over(s, &a);
	must((imap_search_parse_options(&in, &q) && imap_sort_parse(&in, &sort) &&
		 TEST_PROGRAM(&in, &q)) ||
	    in.why);
	in = over(s, &a);
	q = (struct imap_search){ 0 };
	must((imap_thread_parse(&in, &by_thread) && TEST_PROGRAM(&in, &q)) || in.why);
	check_subject(s);
	check_ids(s);
	for (int by = 0; by < 3; by++)
		check_threads(s, (enum imap_thread_by)by);
	in = over(s, &a);
	must(imap_flag_list(&in, true, &flags) || in.why);
	in = over(s, &a);
	if (imap_list_parse(&in, table_status, NELEM(table_status), &list))
		for (size_t i = 0; i < list.npatterns; i++)
			(void)imap_pattern_matches(&list.patterns[i], S("INBOX/a/b"), true);
	else
		must(in.why);
	in = over(s, &a);
	must(imap_lsub_parse(&in, &list) || in.why);
	in = over(s, &a);
	must(imap_create_parse(&in, &create) || in.why);
	in = over(s, &a);
	if (imap_select_parse(&in, &select))
		must(imap_set_count(&select.seqs) == imap_set_count(&select.uids));
	else
		must(in.why);
	in = over(s, &a);
	if (imap_store_parse(&in, &store))
		must(imap_keywords_join(&store.flags, &a).n <= s.n);
	else
		must(in.why);
	in = over(s, &a);
	must(imap_sources_parse(&in, &sources) || in.why);
	(void)imap_sources_named(&sources, s);
	in = over(s, &a);
	if (imap_notify_parse(&in, test_atts, &notify))
		must(notify.ngroups <= IMAP_ITEMS_MAX && notify.atts.n <= s.n &&
		    (notify.none || !(notify.selected & ~(unsigned)IMAP_NOTIFY_MESSAGES)));
	else
		must(in.why);
	in = over(s, &a);
	must(imap_append_parse(&in, &append) || in.why);
	check_url(s, &a);
	check_metadata(s, &a, &b);
	in = over(s, &a);
	must(imap_append_further(&in, &append) || in.why);
	in = over(s, &a);
	if (imap_mailbox(&in, &text, &bad) && !bad)
		imap_write_mailbox(&b, text, s.n % 2);
	in = over(s, &a);
	if (imap_nstring(&in, &text, &nil))
		imap_write_nstring(&b, text);
	in = over(s, &a);
	(void)!imap_list_mailbox(&in, &text);
	in = over(s, &a);
	(void)!imap_date(&in, &day);
	in = over(s, &a);
	if (imap_date_time(&in, &at, &zone))
		must(imap_date_time_at(date, at, zone, &known) <= date + sizeof(date));
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

			if (imap_tag(&args, &word) && imap_space(&args) &&
			    imap_atom(&args, &word)) {
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
