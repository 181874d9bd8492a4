/* jmapd/sieve.h: SieveScript (RFC 9661): a person's scripts, the same that ManageSieve shows (rules/rules.h).
 *
 * They are in the directory, so every call asks there, as the person: who is it -> read the entry -> go.  sieve.c
 * has the objects and what only looks at them, sieve-set.c the changes, sieve-text.c their octets: a script's
 * blobId ("S", its id, "-", a hash of its text) is a blob like any other while the script has that text. */
#ifndef JMAPD_SIEVE_H
#define JMAPD_SIEVE_H
#include "blob.h"
#include "call.h"

extern const struct jmapd_method script_get, script_query, script_validate, script_set;

/* A script as clients see it; in the call's arena. */
struct script {
	struct slice id, name, blob;
	bool active;
};

/* A text that somebody wants to be a script: the octets of a blob, compiled. */
struct script_text {
	enum { TEXT_NONE, TEXT_OPENS, TEXT_READS, TEXT_CHECKS, TEXT_OVER } stage;
	struct blob blob;
	struct buf octets;
	const char *type, *why; /* of a SetError; NULL: it is right */
};

/* What all these calls begin with; the first member of each one's state. */
struct scripts {
	struct rules_person person;
	struct script *v; /* by name */
	size_t n;
	struct slice csn;        /* entryCSN, which is the state */
	const char *error, *why; /* of the call; NULL: none */
	struct script_text text;
};
/* Is there a directory that people's scripts can be changed in?  False: *next is the answer. */
bool scripts_served(struct call *c, enum call_next *next);
/* Who is it, and which scripts are there: the call's go follows, with v, n and csn, or with error. */
enum call_next scripts_start(struct call *c);
/* The same once more, when it is known who it is. */
enum call_next scripts_read(struct call *c);
void scripts_fini(struct scripts *s);
/* The directory did not do it: logged, and the call's error from now on. */
void scripts_fail(struct call *c, const struct rules_answer *a, const char *error);
/* "S0123456789abc", in the arena. */
struct slice script_id(struct arena *a, struct slice id);
struct slice script_blob_id(struct arena *a, struct slice id, struct slice text);
/* rules/rules.h's id of a SieveScript's; empty: it is none. */
struct slice script_id_parse(struct slice id);

/* Octets of blob `id` into s->text and compiled; DONE: text.type, and text.octets. */
enum call_next script_text_go(struct call *c, struct slice id);
void script_text_fini(struct script_text *t);

/* "urn:ietf:params:jmap:sieve" of the session, and of an account (RFC 9661 1.2.1). */
void script_capability_write(struct buf *b);
void script_account_write(struct buf *b);
#endif
