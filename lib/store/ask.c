/* What each request to stored says: a struct store_request for each verb.
 *
 * Called by lmtpd, imapd and storectl, from their loop.  Nothing fails here but a body whose
 * connection is gone; what stored answers, and STORE_AWAY, come by client.c.  The numbers that
 * name mailboxes and accounts are the caller's view: stored looks whether they still are true. A
 * duplicate's key must stay the same in all versions, retries come after an upgrade too. */
#include <unistd.h>

#include "base/must.h"
#include "store/client-impl.h"

void
store_ping_start(struct store_client *c, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_PING };

	store_ask(c, &r, op, done, arg);
}

/* ---- bodies going in ------------------------------------------------------------------------ */

/* The same bytes always give the same key: FNV-1a twice from different bases, then mixed. */
void
store_dup_key(struct slice queue_id, struct slice recipient, uint8_t key[16])
{
	uint64_t h[2] = { 0xcbf29ce484222325u, 0x84222325cbf29ce4u };

	for (int i = 0; i < 2; i++) {
		for (size_t k = 0; k < queue_id.n; k++)
			h[i] = (h[i] ^ (uint8_t)queue_id.p[k]) * 0x100000001b3u;
		h[i] = (h[i] ^ 0xff) * 0x100000001b3u;
		for (size_t k = 0; k < recipient.n; k++)
			h[i] = (h[i] ^ (uint8_t)recipient.p[k]) * 0x100000001b3u;
		h[i] = (h[i] ^ h[i] >> 33) * 0xff51afd7ed558ccdu;
		h[i] = (h[i] ^ h[i] >> 33) * 0xc4ceb9fe1a85ec53u;
		h[i] ^= h[i] >> 33;
	}
	h[0] |= 1; /* never all 0, which means none */
	memcpy(key, h, 16);
}

/* The bodies pass to stored: only tokens travel, our descriptors close.  False when one is
 * from a connection that is gone. */
static bool
bodies_pass(struct store_client *c, struct store_message *m, size_t n)
{
	bool good = true;

	for (size_t i = 0; i < n; i++) {
		struct store_body *b = m[i].body;

		if (!b) /* restore: another message has the octets */
			continue;
		good &= b->fd >= 0 && c->conn && b->generation == c->generation;
		m[i].token = b->token;
		if (b->fd >= 0)
			close(b->fd);
		b->fd = -1;
	}
	return good;
}

void
store_deliver_start(struct store_client *c, struct store_message *m,
    const struct store_target *targets, size_t n, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_DELIVER,
		.messages = m,
		.nmessages = 1,
		.ntargets = n };

	must(n > 0 && n <= STORE_TARGETS_MAX);
	r.targets = (struct store_target *)(uintptr_t)targets;
	if (bodies_pass(c, m, 1))
		store_ask(c, &r, op, done, arg);
	else
		store_ask_nobody(c, op, done, arg);
}

void
store_know_start(struct store_client *c, struct slice account, struct slice partition,
    const struct store_question *list, size_t n, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_KNOW,
		.name = account,
		.partition = partition,
		.questions = (struct store_question *)(uintptr_t)list,
		.nquestions = n };

	must(n > 0 && n <= STORE_QUESTIONS_MAX);
	store_ask(c, &r, op, done, arg);
}

void
store_append_start(struct store_client *c, uint64_t mailbox, struct store_message *m, size_t n,
    struct store_limits limits, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_APPEND,
		.mailbox = mailbox,
		.messages = m,
		.nmessages = n,
		.limits = limits };

	must(n > 0 && n <= STORE_MESSAGES_MAX);
	if (bodies_pass(c, m, n))
		store_ask(c, &r, op, done, arg);
	else
		store_ask_nobody(c, op, done, arg);
}

