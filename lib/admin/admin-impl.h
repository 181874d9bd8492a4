/* admin/admin-impl.h: what the files of admin/ share.  Not for anybody else.
 *
 *	ask      a job of the agent, waited for in the fiber; its failure in words
 *	change   a change: asserted, told or done, and written to the audit log
 *	find     a name of people becomes an entry
 *	field    a setting of people becomes a change of an attribute, and back
 *
 * Functions that can fail return false after admin_fail; a verb returns what they return. */
#ifndef ADMIN_IMPL_H
#define ADMIN_IMPL_H
#include "admin/admin.h"
#include "base/arena.h"
#include "conf/conf.h"
#include "directory/filter.h"
#include "mail/address.h"

struct admin {
	struct loop *loop;
	struct dir_agent *agent;
	const struct admin_verb *verb;
	const struct admin_call *call;
	struct admin_problem *problem;
	struct arena memory;  /* of this call */
	struct arena telling; /* of a record, until it is told */
	struct fiber *fiber;
	struct op op;
	struct dir_outcome out; /* of the last job, until the next */
	bool fits; /* the version that the call names, of the first entry that it is asked of */
	bool answered, own; /* own: what is asked is asked as the agent's own account */
	uint64_t turn_us;   /* since when others have waited */
	size_t answers;     /* of hosts, that have come */
	bool hears;         /* and the fiber waits for one */
};

bool admin_fail(struct admin *a, enum admin_status status, const char *code, const char *fmt, ...)
    PRINTF(4, 5);
/* Operand i; empty when there are fewer. */
struct slice admin_name(const struct admin *a, size_t i);
const char *admin_base(void);

/* ask.c: does the job and waits; a->out is its answer, whatever the result. */
enum dir_result admin_job(struct admin *a, struct dir_job *j);
/* The same; false after saying what went wrong with `what`, an entry in the words of people. */
bool admin_job_ok(struct admin *a, struct dir_job *j, const char *what);
bool admin_job_failed(struct admin *a, enum dir_result r, const char *what);
/* For a loop over what a caller or the directory chooses: lets others run when 5 ms are over. */
void admin_breathe(struct admin *a);
/* A search: false when it failed.  No entry is no failure, nor a base that is not there. */
bool admin_search(struct admin *a, const char *base, enum dir_scope scope, const char *filter,
    const char *const *attrs);
/* All of a search, page by page; fn false: enough.  Entries are of the page, and fn asks nothing. */
bool admin_each(struct admin *a, const char *base, enum dir_scope scope, const char *filter,
    const char *const *attrs, bool (*fn)(struct admin *, const struct dir_entry *, void *),
    void *arg);
/* The same for a list that is told: one page of it where the call wants pages. */
bool admin_list(struct admin *a, unsigned object, const char *base, enum dir_scope scope,
    const char *filter, bool (*fn)(struct admin *, const struct dir_entry *, void *));
/* How many entries fit. */
bool admin_count(struct admin *a, const char *base, const char *filter, size_t *n);
const struct dir_entry *admin_entry_copy(struct admin *a, const struct dir_entry *e);

/* Of an entry: the attribute, or NULL; its first value, or empty; has it the value (ASCII case ignored)? */
const struct dir_attribute *admin_attr(const struct dir_entry *e, const char *name);
struct slice admin_value(const struct dir_entry *e, const char *name);
bool admin_has(const struct dir_entry *e, const char *name, struct slice value);

/* ---- change.c ---- */
struct admin_changes {
	struct dir_change *v;
	size_t n, room;
};
void admin_set(struct admin *a, struct admin_changes *c, enum dir_how how, const char *attribute,
    struct slice value); /* the value is joined to the change before when that is alike */
void admin_set_none(struct admin *a, struct admin_changes *c, const char *attribute); /* it goes */
/* `e` is the entry as it was read: that it is so still is asserted; NULL: nothing is. */
bool admin_modify(struct admin *a, const char *dn, const struct dir_entry *e,
    const struct admin_changes *c, const char *what);
