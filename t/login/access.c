/* t/login/access.c: access filters: Sun's examples, the order of filters, what is malformed. */
#include "login/access.h"
#include "base/buf.h"
#include "base/must.h"
#include "../tap.h"

enum { YES = LOGIN_ACCESS_GRANTED, NO = LOGIN_ACCESS_DENIED, BAD = LOGIN_ACCESS_MALFORMED };

/* clang-format off */
static const struct {
	const char *value, *service;
	bool tls;
	const char *from;
	int want;
} table[] = {
	{ "",                            "imap", false, "192.0.2.1:1", YES },
	{ "+imap,pop,http:*",            "imap", false, "192.0.2.1:1", YES },
	{ "+imap,pop,http:*",            "imap", true,  "192.0.2.1:1", YES },
	{ "+imap,pop,http:*",            "smtp", false, "192.0.2.1:1", NO },
	{ "+imap:ALL$+pop:ALL$+http:ALL", "pop", false, "192.0.2.1:1", YES },
	{ "-imap:*$-pop:*$-http:*",      "imap", false, "192.0.2.1:1", NO },
	{ "-imap:*$-pop:*$-http:*",      "smtp", false, "192.0.2.1:1", YES },
	{ "-imap,smtp:*",                "smtp", true,  "192.0.2.1:1", NO },
	{ "-imap,smtp:*",                "imap", true,  "192.0.2.1:1", NO },
	{ "-ALL:ALL EXCEPT 192.0.2.9",   "imap", false, "192.0.2.9:1", YES },
	{ "-ALL:ALL EXCEPT 192.0.2.9",   "imap", false, "192.0.2.8:1", NO },
	{ "-ALL:ALL EXCEPT server1.sesta.test", "imap", false, "192.0.2.8:1", NO },
	{ "+imaps,pops:*",               "imap", false, "192.0.2.1:1", NO },
	{ "+pop3:*",                     "pop",  false, "192.0.2.1:1", YES },
	{ "+pop3s:*",                    "pop",  false, "192.0.2.1:1", NO },
	{ "+POP3S:*",                    "pop",  true,  "192.0.2.1:1", YES },
	{ "+pop3:*",                     "imap", false, "192.0.2.1:1", NO },
	{ "+imaps,pops:*",               "imap", true,  "192.0.2.1:1", YES },
	{ "+imaps,pops:*$+imap,pop:192.0.2.7", "imap", false, "192.0.2.7:1", YES },
	{ "+imaps,pops:*$+imap,pop:192.0.2.7", "imap", false, "192.0.2.8:1", NO },
	/* Allow goes before deny, wherever it stands. */
	{ "-imap:*$+imap:192.0.2.1",     "imap", false, "192.0.2.1:1", YES },
	{ "-imap:*$+imap:192.0.2.1",     "imap", false, "192.0.2.2:1", NO },
	/* With a deny filter no match means yes. */
	{ "+imap:192.0.2.1$-imap:192.0.2.2", "imap", false, "192.0.2.3:1", YES },
	/* Addresses. */
	{ "+imap:192.0.2.",              "imap", false, "192.0.2.77:1", YES },
	{ "+imap:192.0.2.",              "imap", false, "192.0.20.7:1", NO },
	{ "+imap:10.1.2.0/255.255.254.0", "imap", false, "10.1.3.9:1", YES },
	{ "+imap:10.1.2.0/255.255.254.0", "imap", false, "10.1.4.9:1", NO },
	{ "+imap:10.1.2.0/255.0.255.0",  "imap", false, "10.1.2.9:1", NO },
	{ "+imap:10.0.0.0/8 172.16.0.0/12", "imap", false, "172.20.1.1:1", YES },
	{ "+imap:2001:db8::/32",         "imap", false, "[2001:db8::5]:1", YES },
	{ "+imap:2001:db8::/32",         "imap", false, "[2001:db9::5]:1", NO },
	{ "+imap:192.0.2.",              "imap", false, "[::ffff:192.0.2.7]:1", YES },
	{ "+imap:127.0.0.1",             "imap", false, "[::ffff:127.0.0.1]:1", YES },
	/* Names match nobody; who has no name is UNKNOWN. */
	{ "+imap:.example.test",         "imap", false, "192.0.2.1:1", NO },
	{ "-imap:.example.test",         "imap", false, "192.0.2.1:1", YES },
	{ "-imap:UNKNOWN",               "imap", false, "192.0.2.1:1", NO },
	{ "+imap:KNOWN,LOCAL",           "imap", false, "192.0.2.1:1", NO },
	{ "+imap:ALL",                   "imap", false, "unix:/x", YES },
	{ "+imap:192.0.2.1",             "imap", false, "unix:/x", NO },
	/* Lists. */
	{ "+ALL EXCEPT smtp:*",          "imap", false, "192.0.2.1:1", YES },
	{ "+ALL EXCEPT smtp:*",          "smtp", false, "192.0.2.1:1", NO },
	{ "+imap:* EXCEPT 10. EXCEPT 10.0.0.1", "imap", false, "10.0.0.1:1", YES },
	{ "+imap:* EXCEPT 10. EXCEPT 10.0.0.1", "imap", false, "10.0.0.2:1", NO },
	{ " +IMAP , pop : all $ ",       "imap", false, "192.0.2.1:1", YES },
	{ "+imapsx:*",                   "imap", true,  "192.0.2.1:1", NO },
	/* Half a filter is none. */
	{ "imap:*",                      "imap", false, "192.0.2.1:1", BAD },
	{ "+imap",                       "imap", false, "192.0.2.1:1", BAD },
	{ "+imap:",                      "imap", false, "192.0.2.1:1", BAD },
	{ "+:*",                         "imap", false, "192.0.2.1:1", BAD },
	{ "+imap:*$-pop",                "imap", false, "192.0.2.1:1", BAD },
	{ "+imap:EXCEPT 10.",            "imap", false, "192.0.2.1:1", BAD },
	{ "+imap:* EXCEPT",              "imap", false, "192.0.2.1:1", BAD },
};
/* clang-format on */

int
main(void)
{
	struct buf deep = { 0 };
	struct addr a;

	for (size_t i = 0; i < NELEM(table); i++) {
		must(addr_parse(slice_str(table[i].from), &a) == 0);
		eq(login_access_check(slice_str(table[i].value), table[i].service, table[i].tls,
		       &a),
		    table[i].want, "\"%s\": %s%s from %s", table[i].value, table[i].service,
		    table[i].tls ? "s" : "", table[i].from);
	}
	buf_lit(&deep, "+imap:*");
	for (int i = 0; i < 1000; i++)
		buf_lit(&deep, " EXCEPT *");
	eq(login_access_check(buf_get(&deep), "imap", false, &a), BAD, "a thousand exceptions");
	buf_fini(&deep);
	return done();
}
