/* store/writer/domain-impl.h: use of accounts, and of all accounts of a domain together: domain.c.
 *
 * Called by the writer's thread; the sums (store/writer/writer.h) are shared with the writers of other partitions. */
#ifndef STORE_WRITER_DOMAIN_IMPL_H
#define STORE_WRITER_DOMAIN_IMPL_H
#include "store/format.h"

struct wacct;
struct writer;

/* The account uses so much more, or less: the only way to change that. */
void writer_use(struct writer *w, struct wacct *a, int64_t bytes, int64_t messages);
/* An account that is there, at the start. */
void writer_domain_known(const struct writer *w, struct slice account, uint64_t bytes,
    uint64_t messages);
/* All that it uses, out of the sum of its domain, for it goes or gets another name; and into it. */
void writer_domain_leave(struct writer *w, struct wacct *a);
void writer_domain_enter(struct writer *w, struct wacct *a);
void writer_domains_settled(struct writer *w, bool good); /* the batch is over */
/* Has its domain no room for so much more?  A change of that is logged. */
bool writer_domain_over(struct writer *w, struct wacct *a, const struct store_limits *l,
    uint64_t bytes, uint64_t messages);
/* Is its domain not yet full? */
bool writer_domain_has_room(struct writer *w, struct wacct *a, const struct store_limits *l);
#endif
