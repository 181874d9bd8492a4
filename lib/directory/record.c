/* record.c: LDAP entries into records.
 *
 * What an entry says (attrs.c) is copied once, into one block with the record; fetch.c and search.c call
 * it for each entry.  What can fail is the entry: without a name, or with a uid that cannot name a
 * mailbox, it is none, and says why.  What must stay true: a record is immutable, and all its slices lie
 * in its own block.  Attributes: tiermail-directory(7). */
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "directory/attrs.h"
#include "directory/directory-impl.h"

#define UIDS_MAX 16
#define UID_MAX  128

/* ---- into a record -------------------------------------------------------------------- */

/* The overall status goes before the status of mail. */
static enum dir_status
status_both(enum dir_status all, enum dir_status mail)
{
	return all != DIR_ACTIVE ? all : mail;
}

static bool
dir_record_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

/* Copies s to *at and moves *at on. */
static struct slice
dir_record_put(char **at, struct slice s, bool lower)
{
	struct slice out = { *at, s.n };

	for (size_t i = 0; i < s.n; i++)
		(*at)[i] = lower ? ascii_lower(s.p[i]) : s.p[i];
	*at += s.n;
	return out;
}

static size_t
total(const struct value_list *l)
{
	size_t sum = l->n * sizeof(l->v[0]);

	for (size_t i = 0; i < l->n; i++)
		sum += l->v[i].n;
	return sum;
}

/* Copies a list: the slices to *list, their bytes to *at; both move on. */
static struct dir_values
dir_record_put_list(struct slice **list, char **at, const struct value_list *l, bool lower)
{
	struct dir_values out = { *list, l->n };

	for (size_t i = 0; i < l->n; i++)
		*(*list)++ = dir_record_put(at, l->v[i], lower);
	return out;
}

struct record *
dir_record_ref(struct record *r)
{
	r->refs++;
	return r;
}

void
dir_record_unref(struct record **r)
{
	if (*r && --(*r)->refs == 0)
		mem_release(*r);
	*r = NULL;
}

/* ---- scripts ---------------------------------------------------------------------------- */

#define SCRIPT_LAST UINT64_MAX /* of one without a number */

/* Takes "{n}" off the front of a script. */
static uint64_t
script_number(struct slice *s)
{
	size_t close = slice_find(*s, '}');
	uint64_t n;

	if (!slice_starts(*s, S("{")) || close == s->n ||
	    slice_u64(slice_sub(*s, 1, close - 1), UINT32_MAX, &n) < 0)
		return SCRIPT_LAST;
	*s = slice_from(*s, close + 1);
	return n;
}

/* One that runs for what people do (RFC 6785) is found by its name, also when it runs for mail that comes. */
static void
script_name_too(struct value_list *library, struct slice named)
{
	if (slice_find_str(named, S("imapsieve")) == named.n)
		return;
	if (library->n == library->room) {
		library->room = library->room ? library->room * 2 : 16;
		library->v = mem_grow(library->v, library->room, sizeof(*library->v));
	}
	library->v[library->n++] = named;
}

/* A first line with its name is no part of it: lines are counted as the person has written them. */
static void
script_unlabel(struct slice *s, struct value_list *library)
{
	if (!slice_starts(*s, S(DIR_SCRIPT_LABEL)))
		return;
	script_name_too(library, slice_from(*s, sizeof(DIR_SCRIPT_LABEL) - 1));
	*s = slice_from(*s, slice_find(*s, '\n') + 1);
}

/* By their numbers, and else as they came: LDAP keeps no order of values. */
static void
scripts_order(struct entry *e)
{
	uint64_t numbers[VALUES_MAX];
	size_t bytes = e->reply_subject.n + e->reply_text.n + e->reply_internal.n;

	for (size_t i = 0; i < e->scripts.n; i++) {
		struct slice s = e->scripts.v[i];
		uint64_t number = script_number(&s);
		size_t k = i;

		script_unlabel(&s, &e->library);
		bytes += s.n;
		for (; k > 0 && numbers[k - 1] > number; k--) {
			numbers[k] = numbers[k - 1];
			e->scripts.v[k] = e->scripts.v[k - 1];
		}
		numbers[k] = number;
		e->scripts.v[k] = s;
	}
	if (bytes <= DIR_SCRIPTS_MAX)
		return;
	log_event(LOG_ERROR, "ldap_bad_entry", "key=%s why=%s", log_value(e->dn),
	    log_str("Sieve scripts that are too large: none is used"));
	e->scripts.n = 0;
	e->reply_subject = e->reply_text = e->reply_internal = S("");
}

