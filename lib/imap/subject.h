/* imap/subject.h: the base subject of RFC 5256 2.1: a subject without "Re:", "Fwd:", "[list]" and
 * their kind, so that answers sort and thread beside what they answer.  Pure. */
#ifndef IMAP_SUBJECT_H
#define IMAP_SUBJECT_H
#include "base/buf.h"

/* `text` is the field's value with its encoded words decoded (UTF-8); folds may be in it.  Returns
 * the base subject, which lies in it or, where blanks had to become single ones, in `scratch`.
 * *reply: something went that says it is an answer or was forwarded (2.1, last sentence).  Costs the
 * bytes of the text. */
struct slice imap_base_subject(struct slice text, struct buf *scratch, bool *reply);
#endif
