/* attrs.c: the attributes of LDAP entries, by one table.
 *
 * Values are looked at where libldap keeps them (ldap_get_attribute_ber gives borrowed bytes); record.c
 * calls it for each entry and copies what it keeps.  What can fail is the entry: one with more values than
 * we take is not used at all, because a part of a list would be taken for the whole.  What must stay true:
 * only the attributes of the table are asked for and read, so a new one is a line there and a copy in its
 * kind's pack.  Attributes: tiermail-directory(7). */
#include "base/civil.h"
#include "base/mem.h"
#include "directory/attrs.h"

#define ROOM_KEPT   8192   /* values that there is room for from one entry to the next */
#define MEMBERS_MAX 500000 /* VALUES_MAX of a list's members: EXPAND_WALK */

/* ---- readers -------------------------------------------------------------------------- */

static void
read_text(struct entry *e UNUSED, void *to, const struct berval *values)
{
	*(struct slice *)to = bv(values[0]);
}

static void
list_read(struct entry *e, struct value_list *l, const struct berval *values, size_t most)
{
	for (; values->bv_val; values++) {
		if (l->n == most) {
			e->many = true;
			return;
		}
		if (l->n == l->room) {
			l->room = l->room ? l->room * 2 : 16;
			l->v = mem_grow(l->v, l->room, sizeof(*l->v));
		}
		l->v[l->n++] = bv(*values);
	}
}

static void
read_list(struct entry *e, void *to, const struct berval *values)
{
	list_read(e, to, values, VALUES_MAX);
}

static void
read_members(struct entry *e, void *to, const struct berval *values)
{
	list_read(e, to, values, MEMBERS_MAX);
}

/* The primary address is one of the addresses, too. */
static void
read_mail(struct entry *e, void *to, const struct berval *values)
{
	read_text(e, to, values);
	read_list(e, &e->addresses, values);
}

/* An unknown word is treated as inactive: mail waits (a temporary answer) until somebody
 * looks, and nobody logs in. */
static void
read_status(struct entry *e UNUSED, void *to, const struct berval *values)
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
		{ "defer", DIR_DEFER },
	};
	enum dir_status *status = to;

	*status = DIR_INACTIVE;
	for (size_t i = 0; i < NELEM(words); i++)
		if (slice_ieq(bv(values[0]), slice_str(words[i].word)))
			*status = words[i].status;
}

static void
read_delivery(struct entry *e UNUSED, void *to, const struct berval *values)
{
	static const struct {
		const char *word;
		unsigned option;
	} words[] = {
		{ "mailbox", DIR_MAILBOX },
		{ "forward", DIR_FORWARD },
		{ "autoreply", DIR_AUTOREPLY },
		{ "program", DIR_PROGRAM },
		{ "native", DIR_NATIVE },
		{ "unix", DIR_NATIVE },
		{ "file", DIR_FILE },
		{ "hold", DIR_KEEP },
	};

	for (; values->bv_val; values++)
		for (size_t i = 0; i < NELEM(words); i++)
			if (slice_ieq(bv(*values), slice_str(words[i].word)))
				*(unsigned *)to |= words[i].option;
}

/* -1 = no limit, -2 = default (also for what is no number). */
static void
read_quota(struct entry *e UNUSED, void *to, const struct berval *values)
{
	struct slice s = bv(values[0]);
	int64_t *quota = to;
	uint64_t v;

	if (slice_eq(s, S("-1")))
		*quota = -1;
	else
		*quota = slice_u64(s, INT64_MAX, &v) == 0 ? (int64_t)v : -2;
}

static void
read_class(struct entry *e, void *to UNUSED, const struct berval *values)
{
	e->classes = true;
	for (; values->bv_val; values++) {
		e->is_user |= slice_ieq(bv(*values), S("inetMailUser")) ||
		    slice_ieq(bv(*values), S("mailRecipient"));
		e->is_group |= slice_ieq(bv(*values), S("inetMailGroup")) ||
		    slice_ieq(bv(*values), S("mailGroup"));
		e->factor_class |= slice_ieq(bv(*values), S("tiermailTotp"));
	}
}

/* A name of a domain: is it the one that was asked for? */
static void
read_name(struct entry *e, void *to, const struct berval *values)
{
	if (to != e)
		read_text(e, to, values);
	for (; values->bv_val; values++)
		e->named |= slice_ieq(bv(*values), e->asked);
}