void
store_replace_start(struct store_client *c, uint64_t from, uint32_t uid, uint64_t to,
    struct store_message *m, struct store_limits limits, struct op *op, store_done *done, void *arg)
{
	struct store_range range = { uid, uid };
	struct store_request r = { .verb = STORE_V_REPLACE,
		.mailbox = from,
		.mailbox2 = to,
		.ranges = &range,
		.nranges = 1,
		.messages = m,
		.nmessages = 1,
		.limits = limits };

	if (bodies_pass(c, m, 1))
		store_ask(c, &r, op, done, arg);
	else
		store_ask_nobody(c, op, done, arg);
}

void
store_restore_start(struct store_client *c, const struct store_restoring *what,
    struct store_message *m, size_t n, struct op *op, store_done *done, void *arg)
{
	const struct store_range given = { 1, what->last };
	struct store_request r = { .verb = STORE_V_RESTORE,
		.mailbox = what->mailbox,
		.count = what->uidvalidity,
		.since = what->modseq,
		.ranges = &given,
		.nranges = what->last > 0,
		.messages = m,
		.nmessages = n };

	must(n <= STORE_MESSAGES_MAX);
	if (bodies_pass(c, m, n))
		store_ask(c, &r, op, done, arg);
	else
		store_ask_nobody(c, op, done, arg);
}

/* ---- accounts and folders ------------------------------------------------------------------------ */

void
store_account_start(struct store_client *c, struct slice account, struct slice partition,
    struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_ACCOUNT,
		.name = account,
		.partition = partition };

	store_ask(c, &r, op, done, arg);
}

void
store_create_start(struct store_client *c, uint64_t account, struct slice name,
    enum store_special use, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_CREATE,
		.account = account,
		.name = name,
		.use = (uint8_t)use };

	store_ask(c, &r, op, done, arg);
}

void
store_delete_start(struct store_client *c, uint64_t account, struct slice name, struct op *op,
    store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_DELETE, .account = account, .name = name };

	store_ask(c, &r, op, done, arg);
}

void
store_delete_this_start(struct store_client *c, uint64_t account, struct slice name,
    uint64_t mailbox, bool empty, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_DELETE,
		.account = account,
		.mailbox = mailbox,
		.name = name,
		.options = STORE_LEAF | (empty ? STORE_EMPTY : 0) };

	store_ask(c, &r, op, done, arg);
}

void
store_rename_start(struct store_client *c, uint64_t account, struct slice from, struct slice to,
    struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_RENAME,
		.account = account,
		.name = from,
		.name2 = to };

	store_ask(c, &r, op, done, arg);
}

void
store_subscribe_start(struct store_client *c, uint64_t account, struct slice name, bool yes,
    struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_SUBSCRIBE,
		.account = account,
		.name = name,
		.yes = yes };

	store_ask(c, &r, op, done, arg);
}

/* ---- messages -------------------------------------------------------------------------------------- */

void
store_flags_start(struct store_client *c, uint64_t mailbox, const struct store_range *uids,
    size_t n, const struct store_change *change, struct op *op, store_done *done, void *arg)
{
	store_flags_as_start(c, S(""), mailbox, uids, n, change, op, done, arg);
}

void
store_flags_as_start(struct store_client *c, struct slice login, uint64_t mailbox,
    const struct store_range *uids, size_t n, const struct store_change *change, struct op *op,
    store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_FLAGS,
		.name = login,
		.mailbox = mailbox,
		.ranges = uids,
		.nranges = n,
		.how = (uint8_t)change->how,
		.flags = change->flags,
		.keywords = change->keywords,
		.options = (change->conditional ? STORE_CONDITIONAL : 0) |
		    (change->quiet ? STORE_QUIET : 0),
		.since = change->unchangedsince };

	store_ask(c, &r, op, done, arg);
}

void
store_expunge_start(struct store_client *c, uint64_t mailbox, const struct store_range *uids,
    size_t n, bool any, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_EXPUNGE,
		.mailbox = mailbox,
		.ranges = uids,
		.nranges = n,
		.options = any ? STORE_ANY : 0 };

	store_ask(c, &r, op, done, arg);
}

