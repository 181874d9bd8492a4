/* channel-master/agent.h: how the recipients of one lease get the message.
 *
 * A channel's protocol has one agent.  job.c opens the file, and when the message is to be delivered it calls
 * `start`; the agent puts what has become of each pending recipient into job->outcomes and calls
 * job_settle, once: then job.c reports, writes the journal and ends the lease.  Or it calls job_drop or
 * job_end itself, when nothing happened.  Delay warnings and expiry are job.c's alone. */
#ifndef AGENT_H
#define AGENT_H
#include "mail/dsn.h"
#include "mta/channels.h"

struct job;
struct loop;
struct agent {
	const char *name;
	const char *word;       /* what the log says of who is done with */
	enum dsn_action action; /* and what reports say */
	bool pieces; /* it puts pieces of a message aside, which a dead master may have left */
	int (*open)(struct loop *l); /* at the start of the process: 0 or -errno; or NULL */
	/* All recipients are done with, by a master that has died: what else is to be done before the file goes; or
	 * NULL.  False: not now; the file stays. */
	bool (*over)(struct job *j);
	void (*start)(struct job *j); /* job_settle or another end follows, at once or later */
	/* The process wants to end.  True: nobody has had the message, nor will by this lease, which
	 * goes back.  NULL: it never waits before the first one has it. */
	bool (*give_back)(struct job *j);
	void (*end)(struct job *j); /* frees job->work; NULL: there is none */
};

extern const struct agent agent_smtp, agent_lmtp, agent_reprocess, agent_process, agent_hold,
    agent_bitbucket, agent_pipe, agent_defragment, agent_conversion;

/* The agent of a channel's protocol: never NULL. */
const struct agent *agent_find(const struct channel *c);
#endif
