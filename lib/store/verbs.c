/* The verbs of stored's protocol.
 *
 * Owns the one table that the client's side (what to write), stored's loop (who may, what is
 * wrong, which partition) and the writer (alone, space, bodies) look at; stored's writer adds
 * what runs each of them, because only stored links the writer.  Everybody calls it, from any
 * thread: it is constant.  Nothing fails here; checks say in words why a request cannot be
 * carried out at all.  A verb's number and its fields' tags must never change their meaning:
 * hosts and programs are upgraded one by one. */
#include "store/verbs.h"

#include "store/fields.h"
#include "store/request.h"
#include "store/seen.h"

#define B(field) STORE_BIT(STORE_F_##field)
#define PERSON   (B(GROUPS) | B(UNSURE)) /* beside the actor */
#define LIMITS   (B(LIMIT_BYTES) | B(LIMIT_MESSAGES) | B(DOMAIN_BYTES) | B(DOMAIN_MESSAGES))

#define LMTPD    STORE_ROLE_LMTPD
#define STORECTL STORE_ROLE_STORECTL
#define MAIL     (STORE_ROLE_IMAPD | STORE_ROLE_JMAPD) /* everything that a person does */
#define POP      (MAIL | STORE_ROLE_POP3D)
#define ALL      STORE_ROLES_ALL

/* ---- checks --------------------------------------------------------------------------------- */

static bool
verb_keywords_ok(struct slice list)
{
	struct slice word;

	while (store_keyword_next(&list, &word))
		if (!store_keyword_ok(word))
			return false;
	return true;
}

/* Dates come from clients and streams: those that a file can have. */
static bool
verb_messages_ok(const struct store_request *r)
{
	for (size_t i = 0; i < r->nmessages; i++)
		if (!verb_keywords_ok(r->messages[i].keywords) ||
		    r->messages[i].internaldate < -STORE_DATE_MOST ||
		    r->messages[i].internaldate > STORE_DATE_MOST)
			return false;
	return true;
}

static const char *
verb_check_deliver(const struct store_request *r)
{
	if (r->nmessages != 1 || !verb_messages_ok(r))
		return "bad delivery";
	for (size_t i = 0; i < r->ntargets; i++)
		if (!verb_keywords_ok(r->targets[i].keywords))
			return "bad keywords";
		else if (r->targets[i].use > STORE_USE_MAX)
			return "bad special use";
	return NULL;
}

static const char *
verb_check_append(const struct store_request *r)
{
	return verb_messages_ok(r) ? NULL : "bad message";
}

/* One comes for one. */
static const char *
verb_check_replace(const struct store_request *r)
{
	if (r->nranges != 1 || r->ranges[0].first != r->ranges[0].last)
		return "not one message";
	return r->nmessages == 1 ? verb_check_append(r) : "bad message";
}

static const char *
verb_check_account(const struct store_request *r)
{
	return store_account_check(r->name) == 0 ? NULL : "bad account";
}

static const char *
verb_check_rename_account(const struct store_request *r)
{
	return verb_check_account(r) || store_account_check(r->name2) < 0 ? "bad account" : NULL;
}

static const char *
verb_check_login(const struct store_request *r)
{
	return r->use < STORE_LOGINS ? NULL : "bad protocol";
}

static const char *
verb_check_freeze(const struct store_request *r)
{
	return r->use <= STORE_COME ? NULL : "bad state";
}

static const char *
verb_check_create(const struct store_request *r)
{
	return r->use <= STORE_USE_MAX ? NULL : "bad special use";
}

/* Conditions that are not known must not be passed over. */
static const char *
verb_check_delete(const struct store_request *r)
{
	return r->options & ~(unsigned)(STORE_EMPTY | STORE_LEAF) ? "bad condition" : NULL;
}

