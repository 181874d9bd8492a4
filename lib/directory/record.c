/* record.c: LDAP entries into records.
 *
 * Values are looked at where libldap keeps them (ldap_get_attribute_ber gives borrowed
 * bytes) and copied once, into one block with the record.  Attributes: tiermail-directory(7). */
#include "base/mem.h"
#include "base/must.h"
#include "directory/record.h"

#define VALUES_MAX 512 /* values of one attribute that we look at */
#define UID_MAX    128

const char *const record_domain_attrs[] = { "sunPreferredDomain", "inetDomainStatus",
	"mailDomainStatus", "mailDomainCatchallAddress", "mailRoutingSmartHost",
	"domainUidSeparator", "inetDomainBaseDN", NULL };
const char *const record_user_attrs[] = { "objectClass", "uid", "mail", "mailAlternateAddress",
	"mailEquivalentAddress", "mailHost", "mailMessageStore", "inetUserStatus",
	"mailUserStatus", "mailDeliveryOption", "mailForwardingAddress", "mailQuota",
	"mailMsgQuota", "mailMsgMaxBlocks", "mailAllowedServiceAccess", NULL };

/* ---- walking an entry ---------------------------------------------------------------- */

typedef void (*attr_fn)(void *arg, struct slice name, const struct berval *values);

static struct slice
bv(struct berval b)
{
	return slice(b.bv_val, b.bv_len);
}

/* Calls fn for each attribute that has values; *dn is borrowed from the message. */
static bool
entry_walk(LDAP *ld, LDAPMessage *m, struct slice *dn, attr_fn fn, void *arg)
{
	BerElement *ber = NULL;
	struct berval name, *values;

	if (ldap_get_dn_ber(ld, m, &ber, &name) != LDAP_SUCCESS)
		return false;
	*dn = bv(name);
	while (ldap_get_attribute_ber(ld, m, ber, &name, &values) == LDAP_SUCCESS && name.bv_val) {
		if (values && values[0].bv_val)
			fn(arg, bv(name), values);
		ber_memfree(values);
	}
	ber_free(ber, 0);
	return true;
}

/* ---- values --------------------------------------------------------------------------- */

/* An unknown word is treated as inactive: mail waits (a temporary answer) until somebody
 * looks, and nobody logs in. */
static enum dir_status
status_read(struct slice s)
{
	static const struct {
		const char *word;
		enum dir_status status;
	} words[] = {
		{ "active", DIR_ACTIVE },
		{ "inactive", DIR_INACTIVE },
		{ "disabled", DIR_DISABLED },
		{ "deleted", DIR_DELETED },
		{ "removed", DIR_DELETED },
		{ "hold", DIR_HOLD },
		{ "overquota", DIR_OVERQUOTA },
	};

	for (size_t i = 0; i < NELEM(words); i++)
		if (slice_ieq(s, slice_str(words[i].word)))
			return words[i].status;
	return DIR_INACTIVE;
}

/* The overall status goes before the status of mail. */
static enum dir_status
status_both(enum dir_status all, enum dir_status mail)
{
	return all != DIR_ACTIVE ? all : mail;
}

static unsigned
delivery_read(struct slice s)
{
	if (slice_ieq(s, S("mailbox")))
		return DIR_MAILBOX;
	if (slice_ieq(s, S("forward")))
		return DIR_FORWARD;
	if (slice_ieq(s, S("autoreply")))
		return DIR_AUTOREPLY;
	if (slice_ieq(s, S("program")))
		return DIR_PROGRAM;
	return slice_ieq(s, S("native")) || slice_ieq(s, S("unix")) ? DIR_NATIVE : 0;
}

/* -1 = no limit, -2 = default (also for what is no number). */
static int64_t
quota_read(struct slice s)
{
	uint64_t v;

	if (slice_eq(s, S("-1")))
		return -1;
	return slice_u64(s, INT64_MAX, &v) == 0 ? (int64_t)v : -2;
}

static bool
printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

/* Copies s to *at and moves *at on. */
static struct slice
put(char **at, struct slice s, bool lower)
{
	struct slice out = { *at, s.n };

	for (size_t i = 0; i < s.n; i++)
		(*at)[i] = lower ? ascii_lower(s.p[i]) : s.p[i];
	*at += s.n;
	return out;
}

struct record *
record_ref(struct record *r)
{
	r->refs++;
	return r;
}

