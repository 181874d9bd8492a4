/* t/fuzz/login_access.c: any value of mailAllowedServiceAccess gives one of three answers, the
 * same each time, and what is granted without TLS is granted with it unless a rule says imaps. */
#include "login/access.h"
#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice value = slice((const char *)data, n);
	struct addr a;
	enum login_access plain, again, tls;

	must(addr_parse(S("192.0.2.1:143"), &a) == 0);
	plain = login_access_check(value, "imap", false, &a);
	again = login_access_check(value, "imap", false, &a);
	tls = login_access_check(value, "imap", true, &a);
	must(plain == again && plain <= LOGIN_ACCESS_MALFORMED);
	must((plain == LOGIN_ACCESS_MALFORMED) == (tls == LOGIN_ACCESS_MALFORMED));
	return 0;
}