static const char *
verb_check_flags(const struct store_request *r)
{
	if (r->how > STORE_REMOVE || !verb_keywords_ok(r->keywords))
		return "bad flags";
	if (r->name.n == 0)
		return NULL;
	/* In a reader's name: his \Seen and nothing else.  The login is a part of a key that ends with a NUL. */
	if (r->flags != STORE_SEEN || r->how == STORE_SET || r->keywords.n || r->options)
		return "not \\Seen alone";
	return store_login_ok(r->name) ? NULL : "bad login";
}

static const char *
verb_check_leave(const struct store_request *r)
{
	return store_login_ok(r->name) && (r->name2.n == 0 || store_login_ok(r->name2)) ?
	    NULL :
	    "bad login";
}

/* A whole number of rights, and an identifier that the writer looks at: it has the better answer. */
static const char *
verb_check_acl(const struct store_request *r)
{
	return r->how <= STORE_REMOVE && r->name.n ? NULL : "bad rights";
}

/* None twice: the writer looks at each beside the rows that are there, not beside the others. */
static const char *
verb_check_annotate(const struct store_request *r)
{
	for (size_t i = 0; i < r->nannotations; i++) {
		const struct store_annotation *e = &r->annotations[i];

		if (!store_annot_name_ok(e->name) || e->value.n > STORE_ANNOT_VALUE_MAX)
			return "bad annotation";
		for (size_t k = 0; k < i; k++)
			if (r->annotations[k].shared == e->shared &&
			    slice_eq(r->annotations[k].name, e->name))
				return "an annotation twice";
	}
	return r->options & ~(unsigned)STORE_CONDITIONAL ? "bad condition" : NULL;
}

static const char *
verb_check_know(const struct store_request *r)
{
	for (size_t i = 0; i < r->nquestions; i++)
		if (r->questions[i].what > STORE_KNOW_OBJECT || r->questions[i].use > STORE_USE_MAX)
			return "bad question";
	return r->nquestions ? verb_check_account(r) : "no question";
}

/* ---- the table ---------------------------------------------------------------------------------- */

#define ALONE  STORE_VF_ALONE
#define SPACE  STORE_VF_SPACE
#define BODIES STORE_VF_BODIES
#define CHANGE STORE_VF_CHANGE
#define ASIDE  STORE_VF_ASIDE

/* Two lines for each: name, home, attributes, who may, since which level, check; then the fields
 * that must be there, and those that may.  Where a missing name has a better answer from the writer,
 * it is not called missing here. */
