/* web/files.h: the files of a web face, read once: what is served is one version of them until the next
 * reading, also while they are replaced; and no request can name anything else.
 *
 * A folder with all that is in it (links and names with a leading dot are passed over), WEB_FILES_MOST octets
 * at most.  FILE.br and FILE.gz beside FILE are the same, compressed.  Each has a tag of its content; what lies
 * below a folder, or has a name, with a hash of eight or more hexadecimal digits ("a-0123456789ab/app.js",
 * "app.0123abcd.js") never changes, and browsers need not ask again (RFC 8246). */
#ifndef WEB_FILES_H
#define WEB_FILES_H
#include "base/buf.h"
#include "http/server.h"

#define WEB_FILES_MOST ((size_t)64 << 20)

struct web_files;
/* NULL with *why (heap). */
struct web_files *web_files_read(const char *folder, char **why) MUSTCHECK;
/* Answers that are under way keep it until they end. */
void web_files_unref(struct web_files **f);
size_t web_files_count(const struct web_files *f);
/* Is there a file of this path ("/index.html")? */
bool web_files_have(const struct web_files *f, struct slice path);
/* Answers GET and HEAD with it: 200, 304 or 404.  `fields` appends further ones; may be NULL. */
enum http_next web_files_answer(struct web_files *f, struct http_server *s, struct slice path,
    void (*fields)(struct http_server *, struct slice path));
/* Likewise with a status that says that something failed, which the file tells of; never 304. */
enum http_next web_files_answer_failed(struct web_files *f, struct http_server *s, unsigned status,
    struct slice path, void (*fields)(struct http_server *, struct slice path));
#endif
