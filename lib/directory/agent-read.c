/* agent-read.c: what slapd sends, as agent.h has it: entries, controls, results.
 *
 * Called by agent.c for each message of the job on its way, in whose arena all of it is kept.  A message that
 * makes no sense is passed over: the result that follows says how it went.  Must stay true: an answer takes
 * DIR_ENTRIES_BYTES at most, and is then no answer. */
#include "base/mem.h"
#include "directory/agent-impl.h"

enum dir_result
dir_agent_result(int code)
{
	switch (code) {
	case LDAP_SUCCESS: return DIR_R_OK;
	case LDAP_INSUFFICIENT_ACCESS: return DIR_R_DENIED;
	case LDAP_NO_SUCH_OBJECT: return DIR_R_NO_ENTRY;
	case LDAP_ALREADY_EXISTS: return DIR_R_EXISTS;
	case LDAP_ASSERTION_FAILED: return DIR_R_CHANGED;
	case LDAP_NOT_ALLOWED_ON_NONLEAF: return DIR_R_CHILDREN;
	case LDAP_OBJECT_CLASS_VIOLATION:
	case LDAP_NAMING_VIOLATION:
	case LDAP_UNDEFINED_TYPE:
	case LDAP_NOT_ALLOWED_ON_RDN:
	case LDAP_NO_OBJECT_CLASS_MODS: return DIR_R_SCHEMA;
	case LDAP_INVALID_SYNTAX:
	case LDAP_INVALID_DN_SYNTAX:
	case LDAP_CONSTRAINT_VIOLATION: return DIR_R_VALUE;
	case LDAP_NO_SUCH_ATTRIBUTE: return DIR_R_NO_VALUE;
	case LDAP_TYPE_OR_VALUE_EXISTS: return DIR_R_HAS_VALUE;
	case LDAP_SIZELIMIT_EXCEEDED:
	case LDAP_TIMELIMIT_EXCEEDED:
	case LDAP_ADMINLIMIT_EXCEEDED: return DIR_R_LIMIT;
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_STRONG_AUTH_REQUIRED: return DIR_R_LOGIN;
	case LDAP_X_PROXY_AUTHZ_FAILURE:
	case LDAP_PROXIED_AUTHORIZATION_DENIED: return DIR_R_PROXY;
	case LDAP_REFERRAL: return DIR_R_READ_ONLY;
	case LDAP_BUSY:
	case LDAP_UNAVAILABLE: return DIR_R_AWAY;
	default: return DIR_R_OTHER;
	}
}

static struct dir_entry *
agent_entry_new(struct dir_agent *a)
{
	if (a->n == a->room) {
		a->room = a->room ? a->room * 2 : 16;
		a->entries = mem_grow(a->entries, a->room, sizeof(*a->entries));
	}
	return &a->entries[a->n++];
}

static struct slice
agent_keep(struct dir_agent *a, const struct berval *v)
{
	a->bytes += v->bv_len;
	return arena_slice(&a->memory, slice(v->bv_val, v->bv_len));
}

#define ENTRY_ATTRS 200 /* different ones of an entry; the schema of a person has fewer */

static void
agent_read_entry(struct dir_agent *a, BerElement *ber, struct dir_entry *e)
{
	struct dir_attribute attrs[ENTRY_ATTRS];
	struct berval name, *values = NULL;

	e->n = 0;
	while (e->n < ENTRY_ATTRS && ber_scanf(ber, "{m", &name) != LBER_ERROR &&
	    ber_scanf(ber, "[W]}", &values) != LBER_ERROR) {
		struct dir_attribute *at = &attrs[e->n++];
		struct slice *v;
		size_t n = 0;

		while (values && values[n].bv_val)
			n++;
		v = arena_array(&a->memory, n + 1, sizeof(*v));
		for (size_t i = 0; i < n; i++)
			v[i] = agent_keep(a, &values[i]);
		*at = (struct dir_attribute){ agent_keep(a, &name), v, n };
		ber_bvarray_free(values);
		values = NULL;
	}
	e->attrs = arena_array(&a->memory, e->n + 1, sizeof(*e->attrs));
	memcpy((void *)(uintptr_t)e->attrs, attrs, e->n * sizeof(*attrs));
}

void
dir_agent_entry(struct dir_agent *a, LDAPMessage *m)
{
	BerElement *ber = NULL;
	struct berval dn;

	if (a->bytes > DIR_ENTRIES_BYTES) {
		a->cut = true;
		return;
	}
	if (ldap_get_dn_ber(dir_conn_ldap(a->conn), m, &ber, &dn) != LDAP_SUCCESS)
		return;
	struct dir_entry *e = agent_entry_new(a);

	e->dn = agent_keep(a, &dn);
	agent_read_entry(a, ber, e);
	ber_free(ber, 0);
}

/* The control of a pre-read holds an entry (RFC 4527 3.1). */
void
dir_agent_before(struct dir_agent *a, LDAPControl *c)
{
	BerElement *ber = ber_init(&c->ldctl_value);
	struct dir_entry *e;
	struct berval dn;

	if (ber && ber_scanf(ber, "{m{", &dn) != LBER_ERROR) {
		e = agent_entry_new(a);
		e->dn = agent_keep(a, &dn);
		agent_read_entry(a, ber, e);
	}
	ber_free(ber, 1);
}

void
dir_agent_cookie(struct dir_agent *a, LDAPControl *c)
{
	struct berval cookie = { 0, NULL };
	ber_int_t estimate;

	if (ldap_parse_pageresponse_control(dir_conn_ldap(a->conn), c, &estimate, &cookie) !=
	    LDAP_SUCCESS)
		return;
	a->outcome.cookie = arena_slice(&a->memory, slice(cookie.bv_val, cookie.bv_len));
	ber_memfree(cookie.bv_val);
}

/* What an extended operation answers: the password that was made, or who we are. */
void
dir_agent_extended(struct dir_agent *a, LDAPMessage *m)
{
	LDAP *ld = dir_conn_ldap(a->conn);
	struct berval *v = NULL, made = { 0, NULL };

	if (a->job.task == DIR_PASSWORD && ldap_parse_passwd(ld, m, &made) == LDAP_SUCCESS &&
	    made.bv_val)
		a->outcome.text = arena_slice(&a->memory, slice(made.bv_val, made.bv_len));
	if (a->job.task == DIR_WHOAMI && ldap_parse_whoami(ld, m, &v) == LDAP_SUCCESS && v)
		a->outcome.text = arena_slice(&a->memory, slice(v->bv_val, v->bv_len));
	if (made.bv_val) {
		explicit_bzero(made.bv_val, made.bv_len);
		ber_memfree(made.bv_val);
	}
	ber_bvfree(v);
}
