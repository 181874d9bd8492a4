/* jmapd/blob-get.c: Blob/get (RFC 9404 4.2).
 *
 * A cursor: each blob is read in pieces, looked at for whether it is UTF-8, and written in pieces, as text, as base64,
 * or both; a turn of it is a slice of time whatever the blob's length.  Can fail: a range that no answer can have
 * (limit.response) is refused before it is read.  Memory: the range that is asked for, once, beside the answer. */
#include <errno.h>
#include "base/base64.h"
#include "base/utf8.h"
#include "blob-take.h"
#include "methods.h"

#define PIECE (3 * 32768)

enum { B_ID, B_DATA, B_TEXT, B_BASE64, B_SIZE };
struct blob_get {
	struct call_ids ids;
	bool *missing;
	uint64_t want;
	int64_t offset, length;
	size_t at;
	struct buf octets;
	struct blob_taking taking;
	/* the one that is written, piece by piece */
	enum { GET_TAKES, GET_CHECKS, GET_TEXT, GET_BASE64, GET_ENDS } step;
	size_t done; /* of its octets */
	bool text;   /* it is UTF-8, as far as it has been looked at */
};

static enum call_next
blob_get_start(struct call *c)
{
	static const char *const properties[] = { "id", "data", "data:asText", "data:asBase64",
		"size", NULL };
	struct blob_get *q = c->data;
	enum call_next next;

	q->length = -1;
	if (!call_account(c, &next) || !call_ids(c, &q->ids, &next) ||
	    !call_properties(c, properties, &q->want, &next))
		return next;
	if (!q->ids.list)
		return call_error(c, "requestTooLarge", "ids: null would be all blobs");
	if (!call_int(c, "offset", 0, JSON_INT_MOST, &q->offset) ||
	    !call_int(c, "length", 0, JSON_INT_MOST, &q->length))
		return call_invalid(c, "offset and length are whole numbers");
	if (q->want == UINT64_MAX)
		q->want = 1u << B_ID | 1u << B_DATA | 1u << B_SIZE;
	q->missing = arena_array(&c->arena, q->ids.n + 1, sizeof(*q->missing));
	call_answer(c);
	call_put_account(c);
	json_put_array(call_out(c), "list");
	return CALL_AGAIN;
}

/* The next piece, of whole characters where the octets are UTF-8. */
static struct slice
blob_get_piece(const struct blob_get *q)
{
	struct slice all = buf_get(&q->octets), piece = slice_sub(all, q->done, PIECE);
	size_t end = q->done + piece.n;

	for (int i = 0; i < 3 && end < all.n && end > q->done && (all.p[end] & 0xc0) == 0x80; i++)
		end--;
	return slice_sub(piece, 0, end - q->done);
}

static void
blob_get_next(struct blob_get *q)
{
	q->step++;
	q->done = 0;
}

static bool
blob_get_wants_text(const struct blob_get *q)
{
	return (q->want & 1u << B_TEXT) || ((q->want & 1u << B_DATA) && q->text);
}

static bool
blob_get_wants_base64(const struct blob_get *q)
{
	return (q->want & 1u << B_BASE64) || ((q->want & 1u << B_DATA) && !q->text);
}

static void
blob_get_check(struct call *c, struct blob_get *q)
{
	struct slice piece = blob_get_piece(q);

	q->text = utf8_valid(piece);
	q->done += piece.n;
	if (q->text && q->done < q->octets.n)
		return;
	blob_get_next(q);
	json_element(call_out(c));
	buf_char(call_out(c), '{');
	json_put_str(call_out(c), "id", q->ids.list[q->at]);
}

static void
blob_get_text(struct call *c, struct blob_get *q)
{
	struct slice piece = blob_get_piece(q);
	struct buf *b = call_out(c);

	if (!blob_get_wants_text(q) || !q->text) {
		if (blob_get_wants_text(q))
			json_put_null(b, "data:asText");
		blob_get_next(q);
		return;
	}
	if (q->done == 0) {
		json_key(b, "data:asText");
		buf_char(b, '"');
	}
	json_chars(b, piece);
	q->done += piece.n;
	if (q->done < q->octets.n)
		return;
	buf_char(b, '"');
	blob_get_next(q);
}

/* PIECE is a multiple of three: what stands together is one base64. */
static void
blob_get_base64(struct call *c, struct blob_get *q)
{
	struct slice piece = slice_sub(buf_get(&q->octets), q->done, PIECE);
	struct buf *b = call_out(c);

	if (!blob_get_wants_base64(q)) {
		blob_get_next(q);
		return;
	}
	if (q->done == 0) {
		json_key(b, "data:asBase64");
		buf_char(b, '"');
	}
	base64_write(b, piece);
	q->done += piece.n;
	if (q->done < q->octets.n)
		return;
	buf_char(b, '"');
	blob_get_next(q);
}

static void
blob_get_end(struct call *c, struct blob_get *q)
{
	struct buf *b = call_out(c);

	if (!q->text && (q->want & (1u << B_TEXT | 1u << B_DATA)))
		json_put_bool(b, "isEncodingProblem", true);
	if (q->taking.cut)
		json_put_bool(b, "isTruncated", true);
	if (q->want & 1u << B_SIZE)
		json_put_i64(b, "size", (int64_t)q->taking.size);
	buf_char(b, '}');
	buf_fini(&q->octets);
	q->step = GET_TAKES;
	q->at++;
}

/* A range that goes beyond the end is cut there.  0, or as blob_take. */
static int
blob_get_take(struct call *c, struct blob_get *q)
{
	int rc;

	q->taking.most = (uint64_t)config.response;
	rc = blob_take(c, &q->taking, q->ids.list[q->at], (uint64_t)q->offset,
	    q->length < 0 ? UINT64_MAX : (uint64_t)q->length, &q->octets);
	if (rc == 0) {
		q->step = GET_CHECKS;
		q->done = 0;
		q->text = true;
	} else if (rc == -ENOENT) {
		q->missing[q->at++] = true;
		buf_fini(&q->octets);
		rc = 0;
	}
	return rc;
}

/* One piece of the one in hand. */
static int
blob_get_step(struct call *c, struct blob_get *q)
{
	switch (q->step) {
	case GET_TAKES: return blob_get_take(c, q);
	case GET_CHECKS: blob_get_check(c, q); break;
	case GET_TEXT: blob_get_text(c, q); break;
	case GET_BASE64: blob_get_base64(c, q); break;
	case GET_ENDS: blob_get_end(c, q); break;
	}
	return 0;
}

static void
blob_get_undo(struct call *c)
{
	struct blob_get *q = c->data;

	(void)blob_take_over(&q->taking, 0);
	buf_fini(&q->octets);
}

static enum call_next
blob_get_go(struct call *c)
{
	struct blob_get *q = c->data;

	while (q->at < q->ids.n) {
		int rc = blob_get_step(c, q);

		if (rc == -EAGAIN || rc == -EINPROGRESS)
			return blob_take_later(rc);
		if (rc == -E2BIG)
			return call_error(c, "requestTooLarge", "more than an answer can have");
		if (rc < 0)
			return call_failed(c, rc);
		if (call_full(c))
			return call_end(c);
		if (call_spent(c))
			return CALL_AGAIN;
	}
	buf_char(call_out(c), ']');
	call_put_not_found(c, &q->ids, q->missing);
	return call_end(c);
}

const struct jmapd_method blob_get = { "Blob/get", JMAP_BLOBS, sizeof(struct blob_get),
	blob_get_start, blob_get_go, blob_get_undo };
