/* agent.c: jobs of a person, one at a time (agent.h); agent-read.c reads what comes back.
 *
 * Owns the connection, and of the job on its way a copy in libldap's form.  Called by lib/admin
 * alone.  Can fail: the server, before (AWAY) or after (UNKNOWN) a job was sent, the login, and the
 * job itself by what slapd thinks of it.  Must stay true: `done` is never called from inside a start;
 * a job is sent at most once, but for a search on a connection that turns out to be dead, which is
 * asked for again.  Apart from modify.c because that has many changes in flight and few kinds. */
#include "base/arena.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "directory/agent-impl.h"

#define AGENT_CONTROL 5 /* assertion, pre-read, page, sort, proxy: at most */

/* ---- the end of a job -------------------------------------------------------------------- */

static void
agent_clear(struct dir_agent *a)
{
	timer_stop(&a->timer);
	arena_wipe(&a->memory); /* it may have been a password */
	mem_free(&a->entries);
	a->n = a->room = a->bytes = 0;
	a->msgid = 0;
	a->busy = a->cut = a->again = false;
	a->op = NULL;
}

static void
agent_answer(struct later *later)
{
	struct dir_agent *a =
	    CAST(CONTAINER(later, struct dir_agent, later), struct dir_agent, AGENT_MAGIC);
	struct op *op = a->op;

	a->outcome.entries = a->entries;
	a->outcome.n = a->n;
	a->busy = false;
	a->op = NULL;
	secret_clear((void *)(uintptr_t)a->job.password.p, a->job.password.n);
	if (op) {
		op_done(op);
		a->done(a->arg, &a->outcome);
	}
}

static void
agent_end(struct dir_agent *a, enum dir_result result, const char *why)
{
	a->msgid = 0;
	a->outcome.result = result;
	a->outcome.why = arena_str(&a->memory, why);
	timer_stop(&a->timer);
	later_run(&a->later, a->dir->loop, agent_answer);
}

static void
agent_cancelled(struct op *op)
{
	struct dir_agent *a = CAST(op->impl, struct dir_agent, AGENT_MAGIC);

	op->impl = NULL;
	a->op = NULL;
}

/* ---- what slapd sends -------------------------------------------------------------------- */

static void
agent_finish(struct dir_agent *a, LDAPMessage *m)
{
	LDAPControl **controls = NULL, *c;
	char *text = NULL;
	int code = LDAP_OTHER;

	if (a->job.task == DIR_PASSWORD || a->job.task == DIR_WHOAMI)
		dir_agent_extended(a, m);
	if (ldap_parse_result(dir_conn_ldap(a->conn), m, &code, NULL, &text, NULL, &controls, 0) !=
	    LDAP_SUCCESS)
		code = LDAP_OTHER;
	if (controls && (c = ldap_control_find(LDAP_CONTROL_PRE_READ, controls, NULL)))
		dir_agent_before(a, c);
	if (controls && (c = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL)))
		dir_agent_cookie(a, c);
	if (code == LDAP_SUCCESS && a->cut)
		agent_end(a, DIR_R_LIMIT, "the answer is too large");
	else
		agent_end(a, dir_agent_result(code),
		    code == LDAP_SUCCESS ? "" :
			text && *text    ? text :
					   ldap_err2string(code));
	ldap_memfree(text);
	ldap_controls_free(controls);
}

static void
agent_message(struct conn *c UNUSED, void *data, LDAPMessage *m)
{
	struct dir_agent *a = CAST(data, struct dir_agent, AGENT_MAGIC);

	if (!a->msgid || ldap_msgid(m) != a->msgid)
		return;
	if (ldap_msgtype(m) == LDAP_RES_SEARCH_ENTRY)
		dir_agent_entry(a, m);
	else if (ldap_msgtype(m) != LDAP_RES_SEARCH_REFERENCE)
		agent_finish(a, m);
}

/* ---- sending ----------------------------------------------------------------------------- */