void
store_copy_start(struct store_client *c, uint64_t from, const struct store_range *uids, size_t n,
    uint64_t to, struct store_limits limits, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_COPY,
		.mailbox = from,
		.ranges = uids,
		.nranges = n,
		.mailbox2 = to,
		.limits = limits };

	store_ask(c, &r, op, done, arg);
}

void
store_move_start(struct store_client *c, uint64_t from, const struct store_range *uids, size_t n,
    uint64_t to, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_MOVE,
		.mailbox = from,
		.ranges = uids,
		.nranges = n,
		.mailbox2 = to };

	store_ask(c, &r, op, done, arg);
}

void
store_move_away_start(struct store_client *c, uint64_t from, const struct store_range *uids,
    size_t n, uint64_t to, struct store_limits limits, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_MOVE,
		.mailbox = from,
		.ranges = uids,
		.nranges = n,
		.mailbox2 = to,
		.limits = limits };

	store_ask(c, &r, op, done, arg);
}

void
store_reserve_start(struct store_client *c, uint64_t mailbox, struct op *op, store_done *done,
    void *arg)
{
	struct store_request r = { .verb = STORE_V_RESERVE, .mailbox = mailbox };

	store_ask(c, &r, op, done, arg);
}

void
store_acl_start(struct store_client *c, uint64_t mailbox, struct slice identifier,
    enum store_how how, uint32_t rights, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_ACL,
		.mailbox = mailbox,
		.name = identifier,
		.how = (uint8_t)how,
		.count = rights };

	store_ask(c, &r, op, done, arg);
}

void
store_annotate_as_start(struct store_client *c, struct slice login, uint64_t account,
    uint64_t mailbox, const struct store_annotation *list, size_t n, struct op *op,
    store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_ANNOTATE,
		.name = login,
		.account = account,
		.mailbox = mailbox,
		.annotations = (struct store_annotation *)(uintptr_t)list,
		.nannotations = n };

	must(n > 0 && n <= STORE_ANNOT_REQUEST);
	store_ask(c, &r, op, done, arg);
}

void
store_annotate_unless_start(struct store_client *c, uint64_t account, uint64_t mailbox,
    const struct store_annotation *list, size_t n, uint64_t since, struct op *op, store_done *done,
    void *arg)
{
	struct store_request r = { .verb = STORE_V_ANNOTATE,
		.account = account,
		.mailbox = mailbox,
		.annotations = (struct store_annotation *)(uintptr_t)list,
		.nannotations = n,
		.options = STORE_CONDITIONAL,
		.since = since };

	must(n > 0 && n <= STORE_ANNOT_REQUEST);
	store_ask(c, &r, op, done, arg);
}

void
store_annotate_start(struct store_client *c, uint64_t account, uint64_t mailbox,
    const struct store_annotation *list, size_t n, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_ANNOTATE,
		.account = account,
		.mailbox = mailbox,
		.annotations = (struct store_annotation *)(uintptr_t)list,
		.nannotations = n };

	must(n > 0 && n <= STORE_ANNOT_REQUEST);
	store_ask(c, &r, op, done, arg);
}

/* ---- repair ------------------------------------------------------------------------------------------ */

void
store_relink_start(struct store_client *c, uint64_t mailbox, struct store_message *m, size_t n,
    struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_RELINK,
		.mailbox = mailbox,
		.messages = m,
		.nmessages = n };

	must(n > 0 && n <= STORE_MESSAGES_MAX);
	store_ask(c, &r, op, done, arg);
}

void
store_rethread_start(struct store_client *c, uint64_t mailbox, struct store_message *m, size_t n,
    struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_RETHREAD,
		.mailbox = mailbox,
		.messages = m,
		.nmessages = n };

	must(n <= STORE_MESSAGES_MAX);
	store_ask(c, &r, op, done, arg);
}

void
store_leave_start(struct store_client *c, uint64_t mailbox, struct slice login, struct slice to,
    struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_LEAVE,
		.mailbox = mailbox,
		.name = login,
		.name2 = to };

	store_ask(c, &r, op, done, arg);
}

