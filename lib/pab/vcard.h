/* pab/vcard.h: Cards of JSContact (RFC 9553) as vCards and back, by the mapping of RFC 9555.  Pure.
 *
 * Written are vCard 4 (RFC 6350) and 3 (RFC 2426), in lines of 75 octets; read is also what telephones write as 2.1.
 * What a Card has no place for is kept in vCardProps (RFC 9555 2.15), and written again.  The web client has the
 * same in JavaScript (model/vcard.js). */
#ifndef PAB_VCARD_H
#define PAB_VCARD_H
#include "base/arena.h"
#include "json/json.h"

enum pab_vcard_version { PAB_VCARD_4, PAB_VCARD_3 };
/* Appends BEGIN:VCARD to END:VCARD. */
void pab_vcard_write(struct buf *b, const struct json_t *card, enum pab_vcard_version v);
/* Takes the next vCard off the front of a file, and appends it as the JSON of a Card, without a line's end in it.  False: there
 * is none any more.  *lost grows by those that have no end.  Costs what it takes. */
bool pab_vcard_read(struct slice *file, struct buf *b, size_t *lost);
/* Does a file begin like vCards? */
bool pab_vcard_is(struct slice file);
#endif
