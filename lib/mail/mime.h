/* mail/mime.h: the MIME tree of a message that lies in memory (RFC 2045, 2046, 2183).
 *
 * Everything is offsets and slices into the message; the structs live in the caller's arena.
 * Bounded memory on any input: hostile mail gives a smaller tree, never an error.  Time is linear
 * but for lines that begin with "--": each costs a look at MIME_DEPTH_MAX numbers.  A part costs its
 * header, and its parameters at most PARAM_MAX squared.
 *
 * This feeds ENVELOPE and BODYSTRUCTURE, so the tree keeps what IMAP promises: a multipart has at
 * least one part, and only real multiparts have that type.
 *
 * What is broken is read like this: a Content-Type that cannot be read is text/plain
 * (RFC 2045 5.2); a multipart without a usable boundary is text/plain; one whose boundary
 * never comes has one empty part; a missing last boundary is the end of the enclosing part;
 * of equal boundaries the innermost open one counts; beyond MIME_DEPTH_MAX or MIME_PARTS_MAX
 * a part is application/octet-stream and is not looked into. */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H
#include "base/arena.h"
#include "mail/param.h"

#define MIME_DEPTH_MAX 100
#define MIME_PARTS_MAX 10000

enum mime_kind {
	MIME_LEAF,
	MIME_MULTIPART, /* children are the parts */
	MIME_MESSAGE    /* message/rfc822 or /global: the one child is the inner message */
};

struct mime_part {
	struct mime_part *parent, *child, *next;
	enum mime_kind kind;
	unsigned depth; /* of the root: 0 */
	unsigned nchild;
	size_t header_at, header_len; /* with the empty line */
	size_t body_at, body_len;     /* without the line end before the boundary */
	size_t lines;                 /* lines of the body, an unfinished last one included */
	struct slice type, subtype;   /* as written, never empty */
	struct param_list params;
	struct slice encoding;        /* token as written; empty: 7bit */
	struct slice id, description; /* unfolded, raw; empty: absent */
	struct slice md5, location;
	struct slice language;    /* raw list "de, en"; see mime_languages */
	struct slice disposition; /* type token, empty: absent */
	struct param_list dparams;
};

struct mime {
	struct slice msg;
	struct mime_part *root; /* the message itself: its header is the message's */
	size_t nparts;
	bool cut; /* a limit was met */
};

/* `msg` must live as long as the tree. */
void mime_parse(struct slice msg, struct arena *a, struct mime *m);

static inline struct slice
mime_header(const struct mime *m, const struct mime_part *p)
{
	return slice_sub(m->msg, p->header_at, p->header_len);
}
static inline struct slice
mime_body(const struct mime *m, const struct mime_part *p)
{
	return slice_sub(m->msg, p->body_at, p->body_len);
}
bool mime_type_is(const struct mime_part *p, struct slice type, struct slice subtype);
/* Walks the tree in order, parents first: start with m->root; NULL at the end. */
struct mime_part *mime_next(const struct mime *m, const struct mime_part *p);

enum mime_section { MIME_BODY, MIME_HEADER, MIME_TEXT, MIME_MIME };
/* The bytes of BODY[path], BODY[path.HEADER], [path.TEXT], [path.MIME].  HEADER and TEXT need
 * a message/rfc822 part (or n = 0), MIME needs n > 0.  0 or -ENOENT. */
int mime_section(const struct mime *m, const uint32_t *path, size_t n, enum mime_section which,
    struct slice *bytes) MUSTCHECK;

/* The part whose body BODY[path] gives (`1` of what is no multipart is itself), or NULL. */
const struct mime_part *mime_part_at(const struct mime *m, const uint32_t *path, size_t n);

/* Takes the next language tag of a Content-Language value; false at the end. */
bool mime_languages(struct slice *at, struct slice *tag);
#endif
