/* imap/select.c: the grammar of SELECT and EXAMINE with their parameters. */
#include "imap/select.h"

static bool
imap_select_fail(struct imap_in *in, const char *why)
{
	if (!in->why)
		in->why = why;
	return false;
}

/* A set of numbers that are: no "*", no "$".  With `ascending` in this order, else put into it. */
static bool
select_numbers(struct imap_in *in, bool ascending, struct imap_set *set)
{
	if (!imap_sequence(in, set))
		return false;
	if (set->saved)
		return imap_select_fail(in, "Numbers expected");
	for (size_t i = 0; i < set->n; i++) {
		const struct imap_range *r = &set->r[i];

		if (r->lo == IMAP_STAR || r->hi == IMAP_STAR)
			return imap_select_fail(in, "* is no known number");
		if (ascending && (r->lo > r->hi || (i > 0 && r->lo <= r[-1].hi)))
			return imap_select_fail(in, "Numbers must ascend");
	}
	if (!ascending)
		(void)imap_set_resolve(set, 0);
	return true;
}

/* "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"	RFC 7162 7 */
static bool
select_qresync(struct imap_in *in, struct imap_select *s)
{
	int more;

	if (!imap_space(in) || !imap_open(in) || !imap_nz_number(in, &s->uidvalidity) ||
	    !imap_space(in) || !imap_modseq(in, &s->modseq))
		return false;
	if (s->modseq == 0)
		return imap_select_fail(in, "Mod-sequence must not be zero");
	more = imap_more(in);
	if (more > 0 && !imap_next_is(in, '(')) {
		s->some = true;
		if (!select_numbers(in, false, &s->known))
			return false;
		more = imap_more(in);
	}
	if (more > 0) {
		if (!imap_open(in) || !select_numbers(in, true, &s->seqs) || !imap_space(in) ||
		    !select_numbers(in, true, &s->uids) || imap_more(in) != 0)
			return imap_select_fail(in, "Bad sequence match data");
		if (imap_set_count(&s->seqs) != imap_set_count(&s->uids))
			return imap_select_fail(in, "As many UIDs as sequence numbers expected");
		more = imap_more(in);
	}
	return more == 0 || imap_select_fail(in, "Bad QRESYNC parameter");
}

static bool
select_params(struct imap_in *in, struct imap_select *s)
{
	int more = 1;

	if (!imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in)) {
		if (imap_word(in, "CONDSTORE")) {
			s->condstore = true;
		} else if (!s->qresync && imap_word(in, "QRESYNC")) {
			s->qresync = true;
			if (!select_qresync(in, s))
				return false;
		} else {
			return imap_select_fail(in, "Unknown SELECT parameter");
		}
	}
	return more == 0;
}

bool
imap_select_parse(struct imap_in *in, struct imap_select *s)
{
	*s = (struct imap_select){ 0 };
	return imap_space(in) && imap_mailbox(in, &s->mailbox, &s->bad_name) &&
	    (!imap_char(in, ' ') || select_params(in, s)) && imap_end(in);
}
