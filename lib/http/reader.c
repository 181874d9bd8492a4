/* http/reader.c: llhttp's callbacks, and what must hold beyond what llhttp sees.
 *
 * Owns the parser and the text of one head.  Called by server.c, with whatever part of the input there
 * is; what it says must not depend on how the input was cut (t/http/reader.c sends all of it octet by
 * octet too, t/fuzz/http_reader.c cuts at random).  Two looks are taken at a head: llhttp's, who parses
 * it, and reader_scan's, who only watches line ends and says no to those that llhttp forgives.  Pausing
 * in callbacks is what makes one event of a call: llhttp_execute then says where it stopped. */
#include "http/reader.h"

#include <llhttp.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"

/* What chunks may cost beside their content: a client that sends 1 octet a chunk has 5 for each. */
#define READER_OVERHEAD       16384
#define READER_OVERHEAD_TIMES 8
/* Fields are made in steps: most requests have a dozen. */
#define READER_FIELDS 16

enum reader_phase { READER_HEAD, READER_BODY, READER_TRAILER, READER_OVER };
/* Where reader_scan is in a line. */
enum reader_scan { SCAN_START, SCAN_LINE, SCAN_CR };

/* ---- what is wrong ------------------------------------------------------------------------- */

static int
reader_bad(struct http_reader *r, unsigned status, const char *why)
{
	if (!r->status) {
		r->status = r->answers ? 502 : status;
		r->why = why;
	}
	return -1;
}

static int
reader_code_of(const llhttp_t *p)
{
	switch (p->error) {
	case HPE_INVALID_METHOD: return 501;
	case HPE_INVALID_VERSION:
	case HPE_PAUSED_H2_UPGRADE: return 505;
	default: return 400;
	}
}

/* ---- the head, as llhttp gives it ------------------------------------------------------------ */

static struct http_reader *
reader_of(llhttp_t *p)
{
	return p->data;
}

/* Offsets into text stand for pointers until the head is whole, for text moves. */
static void
reader_more(struct slice *s, struct buf *text, const char *at, size_t n)
{
	if (!s->n)
		s->p = (const char *)(uintptr_t)text->n;
	s->n += n;
	buf_add(text, at, n);
}

static int
reader_on_url(llhttp_t *p, const char *at, size_t n)
{
	struct http_reader *r = reader_of(p);

	if (r->head.target.n + n > r->bounds->target)
		return reader_bad(r, 414, "the target is too long");
	reader_more(&r->head.target, &r->text, at, n);
	return 0;
}

static int
reader_field(struct http_reader *r)
{
	struct http_head *h = &r->head;

	if (++r->lines > r->bounds->fields)
		return reader_bad(r, 431, "too many header fields");
	if (r->phase != READER_HEAD)
		return 0;
	if (h->nfields == r->room) {
		r->room += READER_FIELDS;
		h->fields = mem_grow(h->fields, r->room, sizeof(*h->fields));
	}
	h->fields[h->nfields++] = (struct http_field){ .name = { 0 } };
	return 0;
}

/* Fields of a trailer are counted and dropped: RFC 9110 6.5.1. */
static int
reader_on_field(llhttp_t *p, const char *at, size_t n)
{
	struct http_reader *r = reader_of(p);

	if (!r->in_name && reader_field(r) < 0)
		return -1;
	r->in_name = true;
	if (r->phase == READER_HEAD)
		reader_more(&r->head.fields[r->head.nfields - 1].name, &r->text, at, n);
	return 0;
}

static int
reader_on_value(llhttp_t *p, const char *at, size_t n)
{
	struct http_reader *r = reader_of(p);

	r->in_name = false;
	if (r->phase == READER_HEAD)
		reader_more(&r->head.fields[r->head.nfields - 1].value, &r->text, at, n);
	return 0;
}

static int
reader_on_value_over(llhttp_t *p)
{
	reader_of(p)->in_name = false;
	return 0;
}

static void
reader_place(struct slice *s, const struct buf *text)
{
	s->p = s->n ? text->p + (uintptr_t)s->p : "";
}

static size_t
reader_count(const struct http_head *h, struct slice name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->nfields; i++)
		n += slice_ieq(h->fields[i].name, name);
	return n;
}

/* RFC 3986 3.2, without user information. */
static bool
reader_host_good(struct slice host)
{
	for (size_t i = 0; i < host.n; i++) {
		char c = ascii_lower(host.p[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("-._:[]~%", c)))
			return false;
	}
	return host.n > 0;
}

/* RFC 9112 3.2 */
static int
reader_host(struct http_reader *r)
{
	struct http_head *h = &r->head;
	size_t n = reader_count(h, S("Host"));

	if (n == 0 && h->http10) {
		h->host = S("");
		return 0;
	}
	if (n != 1)
		return reader_bad(r, 400, n ? "more than one Host" : "Host is missing");
	h->host = http_head_value(h, S("Host"));
	return reader_host_good(h->host) ? 0 : reader_bad(r, 400, "Host is malformed");
}

