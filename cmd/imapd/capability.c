/* imapd/capability.c: what is offered: a table, and ENABLE (RFC 5161) over it.
 *
 * Called by imap/server for CAPABILITY and the greeting, and by the command table.  Nothing can fail.
 * What must stay true: a word stands here only when all of its RFC is there, or man/imapd.8 says under
 * STANDARDS what is not; and what ENABLE switches on is the session's until UNAUTHENTICATE. */
#include "metadata.h"

static void
capability_appendlimit(struct buf *b)
{
	buf_char(b, '=');
	buf_i64(b, conf.append);
}

static void
capability_messagelimit(struct buf *b)
{
	buf_char(b, '=');
	buf_i64(b, conf.messages);
}

/* RFC 6785 2.1 */
static void
capability_imapsieve(struct buf *b)
{
	buf_char(b, '=');
	buf_str(b, conf.sieve_server);
}

#define BOTH (IMAP_BEFORE | IMAP_AFTER)
/* clang-format off */
const struct imap_capability session_capabilities[] = {
	/* word                   when               enable             value                   source */
	{ "IMAP4rev1",            BOTH,              0,                 NULL,                   "RFC 3501" },
	{ "IMAP4rev2",            BOTH,              SESSION_REV2,      NULL,                   "RFC 9051" },
	{ "LITERAL+",         SESSION_ANY_LITERALS,  0,                 NULL,                   "RFC 7888" },
	{ "LITERAL-",       SESSION_SHORT_LITERALS,  0,                 NULL,                   "RFC 7888 5" },
	{ "SASL-IR",              BOTH,              0,                 NULL,                   "RFC 4959" },
	{ "ID",                   BOTH,              0,                 NULL,                   "RFC 2971" },
	{ "ENABLE",               BOTH,              0,                 NULL,                   "RFC 5161" },
	{ "STARTTLS",             IMAP_BEGINS_TLS,   0,                 NULL,                   "RFC 3501 6.2.1" },
	{ "AUTH=SCRAM-SHA-256",   IMAP_SCRAM,        0,                 NULL,                   "RFC 7677" },
	{ "AUTH=PLAIN",           IMAP_PASSWORDS,    0,                 NULL,                   "RFC 4616" },
	{ "AUTH=LOGIN",           IMAP_PASSWORDS,    0,                 NULL,                   "draft-murchison-sasl-login" },
	{ "AUTH=OAUTHBEARER",     IMAP_OAUTH,        0,                 NULL,                   "RFC 7628" },
	{ "AUTH=XOAUTH2",         IMAP_OAUTH,        0,                 NULL,                   "Google" },
	{ "AUTH=EXTERNAL",        SESSION_PROXY,     0,                 NULL,                   "RFC 4422" },
	{ "LOGINDISABLED",        IMAP_NO_PASSWORDS, 0,                 NULL,                   "RFC 3501 6.2.3" },
	{ "IDLE",                 IMAP_AFTER,        0,                 NULL,                   "RFC 2177" },
	{ "NOTIFY",               IMAP_AFTER,        0,                 NULL,                   "RFC 5465" },
	{ "NAMESPACE",            IMAP_AFTER,        0,                 NULL,                   "RFC 2342" },
	{ "UIDPLUS",              IMAP_AFTER,        0,                 NULL,                   "RFC 4315" },
	{ "MOVE",                 IMAP_AFTER,        0,                 NULL,                   "RFC 6851" },
	{ "UNSELECT",             IMAP_AFTER,        0,                 NULL,                   "RFC 3691" },
	{ "CHILDREN",             IMAP_AFTER,        0,                 NULL,                   "RFC 3348" },
	{ "SPECIAL-USE",          IMAP_AFTER,        0,                 NULL,                   "RFC 6154" },
	{ "LIST-EXTENDED",        IMAP_AFTER,        0,                 NULL,                   "RFC 5258" },
	{ "LIST-STATUS",          IMAP_AFTER,        0,                 NULL,                   "RFC 5819" },
	{ "STATUS=SIZE",          IMAP_AFTER,        0,                 NULL,                   "RFC 8438" },
	{ "ESEARCH",              IMAP_AFTER,        0,                 NULL,                   "RFC 4731" },
	{ "SEARCHRES",            IMAP_AFTER,        0,                 NULL,                   "RFC 5182" },
	{ "PARTIAL",              IMAP_AFTER,        0,                 NULL,                   "RFC 9394" },
	{ "CONTEXT=SEARCH",       IMAP_AFTER,        0,                 NULL,                   "RFC 5267 4" },
	{ "CONTEXT=SORT",         IMAP_AFTER,        0,                 NULL,                   "RFC 5267 4" },
	{ "WITHIN",               IMAP_AFTER,        0,                 NULL,                   "RFC 5032" },
	{ "I18NLEVEL=1",          IMAP_AFTER,        0,                 NULL,                   "RFC 5255 4.2" },
	{ "SORT",                 IMAP_AFTER,        0,                 NULL,                   "RFC 5256" },
	{ "SORT=DISPLAY",         IMAP_AFTER,        0,                 NULL,                   "RFC 5957" },
	{ "ESORT",                IMAP_AFTER,        0,                 NULL,                   "RFC 5267 3" },
	{ "THREAD=ORDEREDSUBJECT", IMAP_AFTER,       0,                 NULL,                   "RFC 5256" },
	{ "THREAD=REFERENCES",    IMAP_AFTER,        0,                 NULL,                   "RFC 5256" },
	{ "THREAD=REFS",          IMAP_AFTER,        0,                 NULL,                   "draft-ietf-morg-inthread" },
	{ "CONDSTORE",            IMAP_AFTER,        SESSION_CONDSTORE, NULL,                   "RFC 7162 3.1" },
	{ "QRESYNC",              IMAP_AFTER,        SESSION_QRESYNC,   NULL,                   "RFC 7162 3.2" },
	{ "UTF8=ACCEPT",          IMAP_AFTER,        SESSION_UTF8,      NULL,                   "RFC 6855" },
	{ "BINARY",               IMAP_AFTER,        0,                 NULL,                   "RFC 3516" },
	{ "PREVIEW",              IMAP_AFTER,        0,                 NULL,                   "RFC 8970" },
	{ "UIDONLY",              IMAP_AFTER,        SESSION_UIDONLY,   NULL,                   "RFC 9586" },
	{ "COMPRESS=DEFLATE",     IMAP_AFTER,        0,                 NULL,                   "RFC 4978" },
	{ "INPROGRESS",           IMAP_AFTER,        0,                 NULL,                   "RFC 9585" },
	{ "APPENDLIMIT",          IMAP_AFTER,        0,                 capability_appendlimit, "RFC 7889" },
	{ "MESSAGELIMIT",         SESSION_LIMITED,   0,                 capability_messagelimit, "RFC 9738" },
	{ "OBJECTID",             IMAP_AFTER,        0,                 NULL,                   "RFC 8474" },
	{ "SAVEDATE",             IMAP_AFTER,        0,                 NULL,                   "RFC 8514" },
	{ "CREATE-SPECIAL-USE",   IMAP_AFTER,        0,                 NULL,                   "RFC 6154 3" },
	{ "QUOTA",                IMAP_AFTER,        0,                 NULL,                   "RFC 9208" },
	{ "QUOTA=RES-STORAGE",    IMAP_AFTER,        0,                 NULL,                   "RFC 9208 5.1" },
	{ "QUOTA=RES-MESSAGE",    IMAP_AFTER,        0,                 NULL,                   "RFC 9208 5.2" },
	{ "QUOTASET",         SESSION_SETS_QUOTA,    0,                 NULL,                   "RFC 9208 3.1.2" },
	{ "ACL",                  IMAP_AFTER,        0,                 NULL,                   "RFC 4314" },
	{ "RIGHTS=texk",          IMAP_AFTER,        0,                 NULL,                   "RFC 4314 1" },
	{ "LIST-MYRIGHTS",        IMAP_AFTER,        0,                 NULL,                   "RFC 8440" },
	{ "METADATA",             IMAP_AFTER,        SESSION_METADATA,  NULL,                   "RFC 5464" },
	{ "LIST-METADATA",        IMAP_AFTER,        0,                 NULL,                   "RFC 9590" },
	{ "IMAPSIEVE",            SESSION_SCRIPTS,   0,                 capability_imapsieve,   "RFC 6785" },
	{ "URLAUTH",              IMAP_AFTER,        0,                 NULL,                   "RFC 4467" },
	{ "MULTIAPPEND",          IMAP_AFTER,        0,                 NULL,                   "RFC 3502" },
	{ "MULTISEARCH",          IMAP_AFTER,        0,                 NULL,                   "RFC 7377" },
	{ "CATENATE",             IMAP_AFTER,        0,                 NULL,                   "RFC 4469" },
	{ "REPLACE",              IMAP_AFTER,        0,                 NULL,                   "RFC 8508" },
	{ "UNAUTHENTICATE",       SESSION_DIRECT,    0,                 NULL,                   "RFC 8437" },
	{ NULL, 0, 0, NULL, NULL },
};
/* clang-format on */

