/* detour.c: recipients whose channel wants the message to go through another one first (mta/detour.h).
 *
 * Called by message.c when the header is known, behind the stages' look and before the queue: only then can be told
 * whether a message is one in pieces.  Nothing fails.  What recipients are held for, released at or told stays
 * theirs.  A copy for a Sent folder goes there as it is.  Must stay true: no message that mail filters have not seen is made of
 * pieces that they have. */
#include "mail/partial.h"
#include "mta/detour.h"
#include "filters.h"

void
detour_take(struct session *s, struct slice fields)
{
	struct arena *a = &s->smtp.arena;
	struct partial p;
	bool piece = !filters_wanted(s) && partial_parse(fields, a, &p);

	for (size_t i = 0; i < s->nrcpts; i++) {
		struct qrcpt *q = &s->rcpts[i];
		const char *by =
		    mta_detour(relay.channels, relay_message_source(s), q->channel, piece);

		if (!by)
			continue;
		q->dest = mta_detour_write(a, q->channel, q->dest);
		q->channel = by;
	}
}