/* Several values are the rules of one filter; too many are no filter at all, and say so. */
static void
read_rules(struct entry *e, void *to UNUSED, const struct berval *values)
{
	for (; values->bv_val; values++) {
		if (values->bv_len + 1 > RULES_MAX - e->nrules) {
			e->rules[0] = '?';
			e->nrules = 1;
			return;
		}
		if (e->nrules)
			e->rules[e->nrules++] = '$';
		memcpy(e->rules + e->nrules, values->bv_val, values->bv_len);
		e->nrules += values->bv_len;
	}
}

/* Also of a word that is not known here: one more thing is wanted. */
static void
read_present(struct entry *e UNUSED, void *to, const struct berval *values UNUSED)
{
	*(bool *)to = true;
}

static void
read_spam(struct entry *e UNUSED, void *to, const struct berval *values)
{
	enum dir_spam *spam = to;

	for (*spam = DIR_SPAM_IN; values->bv_val; values++)
		if (slice_ieq(slice_trim(bv(*values)), S("none")))
			*spam = DIR_SPAM_OUT;
}

static void
read_echo(struct entry *e UNUSED, void *to, const struct berval *values)
{
	*(bool *)to = slice_ieq(bv(values[0]), S("echo"));
}

bool
dir_time_parse(struct slice s, int64_t *at)
{
	static const size_t digits[] = { 4, 2, 2, 2, 2, 2 };
	uint64_t v[NELEM(digits)] = { 0, 1, 1, 0, 0, 0 };

	for (size_t i = 0; i < NELEM(digits) && s.n && s.p[0] >= '0' && s.p[0] <= '9'; i++) {
		if (slice_u64(slice_sub(s, 0, digits[i]), 9999, &v[i]) < 0)
			return false;
		s = slice_from(s, digits[i]);
	}
	if (v[0] < 1970 || v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 || v[3] > 24 ||
	    v[4] > 59 || v[5] > 60)
		return false;
	*at = civil_days((int)v[0], (int)v[1], (int)v[2]) * 86400 +
	    (int64_t)(v[3] * 3600 + v[4] * 60 + v[5]);
	return true;
}

static void
read_time(struct entry *e UNUSED, void *to, const struct berval *values)
{
	(void)dir_time_parse(bv(values[0]), to);
}