void
record_unref(struct record **r)
{
	if (*r && --(*r)->refs == 0)
		mem_release(*r);
	*r = NULL;
}

/* ---- a domain -------------------------------------------------------------------------- */

struct domain_entry {
	struct slice name, catchall, smarthost, base, separator;
	enum dir_status all, mail;
};

static void
domain_attr(void *arg, struct slice name, const struct berval *values)
{
	struct domain_entry *e = arg;
	struct slice v = bv(values[0]);

	if (slice_ieq(name, S("sunPreferredDomain")))
		e->name = v;
	else if (slice_ieq(name, S("inetDomainStatus")))
		e->all = status_read(v);
	else if (slice_ieq(name, S("mailDomainStatus")))
		e->mail = status_read(v);
	else if (slice_ieq(name, S("mailDomainCatchallAddress")))
		e->catchall = v;
	else if (slice_ieq(name, S("mailRoutingSmartHost")))
		e->smarthost = v;
	else if (slice_ieq(name, S("domainUidSeparator")))
		e->separator = v;
	else if (slice_ieq(name, S("inetDomainBaseDN")))
		e->base = v;
}

struct record *
record_domain(LDAP *ld, LDAPMessage *m, const char **why)
{
	struct domain_entry e = { .all = DIR_ACTIVE, .mail = DIR_ACTIVE };
	struct slice dn;
	struct record *r;
	char *at;

	*why = "malformed entry";
	if (!entry_walk(ld, m, &dn, domain_attr, &e))
		return NULL;
	*why = "sunPreferredDomain is missing or no domain name";
	if (e.name.n == 0 || e.name.n > 255 || !printable(e.name))
		return NULL;
	if (e.base.n == 0)
		e.base = dn;
	r = mem_new(sizeof *r + e.name.n + e.catchall.n + e.smarthost.n + e.base.n + 1);
	at = (char *)(r + 1);
	r->refs = 1;
	r->base = put(&at, e.base, false);
	*at++ = '\0'; /* libldap wants a string */
	r->domain.name = put(&at, e.name, true);
	r->domain.catchall = put(&at, e.catchall, true);
	r->domain.smarthost = put(&at, e.smarthost, true);
	r->domain.status = status_both(e.all, e.mail);
	r->domain.separator = e.separator.n == 1 ? e.separator.p[0] : '@';
	return r;
}

/* ---- a user ---------------------------------------------------------------------------- */

struct user_entry {
	struct slice dn, uid, mail, host, partition, services;
	struct slice addresses[VALUES_MAX], forward[VALUES_MAX];
	size_t naddresses, nforward;
	struct slice uids[16];
	size_t nuids;
	enum dir_status all, status;
	unsigned delivery;
	int64_t bytes, msgs, blocks;
	bool is_user;
};

static void
collect(struct slice *to, size_t *n, size_t max, const struct berval *values)
{
	for (; values->bv_val && *n < max; values++)
		to[(*n)++] = bv(*values);
}

static void
user_attr(void *arg, struct slice name, const struct berval *values)
{
	struct user_entry *e = arg;
	struct slice v = bv(values[0]);

	if (slice_ieq(name, S("objectClass"))) {
		for (; values->bv_val; values++)
			e->is_user |= slice_ieq(bv(*values), S("inetMailUser")) ||
			    slice_ieq(bv(*values), S("mailRecipient"));
	} else if (slice_ieq(name, S("uid"))) {
		collect(e->uids, &e->nuids, NELEM(e->uids), values);
	} else if (slice_ieq(name, S("mail"))) {
		e->mail = v;
		collect(e->addresses, &e->naddresses, VALUES_MAX, values);
	} else if (slice_ieq(name, S("mailAlternateAddress")) ||
	    slice_ieq(name, S("mailEquivalentAddress"))) {
		collect(e->addresses, &e->naddresses, VALUES_MAX, values);
	} else if (slice_ieq(name, S("mailHost"))) {
		e->host = v;
	} else if (slice_ieq(name, S("mailMessageStore"))) {
		e->partition = v;
	} else if (slice_ieq(name, S("inetUserStatus"))) {
		e->all = status_read(v);
	} else if (slice_ieq(name, S("mailUserStatus"))) {
		e->status = status_read(v);
	} else if (slice_ieq(name, S("mailDeliveryOption"))) {
		for (; values->bv_val; values++)
			e->delivery |= delivery_read(bv(*values));
	} else if (slice_ieq(name, S("mailForwardingAddress"))) {
		collect(e->forward, &e->nforward, VALUES_MAX, values);
	} else if (slice_ieq(name, S("mailQuota"))) {
		e->bytes = quota_read(v);
	} else if (slice_ieq(name, S("mailMsgQuota"))) {
		e->msgs = quota_read(v);
	} else if (slice_ieq(name, S("mailMsgMaxBlocks"))) {
		e->blocks = quota_read(v);
	} else if (slice_ieq(name, S("mailAllowedServiceAccess"))) {
		e->services = v;
	}
}

