/* admin/config.h: the keys of admind.conf(5), for admind and for diradm, which must go by the same. */
#ifndef ADMIN_CONFIG_H
#define ADMIN_CONFIG_H
#include "conf/conf.h"

enum admin_policy { PLACE_NONE, PLACE_USERS, PLACE_LETTER, PLACE_ORGANISATION, PLACE_ATTRIBUTE };
struct admin_conf {
	char *audit_file;
	int64_t purge_after; /* ms */
	int64_t job_lease, job_look;
	int place_policy;   /* enum admin_policy */
	char **place_hosts; /* NULL-terminated */
	char *place_attribute;
	char **place_map; /* "value=host" */
	bool second_factor;
	char **logs;  /* of all daemons, for tmlog's search; NULL-terminated */
	char **hosts; /* whose daemons are asked; NULL-terminated */
	/* admind's; times in ms */
	char *www, *keys; /* of the console: its files, and what seals its sessions */
	int64_t session_idle, session_life;
	int64_t workers, clients, per_client, per_user, agents, idle_time, page_time, auth_delay;
};
extern struct admin_conf admin_conf;
extern const struct conf_schema admin_conf_schema;
#endif
