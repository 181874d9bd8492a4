/* verb.c: the table of verbs, and how one is run.
 *
 * Called by cmd/diradm for a command line and by cmd/admind for a request.  Owns the call's memory.  Can
 * fail as each verb does; what is wrong with the call itself is said before anything is asked.  Must stay
 * true: everything an administrator can do is a row, with the words that help and manual show; there is no
 * other way in. */
#include <stdlib.h>
#include <sysexits.h>

#include "admin/admin-impl.h"
#include "base/mem.h"
#include "base/must.h"

/* clang-format off */
const struct admin_verb admin_verbs[] = {
	{ "provider", "create",	"NAME", 1, 1, true, true, admin_provider_create, "a provider, which organisations can be below" },
	{ "provider", "list",	"", 0, 0, false, false, admin_provider_list, "all that you may see" },
	{ "provider", "modify",	"NAME", 1, 1, true, true, admin_provider_modify, "its settings" },
	{ "provider", "delete",	"NAME", 1, 1, false, true, admin_provider_delete, "one without organisations" },
	{ "org", "create",	"DOMAIN [PROVIDER]", 1, 2, true, true, admin_org_create, "an organisation: a domain" },
	{ "org", "show",	"DOMAIN", 1, 1, false, false, admin_org_show, "its settings" },
	{ "org", "list",	"[PROVIDER]", 0, 1, false, false, admin_org_list, "all that you may see" },
	{ "org", "modify",	"DOMAIN", 1, 1, true, true, admin_org_modify, "its settings" },
	{ "org", "suspend",	"DOMAIN", 1, 1, false, true, admin_org_status, "nobody gets in, mail waits" },
	{ "org", "hold",	"DOMAIN", 1, 1, false, true, admin_org_status, "its mail is kept in the queue" },
	{ "org", "resume",	"DOMAIN", 1, 1, false, true, admin_org_status, "as before" },
	{ "org", "delete",	"DOMAIN", 1, 1, false, true, admin_org_status, "as if it were gone; undelete brings it back" },
	{ "org", "undelete",	"DOMAIN", 1, 1, false, true, admin_org_status, "active again" },
	{ "org", "readdress",	"DOMAIN NEW", 2, 2, false, true, admin_org_readdress, "addresses in another domain of it; the old ones stay" },
	{ "org", "purge",	"DOMAIN", 1, 1, false, true, admin_org_purge, "a deleted one, for good, with all that is in it" },
	{ "user", "create",	"ADDRESS", 1, 1, true, true, admin_user_create, "a user" },
	{ "user", "show",	"ADDRESS", 1, 1, false, false, admin_user_show, "its settings" },
	{ "user", "list",	"DOMAIN [WORD]", 1, 2, false, false, admin_user_list, "those whose name or address begins so" },
	{ "user", "modify",	"ADDRESS", 1, 1, true, true, admin_user_modify, "its settings" },
	{ "user", "rename",	"ADDRESS NAME", 2, 2, false, true, admin_user_rename, "another name; the old address stays an alias" },
	{ "user", "move",	"ADDRESS DOMAIN", 2, 2, false, true, admin_user_move, "to another organisation" },
	{ "user", "suspend",	"ADDRESS", 1, 1, false, true, admin_user_status, "cannot get in, mail waits" },
	{ "user", "hold",	"ADDRESS", 1, 1, false, true, admin_user_status, "mail is kept in the queue" },
	{ "user", "resume",	"ADDRESS", 1, 1, false, true, admin_user_status, "as before" },
	{ "user", "delete",	"ADDRESS", 1, 1, false, true, admin_user_status, "as if gone; undelete brings it back" },
	{ "user", "undelete",	"ADDRESS", 1, 1, false, true, admin_user_status, "active again" },
	{ "user", "purge",	"ADDRESS|DOMAIN", 1, 1, false, true, admin_user_purge, "a deleted one for good, or all whose time is over" },
	{ "user", "password",	"ADDRESS", 1, 1, false, true, admin_user_password, "another password; one is made if none is given" },
	{ "user", "place",	"ADDRESS", 1, 1, true, false, admin_user_place, "which store a new user would get" },
	{ "user", "export",	"ADDRESS", 1, 1, false, false, admin_user_export, "all that the directory has of the person" },
	{ "group", "create",	"ADDRESS", 1, 1, true, true, admin_group_create, "a mailing list" },
	{ "group", "show",	"ADDRESS", 1, 1, false, false, admin_group_show, "its settings and members" },
	{ "group", "list",	"DOMAIN [WORD]", 1, 2, false, false, admin_group_list, "those whose name or address begins so" },
	{ "group", "modify",	"ADDRESS", 1, 1, true, true, admin_group_modify, "its settings and members" },
	{ "group", "rename",	"ADDRESS NAME", 2, 2, false, true, admin_group_rename, "another name; the old address stays an alias" },
	{ "group", "delete",	"ADDRESS", 1, 1, false, true, admin_group_delete, "for good" },
	{ "package", "create",	"NAME", 1, 1, true, true, admin_package_create, "a service package: quota, sizes, services" },
	{ "package", "list",	"", 0, 0, false, false, admin_package_list, "all" },
	{ "package", "modify",	"NAME", 1, 1, true, true, admin_package_modify, "what it gives; apply gives it to who has it" },
	{ "package", "apply",	"NAME [DOMAIN]", 1, 2, false, true, admin_package_apply, "to every user who has it" },
	{ "package", "delete",	"NAME", 1, 1, false, true, admin_package_delete, "one that nobody has" },
	{ "role", "grant",	"ROLE ADDRESS [DOMAIN|PROVIDER]", 2, 3, false, true, admin_role_grant, "top, provider, organisation or helpdesk" },
	{ "role", "revoke",	"ROLE ADDRESS [DOMAIN|PROVIDER]", 2, 3, false, true, admin_role_revoke, "the same" },
	{ "role", "list",	"[DOMAIN]", 0, 1, false, false, admin_role_list, "who has which" },
	{ "factor", "show",	"ADDRESS", 1, 1, false, false, admin_factor_show, "is there a second factor?" },
	{ "factor", "create",	"ADDRESS", 1, 1, false, true, admin_factor_create, "the secret of your own, for an authenticator" },
	{ "factor", "confirm",	"ADDRESS CODE", 2, 2, false, true, admin_factor_confirm, "turns it on by a code; recovery codes are told" },
	{ "factor", "recovery",	"ADDRESS", 1, 1, false, true, admin_factor_recovery, "other recovery codes" },
	{ "factor", "reset",	"ADDRESS", 1, 1, false, true, admin_factor_reset, "takes it away" },
	{ "app", "create",	"ADDRESS", 1, 1, true, true, admin_app_create, "an application password of your own, which is told" },
	{ "app", "list",	"ADDRESS", 1, 1, false, false, admin_app_list, "which there are" },
	{ "app", "revoke",	"ADDRESS [ID]", 1, 2, false, true, admin_app_revoke, "one of them, or all" },
	{ "job", "create",	"OBJECT [VERB] NAME ...", 1, 6, true, true, admin_job_create, "what is many changes, to be done by admind" },
	{ "job", "list",	"[DOMAIN]", 0, 1, false, false, admin_job_list, "all that you may see" },
	{ "job", "show",	"ID", 1, 1, false, false, admin_job_show, "how far it is" },
	{ "job", "report",	"ID [RESULT]", 1, 2, false, false, admin_job_report, "what became of each row" },
	{ "job", "pause",	"ID", 1, 1, false, true, admin_job_wish, "it stops behind the step that it is at" },
	{ "job", "cancel",	"ID", 1, 1, false, true, admin_job_wish, "the same, for good; what is done stays done" },
	{ "job", "resume",	"ID", 1, 1, false, true, admin_job_resume, "your own, paused or failed: it goes on" },
	{ "job", "run",		"ID", 1, 1, false, true, admin_job_run, "your own, here and now" },
	{ "job", "delete",	"ID", 1, 1, false, true, admin_job_delete, "one that is over, with its report" },
	{ "host", "list",	"", 0, 0, false, false, admin_host_list, "daemons of all hosts: state, version, certificate, disk" },
	{ "queue", "list",	"[HOST]", 0, 1, false, false, admin_queue_list, "queues and their channels, in numbers" },
	{ "queue", "top",	"HOST [CHANNEL]", 1, 2, false, false, admin_queue_top, "destinations with most messages" },
	{ "queue", "messages",	"HOST [FILTER ...]", 1, 6, false, false, admin_queue_messages, "messages that fit all filters: dest=store1.example.net" },
	{ "queue", "hold",	"HOST FILTER ...", 2, 6, false, true, admin_queue_do, "sets messages aside until they are released" },
	{ "queue", "release",	"HOST FILTER ...", 2, 6, false, true, admin_queue_do, "gives held ones back" },
	{ "queue", "retry",	"HOST FILTER ...", 2, 6, false, true, admin_queue_do, "tries waiting ones now" },
	{ "queue", "return",	"HOST FILTER ...", 2, 6, false, true, admin_queue_do, "sends them back to their senders now" },
	{ "queue", "delete",	"HOST FILTER ...", 2, 6, false, true, admin_queue_do, "removes them; nobody is told" },
	{ "delivery", "list",	"DOMAIN WORD [SINCE]", 2, 3, false, false, admin_delivery_list, "what became of messages: an address, a Message-ID, an id" },
	{ "audit", "list",	"[DOMAIN [WORD [BEFORE]]]", 0, 3, false, false, admin_audit_list, "who has changed what, the newest first" },
	{ "check", "",		"[DOMAIN]", 0, 1, false, false, admin_check, "what mail would stumble over" },
	{ "init", "",		"", 0, 0, false, false, admin_init, "what a directory lacks that was there before" },
};
/* clang-format on */
const size_t admin_nverbs = NELEM(admin_verbs);

