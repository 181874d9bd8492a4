/* jmapd/blob-methods.c: Blob/upload, Blob/get and Blob/lookup (RFC 9404), and the /copy of emails and blobs between
 * accounts, of which a user has one here.
 *
 * Blobs are made in memory, of what the request brings and of ranges of others, and kept as uploads are.  Digests are
 * not offered.  Cost: the octets that are named, of which a blob has limit.upload and an answer limit.response. */
#include <errno.h>
#include "base/base64.h"
#include "base/utf8.h"
#include "blob.h"
#include "email.h"
#include "jmap/email-write.h"
#include "methods.h"
#include "set.h"

/* Octets from..from + n of a blob, appended; `n` UINT64_MAX: all.  0; -ENOENT; -ERANGE: it has fewer; or -errno. */
static int
blob_take(struct call *c, struct slice id, uint64_t from, uint64_t n, uint64_t *size,
    struct buf *out)
{
	struct blob b;
	size_t start = out->n;
	int rc = blob_open(c->s, call_created(c, id), &b);

	*size = rc == 0 ? b.size : 0;
	if (rc == 0 && (from > b.size || (n != UINT64_MAX && n > b.size - from)))
		rc = -ERANGE;
	if (rc == 0 && (n == UINT64_MAX || n > b.size - from))
		n = b.size - from;
	while (rc == 0 && out->n - start < n) {
		ssize_t got = blob_read(&b, from + (out->n - start), out);

		rc = got < 0 ? (int)got : got == 0 ? -EIO : 0;
	}
	if (rc == 0)
		out->n = start + (size_t)n; /* it reads in pieces */
	blob_close(&b);
	return rc;
}

/* ---- Blob/upload (4.1) ------------------------------------------------------------------------------ */

struct blob_upload {
	const struct json_t *create;
	struct json_walk walk;
	struct buf created, not_created;
};

/* One DataSourceObject; NULL, or what is wrong. */
static const char *
blob_source(struct call *c, const struct json_t *v, struct buf *out)
{
	struct slice text = json_text(json_find(v, S("data:asText")));
	struct slice base64 = json_text(json_find(v, S("data:asBase64")));
	struct slice id = json_text(json_find(v, S("blobId")));
	int64_t offset = 0, length = -1;
	uint64_t size;
	int rc;

	if (!!text.p + !!base64.p + !!id.p != 1)
		return "data:asText, data:asBase64 or blobId";
	if (text.p) {
		buf_slice(out, text);
		return NULL;
	}
	if (base64.p)
		return base64_parse(out, base64) < 0 ? "data:asBase64 is no base64" : NULL;
	if ((!json_none(json_find(v, S("offset"))) &&
		!json_get_int(json_find(v, S("offset")), 0, JSON_INT_MOST, &offset)) ||
	    (!json_none(json_find(v, S("length"))) &&
		!json_get_int(json_find(v, S("length")), 0, JSON_INT_MOST, &length)))
		return "offset and length are whole numbers";
	rc = blob_take(c, id, (uint64_t)offset, length < 0 ? UINT64_MAX : (uint64_t)length, &size,
	    out);
	return rc == 0    ? NULL :
	    rc == -ERANGE ? "the blob has no such range" :
			    "there is no such blob";
}

static void
blob_upload_one(struct call *c, struct blob_upload *q)
{
	const struct json_t *data = json_find(q->walk.value, S("data")),
			    *type = json_find(q->walk.value, S("type"));
	struct buf octets = { 0 }, *b = &q->created;
	const char *why = json_is(data, JSON_KIND_ARRAY) && json_count(data) <= 1000 ?
	    NULL :
	    "data: an array of 1000 sources at most";
	struct slice id;
	int rc = 0;

	for (size_t i = 0; !why && i < json_count(data); i++) {
		why = blob_source(c, json_at(data, i), &octets);
		if (octets.n > (size_t)config.upload)
			why = "the blob is larger than maxSizeUpload";
	}
	if (!why)
		rc = upload_keep(c->s, buf_get(&octets), &c->arena, &id);
	if (why) {
		set_refuse(&q->not_created, q->walk.name, "invalidProperties", "data", why);
	} else if (rc < 0) {
		set_refuse(&q->not_created, q->walk.name,
		    rc == -EDQUOT ? "overQuota" : "serverFail", NULL, "the blob cannot be kept");
	} else {
		call_create(c, q->walk.name, id);
		if (b->n)
			buf_char(b, ',');
		json_str(b, q->walk.name);
		buf_lit(b, ":{");
		json_put_str(b, "id", id);
		json_put_str(b, "type",
		    json_text(type).p ? json_text(type) : S("application/octet-stream"));
		json_put_i64(b, "size", (int64_t)octets.n);
		buf_char(b, '}');
		metric_add(M_UPLOADS, 1);
	}
	buf_fini(&octets);
}

