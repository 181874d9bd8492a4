/* The name of a set of MX hosts. */
#include "../tap.h"
#include "job/hosts.h"

/* Sets that have one name are one set. */
static void
names(void)
{
	char *one[] = { (char[]){ "mx1.provider.example" }, (char[]){ "mx2.provider.example" } };
	char *same[] = { (char[]){ "MX2.provider.example." }, (char[]){ "mx1.Provider.example" } };
	/* The CRC-32C over both is that of the first two. */
	char *forged[] = { (char[]){ "mx1.provider.example" },
		(char[]){ "aabaaaaabbbaaaabbaaabbbbabaabbaaaaaaaaaaaaaaaaaa.attacker.example" } };
	char *moved[] = { (char[]){ "mx1.provider.examplem" }, (char[]){ "x2.provider.example" } };
	char a[JOB_MX_MAX + 1], b[JOB_MX_MAX + 1], longest[1200] = "";

	job_hosts_name(a, one, 2);
	ok(strncmp(a, "mx1.provider.example/2/", 23) == 0, "the first one is told: %s", a);
	job_hosts_name(b, same, 2);
	is(a, b, "in any order and case, with a dot or without");
	job_hosts_name(b, forged, 2);
	ok(strcmp(a, b) != 0, "nobody's own hosts have another's name");
	job_hosts_name(b, moved, 2);
	ok(strcmp(a, b) != 0, "nor those that begin elsewhere");
	memset(longest, 'a', sizeof(longest) - 2);
	job_hosts_name(a, &(char *){ longest }, 1);
	longest[sizeof(longest) - 2] = 'b';
	job_hosts_name(b, &(char *){ longest }, 1);
	ok(strcmp(a, b) != 0, "however long");
}

int
main(void)
{
	names();
	return done();
}