/* clang-format off */
#define AT(field) offsetof(struct entry, field)
#define BOTH (RECORD_USER | RECORD_GROUP)
static const struct attr {
	const char *name;
	unsigned kinds;   /* that have it */
	size_t at;        /* where it goes in struct entry; 0 = its reader knows */
	void (*read)(struct entry *, void *to, const struct berval *values);
} attrs[] = {
	{ "sunPreferredDomain",        RECORD_DOMAIN, AT(name),               read_name },
	{ "associatedDomain",          RECORD_DOMAIN, 0,                      read_name },
	{ "inetCanonicalDomainName",   RECORD_DOMAIN, AT(canonical),          read_text },
	{ "inetDomainStatus",          RECORD_DOMAIN, AT(all),                read_status },
	{ "mailDomainStatus",          RECORD_DOMAIN, AT(own),                read_status },
	{ "mailDomainCatchallAddress", RECORD_DOMAIN, AT(catchall),           read_text },
	{ "mailRoutingSmartHost",      RECORD_DOMAIN, AT(smarthost),          read_text },
	{ "mailRoutingHosts",          RECORD_DOMAIN, AT(routing_hosts),      read_list },
	{ "mailDomainDiskQuota",       RECORD_DOMAIN, AT(bytes),              read_quota },
	{ "mailDomainMsgQuota",        RECORD_DOMAIN, AT(msgs),               read_quota },
	{ "domainUidSeparator",        RECORD_DOMAIN, AT(separator),          read_text },
	{ "inetDomainBaseDN",          RECORD_DOMAIN, AT(base),               read_text },
	{ "mailDomainAllowedServiceAccess", RECORD_DOMAIN, 0,                 read_rules },
	{ "objectClass",               BOTH | RECORD_MEMBER, 0,               read_class },
	{ "mail",                      BOTH,          AT(mail),               read_mail },
	{ "mail",                      RECORD_MEMBER, AT(mail),               read_text },
	{ "mailAlternateAddress",      BOTH,          AT(addresses),          read_list },
	{ "mailEquivalentAddress",     BOTH,          AT(addresses),          read_list },
	{ "mailRoutingAddress",        RECORD_USER,   AT(routing),            read_text },
	{ "uid",                       RECORD_USER,   AT(uids),               read_list },
	{ "preferredLanguage",         RECORD_USER,   AT(language),           read_text },
	{ "pwdChangedTime",            RECORD_USER,   AT(password_at),        read_time },
	{ "entryUUID",                 RECORD_USER,   AT(uuid),               read_text },
	{ "mailHost",                  RECORD_USER,   AT(host),               read_text },
	{ "mailMessageStore",          RECORD_USER,   AT(partition),          read_text },
	{ "inetUserStatus",            RECORD_USER,   AT(all),                read_status },
	{ "mailUserStatus",            RECORD_USER,   AT(own),                read_status },
	{ "mailDeliveryOption",        RECORD_USER,   AT(delivery),           read_delivery },
	{ "mailForwardingAddress",     RECORD_USER,   AT(forward),            read_list },
	{ "mailProgramDeliveryInfo",   RECORD_USER,   AT(programs),           read_list },
	{ "mailQuota",                 RECORD_USER,   AT(bytes),              read_quota },
	{ "mailMsgQuota",              RECORD_USER,   AT(msgs),               read_quota },
	{ "mailMsgMaxBlocks",          RECORD_USER,   AT(blocks),             read_quota },
	{ "mailAllowedServiceAccess",  RECORD_USER,   0,                      read_rules },
	{ "mailAntiUBEService",        RECORD_USER | RECORD_DOMAIN, AT(spam), read_spam },
	{ "tiermailSecondFactor",      RECORD_USER,   AT(second_factor),      read_present },
	{ "tiermailScram",             RECORD_USER_VERIFIER, AT(verifier),    read_text },
	{ "mailDomainSieveRuleSource", RECORD_DOMAIN_SCRIPTS, AT(scripts),    read_list },
	{ "mailSieveRuleSource",       RECORD_USER_SCRIPTS, AT(scripts),      read_list },
	{ "tiermailSieveScript",       RECORD_USER_SCRIPTS, AT(library),      read_list },
	{ "mailAutoReplyMode",         RECORD_USER_SCRIPTS, AT(reply_echo),   read_echo },
	{ "mailAutoReplySubject",      RECORD_USER_SCRIPTS, AT(reply_subject), read_text },
	{ "mailAutoReplyText",         RECORD_USER_SCRIPTS, AT(reply_text),   read_text },
	{ "mailAutoReplyTextInternal", RECORD_USER_SCRIPTS, AT(reply_internal), read_text },
	{ "mailAutoReplyTimeOut",      RECORD_USER_SCRIPTS, AT(reply_hours),  read_quota },
	{ "vacationStartDate",         RECORD_USER_SCRIPTS, AT(reply_start),  read_time },
	{ "vacationEndDate",           RECORD_USER_SCRIPTS, AT(reply_end),    read_time },
	{ "inetMailGroupStatus",       RECORD_GROUP,  AT(all),                read_status },
	{ "uniqueMember",              RECORD_GROUP,  AT(members),            read_members },
	{ "memberURL",                 RECORD_GROUP,  AT(urls),               read_list },
	{ "mgrpDeliverTo",             RECORD_GROUP,  AT(urls),               read_list },
	{ "mgrpRFC822MailMember",      RECORD_GROUP,  AT(rfc822),             read_members },
	{ "mgrpRFC822MailAddress",     RECORD_GROUP,  AT(rfc822),             read_members },
	{ "mgrpAllowedBroadcaster",    RECORD_GROUP,  AT(allowed),            read_list },
	{ "mgrpDisallowedBroadcaster", RECORD_GROUP,  AT(disallowed),         read_list },
	{ "mgrpAllowedDomain",         RECORD_GROUP,  AT(allowed_domains),    read_list },
	{ "mgrpDisallowedDomain",      RECORD_GROUP,  AT(disallowed_domains), read_list },
	{ "mgrpBroadcasterPolicy",     RECORD_GROUP,  AT(policy),             read_list },
	{ "mgrpModerator",             RECORD_GROUP,  AT(moderators),         read_list },
	{ "mgrpMsgRejectAction",       RECORD_GROUP,  AT(reject_action),      read_list },
	{ "mgrpMsgRejectText",         RECORD_GROUP,  AT(reject_text),        read_text },
	{ "mailRejectText",            RECORD_GROUP,  AT(reject_text),        read_text },
	{ "mgrpErrorsTo",              RECORD_GROUP,  AT(errors_to),          read_text },
	{ "mgrpMsgMaxSize",            RECORD_GROUP,  AT(max_size),           read_quota },
	{ "mgrpAddHeader",             RECORD_GROUP,  AT(add_fields),         read_list },
	{ "mgrpRemoveHeader",          RECORD_GROUP,  AT(remove_fields),      read_list },
	{ "mgrpMsgPrefixText",         RECORD_GROUP,  AT(prefix),             read_text },
	{ "mgrpMsgSuffixText",         RECORD_GROUP,  AT(suffix),             read_text },
	{ "mgrpAuthPassword",          RECORD_GROUP,  AT(list_password),      read_text },
};
/* clang-format on */