static enum call_next
blob_upload_start(struct call *c)
{
	struct blob_upload *q = c->data;
	enum call_next next;

	if (!call_account(c, &next))
		return next;
	q->create = json_find(c->args, S("create"));
	if (!json_is(q->create, JSON_KIND_OBJECT))
		return call_invalid(c, "create: an object is needed");
	if (json_count(q->create) > (size_t)config.set)
		return call_error(c, "requestTooLarge", "more blobs than maxObjectsInSet");
	return CALL_AGAIN;
}

static enum call_next
blob_upload_go(struct call *c)
{
	struct blob_upload *q = c->data;
	struct buf *b = call_out(c);

	while (json_next(q->create, &q->walk)) {
		blob_upload_one(c, q);
		if (call_spent(c))
			return CALL_AGAIN;
	}
	call_answer(c);
	call_put_account(c);
	json_put_object(b, "created");
	buf_slice(b, buf_get(&q->created));
	buf_char(b, '}');
	json_put_object(b, "notCreated");
	buf_slice(b, buf_get(&q->not_created));
	buf_char(b, '}');
	return call_end(c);
}

static void
blob_upload_undo(struct call *c)
{
	struct blob_upload *q = c->data;

	buf_fini(&q->created);
	buf_fini(&q->not_created);
}

const struct jmapd_method blob_upload = { "Blob/upload", JMAP_BLOBS, sizeof(struct blob_upload),
	blob_upload_start, blob_upload_go, blob_upload_undo };

/* ---- Blob/get (4.2) ------------------------------------------------------------------------------------ */

