/* nfc.c: form C by libutf8proc, in runs that begin where nothing before can matter.
 *
 * Putting marks in order costs the square of their number, and a stranger chooses how many there are:
 * text is therefore cut in runs.  A cut is right before a character that composes with nothing before
 * it; where none comes within NFC_RUN_MAX characters the text is no text, and it is cut there. */
#include "base/nfc.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "base/utf8.h"

#define NFC_PLAIN 0x300 /* below: never a mark, and never changed when no mark follows */
#define NFC_RUN   32    /* characters after which a run ends at the next chance */

/* The second and third letters of a Hangul syllable: they compose, and are no marks. */
#define NFC_JAMO_FIRST 0x1161
#define NFC_JAMO_LAST  0x11ff

static bool
nfc_begins(int32_t cp)
{
	utf8proc_category_t category;

	if (cp < NFC_PLAIN)
		return true;
	if (cp >= NFC_JAMO_FIRST && cp <= NFC_JAMO_LAST)
		return false;
	category = utf8proc_category(cp);
	return category != UTF8PROC_CATEGORY_MN && category != UTF8PROC_CATEGORY_MC &&
	    category != UTF8PROC_CATEGORY_ME;
}

static void
nfc_compose(struct buf *b, struct slice run)
{
	utf8proc_uint8_t *to = NULL;
	utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)run.p, (utf8proc_ssize_t)run.n,
	    &to, UTF8PROC_STABLE | UTF8PROC_COMPOSE);

	if (n < 0) /* no text of ours is refused; what it does not know stays as it is */
		buf_slice(b, run);
	else
		buf_add(b, to, (size_t)n);
	free(to);
}

/* Takes a run off the front of *s, and says whether all of it is plain. */
static struct slice
nfc_run(struct slice *s, bool *plain)
{
	struct slice run = *s, rest = *s;
	size_t chars = 0;

	*plain = true;
	while (rest.n > 0) {
		struct slice next = rest;
		int32_t cp = utf8_next(&next);

		if (cp < 0 || chars >= NFC_RUN_MAX)
			break;
		if (chars >= NFC_RUN && nfc_begins(cp))
			break;
		*plain = *plain && cp < NFC_PLAIN;
		chars++;
		rest = next;
	}
	run.n = (size_t)(rest.p - run.p);
	*s = rest;
	return run;
}

void
nfc_to(struct buf *b, struct slice s)
{
	while (s.n > 0) {
		bool plain;
		struct slice run = nfc_run(&s, &plain);

		if (run.n == 0) { /* a bad byte stands there */
			(void)utf8_next(&s);
			utf8_put(b, 0xfffd);
		} else if (plain) {
			buf_slice(b, run);
		} else {
			nfc_compose(b, run);
		}
	}
}
