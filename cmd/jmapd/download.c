/* jmapd/download.c: blobs by GET (RFC 8620 6.2): messages as they lie in the store, their parts decoded, and uploads, in ranges
 * and whole.
 *
 * The path is {accountId}/{blobId}/{name}; `type` of the query is the Content-Type, and the answer is an
 * attachment that a browser does not look into, whatever it says.  Octets go out by a cursor that reads the
 * file, or decodes the part, as fast as the peer does; what may wait for the disk is read on the pool.
 * Can fail: before the head is written the answer is an error; after it the connection ends. */
#include <errno.h>
#include <unistd.h>
#include "base/log.h"
#include "base/utf8.h"
#include "blob.h"
#include "call.h"
#include "message/parse.h"

#define PIECE (64 * 1024)

struct download {
	struct blob blob;
	struct slice id, name;
	struct message message; /* the file of a message or an upload, taken from the blob */
	uint64_t at, end;
	struct message_parse *parse;
	int error;
	uint64_t warm; /* what is before it has been read */
};

static void
download_undo(struct http_server *http)
{
	struct download *d = http->data;

	if (d->message.fd >= 0)
		message_close(&d->message);
	blob_close(&d->blob);
}

/* A type as HTTP may have it: what a client says goes into a field of ours. */
static const char *
download_type(struct session *s)
{
	struct slice type = route_query(s, S("type"));
	size_t slashes = 0;

	if (type.n == 0 || type.n > 200)
		return "application/octet-stream";
	for (size_t i = 0; i < type.n; i++) {
		slashes += type.p[i] == '/';
		if (type.p[i] < ' ' || type.p[i] > '~')
			return "application/octet-stream";
	}
	return slashes ? arena_cstr(&s->http.arena, type) : "application/octet-stream";
}

/* filename*=UTF-8''... (RFC 6266 4.3, RFC 8187) */
static void
download_disposition(struct session *s, struct slice name)
{
	struct buf b = { 0 };

	name = route_decode(&s->http.arena, name, false);
	buf_lit(&b, "attachment; filename*=UTF-8''");
	for (size_t i = 0; i < name.n; i++) {
		char ch = name.p[i];
		bool safe = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
		    (ch >= '0' && ch <= '9') || (ch && strchr("-._~", ch));

		if (safe)
			buf_char(&b, ch);
		else
			buf_printf(&b, "%%%02X", (unsigned char)ch);
	}
	http_server_field(&s->http, "Content-Disposition", buf_get(&b));
	buf_fini(&b);
}

/* ---- octets ------------------------------------------------------------------------------------------------- */

static enum http_next download_more(struct http_server *http);

static void
download_warmed(void *arg)
{
	struct session *s = arg;
	struct download *d = s->http.data;
	struct message_parse *p = d->parse;

	d->parse = NULL;
	d->message = p->message;
	p->message = (struct message){ .fd = -1 };
	d->error = p->error;
	d->warm = p->to;
	message_parse_free(&p);
	http_server_resume(&s->http, HTTP_PULL);
}

static enum http_next
download_warm(struct session *s, struct download *d, uint64_t n)
{
	struct message_parse *p = message_parse_new(MESSAGE_WANT_BYTES);

	p->message = d->message;
	p->from = d->at;
	p->to = d->at + n;
	d->message = (struct message){ .fd = -1 };
	d->parse = p;
	message_parse_start(p, jmapd.loop, &s->http.op, s->user->id, download_warmed, s);
	return HTTP_WAIT;
}

/* Of a part, or a script. */
static enum http_next
download_decoded(struct http_server *http, struct download *d)
{
	struct buf b = { 0 };
	ssize_t got = blob_read(&d->blob, d->at, &b);
	uint64_t n = got > 0 ? (uint64_t)got : 0;

	n = n < d->end - d->at ? n : d->end - d->at;
	http_server_piece(http, slice(b.p, (size_t)n));
	buf_fini(&b);
	d->at += n;
	if (got <= 0 && got != -EAGAIN)
		return HTTP_CLOSE; /* shorter than it was */
	return d->at == d->end ? HTTP_NEXT : HTTP_PULL;
}

