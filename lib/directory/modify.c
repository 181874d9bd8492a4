/* modify.c: changes to entries (modify.h).
 *
 *	waiting (no connection yet) -> sent, by message id -> answered at once
 *
 * Owns one connection and the changes on their way, each with its own copy of what to change in
 * libldap's form.  Called by programs that manage users.  Can fail: the server, before (AWAY) or
 * after (UNKNOWN) a change was sent, and the change itself.  Must stay true: a change is sent at
 * most once, and is answered within ldap.timeout of being asked for.  Apart from fetch.c because a
 * search may be repeated and this may not. */
#include "base/arena.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/secret.h"
#include "conf/shared.h"
#include "directory/directory-impl.h"
#include "directory/modify.h"

#define MODIFY_MAGIC 0x6d6f6469U
#define WRITER_MAGIC 0x77726974U
#define CHANGES_MAX  1000 /* waiting and sent; more are refused at once */

struct modify {
	uint32_t magic;
	struct dir_writer *writer;
	struct list link; /* waiting, sent or ready */
	struct op *op;
	dir_modify_done done;
	void *arg;
	struct arena memory; /* of all below */
	const char *dn, *assertion;
	char **before;
	char *as;       /* "dn:..." or NULL */
	LDAPMod **mods; /* NULL: the entry is read */
	bool seen, many;
	int msgid;
	uint64_t until;
	enum dir_modify_result result;
	const char *why;
	struct dir_before found[DIR_BEFORE_MAX];
	size_t nfound;
};

struct dir_writer {
	uint32_t magic;
	struct list link; /* dir.writers: a reload makes new servers */
	struct dir *dir;
	char *dn;
	struct secret password;
	struct conn *conn;
	struct server *server;
	uint64_t began_at;
	bool was_up;
	struct list waiting, sent, ready;
	size_t n;
	struct timer timer;
	struct later later;
};

/* ---- the end of a change ----------------------------------------------------------------- */

static void
modify_free(struct modify *m)
{
	list_remove(&m->link);
	m->writer->n--;
	if (m->op)
		op_done(m->op);
	arena_wipe(&m->memory); /* it may have been a password */
	m->magic = 0;
	mem_release(m);
}

static void
modify_cancelled(struct op *op)
{
	struct modify *m = CAST(op->impl, struct modify, MODIFY_MAGIC);

	op->impl = NULL;
	m->op = NULL;
	if (!m->msgid)
		modify_free(m);
}

static void
modify_answer(struct later *later)
{
	struct dir_writer *w = CONTAINER(later, struct dir_writer, later);
	struct list now;
	struct modify *m;

	list_init(&now);
	list_splice(&now, &w->ready);
	while ((m = list_first(&now, struct modify, link))) {
		struct dir_modified answer = { m->result, m->why ? m->why : "", m->found,
			m->nfound };

		list_remove(&m->link);
		if (m->op) {
			op_done(m->op);
			m->op = NULL;
			m->done(m->arg, &answer);
		}
		modify_free(m);
	}
}

static void
modify_end(struct modify *m, enum dir_modify_result result, const char *why)
{
	struct dir_writer *w = m->writer;

	m->msgid = 0;
	m->result = result;
	m->why = arena_str(&m->memory, why);
	list_remove(&m->link);
	list_push(&w->ready, &m->link);
	later_run(&w->later, w->dir->loop, modify_answer);
}

/* ---- what slapd sends -------------------------------------------------------------------- */

/* The control of a pre-read holds an entry (RFC 4527 3.1): dn, then attributes with values. */
static void
modify_read_before(struct modify *m, const struct berval *value)
{
	BerElement *ber = ber_init((struct berval *)(uintptr_t)value);
	struct berval name, *values, *v;

	if (!ber || ber_scanf(ber, "{m{", &name) == LBER_ERROR) {
		ber_free(ber, 1);
		return;
	}
	while (ber_scanf(ber, "{m", &name) != LBER_ERROR &&
	    ber_scanf(ber, "[W]}", &values) != LBER_ERROR) {
		for (v = values; v && v->bv_val && m->nfound < DIR_BEFORE_MAX; v++) {
			struct dir_before *b = &m->found[m->nfound++];

			b->attribute = arena_slice(&m->memory, slice(name.bv_val, name.bv_len));
			b->value = arena_slice(&m->memory, slice(v->bv_val, v->bv_len));
		}
		ber_bvarray_free(values);
	}
	ber_free(ber, 1);
}