const char *const *
dir_record_attrs(unsigned kinds)
{
	static const char *lists[RECORD_ALL + 1][NELEM(attrs) + 1];
	const char **list = lists[kinds & RECORD_ALL];
	size_t n = 0;

	if (list[0])
		return list; /* made before */
	for (size_t i = 0; i < NELEM(attrs); i++)
		if (attrs[i].kinds & kinds)
			list[n++] = attrs[i].name;
	return list;
}

static void
entry_attr(struct entry *e, struct slice name, const struct berval *values)
{
	for (size_t i = 0; i < NELEM(attrs); i++)
		if (attrs[i].kinds & e->kinds && slice_ieq(name, slice_str(attrs[i].name)))
			attrs[i].read(e, (char *)e + attrs[i].at, values);
}

static void
entry_clear(struct entry *e)
{
	struct value_list *const lists[] = { &e->uids, &e->addresses, &e->forward,
		&e->routing_hosts, &e->members, &e->urls, &e->rfc822, &e->allowed, &e->disallowed,
		&e->allowed_domains, &e->disallowed_domains, &e->policy, &e->moderators,
		&e->reject_action, &e->add_fields, &e->remove_fields, &e->scripts, &e->library,
		&e->programs };

	e->name = e->canonical = e->catchall = e->smarthost = e->base = e->separator = S("");
	e->mail = e->host = e->partition = e->routing = e->errors_to = e->reject_text = S("");
	e->prefix = e->suffix = e->list_password = S("");
	e->reply_subject = e->reply_text = e->reply_internal = e->uuid = S("");
	e->verifier = S("");
	e->reply_start = 0;
	e->reply_end = INT64_MAX;
	e->reply_hours = -2;
	e->spam = DIR_SPAM_UNSAID;
	e->reply_echo = e->second_factor = e->factor_class = false;
	for (size_t i = 0; i < NELEM(lists); i++) {
		lists[i]->n = 0;
		if (lists[i]->room <= ROOM_KEPT)
			continue;
		mem_free(&lists[i]->v);
		lists[i]->room = 0;
	}
	e->nrules = 0;
	e->all = e->own = DIR_ACTIVE;
	e->password_at = 0;
	e->delivery = 0;
	e->bytes = e->msgs = -2;
	e->blocks = e->max_size = 0;
	e->classes = e->is_user = e->is_group = e->named = e->many = false;
}

bool
dir_attrs_read(LDAP *ld, LDAPMessage *m, unsigned kinds, struct slice asked, struct entry *e,
    const char **why)
{
	BerElement *ber = NULL;
	struct berval name, *values;

	entry_clear(e);
	e->kinds = kinds;
	e->asked = asked;
	*why = "malformed entry";
	if (ldap_get_dn_ber(ld, m, &ber, &name) != LDAP_SUCCESS)
		return false;
	e->dn = bv(name);
	while (ldap_get_attribute_ber(ld, m, ber, &name, &values) == LDAP_SUCCESS && name.bv_val) {
		if (values && values[0].bv_val)
			entry_attr(e, bv(name), values);
		ber_memfree(values);
	}
	ber_free(ber, 0);
	*why = "an attribute with too many values";
	return !e->many;
}