bool admin_create(struct admin *a, const char *dn, const struct admin_changes *c, const char *what);
/* e as above; its values are read for the log. */
bool admin_remove(struct admin *a, const char *dn, const struct dir_entry *e, const char *what);
/* The entry and all below it; steps: each is one of the verb (admin_step). */
bool admin_remove_tree(struct admin *a, const struct dir_entry *e, bool steps, const char *what);
bool admin_rename(struct admin *a, const char *dn, const struct dir_entry *e, const char *rdn,
    const char *superior, const char *what);
bool admin_password(struct admin *a, const char *dn, const struct dir_entry *e,
    struct slice password, const char *what);

/* job-note.c: bookkeeping of a job, which is no line of the audit log. */
bool
admin_note(struct admin *a, const char *dn, const char *assertion, const struct admin_changes *c);
bool admin_note_create(struct admin *a, const char *dn, const struct admin_changes *c);
/* Of a verb that is many changes: so many are to come, or are all of it; one is done.  False: it is to stop here, when it is a job and
 * somebody wants that; the verb can be begun again.  What the last search found is no more then. */
void admin_steps(struct admin *a, size_t n, bool all);
bool admin_step(struct admin *a);
/* The same where nothing is done yet, and looking takes long: that we are at it is noted, when it is time. */
bool admin_hold(struct admin *a);

/* audit.c.  Is there room for the line of this change?  Else it is not to be done. */
bool admin_audit_ready(struct admin *a, const struct dir_job *j);
/* Is it an attribute whose values are told to nobody? */
bool admin_secret(struct slice attribute);
/* Its line; *what* of `op` happened to `dn`. */
void admin_audit(struct admin *a, const char *op, const char *dn, const struct dir_change *c,
    size_t n, const struct dir_entry *before, enum dir_result result);

/* ---- find.c ---- */
struct admin_org {
	const struct dir_entry *entry;
	const char *dn;
	struct slice domain; /* sunPreferredDomain */
};
bool admin_find_org(struct admin *a, struct slice name, struct admin_org *org);
bool admin_find_provider(struct admin *a, struct slice name, const struct dir_entry **e);
bool admin_find_package(struct admin *a, struct slice name, const struct dir_entry **e);
/* By uid@domain or any address; the organisation is found too (org may be NULL). */
bool admin_find_user(struct admin *a, struct slice name, struct admin_org *org,
    const struct dir_entry **e);
/* The same, and also the person who asks, by an address of his own. */
bool admin_find_person(struct admin *a, struct slice name, struct admin_org *org,
    const struct dir_entry **e);
bool admin_find_group(struct admin *a, struct slice name, struct admin_org *org,
    const struct dir_entry **e);
/* A value of a DN (RFC 4514 2.4). */
void admin_dn_value(struct buf *b, struct slice value);
/* Is the address nobody's in the organisation but the entry's `own` (a DN or NULL)?  Also nobody's whom the
 * person may not see, where the agent's account sees more. */
bool admin_address_free(struct admin *a, const struct admin_org *org, struct slice address,
    const char *own);
/* Is it the organisation's own domain, by any of its names? */
bool admin_org_has(const struct admin_org *org, struct slice domain);
bool admin_split(struct admin *a, struct slice address, struct slice *local, struct slice *domain);