static enum http_next
download_more(struct http_server *http)
{
	struct session *s = jmapd_session_of(http);
	struct download *d = http->data;
	char piece[PIECE];
	uint64_t n = d->end - d->at < PIECE ? d->end - d->at : PIECE;
	ssize_t got;

	if (d->error)
		return HTTP_CLOSE;
	if (d->blob.part || d->blob.script)
		return download_decoded(http, d);
	if (d->at + n > d->warm && !message_in_memory(&d->message, d->at, n))
		return download_warm(s, d, n);
	got = pread(d->message.fd, piece, (size_t)n, (off_t)d->at);
	if (got <= 0) {
		log_event(LOG_ERROR, "message_missing", "mailbox=0 uid=0 error=%s",
		    log_str(got < 0 ? strerror(errno) : "shorter than it was"));
		return HTTP_CLOSE;
	}
	http_server_piece(http, slice(piece, (size_t)got));
	d->at += (uint64_t)got;
	return d->at == d->end ? HTTP_NEXT : HTTP_PULL;
}

static enum http_next
download_answer(struct session *s, struct download *d, struct slice etag)
{
	struct http_server *http = &s->http;
	uint64_t from = 0, n = d->blob.size;
	enum http_range range = http_server_range(http, etag, d->blob.size, &from, &n);

	if (range == HTTP_RANGE_NONE)
		return http_server_no_part(http, d->blob.size);
	if (range == HTTP_RANGE_WHOLE) {
		from = 0;
		n = d->blob.size;
	}
	http_server_answer(http, range == HTTP_RANGE_PART ? 206 : 200);
	if (range == HTTP_RANGE_PART)
		http_server_part(http, from, n, d->blob.size);
	http_server_field(http, "ETag", etag);
	http_server_field(http, "Accept-Ranges", S("bytes"));
	http_server_field(http, "Cache-Control", S("private, immutable, max-age=31536000"));
	http_server_field(http, "X-Content-Type-Options", S("nosniff"));
	http_server_field(http, "Content-Security-Policy", S("default-src 'none'; sandbox"));
	download_disposition(s, d->name);
	d->at = from;
	d->end = from + n;
	return http_server_stream(http, download_type(s), n, download_more);
}

static enum http_next
download_open(struct session *s, struct download *d)
{
	struct slice etag;

	if (d->blob.error == -ENOENT)
		return http_server_error(&s->http, 404, NULL);
	if (d->blob.error < 0)
		return http_server_error(&s->http, 503, "the blob cannot be read now");
	d->message = (struct message){ .fd = d->blob.fd, .size = d->blob.size };
	d->blob.fd = -1;
	/* What a blob has never changes. */
	etag = slice_str(arena_printf(&s->http.arena, "\"" SFMT "\"", SARG(d->id)));
	if (http_server_unchanged(&s->http, etag))
		return HTTP_NEXT;
	return download_answer(s, d, etag);
}

static void
download_opened(void *arg)
{
	struct session *s = arg;

	log_context(s->sid);
	http_server_resume(&s->http, download_open(s, s->http.data));
}

enum http_next
download_get(struct session *s, struct slice rest)
{
	struct slice account, id;
	struct call_of *of = NULL;
	struct download *d;

	if (!slice_cut(&rest, '/', &account) || !slice_cut(&rest, '/', &id))
		return http_server_error(&s->http, 404, NULL);
	if (!slice_eq(account, slice_str(s->user->account_id)))
		of = arena_new(&s->http.arena, sizeof(*of));
	if (of && !shared_find(s, account, &s->http.arena, of))
		return http_server_error(&s->http, 404, NULL);
	d = arena_new(&s->http.arena, sizeof(*d));
	*d = (struct download){ .blob.fd = -1, .message.fd = -1, .id = id, .name = rest };
	s->http.data = d;
	s->http.undo = download_undo;
	return blob_start_of(s, of, id, &d->blob, download_opened, s) ? download_open(s, d) :
									HTTP_WAIT;
}