/* The entry that is read. */
static void
modify_read_entry(struct modify *m, LDAP *ld, LDAPMessage *message)
{
	struct berval dn, name, *values;
	BerElement *ber = NULL;

	m->seen = true;
	if (ldap_get_dn_ber(ld, message, &ber, &dn) != LDAP_SUCCESS)
		return;
	while (ldap_get_attribute_ber(ld, message, ber, &name, &values) == LDAP_SUCCESS &&
	    name.bv_val) {
		for (struct berval *v = values; v && v->bv_val; v++) {
			struct dir_before *b = &m->found[m->nfound];

			m->many |= m->nfound == DIR_BEFORE_MAX;
			if (m->many)
				break;
			m->nfound++;
			b->attribute = arena_slice(&m->memory, slice(name.bv_val, name.bv_len));
			b->value = arena_slice(&m->memory, slice(v->bv_val, v->bv_len));
		}
		ldap_memfree(values);
	}
	ber_free(ber, 0);
}

/* The last word of slapd on a change or a reading. */
static enum dir_modify_result
modify_result(const struct modify *m, int code)
{
	switch (code) {
	case LDAP_SUCCESS:
		return m->mods || (m->seen && !m->many) ? DIR_MODIFIED :
		    m->many                             ? DIR_DENIED :
							  DIR_NO_ENTRY;
	case LDAP_ASSERTION_FAILED: return DIR_ASSERTION_FAILED;
	case LDAP_NO_SUCH_OBJECT: return DIR_NO_ENTRY;
	case LDAP_BUSY:
	case LDAP_UNAVAILABLE:
	case LDAP_REFERRAL: /* a replica that only reads: the provider is to come first */
		return DIR_MODIFY_AWAY;
	default: return DIR_DENIED;
	}
}

static void
writer_message(struct conn *c, void *data, LDAPMessage *message)
{
	struct dir_writer *w = CAST(data, struct dir_writer, WRITER_MAGIC);
	LDAPControl **controls = NULL, *before;
	struct modify *m;
	char *text = NULL;
	int code = LDAP_OTHER;

	list_each(m, &w->sent, struct modify, link)
	{
		if (m->msgid != ldap_msgid(message))
			continue;
		if (ldap_msgtype(message) == LDAP_RES_SEARCH_ENTRY)
			modify_read_entry(m, dir_conn_ldap(c), message);
		if (ldap_msgtype(message) == LDAP_RES_SEARCH_ENTRY ||
		    ldap_msgtype(message) == LDAP_RES_SEARCH_REFERENCE)
			return;
		if (ldap_parse_result(dir_conn_ldap(c), message, &code, NULL, &text, NULL,
			&controls, 0) != LDAP_SUCCESS)
			code = LDAP_OTHER;
		before = controls ? ldap_control_find(LDAP_CONTROL_PRE_READ, controls, NULL) : NULL;
		if (before)
			modify_read_before(m, &before->ldctl_value);
		modify_end(m, modify_result(m, code),
		    m->many                  ? "the entry has too many values" :
			code == LDAP_SUCCESS ? "" :
			text && *text        ? text :
					       ldap_err2string(code));
		ldap_memfree(text);
		ldap_controls_free(controls);
		return;
	}
}

/* ---- sending ----------------------------------------------------------------------------- */

LDAPControl *
dir_pre_read(char **attributes)
{
	BerElement *ber = ber_alloc_t(LBER_USE_DER);
	struct berval value;
	LDAPControl *c = NULL;

	if (!ber || ber_printf(ber, "{v}", attributes) < 0 || ber_flatten2(ber, &value, 0) < 0 ||
	    ldap_control_create(LDAP_CONTROL_PRE_READ, 1, &value, 1, &c) != LDAP_SUCCESS)
		c = NULL;
	ber_free(ber, 1);
	return c;
}

/* In whose name: RFC 4370 3. */
static LDAPControl *
modify_proxied(char *as)
{
	struct berval value = { strlen(as), as };
	LDAPControl *c = NULL;

	if (ldap_control_create(LDAP_CONTROL_PROXY_AUTHZ, 1, &value, 1, &c) != LDAP_SUCCESS)
		c = NULL;
	return c;
}

static int
modify_send(struct modify *m)
{
	LDAP *ld = dir_conn_ldap(m->writer->conn);
	LDAPControl *controls[4] = { NULL };
	size_t n = 0;
	int rc = LDAP_SUCCESS;

	if (m->assertion) {
		rc = ldap_create_assertion_control(ld, (char *)(uintptr_t)m->assertion, 1,
		    &controls[n]);
		n += rc == LDAP_SUCCESS;
	}
	if (m->before && m->mods && rc == LDAP_SUCCESS)
		controls[n++] = dir_pre_read(m->before);
	if (m->as && rc == LDAP_SUCCESS && !(controls[n++] = modify_proxied(m->as)))
		rc = LDAP_NO_MEMORY; /* never in the writer's own name instead */
	if (rc == LDAP_SUCCESS && m->mods)
		rc = ldap_modify_ext(ld, m->dn, m->mods, controls, NULL, &m->msgid);
	else if (rc == LDAP_SUCCESS)
		rc = ldap_search_ext(ld, m->dn, LDAP_SCOPE_BASE, "(objectClass=*)", m->before, 0,
		    controls, NULL, NULL, 2, &m->msgid);
	for (size_t i = 0; i < n; i++)
		if (controls[i])
			ldap_control_free(controls[i]);
	if (rc != LDAP_SUCCESS)
		m->msgid = 0;
	return rc;
}

