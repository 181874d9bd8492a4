/* directory/agent-impl.h: what agent.c and agent-read.c share.  Not for anybody else. */
#ifndef DIRECTORY_AGENT_IMPL_H
#define DIRECTORY_AGENT_IMPL_H
#include "base/arena.h"
#include "directory/agent.h"
#include "directory/directory-impl.h"

#define AGENT_MAGIC 0x6167656eU
struct dir_agent {
	uint32_t magic;
	struct list link; /* dir.agents: a reload makes new servers */
	struct dir *dir;
	char *dn;
	struct secret password;
	bool external;
	struct conn *conn;
	struct server *server;
	uint64_t began_at;
	bool was_up;
	/* the job on its way */
	struct op *op; /* NULL: forgotten, or none */
	dir_agent_done done;
	void *arg;
	struct arena memory; /* of all below */
	struct dir_job job;
	LDAPMod **mods;
	char **attrs, **before;
	int msgid;
	bool busy, again;
	struct dir_entry *entries; /* heap, its insides in memory */
	size_t n, room, bytes;
	bool cut;
	struct dir_outcome outcome;
	struct timer timer;
	struct later later;
};

/* agent-read.c: of messages of the job on its way, into it. */
enum dir_result dir_agent_result(int code);
void dir_agent_entry(struct dir_agent *a, LDAPMessage *m);
void dir_agent_before(struct dir_agent *a, LDAPControl *c);
void dir_agent_cookie(struct dir_agent *a, LDAPControl *c);
void dir_agent_extended(struct dir_agent *a, LDAPMessage *m);
#endif
