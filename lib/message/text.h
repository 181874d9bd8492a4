/* message/text.h: what people read in a message, as text that can be searched.
 *
 * One form for all who look into messages (SEARCH, the digest's copies, previews, an index):
 * UTF-8, folded by utf8_fold_to (who compares makes casemap_search_to of it), transfer encodings,
 * charsets, encoded words and folds undone.
 * Pure; any input gives some text. */
#ifndef MESSAGE_TEXT_H
#define MESSAGE_TEXT_H
#include "mail/address.h"
#include "mail/mime.h"
#include "mail/text.h"

/* Appends the text of a header field's value (as it stands, folds included).  Of a field with
 * addresses (From, To, ...) also each name and address without comments, blanks and quoting
 * where the text does not show it that way already: `a (x) @ b.c` is found as a@b.c.  Cost is
 * linear; `a` is scratch. */
void message_field_text(struct buf *out, struct slice name, struct slice value, struct arena *a);
/* Is that text `value`, trimmed, but for the case of letters?  `list` are the addresses in it, of a field
 * that has some.  False: perhaps. */
bool message_field_shows(struct slice value, const struct address_list *list);

/* Appends the values of a part's parameters, Content-Type's and Content-Disposition's, decoded
 * (RFC 2231), each on a line of its own: names of attachments. */
void message_param_text(struct buf *out, const struct mime_part *p, struct arena *a);

/* Is the part's body text that people read?  text/..., and what reports are made of (message/
 * delivery-status and its kind). */
bool message_is_text(const struct mime_part *p);

/* The body of a part, piece by piece. */
struct message_text {
	struct text_reader reader;
	struct buf plain;
};
void message_text_open(struct message_text *t, const struct mime *m, const struct mime_part *p);
/* Appends the next piece (at most about 192 KiB, perhaps nothing).  False at the end. */
bool message_text_next(struct message_text *t, struct buf *out);
void message_text_close(struct message_text *t);
#endif
