/* admind/agent.c: connections to the directory, one for each verb that runs, kept for the next.
 *
 * Owns those that are free; the others are work.c's, or wait in pages.c.  All are bound as admind's own account,
 * and each job says for whom.  Fails when limit.agents are in use: the request is told to come again.  Must
 * stay true: a connection that was given back has no job on its way. */
#include "base/mem.h"
#include "admind.h"

struct admind_agent *
admind_agent_take(void)
{
	struct admind_agent *a = list_first(&admind.agents, struct admind_agent, link);

	if (!a && admind.nagents >= (size_t)admin_conf.agents)
		return NULL;
	if (!a) {
		a = mem_new(sizeof(*a));
		list_init(&a->link);
		a->agent = dir_agent_new(admind.dir, shared.ldap_bind_dn,
		    shared.ldap_bind ? NULL : shared.ldap_password);
		metric_set(M_AGENTS, (int64_t)++admind.nagents);
	}
	list_remove(&a->link);
	return a;
}

static void
admind_agent_end(struct admind_agent *a)
{
	list_remove(&a->link);
	dir_agent_free(&a->agent);
	mem_free(&a);
	metric_set(M_AGENTS, (int64_t)--admind.nagents);
}

/* One whose sorted list was not read to its end takes a place of slapd's few (sssvlv-max) as long as it lives. */
void
admind_agent_give(struct admind_agent **a)
{
	if (*a && (*a)->sorts)
		admind_agent_end(*a);
	else if (*a)
		list_push_front(&admind.agents, &(*a)->link);
	*a = NULL;
}

void
admind_agent_close(void)
{
	struct admind_agent *a;

	while ((a = list_first(&admind.agents, struct admind_agent, link)))
		admind_agent_end(a);
}
