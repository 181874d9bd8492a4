/* Message files that are cut off while they are mapped: an error, and nobody dies. */
#include "message/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "../tap.h"

#define SIZE 50000

static int
message_file(void)
{
	static const char head[] =
	    "Subject: cut\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	    "--b\r\n\r\n";
	FILE *f = tmpfile();
	int fd = f ? dup(fileno(f)) : -1;

	if (fd < 0 || fputs(head, f) < 0)
		abort();
	for (size_t n = sizeof(head) - 1; n < SIZE; n += 10)
		if (fputs("12345678\r\n", f) < 0)
			abort();
	fclose(f);
	if (ftruncate(fd, SIZE) < 0)
		abort();
	return fd;
}

static struct message_parse *
parse_of(unsigned want, int fd)
{
	struct message_parse *p = message_parse_new(want);

	message_init(&p->message, S(""));
	p->message.fd = fd;
	p->message.size = SIZE;
	return p;
}

int
main(void)
{
	static const struct {
		unsigned want;
		const char *what;
	} works[] = { { MESSAGE_WANT_DIGEST, "its digest" }, { MESSAGE_WANT_TREE, "its tree" },
		{ MESSAGE_WANT_ENVELOPE | MESSAGE_WANT_STRUCTURE, "envelope and structure" },
		{ MESSAGE_WANT_BYTES | MESSAGE_WANT_TREE, "warmed, and its tree" } };
	struct message m;

	for (size_t i = 0; i < NELEM(works); i++)
		for (int cut = 0; cut < 2; cut++) {
			int fd = message_file();
			struct message_parse *p = parse_of(works[i].want, fd);

			if (cut && ftruncate(fd, 4096) < 0)
				abort();
			message_parse_now(p);
			eq(p->error, cut ? -EIO : 0, "%s of a %s message", works[i].what,
			    cut ? "shortened" : "whole");
			ok(!cut || p->digest.n == 0, "which leaves nothing behind");
			message_parse_free(&p);
		}

	message_init(&m, S(""));
	m.fd = message_file();
	m.size = SIZE;
	eq(message_map(&m), 0, "mapped");
	message_tree(&m);
	ok(!message_is_cut(&m), "and read");
	if (ftruncate(m.fd, 100) < 0)
		abort();
	ok(slice_find_str(message_bytes(&m), S("not in it")) >= SIZE,
	    "then shortened, and searched");
	ok(message_is_cut(&m), "which is known");
	message_close(&m);
	return done();
}
