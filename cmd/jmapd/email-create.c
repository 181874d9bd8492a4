/* jmapd/email-create.c: emails that clients make.  See email-create.h.
 *
 * Called by Email/set and Email/import.  lib/jmap/compose checks the object and writes the message, a piece a turn, into
 * a file of stored's; blobs are opened before, so that one that is missing is told and nothing written.
 * Can fail, email by email: what is wrong with the object, a blob that is not there, the quota, stored.
 * Must stay true: each is a message in all its mailboxes, or refused; a copy that fails behind the first is
 * told as refused, and the message stays where it is. */
#include "email-create.h"
#include <errno.h>
#include "base/clock.h"
#include "base/random.h"
#include "mail/header.h"
#include "set.h"

static void
create_refuse(struct email_creates *k, const char *type, const char *property, const char *why)
{
	set_refuse(k->not_created, k->walk.name, type, property, why);
	k->stage = CREATE_NEXT;
}

/* ---- what is the store's --------------------------------------------------------------------------- */

static const char *
create_mailboxes(struct call *c, struct email_creates *k, const struct json_t *v)
{
	struct json_walk w = { 0 };
	bool yes = false;

	if (!json_is(v, JSON_KIND_OBJECT) || json_count(v) == 0 || json_count(v) > EMAIL_MAILBOXES)
		return "mailboxes that there are, one at least, and 256 at most";
	k->bring.mailboxes = arena_array(&k->arena, json_count(v), sizeof(uint64_t));
	while (json_next(v, &w)) {
		const struct folder *f = folders_find_id(c, w.name);

		if (!f || (f->attrs & STORE_NOSELECT) || !json_get_bool(w.value, &yes) || !yes)
			return "mailboxes that there are, each with the value true";
		k->bring.mailboxes[k->bring.nmailboxes++] = f->mailbox;
	}
	return NULL;
}

static const char *
create_keywords(struct email_creates *k, const struct json_t *v)
{
	struct json_walk w = { 0 };
	bool yes = false;

	if (json_none(v))
		return NULL;
	if (!json_is(v, JSON_KIND_OBJECT) || json_count(v) > EMAIL_KEYWORDS)
		return "an object of 256 keywords at most is needed";
	while (json_next(v, &w)) {
		uint16_t flag = email_flag(w.name);

		if (!jmap_keyword_ok(w.name) || !json_get_bool(w.value, &yes) || !yes)
			return "keywords, each with the value true";
		k->bring.flags |= flag;
		if (flag)
			continue;
		if (k->keywords.n)
			buf_char(&k->keywords, ' ');
		buf_slice(&k->keywords, w.name);
	}
	k->bring.keywords = buf_get(&k->keywords);
	return NULL;
}

/* False: it is refused. */
static bool
create_placing(struct call *c, struct email_creates *k)
{
	const struct json_t *v = k->walk.value, *at = json_find(v, S("receivedAt"));
	const char *property = "mailboxIds",
		   *why = create_mailboxes(c, k, json_find(v, S("mailboxIds")));

	if (!why) {
		property = "keywords";
		why = create_keywords(k, json_find(v, S("keywords")));
	}
	k->bring.dated = !json_none(at);
	if (!why && k->bring.dated && !jmap_date_parse(json_text(at), &k->bring.at)) {
		property = "receivedAt";
		why = "a date is written 2026-11-30T00:00:00Z";
	}
	if (why)
		create_refuse(k, "invalidProperties", property, why);
	return !why;
}

/* ---- the object ---------------------------------------------------------------------------------------- */

static void
create_refuse_wrong(struct email_creates *k)
{
	struct buf *b = k->not_created;

	if (b->n)
		buf_char(b, ',');
	json_str(b, k->walk.name);
	buf_lit(b, ":{");
	json_put_cstr(b, "type", "invalidProperties");
	json_put_array(b, "properties");
	for (size_t i = 0; i < k->compose.nwrong; i++) {
		json_element(b);
		json_str(b, k->compose.wrong[i].path);
	}
	buf_char(b, ']');
	json_put_cstr(b, "description", k->compose.nwrong ? k->compose.wrong[0].why : NULL);
	buf_char(b, '}');
	k->stage = CREATE_NEXT;
}

