/* pab/conf.h: the keys of address books, in the table of each program that has to do with them:
 *
 *	static const struct conf_key keys[] = { ..., PAB_KEYS };
 *
 * They are of a program, not of tiermail.conf: others have no business with the password. */
#ifndef PAB_CONF_H
#define PAB_CONF_H
#include "conf/conf.h"

struct pab_conf {
	char **urls;    /* pab.url: servers; none: those of ldap.provider or ldap.url */
	char *base;     /* pab.base */
	char *dn;       /* pab.dn: who acts for people there; "" = uid=pab of ldap.base */
	char *password; /* pab.password; "" = there are no address books here */
};
extern struct pab_conf pab_conf;

/* clang-format off */
#define PAB_KEYS \
	{ "pab.url", CONF_LIST, &pab_conf.urls, "", 0, 0, RESTART, NULL, \
	    "Servers of the personal address books; empty means those of ldap.provider or ldap.url." }, \
	{ "pab.base", CONF_STR, &pab_conf.base, "o=pab", 0, 0, RESTART, "dn", \
	    "The entry below which all address books are." }, \
	{ "pab.dn", CONF_STR, &pab_conf.dn, "", 0, 0, RESTART, "dn", \
	    "Who acts for people there; empty is uid=pab,ou=services below ldap.base." }, \
	{ "pab.password", CONF_SECRET, &pab_conf.password, "", 0, 0, RESTART, NULL, \
	    "The password for it; empty: there are no address books here." }
/* clang-format on */
#endif