void
store_settle_start(struct store_client *c, uint64_t mailbox, const struct store_range *uids,
    size_t n, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_SETTLE,
		.mailbox = mailbox,
		.ranges = uids,
		.nranges = n };

	store_ask(c, &r, op, done, arg);
}

void
store_forget_start(struct store_client *c, struct slice partition, const uint64_t *emails, size_t n,
    struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_FORGET,
		.partition = partition,
		.emails = emails,
		.nemails = n };

	store_ask(c, &r, op, done, arg);
}

void
store_mend_start(struct store_client *c, const struct store_mending *m, struct op *op,
    store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_MEND,
		.partition = m->partition,
		.name = m->account,
		.name2 = m->folder,
		.account = m->id,
		.mailbox = m->mailbox,
		.since = m->modseq,
		.count = m->uidvalidity };

	store_ask(c, &r, op, done, arg);
}

void
store_login_note(struct store_client *c, uint64_t account, struct slice login, enum store_login how)
{
	const struct store_request r = { .verb = STORE_V_LOGIN,
		.actor = login,
		.account = account,
		.use = (uint8_t)how };

	if (c->conn && c->state == STORE_CLIENT_READY)
		(void)!store_client_send(c, &r, 0);
}

void
store_login_at_start(struct store_client *c, uint64_t account, enum store_login how, uint32_t at,
    struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_LOGIN,
		.account = account,
		.use = (uint8_t)how,
		.since = at };

	store_ask(c, &r, op, done, arg);
}

void
store_recount_start(struct store_client *c, uint64_t account, struct op *op, store_done *done,
    void *arg)
{
	struct store_request r = { .verb = STORE_V_RECOUNT, .account = account };

	store_ask(c, &r, op, done, arg);
}

void
store_erase_start(struct store_client *c, uint64_t account, struct slice name, bool unused,
    struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_ERASE,
		.account = account,
		.name = name,
		.options = unused ? STORE_UNUSED : 0 };

	store_ask(c, &r, op, done, arg);
}

void
store_rename_account_start(struct store_client *c, uint64_t account, struct slice name,
    struct slice to, struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_RENAME_ACCOUNT,
		.account = account,
		.name = name,
		.name2 = to };

	store_ask(c, &r, op, done, arg);
}

void
store_orphan_start(struct store_client *c, uint64_t account, bool yes, struct op *op,
    store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_ORPHAN, .account = account, .yes = yes };

	store_ask(c, &r, op, done, arg);
}

void
store_warn_start(struct store_client *c, uint64_t account, struct store_limits limits,
    struct op *op, store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_WARN, .account = account, .limits = limits };

	store_ask(c, &r, op, done, arg);
}

void
store_domain_start(struct store_client *c, struct slice domain, struct op *op, store_done *done,
    void *arg)
{
	struct store_request r = { .verb = STORE_V_DOMAIN, .name = domain };

	store_ask(c, &r, op, done, arg);
}

void
store_handled_start(struct store_client *c, struct slice partition, uint64_t number, struct op *op,
    store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_HANDLED,
		.partition = partition,
		.since = number };

	store_ask(c, &r, op, done, arg);
}

void
store_freeze_start(struct store_client *c, uint64_t account, enum store_freeze how, struct op *op,
    store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_FREEZE,
		.account = account,
		.use = (uint8_t)how };

	store_ask(c, &r, op, done, arg);
}

void
store_snapshot_start(struct store_client *c, struct slice partition, struct op *op,
    store_done *done, void *arg)
{
	struct store_request r = { .verb = STORE_V_SNAPSHOT, .partition = partition };

	store_ask(c, &r, op, done, arg);
}

void
store_watch_returns(struct store_client *c,
    void (*fn)(void *arg, const struct store_event *ev, size_t n), void *arg)
{
	c->watch_quiet = true;
	c->watch_fn = fn;
	c->watch_arg = arg;
}
