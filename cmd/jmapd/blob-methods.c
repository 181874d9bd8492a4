/* jmapd/blob-methods.c: Blob/upload and Blob/lookup (RFC 9404), and the /copy of emails and blobs between
 * accounts, of which a user has one here.
 *
 * Blobs are made in memory, of what the request brings and of ranges of others, and kept as uploads are.  Digests are
 * not offered.  Cost: the octets that are named, of which a blob has limit.upload and an answer limit.response, and the
 * opening of each blob that is named; all of it in turns, source by source and piece by piece. */
#include <errno.h>
#include "base/base64.h"
#include "base/utf8.h"
#include "blob-take.h"
#include "email.h"
#include "jmap/email-write.h"
#include "methods.h"
#include "set.h"

static void
blob_taken(void *arg)
{
	call_resume(arg, CALL_AGAIN);
}

int
blob_take_over(struct blob_taking *t, int rc)
{
	if (t->begun)
		blob_close(&t->b);
	t->begun = t->open = false;
	return rc;
}

static int
blob_take_open(struct blob_taking *t, uint64_t from, uint64_t n, const struct buf *out)
{
	uint64_t left;

	if (t->b.error < 0)
		return t->b.error;
	t->size = t->b.size;
	left = from < t->size ? t->size - from : 0;
	if (t->most && (n < left ? n : left) > t->most)
		return -E2BIG;
	t->cut = from > t->size || (n != UINT64_MAX && n > left);
	t->at = from;
	t->end = from + (n < left ? n : left);
	t->start = out->n;
	t->open = true;
	return 0;
}

int
blob_take(struct call *c, struct blob_taking *t, struct slice id, uint64_t from, uint64_t n,
    struct buf *out)
{
	int rc = 0;

	if (!t->begun) {
		t->begun = true;
		if (!blob_start(c->s, call_created(c, id), &t->b, blob_taken, c))
			return -EINPROGRESS;
	}
	if (!t->open && (rc = blob_take_open(t, from, n, out)) < 0)
		return blob_take_over(t, rc);
	while (t->at < t->end) {
		ssize_t got = blob_read(&t->b, t->at, out);

		if (got <= 0 && got != -EAGAIN)
			return blob_take_over(t, got < 0 ? (int)got : -EIO);
		t->at += got > 0 ? (uint64_t)got : 0;
		if (t->at < t->end && (got < 0 || call_spent(c)))
			return -EAGAIN;
	}
	out->n -= (size_t)(t->at - t->end); /* it reads in pieces */
	return blob_take_over(t, 0);
}

enum call_next
blob_take_later(int rc)
{
	return rc == -EINPROGRESS ? CALL_WAIT : CALL_AGAIN;
}

/* ---- Blob/upload (4.1) ------------------------------------------------------------------------------ */

struct blob_upload {
	const struct json_t *create;
	struct json_walk walk;
	struct buf created, not_created;
	/* the blob in hand */
	bool in_hand;
	const struct json_t *data;
	size_t at; /* of its sources */
	struct buf octets;
	struct blob_taking taking;
	const char *why; /* it cannot be */
};

/* A range of another blob: 0, or as blob_take; q->why. */
static int
blob_source_blob(struct call *c, struct blob_upload *q, const struct json_t *v)
{
	const struct json_t *o = json_find(v, S("offset")), *n = json_find(v, S("length"));
	int64_t offset = 0, length = -1;
	int rc;

	if ((!json_none(o) && !json_get_int(o, 0, JSON_INT_MOST, &offset)) ||
	    (!json_none(n) && !json_get_int(n, 0, JSON_INT_MOST, &length))) {
		q->why = "offset and length are whole numbers";
		return 0;
	}
	rc = blob_take(c, &q->taking, json_text(json_find(v, S("blobId"))), (uint64_t)offset,
	    length < 0 ? UINT64_MAX : (uint64_t)length, &q->octets);
	if (rc == -EAGAIN || rc == -EINPROGRESS)
		return rc;
	if (rc < 0)
		q->why = "there is no such blob";
	else if (q->taking.cut)
		q->why = "the blob has no such range";
	return 0;
}

/* One DataSourceObject. */
static int
blob_source(struct call *c, struct blob_upload *q, const struct json_t *v)
{
	struct slice text = json_text(json_find(v, S("data:asText")));
	struct slice base64 = json_text(json_find(v, S("data:asBase64")));
	struct slice id = json_text(json_find(v, S("blobId")));

	if (!!text.p + !!base64.p + !!id.p != 1) {
		q->why = "data:asText, data:asBase64 or blobId";
	} else if (text.p) {
		buf_slice(&q->octets, text);
	} else if (base64.p) {
		if (base64_parse(&q->octets, base64) < 0)
			q->why = "data:asBase64 is no base64";
	} else {
		return blob_source_blob(c, q, v);
	}
	return 0;
}

static void
blob_upload_tell(struct call *c, struct blob_upload *q)
{
	const struct json_t *type = json_find(q->walk.value, S("type"));
	struct buf *b = &q->created;
	struct slice id;
	int rc = q->why ? 0 : upload_keep(c->s, buf_get(&q->octets), &c->arena, &id);

	if (q->why) {
		set_refuse(&q->not_created, q->walk.name, "invalidProperties", "data", q->why);
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
		json_put_i64(b, "size", (int64_t)q->octets.n);
		buf_char(b, '}');
		metric_add(M_UPLOADS, 1);
	}
}

/* A piece of the blob in hand: 0 when it is told, or as blob_take. */
static int
blob_upload_one(struct call *c, struct blob_upload *q)
{
	int rc;

	if (!q->in_hand) {
		q->in_hand = true;
		q->data = json_find(q->walk.value, S("data"));
		q->at = 0;
		q->why = json_is(q->data, JSON_KIND_ARRAY) && json_count(q->data) <= 1000 ?
		    NULL :
		    "data: an array of 1000 sources at most";
	}
	while (!q->why && q->at < json_count(q->data)) {
		rc = blob_source(c, q, json_at(q->data, q->at));
		if (rc < 0)
			return rc;
		q->at++;
		if (q->octets.n > (size_t)config.upload)
			q->why = "the blob is larger than maxSizeUpload";
		if (call_spent(c))
			return -EAGAIN;
	}
	blob_upload_tell(c, q);
	buf_fini(&q->octets);
	q->in_hand = false;
	return 0;
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

	while (q->in_hand || json_next(q->create, &q->walk)) {
		int rc = blob_upload_one(c, q);

		if (rc < 0)
			return blob_take_later(rc);
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

	(void)blob_take_over(&q->taking, 0);
	buf_fini(&q->octets);
	buf_fini(&q->created);
	buf_fini(&q->not_created);
}

const struct jmapd_method blob_upload = { "Blob/upload", JMAP_BLOBS, sizeof(struct blob_upload),
	blob_upload_start, blob_upload_go, blob_upload_undo };

/* ---- Blob/lookup (4.3) ---------------------------------------------------------------------------------- */

struct blob_lookup {
	struct call_ids ids;
	bool email, thread, mailbox;
	bool *missing, begun;
	size_t at;
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
	if (!q->begun) {
		call_answer(c);
		call_put_account(c);
		json_put_array(call_out(c), "list");
		q->begun = true;
	}
	while (q->at < q->ids.n && !call_spent(c))
		blob_lookup_one(c, q, q->at++);
	store_end(call_view(c));
	if (q->at < q->ids.n)
		return CALL_AGAIN;
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
