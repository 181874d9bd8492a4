/* imapd/commands.c: the table of commands with the rules that are data, in RFC 3501's order.  What
 * comes before the login is imap/server's. */
#include "session.h"

#define IN  IMAP_AUTH /* logged in: also with a mailbox selected */
#define SEL IMAP_SELECTED

/* clang-format off */
const struct imap_command imapd_commands[] = {
	{ "ID", cmd_id, IMAP_ANY, 0, "RFC 2971", NULL },
	{ "ENABLE", cmd_enable, IN, 0, "RFC 5161", NULL },
	{ "SELECT", cmd_select, IN, IMAP_QUIET, "RFC 3501 6.3.1", NULL },
	{ "EXAMINE", cmd_examine, IN, IMAP_QUIET, "RFC 3501 6.3.2", NULL },
	{ "CREATE", cmd_create, IN, 0, "RFC 3501 6.3.3", NULL },
	{ "DELETE", cmd_delete, IN, 0, "RFC 3501 6.3.4", NULL },
	{ "RENAME", cmd_rename, IN, 0, "RFC 3501 6.3.5", NULL },
	{ "SUBSCRIBE", cmd_subscribe, IN, 0, "RFC 3501 6.3.6", NULL },
	{ "UNSUBSCRIBE", cmd_unsubscribe, IN, 0, "RFC 3501 6.3.7", NULL },
	{ "LIST", cmd_list, IN, 0, "RFC 3501 6.3.8, RFC 5258, RFC 5819", NULL },
	{ "LSUB", cmd_lsub, IN, 0, "RFC 3501 6.3.9", NULL },
	{ "STATUS", cmd_status, IN, 0, "RFC 3501 6.3.10", NULL },
	{ "APPEND", cmd_append, IN, IMAP_MANY, "RFC 3501 6.3.11, RFC 3502, RFC 4315", append_begin },
	{ "GETQUOTA", cmd_getquota, IN, 0, "RFC 9208 4.1.1", NULL },
	{ "GETQUOTAROOT", cmd_getquotaroot, IN, 0, "RFC 9208 4.1.2", NULL },
	{ "SETQUOTA", cmd_setquota, IN, 0, "RFC 9208 4.1.3", NULL },
	{ "SETACL", cmd_setacl, IN, 0, "RFC 4314 3.1", NULL },
	{ "DELETEACL", cmd_deleteacl, IN, 0, "RFC 4314 3.2", NULL },
	{ "GETACL", cmd_getacl, IN, 0, "RFC 4314 3.3", NULL },
	{ "LISTRIGHTS", cmd_listrights, IN, 0, "RFC 4314 3.4", NULL },
	{ "MYRIGHTS", cmd_myrights, IN, 0, "RFC 4314 3.5", NULL },
	{ "GETMETADATA", cmd_getmetadata, IN, 0, "RFC 5464 4.2", NULL },
	{ "SETMETADATA", cmd_setmetadata, IN, 0, "RFC 5464 4.3", NULL },
	{ "GENURLAUTH", cmd_genurlauth, IN, 0, "RFC 4467 7", NULL },
	{ "RESETKEY", cmd_resetkey, IN, 0, "RFC 4467 7", NULL },
	{ "URLFETCH", cmd_urlfetch, IN, 0, "RFC 4467 7", NULL },
	{ "UNAUTHENTICATE", cmd_unauthenticate, IN, 0, "RFC 8437", NULL },
	{ "COMPRESS", cmd_compress, IN, IMAP_QUIET, "RFC 4978 3", NULL },
	{ "NAMESPACE", cmd_namespace, IN, 0, "RFC 2342", NULL },
	{ "IDLE", cmd_idle, IN, 0, "RFC 2177", NULL },
	{ "NOTIFY", cmd_notify, IN, 0, "RFC 5465 3.1", NULL },
	{ "CHECK", imap_server_noop, SEL, 0, "RFC 3501 6.4.1", NULL },
	{ "CLOSE", cmd_close, SEL, IMAP_QUIET, "RFC 3501 6.4.2", NULL },
	{ "UNSELECT", cmd_unselect, SEL, IMAP_QUIET, "RFC 3691", NULL },
	{ "EXPUNGE", cmd_expunge, SEL, IMAP_UIDS | IMAP_WRITES, "RFC 3501 6.4.3, RFC 4315", NULL },
	{ "SEARCH", cmd_search, SEL, IMAP_UIDS | IMAP_SEQS | IMAP_SETS, "RFC 3501 6.4.4, RFC 4731", NULL },
	{ "CANCELUPDATE", cmd_cancelupdate, SEL, 0, "RFC 5267 4.3.5", NULL },
	{ "SORT", cmd_sort, SEL, IMAP_UIDS | IMAP_SEQS | IMAP_SETS, "RFC 5256 3, RFC 5267", NULL },
	{ "THREAD", cmd_thread, SEL, IMAP_UIDS | IMAP_SEQS | IMAP_SETS, "RFC 5256 3", NULL },
	{ "ESEARCH", cmd_esearch, IN, 0, "RFC 7377", NULL },
	{ "FETCH", cmd_fetch, SEL, IMAP_UIDS | IMAP_SEQS | IMAP_SETS, "RFC 3501 6.4.5", NULL },
	{ "STORE", cmd_store, SEL, IMAP_UIDS | IMAP_SEQS | IMAP_SETS | IMAP_WRITES, "RFC 3501 6.4.6, RFC 7162", NULL },
	{ "COPY", cmd_copy, SEL, IMAP_UIDS | IMAP_SEQS | IMAP_SETS, "RFC 3501 6.4.7, RFC 4315", NULL },
	{ "MOVE", cmd_move, SEL, IMAP_UIDS | IMAP_SETS | IMAP_WRITES, "RFC 6851", NULL },
	{ "REPLACE", cmd_replace, SEL, IMAP_UIDS | IMAP_SETS | IMAP_WRITES | IMAP_MANY, "RFC 8508", replace_begin },
	{ NULL, NULL, 0, 0, NULL, NULL },
};
/* clang-format on */
