/* conf/form.h: what a text must look like: host names, addresses, ports, networks, as words that a
 * key's `choices` names.  Inside conf/ only; addresses are looked at, never resolved. */
#ifndef CONF_FORM_H
#define CONF_FORM_H
#include "base/slice.h"

/* Does `text` have the form of this name?  NULL, or what it should look like.  A name that there is
 * not is a bug.  Forms:
 *	domain       a host or domain name, also with letters beyond ASCII
 *	address      local@domain
 *	user         local@domain, or *
 *	pattern      a domain, "*.domain" or "*" (of a static route)
 *	server       host, host:port, [v6]:port or [address], the port not 0
 *	socket       unix:PATH, or like `server` with a port
 *	ip           a numeric address
 *	network      a numeric address or address/prefix
 *	listen       address:port, [v6]:port, *:port or unix:PATH
 *	resolvers    words of the form address or address@port
 *	stubs        words of the form zone=address or zone=address@port
 *	log          stderr, syslog or dir: and an absolute path
 *	dn           a distinguished name, or empty */
const char *conf_form_check(const char *form, struct slice text);
#endif
