/* mtabench: how many addresses a second go through rewrite rules, and probes through a mapping table.
 *
 *	mtabench [DOMAINS [ROUNDS]]	(10000 and 20)
 *
 * DOMAINS rules, half of them for a domain and half for its subdomains, and as many mapping entries, are
 * compiled; each domain is then rewritten and looked up ROUNDS times.  Prints one line for each in CPU
 * time of this process, with the ones that no rule knows apart, as they take the longest way. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/mem.h"
#include "mta/rules.h"

static struct buf rules, tables;

static int
read_made(void *arg, const char *path, struct buf *out)
{
	(void)path;
	buf_slice(out, buf_get(arg));
	return 0;
}

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum mta_answer
never_local(void *arg, struct slice domain)
{
	(void)arg;
	(void)domain;
	return MTA_NO;
}

static void
make(int n)
{
	buf_str(&tables, "T\n\n");
	for (int i = 0; i < n; i++) {
		if (i % 2)
			buf_printf(&rules, ".d%d.example $U%%$H$D@x-daemon\n", i);
		else
			buf_printf(&rules, "d%d.example $U%%$D@x-daemon\n", i);
		buf_printf(&tables, "  *@d%d.example  $Y$0\n", i);
	}
	buf_str(&rules, ". $U%$H$V$H@l-host\n. $U%$H@x-daemon\n\nl\nl-host\n\nx smtp\nx-daemon\n");
}

static void
report(const char *what, double seconds, double count)
{
	printf("%-28s %10.0f /s %8.0f ns\n", what, count / seconds, seconds / count * 1e9);
}

static void
rewrite_all(const struct mta_conf *c, const char *host, const char *tail, int n, int rounds,
    const char *what)
{
	const struct mta_calls calls = { .local_domain = never_local };
	double before = cpu_seconds();
	char address[128];

	for (int r = 0; r < rounds; r++)
		for (int i = 0; i < n; i++) {
			struct mta_query q = { .source = S("x") };
			struct mta_rewritten out;

			(void)snprintf(address, sizeof(address), "user@%s%d.%s", host, i, tail);
			q.address = slice_str(address);
			mta_rewrite(c, NULL, &calls, &q, &out);
			if (out.result != MTA_RW_OK)
				abort();
			mta_rewritten_fini(&out);
		}
	report(what, cpu_seconds() - before, (double)n * rounds);
}

static void
map_all(const struct mta_mappings *m, int n, int rounds)
{
	double before = cpu_seconds();
	char probe[128];

	for (int r = 0; r < rounds; r++)
		for (int i = 0; i < n; i++) {
			struct mta_mapped out;

			(void)snprintf(probe, sizeof(probe), "user@d%d.example", i);
			if (mta_mappings_ask(m, NULL, S("T"), slice_str(probe), NULL, &out) !=
			    MTA_YES)
				abort();
			mta_mapped_fini(&out);
		}
	report("mapping entries", cpu_seconds() - before, (double)n * rounds);
}

int
main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 10000, rounds = argc > 2 ? atoi(argv[2]) : 20;
	struct mta_notes notes = { 0 };
	struct mta_mappings *m;
	struct mta_conf *c;
	double before;

	make(n);
	before = cpu_seconds();
	c = mta_conf_compile("rules", NULL, read_made, &rules, &notes);
	m = mta_mappings_compile("mappings", read_made, &tables, &notes);
	if (!c || !m) {
		fprintf(stderr, "%s", buf_cstr(&notes.errors));
		return 1;
	}
	printf("%d rules and %d entries compiled in %.1f ms\n", n, n,
	    (cpu_seconds() - before) * 1e3);
	rewrite_all(c, "host.sub.d", "example", n, rounds, "half of them by the last rule");
	rewrite_all(c, "unknown", "far.example.net", n, rounds, "all by the last rule");
	map_all(m, n, rounds);
	mta_mappings_free(&m);
	mta_conf_free(&c);
	mta_notes_fini(&notes);
	buf_fini(&rules);
	buf_fini(&tables);
	return 0;
}
