/* login/access.h: mailAllowedServiceAccess and mailDomainAllowedServiceAccess: which services may
 * be used from where.  Pure.
 *
 *	value    = rule *( "$" rule )
 *	rule     = ( "+" / "-" ) services ":" clients
 *	services = list [ "EXCEPT" services ]		imap imaps pop pops (pop3 pop3s) smtp smtps
 *							http ALL *
 *	clients  = list [ "EXCEPT" clients ]		ALL * LOCAL KNOWN UNKNOWN an address,
 *							"192.0.2." "192.0.2.0/255.255.255.0" CIDR
 *
 * As Sun's schema reference has it: allow filters go before deny filters; a client that no
 * filter names gets in, unless there are allow filters and no deny filter.  Words of a list are
 * separated by commas or white space.
 *
 * Host names are not looked up: a name (".example.com", "host.example.com", KNOWN, LOCAL)
 * matches nobody, UNKNOWN everybody who comes by network.  Addresses are what to write. */
#ifndef LOGIN_ACCESS_H
#define LOGIN_ACCESS_H
#include "net/addr.h"

enum login_access { LOGIN_ACCESS_GRANTED, LOGIN_ACCESS_DENIED, LOGIN_ACCESS_MALFORMED };

/* May a client at `from` use `service` ("imap", without the s)?  An encrypted session is named
 * by both names: "imap" means it too, "imaps" only it.  An empty value grants everything;
 * a malformed one says so and decides nothing. */
enum login_access login_access_check(struct slice value, const char *service, bool tls,
    const struct addr *from) MUSTCHECK;
#endif