enum { B_ID, B_DATA, B_TEXT, B_BASE64, B_SIZE };
struct blob_get {
	struct call_ids ids;
	bool *missing;
	uint64_t want;
	int64_t offset, length;
	size_t at;
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

static void
blob_put_base64(struct buf *b, struct slice octets)
{
	json_key(b, "data:asBase64");
	buf_char(b, '"');
	base64_write(b, octets);
	buf_char(b, '"');
}

static void
blob_get_write(struct call *c, const struct blob_get *q, struct slice octets, uint64_t size,
    bool cut)
{
	struct buf *b = call_out(c);
	bool text = utf8_valid(octets);

	json_element(b);
	buf_char(b, '{');
	json_put_str(b, "id", q->ids.list[q->at]);
	if ((q->want & 1u << B_TEXT) || ((q->want & 1u << B_DATA) && text)) {
		if (text)
			json_put_str(b, "data:asText", octets);
		else
			json_put_null(b, "data:asText");
	}
	if ((q->want & 1u << B_BASE64) || ((q->want & 1u << B_DATA) && !text))
		blob_put_base64(b, octets);
	if (!text && (q->want & (1u << B_TEXT | 1u << B_DATA)))
		json_put_bool(b, "isEncodingProblem", true);
	if (cut)
		json_put_bool(b, "isTruncated", true);
	if (q->want & 1u << B_SIZE)
		json_put_i64(b, "size", (int64_t)size);
	buf_char(b, '}');
}

/* A range that goes beyond the end is cut there. */
static int
blob_get_one(struct call *c, struct blob_get *q)
{
	struct slice id = q->ids.list[q->at];
	struct buf octets = { 0 };
	uint64_t size, from = (uint64_t)q->offset,
		       n = q->length < 0 ? UINT64_MAX : (uint64_t)q->length;
	bool cut = false;
	int rc = blob_take(c, id, from, n, &size, &octets);

	if (rc == -ERANGE) {
		cut = true;
		buf_clear(&octets);
		rc = from > size ? 0 : blob_take(c, id, from, UINT64_MAX, &size, &octets);
	}
	if (rc == 0)
		blob_get_write(c, q, buf_get(&octets), size, cut);
	buf_fini(&octets);
	return rc;
}

static enum call_next
blob_get_go(struct call *c)
{
	struct blob_get *q = c->data;

	for (; q->at < q->ids.n; q->at++) {
		int rc = blob_get_one(c, q);

		q->missing[q->at] = rc == -ENOENT;
		if (rc < 0 && rc != -ENOENT)
			return call_failed(c, rc);
		if (call_full(c))
			return call_end(c);
		if (call_spent(c)) {
			q->at++;
			return CALL_AGAIN;
		}
	}
	buf_char(call_out(c), ']');
	call_put_not_found(c, &q->ids, q->missing);
	return call_end(c);
}

const struct jmapd_method blob_get = { "Blob/get", JMAP_BLOBS, sizeof(struct blob_get),
	blob_get_start, blob_get_go, NULL };

/* ---- Blob/lookup (4.3) ---------------------------------------------------------------------------------- */

struct blob_lookup {
	struct call_ids ids;
	bool email, thread, mailbox;
	bool *missing;
};

static enum call_next
blob_lookup_start(struct call *c)
{
	struct blob_lookup *q = c->data;
	const struct json_t *types = json_find(c->args, S("typeNames"));
	enum call_next next;

	if (!call_account(c, &next) || !call_ids(c, &q->ids, &next))
		return next;
	if (!q->ids.list || !json_is(types, JSON_KIND_ARRAY))
		return call_invalid(c, "typeNames and ids are arrays of strings");
	for (size_t i = 0; i < json_count(types); i++) {
		struct slice name = json_text(json_at(types, i));

		if (slice_eq(name, S("Email")))
			q->email = true;
		else if (slice_eq(name, S("Thread")))
			q->thread = true;
		else if (slice_eq(name, S("Mailbox")))
			q->mailbox = true;
		else
			return call_error(c, "unknownDataType", NULL);
	}
	q->missing = arena_array(&c->arena, q->ids.n + 1, sizeof(*q->missing));
	return CALL_AGAIN;
}

static void
blob_lookup_one(struct call *c, struct blob_lookup *q, size_t i)
{
	struct slice blob = q->ids.list[i], part;
	struct arena scratch = { 0 };
	struct buf *b = call_out(c);
	struct email e = { 0 };
	uint64_t id;

	(void)jmap_blob_cut(&blob, &part);
	id = jmap_id_parse(blob, JMAP_BLOB);
	q->missing[i] = id == 0 || email_load(c, id, &scratch, &e) < 0;
	if (!q->missing[i]) {
		json_element(b);
		buf_char(b, '{');
		json_put_str(b, "id", q->ids.list[i]);
		json_put_object(b, "matchedIds");
		if (q->email) {
			json_put_array(b, "Email");
			jmap_id_json(b, JMAP_EMAIL, e.id);
			buf_char(b, ']');
		}
		if (q->thread) {
			json_put_array(b, "Thread");
			jmap_id_json(b, JMAP_THREAD, e.thread);
			buf_char(b, ']');
		}
		if (q->mailbox) {
			json_put_array(b, "Mailbox");
			for (size_t k = 0; k < e.nplaces; k++)
				if (k == 0 || e.places[k].folder != e.places[k - 1].folder) {
					json_element(b);
					jmap_id_json(b, JMAP_MAILBOX, e.places[k].folder->objectid);
				}
			buf_char(b, ']');
		}
		buf_lit(b, "}}");
	}
	arena_reset(&scratch);
}

static enum call_next
blob_lookup_go(struct call *c)
{
	struct blob_lookup *q = c->data;
	struct store_account a;
	int rc;
	enum call_next next = folders_begin(c, &a, &rc);

	if (rc < 0)
		return call_failed(c, rc);
	if (next == CALL_AGAIN)
		return next;
	call_answer(c);
	call_put_account(c);
	json_put_array(call_out(c), "list");
	for (size_t i = 0; i < q->ids.n; i++)
		blob_lookup_one(c, q, i);
	store_end(call_view(c));
	buf_char(call_out(c), ']');
	call_put_not_found(c, &q->ids, q->missing);
	return call_end(c);
}

const struct jmapd_method blob_lookup = { "Blob/lookup", JMAP_BLOBS, sizeof(struct blob_lookup),
	blob_lookup_start, blob_lookup_go, NULL };

/* ---- between accounts (RFC 8620 5.4, 6.3) -------------------------------------------------------------- */

/* A user has one account here: there is none to copy from. */
static enum call_next
blob_copy_start(struct call *c)
{
	struct slice from = json_text(json_find(c->args, S("fromAccountId")));
	enum call_next next;

	if (!call_account(c, &next))
		return next;
	if (!from.p)
		return call_invalid(c, "fromAccountId: a string is needed");
	if (slice_eq(from, slice_str(call_user(c)->account_id)))
		return call_invalid(c, "fromAccountId: another account than accountId");
	return call_error(c, "fromAccountNotFound", NULL);
}

const struct jmapd_method email_copy = { "Email/copy", JMAP_MAIL, 0, blob_copy_start, NULL, NULL };
const struct jmapd_method blob_copy = { "Blob/copy", JMAP_CORE, 0, blob_copy_start, NULL, NULL };