/* Of several uids the one that names the entry. */
static struct slice
main_uid(const struct user_entry *e)
{
	for (size_t i = 0; i < e->nuids && e->nuids > 1; i++) {
		struct slice rest = slice_from(e->dn, 4);

		if (slice_istarts(e->dn, S("uid=")) && slice_istarts(rest, e->uids[i]) &&
		    slice_starts(slice_from(rest, e->uids[i].n), S(",")))
			return e->uids[i];
	}
	return e->nuids ? e->uids[0] : S("");
}

static const char *
user_fault(const struct user_entry *e)
{
	if (e->uid.n == 0)
		return "no uid";
	if (e->uid.n > UID_MAX || !printable(e->uid) || slice_find(e->uid, '/') < e->uid.n ||
	    e->uid.p[0] == '.')
		return "a uid that cannot name a mailbox";
	return NULL;
}

static size_t
total(const struct slice *s, size_t n)
{
	size_t sum = n * sizeof *s;

	for (size_t i = 0; i < n; i++)
		sum += s[i].n;
	return sum;
}

static struct record *
user_pack(const struct user_entry *e, const struct dir_domain *domain)
{
	size_t arrays = (e->naddresses + e->nforward) * sizeof(struct slice);
	struct record *r = mem_new(sizeof *r + total(e->addresses, e->naddresses) +
	    total(e->forward, e->nforward) + e->dn.n + 2 * e->uid.n + 2 * domain->name.n +
	    e->mail.n + e->host.n + e->partition.n + e->services.n + 2);
	struct slice *list = (struct slice *)(r + 1);
	char *at = (char *)list + arrays, *start;
	struct dir_user *u = &r->user;

	r->refs = 1;
	u->addresses = list;
	u->naddresses = e->naddresses;
	for (size_t i = 0; i < e->naddresses; i++)
		list[i] = put(&at, e->addresses[i], false);
	u->forward = list + e->naddresses;
	u->nforward = e->nforward;
	for (size_t i = 0; i < e->nforward; i++)
		u->forward[i] = put(&at, e->forward[i], false);
	u->dn = put(&at, e->dn, false);
	*at++ = '\0';
	u->uid = put(&at, e->uid, false);
	u->domain = put(&at, domain->name, true);
	start = at;
	put(&at, e->uid, true);
	*at++ = '@';
	put(&at, domain->name, true);
	u->account = slice(start, (size_t)(at - start));
	u->mail = put(&at, e->mail, false);
	u->mailhost = put(&at, e->host, true);
	u->partition = put(&at, e->partition, false);
	u->services = put(&at, e->services, false);
	u->status = status_both(e->all, e->status);
	u->delivery = e->delivery ? e->delivery : DIR_MAILBOX;
	u->quota_bytes = e->bytes;
	u->quota_msgs = e->msgs;
	u->max_message = e->blocks > 0 && e->blocks < INT64_MAX / 1024 ? e->blocks * 1024 : 0;
	return r;
}

struct record *
record_user(LDAP *ld, LDAPMessage *m, const struct dir_domain *domain, const char **why)
{
	static struct user_entry e; /* 16 KiB: one loop thread uses it, for this call only */

	e.naddresses = e.nforward = e.nuids = 0;
	e.uid = e.mail = e.host = e.partition = e.services = S("");
	e.all = e.status = DIR_ACTIVE;
	e.delivery = 0;
	e.bytes = e.msgs = -2;
	e.blocks = 0;
	e.is_user = false;
	*why = "malformed entry";
	if (!entry_walk(ld, m, &e.dn, user_attr, &e))
		return NULL;
	*why = NULL;
	if (!e.is_user)
		return NULL;
	e.uid = main_uid(&e);
	*why = user_fault(&e);
	return *why ? NULL : user_pack(&e, domain);
}