static bool
scripts_say(const struct value_list *v, struct slice word)
{
	for (size_t i = 0; i < v->n; i++)
		if (slice_find_str(v->v[i], word) < v->v[i].n)
			return true;
	return false;
}

/* Scripts that do not run are wanted where others include them, or one runs for what people do (RFC 6785), and nowhere
 * else in memory. */
static void
library_drop(struct entry *e)
{
	if (scripts_say(&e->scripts, S("include")) || scripts_say(&e->library, S("imapsieve")))
		return;
	e->library.n = 0;
}

/* ---- a domain -------------------------------------------------------------------------- */

static size_t
dn_parts(const char *text, LDAPDN *dn)
{
	size_t n = 0;

	*dn = NULL;
	if (ldap_str2dn(text, dn, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS || !*dn)
		return 0;
	while ((*dn)[n])
		n++;
	return n;
}

/* "dc=a,dc=b,BASE" -> "a.b", in e; empty when it is no such DN. */
static struct slice
name_of_dn(struct entry *e)
{
	struct buf b = { .cap = sizeof(e->made) };
	char text[1024];
	LDAPDN base, dn;
	size_t nbase = dn_parts(shared.ldap_base, &base);
	size_t n = dn_parts(slice_cstr(e->dn, text, sizeof(text)), &dn);

	for (size_t i = 0; i + nbase < n; i++) {
		if (i)
			buf_char(&b, '.');
		buf_slice(&b, bv(dn[i][0]->la_value));
	}
	memcpy(e->made, b.p ? b.p : "", b.n);
	n = b.full ? 0 : b.n;
	buf_fini(&b);
	ldap_dnfree(base);
	ldap_dnfree(dn);
	return slice(e->made, n);
}

struct record *
dir_record_domain(LDAP *ld, LDAPMessage *m, unsigned kinds, struct slice asked, const char **why)
{
	static struct entry e;
	struct slice *list;
	struct record *r;
	size_t size;
	char *at;

	if (!dir_attrs_read(ld, m, kinds, asked, &e, why))
		return NULL;
	if (dir_schema()->by_dn) {
		e.name = e.canonical.n ? e.canonical : name_of_dn(&e);
		e.named = true;
	}
	*why = "no attribute or DN that names the domain";
	if (e.name.n == 0 || e.name.n > 255 || !dir_record_printable(e.name))
		return NULL;
	*why = NULL;
	if (!e.named)
		return NULL;
	if (e.base.n == 0)
		e.base = e.dn;
	scripts_order(&e);
	size = sizeof(*r) + total(&e.routing_hosts) + total(&e.scripts) + e.name.n + e.catchall.n +
	    e.smarthost.n + e.base.n + e.nrules + 1;
	r = mem_new(size);
	list = (struct slice *)(r + 1);
	at = (char *)(list + e.routing_hosts.n + e.scripts.n);
	r->refs = 1;
	r->size = size;
	r->kind = RECORD_DOMAIN;
	r->domain.routing_hosts = dir_record_put_list(&list, &at, &e.routing_hosts, true);
	r->domain.scripts = dir_record_put_list(&list, &at, &e.scripts, false);
	r->base = r->domain.base = dir_record_put(&at, e.base, false);
	*at++ = '\0'; /* libldap wants a string */
	r->domain.name = dir_record_put(&at, e.name, true);
	r->domain.catchall = dir_record_put(&at, e.catchall, true);
	r->domain.smarthost = dir_record_put(&at, e.smarthost, true);
	r->domain.services = dir_record_put(&at, slice(e.rules, e.nrules), false);
	r->domain.status = status_both(e.all, e.own);
	r->domain.spam = e.spam;
	r->domain.quota_bytes = e.bytes;
	r->domain.quota_msgs = e.msgs;
	r->domain.separator = e.separator.n == 1 ? e.separator.p[0] : '@';
	return r;
}

/* ---- a user ---------------------------------------------------------------------------- */

/* Of several uids the one that names the entry. */
static struct slice
main_uid(const struct entry *e)
{
	for (size_t i = 0; i < e->uids.n && i < UIDS_MAX && e->uids.n > 1; i++) {
		struct slice rest = slice_from(e->dn, 4);

		if (slice_istarts(e->dn, S("uid=")) && slice_istarts(rest, e->uids.v[i]) &&
		    slice_starts(slice_from(rest, e->uids.v[i].n), S(",")))
			return e->uids.v[i];
	}
	return e->uids.n ? e->uids.v[0] : S("");
}

/* As store_account_check has it: who cannot have a mailbox is not to send mail either, and is not half a user. */
static const char *
uid_fault(struct slice uid)
{
	if (uid.n == 0)
		return "no uid";
	if (uid.n > UID_MAX || !dir_record_printable(uid) || slice_find(uid, ' ') < uid.n ||
	    slice_find(uid, '/') < uid.n || uid.p[0] == '.')
		return "a uid that cannot name a mailbox";
	return NULL;
}

static struct record *
user_pack(const struct entry *e, struct slice uid, const struct dir_domain *domain)
{
	size_t arrays =
	    (e->addresses.n + e->forward.n + e->programs.n + e->scripts.n + e->library.n) *
	    sizeof(struct slice);
	size_t size = sizeof(struct record) + total(&e->addresses) + total(&e->forward) +
	    total(&e->programs) + total(&e->scripts) + total(&e->library) + e->reply_subject.n +
	    e->reply_text.n + e->reply_internal.n + e->dn.n + 2 * uid.n + 2 * domain->name.n +
	    e->mail.n + e->host.n + e->partition.n + e->routing.n + e->nrules + e->uuid.n +
	    e->verifier.n + e->language.n + 2;
	struct record *r = mem_new(size);
	struct slice *list = (struct slice *)(r + 1);
	char *at = (char *)list + arrays, *start;
	struct dir_user *u = &r->user;

	r->refs = 1;
	r->size = size;
	r->kind = RECORD_USER;
	u->addresses = list;
	u->naddresses = dir_record_put_list(&list, &at, &e->addresses, false).n;
	u->forward = list;
	u->nforward = dir_record_put_list(&list, &at, &e->forward, false).n;
	u->programs = dir_record_put_list(&list, &at, &e->programs, false);
	u->scripts = dir_record_put_list(&list, &at, &e->scripts, false);
	u->library = dir_record_put_list(&list, &at, &e->library, false);
	u->dn = dir_record_put(&at, e->dn, false);
	*at++ = '\0';
	u->uid = dir_record_put(&at, uid, false);
	u->domain = dir_record_put(&at, domain->name, true);
	start = at;
	dir_record_put(&at, uid, true);
	*at++ = '@';
	dir_record_put(&at, domain->name, true);
	u->account = slice(start, (size_t)(at - start));
	u->mail = dir_record_put(&at, e->mail, false);
	u->mailhost = dir_record_put(&at, e->host, true);
	u->partition = dir_record_put(&at, e->partition, false);
	u->routing = dir_record_put(&at, e->routing, false);
	u->services = dir_record_put(&at, slice(e->rules, e->nrules), false);
	u->spam = e->spam;
	u->status = status_both(e->all, e->own);
	u->delivery = e->delivery ? e->delivery : DIR_MAILBOX;
	u->uuid = dir_record_put(&at, e->uuid, true);
	u->verifier = dir_record_put(&at, e->verifier, false);
	u->language = dir_record_put(&at, e->language, false);
	u->second_factor = e->second_factor || e->factor_class;
	u->factor_hidden = e->factor_class && !e->second_factor;
	u->quota_bytes = e->bytes;
	u->quota_msgs = e->msgs;
	u->password_at = e->password_at;
	u->vacation = (struct dir_vacation){
		.subject = dir_record_put(&at, e->reply_subject, false),
		.text = dir_record_put(&at, e->reply_text, false),
		.text_internal = dir_record_put(&at, e->reply_internal, false),
		.start_at = e->reply_start,
		.end_at = e->reply_end,
		.hours = e->reply_hours < 0 ? 7 * 24 : e->reply_hours,
		.echo = e->reply_echo,
	};
	u->max_message = e->blocks > 0 && e->blocks < INT64_MAX / 1024 ? e->blocks * 1024 : 0;
	return r;
}

/* ---- a group --------------------------------------------------------------------------- */

static struct record *
group_pack(const struct entry *e, const struct dir_domain *domain)
{
	struct dir_group g = { 0 };
	const struct {
		const struct value_list *from;
		struct dir_values *to;
	} lists[] = { { &e->addresses, &g.addresses }, { &e->members, &g.members },
		{ &e->urls, &g.urls }, { &e->rfc822, &g.rfc822 }, { &e->allowed, &g.allowed },
		{ &e->disallowed, &g.disallowed }, { &e->allowed_domains, &g.allowed_domains },
		{ &e->disallowed_domains, &g.disallowed_domains }, { &e->policy, &g.policy },
		{ &e->moderators, &g.moderators }, { &e->reject_action, &g.reject_action },
		{ &e->add_fields, &g.add_fields }, { &e->remove_fields, &g.remove_fields } };
	size_t size = 0, n = 0;
	struct record *r;
	struct slice *list;
	char *at;

	for (size_t i = 0; i < NELEM(lists); i++) {
		size += total(lists[i].from);
		n += lists[i].from->n;
	}
	size += sizeof(*r) + e->dn.n + domain->name.n + e->mail.n + e->errors_to.n +
	    e->reject_text.n + e->prefix.n + e->suffix.n + e->list_password.n + 1;
	r = mem_new(size);
	list = (struct slice *)(r + 1);
	at = (char *)(list + n);
	for (size_t i = 0; i < NELEM(lists); i++)
		*lists[i].to = dir_record_put_list(&list, &at, lists[i].from, false);
	g.dn = dir_record_put(&at, e->dn, false);
	*at++ = '\0';
	g.domain = dir_record_put(&at, domain->name, true);
	g.mail = dir_record_put(&at, e->mail, false);
	g.errors_to = dir_record_put(&at, e->errors_to, false);
	g.reject_text = dir_record_put(&at, e->reject_text, false);
	g.prefix = dir_record_put(&at, e->prefix, false);
	g.suffix = dir_record_put(&at, e->suffix, false);
	g.password = dir_record_put(&at, e->list_password, false);
	g.status = status_both(e->all, e->own);
	g.max_message = e->max_size > 0 ? e->max_size : 0;
	r->refs = 1;
	r->size = size;
	r->kind = RECORD_GROUP;
	r->group = g;
	return r;
}

/* ---- by the kind of an entry ----------------------------------------------------------- */

struct record *
dir_record_entry(LDAP *ld, LDAPMessage *m, unsigned kinds, const struct dir_domain *domain,
    const char **why)
{
	static struct entry e;
	struct slice uid;

	if (!dir_attrs_read(ld, m, kinds, S(""), &e, why))
		return NULL;
	/* Every entry has a class, and one that an address found has that address: what is not shown
	 * is a right that is missing, and no reason to refuse anybody. */
	*why = "its objectClass may not be read";
	if (!e.classes)
		return NULL;
	*why = "its addresses may not be read";
	if ((kinds & RECORD_GROUP) && (e.is_user || e.is_group) && e.addresses.n == 0)
		return NULL;
	*why = NULL;
	if (!e.is_user)
		return e.is_group && (kinds & RECORD_GROUP) ? group_pack(&e, domain) : NULL;
	uid = main_uid(&e);
	*why = uid_fault(uid);
	scripts_order(&e);
	library_drop(&e);
	return *why ? NULL : user_pack(&e, uid, domain);
}

struct record *
dir_record_member(LDAP *ld, LDAPMessage *m, const char **why)
{
	static struct entry e;
	struct record *r;
	char *at;

	if (!dir_attrs_read(ld, m, RECORD_MEMBER, S(""), &e, why))
		return NULL;
	/* Who gets mail has an address: one that is not shown is a right that is missing. */
	*why = "its address may not be read";
	if (e.mail.n == 0 && (!e.classes || e.is_user || e.is_group))
		return NULL;
	*why = NULL;
	r = mem_new(sizeof(*r) + e.mail.n);
	at = (char *)(r + 1);
	r->refs = 1;
	r->size = sizeof(*r) + e.mail.n;
	r->kind = RECORD_MEMBER;
	r->mail = dir_record_put(&at, e.mail, false);
	return r;
}

struct dir_values
dir_record_addresses(const struct record *r)
{
	if (r->kind == RECORD_GROUP)
		return r->group.addresses;
	return (struct dir_values){ r->user.addresses, r->user.naddresses };
}
