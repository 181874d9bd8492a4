/* admin/admin.h: what administrators do: one table of verbs, for the tool, the API and the log.
 *
 * A verb is an object and a word ("user create"), names ("jane@example.com") and settings
 * ("quota=1G").  It reads straight down and runs in a fiber (net/fiber.h).  Everything it does is done
 * as the person who asks, by an agent (directory/agent.h): slapd's access rules decide, nothing here
 * does; what is checked here is whether the wish makes sense.  Each change asserts that the entry still
 * is as it was read (RFC 4528), is a line of the audit log, and with dry_run only told.
 * Used by cmd/diradm and cmd/admind.  Roles and layout: tiermail-directory(7). */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H
#include "base/arena.h"
#include "directory/agent.h"
#include "net/fiber.h"

struct admin;
struct admin_journal;

enum admin_status {
	ADMIN_OK,
	ADMIN_BAD,       /* the wish makes no sense */
	ADMIN_LOGIN,     /* the password was refused */
	ADMIN_DENIED,    /* this person may not */
	ADMIN_NOT_FOUND, /* it is not there, or not for this person to see */
	ADMIN_EXISTS,    /* the name or address is somebody's, a count is used up */
	ADMIN_CHANGED,   /* somebody else has changed the entry meanwhile */
	ADMIN_LIMIT,     /* more than the directory gives */
	ADMIN_AWAY,      /* nothing was done: the directory does not answer */
	ADMIN_UNKNOWN,   /* it may have been done: no answer came */
	ADMIN_FAILED,    /* the directory or this host is not as it should be */
	ADMIN_STATUSES
};
struct admin_problem {
	enum admin_status status;
	const char *code; /* a word that stays the same: "address-in-use" */
	char text[512];   /* a sentence for people */
};

/* What a verb tells: an entry, a change, a finding.  Borrowed while `record` runs. */
struct admin_pair {
	const char *name; /* the same several times: its values */
	struct slice value;
	bool list,
	    number; /* list: also a single value is one of a list; number: of decimal digits */
};
struct admin_record {
	const char *kind; /* "user", "change", "finding" */
	const struct admin_pair *pairs;
	size_t n;
};
/* Appends it as a JSON object. */
void admin_record_json(const struct admin_record *r, struct buf *out);
/* The first value of a name; empty when there is none. */
struct slice admin_record_get(const struct admin_record *r, const char *name);

enum admin_how { ADMIN_SET, ADMIN_ADD, ADMIN_TAKE };
struct admin_setting {
	struct slice name, value;
	enum admin_how how;
};
/* Reads "name=value", "name+=value" or "name-=value"; false when it is none. */
bool admin_setting_parse(struct slice text, struct admin_setting *s);

/* A list page by page: `limit` records each, and the next call on the same agent goes on. */
#define ADMIN_COOKIE 256 /* octets of a directory's cookie, at most */
struct admin_page {
	char cookie[ADMIN_COOKIE];
	size_t n; /* of it; 0: there is nothing more, or from the beginning */
	const char
	    *sort; /* by a setting of one value, "-" in front: descending; NULL: as it comes */
};

/* Some of a list, in the order of `sort`, and how many there are: each costs slapd all of them. */
struct admin_window {
	size_t skip, want; /* in: of these */
	size_t total;      /* out */
	const char *sort;  /* as of a page */
};

struct admin_call {
	const struct slice *names; /* operands */
	size_t nnames;
	const struct admin_setting *settings;
	size_t nsettings;
	/* of `user create` and `user password`, which makes one where it is empty; any other verb refuses it */
	struct slice secret;
	bool dry_run;
	const char *version; /* what `version` of the entry was when the caller saw it, or NULL */
	unsigned limit;      /* records of a list, 0: all */
	struct admin_page *page; /* NULL: not in pages */
	/* Of a list of users or of lists: only those that this LDAP filter fits, whose words its writer has escaped
	 * (dir_filter_value); and of these a part, counted.  NULL: all. */
	const char *filter;
	struct admin_window *window;
	bool raw; /* of a list: entries as the directory has them, by attributes: for LDIF */
	/* who asks: for the log, and for slapd when the agent acts for others */
	const char *who, *from; /* "admin@example.com", "192.0.2.1" or "local" */
	const char *as;         /* "dn:...", or NULL: as the agent is bound */
	bool
	    proved; /* the person has given the own password for this call, which changing it needs */
	struct admin_journal *journal; /* of the job that it is a part of (job.h), or NULL */
	void (*record)(void *arg, const struct admin_record *r); /* called in the fiber */
	void *arg;
};

struct admin_verb {
	const char *object, *verb;
	const char *operands;        /* for people: "ADDRESS [NAME=VALUE ...]" */
	unsigned min, max;           /* names */
	bool settings;               /* takes some */
	bool changes;                /* something, so that it has a line in the audit log */
	bool (*run)(struct admin *); /* false: `problem` says why */
	const char *help;
};
extern const struct admin_verb admin_verbs[];
extern const size_t admin_nverbs;
/* The setting that an attribute is, with its value as people give it; false: there is none.  In the arena. */
bool admin_setting_attribute(const char *object, struct slice attribute, struct slice value,
    struct arena *m, struct admin_setting *s);
/* uid@domain of a DN below ou=People (cn@domain of one below ou=Groups), or the DN. */
struct slice admin_dn_name(struct arena *m, struct slice dn);
/* Has the setting of this object several values? */
bool admin_setting_many(const char *object, struct slice name);
const struct admin_verb *admin_verb_find(struct slice object, struct slice verb);
/* Appends the names of settings of an object, separated by blanks. */
void admin_settings_list(const char *object, struct buf *out);

/* In a fiber: does it.  *problem is filled in; ADMIN_OK is no problem. */
void admin_run(struct loop *l, struct dir_agent *agent, const struct admin_verb *v,
    const struct admin_call *call, struct admin_problem *problem);
/* In a fiber: the DN of a user, by any address; heap, or NULL with *problem. */
char *admin_person(struct loop *l, struct dir_agent *agent, struct slice address,
    struct admin_problem *problem);
/* Ends what was begun to ask hosts, before the loop ends. */
void admin_hosts_fini(void);
/* The status as HTTP has it (RFC 9110 15), and as sysexits(3) has. */
int admin_status_http(enum admin_status s);
int admin_status_exit(enum admin_status s);
#endif