static void
writer_send(struct dir_writer *w)
{
	struct modify *m;

	while (dir_conn_up(w->conn) && (m = list_first(&w->waiting, struct modify, link))) {
		int rc = modify_send(m);

		if (rc != LDAP_SUCCESS) {
			modify_end(m, rc == LDAP_SERVER_DOWN ? DIR_UNKNOWN : DIR_DENIED,
			    ldap_err2string(rc));
			continue;
		}
		list_remove(&m->link);
		list_push(&w->sent, &m->link);
	}
}

static void
writer_lost(struct dir_writer *w, const char *why, bool blame)
{
	struct modify *m;

	log_event(LOG_WARN, "ldap_down", "server=%s why=%s use=modify", log_str(w->server->url),
	    log_str(why));
	if (blame || !w->was_up)
		dir_server_failed(w->server, loop_now(w->dir->loop), w->began_at);
	while ((m = list_first(&w->sent, struct modify, link)))
		modify_end(m, DIR_UNKNOWN, why);
	while (!w->was_up && (m = list_first(&w->waiting, struct modify, link)))
		modify_end(m, DIR_MODIFY_AWAY, why);
}

static void writer_connect(struct dir_writer *w);

static void
writer_up(struct conn *c UNUSED, void *data)
{
	struct dir_writer *w = CAST(data, struct dir_writer, WRITER_MAGIC);

	w->was_up = true;
	dir_server_good(w->server);
	writer_send(w);
}

static void
writer_down(struct conn *c UNUSED, void *data, const char *why)
{
	struct dir_writer *w = CAST(data, struct dir_writer, WRITER_MAGIC);

	w->conn = NULL; /* it frees itself */
	writer_lost(w, why, false);
	if (!list_empty(&w->waiting))
		writer_connect(w);
}

static const struct conn_events writer_events = { writer_up, writer_message, writer_down };

static void
writer_connect(struct dir_writer *w)
{
	struct modify *m;

	w->server = dir_server(w->dir);
	w->was_up = false;
	w->began_at = loop_now(w->dir->loop);
	if (w->server)
		w->conn = dir_conn_new(w->dir->loop, dir_names(w->dir, w->server), w->server, w->dn,
		    w->password.p, (uint64_t)shared.ldap_timeout, &writer_events, w);
	while (!w->server && (m = list_first(&w->waiting, struct modify, link)))
		modify_end(m, DIR_MODIFY_AWAY, "no server can be reached");
}

/* A server that does not answer a change in time is left; what it was sent may have happened. */
static void
writer_on_timer(struct timer *t)
{
	struct dir_writer *w =
	    CAST(CONTAINER(t, struct dir_writer, timer), struct dir_writer, WRITER_MAGIC);
	uint64_t now = loop_now(w->dir->loop), next = UINT64_MAX;
	struct list *lists[] = { &w->waiting, &w->sent };
	struct modify *m = list_first(&w->sent, struct modify, link);

	if (m && m->until <= now) {
		dir_conn_close(&w->conn);
		writer_lost(w, "no answer in time", true);
	}
	while ((m = list_first(&w->waiting, struct modify, link)) && m->until <= now)
		modify_end(m, DIR_MODIFY_AWAY, "no connection in time");
	for (size_t i = 0; i < NELEM(lists); i++)
		if ((m = list_first(lists[i], struct modify, link)) && m->until < next)
			next = m->until;
	if (next != UINT64_MAX)
		timer_start(t, next - now, 0);
}

void
dir_writers_hang_up(struct dir *d)
{
	struct dir_writer *w;
	struct modify *m;

	list_each(w, &d->writers, struct dir_writer, link)
	{
		dir_conn_close(&w->conn);
		w->server = NULL;
		while ((m = list_first(&w->sent, struct modify, link)))
			modify_end(m, DIR_UNKNOWN, "the settings have changed");
	}
}

void
dir_writers_resume(struct dir *d)
{
	struct dir_writer *w;

	list_each(w, &d->writers, struct dir_writer, link)
	{
		if (!list_empty(&w->waiting))
			writer_connect(w);
	}
}

/* ---- asking ------------------------------------------------------------------------------ */

