/* hosts.c: the name of a set of MX hosts: the first of them, for people, how many, and a sum over all.
 *
 * Called by channel-master when the DNS has named the hosts of a domain.  No state; nothing can fail.  The names
 * are a stranger's, so the sum is a cut of SHA-256, and what is shown of them never takes its place away. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "job/hosts.h"

#define SHOWN_MOST 200
#define SUM_LEN    16

static int
hosts_order(const void *x, const void *y)
{
	return strcasecmp(*(char *const *)x, *(char *const *)y);
}

static void
hosts_sum(char hex[2 * SUM_LEN + 1], struct slice text)
{
	unsigned char sum[EVP_MAX_MD_SIZE];

	must(EVP_Digest(text.p, text.n, sum, NULL, EVP_sha256(), NULL) == 1);
	for (int i = 0; i < SUM_LEN; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

void
job_hosts_name(char out[JOB_MX_MAX + 1], char *const *hosts, size_t n)
{
	const char **sorted = mem_array(n, sizeof(*sorted));
	char hex[2 * SUM_LEN + 1];
	struct buf text = { 0 };
	size_t shown = 0;

	for (size_t i = 0; i < n; i++)
		sorted[i] = hosts[i];
	qsort(sorted, n, sizeof(*sorted), hosts_order);
	for (size_t i = 0; i < n; i++) {
		for (const char *p = sorted[i]; *p; p++)
			if (*p != '.' || p[1])
				buf_char(&text, ascii_lower(*p));
		shown = i == 0 ? text.n : shown;
		buf_char(&text, '\n');
	}
	hosts_sum(hex, buf_get(&text));
	(void)snprintf(out, JOB_MX_MAX + 1, "%.*s/%zu/%s",
	    (int)(shown < SHOWN_MOST ? shown : SHOWN_MOST), text.p, n, hex);
	buf_fini(&text);
	mem_free(&sorted);
}
