/* import.h: what the parts of storectl import share. */
#ifndef STORECTL_IMPORT_H
#define STORECTL_IMPORT_H
#include "mail/mbox.h"
#include "put.h"

struct importing {
	struct asking ask;
	struct store_reader *reader;
	struct store_view *view;
	struct put put;
	struct have have;  /* of the folder in hand */
	const char *name;  /* of the account */
	const char *below; /* the folder below which all comes; "" = none */
	uint64_t account;  /* id */
	bool dry, json, quiet, progress;
	char folder[STORE_NAME_MAX + 1]; /* in hand */
	uint64_t folders, messages, bytes, there, failed;
	int rc; /* not 0: the run is over */
};

/* Something cannot be imported, and is told; the run goes on. */
void import_bad(struct importing *i, const char *where, const char *why);
/* The next messages are for this folder (UTF-8; "" is the one below which all comes, or none).  False: they
 * are not to be put. */
bool import_folder(struct importing *i, struct slice name);
/* A message with CRLF; `where` is its place for words.  False: the run is over. */
bool import_message(struct importing *i, struct slice text, const struct put_meta *meta,
    const char *where);

/* import-maildir.c, import-mbox.c: all that is in PATH. */
typedef void import_fn(struct importing *i, const char *path);
import_fn import_maildir, import_maildirpp, import_mbox;
#endif
