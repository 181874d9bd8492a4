/* http/h2-head.c: the head of a request of HTTP/2 (RFC 9113 8.3), field by field, as nghttp2 has unpacked it (RFC 7541).
 *
 * Owns the texts of struct h2_head.  Called by h2.c from inside nghttp2.  What can fail is the client's head: `bad`, or
 * `large`, and then no more of it is kept.  Must stay true: what is kept can be said in HTTP/1.1 and is read there as it
 * was said here: one word each for method, target and host, no line end anywhere, one host, and no field that is
 * about a connection or about where a message ends. */
#include "base/secret.h"
#include "http/h2-impl.h"

/* What is about a connection, not about the message: RFC 9113 8.2.2. */
bool
http_h2_of_connection(struct slice name)
{
	static const char *const names[] = { "connection", "keep-alive", "proxy-connection",
		"transfer-encoding", "upgrade" };

	for (size_t i = 0; i < NELEM(names); i++)
		if (slice_ieq(name, slice_str(names[i])))
			return true;
	return false;
}

/* A method, target or host: one word of visible octets. */
static bool
h2_word(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	return s.n > 0;
}

static bool
h2_value(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

/* What is about the message within is said by us; 100 is not waited for. */
static bool
h2_ours(struct slice name)
{
	return http_h2_of_connection(name) || slice_eq(name, S("te")) ||
	    slice_eq(name, S("expect")) || slice_eq(name, S("trailer"));
}

static void
h2_pseudo(struct h2_head *head, struct slice name, struct slice value)
{
	struct buf *to = slice_eq(name, S(":method")) ? &head->method :
	    slice_eq(name, S(":path"))                ? &head->path :
	    slice_eq(name, S(":authority"))           ? &head->authority :
							NULL;

	if (!to) /* :scheme is what the connection is; others nghttp2 refuses */
		return;
	if (!h2_word(value) || to->n)
		head->bad = true;
	else
		buf_slice(to, value);
}

static void
h2_field(struct h2_head *head, struct slice name, struct slice value)
{
	if (slice_starts(name, S(":"))) {
		h2_pseudo(head, name, value);
	} else if (slice_eq(name, S("host"))) {
		/* The same, or there is no other (RFC 9113 8.3.1). */
		if (!head->authority.n)
			h2_pseudo(head, S(":authority"), value);
		else
			head->bad = head->bad || !slice_ieq(value, buf_get(&head->authority));
	} else if (slice_eq(name, S("content-length"))) {
		head->bad = head->bad || slice_u64(value, INT64_MAX, &head->length) < 0;
	} else if (!h2_word(name) || !h2_value(value)) {
		head->bad = true;
	} else if (!h2_ours(name)) {
		buf_slice(&head->fields, name);
		buf_char(&head->fields, '\0');
		buf_slice(&head->fields, value);
		buf_char(&head->fields, '\0');
	}
}

void
http_h2_head_add(struct h2_head *head, const struct http_bounds *bounds, struct slice name,
    struct slice value, bool keep)
{
	head->octets += name.n + value.n + 32; /* RFC 9113 10.5.1 */
	head->nfields++;
	if (head->octets > bounds->head || head->nfields > bounds->fields + 4)
		head->large = true;
	if (keep && !head->large && !head->bad)
		h2_field(head, name, value);
}

bool
http_h2_head_good(const struct h2_head *head)
{
	return !head->bad && head->method.n && head->path.n && head->authority.n;
}

void
http_h2_head_fini(struct h2_head *head)
{
	if (head->fields.p)
		secret_clear(head->fields.p, head->fields.n); /* passwords and cookies */
	buf_fini(&head->method);
	buf_fini(&head->path);
	buf_fini(&head->authority);
	buf_fini(&head->fields);
}
