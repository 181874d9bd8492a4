/* http/server-answer.c: what goes out: heads, contents whole or by a cursor, and the usual answers.
 *
 * Owns s->output, and whether the connection goes on (`keep`), which is decided when the head is written
 * because the head says it.  Called by handlers and by server.c.  Nothing can fail.  Must stay true: an
 * answer has exactly one head, its content has the length that was said, and a HEAD's has none
 * (RFC 9110 9.3.2): otherwise the client takes the rest of one answer for the next. */
#include "base/clock.h"
#include "base/must.h"
#include "http/server-impl.h"

/* So much of a body that nobody wants is read over for the sake of the connection. */
#define ANSWER_SKIP 65536

static struct buf *
answer_out(struct http_server *s)
{
	return stream_out(&s->line.io);
}

/* Does what the client still has to send leave the connection usable? */
static bool
answer_input_good(const struct http_server *s)
{
	const struct http_head *h = &s->reader.head;

	if (s->input == HTTP_READ || h->length == 0)
		return true;
	/* It waits for 100, and may send the body or not. */
	return s->input == HTTP_BODY && !(h->expects && !s->taker) && h->length <= ANSWER_SKIP;
}

static bool
answer_keeps(const struct http_server *s)
{
	uint32_t most = s->policy->limits->requests;

	return s->reader.status == 0 && s->input >= HTTP_BODY && s->reader.head.keep &&
	    answer_input_good(s) && !line_session_ending(&s->line) &&
	    (most == 0 || s->requests < most);
}

/* The same for all answers of a second. */
static void
answer_date(struct buf *b)
{
	static _Thread_local int64_t made = INT64_MIN;
	static _Thread_local char text[64];
	static _Thread_local size_t n;
	int64_t now = clock_now();

	if (now != made) {
		struct buf d = { 0 };

		http_date_write(&d, now);
		n = d.n < sizeof(text) ? d.n : sizeof(text);
		memcpy(text, d.p, n);
		buf_fini(&d);
		made = now;
	}
	buf_add(b, text, n);
}

void
http_server_answer(struct http_server *s, unsigned status)
{
	const struct http_head *h = &s->reader.head;
	struct buf *b = answer_out(s);

	must(s->output == HTTP_SILENT);
	s->output = HTTP_SAYING;
	s->status = status;
	s->keep = answer_keeps(s);
	s->bare = h->verb == HTTP_VERB_HEAD || status == 204 || status == 304;
	buf_printf(b, "HTTP/1.1 %u %s\r\nDate: ", status, http_reason(status));
	answer_date(b);
	buf_lit(b, "\r\n");
}

void
http_server_field(struct http_server *s, const char *name, struct slice value)
{
	http_field_write(answer_out(s), name, value);
}

/* The end of the head. */
static void
answer_headed(struct http_server *s)
{
	struct buf *b = answer_out(s);

	if (!s->keep)
		buf_lit(b, "Connection: close\r\n");
	else if (s->reader.head.http10)
		buf_lit(b, "Connection: keep-alive\r\n");
	buf_lit(b, "\r\n");
}

static enum http_next
answer_over(struct http_server *s)
{
	if (s->chunked && !s->bare)
		buf_lit(answer_out(s), "0\r\n\r\n");
	s->more = NULL;
	s->output = HTTP_SAID;
	return HTTP_NEXT;
}

enum http_next
http_server_pull_over(struct http_server *s)
{
	/* Too little was said: only the end of the connection tells the client. */
	if (s->length != HTTP_LENGTH_UNKNOWN && s->sent != s->length)
		return HTTP_CLOSE;
	return answer_over(s);
}

enum http_next
http_server_stream(struct http_server *s, const char *type, uint64_t length,
    enum http_next (*more)(struct http_server *))
{
	struct buf *b = answer_out(s);

	s->length = length;
	s->chunked = length == HTTP_LENGTH_UNKNOWN && !s->reader.head.http10;
	if (length == HTTP_LENGTH_UNKNOWN && !s->chunked)
		s->keep = false; /* the end of the connection is the end of the content */
	if (type)
		http_server_field(s, "Content-Type", slice_str(type));
	if (s->chunked)
		buf_lit(b, "Transfer-Encoding: chunked\r\n");
	else if (length != HTTP_LENGTH_UNKNOWN)
		buf_printf(b, "Content-Length: %llu\r\n", (unsigned long long)length);
	answer_headed(s);
	if (s->bare || length == 0)
		return answer_over(s);
	s->more = more;
	return HTTP_PULL;
}