/* ---- ENABLE ------------------------------------------------------------------------------------ */

/* What a word switches on; 0: it is unknown, or nothing that ENABLE is for, and passed over. */
static unsigned
enable_bit(struct slice word)
{
	for (const struct imap_capability *c = session_capabilities; c->word; c++)
		if (c->enable && slice_ieq(word, slice_str(c->word)))
			return c->enable;
	return 0;
}

static void
enable_do(struct session *s, unsigned on)
{
	s->enabled |= (uint8_t)on;
	if (on &
	    (SESSION_CONDSTORE | SESSION_QRESYNC)) /* RFC 7162 3.2.3: the one implies the other */
		session_condstore(s);
	if (on & (SESSION_UTF8 | SESSION_REV2))
		s->imap.utf8 = true;
	if (on & SESSION_UIDONLY)
		s->imap.uidonly = true;
	if (on & SESSION_METADATA)
		metadata_watch(s);
	if (on & SESSION_REV2 && s->view) /* there is no \Recent (RFC 9051 appendix E) */
		view_recent_none(s->view);
}

/* ENABLE capability ...					RFC 5161 3.1 */
enum imap_next
cmd_enable(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct buf *b = session_out(s);
	unsigned on = 0;
	struct slice word;

	do {
		if (!imap_space(in) || !imap_atom(in, &word))
			return imap_server_syntax(imap, in);
		on |= enable_bit(word);
	} while (imap_next_is(in, ' '));
	if (!imap_end(in))
		return imap_server_syntax(imap, in);
	enable_do(s, on);
	buf_lit(b, "* ENABLED");
	for (const struct imap_capability *c = session_capabilities; c->word; c++)
		if (c->enable & on) {
			buf_char(b, ' ');
			buf_str(b, c->word);
		}
	buf_lit(b, "\r\n");
	return imap_server_finish(imap, "OK", "ENABLE completed");
}