static void
create_compose(struct email_creates *k)
{
	char unique[14];

	k->facts = (struct jmap_compose_facts){ .now = clock_now(),
		.unique = slice_str(arena_printf(&k->arena, "%s%016llx", random_id(unique),
		    (unsigned long long)random_u64())),
		.domain = slice_str(shared.hostname) };
	k->composing = true;
	if (jmap_compose_read(&k->compose, k->walk.value, &k->facts, &k->arena) < 0) {
		create_refuse_wrong(k);
		return;
	}
	k->nblobs = k->compose.nblobs;
	k->stage = CREATE_OPENS;
}

static void
create_close_blob(struct email_creates *k)
{
	if (k->blob_open)
		blob_close(&k->blob);
	k->blob_open = false;
}

static void
create_clean(struct email_creates *k)
{
	create_close_blob(k);
	if (k->composing)
		jmap_compose_end(&k->compose);
	bring_fini(&k->bring);
	k->bring = (struct bring){ .body.fd = -1 };
	k->nblobs = k->blob_at = k->looked = 0;
	k->composing = false;
	k->at = 0;
	buf_clear(&k->keywords);
	arena_reset(&k->arena);
}

/* The object is looked at, in a snapshot's table of folders. */
static enum call_next
create_check(struct call *c, struct email_creates *k)
{
	struct store_account a;
	int rc;
	enum call_next next = folders_begin(c, &a, &rc);

	if (rc < 0) {
		create_refuse(k, "serverUnavailable", NULL, "the store cannot be read now");
		return CALL_AGAIN;
	}
	if (next == CALL_AGAIN)
		return next;
	store_end(call_view(c));
	if (!json_is(k->walk.value, JSON_KIND_OBJECT)) {
		create_refuse(k, "invalidProperties", NULL, "an object is needed");
	} else if (create_placing(c, k)) {
		k->stage = CREATE_OPENS;
		k->nblobs = 1;
		if (!k->import)
			create_compose(k);
	}
	return CALL_AGAIN;
}

/* ---- blobs ------------------------------------------------------------------------------------------------ */

static void
create_no_blob(struct email_creates *k, struct slice id, int rc)
{
	struct buf *b = k->not_created;

	if (rc != -ENOENT) {
		create_refuse(k, "serverUnavailable", NULL, "a blob cannot be read now");
		return;
	}
	if (k->import) {
		create_refuse(k, "invalidProperties", "blobId", "there is no such blob");
		return;
	}
	if (b->n)
		buf_char(b, ',');
	json_str(b, k->walk.name);
	buf_lit(b, ":{\"type\":\"blobNotFound\"");
	json_put_array(b, "notFound");
	json_str(b, id);
	buf_lit(b, "]}");
	k->stage = CREATE_NEXT;
}

static void
create_opened(void *arg)
{
	call_resume(arg, CALL_AGAIN);
}

static struct slice
create_blob_id(struct call *c, const struct email_creates *k, size_t i)
{
	return k->import ? json_text(json_find(k->walk.value, S("blobId"))) :
			   call_created(c, k->compose.blobs[i]);
}

/* Blob i is the one that is open.  False: it will be, create_opened says when. */
static bool
create_open_blob(struct call *c, struct email_creates *k, size_t i)
{
	if (k->blob_open && k->blob_at == i)
		return true;
	create_close_blob(k);
	k->blob_open = true;
	k->blob_at = i;
	return blob_start(c->s, create_blob_id(c, k, i), &k->blob, create_opened, c);
}

/* Are they all there?  Each is opened for a look, before anything is written. */
static enum call_next
create_open(struct call *c, struct email_creates *k)
{
	while (k->looked < k->nblobs) {
		struct slice id = create_blob_id(c, k, k->looked);

		if (!create_open_blob(c, k, k->looked))
			return CALL_WAIT;
		if (k->blob.error < 0) {
			create_no_blob(k, id.n ? id : S(""), k->blob.error);
			return CALL_AGAIN;
		}
		k->looked++;
		if (call_spent(c))
			return CALL_AGAIN;
	}
	k->stage = CREATE_WRITES;
	return CALL_AGAIN;
}

static ssize_t
create_read_blob(void *arg, size_t i, uint64_t at, struct buf *out)
{
	struct call *c = arg;
	struct email_creates *k = c->creates;

	if (!create_open_blob(c, k, i))
		return -EINPROGRESS;
	return k->blob.error < 0 ? k->blob.error : blob_read(&k->blob, at, out);
}

/* A header at the beginning is what makes octets a message. */
static bool
create_is_message(struct slice first)
{
	struct header_field f;

	return header_next(&first, &f) && f.name.n > 0;
}