/* ---- field.c ---- */
enum admin_object {
	ADMIN_USER = 1,
	ADMIN_GROUP = 2,
	ADMIN_ORG = 4,
	ADMIN_PACKAGE = 8,
	ADMIN_PROVIDER = 16,
	ADMIN_APP = 32 /* an application password */
};
enum admin_kind {
	KIND_TEXT,
	KIND_WORD,
	KIND_OWN,     /* an address in a domain of the organisation, nobody else's */
	KIND_ADDRESS, /* any address */
	KIND_SENDER,  /* an address with * and ?, a user or list of ours, or an LDAP URL */
	KIND_DOMAIN,
	KIND_PATTERN, /* of domains */
	KIND_HOST,
	KIND_BYTES,  /* 10, 4K, 1G, none, default */
	KIND_COUNT,  /* the same without units */
	KIND_OCTETS, /* a size that is never none */
	KIND_BLOCKS, /* a size, kept in units of 1024 */
	KIND_NUMBER,
	KIND_CHOICE,
	KIND_ACCESS, /* tiermail-directory(7), Access filters */
	KIND_TIME,
	KIND_DN,    /* a user or list of ours */
	KIND_QUERY, /* an LDAP URL, or a filter for the users of the organisation */
	KIND_FIELD, /* "Name: text" */
	KIND_PACKAGE,
	KIND_SHARE, /* "PACKAGE COUNT" */
	KIND_HASH   /* a password's, by its scheme; never shown */
};
struct admin_field {
	unsigned objects;
	const char *name, *attribute;
	enum admin_kind kind;
	bool many;
	const char *choices;
};
const struct admin_field *admin_field_find(unsigned object, struct slice name);
const struct admin_field *admin_field_next(const struct admin_field *f, unsigned object);
/* All settings of the call become changes; `e` is the entry that there is, or NULL. */
bool admin_fields_put(struct admin *a, unsigned object, const struct admin_org *org,
    const struct dir_entry *e, struct admin_changes *c);
/* Are settings given that a class of their own allows? */
bool admin_fields_provisioned(const struct admin *a);
/* A value of people as the attribute has it. */
bool admin_field_value(struct admin *a, const struct admin_field *f, const struct admin_org *org,
    const struct dir_entry *e, struct slice in, struct slice *out);
/* hash.c: the hash of a password, with Dovecot's names of schemes or slapd's, as slapd has it; NULL or why not. */
const char *admin_hash_value(struct arena *m, struct slice in, struct slice *out);
/* The attributes of an object's fields, and those of the system that are shown. */
const char *const *admin_field_attrs(struct admin *a, unsigned object);
/* Tells the entry. */
void admin_tell(struct admin *a, unsigned object, const char *name, const struct dir_entry *e);
/* Is the setting given?  Its value, or empty. */
bool admin_setting(const struct admin *a, const char *name, struct slice *value);

/* record.c */
struct admin_telling {
	struct admin *a;
	struct admin_pair *pairs;
	size_t n, room;
};
void admin_tell_add(struct admin_telling *t, const char *name, struct slice value);
void admin_tell_list(struct admin_telling *t, const char *name, struct slice value);
void admin_tell_number(struct admin_telling *t, const char *name, uint64_t value);
void admin_tell_end(struct admin_telling *t, const char *kind);
/* One with a text: "note", "finding". */
void
admin_say(struct admin *a, const char *kind, struct slice name, const char *fmt, ...) PRINTF(4, 5);

/* trail.c: does the person administer everything?  False after saying no. */
bool admin_whole(struct admin *a);
/* ... the organisation of this DN? */
bool admin_over(struct admin *a, const char *org);

/* hosts.c: questions to daemons of hosts (daemon/ask-start.h), many side by side. */
struct admin_question {
	const char *host, *daemon, *line;
	int e;             /* 0, or -errno */
	struct slice text; /* the answer; in the call's memory, as is */
	const char *why;   /* in words */
	struct op op;
	struct admin *a;
};
bool admin_hosts_ask(struct admin *a, struct admin_question *q, size_t n);
/* Is it one of ours (`hosts`)?  NULL after saying no. */
const char *admin_host(struct admin *a, struct slice name);

/* user.c */
char *admin_user_dn(struct admin *a, struct slice uid, const char *org);
bool admin_user_uid(struct admin *a, struct slice local, struct slice *uid); /* in lower case */
struct slice admin_user_address(struct admin *a, struct slice uid, struct slice domain);
bool admin_user_room(struct admin *a, const struct admin_org *org); /* for one more */
/* user-move.c: other entries that name the DN (members, owners, roles) name `to` instead, or nobody (NULL). */
bool admin_references(struct admin *a, const char *dn, const char *to);
/* They name `dn` now, of an entry that was at `was`.  It may have been at `dn` already, where the change has
 * stopped behind the rename: then those that name `named`, if nobody is there. */
