/* lmtpd/spam.c: see spam.h.  Called by deliver.c and filter.c, on the loop.
 *
 * Cannot fail: a header that cannot be read says nothing.  Must stay true: the same message gives the same folder when it
 * comes again, or it would be there twice. */
#include "spam.h"

#include <unistd.h>

#include "base/log.h"
#include "mail/header.h"
#include "mail/score.h"
#include "store/request.h"

#define HEADER_MOST  (1024 * 1024) /* of a message that is in its file already */
#define HEADER_PIECE 65536

static struct score_rule spamtest, virustest;

/* ---- the folder ------------------------------------------------------------------------------ */

/* The header of a message that was too large for memory; what was just written is read from there. */
static void
spam_read(const struct lsession *s, struct buf *header)
{
	ssize_t n;

	do {
		buf_grow(header, HEADER_PIECE);
		n = pread(s->body.fd, header->p + header->n, HEADER_PIECE, (off_t)header->n);
		header->n += n > 0 ? (size_t)n : 0;
	} while (n > 0 && header->n < HEADER_MOST && header_len(buf_get(header)) == header->n);
}

static bool
spam_says(struct slice header)
{
	struct header_field f;

	return header_find(header, slice_str(lconf.spam_field), &f) &&
	    slice_istarts(slice_trim(f.value), slice_str(lconf.spam_value));
}

void
spam_look(struct lsession *s)
{
	struct buf header = { 0 };
	bool asked = false;

	s->spam = false;
	for (size_t i = 0; i < s->nrcpt && !asked; i++)
		asked = s->rcpts[i].files_spam;
	if (!asked)
		return;
	if (!s->bytes.n)
		spam_read(s, &header);
	s->spam = spam_says(s->bytes.n ? buf_get(&s->bytes) : buf_get(&header));
	buf_fini(&header);
}

bool
spam_wanted(const struct dir_user *u, const struct dir_domain *d)
{
	enum dir_spam say = u->spam;

	if (!*lconf.spam_folder)
		return false;
	if (say == DIR_SPAM_UNSAID && d)
		say = d->spam;
	return lconf.spam_optin ? say == DIR_SPAM_IN : say != DIR_SPAM_OUT;
}

bool
spam_filed(const struct lsession *s, const struct lrcpt *r)
{
	return s->spam && r->files_spam && !r->sent && r->folder.n == 0;
}

/* ---- scripts --------------------------------------------------------------------------------- */

/* Of words their numbers from 1 on, which spamtest counts from 1 to 10; 0: not tested (RFC 5235 3.2.1). */
int
spam_percent(struct slice header)
{
	int n = score_find(&spamtest, header);

	if (spamtest.type != SCORE_TEXT)
		return n;
	return n < 1 ? -1 : (100 * (n - 1) + 8) / 9;
}

/* RFC 5235 3.3.1: 1 is clean, 5 is certain; 0 is not tested. */
int
spam_virus(struct slice header)
{
	int n = score_find(&virustest, header);

	if (n < 0 || virustest.type == SCORE_TEXT)
		return n < 0 ? 0 : n;
	return 1 + n * 4 / 100;
}

/* ---- settings -------------------------------------------------------------------------------- */

static bool
spam_rule(struct score_rule *r, const struct spam_test *t, int most, const char *section,
    struct buf *why)
{
	const char *words = "";

	if (score_init(r, (enum score_type)t->type, t->header, t->max_header, t->max, t->texts,
		most, &words) == 0)
		return true;
	if (why)
		buf_printf(why, "%s: [%s] status_header = %s: %s\n", conf_where(&t->header),
		    section, t->header, words);
	return false;
}

void
spam_settings(void)
{
	score_fini(&spamtest);
	score_fini(&virustest);
	(void)spam_rule(&spamtest, &lconf.spamtest, 10, "spamtest", NULL);
	(void)spam_rule(&virustest, &lconf.virustest, 5, "virustest", NULL);
}

bool
spam_check(struct buf *why)
{
	char name[STORE_NAME_MAX + 1];
	struct score_rule one, two;
	bool good = true;

	if (*lconf.spam_folder && store_name_check(slice_str(lconf.spam_folder), name) < 0) {
		buf_printf(why, "%s: [spam] folder = %s: no folder can have this name\n",
		    conf_where(&lconf.spam_folder), lconf.spam_folder);
		good = false;
	}
	if (*lconf.spam_folder && !*lconf.spam_field) {
		buf_printf(why, "%s: [spam] folder needs a field\n",
		    conf_where(&lconf.spam_folder));
		good = false;
	}
	good &= spam_rule(&one, &lconf.spamtest, 10, "spamtest", why);
	good &= spam_rule(&two, &lconf.virustest, 5, "virustest", why);
	score_fini(&one);
	score_fini(&two);
	return good;
}