/* RFC 9112 3.2.1 and 3.2.4; the forms for proxies are none of ours. */
static int
reader_target(struct http_reader *r)
{
	struct http_head *h = &r->head;
	size_t mark = slice_find(h->target, '?');

	if (!slice_starts(h->target, S("/")) &&
	    !(h->verb == HTTP_VERB_OPTIONS && slice_eq(h->target, S("*"))))
		return reader_bad(r, 400, "the target is no path");
	if (slice_find(h->target, '#') < h->target.n)
		return reader_bad(r, 400, "the target has a fragment");
	h->path = slice_sub(h->target, 0, mark);
	h->query = mark < h->target.n ? slice_from(h->target, mark + 1) : slice(NULL, 0);
	return 0;
}

/* RFC 9112 6.1, 6.3 */
static int
reader_framing(struct http_reader *r, const llhttp_t *p)
{
	struct http_head *h = &r->head;
	size_t codings = reader_count(h, S("Transfer-Encoding"));
	size_t lengths = reader_count(h, S("Content-Length"));

	if (codings == 0) {
		h->length = lengths ? p->content_length : 0;
		if (lengths > 1)
			return reader_bad(r, 400, "more than one Content-Length");
		return 0;
	}
	if (lengths || codings > 1 || h->http10)
		return reader_bad(r, 400, "the length of the body is ambiguous");
	if (!slice_ieq(http_head_value(h, S("Transfer-Encoding")), S("chunked")))
		return reader_bad(r, 501, "only the transfer coding chunked is known");
	h->length = HTTP_LENGTH_UNKNOWN;
	return 0;
}

/* ---- of answers: RFC 9112 6.3 ------------------------------------------------------------------ */

/* Has an answer with this status a body? */
static bool
reader_bodiless(const struct http_reader *r, unsigned code)
{
	return code < 200 || code == 204 || code == 304 || r->bare;
}

static int
reader_answer_framing(struct http_reader *r, llhttp_t *p)
{
	struct http_head *h = &r->head;
	size_t codings = reader_count(h, S("Transfer-Encoding"));
	size_t lengths = reader_count(h, S("Content-Length"));

	if (lengths > 1 || codings > 1 || (codings && (lengths || h->http10)))
		return reader_bad(r, 502, "the length of the body is ambiguous");
	if (lengths && h->code == 204 && r->strays) {
		h->keep = false;
		lengths = 0;
	}
	if ((codings || lengths) && (h->code < 200 || h->code == 204))
		return reader_bad(r, 502, "a body where none may be");
	if (codings && !slice_ieq(http_head_value(h, S("Transfer-Encoding")), S("chunked")))
		return reader_bad(r, 502, "only the transfer coding chunked is known");
	h->length = lengths ? p->content_length : HTTP_LENGTH_UNKNOWN;
	if (!reader_bodiless(r, h->code))
		return 0;
	if (!lengths)
		h->length = 0;
	p->flags |= F_SKIPBODY;
	return 0;
}

static int
reader_answer(struct http_reader *r, llhttp_t *p)
{
	struct http_head *h = &r->head;

	h->code = p->status_code;
	h->keep = llhttp_should_keep_alive(p) != 0;
	if (p->http_major != 1 || p->http_minor > 1 || h->code < 100)
		return reader_bad(r, 502, "not HTTP/1.1");
	if (h->code == 101)
		return reader_bad(r, 502, "nobody has asked for another protocol");
	return reader_answer_framing(r, p);
}

/* ---- the head is whole --------------------------------------------------------------------------- */

/* RFC 9110 10.1.1 */
static int
reader_expect(struct http_reader *r)
{
	struct http_head *h = &r->head;
	struct slice value = http_head_value(h, S("Expect"));

	if (!value.p || h->http10)
		return 0;
	if (!slice_ieq(value, S("100-continue")))
		return reader_bad(r, 417, "Expect knows 100-continue alone");
	h->expects = h->length > 0;
	return 0;
}

static enum http_verb
reader_verb(uint8_t method)
{
	switch (method) {
	case HTTP_GET: return HTTP_VERB_GET;
	case HTTP_HEAD: return HTTP_VERB_HEAD;
	case HTTP_POST: return HTTP_VERB_POST;
	case HTTP_PUT: return HTTP_VERB_PUT;
	case HTTP_DELETE: return HTTP_VERB_DELETE;
	case HTTP_OPTIONS: return HTTP_VERB_OPTIONS;
	case HTTP_PATCH: return HTTP_VERB_PATCH;
	default: return HTTP_VERB_OTHER;
	}
}

