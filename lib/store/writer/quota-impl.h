/* store/writer/quota-impl.h: limits, and the warning before them: quota.c; the writer's thread. */
#ifndef STORE_WRITER_QUOTA_IMPL_H
#define STORE_WRITER_QUOTA_IMPL_H
#include "mail/verdict.h"
#include "store/format.h"

struct wacct;
struct wbox;
struct writer;

/* What an annotation says of an account or a mailbox (store/quota.h), once it has been looked for. */
struct wquota {
	bool known, set;
	uint64_t bytes, messages;
};

/* May so much more not come into the mailbox?  `mail`: it is delivered, by nobody who could make room.  Then *v says so. */
bool writer_over_quota(struct writer *w, struct wbox *b, const struct store_limits *l,
    uint64_t bytes, uint64_t messages, bool mail, struct verdict *v);
/* The same by the folder's own limit alone: of what moves within the account, whose use does not grow. */
bool writer_over_folder(struct writer *w, struct wbox *b, uint64_t bytes, uint64_t messages,
    struct verdict *v);
/* Mail for a folder at its limit is for INBOX, as that for one which is not there. */
bool writer_folder_is_full(struct writer *w, struct wbox *b, const struct store_limits *l,
    uint64_t bytes);
/* It has come in: is the user to be warned? */
void writer_quota_warn(struct writer *w, struct wacct *a, const struct store_limits *l);
void writer_quota_settled(struct writer *w); /* the batch is over */
#endif
