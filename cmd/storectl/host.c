/* storectl -H: a command for the store of another host.
 *
 * Called by main.c.  Asks storectl-serve(8) there, over TLS with our certificate, and says what is said: each line on
 * the output that it had there.  Blocks; a command that has nothing to say yet gives signs of life.  Can fail: all of
 * it; an answer without its end is none. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/kv.h"
#include "base/mem.h"
#include "daemon/link.h"
#include "serve.h"
#include "storectl.h"

#define HOST_LINE 65536 /* octets of one line: theirs are shorter */

static int
host_failed(const char *host, int rc, char **why)
{
	fprintf(stderr, "storectl: %s: %s\n", host, *why ? *why : strerror(-rc));
	mem_free(why);
	return EX_UNAVAILABLE;
}

/* Its code, or -1: it goes on. */
static int
host_line(const char *host, struct slice line)
{
	struct slice text = slice_from(line, 2);
	uint64_t code;

	if (slice_starts(line, S("end ")))
		return slice_u64(slice_from(line, 4), 255, &code) == 0 ? (int)code : EX_PROTOCOL;
	if (slice_starts(line, S("o ")))
		printf(SFMT "\n", SARG(text));
	else if (slice_starts(line, S("e ")))
		fprintf(stderr, SFMT "\n", SARG(text));
	else if (!slice_eq(line, S("w")))
		fprintf(stderr, "storectl: %s: " SFMT "\n", host, SARG(line));
	return -1;
}

/* The lines that are whole. */
static int
host_lines(const char *host, struct buf *in)
{
	struct slice rest = buf_get(in), line;
	int code = -1;

	while (code < 0 && slice_find(rest, '\n') < rest.n) {
		(void)slice_cut(&rest, '\n', &line);
		code = host_line(host, line);
	}
	buf_cut(in, in->n - rest.n);
	return code;
}

static int
host_answer(const char *host, struct daemon_link *l)
{
	struct buf in = { 0 };
	char *why = NULL;
	ssize_t n = -EMSGSIZE;
	int code = -1;

	while (code < 0 && in.n < HOST_LINE) {
		n = daemon_link_read(l, buf_reserve(&in, 16384), 16384, &why);
		if (n <= 0)
			break;
		in.n += (size_t)n;
		code = host_lines(host, &in);
		n = -EMSGSIZE;
	}
	buf_fini(&in);
	return code >= 0 ? code : host_failed(host, n < 0 ? (int)n : -ECONNRESET, &why);
}

int
storectl_host(const char *host, int port, bool quiet, int argc, char **argv)
{
	struct buf line = { 0 };
	struct daemon_link *l;
	char *why = NULL;
	int rc;

	buf_str(&line, quiet ? "run w=-q" : "run");
	for (int i = 0; i < argc; i++)
		kv_put(&line, "w", slice_str(argv[i]));
	buf_char(&line, '\n');
	rc = line.n < SERVE_LINE ? daemon_link_open(host, host, port, 0, &l, &why) : -E2BIG;
	if (rc == 0) {
		rc = daemon_link_write(l, buf_get(&line), &why);
		rc = rc < 0 ? host_failed(host, rc, &why) : host_answer(host, l);
		daemon_link_close(&l);
	} else
		rc = host_failed(host, rc, &why);
	buf_fini(&line);
	return rc;
}