static int
reader_on_head(llhttp_t *p)
{
	struct http_reader *r = reader_of(p);
	struct http_head *h = &r->head;

	if (!r->answers)
		reader_place(&h->target, &r->text);
	for (size_t i = 0; i < h->nfields; i++) {
		reader_place(&h->fields[i].name, &r->text);
		reader_place(&h->fields[i].value, &r->text);
		h->fields[i].value = slice_trim(h->fields[i].value);
	}
	h->http10 = p->http_minor == 0;
	p->upgrade = 0; /* nothing else is spoken here: RFC 9110 7.8 lets a server pass over it */
	if (r->answers) {
		if (reader_answer(r, p) < 0)
			return -1;
		r->phase = READER_BODY;
		return HPE_PAUSED;
	}
	h->verb = reader_verb(p->method);
	h->method = slice_str(llhttp_method_name((llhttp_method_t)p->method));
	h->keep = llhttp_should_keep_alive(p);
	if (p->method == HTTP_CONNECT)
		return reader_bad(r, 501, "this is no proxy");
	if (reader_host(r) < 0 || reader_target(r) < 0 || reader_framing(r, p) < 0 ||
	    reader_expect(r) < 0)
		return -1;
	r->phase = READER_BODY;
	return HPE_PAUSED;
}

/* ---- the body --------------------------------------------------------------------------------- */

static int
reader_on_body(llhttp_t *p, const char *at, size_t n)
{
	struct http_reader *r = reader_of(p);

	must(r->bytes.n == 0); /* on_chunk_over has seen to it */
	r->bytes = slice(at, n);
	r->body += n;
	return 0;
}

static int
reader_on_chunk(llhttp_t *p)
{
	struct http_reader *r = reader_of(p);

	if (p->content_length > r->most - r->body)
		return reader_bad(r, 413, "the body is too long");
	if (p->content_length > 0)
		return 0;
	r->phase = READER_TRAILER;
	return HPE_PAUSED;
}

static int
reader_on_chunk_over(llhttp_t *p)
{
	return reader_of(p)->bytes.n ? HPE_PAUSED : 0;
}

