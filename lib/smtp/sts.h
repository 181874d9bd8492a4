/* smtp/sts.h: MTA-STS (RFC 8461) and SMTP TLS Reporting (RFC 8460): what a domain publishes about them.
 *
 * Pure: texts of the DNS and of the web in, structs out.  Who fetches them, keeps them and acts upon them is
 * channel-master. */
#ifndef SMTP_STS_H
#define SMTP_STS_H
#include "base/slice.h"

#define SMTP_STS_ID_MAX  32       /* RFC 8461 3.1 */
#define SMTP_STS_TEXT    65536    /* octets of a policy (RFC 8461 3.3) */
#define SMTP_STS_AGE_MAX 31557600 /* seconds (RFC 8461 3.2) */
#define SMTP_STS_MX_MAX  200      /* patterns that are kept: a policy with more is none */

enum smtp_sts_mode { SMTP_STS_NONE, SMTP_STS_TESTING, SMTP_STS_ENFORCE };
/* All zero: a policy of mode none.  The patterns borrow from `text`, which is the policy's own. */
struct smtp_sts {
	enum smtp_sts_mode mode;
	uint32_t max_age; /* seconds */
	struct slice *mx; /* "mail.example.org", "*.example.org" */
	size_t nmx;
	char *text; /* heap: as it was fetched */
	size_t text_len;
};
/* What was fetched.  0; -EBADMSG with *why (a literal), and *p is all zero. */
int smtp_sts_parse(struct slice text, struct smtp_sts *p, const char **why) MUSTCHECK;
void smtp_sts_copy(struct smtp_sts *to, const struct smtp_sts *from);
void smtp_sts_fini(struct smtp_sts *p);
/* Is the host among those that the policy lists (RFC 8461 4.1)?  A `*` stands for one label. */
bool smtp_sts_lists(const struct smtp_sts *p, struct slice host);
const char *smtp_sts_mode_word(enum smtp_sts_mode m); /* "enforce" */

/* A TXT record of _mta-sts.DOMAIN (RFC 8461 3.1): its id, borrowed.  0; -ENOENT: it is not about MTA-STS at all;
 * -EBADMSG: it is, and is wrong. */
int smtp_sts_record(struct slice txt, struct slice *id) MUSTCHECK;

#define SMTP_TLSRPT_RUA_MAX 8 /* places that a report goes to: the first ones */
/* A TXT record of _smtp._tls.DOMAIN (RFC 8460 3): where reports go, borrowed: "mailto:a@b" and "https://..." alone, in
 * their order.  0 with *n >= 1; -ENOENT: it is not about reports; -EBADMSG: it is, and has no place that can be used. */
int
smtp_tlsrpt_record(struct slice txt, struct slice rua[SMTP_TLSRPT_RUA_MAX], size_t *n) MUSTCHECK;
/* "mailto:" taken apart: the address, with its %-escapes decoded into to[cap]; what stands behind `?` or `!` is left.
 * 0, or -EBADMSG. */
int smtp_tlsrpt_mailto(struct slice rua, char *to, size_t cap) MUSTCHECK;
/* "https://host[:port]/path": its parts; target begins with `/`.  0, or -EBADMSG. */
struct smtp_tlsrpt_url {
	char host[256];
	int port;
	char target[1024];
};
int smtp_tlsrpt_https(struct slice rua, struct smtp_tlsrpt_url *u) MUSTCHECK;
#endif
