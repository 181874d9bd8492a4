/* jmapd/blob.h: what a blobId stands for: a message ("B..."), a part of one, decoded ("B...-2"), or what the user has
 * uploaded ("U..."), or a script of the person's ("S...-..."), as octets to be read.
 *
 * A blob is a descriptor, and of a part also the message's tree: memory does not grow with its octets, so
 * that whoever reads slowly, or many at once, costs no more for it. */
#ifndef JMAPD_BLOB_H
#define JMAPD_BLOB_H
#include <sys/types.h>
#include "call.h"

struct blob_part;
struct blob_script;
struct blob {
	int fd; /* of a message or an upload; -1: of a part or script, or of none */
	uint64_t size;
	struct blob_part *part;
	struct blob_script *script;
	int error; /* what blob_start has come to: 0; -ENOENT: there is none, or not this user's; or another -errno */
};
/* True: it is open, or b->error.  False: a long message is taken apart on the pool, or the directory asked, as s->http.op; then
 * done(arg), and *b is as above, which must live so long or have the op cancelled.  Ends the view's
 * snapshot.  blob_close in any case. */
/* `of`: whose account it is looked for in; NULL: the user's own. */
bool blob_start_of(struct session *s, const struct call_of *of, struct slice id, struct blob *b,
    void (*done)(void *arg), void *arg) MUSTCHECK;
bool blob_start(struct session *s, struct slice id, struct blob *b, void (*done)(void *arg),
    void *arg) MUSTCHECK;
/* Octets from `at` on, 64 KiB or so at most, appended; how many, 0 at the end; -EAGAIN: in another turn, for in a
 * part `at` is found by decoding what is before it; or another -errno. */
ssize_t blob_read(const struct blob *b, uint64_t at, struct buf *out);
void blob_close(struct blob *b);

/* ---- scripts: sieve-text.c --------------------------------------------------------------------------------- */

/* As blob_start that has said false. */
void script_blob_start(struct session *s, struct slice id, struct blob *b, void (*done)(void *arg),
    void *arg);
struct slice script_blob_get(const struct blob *b);
void script_blob_close(struct blob *b);

/* ---- uploads: files in rundir, for a day ------------------------------------------------------------------ */

/* Before the process confines itself: makes the folder. */
void upload_reach(void);
/* POST of a blob (RFC 8620 6.1). */
enum http_next upload_post(struct session *s, struct slice rest);
/* Keeps these octets as a blob of the user; the id is in the arena.  0 or -errno (-EDQUOT: he has too many). */
int
upload_keep(struct session *s, struct slice octets, struct arena *a, struct slice *id) MUSTCHECK;
/* The file of an upload; -ENOENT. */
int upload_open(struct session *s, struct slice id) MUSTCHECK;
#endif
