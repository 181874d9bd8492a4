/* aging/judge.h: which messages of a folder its rules take.
 *
 * The whole folder is judged at once, since messagecount and foldersize mean all of it.  Rules are tried
 * in their order; a message goes by the first that takes it, and those behind it see a folder without it.
 * A message is older than another when its UID is smaller: when it came into the folder earlier.  Pure;
 * costs (messages) x (rules), and a look at a header for what is left of a rule that asks for one. */
#ifndef AGING_JUDGE_H
#define AGING_JUDGE_H
#include "aging/rule.h"

struct aging_message {
	uint64_t emailid;
	int64_t internaldate;
	uint32_t uid, size;
	uint32_t savedate;
	uint16_t flags;    /* enum store_flag */
	uint16_t taken;    /* out: 1 + the index of the rule that takes it; 0 = it stays */
	uint16_t reported; /* out: the same of the first rule that reports it */
};

/* Has the message all the header fields of the rule?  What cannot be read has not. */
typedef bool
aging_header_fn(void *arg, const struct aging_rule *rule, const struct aging_message *m);

/* `m` ascending by UID. */
void aging_judge(struct aging_message *m, size_t n, const struct aging_rule *const *rules,
    size_t nrules, int64_t now, aging_header_fn *header, void *arg);
/* Are the flags still what the rule asks for?  To be asked again just before the message goes. */
bool aging_flags_meet(const struct aging_rule *r, uint16_t flags);
#endif
