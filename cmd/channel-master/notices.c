/* channel-master/notices.c: in which language somebody reads a report.
 *
 * The languages are the two that are built in and the files of the folder `notices` beside channel-master.conf, each
 * called by its language's tag, which take the place of one that is built in.  They are read before anything else, by
 * every master, and by -n.  What fails is a file of the administrator's: -n refuses, and a master does without, since
 * mail must not wait for a text.  bounce.c asks for each report.  Must stay true: there is always one to answer with. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include "base/mem.h"
#include "conf/file.h"
#include "daemon/daemon.h"
#include "mail/header.h"
#include "master.h"

#define NOTICES_MOST 64
#define FILE_MOST    (64 * 1024)

static struct arena notices_arena;
static const struct dsn_words *languages[NOTICES_MOST] = { &dsn_words_english, &dsn_words_german };
static size_t nlanguages = 2;

/* ---- reading ------------------------------------------------------------------------------------ */

static size_t
notices_find(const char *tag)
{
	size_t i = 0;

	while (i < nlanguages && strcmp(languages[i]->language, tag) != 0)
		i++;
	return i;
}

static bool
notices_read_file(const char *path, const char *tag, struct buf *why)
{
	struct dsn_words *w = arena_new(&notices_arena, sizeof(*w));
	const char *wrong = "it is too large";
	struct buf text = { 0 };
	unsigned line = 1;
	size_t at = notices_find(tag);
	int e = mta_read_file(NULL, path, &text);

	if (e < 0)
		wrong = strerror(-e);
	else if (text.n > FILE_MOST)
		e = -EFBIG;
	else
		e = dsn_words_parse(buf_get(&text), tag, &notices_arena, w, &line, &wrong);
	buf_fini(&text);
	conf_file_note(path);
	if (e == 0 && at == NOTICES_MOST) {
		wrong = "there are too many languages";
		e = -E2BIG;
	}
	if (e < 0) {
		buf_printf(why, "%s:%u: %s\n", path, line, wrong);
		return false;
	}
	languages[at] = w;
	nlanguages += at == nlanguages;
	return true;
}

static bool
notices_read_folder(DIR *folder, const char *path, struct buf *why)
{
	struct dirent *f;
	bool good = true;

	while ((f = readdir(folder))) {
		struct slice name = slice_str(f->d_name);
		char *file;

		/* What editors and packagers leave beside a file is none. */
		if (name.p[0] == '.' || slice_find(name, '~') < name.n ||
		    slice_find(name, '.') < name.n)
			continue;
		file = mem_printf("%s/%s", path, f->d_name);
		if (!dsn_words_tag_ok(name)) {
			buf_printf(why, "%s: its name is no language (de, pt-br)\n", file);
			good = false;
		} else {
			good = notices_read_file(file, f->d_name, why) && good;
		}
		mem_free(&file);
	}
	return good;
}

bool
notices_read(struct buf *why)
{
	char *path = daemon_conf_path("notices");
	DIR *folder = opendir(path);
	bool good = true;

	if (folder) {
		good = notices_read_folder(folder, path, why);
		(void)closedir(folder);
	} else if (errno != ENOENT) {
		buf_printf(why, "%s: %s\n", path, strerror(errno));
		good = false;
	}
	mem_free(&path);
	if (notices_find(mconf.language) == nlanguages) {
		buf_printf(why, "notices.language = %s: there is no such language\n",
		    mconf.language);
		good = false;
	}
	return good;
}

void
notices_print(struct buf *out)
{
	buf_lit(out, "# languages of reports:");
	for (size_t i = 0; i < nlanguages; i++)
		buf_printf(out, " %s", languages[i]->language);
	buf_char(out, '\n');
}

/* ---- choosing ----------------------------------------------------------------------------------- */

static const struct dsn_words *
notices_field(struct slice fields, struct slice name)
{
	struct header_field f;

	return header_find(fields, name, &f) ? dsn_words_choose(languages, nlanguages, f.value) :
					       NULL;
}

const struct dsn_words *
notices_words(const char *preferred, struct slice message)
{
	struct slice fields = slice_sub(message, 0, header_len(message));
	const struct dsn_words *w =
	    preferred ? dsn_words_choose(languages, nlanguages, slice_str(preferred)) : NULL;
	size_t at;

	if (!w)
		w = notices_field(fields, S("Accept-Language"));
	if (!w)
		w = notices_field(fields, S("Content-Language"));
	if (!w && (at = notices_find(mconf.language)) < nlanguages)
		w = languages[at];
	return w ? w : &dsn_words_english;
}
