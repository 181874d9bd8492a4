/* smtp/command.h: the command lines of SMTP and LMTP (RFC 5321 4.1.1, RFC 2033), as structs.
 * Pure: bytes in, structs out; and back for the client. */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H
#include "base/arena.h"
#include "mail/address.h"

#define SMTP_LINE_MAX  2048 /* RFC 5321 4.5.3.1.4 says 512; extensions add: RFC 3461, 4954, 6531 */
#define SMTP_LIMIT_MAX 999999 /* values of LIMITS have up to six digits (RFC 9422 4) */
#define SMTP_AUTH_MAX  12288  /* RFC 4954 4 */

/* A line into verb and argument: "RCPT TO:<a@b>" gives RCPT and "TO:<a@b>".  The verb is as
 * written; trailing white space is off.  false when there is no verb or a control character. */
bool smtp_command_split(struct slice line, struct slice *verb, struct slice *arg);

enum smtp_body_type { SMTP_BODY_NONE, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME };
enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS };

/* Until when the server keeps a message before it goes on its way: FUTURERELEASE (RFC 4865). */
enum smtp_release { SMTP_RELEASE_NOW, SMTP_RELEASE_FOR, SMTP_RELEASE_UNTIL };

/* MAIL FROM:<path> [params]: SIZE (RFC 1870), BODY (6152), SMTPUTF8 (6531), RET ENVID (3461),
 * AUTH (4954), HOLDFOR HOLDUNTIL (4865), MT-PRIORITY (6710), BY (2852), REQUIRETLS (8689). */
struct smtp_mail {
	struct address from;
	uint64_t size; /* 0 = not given */
	enum smtp_body_type body;
	enum smtp_ret ret;
	struct slice envid; /* decoded xtext; p NULL = not given */
	struct slice auth;  /* decoded; "<>" for none; p NULL = not given */
	struct slice aside; /* our own, from channel-master: smtp-relay(8); p NULL = not given */
	struct slice xqid;  /* our own, LMTP only: lmtpd(8); decoded; p NULL = not given */
	bool smtputf8;
	bool requiretls;
	bool has_by, by_notify, by_trace; /* BY: not R but N; with T */
	int64_t by;                       /* seconds from now; R: above 0 */
	bool has_priority;
	int priority; /* -9 .. 9; 0 when it is not given */
	enum smtp_release release;
	int64_t release_at; /* FOR: seconds from now; UNTIL: unix seconds */
	struct slice
	    release_asked; /* "for;SECONDS" or "until;DATE", as reports say it; p NULL = not given */
};

enum {
	SMTP_NOTIFY_NEVER = 1,
	SMTP_NOTIFY_SUCCESS = 2,
	SMTP_NOTIFY_FAILURE = 4,
	SMTP_NOTIFY_DELAY = 8
};

/* RCPT TO:<path> [params]: NOTIFY and ORCPT (RFC 3461, 6533), IGNOREQUOTA (draft-murchison-lmtp-ignorequota). */
struct smtp_rcpt {
	struct address to;
	unsigned notify;         /* SMTP_NOTIFY_*; 0 = not given */
	struct slice orcpt_type; /* "rfc822", "utf-8"; p NULL = not given */
	struct slice orcpt;      /* decoded */
	bool ignore_quota;
	bool sent; /* our own: the copy for his Sent folder, lmtpd(8) */
	struct slice
	    run; /* our own: whose program gets it, piped(8); decoded; p NULL = not given */
	struct slice
	    event; /* our own: what has been done to the message, lmtpd(8); decoded; p NULL = not given */
};

/* `arg` excludes verb and line end.  Slices borrow from `arg` or live in `a`.
 * 0; -EBADMSG with *why (501 5.5.4, or 5.1.7 / 5.1.3 when the path is bad: *path_bad);
 * -ENOTSUP with *why for an unknown parameter or value (555 5.5.4). */
int smtp_mail_parse(struct slice arg, struct arena *a, struct smtp_mail *m, bool *path_bad,
    const char **why) MUSTCHECK;
/* `bare`: "TO:<user>" without a domain is taken, too. */
int smtp_rcpt_parse(struct slice arg, bool bare, struct arena *a, struct smtp_rcpt *r,
    bool *path_bad, const char **why) MUSTCHECK;
/* BDAT chunk-size [LAST] (RFC 3030 2). */
int smtp_bdat_parse(struct slice arg, uint64_t *size, bool *last, const char **why) MUSTCHECK;

/* The name in EHLO, HELO and LHLO: a domain or literal; `strict` false also takes what is
 * merely one word of printable characters (underscores and the like are common). */
bool smtp_helo_valid(struct slice arg, bool strict);
#endif