const struct admin_verb *
admin_verb_find(struct slice object, struct slice verb)
{
	for (size_t i = 0; i < admin_nverbs; i++)
		if (slice_eq(object, slice_str(admin_verbs[i].object)) &&
		    (!*admin_verbs[i].verb || slice_eq(verb, slice_str(admin_verbs[i].verb))))
			return &admin_verbs[i];
	return NULL;
}

static bool
verb_call_good(struct admin *a)
{
	const struct admin_verb *v = a->verb;

	if (a->call->nnames < v->min || a->call->nnames > v->max)
		return admin_fail(a, ADMIN_BAD, "operands", "%s %s: %s is expected", v->object,
		    v->verb, *v->operands ? v->operands : "nothing more");
	/* Whose deliveries: "" is everybody's. */
	for (size_t i = v->run == admin_delivery_list; i < v->min; i++)
		if (!admin_name(a, i).n)
			return admin_fail(a, ADMIN_BAD, "operands", "%s %s: an empty name",
			    v->object, v->verb);
	if (a->call->secret.n && v->run != admin_user_create && v->run != admin_user_password)
		return admin_fail(a, ADMIN_BAD, "setting", "%s %s: takes no password", v->object,
		    v->verb);
	if (a->call->nsettings && !v->settings)
		return admin_fail(a, ADMIN_BAD, "setting", "%s %s: takes no settings", v->object,
		    v->verb);
	return true;
}

