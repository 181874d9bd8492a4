/* base/saslprep.c: see saslprep.h.
 *
 * Owns nothing.  What is mapped comes before the normal form, what is forbidden is looked for behind it (RFC 4013 2,
 * RFC 3454 7).  Must stay true: every buffer that held the text is wiped. */
#include "base/saslprep.h"

#include <errno.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "base/secret.h"
#include "base/utf8.h"

/* RFC 3454 B.1: commonly mapped to nothing. */
static bool
prep_nothing(int32_t cp)
{
	return cp == 0xad || cp == 0x34f || cp == 0x1806 || (cp >= 0x180b && cp <= 0x180d) ||
	    (cp >= 0x200b && cp <= 0x200d) || cp == 0x2060 || (cp >= 0xfe00 && cp <= 0xfe0f) ||
	    cp == 0xfeff;
}

/* RFC 4013 2.3, 2.5 */
static bool
prep_forbidden(int32_t cp)
{
	switch ((int)utf8proc_category(cp)) {
	case UTF8PROC_CATEGORY_CN: /* unassigned, and what never will be a character */
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF: /* directions, tags, annotations */
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP: return true;
	default: break;
	}
	return cp == 0x340 || cp == 0x341 || cp == 0xfffc || cp == 0xfffd ||
	    (cp >= 0x2ff0 && cp <= 0x2ffb);
}

static bool
prep_map(struct buf *to, struct slice s)
{
	buf_grow(to,
	    s.n + 1); /* no move may leave a copy behind: nothing is mapped to more octets */
	while (s.n > 0) {
		int32_t cp = utf8_next(&s);

		if (cp < 0)
			return false;
		if (prep_nothing(cp))
			continue;
		if (cp > ' ' && utf8proc_category(cp) == UTF8PROC_CATEGORY_ZS)
			cp = ' ';
		utf8_put(to, (uint32_t)cp);
	}
	return to->n > 0;
}

static bool
prep_allowed(struct slice s)
{
	while (s.n > 0) {
		int32_t cp = utf8_next(&s);

		if (cp < 0 || prep_forbidden(cp))
			return false;
	}
	return true;
}

int
saslprep(struct buf *b, struct slice s)
{
	utf8proc_uint8_t *to = NULL;
	utf8proc_ssize_t n = -1;
	struct buf mapped = { 0 };
	int rc = -EBADMSG;

	if (s.n > 0 && s.n <= SASLPREP_MAX && prep_map(&mapped, s))
		n = utf8proc_map((const utf8proc_uint8_t *)mapped.p, (utf8proc_ssize_t)mapped.n,
		    &to, UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE);
	if (n > 0 && prep_allowed(slice((const char *)to, (size_t)n))) {
		buf_grow(b, (size_t)n + 1);
		buf_add(b, to, (size_t)n);
		rc = 0;
	}
	if (to && n > 0)
		secret_clear(to, (size_t)n);
	free(to);
	secret_clear(mapped.p, mapped.n);
	buf_fini(&mapped);
	return rc;
}