static LDAPControl *
agent_sort(LDAP *ld, const char *by)
{
	LDAPSortKey **keys = NULL;
	LDAPControl *c = NULL;

	if (ldap_create_sort_keylist(&keys, (char *)(uintptr_t)by) == LDAP_SUCCESS &&
	    ldap_create_sort_control(ld, keys, 1, &c) != LDAP_SUCCESS)
		c = NULL;
	if (keys)
		ldap_free_sort_keylist(keys);
	return c;
}

/* All that the job names must go with it: a control that could not be made is a failure. */
static int
agent_controls(struct dir_agent *a, LDAPControl **out)
{
	LDAP *ld = dir_conn_ldap(a->conn);
	const struct dir_job *j = &a->job;
	struct berval cookie = { j->cookie.n, (char *)(uintptr_t)j->cookie.p };
	struct berval as = { j->as ? strlen(j->as) : 0, (char *)(uintptr_t)j->as };
	size_t n = 0, wanted = !!j->as + !!j->assertion + !!a->before + !!j->sort + !!j->page;

	if (j->as &&
	    ldap_control_create(LDAP_CONTROL_PROXY_AUTHZ, 1, &as, 1, &out[n]) == LDAP_SUCCESS)
		n++;
	if (j->assertion &&
	    ldap_create_assertion_control(ld, (char *)(uintptr_t)j->assertion, 1, &out[n]) ==
		LDAP_SUCCESS)
		n++;
	if (a->before && (out[n] = dir_pre_read(a->before)))
		n++;
	if (j->sort && (out[n] = agent_sort(ld, j->sort)))
		n++;
	if (j->page &&
	    ldap_create_page_control(ld, j->page, j->cookie.n ? &cookie : NULL, 1, &out[n]) ==
		LDAP_SUCCESS)
		n++;
	out[n] = NULL;
	return n == wanted ? LDAP_SUCCESS : LDAP_PARAM_ERROR;
}

static int
agent_password(struct dir_agent *a, LDAPControl **controls)
{
	const struct dir_job *j = &a->job;
	struct berval dn = { strlen(j->dn), (char *)(uintptr_t)j->dn };
	struct berval password = { j->password.n, (char *)(uintptr_t)j->password.p };

	return ldap_passwd(dir_conn_ldap(a->conn), &dn, NULL, j->password.n ? &password : NULL,
	    controls, NULL, &a->msgid);
}

static int
agent_search(struct dir_agent *a, LDAPControl **controls)
{
	static const int scopes[] = { [DIR_SCOPE_BASE] = LDAP_SCOPE_BASE,
		[DIR_SCOPE_ONE] = LDAP_SCOPE_ONELEVEL,
		[DIR_SCOPE_SUB] = LDAP_SCOPE_SUBTREE };
	const struct dir_job *j = &a->job;

	return ldap_search_ext(dir_conn_ldap(a->conn), j->dn, scopes[j->scope],
	    j->filter ? j->filter : "(objectClass=*)", a->attrs, 0, controls, NULL, NULL,
	    j->limit ? (int)j->limit : LDAP_NO_LIMIT, &a->msgid);
}

static int
agent_send_task(struct dir_agent *a, LDAPControl **controls)
{
	LDAP *ld = dir_conn_ldap(a->conn);
	const struct dir_job *j = &a->job;

	switch (j->task) {
	case DIR_SEARCH: return agent_search(a, controls);
	case DIR_CREATE: return ldap_add_ext(ld, j->dn, a->mods, controls, NULL, &a->msgid);
	case DIR_MODIFY: return ldap_modify_ext(ld, j->dn, a->mods, controls, NULL, &a->msgid);
	case DIR_REMOVE: return ldap_delete_ext(ld, j->dn, controls, NULL, &a->msgid);
	case DIR_RENAME:
		return ldap_rename(ld, j->dn, j->rdn, j->superior, 1, controls, NULL, &a->msgid);
	case DIR_PASSWORD: return agent_password(a, controls);
	case DIR_WHOAMI: return ldap_whoami(ld, controls, NULL, &a->msgid);
	}
	return LDAP_PARAM_ERROR;
}

