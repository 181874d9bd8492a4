/* http/text.c: reasons, dates, entity tags and ranges.
 *
 * Pure and small: what two servers of ours must write alike, and read alike.  Called by server-answer.c
 * and by handlers.  Whatever is malformed in a field that may be passed over is passed over, as RFC 9110
 * asks; nothing here fails. */
#include "http/text.h"

#include "base/civil.h"

/* RFC 9110 15, RFC 6585 5. */
static const struct {
	unsigned status;
	const char *reason;
} reasons[] = {
	{ 100, "Continue" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

const char *
http_reason(unsigned status)
{
	for (size_t i = 0; i < NELEM(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

void
http_field_write(struct buf *b, const char *name, struct slice value)
{
	buf_printf(b, "%s: ", name);
	for (size_t i = 0; i < value.n; i++)
		buf_char(b,
		    (unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f ? ' ' : value.p[i]);
	buf_lit(b, "\r\n");
}

void
http_date_write(struct buf *b, int64_t at)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct civil c = civil_from_unix(at);

	buf_printf(b, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + c.weekday * 3, c.day,
	    months + (c.month - 1) * 3, (int)c.year, c.hour, c.minute, c.second);
}

/* ---- entity tags --------------------------------------------------------------------------------- */

/* Takes `W/"x"` or `"x"`, with the comma behind it; false when that is not what is there. */
static bool
etag_next(struct slice *list, struct slice *tag, bool *weak)
{
	struct slice s;
	size_t end;

	while (list->n && (list->p[0] == ',' || list->p[0] == ' ' || list->p[0] == '\t'))
		*list = slice_from(*list, 1);
	s = *list;
	*weak = slice_starts(s, S("W/"));
	if (*weak)
		s = slice_from(s, 2);
	if (!slice_starts(s, S("\"")))
		return false;
	end = slice_find(slice_from(s, 1), '"') + 2;
	if (end > s.n)
		return false;
	*tag = slice_sub(s, 0, end);
	*list = slice_from(s, end);
	return true;
}

bool
http_etag_in(struct slice list, struct slice etag, bool weak)
{
	struct slice tag;
	bool w, ours = slice_starts(etag, S("W/"));

	if (slice_eq(slice_trim(list), S("*")))
		return true;
	if (ours)
		etag = slice_from(etag, 2);
	while (etag_next(&list, &tag, &w))
		if (slice_eq(tag, etag) && (weak || (!w && !ours)))
			return true;
	return false;
}

/* ---- ranges ---------------------------------------------------------------------------------------- */

/* "5-", "5-9" or "-4"; false when it is none of these. */
static bool
range_spec(struct slice spec, uint64_t total, uint64_t *from, uint64_t *to)
{
	size_t dash = slice_find(spec, '-');
	struct slice first = slice_sub(spec, 0, dash), last = slice_from(spec, dash + 1);
	uint64_t n;

	if (dash == spec.n)
		return false;
	if (first.n == 0) {
		if (slice_u64(last, UINT64_MAX, &n) < 0)
			return false;
		*from = n < total ? total - n : 0;
		*to = n > 0 ? total : *from;
		return true;
	}
	if (slice_u64(first, UINT64_MAX, from) < 0)
		return false;
	*to = total;
	if (last.n == 0)
		return true;
	if (slice_u64(last, UINT64_MAX, &n) < 0 || n < *from)
		return false;
	*to = n < total ? n + 1 : total;
	return true;
}

enum http_range
http_range_parse(struct slice value, uint64_t total, uint64_t *from, uint64_t *n)
{
	uint64_t to;

	if (!slice_istarts(value, S("bytes=")))
		return HTTP_RANGE_WHOLE;
	value = slice_trim(slice_from(value, strlen("bytes=")));
	if (slice_find(value, ',') < value.n || !range_spec(value, total, from, &to))
		return HTTP_RANGE_WHOLE;
	if (*from >= to)
		return HTTP_RANGE_NONE;
	*n = to - *from;
	return HTTP_RANGE_PART;
}
