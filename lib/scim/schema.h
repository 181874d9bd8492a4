/* scim/schema.h: the attributes of users and groups that SCIM has here (RFC 7643 4.1, 4.2), as /Schemas says.
 *
 * One table for each resource: what is read, written, patched and shown is a row of it; other attributes of RFC 7643
 * are no rows, and a client that sends them is told nothing about them (RFC 7644 3.3).  Pure. */
#ifndef SCIM_SCHEMA_H
#define SCIM_SCHEMA_H
#include "scim/filter.h"

#define SCIM_ROWS 24 /* of a schema, at most */

/* What an element of a list has; of a row that is no list: 0. */
enum scim_sub { SCIM_VALUE = 1, SCIM_TYPE = 2, SCIM_PRIMARY = 4, SCIM_DISPLAY = 8, SCIM_REF = 16 };
enum scim_access { SCIM_READ_WRITE, SCIM_READ_ONLY, SCIM_IMMUTABLE, SCIM_WRITE_ONLY };
enum scim_returned { SCIM_DEFAULT, SCIM_ALWAYS, SCIM_NEVER, SCIM_REQUEST };

struct scim_attribute {
	const char *name, *part; /* "name", "givenName"; part NULL: simple, or a list */
	unsigned subs;
	bool boolean, required, exact, unique, extension;
	enum scim_access access;
	enum scim_returned returned;
	const char *about;
};
struct scim_schema {
	const char *name, *path, *urn, *extension, *about, *about_extension;
	const struct scim_attribute *rows;
	size_t n;
};

/* Rows of users and groups, by which callers know them. */
enum {
	SCIM_USER_ID,
	SCIM_USER_EXTERNAL,
	SCIM_USER_NAME,
	SCIM_USER_FORMATTED,
	SCIM_USER_FAMILY,
	SCIM_USER_GIVEN,
	SCIM_USER_DISPLAY,
	SCIM_USER_LANGUAGE,
	SCIM_USER_ACTIVE,
	SCIM_USER_PASSWORD,
	SCIM_USER_EMAILS,
	SCIM_USER_PHONES,
	SCIM_USER_GROUPS,
	SCIM_USER_QUOTA,
	SCIM_USER_PACKAGE,
	SCIM_USER_HOST
};
enum {
	SCIM_GROUP_ID,
	SCIM_GROUP_EXTERNAL,
	SCIM_GROUP_DISPLAY,
	SCIM_GROUP_MEMBERS,
	SCIM_GROUP_MAIL
};
extern const struct scim_schema scim_user, scim_group;

/* The rows that a path means ("name" means three), as bits; 0: there is none.  *subs: which subs of a list. */
uint32_t scim_rows(const struct scim_schema *s, const struct scim_path *path, unsigned *subs);
/* Appends the schema resource (RFC 7643 7) of the core or of the extension; `base` is where the service is. */
void
scim_schema_write(struct buf *b, const struct scim_schema *s, bool extension, struct slice base);
/* The ResourceType (RFC 7643 6). */
void scim_type_write(struct buf *b, const struct scim_schema *s, struct slice base);
#define SCIM_URN_MESSAGES "urn:ietf:params:scim:api:messages:2.0:"
#define SCIM_URN_SCHEMA   "urn:ietf:params:scim:schemas:core:2.0:"
#endif
