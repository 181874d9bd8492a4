/* storectl import: mbox, a file for a folder.
 *
 * PATH is a file, which goes into INBOX or the folder that is wanted, or a directory: each file in it is a
 * folder of its name, what is in X.sbd or in a directory X is below the folder X.  Files are mapped whole
 * and taken apart by mail/mbox.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mapped.h"
#include "base/mem.h"
#include "import.h"

static void
mbox_messages(struct importing *i, const char *path, struct slice file)
{
	struct mbox_reader r = { file, 1 };
	struct buf text = { 0 }, keywords = { 0 };
	struct mbox_message m;
	bool good = true;

	while (good && mbox_next(&r, &m)) {
		struct put_meta meta = { .internaldate = m.at };
		char *where = mem_printf("%s:%zu", path, m.line);

		buf_clear(&text);
		buf_clear(&keywords);
		mbox_unpack(m.text, &text, &meta.flags, &keywords);
		meta.keywords = buf_get(&keywords);
		if (m.headless)
			import_bad(i, where,
			    "expected a line that begins with From: what is here is taken for a "
			    "message");
		else if (!m.at)
			fprintf(stderr, "storectl: %s: no date in this line; it is now\n", where);
		good = import_message(i, buf_get(&text), &meta, where);
		mem_free(&where);
	}
	buf_fini(&keywords);
	buf_fini(&text);
}

static void
mbox_file(struct importing *i, const char *path, struct slice name)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct mapped map;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		import_bad(i, path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		import_bad(i, path, "not a file");
	else if (!import_folder(i, name) || st.st_size == 0)
		;
	else if (mapped_open(&map, fd, (size_t)st.st_size) < 0)
		import_bad(i, path, "cannot be read");
	else {
		mbox_messages(i, path, slice(map.p, map.n));
		if (mapped_cut(&map))
			import_bad(i, path, "cannot be read to its end");
		mapped_close(&map);
	}
	if (fd >= 0)
		close(fd);
}

/* %XX of a component, as export writes what a file's name cannot hold; else it is as it is. */
static void
mbox_component(struct buf *out, struct slice name)
{
	struct buf b = { 0 };
	struct buf with = { 0 };

	buf_char(&with, '=');
	buf_slice(&with, name);
	if (store_component_parse(buf_get(&with), &b) == 0)
		buf_slice(out, buf_get(&b));
	else
		buf_slice(out, name);
	buf_fini(&with);
	buf_fini(&b);
}

static void mbox_tree(struct importing *i, const char *path, struct slice above, unsigned depth);

static void
mbox_entry(struct importing *i, const char *path, const char *file, struct slice above,
    unsigned depth)
{
	struct slice own = slice_str(file);
	struct buf name = { 0 };
	struct stat st;

	if (stat(path, &st) < 0) {
		import_bad(i, path, strerror(errno));
		return;
	}
	if (S_ISDIR(st.st_mode) && slice_ends(own, S(".sbd")))
		own.n -= 4;
	buf_slice(&name, above);
	if (above.n)
		buf_char(&name, STORE_SEPARATOR);
	mbox_component(&name, own);
	if (S_ISDIR(st.st_mode))
		mbox_tree(i, path, buf_get(&name), depth + 1);
	else
		mbox_file(i, path, buf_get(&name));
	buf_fini(&name);
}

static void
mbox_tree(struct importing *i, const char *path, struct slice above, unsigned depth)
{
	struct dirent **list;
	int n = depth > STORE_DEPTH_MAX ? 0 : scandir(path, &list, NULL, alphasort);

	if (n < 0 || depth > STORE_DEPTH_MAX) {
		import_bad(i, path, n < 0 ? strerror(errno) : "deeper than folders can be");
		return;
	}
	for (int k = 0; k < n; k++) {
		char *below = mem_printf("%s/%s", path, list[k]->d_name);

		if (list[k]->d_name[0] != '.' && !i->rc)
			mbox_entry(i, below, list[k]->d_name, above, depth);
		mem_free(&below);
		free(list[k]);
	}
	free(list);
}

void
import_mbox(struct importing *i, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		import_bad(i, path, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		mbox_tree(i, path, S(""), 0);
	else
		mbox_file(i, path, *i->below ? S("") : S("INBOX"));
}
