/* tls-wish.c: what the sender of a message wants of TLS on its way (RFC 8689): REQUIRETLS of MAIL, or the field TLS-Required.
 *
 * Called by session.c and message.c.  The wish stands in the queue file, and channel-master keeps to it.  Nothing fails: a
 * field that says something else, or stands there twice, says nothing.  Must stay true: REQUIRETLS is offered only where
 * the message itself comes over TLS, or from a program of this host, and it is stronger than the field (RFC 8689 4.1). */
#include "mail/header.h"
#include "relay.h"

void
tls_wish_keywords(struct session *s, struct buf *text)
{
	s->smtp.may_requiretls = s->role == ROLE_LOCAL || stream_secure(&s->smtp.line.io);
	if (s->smtp.may_requiretls)
		buf_lit(text, "REQUIRETLS\n");
}

enum qtls
tls_wish(const struct session *s, struct slice fields)
{
	struct header_field f;
	bool no = false;

	if (s->smtp.mail.requiretls)
		return QTLS_REQUIRED;
	for (unsigned n = 0; header_next(&fields, &f);) {
		if (!slice_ieq(f.name, S("TLS-Required")))
			continue;
		no = ++n == 1 && slice_ieq(slice_trim(f.value), S("No"));
	}
	return no ? QTLS_OPTIONAL : QTLS_NONE;
}
