/* config.c: see config.h. */
#include "admin/config.h"

#include "base/attr.h"

struct admin_conf admin_conf;

static const struct conf_key keys[] = {
	{ "audit.file", CONF_PATH, &admin_conf.audit_file, "/var/log/tiermail/admin.audit", 0, 0,
	    RELOAD, NULL,
	    "Where each change is written, a JSON object a line; only ever appended to." },
	{ "purge.after", CONF_TIME, &admin_conf.purge_after, "30d", 0, INT64_MAX, RELOAD, NULL,
	    "How long what was deleted can be brought back." },
	{ "place.policy", CONF_ENUM, &admin_conf.place_policy, "users", 0, 0, RELOAD,
	    "none|users|letter|organisation|attribute",
	    "How a new user's store is chosen among place.hosts, or the organisation's own." },
	{ "place.hosts", CONF_LIST, &admin_conf.place_hosts, "", 0, 0, RELOAD, NULL,
	    "The stores that new users go to; none: users get no mailHost." },
	{ "place.attribute", CONF_STR, &admin_conf.place_attribute, "departmentNumber", 0, 0,
	    RELOAD, NULL,
	    "With the policy attribute: the attribute of the organisation that decides." },
	{ "place.map", CONF_LIST, &admin_conf.place_map, "", 0, 0, RELOAD, NULL,
	    "With the policy attribute: VALUE=HOST, and *=HOST for any other." },
};
const struct conf_schema admin_conf_schema = { keys, NELEM(keys), NULL, 0 };
