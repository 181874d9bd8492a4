/* agent.c: the agents, by the protocol of a channel. */
#include "agent.h"
#include "base/must.h"

static const struct agent *const agents[CHANNEL_PROTOCOLS] = {
	[CHANNEL_LMTP] = &agent_lmtp,
	[CHANNEL_SMTP] = &agent_smtp,
	[CHANNEL_REPROCESS] = &agent_reprocess,
	[CHANNEL_PROCESS] = &agent_process,
	[CHANNEL_HOLD] = &agent_hold,
	[CHANNEL_BITBUCKET] = &agent_bitbucket,
	[CHANNEL_DEFRAGMENT] = &agent_defragment,
	[CHANNEL_CONVERSION] = &agent_conversion,
	[CHANNEL_PIPE] = &agent_pipe,
};

const struct agent *
agent_find(const struct channel *c)
{
	must(c->protocol >= 0 && c->protocol < CHANNEL_PROTOCOLS && agents[c->protocol]);
	return agents[c->protocol];
}
