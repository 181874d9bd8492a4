/* jmap/request.h: the Request object and its method calls (RFC 8620 3.3 to 3.7), and what may be wrong
 * with them, each at its level: a problem is of the whole request, an error of one call.
 *
 * Pure.  References to results are resolved on the text of the answers so far: the arguments of a call
 * that has some are written anew with what the references lead to, and read again. */
#ifndef JMAP_REQUEST_H
#define JMAP_REQUEST_H
#include "json/json.h"

/* Capabilities, as bits in the order of jmap_capabilities. */
enum jmap_using {
	JMAP_CORE = 1,       /* RFC 8620 */
	JMAP_MAIL = 2,       /* RFC 8621 1.3.1 */
	JMAP_SUBMISSION = 4, /* 1.3.2 */
	JMAP_VACATION = 8,   /* 1.3.3 */
	JMAP_QUOTA = 16,     /* RFC 9425 */
	JMAP_BLOBS = 32,     /* RFC 9404 */
	JMAP_SETTINGS = 64,  /* ours: jmapd(8) */
	JMAP_SIEVE = 128,    /* RFC 9661 */
	JMAP_CONTACTS = 256, /* RFC 9610 */
	JMAP_SHARE = 512     /* draft-ietf-jmap-mail-sharing */
};
#define JMAP_CAPABILITIES 10
extern const char *const jmap_capabilities[JMAP_CAPABILITIES];

struct jmap_call {
	struct slice name, id; /* of the tree */
	const struct json_t *args;
};
struct jmap_request {
	struct json_t *tree;
	unsigned using;          /* enum jmap_using */
	struct jmap_call *calls; /* heap */
	size_t ncalls;
	const struct json_t *created; /* createdIds, or NULL */
};
struct jmap_request_limits {
	struct json_bounds json;
	uint32_t calls;
};

/* What is wrong with a request as a whole (RFC 8620 3.6.1). */
struct jmap_problem {
	const char *type;  /* "urn:ietf:params:jmap:error:notJSON", ... */
	const char *limit; /* the one that is reached, or NULL */
	char detail[160];
};
/* True, or *p.  jmap_request_free in any case. */
bool jmap_request_parse(struct slice text, const struct jmap_request_limits *limits,
    struct jmap_request *r, struct jmap_problem *p);
void jmap_request_free(struct jmap_request *r);
/* Appends a problem details object (RFC 7807). */
void jmap_problem_write(struct buf *b, const struct jmap_problem *p, unsigned status);

/* ---- references (RFC 8620 3.7) -------------------------------------------------------------------- */

/* What a call has answered; the arguments are a text. */
struct jmap_result {
	struct slice name, id, args;
};
/* Has the object a member whose name begins with '#'? */
bool jmap_has_references(const struct json_t *args);
#define JMAP_REFERENCES 16 /* of one call */
/* Appends the arguments with what the references lead to.  0; -EBADMSG: one leads nowhere
 * (invalidResultReference), -EINVAL: a name stands there with and without '#', or there are too many
 * references (invalidArguments); *why is a literal, or json_read's.  Costs what the answers hold that are
 * referred to: who has long ones gives this to a thread, which may be another than the loop's. */
int jmap_resolve(const struct json_t *args, const struct jmap_result *results, size_t n,
    const struct json_bounds *bounds, struct buf *out, const char **why) MUSTCHECK;
#endif
