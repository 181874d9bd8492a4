/* mta/rules.h: mta.cnf compiled: rewrite rules and channels; tiermail-rewrite(5), tiermail-channels(5).
 *
 * The file has two halves, the rules up to the first blank line and blocks of channels behind it; they
 * are compiled together, as the tags of the rules are the host names of the channels.  What comes out is
 * never changed: who reloads compiles another one and exchanges the pointer.  Rules are found by hashing
 * the patterns that can match a host, from the most specific to the least, so that many thousand cost
 * what a dozen do. */
#ifndef MTA_RULES_H
#define MTA_RULES_H
#include "mail/verdict.h"
#include "mta/calls.h"
#include "mta/keywords.h"
#include "mta/mapping.h"

/* What happens while the directory cannot say whether a domain is ours ($V, $Z). */
#define MTA_DOMAIN_FAILURE                                                                         \
	"reprocess-daemon$Mtcp_local$1M$1~-error$4000000?Temporary lookup failure"

struct mta_conf;
/* `hostname` is what &/IMTA_HOST/ stands for, NULL: it is refused.  NULL when there are mistakes (in
 * *notes); warnings alone do not hinder. */
struct mta_conf *mta_conf_compile(const char *path, const char *hostname, mta_read_fn *read,
    void *arg, struct mta_notes *notes) MUSTCHECK;
void mta_conf_free(struct mta_conf **c);
size_t mta_conf_rules(const struct mta_conf *c); /* how many */
/* Appends the rules and channels as they were understood, for a check by eye. */
void mta_conf_print(const struct mta_conf *c, struct buf *out);

/* A channel by its own name or, as a tag, by one of its host names (any case); borrowed, or NULL. */
const struct mta_channel *mta_channel_named(const struct mta_conf *c, struct slice name);
const struct mta_channel_host *mta_host_find(const struct mta_conf *c, struct slice host);
const struct mta_channel *mta_channel_of_host(const struct mta_conf *c, struct slice host);
const struct mta_channel *
mta_channel_at(const struct mta_conf *c, size_t i); /* in order; NULL beyond */

/* ---- rewriting --------------------------------------------------------------------------- */

#define MTA_PASSES_MAX 50 /* times that one address is begun again */

struct mta_query {
	struct slice address;  /* as in the envelope, without brackets; may hold routes, % and ! */
	struct slice source;   /* the channel that rewrites; empty: none */
	struct slice dest;     /* the channel that it goes to, where that is decided ($Q, $C) */
	bool header;           /* of the header, not of the envelope ($E, $B) */
	bool backward;         /* a sender, not a recipient ($F, $R) */
	struct slice mailhost; /* for $nX; empty: a rule that has it fails */
};
enum mta_result {
	MTA_RW_OK,
	MTA_RW_NOCHANNEL, /* no channel has the host name that came out */
	MTA_RW_LOOP,      /* the rules rewrite without end */
	MTA_RW_SYNTAX,    /* this is no address */
	MTA_RW_TEMP,      /* cannot be told for now, or a bound was passed */
	MTA_RW_LATER      /* ask again, mta/calls.h */
};
struct mta_rewritten {
	enum mta_result result;
	struct buf address; /* what the address is now */
	struct buf host;    /* the host name by which the channel was found, or was not */
	const struct mta_channel *channel;
	struct verdict v; /* OK, or what the sender is told */
};
/* Rewrites one address.  `mappings` may be NULL.  *r is zeroed first; mta_rewritten_fini ends it. */
void mta_rewrite(const struct mta_conf *c, const struct mta_mappings *mappings,
    const struct mta_calls *calls, const struct mta_query *q, struct mta_rewritten *r);
void mta_rewritten_fini(struct mta_rewritten *r);
/* "ok", "nochannel", "loop" ...: the class of a result, for tools. */
const char *mta_result_name(enum mta_result r);
#endif
