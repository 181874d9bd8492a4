/* imap/id.c: see imap/id.h. */
#include "imap/id.h"

bool
imap_id_read(struct imap_in *in, struct buf *said,
    void (*each)(void *arg, struct slice field, struct slice value), void *arg)
{
	struct slice field, value;
	int more = 1;
	bool nil;

	if (!imap_space(in))
		return false;
	if (imap_word(in, "NIL"))
		return imap_end(in);
	if (!imap_open(in))
		return false;
	if (imap_next_is(in, ')'))
		more = imap_more(in);
	for (int n = 0; more > 0; more = imap_more(in), n++) {
		if (n == IMAP_ID_FIELDS || !imap_string(in, &field) || !imap_space(in) ||
		    !imap_nstring(in, &value, &nil))
			return false;
		if (!nil && each)
			each(arg, field, value);
		buf_slice(said, field);
		buf_char(said, '=');
		buf_slice(said, value);
		buf_char(said, ' ');
	}
	return more == 0 && imap_end(in);
}