/* A piece of the message: 1 more follows, 0 that was all; -EAGAIN, -EINPROGRESS (create_opened); -errno. */
static int
create_piece(struct call *c, struct email_creates *k)
{
	struct jmap_compose_blobs blobs = { create_read_blob, c };
	ssize_t got;

	buf_clear(&k->piece);
	c->creates = k;
	if (!k->import)
		return jmap_compose_next(&k->compose, &blobs, &k->piece);
	got = create_read_blob(c, 0, k->at, &k->piece);
	if (got > 0 && k->at == 0 && !create_is_message(buf_get(&k->piece)))
		return -EBADMSG;
	k->at += got > 0 ? (uint64_t)got : 0;
	return got > 0 ? 1 : (int)got;
}

static enum call_next
create_write(struct call *c, struct email_creates *k)
{
	enum call_next next = bring_open(c, &k->bring);
	int more = 1;

	if (next == CALL_WAIT)
		return next;
	while (k->bring.stage == BRING_OPEN && more > 0) {
		more = create_piece(c, k);
		if (more == -EAGAIN || more == -EINPROGRESS)
			return more == -EAGAIN ? CALL_AGAIN : CALL_WAIT;
		if (more >= 0)
			bring_bytes(&k->bring, buf_get(&k->piece));
		if (more > 0 && k->bring.size > (uint64_t)config.upload)
			more = -EFBIG;
		if (more > 0 && call_spent(c))
			return CALL_AGAIN;
	}
	if (more == -EFBIG)
		create_refuse(k, "tooLarge", NULL, "the message is larger than maxSizeUpload");
	else if (more < 0 && k->import)
		create_refuse(k, "invalidEmail", NULL, "the blob is no message");
	else if (more < 0)
		create_refuse(k, "serverUnavailable", NULL, "a blob cannot be read now");
	else
		k->stage = CREATE_PUTS;
	return CALL_AGAIN;
}

/* ---- in the store ----------------------------------------------------------------------------------------- */

static void
create_tell(struct call *c, struct email_creates *k)
{
	const struct store_record *r = NULL;
	struct store_account a;
	struct buf *b = k->created, id = { 0 };

	if (call_begin(c, &a) == 0)
		r = store_get_record(call_view(c), k->bring.mailboxes[0], k->bring.uid);
	if (!r) {
		create_refuse(k, "serverUnavailable", NULL, "it was made, and is not to be seen");
	} else {
		jmap_id_write(&id, JMAP_EMAIL, r->emailid);
		call_create(c, k->walk.name, buf_get(&id));
		if (b->n)
			buf_char(b, ',');
		json_str(b, k->walk.name);
		buf_lit(b, ":{");
		json_put_str(b, "id", buf_get(&id));
		json_key(b, "blobId");
		jmap_id_json(b, JMAP_BLOB, r->emailid);
		json_key(b, "threadId");
		jmap_id_json(b, JMAP_THREAD, r->threadid);
		json_put_i64(b, "size", r->size);
		buf_char(b, '}');
		metric_add(M_CREATED, 1);
	}
	store_end(call_view(c));
	buf_fini(&id);
	k->stage = CREATE_NEXT;
}

static enum call_next
create_put(struct call *c, struct email_creates *k)
{
	enum call_next next = bring_go(c, &k->bring);

	if (next == CALL_WAIT || k->bring.stage != BRING_OVER)
		return next == CALL_WAIT ? next : CALL_AGAIN;
	if (k->bring.code == STORE_DONE)
		create_tell(c, k);
	else
		create_refuse(k, set_error_of(k->bring.code), NULL, k->bring.why);
	return CALL_AGAIN;
}

enum call_next
email_create_go(struct call *c, struct email_creates *k)
{
	switch (k->stage) {
	case CREATE_NEXT:
		create_clean(k);
		if (!json_next(k->objects, &k->walk)) {
			k->stage = CREATE_OVER;
			return CALL_DONE;
		}
		k->stage = CREATE_CHECKS;
		return CALL_AGAIN;
	case CREATE_CHECKS: return create_check(c, k);
	case CREATE_OPENS: return create_open(c, k);
	case CREATE_WRITES: return create_write(c, k);
	case CREATE_PUTS: return create_put(c, k);
	case CREATE_OVER: break;
	}
	return CALL_DONE;
}

void
email_create_fini(struct email_creates *k)
{
	create_clean(k);
	buf_fini(&k->piece);
	buf_fini(&k->keywords);
}