/* clang-format off */
static const struct store_verb_info verbs[] = {
	{ STORE_V_PING,      "ping",      STORE_AT_SOCKET,    0,                        ALL,              2, NULL,
		0, 0 },
	{ STORE_V_HELLO,     "hello",     STORE_AT_SOCKET,    0,                        ALL,              2, NULL,
		B(MIN) | B(MAX), B(NAME) | B(FEATURES) | B(PID) },
	{ STORE_V_BODIES,    "bodies",    STORE_AT_SOCKET,    0,                        LMTPD | MAIL | STORECTL, 2, NULL,
		B(COUNT), B(PARTITION) },
	{ STORE_V_RELEASE,   "release",   STORE_AT_SOCKET,    0,                        LMTPD | MAIL | STORECTL, 2, NULL,
		B(TOKEN), 0 },
	{ STORE_V_WATCH,     "watch",     STORE_AT_SOCKET,    0,                        POP,              2, NULL,
		0, B(YES) },
	{ STORE_V_DELIVER,   "deliver",   STORE_AT_TARGETS,   SPACE | BODIES | CHANGE,  LMTPD,            2, verb_check_deliver,
		B(MESSAGES) | B(TARGETS), 0 },
	{ STORE_V_APPEND,    "append",    STORE_AT_MAILBOX,   SPACE | BODIES | CHANGE,  MAIL | STORECTL,  2, verb_check_append,
		B(MAILBOX) | B(MESSAGES), LIMITS | PERSON },
	{ STORE_V_ACCOUNT,   "account",   STORE_AT_NAME,      CHANGE,                   POP | STORECTL,   2, verb_check_account,
		B(NAME), B(PARTITION) },
	{ STORE_V_CREATE,    "create",    STORE_AT_ACCOUNT,   CHANGE,                   MAIL | STORECTL,  2, verb_check_create,
		B(ACCOUNT), B(NAME) | B(USE) | PERSON },
	{ STORE_V_DELETE,    "delete",    STORE_AT_ACCOUNT,   ALONE | CHANGE,           MAIL | STORECTL,  2, verb_check_delete,
		B(ACCOUNT), B(NAME) | B(MAILBOX) | B(OPTIONS) | PERSON },
	{ STORE_V_RENAME,    "rename",    STORE_AT_ACCOUNT,   ALONE | CHANGE,           MAIL,             2, NULL,
		B(ACCOUNT), B(NAME) | B(NAME2) | PERSON },
	{ STORE_V_SUBSCRIBE, "subscribe", STORE_AT_ACCOUNT,   CHANGE,                   MAIL | STORECTL,  2, NULL,
		B(ACCOUNT), B(NAME) | B(YES) | PERSON },
	{ STORE_V_FLAGS,     "flags",     STORE_AT_MAILBOX,   CHANGE,                   POP,              2, verb_check_flags,
		B(MAILBOX), B(RANGES) | B(HOW) | B(FLAGS) | B(KEYWORDS) | B(OPTIONS) | B(SINCE) | B(NAME) | PERSON },
	{ STORE_V_EXPUNGE,   "expunge",   STORE_AT_MAILBOX,   CHANGE,                   POP | STORECTL,   2, NULL,
		B(MAILBOX), B(RANGES) | B(OPTIONS) | PERSON },
	{ STORE_V_COPY,      "copy",      STORE_AT_MAILBOX,   SPACE | CHANGE,           MAIL,             2, NULL,
		B(MAILBOX) | B(MAILBOX2), B(RANGES) | LIMITS | PERSON },
	{ STORE_V_MOVE,      "move",      STORE_AT_MAILBOX,   CHANGE,                   MAIL | STORECTL,  2, NULL,
		B(MAILBOX) | B(MAILBOX2), B(RANGES) | LIMITS | PERSON },
	{ STORE_V_RESERVE,   "reserve",   STORE_AT_MAILBOX,   0,                        MAIL,             2, NULL,
		B(MAILBOX), PERSON },
	{ STORE_V_RELINK,    "relink",    STORE_AT_MAILBOX,   0,                        STORECTL,         2, verb_check_append,
		B(MAILBOX) | B(MESSAGES), 0 },
	{ STORE_V_RECOUNT,   "recount",   STORE_AT_ACCOUNT,   0,                        STORECTL,         2, NULL,
		B(ACCOUNT), 0 },
	{ STORE_V_SNAPSHOT,  "snapshot",  STORE_AT_PARTITION, ASIDE,                    STORECTL,         2, NULL,
		0, B(PARTITION) },
	{ STORE_V_SETTLE,    "settle",    STORE_AT_MAILBOX,   0,                        STORECTL,         2, NULL,
		B(MAILBOX) | B(RANGES), 0 },
	{ STORE_V_FORGET,    "forget",    STORE_AT_PARTITION, 0,                        STORECTL,         2, NULL,
		B(EMAILS), B(PARTITION) },
	{ STORE_V_MEND,      "mend",      STORE_AT_PARTITION, 0,                        STORECTL,         2, verb_check_account,
		B(NAME), B(PARTITION) | B(NAME2) | B(ACCOUNT) | B(MAILBOX) | B(SINCE) | B(COUNT) },
	{ STORE_V_REPLACE,   "replace",   STORE_AT_MAILBOX,   SPACE | BODIES | CHANGE,  MAIL,             2, verb_check_replace,
		B(MAILBOX) | B(MAILBOX2) | B(RANGES) | B(MESSAGES), LIMITS | PERSON },
	{ STORE_V_ACL,       "acl",       STORE_AT_MAILBOX,   CHANGE,                   MAIL | STORECTL,  2, verb_check_acl,
		B(MAILBOX), B(NAME) | B(HOW) | B(COUNT) | PERSON },
	{ STORE_V_ANNOTATE,  "annotate",  STORE_AT_ACCOUNT,   CHANGE,                   MAIL | STORECTL,  2, verb_check_annotate,
		B(ACCOUNT) | B(ANNOTATIONS), B(MAILBOX) | B(NAME) | B(OPTIONS) | B(SINCE) | PERSON },
	{ STORE_V_RESTORE,   "restore",   STORE_AT_MAILBOX,   SPACE | BODIES | CHANGE,  STORECTL,         2, verb_check_append,
		B(MAILBOX), B(MESSAGES) | B(COUNT) | B(SINCE) | B(RANGES) },
	{ STORE_V_ERASE,     "erase",     STORE_AT_ACCOUNT,   ALONE | CHANGE,           STORECTL,         2, verb_check_account,
		B(ACCOUNT) | B(NAME), B(OPTIONS) },
	{ STORE_V_RENAME_ACCOUNT, "rename-account", STORE_AT_ACCOUNT, ALONE | CHANGE,   STORECTL,         2, verb_check_rename_account,
		B(ACCOUNT) | B(NAME) | B(NAME2), 0 },
	{ STORE_V_LOGIN,     "login",     STORE_AT_ACCOUNT,   0,                        POP | STORECTL,   2, verb_check_login,
		B(ACCOUNT), B(USE) | B(SINCE) },
	{ STORE_V_KNOW,      "know",      STORE_AT_NAME,      CHANGE,                   LMTPD | MAIL | STORECTL, 2, verb_check_know,
		B(NAME) | B(QUESTIONS), B(PARTITION) },
	{ STORE_V_RETHREAD,  "rethread",  STORE_AT_MAILBOX,   CHANGE,                   STORECTL,         2, NULL,
		B(MAILBOX), B(MESSAGES) },
	{ STORE_V_ORPHAN,    "orphan",    STORE_AT_ACCOUNT,   0,                        STORECTL,         2, NULL,
		B(ACCOUNT), B(YES) },
	{ STORE_V_FREEZE,    "freeze",    STORE_AT_ACCOUNT,   0,                        STORECTL,         2, verb_check_freeze,
		B(ACCOUNT), B(USE) },
	{ STORE_V_WARN,      "warn",      STORE_AT_ACCOUNT,   SPACE | CHANGE,           STORECTL,         2, NULL,
		B(ACCOUNT), LIMITS },
	{ STORE_V_DOMAIN,    "domain",    STORE_AT_SOCKET,    0,                        MAIL,             2, NULL,
		B(NAME), 0 },
	{ STORE_V_LEAVE,     "leave",     STORE_AT_MAILBOX,   CHANGE,                   STORECTL,         2, verb_check_leave,
		B(MAILBOX) | B(NAME), B(NAME2) },
	{ STORE_V_HANDLED,   "handled",   STORE_AT_PARTITION, 0,                        STORE_ROLE_IMAPD | STORECTL, 2, NULL,
		B(SINCE), B(PARTITION) },
};
/* clang-format on */

const struct store_verb_info *
store_verb_find(unsigned verb)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (verbs[i].verb == verb)
			return &verbs[i];
	return NULL;
}

const char *
store_verb_name(unsigned verb)
{
	const struct store_verb_info *v = store_verb_find(verb);

	return v                  ? v->name :
	    verb == STORE_V_REPLY ? "reply" :
	    verb == STORE_V_EVENT ? "event" :
				    "unknown";
}

const char *
store_roles_name(unsigned roles)
{
	static const char *const names[] = { "lmtpd", "imapd", "pop3d", "jmapd", "storectl" };
	static char text[64];
	size_t n = 0;

	text[0] = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (roles & 1u << i)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? "," : "",
			    names[i]);
	return roles == STORE_ROLES_ALL ? "all" : text;
}
