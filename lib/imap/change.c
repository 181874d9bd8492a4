/* imap/change.c: the grammar of STORE, APPEND and REPLACE: RFC 3501 9, RFC 7162 7, RFC 4466,
 * RFC 4469, RFC 6855 4, RFC 8508 5. */
#include "imap/change.h"

#include "base/buf.h"

static bool
imap_change_fail(struct imap_in *in, const char *why)
{
	if (!in->why)
		in->why = why;
	return false;
}

/* store-modifiers = "(" UNCHANGEDSINCE SP n ")"		RFC 7162 7 */
static bool
imap_change_parse_modifiers(struct imap_in *in, struct imap_store *st)
{
	int more = 1;

	if (!imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in)) {
		if (!imap_word(in, "UNCHANGEDSINCE"))
			return imap_change_fail(in, "Unknown STORE modifier");
		if (!imap_space(in) || !imap_modseq(in, &st->unchangedsince))
			return false;
		st->conditional = true;
	}
	return more == 0;
}

bool
imap_store_parse(struct imap_in *in, struct imap_store *st)
{
	*st = (struct imap_store){ 0 };
	if (!imap_space(in) || !imap_sequence(in, &st->set) || !imap_space(in))
		return false;
	if (imap_next_is(in, '(') && (!imap_change_parse_modifiers(in, st) || !imap_space(in)))
		return false;
	st->how = imap_char(in, '+') ? IMAP_ADD : imap_char(in, '-') ? IMAP_REMOVE : IMAP_REPLACE;
	st->silent = imap_word(in, "FLAGS.SILENT");
	if (!st->silent && !imap_word(in, "FLAGS"))
		return imap_change_fail(in, "FLAGS expected");
	return imap_space(in) && imap_flag_list(in, true, &st->flags) && imap_end(in);
}

bool
imap_append_parse(struct imap_in *in, struct imap_append *a)
{
	*a = (struct imap_append){ 0 };
	return imap_space(in) && imap_mailbox(in, &a->mailbox, &a->bad_name) &&
	    imap_append_further(in, a);
}

/* "REPLACE" SP seq-number SP mailbox append-message		RFC 8508 5 */
bool
imap_replace_parse(struct imap_in *in, uint32_t *number, struct imap_append *a)
{
	*number = 0;
	return imap_space(in) && (imap_char(in, '*') || imap_nz_number(in, number)) &&
	    imap_append_parse(in, a);
}

bool
imap_append_further(struct imap_in *in, struct imap_append *a)
{
	a->flags = (struct imap_flags){ 0 };
	a->at = a->zone = 0;
	a->binary = a->utf8 = a->catenate = false;
	if (!imap_space(in))
		return false;
	if (imap_next_is(in, '(') && (!imap_flag_list(in, false, &a->flags) || !imap_space(in)))
		return false;
	for (size_t i = 0; i < a->flags.nkeywords; i++)
		a->flags.keywords[i] = arena_slice(in->arena, a->flags.keywords[i]);
	a->dated = imap_next_is(in, '"');
	if (a->dated && (!imap_date_time(in, &a->at, &a->zone) || !imap_space(in)))
		return false;
	if (imap_word(in, "CATENATE")) {
		a->catenate = true;
		return imap_space(in) &&
		    (imap_char(in, '(') || imap_change_fail(in, "Parts expected"));
	}
	if (imap_word(in, "UTF8")) {
		a->utf8 = true;
		if (!imap_space(in) || !imap_char(in, '('))
			return imap_change_fail(in, "UTF8 ( expected");
	}
	a->binary = imap_char(in, '~');
	return (imap_next_is(in, '{') && a->binary >= a->utf8) ||
	    imap_change_fail(in, "Literal expected");
}

struct slice
imap_keywords_join(const struct imap_flags *f, struct arena *a)
{
	struct buf b = { 0 };
	struct slice s;

	for (size_t i = 0; i < f->nkeywords; i++) {
		if (i > 0)
			buf_char(&b, ' ');
		buf_slice(&b, f->keywords[i]);
	}
	s = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	return s;
}