void
http_server_piece(struct http_server *s, struct slice piece)
{
	struct buf *b = answer_out(s);

	/* An empty chunk would be the last one; and what is too much nobody would take for ours. */
	if (s->length != HTTP_LENGTH_UNKNOWN && piece.n > s->length - s->sent)
		piece.n = (size_t)(s->length - s->sent);
	if (piece.n == 0)
		return;
	s->sent += piece.n;
	if (s->chunked)
		buf_printf(b, "%zx\r\n", piece.n);
	buf_slice(b, piece);
	if (s->chunked)
		buf_lit(b, "\r\n");
}

enum http_next
http_server_content(struct http_server *s, const char *type, struct slice content)
{
	enum http_next next = http_server_stream(s, type, content.n, NULL);

	if (next != HTTP_PULL)
		return next;
	http_server_piece(s, content);
	return answer_over(s);
}

enum http_next
http_server_empty(struct http_server *s)
{
	if (s->status != 204 && s->status != 304)
		return http_server_content(s, NULL, S(""));
	answer_headed(s);
	return answer_over(s);
}

/* ---- the usual answers ------------------------------------------------------------------------------ */

enum http_next
http_server_error(struct http_server *s, unsigned status, const char *why)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "%u %s%s%s\n", status, http_reason(status),
	    why ? ": " : "", why ? why : "");
	http_server_answer(s, status);
	return http_server_content(s, "text/plain; charset=utf-8", slice_str(text));
}

enum http_next
http_server_refuse_verb(struct http_server *s, unsigned allowed)
{
	static const char *const names[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS",
		"PATCH" };
	char text[80] = "";
	size_t n = 0;

	for (size_t i = 0; i < NELEM(names); i++)
		if (allowed & (1u << i))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? ", " : "",
			    names[i]);
	http_server_answer(s, 405);
	http_server_field(s, "Allow", slice_str(text));
	return http_server_content(s, "text/plain; charset=utf-8", S("405 Method Not Allowed\n"));
}

static bool
answer_reads(const struct http_server *s)
{
	return s->reader.head.verb == HTTP_VERB_GET || s->reader.head.verb == HTTP_VERB_HEAD;
}

bool
http_server_unchanged(struct http_server *s, struct slice etag)
{
	struct slice known = http_head_value(&s->reader.head, S("If-None-Match"));

	if (!known.p || !answer_reads(s) || !http_etag_in(known, etag, true))
		return false;
	http_server_answer(s, 304);
	http_server_field(s, "ETag", etag);
	(void)http_server_empty(s);
	return true;
}

enum http_range
http_server_range(const struct http_server *s, struct slice etag, uint64_t total, uint64_t *from,
    uint64_t *n)
{
	const struct http_head *h = &s->reader.head;
	struct slice range = http_head_value(h, S("Range")),
		     only = http_head_value(h, S("If-Range"));

	if (!range.p || h->verb != HTTP_VERB_GET)
		return HTTP_RANGE_WHOLE;
	/* RFC 9110 13.1.5: strong comparison; a date is never equal, for we give none out. */
	if (only.p && (slice_eq(only, S("*")) || !http_etag_in(only, etag, false)))
		return HTTP_RANGE_WHOLE;
	return http_range_parse(range, total, from, n);
}

void
http_server_part(struct http_server *s, uint64_t from, uint64_t n, uint64_t total)
{
	buf_printf(answer_out(s), "Content-Range: bytes %llu-%llu/%llu\r\n",
	    (unsigned long long)from, (unsigned long long)(from + n - 1),
	    (unsigned long long)total);
}

enum http_next
http_server_no_part(struct http_server *s, uint64_t total)
{
	http_server_answer(s, 416);
	buf_printf(answer_out(s), "Content-Range: bytes */%llu\r\n", (unsigned long long)total);
	return http_server_content(s, "text/plain; charset=utf-8",
	    S("416 Range Not Satisfiable\n"));
}
