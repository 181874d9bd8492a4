/* sent.c: see sent.h. */
#include "message/sent.h"
#include "store/client.h"

bool
message_sent_key(struct slice rec, uint8_t key[16])
{
	struct slice id;

	if (message_digest_text(rec, MESSAGE_MESSAGE_ID, &id) < 0)
		return false;
	id = slice_trim(id);
	if (id.n == 0)
		return false;
	store_dup_key(id, S("sent\n"), key);
	return true;
}