bool admin_references_follow(struct admin *a, const char *was, const char *named, const char *dn);
/* role.c: takes a member out of a groupOfNames, which has one at least: itself, when nobody else is left. */
void admin_role_leave(struct admin *a, struct admin_changes *c, const struct dir_entry *e,
    struct slice dn);
/* status.c: adds an object class that an entry lacks. */
void admin_class_put(struct admin *a, struct admin_changes *c, const struct dir_entry *e,
    const char *name);
/* The changes of "suspend", "hold", "delete" ...; false: there is no such word. */
bool admin_status_put(struct admin *a, struct admin_changes *c, const struct dir_entry *e,
    const char *word, const char *login, const char *mail);
/* Was it deleted long enough ago? */
bool admin_deleted_over(const struct dir_entry *e);
/* package.c: puts what the package gives into a user's changes; asks whether the organisation has one left. */
bool admin_package_put(struct admin *a, const struct admin_org *org, struct slice name,
    const struct dir_entry *user, struct admin_changes *c);
/* place.c: the host for a new user, or empty where nothing says one. */
bool admin_place(struct admin *a, const struct admin_org *org, struct slice uid,
    struct slice package, struct slice *host);

/* Verbs, by file. */
bool admin_org_create(struct admin *a), admin_org_show(struct admin *a),
    admin_org_list(struct admin *a), admin_org_modify(struct admin *a),
    admin_org_status(struct admin *a), admin_org_purge(struct admin *a),
    admin_org_readdress(struct admin *a);
bool admin_provider_create(struct admin *a), admin_provider_list(struct admin *a),
    admin_provider_modify(struct admin *a), admin_provider_delete(struct admin *a);
bool admin_user_create(struct admin *a), admin_user_show(struct admin *a),
    admin_user_list(struct admin *a), admin_user_modify(struct admin *a),
    admin_user_status(struct admin *a), admin_user_rename(struct admin *a),
    admin_user_move(struct admin *a), admin_user_password(struct admin *a),
    admin_user_purge(struct admin *a), admin_user_place(struct admin *a),
    admin_user_export(struct admin *a);
bool admin_group_create(struct admin *a), admin_group_show(struct admin *a),
    admin_group_list(struct admin *a), admin_group_modify(struct admin *a),
    admin_group_rename(struct admin *a), admin_group_delete(struct admin *a);
bool admin_package_create(struct admin *a), admin_package_list(struct admin *a),
    admin_package_modify(struct admin *a), admin_package_delete(struct admin *a),
    admin_package_apply(struct admin *a);
bool admin_role_grant(struct admin *a), admin_role_revoke(struct admin *a),
    admin_role_list(struct admin *a);
bool admin_factor_create(struct admin *a), admin_factor_confirm(struct admin *a),
    admin_factor_recovery(struct admin *a), admin_factor_reset(struct admin *a),
    admin_factor_show(struct admin *a);
bool admin_app_create(struct admin *a), admin_app_list(struct admin *a),
    admin_app_revoke(struct admin *a);
bool admin_job_create(struct admin *a), admin_job_list(struct admin *a),
    admin_job_show(struct admin *a), admin_job_report(struct admin *a),
    admin_job_wish(struct admin *a), admin_job_resume(struct admin *a),
    admin_job_delete(struct admin *a), admin_job_run(struct admin *a);
bool admin_host_list(struct admin *a), admin_delivery_list(struct admin *a);
bool admin_queue_list(struct admin *a), admin_queue_top(struct admin *a),
    admin_queue_messages(struct admin *a), admin_queue_do(struct admin *a);
bool admin_check(struct admin *a);
bool admin_audit_list(struct admin *a);
bool admin_init(struct admin *a);
#endif