void
admin_run(struct loop *l, struct dir_agent *agent, const struct admin_verb *v,
    const struct admin_call *call, struct admin_problem *problem)
{
	struct admin a = { .loop = l,
		.agent = agent,
		.verb = v,
		.call = call,
		.problem = problem,
		.fiber = fiber_self() };

	*problem = (struct admin_problem){ .status = ADMIN_OK, .code = "", .text = "" };
	must(a.fiber);
	if (verb_call_good(&a) && !v->run(&a) && problem->status == ADMIN_OK)
		admin_fail(&a, ADMIN_FAILED, "failed", "%s %s has failed", v->object, v->verb);
	arena_reset(&a.memory);
	arena_reset(&a.telling);
}

char *
admin_person(struct loop *l, struct dir_agent *agent, struct slice address,
    struct admin_problem *problem)
{
	static const struct admin_verb nothing = { .object = "", .verb = "" };
	const struct admin_call call = { .who = "", .from = "" };
	struct admin a = { .loop = l,
		.agent = agent,
		.verb = &nothing,
		.call = &call,
		.problem = problem,
		.fiber = fiber_self() };
	const struct dir_entry *e;
	char *dn = NULL;

	*problem = (struct admin_problem){ .status = ADMIN_OK, .code = "", .text = "" };
	if (admin_find_user(&a, address, NULL, &e))
		dn = mem_strn(e->dn.p, e->dn.n);
	arena_reset(&a.memory);
	arena_reset(&a.telling);
	return dn;
}

static const struct {
	int http, exit;
} statuses[] = {
	/* clang-format off */
	[ADMIN_OK] =		{ 200, 0 },
	[ADMIN_BAD] =		{ 400, EX_USAGE },
	[ADMIN_LOGIN] =		{ 401, EX_NOPERM },
	[ADMIN_DENIED] =	{ 403, EX_NOPERM },
	[ADMIN_NOT_FOUND] =	{ 404, EX_NOUSER },
	[ADMIN_EXISTS] =	{ 409, EX_CANTCREAT },
	[ADMIN_CHANGED] =	{ 412, EX_TEMPFAIL },
	[ADMIN_LIMIT] =		{ 422, EX_DATAERR },
	[ADMIN_AWAY] =		{ 503, EX_UNAVAILABLE },
	[ADMIN_UNKNOWN] =	{ 504, EX_PROTOCOL },
	[ADMIN_FAILED] =	{ 500, EX_SOFTWARE },
}; /* clang-format on */

int
admin_status_http(enum admin_status s)
{
	return statuses[s].http;
}

int
admin_status_exit(enum admin_status s)
{
	return statuses[s].exit;
}
