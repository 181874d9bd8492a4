/* mta/access.h: what an answer of a *_ACCESS table means; tiermail-mappings(5).
 *
 * The flags say what is done, and the text holds the arguments that some of them have, parted by `|`, in
 * one order whatever the order of the flags: $U $J $K $I $< $> $D $T $A $G $S $X $, and last the text
 * of $N or $F.  An argument may also be named, `delay=30`, and stands anywhere then. */
#ifndef MTA_ACCESS_H
#define MTA_ACCESS_H
#include "mta/mapping.h"

enum mta_access_action {
	MTA_ACCESS_NONE, /* nothing was said: the next table decides */
	MTA_ACCESS_ACCEPT,
	MTA_ACCESS_CLOSE,
	MTA_ACCESS_ALLOW,
	MTA_ACCESS_REJECT,
	MTA_ACCESS_HOLD,
	MTA_ACCESS_BITBUCKET,
	MTA_ACCESS_DISCARD,
	MTA_ACCESS_JETTISON
};
/* Texts borrow from the answer; those that are not there have p NULL. */
struct mta_access {
	enum mta_access_action action;
	struct slice text;     /* of a refusal */
	struct slice code;     /* its enhanced status */
	struct slice delay;    /* hundredths of a second; negative: this command alone */
	struct slice env_from; /* instead of the sender */
	struct slice sender;   /* for the Sender field */
	struct slice tag;      /* for the log */
	struct slice header;   /* a field to add */
	struct slice convert;  /* a conversion tag */
	struct slice limits;   /* size,recipients,... */
	struct slice spam;     /* what a spam score changes by */
	struct slice user, group, log_match, log_reject;
};
void mta_access_decode(struct slice table, const struct mta_mapped *m, struct mta_access *out);
const char *mta_access_name(enum mta_access_action a);
/* For printing: the name and value of argument i, false beyond the last. */
bool
mta_access_argument(const struct mta_access *a, size_t i, const char **name, struct slice *value);
#endif