static void
agent_send(struct dir_agent *a)
{
	LDAPControl *controls[AGENT_CONTROL + 1] = { NULL };
	int rc = agent_controls(a, controls);

	if (rc == LDAP_SUCCESS)
		rc = agent_send_task(a, controls);
	for (size_t i = 0; controls[i]; i++)
		ldap_control_free(controls[i]);
	if (rc == LDAP_SUCCESS)
		return;
	a->msgid = 0;
	agent_end(a,
	    rc == LDAP_SERVER_DOWN      ? DIR_R_UNKNOWN :
		rc == LDAP_FILTER_ERROR ? DIR_R_VALUE :
					  DIR_R_OTHER,
	    ldap_err2string(rc));
}

static void
agent_up(struct conn *c UNUSED, void *data)
{
	struct dir_agent *a = CAST(data, struct dir_agent, AGENT_MAGIC);

	a->was_up = true;
	dir_server_good(a->server);
	if (a->busy && !a->msgid)
		agent_send(a);
}

static void agent_connect(struct dir_agent *a);

static bool
agent_login_refused(const char *why)
{
	return strcmp(why, ldap_err2string(LDAP_INVALID_CREDENTIALS)) == 0 ||
	    strcmp(why, ldap_err2string(LDAP_INAPPROPRIATE_AUTH)) == 0 ||
	    strcmp(why, ldap_err2string(LDAP_UNWILLING_TO_PERFORM)) == 0;
}

static void
agent_down(struct conn *c UNUSED, void *data, const char *why)
{
	struct dir_agent *a = CAST(data, struct dir_agent, AGENT_MAGIC);
	bool sent = a->msgid;

	a->conn = NULL; /* it frees itself */
	if (!a->busy)
		return; /* it was idle */
	if (!a->was_up && agent_login_refused(why)) {
		agent_end(a, DIR_R_LOGIN, why);
		return;
	}
	if (!a->was_up)
		dir_server_failed(a->server, loop_now(a->dir->loop), a->began_at);
	if (sent && a->job.task == DIR_SEARCH && !a->job.cookie.n && !a->again) {
		a->again = true;
		a->msgid = 0;
		a->n = a->bytes = 0;
		agent_connect(a);
		return;
	}
	if (!sent && !a->was_up && !a->again && dir_server(a->dir)) {
		a->again = true; /* the next server, once */
		agent_connect(a);
		return;
	}
	agent_end(a, sent ? DIR_R_UNKNOWN : DIR_R_AWAY, why);
}

static const struct conn_events agent_events = { agent_up, agent_message, agent_down };

static void
agent_connect(struct dir_agent *a)
{
	a->server = dir_server(a->dir);
	a->was_up = false;
	a->began_at = loop_now(a->dir->loop);
	if (!a->server) {
		agent_end(a, DIR_R_AWAY, "no server can be reached");
		return;
	}
	a->conn = dir_conn_new(a->dir->loop, dir_names(a->dir, a->server), a->server, a->dn,
	    a->external ? NULL : a->password.p, (uint64_t)shared.ldap_timeout, &agent_events, a);
}

static void
agent_on_timer(struct timer *t)
{
	struct dir_agent *a =
	    CAST(CONTAINER(t, struct dir_agent, timer), struct dir_agent, AGENT_MAGIC);

	if (a->server)
		dir_server_failed(a->server, loop_now(a->dir->loop), a->began_at);
	dir_conn_close(&a->conn);
	agent_end(a, a->msgid ? DIR_R_UNKNOWN : DIR_R_AWAY, "no answer in time");
}

void
dir_agents_hang_up(struct dir *d)
{
	struct dir_agent *a;

	list_each(a, &d->agents, struct dir_agent, link)
	{
		bool sent = a->msgid;

		dir_conn_close(&a->conn);
		a->server = NULL;
		if (a->busy && a->op)
			agent_end(a, sent ? DIR_R_UNKNOWN : DIR_R_AWAY,
			    "the settings have changed");
	}
}