LDAPMod *
dir_change_copy(struct arena *a, const struct dir_change *c)
{
	static const int ops[] = { [DIR_ADD] = LDAP_MOD_ADD,
		[DIR_DELETE] = LDAP_MOD_DELETE,
		[DIR_REPLACE] = LDAP_MOD_REPLACE };
	struct berval *values = arena_array(a, c->nvalues + 1, sizeof(*values));
	LDAPMod *mod = arena_new(a, sizeof(*mod));

	mod->mod_op = ops[c->how] | LDAP_MOD_BVALUES;
	mod->mod_type = arena_str(a, c->attribute);
	mod->mod_bvalues =
	    c->nvalues ? arena_array(a, c->nvalues + 1, sizeof(*mod->mod_bvalues)) : NULL;
	for (size_t i = 0; i < c->nvalues; i++) {
		values[i].bv_val = arena_cstr(a, c->values[i]);
		values[i].bv_len = c->values[i].n;
		mod->mod_bvalues[i] = &values[i];
	}
	return mod;
}

/* A request without changes: who, what of, and in whose name. */
static struct modify *
modify_new(struct dir_writer *w, struct slice dn, struct slice as, const char *const *attributes)
{
	struct modify *m = mem_new(sizeof(*m));
	struct arena *a = &m->memory;
	size_t n = 0;

	m->magic = MODIFY_MAGIC;
	m->writer = w;
	m->dn = arena_cstr(a, dn);
	m->as = as.n ? arena_printf(a, "dn:" SFMT, SARG(as)) : NULL;
	while (attributes && attributes[n])
		n++;
	m->before = n ? arena_array(a, n + 1, sizeof(*m->before)) : NULL;
	for (size_t i = 0; i < n; i++)
		m->before[i] = arena_str(a, attributes[i]);
	return m;
}

static void
modify_start(struct modify *m, struct op *op, dir_modify_done done, void *arg)
{
	struct dir_writer *w = m->writer;

	m->op = op;
	m->done = done;
	m->arg = arg;
	m->until = loop_now(w->dir->loop) + (uint64_t)shared.ldap_timeout;
	op->cancel = modify_cancelled;
	op->impl = m;
	list_push(&w->waiting, &m->link);
	if (++w->n > CHANGES_MAX) {
		modify_end(m, DIR_MODIFY_AWAY, "too many changes wait");
		return;
	}
	writer_on_timer(&w->timer);
	if (w->conn)
		writer_send(w);
	else
		writer_connect(w);
}

void
dir_modify_start(struct dir_writer *w, const struct dir_modify *what, struct op *op,
    dir_modify_done done, void *arg)
{
	struct modify *m = modify_new(w, what->dn, what->as, what->before);
	struct arena *a = &m->memory;

	m->assertion = what->assertion ? arena_str(a, what->assertion) : NULL;
	m->mods = arena_array(a, what->nchanges + 1, sizeof(*m->mods));
	for (size_t i = 0; i < what->nchanges; i++)
		m->mods[i] = dir_change_copy(a, &what->changes[i]);
	modify_start(m, op, done, arg);
}

void
dir_read_start(struct dir_writer *w, struct slice dn, struct slice as,
    const char *const *attributes, struct op *op, dir_modify_done done, void *arg)
{
	modify_start(modify_new(w, dn, as, attributes), op, done, arg);
}

/* ---- life -------------------------------------------------------------------------------- */

struct dir_writer *
dir_writer_new(struct dir *d, const char *dn, const char *password)
{
	struct dir_writer *w = mem_new(sizeof(*w));

	w->magic = WRITER_MAGIC;
	w->dir = dir_provider(d);
	list_push(&w->dir->writers, &w->link);
	w->dn = mem_str(dn);
	secret_set(&w->password, slice_str(password));
	list_init(&w->waiting);
	list_init(&w->sent);
	list_init(&w->ready);
	later_init(&w->later);
	timer_init(&w->timer, w->dir->loop, writer_on_timer);
	return w;
}

static void
writer_closed(struct timer *t)
{
	mem_release(CONTAINER(t, struct dir_writer, timer));
}

void
dir_writer_free(struct dir_writer **wp)
{
	struct dir_writer *w = *wp;
	struct list *lists[] = { &w->waiting, &w->sent, &w->ready };
	struct modify *m;

	*wp = NULL;
	list_remove(&w->link);
	dir_conn_close(&w->conn);
	for (size_t i = 0; i < NELEM(lists); i++)
		while ((m = list_first(lists[i], struct modify, link)))
			modify_free(m);
	later_cancel(&w->later);
	mem_free(&w->dn);
	secret_wipe(&w->password);
	w->magic = 0;
	timer_close(&w->timer, writer_closed);
}
