/* Fuzz: configuration files of any bytes.  Either all is read, or there is a message and
 * nothing has changed; what is read can be printed and read again with the same result. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct thing {
	char *arg, *text;
	char **list;
	int64_t size;
};
static struct thing **things;
static char *name;
static int64_t number, mode;

static const struct conf_key keys[] = {
	{ "name", CONF_STR, &name, "x", 0, 0, RELOAD, NULL, "" },
	{ "limit.number", CONF_INT, &number, "1", -5, 100, RELOAD, NULL, "" },
	{ "mode", CONF_MODE, &mode, "0600", 0, 0, RESTART, NULL, "" },
};
static const struct conf_key thing_keys[] = {
	{ "text", CONF_STR, (void *)offsetof(struct thing, text), "", 0, 0, RELOAD, NULL, "" },
	{ "list", CONF_LIST, (void *)offsetof(struct thing, list), "", 0, 0, RELOAD, NULL, "" },
	{ "size", CONF_SIZE, (void *)offsetof(struct thing, size), "1", 0, 0, RELOAD, NULL, "" },
};
static const struct conf_section section = { "thing", sizeof(struct thing), thing_keys,
	NELEM(thing_keys), (void ***)&things, offsetof(struct thing, arg), "" };
static const struct conf_schema own = { keys, NELEM(keys), &section, 1 };
static const struct conf_schema *const schemas[] = { &conf_shared_schema, &own };

/* Reads the bytes as a file. */
static int
read_bytes(struct slice s, bool reload)
{
	int fd = memfd_create("conf", MFD_CLOEXEC), rc;
	char path[40], *why;

	must(fd >= 0 && write(fd, s.p, s.n) == (ssize_t)s.n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = conf_read(schemas, NELEM(schemas), NULL, path, reload, &why);
	must(rc == 0 || why);
	mem_free(&why);
	close(fd);
	return rc;
}

/* What is printed, without the places. */
static void
print(struct buf *out)
{
	struct buf b = { 0 };
	struct slice rest, line;

	conf_print(schemas, NELEM(schemas), &b);
	rest = buf_get(&b);
	while (slice_cut(&rest, '\n', &line)) {
		buf_slice(out, slice_trim(slice_sub(line, 0, slice_rfind(line, '#'))));
		buf_char(out, '\n');
	}
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf first = { 0 }, second = { 0 };

	/* Other files are not part of the input, and include could name devices. */
	if (n > 65536 || memmem(data, n, "include", 7) || memmem(data, n, "file:", 5))
		return 0;
	if (read_bytes(slice((const char *)data, n), false) == 0 &&
	    (!shared.ldap_password || !*shared.ldap_password)) {
		print(&first);
		must(read_bytes(buf_get(&first), true) == 0);
		print(&second);
		must(slice_eq(buf_get(&first), buf_get(&second)));
	}
	conf_free(schemas, NELEM(schemas));
	buf_fini(&first);
	buf_fini(&second);
	return 0;
}