/* ---- asking ------------------------------------------------------------------------------ */

static char **
agent_copy_names(struct arena *m, const char *const *names)
{
	char **out;
	size_t n = 0;

	while (names && names[n])
		n++;
	if (!names)
		return NULL;
	out = arena_array(m, n + 1, sizeof(*out));
	for (size_t i = 0; i < n; i++)
		out[i] = arena_str(m, names[i]);
	return out;
}

static const char *
agent_copy_str(struct arena *m, const char *s)
{
	return s ? arena_str(m, s) : NULL;
}

static void
agent_copy(struct dir_agent *a, const struct dir_job *j)
{
	struct arena *m = &a->memory;

	a->job = *j;
	a->job.dn = arena_str(m, j->dn ? j->dn : "");
	a->job.as = agent_copy_str(m, j->as);
	a->job.assertion = agent_copy_str(m, j->assertion);
	a->job.filter = agent_copy_str(m, j->filter);
	a->job.sort = agent_copy_str(m, j->sort);
	a->job.rdn = agent_copy_str(m, j->rdn);
	a->job.superior = agent_copy_str(m, j->superior);
	a->job.cookie = arena_slice(m, j->cookie);
	a->job.password = arena_slice(m, j->password);
	a->attrs = agent_copy_names(m, j->attrs);
	a->before = agent_copy_names(m, j->before);
	a->mods = arena_array(m, j->nchanges + 1, sizeof(*a->mods));
	for (size_t i = 0; i < j->nchanges; i++)
		a->mods[i] = dir_change_copy(m, &j->changes[i]);
}

void
dir_agent_start(struct dir_agent *a, const struct dir_job *j, struct op *op, dir_agent_done done,
    void *arg)
{
	must(!a->busy);
	agent_clear(a);
	agent_copy(a, j);
	a->busy = true;
	a->op = op;
	a->done = done;
	a->arg = arg;
	a->outcome = (struct dir_outcome){ .why = "" };
	op->cancel = agent_cancelled;
	op->impl = a;
	timer_start(&a->timer, (uint64_t)shared.ldap_timeout, 0);
	if (dir_conn_up(a->conn))
		agent_send(a);
	else if (!a->conn && a->job.cookie.n)
		agent_end(a, DIR_R_AWAY, "the connection of the page before is lost");
	else if (!a->conn)
		agent_connect(a);
}

bool
dir_agent_up(const struct dir_agent *a)
{
	return dir_conn_up(a->conn);
}

/* ---- life -------------------------------------------------------------------------------- */

struct dir_agent *
dir_agent_reader(struct dir *d, const char *dn, const char *password)
{
	struct dir_agent *a = mem_new(sizeof(*a));

	a->magic = AGENT_MAGIC;
	a->dir = d;
	list_push(&a->dir->agents, &a->link);
	a->dn = mem_str(dn ? dn : "");
	a->external = !password;
	secret_set(&a->password, slice_str(password));
	later_init(&a->later);
	timer_init(&a->timer, a->dir->loop, agent_on_timer);
	return a;
}

struct dir_agent *
dir_agent_new(struct dir *d, const char *dn, const char *password)
{
	return dir_agent_reader(dir_provider(d), dn, password);
}

struct dir_agent *
dir_agent_other(struct dir_agent *a, const char *dn, const char *password)
{
	return dir_agent_new(a->dir, dn, password);
}

static void
agent_closed(struct timer *t)
{
	mem_release(CONTAINER(t, struct dir_agent, timer));
}

void
dir_agent_free(struct dir_agent **ap)
{
	struct dir_agent *a = *ap;

	*ap = NULL;
	if (!a)
		return;
	list_remove(&a->link);
	if (a->op)
		op_done(a->op);
	later_cancel(&a->later);
	dir_conn_close(&a->conn);
	agent_clear(a);
	mem_free(&a->dn);
	secret_wipe(&a->password);
	a->magic = 0;
	timer_close(&a->timer, agent_closed);
}