static int
reader_on_end(llhttp_t *p)
{
	reader_of(p)->ended = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t reader_settings = {
	.on_url = reader_on_url,
	.on_header_field = reader_on_field,
	.on_header_value = reader_on_value,
	.on_header_value_complete = reader_on_value_over,
	.on_headers_complete = reader_on_head,
	.on_body = reader_on_body,
	.on_chunk_header = reader_on_chunk,
	.on_chunk_complete = reader_on_chunk_over,
	.on_message_complete = reader_on_end,
};

/* ---- line ends ---------------------------------------------------------------------------------- */

/* llhttp also knows RTSP and ICE, which look alike. */
static bool
reader_version_good(const struct http_reader *r)
{
	return memcmp(r->tail, "HTTP/1.", 7) == 0 && (r->tail[7] == '0' || r->tail[7] == '1');
}

/* A line is over. */
static int
reader_scan_end(struct http_reader *r)
{
	r->scan = SCAN_START;
	if (!r->first || !r->tail[7])
		return 0;
	r->first = false;
	if (reader_version_good(r))
		return 0;
	return reader_bad(r, memcmp(r->tail, "HTTP/", 5) == 0 ? 505 : 400, "not HTTP/1.1");
}

/* Another octet of a head or a trailer. */
static int
reader_scan_one(struct http_reader *r, char c)
{
	uint8_t was = r->scan;

	if (was == SCAN_CR)
		return c == '\n' ? reader_scan_end(r) :
				   reader_bad(r, 400, "a CR that ends no line");
	if (c == '\n')
		return reader_bad(r, 400, "a line ends without CR");
	/* A folded line, or one before the first field (RFC 9112 2.2, 5.2); a field without a name. */
	if (was == SCAN_START && (c == ' ' || c == '\t' || c == ':'))
		return reader_bad(r, 400, "a line begins with a blank, or with a colon");
	r->scan = c == '\r' ? SCAN_CR : SCAN_LINE;
	if (c != '\r' && r->first) {
		memmove(r->tail, r->tail + 1, sizeof(r->tail) - 1);
		r->tail[7] = c;
	}
	return 0;
}

static int
reader_scan(struct http_reader *r, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (reader_scan_one(r, s.p[i]) < 0)
			return -1;
	if (s.n > r->bounds->head - r->octets)
		return reader_bad(r, 431, "the header is too long");
	r->octets += (uint32_t)s.n;
	return 0;
}

/* ---- from outside --------------------------------------------------------------------------------- */

/* For the next request. */
static void
reader_begin(struct http_reader *r)
{
	mem_free(&r->head.fields);
	buf_fini(&r->text);
	r->head = (struct http_head){ .nfields = 0 };
	r->room = 0;
	r->bytes = slice(NULL, 0);
	r->body = r->overhead = 0;
	r->most = r->bounds->body;
	r->octets = r->lines = 0;
	memset(r->tail, 0, sizeof(r->tail));
	r->phase = READER_HEAD;
	r->scan = SCAN_START;
	r->first = !r->answers; /* of those llhttp knows one protocol alone */
	r->in_name = r->ended = false;
}

static void
reader_init(struct http_reader *r, const struct http_bounds *bounds, bool answers)
{
	memset(r, 0, sizeof(*r));
	r->bounds = bounds;
	r->answers = answers;
	r->parser = mem_new(sizeof(*r->parser));
	llhttp_init(r->parser, answers ? HTTP_RESPONSE : HTTP_REQUEST, &reader_settings);
	r->parser->data = r;
	reader_begin(r);
}

void
http_reader_init(struct http_reader *r, const struct http_bounds *bounds)
{
	reader_init(r, bounds, false);
}

void
http_reader_init_answers(struct http_reader *r, const struct http_bounds *bounds)
{
	reader_init(r, bounds, true);
}

void
http_reader_fini(struct http_reader *r)
{
	mem_free(&r->parser);
	mem_free(&r->head.fields);
	buf_fini(&r->text);
}

void
http_reader_body(struct http_reader *r, uint64_t most)
{
	r->most = most;
}

bool
http_reader_busy(const struct http_reader *r)
{
	return r->phase != READER_HEAD || r->octets > 0;
}

/* Lets llhttp read, and looks at what it has read: how many octets. */
static size_t
reader_execute(struct http_reader *r, struct slice in)
{
	uint8_t phase = r->phase;
	llhttp_errno_t rc;
	unsigned status;
	size_t n = in.n;

	llhttp_resume(r->parser);
	rc = llhttp_execute(r->parser, in.p, in.n);
	if (rc != HPE_OK)
		n = (size_t)(llhttp_get_error_pos(r->parser) - in.p);
	/* Line ends stand before what a callback has refused, and so does their answer. */
	if (phase == READER_HEAD || phase == READER_TRAILER) {
		status = r->status;
		r->status = 0;
		if (reader_scan(r, slice(in.p, n)) < 0)
			return n;
		r->status = status;
		if (rc == HPE_PAUSED && r->scan != SCAN_START)
			(void)reader_bad(r, 400, "the header ends in the middle of a line");
	} else if (phase == READER_BODY) {
		r->overhead += n - r->bytes.n;
		if (r->overhead > READER_OVERHEAD + READER_OVERHEAD_TIMES * r->body)
			(void)reader_bad(r, 400, "chunks of too little");
	}
	if (rc != HPE_OK && rc != HPE_PAUSED)
		(void)reader_bad(r, (unsigned)reader_code_of(r->parser), "not as HTTP demands");
	return n;
}

/* Known beforehand, and the owner had his say. */
static bool
reader_too_long(struct http_reader *r)
{
	return r->phase == READER_BODY && r->head.length != HTTP_LENGTH_UNKNOWN &&
	    r->head.length > r->most && reader_bad(r, 413, "the body is too long") < 0;
}

enum http_ev
http_reader_next(struct http_reader *r, struct slice *in)
{
	uint8_t before;

	if (r->phase == READER_OVER)
		reader_begin(r);
	if (r->status || reader_too_long(r))
		return HTTP_EV_BAD;
	for (;;) {
		before = r->phase;
		if (r->ended) {
			r->phase = READER_OVER;
			r->ended = false;
			return HTTP_EV_END;
		}
		r->bytes = slice(NULL, 0);
		*in = slice_from(*in, reader_execute(r, *in));
		/* What came before the fault was good; the fault comes next. */
		if (r->bytes.n)
			return HTTP_EV_BYTES;
		if (r->status)
			return HTTP_EV_BAD;
		if (before == READER_HEAD && r->phase == READER_BODY) {
			r->octets = r->lines = 0; /* of a trailer */
			return HTTP_EV_HEAD;
		}
		if (!r->ended && in->n == 0 && r->phase == before)
			return HTTP_EV_DRY;
	}
}

enum http_ev
http_reader_eof(struct http_reader *r)
{
	if (r->status)
		return HTTP_EV_BAD;
	if (r->phase == READER_OVER || !http_reader_busy(r))
		return HTTP_EV_DRY;
	if (r->answers && r->phase == READER_BODY) {
		llhttp_resume(r->parser);
		(void)llhttp_finish(r->parser);
	}
	if (!r->ended) {
		(void)reader_bad(r, r->answers ? 502 : 400, "it ends in the middle");
		return HTTP_EV_BAD;
	}
	r->ended = false;
	r->phase = READER_OVER;
	return HTTP_EV_END;
}
