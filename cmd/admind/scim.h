/* admind's SCIM (RFC 7643, RFC 7644): what its files share.
 *
 *	scim		a request: its path and body, what is known without asking, the fiber, the answer
 *	scim-do		one operation: a resource made, shown, listed, changed, deleted
 *	scim-members	members and groups
 *	scim-map	records of verbs to resources, and what has changed of a resource to settings
 *	scim-filter	a filter of SCIM to one of LDAP
 *	scim-bulk	many operations
 *
 * Everything is done by verbs of lib/admin as the person who asks, within one organisation (the tenant). */
#ifndef ADMIND_SCIM_H
#define ADMIND_SCIM_H
#include "admind.h"
#include "scim/resource.h"

#define SCIM_PAGE_MOST 200 /* resources of a list */
#define SCIM_BULK_MOST 200 /* operations */
#define SCIM_BODY_MOST (1024 * 1024)

/* A request while its fiber runs. */
struct scim_run {
	struct loop *loop;
	struct admind_agent *agent;
	const char *who, *from, *as;
	struct slice
	    tenant; /* the organisation's domain; from the first answer on as it calls itself */
	struct slice base;   /* "https://host/scim/v2" and perhaps the domain */
	struct arena memory; /* of one operation */
};

struct scim_request {
	enum http_verb method;
	const struct scim_schema *schema;
	struct slice id; /* empty: all of them */
	bool search, me; /* POST .search; /Me, whose id is a name */
	struct slice body, if_match, if_none;
	struct slice filter, attributes, excluded, sort;
	bool descending;
	uint64_t start, count;
};
struct scim_answer {
	unsigned status;
	struct buf body;     /* empty: none */
	struct buf etag, at; /* at: Location */
};

/* ---- scim-do.c: in a fiber. */
void admind_scim_do(struct scim_run *r, const struct scim_request *q, struct scim_answer *a);
void admind_scim_bulk(struct scim_run *r, struct slice body, struct scim_answer *a);
/* Reads the words of a search from its body; for POST .search. */
bool admind_scim_search(struct scim_run *r, struct scim_request *q, struct scim_error *e);
void admind_scim_answer_fini(struct scim_answer *a);

/* A verb with these settings; false with *e. */
struct scim_settings {
	struct admin_setting *v;
	size_t n, room;
};
void admind_scim_set(struct scim_run *r, struct scim_settings *s, const char *name,
    struct slice value, enum admin_how how);
struct scim_verb {
	const char *object, *verb;
	struct slice names[2];
	const struct scim_settings *settings;
	struct slice secret;
	const char *version, *filter;
	struct admin_window *window;
	void (*record)(void *arg, const struct admin_record *r);
	void *arg;
};
bool admind_scim_run(struct scim_run *r, const struct scim_verb *v, struct scim_error *e);

/* ---- scim-map.c */
/* Resources as verbs tell them, in the run's memory. */
struct scim_found {
	struct scim_run *run;
	const struct scim_schema *schema;
	struct scim_resource *v;
	struct slice *names, *dns, *versions; /* of each: jane@example.com; its DN; entryCSN */
	size_t n, room;
	bool deleted; /* of the last one */
};
void admind_scim_found(void *found, const struct admin_record *r);
/* The settings that make `wished` of `before`, but for names and members. */
void admind_scim_changes(struct scim_run *r, const struct scim_resource *before,
    const struct scim_resource *wished, struct scim_settings *s);
/* members+= and members-=. */
void admind_scim_members(struct scim_run *r, const struct scim_resource *before,
    const struct scim_resource *wished, struct scim_settings *s);
/* The address of a new list of this name; empty when none can be made. */
struct slice admind_scim_address(struct scim_run *r, const struct scim_resource *group);

/* Is it a name of the tenant's domain? */
bool admind_scim_within(const struct scim_run *r, struct slice name);

/* ---- scim-members.c */
/* Are all ids of users or lists of this organisation?  False with *e. */
bool admind_scim_ids_are_here(struct scim_run *r, struct scim_list *ids, struct scim_error *e);
/* Members by name become members by id. */
bool
admind_scim_name_members(struct scim_run *r, struct scim_resource *group, struct scim_error *e);
/* Adds the groups that name the DN. */
bool admind_scim_name_groups(struct scim_run *r, struct scim_resource *user, struct slice dn,
    struct scim_error *e);

/* ---- scim-filter.c */
/* In the run's memory; false with *e, for what LDAP cannot be asked. */
bool admind_scim_filter(struct scim_run *r, const struct scim_schema *s, struct slice text,
    const char **filter, struct scim_error *e);
/* The DN of a user or a list of this id; NULL: there is none here. */
const char *admind_scim_dn(struct scim_run *r, struct slice id);
#endif
